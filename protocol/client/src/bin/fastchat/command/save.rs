//! `fastchat save @user|#group MESSAGE`

use crate::{
    context::Context,
    online::Online,
    stop::{Stop, file},
    terminal::{
        human, json,
        progress::Way,
        shown::{FileIs, Shown},
    },
};
use fastchat_client::{
    problem::Problem,
    record::{Named, Recipient, Record, What, find},
};
use fastchat_e2e::content::Body;
use std::path::{Path, PathBuf};

/// Fetch a file of the history
///
/// Saves the file of a message (`fastchat history --numbers` shows its number) and prints its path. Nothing is ever
/// overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat save @bob last
  fastchat save '#team' 17 --to ~/Pictures
  fastchat save @bob 17 --to cat.png"))]
pub(crate) struct Args {
    /// The conversation: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    of: Recipient,
    /// Which message: its number, the end of its id, or last, which is the newest of others
    #[arg(value_name = "MESSAGE")]
    message: Named,
    /// A folder, or the name of a file that is not there yet [default: downloads/ in the profile's folder]
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
}

/// Where the file goes.
enum Target {
    /// Under its own name.
    Folder(PathBuf),
    /// Under this name.
    File(PathBuf),
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let target = args.to.as_deref().map(Target::of).transpose()?;
    let mut online = context.online()?;
    let target = target.unwrap_or_else(|| Target::Folder(online.profile().downloads()));
    let outcome = save(context, &mut online, args, &target).await;
    online.close().await;
    outcome
}

async fn save<'a>(context: &Context<'a>, online: &mut Online<'a>, args: &Args, target: &Target) -> Result<(), Stop> {
    let rooms = online.profile().rooms()?;
    let room = find(&rooms, &args.of)?;
    let title = room.title();
    let record = online.profile().message(room.conversation, &args.message, false)?;
    let name = name(&record)?;
    let path = fetch(context, online, &record, name, target).await?;
    let (record, title, file) = (&record, &*title, FileIs::Saved(&path));
    let line = json::record(&Shown { record, title, file });
    context.screen.result(&line, || human::path(&path))
}

async fn fetch<'a>(context: &Context<'a>, online: &mut Online<'a>, record: &Record, name: &str, target: &Target) -> Result<PathBuf, Stop> {
    let bar = context.screen.progress();
    let progress = bar.of(name, Way::In);
    match target {
        Target::Folder(folder) => {
            let work = online.messenger.save_file(record, folder, progress);
            Ok(online.watch.during(work).await?)
        }
        Target::File(path) => {
            let work = online.messenger.save_file_as(record, path, progress);
            online.watch.during(work).await?;
            Ok(path.clone())
        }
    }
}

impl Target {
    fn of(path: &Path) -> Result<Self, Problem> {
        let path = std::path::absolute(path).map_err(|source| file(path, source))?;
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
        match path.parent() {
            Some(folder) if folder.is_dir() => Ok(Self::File(path)),
            _ => Err(Problem::Usage(format!("there is no folder for {}: make it first", path.display()))),
        }
    }
}

fn exists(path: &Path) -> Problem {
    Problem::declined("file-exists", format!("{} is there already: choose another name", path.display()))
}

/// The name of a `file` message's file.
fn name(record: &Record) -> Result<&str, Problem> {
    if let What::Message(content) = &record.what
        && let Body::File(file) = &content.body
    {
        return Ok(&file.name);
    }
    Err(Problem::Usage(format!(
        "message {} has no file: `fastchat history --numbers` shows which do",
        record.seq
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::shown::samples;
    use std::fs;

    #[test]
    fn a_target_is_a_folder_or_a_new_name_in_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("old"), "").unwrap();
        assert!(matches!(Target::of(folder.path()), Ok(Target::Folder(_))));
        assert!(matches!(Target::of(&folder.path().join("new")), Ok(Target::File(_))));
        assert!(Target::of(&folder.path().join("old")).is_err_and(|error| error.code() == "file-exists"));
        assert!(matches!(Target::of(&folder.path().join("none/new")), Err(Problem::Usage(_))));
    }

    #[test]
    fn only_a_files_message_has_a_file() {
        assert_eq!(name(&samples::message(Body::File(samples::file()))).unwrap(), "cat.png");
        assert!(matches!(name(&samples::text("hi")), Err(Problem::Usage(_))));
    }
}
