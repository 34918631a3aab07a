//! `fastchat send … --lines`: many messages on their way at a time.
//!
//! ```text
//!  stdin ──thread──> lines ──queue_all()──> bounded channel ──sent()──> shown, in order
//! ```
//!
//! The first line that can't be sent ends it: no further line is read, and what
//! was queued before is still waited for and shown.

use super::send::{Receipts, Sender, TEXT_BYTES_MAX, message, too_long};
use crate::{
    online::Online,
    stop::{Stop, file},
    terminal::human,
};
use fastchat_client::{messenger::Messenger, problem::Problem};
use fastchat_e2e::{ConversationId, EntryId, content::Body};
use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages that are queued and not yet confirmed, beside the one that is waited for and those of one step.
const QUEUED_MAX: usize = 255;
/// Lines that were read and wait to be queued, and that are queued in one step.
const LINES_MAX: usize = 64;

/// Sends each line of stdin.
pub(crate) async fn run(sender: &mut Sender<'_, '_>) -> Result<(), Stop> {
    let Sender {
        online: Online { messenger, watch },
        conversation,
        receipts,
    } = sender;
    let (queue, queued) = mpsc::channel(QUEUED_MAX);
    let refused = CancellationToken::new();
    let work = async {
        tokio::join!(
            queue_lines(messenger, *conversation, queue, &refused),
            confirm(messenger, receipts, queued, &refused)
        )
    };
    let (fed, confirmed) = watch.during(work).await;
    // What was refused by the server came before what was refused here.
    let count = confirmed?;
    fed?;
    let to = human::brief(&receipts.title);
    receipts.screen.confirm(&format!("{count} sent to {to}"));
    Ok(())
}

/// Queues lines, until stdin ends or one is refused. What is there together is sealed together.
async fn queue_lines(
    messenger: &Messenger,
    conversation: ConversationId,
    queue: mpsc::Sender<EntryId>,
    refused: &CancellationToken,
) -> Result<(), Problem> {
    let mut lines = read_lines();
    let mut read = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = refused.cancelled() => return Ok(()),
            count = lines.recv_many(&mut read, LINES_MAX) => if count == 0 {
                return Ok(());
            },
        }
        let (texts, ended) = until_refused(read.drain(..));
        let bodies = texts.into_iter().map(Body::text).collect();
        let entries = messenger.queue_all(conversation, bodies).await?;
        for entry in entries {
            if queue.send(entry).await.is_err() {
                return Ok(());
            }
        }
        ended?;
    }
}

/// The lines before the first one that is refused.
fn until_refused(lines: impl Iterator<Item = Result<String, Problem>>) -> (Vec<String>, Result<(), Problem>) {
    let mut texts = Vec::new();
    for line in lines {
        match line {
            Ok(text) => texts.push(text),
            Err(problem) => return (texts, Err(problem)),
        }
    }
    (texts, Ok(()))
}

/// Waits for what was queued, in order, and shows it; gives how many stand in the log.
async fn confirm(
    messenger: &Messenger,
    receipts: &Receipts<'_>,
    mut queued: mpsc::Receiver<EntryId>,
    refused: &CancellationToken,
) -> Result<u64, Stop> {
    let (mut count, mut stop) = (0, None);
    let mut is_read = true;
    while let Some(entry) = queued.recv().await {
        let shown = match messenger.sent(entry).await {
            Ok(sent) => {
                count += 1;
                if is_read { receipts.message(messenger, sent).await } else { Ok(()) }
            }
            Err(problem) => Err(problem.into()),
        };
        match shown {
            Ok(()) => {}
            // The messages matter, not their receipts.
            Err(Stop::ReaderGone) => is_read = false,
            Err(first) => {
                refused.cancel();
                stop.get_or_insert(first);
            }
        }
    }
    stop.map_or(Ok(count), Err)
}

/// The lines of stdin that are not empty. Its thread ends with stdin, or after the next line once nobody takes them.
fn read_lines() -> mpsc::Receiver<Result<String, Problem>> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut stdin = io::stdin().lock();
        while let Some(line) = next_line(&mut stdin) {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// The next line that is not empty. Reads no more of a line than a text may have.
fn next_line(input: &mut impl BufRead) -> Option<Result<String, Problem>> {
    loop {
        let mut bytes = Vec::new();
        match input.by_ref().take(TEXT_BYTES_MAX as u64 + 2).read_until(b'\n', &mut bytes) {
            Ok(0) => return None,
            Ok(_) if !bytes.ends_with(b"\n") && bytes.len() > TEXT_BYTES_MAX => return Some(Err(too_long())),
            Ok(_) => {}
            Err(source) => return Some(Err(file("stdin".as_ref(), source))),
        }
        match message(bytes) {
            Ok(text) if text.is_empty() => {}
            line => return Some(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Result<String, Problem>> {
        std::iter::from_fn(|| next_line(&mut input)).take(10).collect()
    }

    #[test]
    fn each_line_is_a_message_and_empty_ones_are_none() {
        let lines: Vec<String> = lines(b"one\n\ntwo\r\n\r\n three ").into_iter().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two", " three "]);
    }

    #[test]
    fn a_line_as_long_as_a_text_is_one_and_a_longer_one_is_refused() {
        let longest = "x".repeat(TEXT_BYTES_MAX);
        let read = lines(format!("{longest}\r\n{longest}\n").as_bytes());
        assert!(read.iter().all(|line| line.as_ref().is_ok_and(|line| *line == longest)) && read.len() == 2);
        for long in [format!("{longest}x"), format!("{longest}x\n"), "x".repeat(TEXT_BYTES_MAX * 3)] {
            let first = lines(long.as_bytes()).swap_remove(0);
            assert_eq!(first.unwrap_err().code(), "too-large");
        }
    }

    #[test]
    fn what_comes_before_a_line_that_is_refused_is_sent() {
        let (texts, ended) = until_refused(lines(b"one\ntwo\n\xff\nthree\n").into_iter());
        assert!(texts == ["one", "two"] && matches!(ended, Err(Problem::Usage(_))));
        let (texts, ended) = until_refused(lines(b"one\n").into_iter());
        assert!(texts == ["one"] && ended.is_ok());
    }

    #[test]
    fn a_line_that_is_no_text_is_refused() {
        let read = lines(b"one\n\xff\n");
        assert!(read[0].is_ok() && matches!(read[1], Err(Problem::Usage(_))));
    }
}
