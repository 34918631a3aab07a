//! `fastchat save @user|#group SEQ`

use super::listen::DOWNLOADS;
use crate::{
    context::Context,
    online::Online,
    rooms,
    stop::{Stop, file},
    terminal::{
        human, json,
        progress::Way,
        shown::{FileIs, Shown},
    },
};
use fastchat_client::{
    problem::Problem,
    record::{Recipient, Record, What},
};
use fastchat_e2e::content::Body;
use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempPath;

/// Names that are tried for a copy: `cat.png`, `cat (2).png`, ….
const NAMES_MAX: u32 = 10_000;

/// Fetch a file of the history
///
/// Saves the file of message SEQ of a conversation (`fastchat history` shows the number) and prints its path. Nothing is
/// ever overwritten.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat save @bob 17
  fastchat save '#team' 17 --to ~/Pictures
  fastchat save @bob 17 --to cat.png"))]
pub(crate) struct Args {
    /// The conversation: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    of: Recipient,
    /// The message's number in it
    #[arg(value_name = "SEQ")]
    seq: u64,
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
    let target = match &args.to {
        Some(path) => Target::of(path)?,
        None => Target::Folder(context.folder.join(DOWNLOADS)),
    };
    let mut online = context.online()?;
    let outcome = save(context, &mut online, args, &target).await;
    online.close().await;
    outcome
}

async fn save<'a>(context: &Context<'a>, online: &mut Online<'a>, args: &Args, target: &Target) -> Result<(), Stop> {
    let rooms = online.profile().rooms()?;
    let room = rooms::find(&rooms, &args.of)?;
    let title = room.title();
    let record = online.profile().record_at(room.conversation, args.seq)?.ok_or_else(|| {
        let message = format!(
            "this profile has no entry {} of {title}: `fastchat history '{title}' --json` has the numbers",
            args.seq
        );
        Problem::declined("not-found", message)
    })?;
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
            let saved = online.watch.during(work).await?;
            // It was here before, elsewhere.
            if saved.parent() == Some(folder) {
                Ok(saved)
            } else {
                Ok(copy_into(&saved, folder)?)
            }
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
    Err(Problem::Usage(format!("entry {} is no file", record.seq)))
}

/// Gives a file its name, unless something has it.
fn put(from: &Path, to: &Path) -> Result<(), Problem> {
    TempPath::try_from_path(from)
        .and_then(|path| path.persist_noclobber(to).map_err(Into::into))
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => exists(to),
            _ => file(to, source),
        })
}

/// Copies a file into a folder, under the first free name; whole or not at all.
fn copy_into(from: &Path, folder: &Path) -> Result<PathBuf, Problem> {
    let copy = tempfile::Builder::new().prefix(".fastchat-").tempfile_in(folder);
    let mut copy = copy.map_err(|source| file(folder, source))?;
    let copied = fs::File::open(from).and_then(|mut opened| io::copy(&mut opened, copy.as_file_mut()));
    copied.map_err(|source| file(from, source))?;
    copy.as_file().sync_all().map_err(|source| file(folder, source))?;
    let name = from.file_name().unwrap_or(OsStr::new("file"));
    let mut path = copy.into_temp_path();
    for n in 1..NAMES_MAX {
        let to = folder.join(numbered(name, n));
        match path.persist_noclobber(&to) {
            Ok(()) => return Ok(to),
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => path = taken.path,
            Err(other) => return Err(file(&to, other.error)),
        }
    }
    Err(exists(&folder.join(name)))
}

/// `cat.png`, `cat (2).png`, ….
fn numbered(name: &OsStr, n: u32) -> PathBuf {
    let name = Path::new(name);
    if n == 1 {
        return name.to_owned();
    }
    let mut numbered = name.file_stem().unwrap_or_default().to_owned();
    numbered.push(format!(" ({n})"));
    if let Some(extension) = name.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::shown::samples;

    #[test]
    fn a_copy_takes_the_first_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("cat.png");
        fs::write(&from, "new").unwrap();
        let into = tempfile::tempdir().unwrap();
        fs::write(into.path().join("cat.png"), "old").unwrap();
        let copy = copy_into(&from, into.path()).unwrap();
        assert_eq!(copy, into.path().join("cat (2).png"));
        assert_eq!(fs::read_to_string(&copy).unwrap(), "new");
        assert_eq!(fs::read_to_string(into.path().join("cat.png")).unwrap(), "old");
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        assert_eq!(put(&from, &to).unwrap_err().code(), "exists");
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
    }

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
