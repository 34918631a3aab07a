//! Memory of `fastchat listen`: idle, and after many messages.

use super::{
    Run,
    person::{Person, text},
    process::Running,
};
use fastchat_e2e::content::Body;
use std::time::Duration;

const PART: &str = "memory of `fastchat listen` with one conversation";
const MESSAGES: usize = 10_000;
const BATCH: usize = 500;
/// Until it is idle.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (alice, bob) = (Person::registered(run, "alice5").await?, Person::registered(run, "bob5").await?);
    let (messenger, _) = alice.online().await?;
    let conversation = messenger.conversation(&bob.recipient()?).await?;
    messenger.send(conversation, Body::text(text())).await?;
    let listen = Running::start(bob.fastchat(&["listen"])?, String::new())?;
    listen.wait_for_lines(1)?;
    add(run, &listen, "idle").await?;

    let count = run.count(MESSAGES);
    for _ in 0..count.div_ceil(BATCH) {
        let bodies = (0..BATCH.min(count)).map(|_| Body::text(text())).collect();
        let queued = messenger.queue_all(conversation, bodies).await?;
        listen.wait_for_lines(queued.len())?;
    }
    add(run, &listen, "after 10,000 texts").await?;
    messenger.close().await;
    Ok(())
}

async fn add(run: &mut Run<'_>, listen: &Running, when: &str) -> anyhow::Result<()> {
    tokio::time::sleep(IDLE).await;
    let (now, most) = listen.memory()?;
    run.figures.add(PART, format!("{when}: resident"), now, "MiB");
    run.figures.add(PART, format!("{when}: at most so far"), most, "MiB");
    Ok(())
}
