//! A new device brings a long history back: how fast, and what it takes.

use super::{
    Run,
    person::{Person, text},
    process::Running,
};
use anyhow::{Context, ensure};
use fastchat_e2e::content::Body;
use std::time::Duration;

const PART: &str = "restore of 100,000 texts of 200 bytes, `fastchat login` on a new device";
const MESSAGES: usize = 100_000;
const BATCH: usize = 500;
/// Until the rest of the archive is on its way.
const ARCHIVED: Duration = Duration::from_secs(5);

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (alice, bob) = (Person::registered(run, "alice9").await?, Person::registered(run, "bob9").await?);
    let (messenger, _) = alice.online().await?;
    let conversation = messenger.conversation(&bob.recipient()?).await?;
    let mut left = run.count(MESSAGES);
    let count = left;
    while left > 0 {
        let bodies = (0..BATCH.min(left)).map(|_| Body::text(text())).collect();
        let queued = messenger.queue_all(conversation, bodies).await?;
        left -= queued.len();
        messenger.sent(*queued.last().context("something was queued")?).await?;
    }
    tokio::time::sleep(ARCHIVED).await;
    messenger.close().await;

    let mut command = alice.fastchat_on("alice9-phone", &["login", &alice.name])?;
    command.env("FASTCHAT_PASSWORD", alice.password().expose());
    let login = Running::start(command, String::new())?;
    let begun = login.begun;
    let (line, ended, most) = login.last_line_and_memory()?;
    let restored = line["restore"]["restored"].as_u64().unwrap_or(0);
    ensure!(restored == count as u64 && line["restore"]["complete"] == true, "not whole: {line}");
    let took = ended - begun;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let messages = count as f64;
    run.figures
        .add_ms(PART, "from its start to its end, Argon2id and receipt included", took);
    run.figures.add(PART, "messages a second", messages / took.as_secs_f64(), "/s");
    run.figures.add(PART, "memory at most", most, "MiB");
    Ok(())
}
