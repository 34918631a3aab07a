//! As many sealed messages as one client can send, and another one show.

use super::{
    Run,
    person::{Person, text},
    process::{Running, childrens_cpu, own_cpu},
};
use fastchat_e2e::content::Body;
use std::time::{Duration, Instant};

const MESSAGES: usize = 2_000;
/// Messages of one `queue_all`.
const BATCH: usize = 100;

/// The library sends, `fastchat listen` shows.
pub(crate) async fn library(run: &mut Run<'_>) -> anyhow::Result<()> {
    const PART: &str = "2,000 texts, the library to `fastchat listen`";
    let (alice, bob) = (Person::registered(run, "alice3").await?, Person::registered(run, "bob3").await?);
    let listen = Running::start(bob.fastchat(&["listen"])?, String::new())?;
    let messenger = alice.online_apart(&run.fleet.only_one_in_use()?).await?;
    let conversation = messenger.conversation(&bob.recipient()?).await?;
    messenger.send(conversation, Body::text(text())).await?;
    listen.wait_for_lines(1)?;

    let count = run.count(MESSAGES);
    let bodies: Vec<Body> = (0..count).map(|_| Body::text(text())).collect();
    let (cpu, of_listen) = (own_cpu()?, listen.cpu()?);
    let begun = Instant::now();
    let mut queued = Vec::new();
    for batch in bodies.chunks(BATCH) {
        queued.extend(messenger.queue_all(conversation, batch.to_vec()).await?);
    }
    let sealed = begun.elapsed();
    for entry in queued {
        messenger.sent(entry).await?;
    }
    let (sent, cpu) = (begun.elapsed(), own_cpu()? - cpu);
    let shown = listen.wait_for_lines(count)? - begun;
    let of_listen = listen.cpu()? - of_listen;

    run.figures.add(PART, "sealed and kept on the disk", rate(count, sealed), "/s");
    run.figures.add(PART, "until the last one is acknowledged", rate(count, sent), "/s");
    run.figures.add(PART, "until the last one is shown", rate(count, shown), "/s");
    run.figures.add(PART, "CPU time of the sender, for each", each(cpu, count), "µs");
    run.figures
        .add(PART, "CPU time of `listen`, for each", each(of_listen, count), "µs");
    messenger.close().await;
    Ok(())
}

/// `fastchat send --lines` sends, `fastchat listen` shows.
pub(crate) async fn lines(run: &mut Run<'_>) -> anyhow::Result<()> {
    const PART: &str = "2,000 lines, `fastchat send --lines` to `fastchat listen`";
    let (alice, bob) = (Person::registered(run, "alice4").await?, Person::registered(run, "bob4").await?);
    let to = format!("@{}", bob.name);
    let listen = Running::start(bob.fastchat(&["listen"])?, String::new())?;
    Running::start(alice.fastchat(&["send", &to, "hello"])?, String::new())?.finish()?;
    listen.wait_for_lines(1)?;

    let count = run.count(MESSAGES);
    let input: String = (0..count).map(|_| text() + "\n").collect();
    let (cpu, of_listen) = (childrens_cpu()?, listen.cpu()?);
    let send = Running::start(alice.fastchat(&["send", &to, "--lines"])?, input)?;
    let begun = send.begun;
    let sent = send.wait_for_lines(count)? - begun;
    send.finish()?;
    let cpu = childrens_cpu()? - cpu;
    let shown = listen.wait_for_lines(count)? - begun;
    let of_listen = listen.cpu()? - of_listen;

    run.figures
        .add(PART, "until the last one is acknowledged, with the start", rate(count, sent), "/s");
    run.figures
        .add(PART, "until the last one is shown, with the start", rate(count, shown), "/s");
    run.figures.add(PART, "CPU time of `send`, for each", each(cpu, count), "µs");
    run.figures
        .add(PART, "CPU time of `listen`, for each", each(of_listen, count), "µs");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
