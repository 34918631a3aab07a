//! `fastchat listen`
//!
//! The profile's mark says up to which arrival everything was shown. It moves
//! after a record was printed and flushed, never before: a listener that is
//! killed shows its last record again rather than not at all. Over records that
//! are skipped it moves when the next one is printed, or when nothing comes.

use crate::{
    context::Context,
    online::Online,
    rooms,
    stop::Stop,
    terminal::{
        human::{self, Lines},
        json,
        progress::Way,
        screen::Screen,
        shown::{FileIs, Shown, is_file, is_missing, is_said_by_others},
    },
};
use fastchat_client::{
    Ended,
    messenger::Typing,
    problem::Problem,
    record::{Record, What},
};
use fastchat_e2e::{ConversationId, content::Body};
use jiff::Zoned;
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How long it may take to tell what was read.
const TELL: Duration = Duration::from_secs(2);
/// Nothing came for so long: the mark is moved over what was skipped.
const IDLE: Duration = Duration::from_millis(200);

/// Show messages as they arrive, beginning with what is unread
///
/// Shows the texts and files of others, what they correct and take back, and their reactions, each once, in the order of
/// their conversation; with --all also your own, and what was done: who came and went, what can't be read. Files are saved in the profile's folder,
/// under downloads/, and never overwrite anything.
///
/// Goes on when a server is lost, and catches up. Ends with 0 on Ctrl-C, after --count messages, or after --for seconds;
/// with both, 4 says that the time was over first.
///
/// With --json: {conversation, name, seq, at, from, type, text?, file?: {name, mime, size, sha256, width?, height?,
/// path?, error?}, entry, device, own?, alarms?, …}. name is "@user" or "#group", at is in milliseconds since 1970.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat listen
  fastchat --profile bot listen --json          for a program: one object a line
  fastchat listen --count 1 --for 10            the next message, if one comes within 10 s
  fastchat listen --for 0.5 --no-files          what is unread"))]
pub(crate) struct Args {
    /// End after N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds, as in 2.5; exit code 4 if --count is not reached by then
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Show (and count) everything, not only what others said
    #[arg(long)]
    all: bool,
    /// Show the number of each message, by which `edit`, `delete`, `react` and `save` name it
    #[arg(short, long)]
    numbers: bool,
    /// Tell the others that you have read what is shown; otherwise nobody is told
    #[arg(long)]
    read_marks: bool,
    /// Show also who is typing
    ///
    /// Any member can pretend that another one does.
    #[arg(long)]
    typing: bool,
    /// Don't fetch files
    #[arg(long)]
    no_files: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let over = args.duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut listener = Listener::new(context, args)?;
    if args.count.is_none() && args.duration.is_none() {
        context.screen.confirm("listening; Ctrl-C ends");
    }
    let outcome = tokio::select! {
        biased;
        outcome = listener.listen() => outcome,
        () = until(over) => listener.over(),
    };
    let settled = listener.settle();
    listener.tell_read().await;
    listener.online.close().await;
    outcome.and(settled.map_err(Stop::from))
}

struct Listener<'a> {
    args: &'a Args,
    screen: &'a Screen,
    online: Online<'a>,
    downloads: PathBuf,
    lines: Lines,
    /// The last record that was looked at.
    after: u64,
    /// The mark as the profile has it.
    marked: u64,
    /// Records shown.
    count: u64,
    /// Up to where the others are to be told that it was read.
    read: BTreeMap<ConversationId, u64>,
    /// Who is typing, where that is to be shown.
    typing: Option<broadcast::Receiver<Typing>>,
}

/// What comes next.
enum Next {
    Record(Box<Record>),
    Typing(Typing),
    Idle,
    Ended(Ended),
}

impl<'a> Listener<'a> {
    fn new(context: &'a Context<'a>, args: &'a Args) -> Result<Self, Stop> {
        let online = context.online()?;
        let after = online.profile().shown()?;
        let typing = args.typing.then(|| online.messenger.typing_by_others());
        Ok(Self {
            args,
            screen: context.screen,
            downloads: online.profile().downloads(),
            online,
            lines: Lines::new(&Zoned::now()).numbered(args.numbers),
            after,
            marked: after,
            count: 0,
            read: BTreeMap::new(),
            typing,
        })
    }

    /// Shows records until there are enough.
    async fn listen(&mut self) -> Result<(), Stop> {
        while self.args.count != Some(self.count) {
            match self.next().await? {
                Next::Record(record) => self.take(&record).await?,
                Next::Typing(typing) => self.show_typing(&typing)?,
                Next::Idle => {
                    self.settle()?;
                    self.tell_read().await;
                }
                Next::Ended(ended) => return Err(Problem::Ended(ended).into()),
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Next, Stop> {
        let Online { messenger, watch } = &mut self.online;
        let is_waiting = self.marked < self.after || !self.read.is_empty();
        let mut ended = watch.look();
        loop {
            if let Some(ended) = ended
                && messenger.profile().arrived_after(self.after, 1)?.is_empty()
            {
                return Ok(Next::Ended(ended));
            }
            tokio::select! {
                biased;
                record = messenger.next(self.after) => return Ok(Next::Record(Box::new(record?))),
                change = watch.changed() => ended = change,
                typing = next_of(&mut self.typing) => return Ok(Next::Typing(typing)),
                () = sleep(IDLE), if is_waiting => return Ok(Next::Idle),
            }
        }
    }

    /// Shows or skips a record.
    async fn take(&mut self, record: &Record) -> Result<(), Stop> {
        let title = rooms::title(self.online.profile(), record.conversation)?;
        if !self.args.all && !is_said_by_others(record) {
            self.skip(record, &title);
            self.after = record.arrival;
            return Ok(());
        }
        let fetched = self.fetch(record).await;
        if let Some(Err(problem)) = &fetched {
            let name = file_name(record);
            self.screen
                .note(&format!("{name} was not saved: {problem} (entry {} of {title})", record.seq));
        }
        let message = fetched.as_ref().and_then(|fetched| fetched.as_ref().err()).map(ToString::to_string);
        let file = match (&fetched, &message) {
            (Some(Ok(path)), _) => FileIs::Saved(path),
            (Some(Err(problem)), Some(message)) => FileIs::Failed {
                code: problem.code(),
                message,
            },
            _ => record.saved.as_deref().map_or(FileIs::Away, FileIs::Saved),
        };
        let title = &title;
        let shown = Shown { record, title, file };
        if self.screen.is_json() {
            self.screen.object(&json::record(&shown))?;
        } else {
            self.screen.print(&self.lines.record(&shown))?;
        }
        self.count += 1;
        self.after = record.arrival;
        if self.args.read_marks && !record.own {
            let through = self.read.entry(record.conversation).or_default();
            *through = record.seq.max(*through);
        }
        Ok(self.settle()?)
    }

    /// Tells the others what was shown. Where that fails it is told with what comes next, or never: it is a courtesy.
    async fn tell_read(&mut self) {
        if self.read.is_empty() {
            return;
        }
        let work = self.online.messenger.mark_read(&self.read);
        match timeout(TELL, work).await {
            Ok(Ok(())) => self.read.clear(),
            Ok(Err(problem)) => {
                tracing::debug!(%problem, "what was read is not told");
                self.read.clear();
            }
            Err(_) => {}
        }
    }

    fn show_typing(&self, typing: &Typing) -> Result<(), Stop> {
        let title = rooms::title(self.online.profile(), typing.conversation)?;
        if self.screen.is_json() {
            let line = json!({"conversation": typing.conversation, "name": title, "type": "typing", "from": json::person(&typing.person)});
            return self.screen.object(&line);
        }
        let who = human::person(&typing.person);
        self.screen
            .print(&human::passing(&format!("{who} is typing in {}", human::brief(&title))))
    }

    /// What the user must see even of what is not shown.
    fn skip(&self, record: &Record, title: &str) {
        self.screen.alarms(record, title);
        match &record.what {
            What::Unreadable { cause } => self.screen.note(&format!("entry {} of {title} can't be read: {cause}", record.seq)),
            What::Lost { first, last } => self
                .screen
                .note(&format!("entries {first} to {last} of {title} can't be had any more")),
            _ => debug_assert!(!is_missing(record), "all that is missing is named"),
        }
    }

    /// The file of a message of somebody else.
    async fn fetch(&mut self, record: &Record) -> Option<Result<PathBuf, Problem>> {
        if self.args.no_files || record.own || !is_file(record) {
            return None;
        }
        let bar = self.screen.progress();
        let work = self
            .online
            .messenger
            .save_file(record, &self.downloads, bar.of(file_name(record), Way::In));
        Some(self.online.watch.during(work).await)
    }

    /// Moves the profile's mark to where it is known to belong.
    fn settle(&mut self) -> Result<(), Problem> {
        if self.marked < self.after {
            self.online.profile().save_shown(self.after)?;
            self.marked = self.after;
        }
        Ok(())
    }

    /// The time is over.
    fn over(&self) -> Result<(), Stop> {
        match self.args.count {
            Some(count) => Err(Stop::TimeOver(format!("{} of {count} messages came in time", self.count))),
            None => Ok(()),
        }
    }
}

/// The next signal; never one where none is wanted.
async fn next_of(typing: &mut Option<broadcast::Receiver<Typing>>) -> Typing {
    let Some(receiver) = typing else {
        return std::future::pending().await;
    };
    loop {
        match receiver.recv().await {
            Ok(typing) => return typing,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// A file's name as its sender has it.
fn file_name(record: &Record) -> &str {
    match &record.what {
        What::Message(content) => match &content.body {
            Body::File(file) => &file.name,
            _ => "",
        },
        _ => "",
    }
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Reads seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "write seconds, as in 10 or 2.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_nothing_else() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["", "-1", "NaN", "inf", "1s", "1e400"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
