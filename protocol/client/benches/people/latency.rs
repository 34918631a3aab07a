//! From `send` to the other server's client: both ends are the library, in this process.

use super::{
    Run,
    person::{Pair, Person, text, wait_for_text},
};
use fastchat_e2e::content::Body;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const PART: &str = "one text, the library to the library on another server";
const MESSAGES: usize = 600;
const WARM_UP: usize = 20;
/// Between two messages: no rhythm that something else has, too.
const PAUSE_MS: std::ops::Range<u64> = 20..60;

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let people = (Person::registered(run, "alice1").await?, Person::registered(run, "bob1").await?);
    let pair = Pair::meet(&people.0, &people.1).await?;
    let (mut acknowledged, mut arrived) = (Vec::new(), Vec::new());
    let mut after = 0;
    for n in 0..run.count(MESSAGES) + WARM_UP {
        sleep(Duration::from_millis(rand::random_range(PAUSE_MS))).await;
        let text = text();
        let begun = Instant::now();
        let sent = async {
            pair.alice.send(pair.conversation, Body::text(text.clone())).await?;
            anyhow::Ok(begun.elapsed())
        };
        let received = async {
            wait_for_text(&pair.bob, &mut after, &text).await?;
            anyhow::Ok(begun.elapsed())
        };
        let (sent, received) = tokio::try_join!(sent, received)?;
        if n >= WARM_UP {
            acknowledged.push(sent);
            arrived.push(received);
        }
    }
    run.figures
        .add_percentiles(PART, "send() to the server's acknowledgement", &acknowledged);
    run.figures
        .add_percentiles(PART, "send() to the record with the receiver", &arrived);
    pair.part().await;
    Ok(())
}
