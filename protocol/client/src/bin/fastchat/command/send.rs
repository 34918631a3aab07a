//! `fastchat send @user|#group`

use super::lines;
use crate::{
    context::Context,
    online::Online,
    rooms,
    stop::{Stop, file},
    terminal::{human, json, progress::Way, screen::Screen, shown::Shown},
};
use fastchat_client::{
    messenger::{Messenger, SendFile, Sent, SentFile},
    problem::Problem,
    profile::Profile,
    record::{self, Named, Recipient},
};
use fastchat_e2e::{
    ConversationId, EntryId,
    content::{Body, Text},
};
use std::{
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest text in bytes. A sealed entry could hold four times as much; nobody reads that as a message.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// Send a text, files, or lines from stdin
///
/// The text comes first, then the files in the order in which they are named. Without TEXT and --file the message is
/// read from stdin, with --lines one message from each line.
///
/// Each message is kept in the profile, sealed, before it is sent: one that was interrupted goes out with the next
/// command that is online, once. The command ends when all of them stand in the conversation, in order; with --json it
/// prints each of them then.
///
/// Members whom the text names (@bob) are told that they are meant.
///
/// Images are checked, and what a camera writes into them (place, time, device) is taken out.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat send @bob \"hello\"
  fastchat send @bob \"yes\" --reply-to 17           answer message 17; `last` for the newest of others
  fastchat send @bob -- \"--looks like a flag\"
  fastchat send '#team' \"the plan\" --file plan.pdf --file photo.jpg
  uptime | fastchat send @bob
  tail -f events.log | fastchat send '#team' --lines --json"))]
pub(crate) struct Args {
    /// To whom: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    to: Recipient,
    /// The text, at most 1 MiB
    #[arg(value_name = "TEXT", conflicts_with = "lines")]
    text: Option<String>,
    /// A file; may be given several times
    #[arg(long, value_name = "PATH", conflicts_with = "lines")]
    file: Vec<PathBuf>,
    /// One message from each line of stdin that is not empty; many are on their way at a time
    #[arg(long)]
    lines: bool,
    /// The text answers this message: its number, the end of its id, or last
    #[arg(long, value_name = "MESSAGE", conflicts_with = "lines")]
    reply_to: Option<Named>,
    /// Leave in images what a camera wrote into them: place, time, device
    #[arg(long)]
    keep_metadata: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let text = match args.text {
        Some(text) => Some(check(text)?),
        None if args.lines || !args.file.is_empty() => {
            if args.reply_to.is_some() {
                return Err(Problem::Usage("only a text can answer a message: write one".to_owned()).into());
            }
            None
        }
        None => Some(check(read_stdin(context).await?)?),
    };
    args.file.iter().try_for_each(|path| check_file(path))?;

    let mut online = context.online()?;
    let outcome = match Sender::new(context, &mut online, &args.to).await {
        Ok(mut sender) if args.lines => lines::run(&mut sender).await,
        Ok(mut sender) => {
            let answered = args.reply_to.as_ref().map(|named| sender.named(named, false)).transpose();
            match answered {
                Ok(answered) => sender.send(text, answered, &args.file, args.keep_metadata).await,
                Err(problem) => Err(problem.into()),
            }
        }
        Err(stop) => Err(stop),
    };
    online.close().await;
    outcome
}

/// Sends to one conversation.
pub(crate) struct Sender<'a, 'b> {
    pub(crate) online: &'b mut Online<'a>,
    pub(crate) conversation: ConversationId,
    pub(crate) receipts: Receipts<'a>,
}

/// Shows what was sent.
pub(crate) struct Receipts<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) title: String,
    profile: Arc<Profile>,
}

/// Says something about an earlier message, in a conversation that there is.
pub(crate) async fn about(
    context: &Context<'_>,
    to: &Recipient,
    named: &Named,
    own: bool,
    body: impl FnOnce(EntryId) -> Body,
    done: &str,
) -> Result<(), Stop> {
    let mut online = context.online()?;
    let outcome = match Sender::known(context, &mut online, to).await {
        Ok(mut sender) => match sender.named(named, own) {
            Ok(target) => sender.say(body(target), done).await,
            Err(problem) => Err(problem.into()),
        },
        Err(stop) => Err(stop),
    };
    online.close().await;
    outcome
}

impl<'a, 'b> Sender<'a, 'b> {
    async fn new(context: &Context<'a>, online: &'b mut Online<'a>, to: &Recipient) -> Result<Self, Stop> {
        online.ready().await?;
        let conversation = online.watch.during(online.messenger.conversation(to)).await?;
        let receipts = Receipts {
            screen: context.screen,
            title: rooms::title(online.profile(), conversation)?,
            profile: Arc::clone(online.profile()),
        };
        Ok(Self {
            online,
            conversation,
            receipts,
        })
    }

    /// The same where none is made.
    pub(crate) async fn known(context: &Context<'a>, online: &'b mut Online<'a>, to: &Recipient) -> Result<Self, Stop> {
        online.ready().await?;
        record::find(&online.profile().rooms()?, to)?;
        Self::new(context, online, to).await
    }

    /// The entry of the message that a person means.
    fn named(&self, named: &Named, own: bool) -> Result<EntryId, Problem> {
        let found = self.receipts.profile.message(self.conversation, named, own)?;
        found
            .entry
            .ok_or_else(|| Problem::declined("not-found", "that is no message: name another one"))
    }

    /// Says one thing.
    pub(crate) async fn say(&mut self, body: Body, done: &str) -> Result<(), Stop> {
        let work = self.online.messenger.send(self.conversation, body);
        let sent = self.online.watch.during(work).await?;
        self.receipts.message(&self.online.messenger, sent).await?;
        self.receipts.screen.confirm(done);
        Ok(())
    }

    async fn send(&mut self, text: Option<String>, answered: Option<EntryId>, files: &[PathBuf], keep_metadata: bool) -> Result<(), Stop> {
        if let Some(body) = text {
            let text = Body::Text(Text {
                body,
                reply_to: answered,
                mentions: Vec::new(),
            });
            let work = self.online.messenger.send(self.conversation, text);
            let sent = self.online.watch.during(work).await?;
            self.receipts.message(&self.online.messenger, sent).await?;
        }
        for path in files {
            self.send_file(path, &SendFile { keep_metadata }).await?;
        }
        let receipts = &self.receipts;
        receipts.screen.confirm(&format!("sent to {}", human::brief(&receipts.title)));
        Ok(())
    }

    async fn send_file(&mut self, path: &Path, how: &SendFile) -> Result<(), Stop> {
        let screen = self.receipts.screen;
        let bar = screen.progress();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let work = self
            .online
            .messenger
            .send_file(self.conversation, path, how, bar.of(&name, Way::Out));
        let SentFile { sent, notes, .. } = self.online.watch.during(work).await?;
        drop(bar);
        for note in notes {
            screen.note(&note);
        }
        self.receipts.message(&self.online.messenger, sent).await
    }
}

impl Receipts<'_> {
    /// A message that stands in its log: with `--json` it is shown, people see a confirmation when all is sent.
    pub(crate) async fn message(&self, messenger: &Messenger, sent: Sent) -> Result<(), Stop> {
        if !self.screen.is_json() {
            return Ok(());
        }
        match messenger.kept(sent).await? {
            Some(record) => self.screen.object(&json::record(&Shown::kept(&record, &self.title))),
            // It was to disappear at once.
            None => Ok(()),
        }
    }
}

/// Refuses what is no message.
pub(crate) fn check(text: String) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(Problem::Usage("the text is empty: write something".to_owned()));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text)
}

/// A text beyond [`TEXT_BYTES_MAX`].
pub(crate) fn too_long() -> Problem {
    Problem::declined("too-large", "a text has at most 1 MiB: send it as a file, with --file")
}

/// Before anything is sent: files that can't be read. A pipe is not opened: that may wait for ever.
fn check_file(path: &Path) -> Result<(), Problem> {
    let checked = std::fs::metadata(path).and_then(|metadata| match metadata {
        metadata if metadata.is_file() => std::fs::File::open(path).map(drop),
        metadata if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::other("it is no file")),
    });
    checked.map_err(|source| file(path, source))
}

/// All of stdin; the line break at its end is not part of the message.
async fn read_stdin(context: &Context<'_>) -> Result<String, Stop> {
    if io::stdin().is_terminal() {
        context
            .screen
            .confirm("write the message; Ctrl-D on an empty line sends it, Ctrl-C does not");
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        // A line break more than the longest text.
        io::stdin().lock().take(TEXT_BYTES_MAX as u64 + 3).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let bytes = bytes.map_err(|source| file("stdin".as_ref(), source))?;
    Ok(message(bytes)?)
}

/// What was read, as a message.
pub(crate) fn message(mut bytes: Vec<u8>) -> Result<String, Problem> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|_| Problem::Usage("stdin is not UTF-8 text: send it as a file, with --file".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_break_is_not_part_of_the_message() {
        for (read, said) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("\n", ""),
        ] {
            assert_eq!(message(read.as_bytes().to_vec()).unwrap(), said);
        }
    }

    #[test]
    fn nothing_is_no_message() {
        assert!(matches!(check(String::new()), Err(Problem::Usage(_))));
    }

    #[test]
    fn a_text_beyond_its_limit_is_refused_and_one_at_it_is_not() {
        let longest = "x".repeat(TEXT_BYTES_MAX);
        assert!(check(longest.clone()).is_ok());
        assert!(message(format!("{longest}\r\n").into_bytes()).is_ok());
        assert_eq!(check(format!("{longest}x")).unwrap_err().code(), "too-large");
        assert_eq!(message(format!("{longest}x\n").into_bytes()).unwrap_err().code(), "too-large");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert!(matches!(message(vec![0xff]), Err(Problem::Usage(_))));
    }

    #[test]
    fn what_is_no_file_is_refused_by_name_before_anything_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), &folder.path().join("none"), Path::new("/dev/null")] {
            let Err(problem) = check_file(path) else {
                panic!("{}", path.display())
            };
            assert!(problem.to_string().starts_with(path.to_str().unwrap()), "{problem}");
        }
    }
}
