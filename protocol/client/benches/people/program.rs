//! From `fastchat send` to a line of `fastchat listen`: two processes, the sending one started for each message.

use super::{
    Run,
    person::{Person, text},
    process::{Running, childrens_cpu},
};
use anyhow::ensure;
use std::time::Duration;

const PART: &str = "one text, `fastchat send` to `fastchat listen` on another server";
const MESSAGES: usize = 500;
const WARM_UP: usize = 5;
const ACCEPTED: &str = "fastchat_server_connections_accepted_total";

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (alice, bob) = (Person::registered(run, "alice2").await?, Person::registered(run, "bob2").await?);
    let to = format!("@{}", bob.name);
    let listen = Running::start(bob.fastchat(&["listen"])?, String::new())?;
    let of_bob = run.fleet.only_one_in_use()?;
    let accepted = run.fleet.metric(ACCEPTED)?[&of_bob];
    let (mut said, mut shown, mut between, mut ended) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let cpu = childrens_cpu()?;
    let count = run.count(MESSAGES) + WARM_UP;
    for n in 0..count {
        std::thread::sleep(Duration::from_millis(rand::random_range(10..30)));
        let text = text();
        let send = Running::start(alice.fastchat(&["send", &to, &text])?, String::new())?;
        let begun = send.begun;
        let at_bob = listen.wait_for_text(&text)?;
        let at_alice = send.wait_for_text(&text)?;
        let end = send.finish()?;
        if n >= WARM_UP {
            said.push(at_alice - begun);
            shown.push(at_bob - begun);
            between.push(at_bob.saturating_duration_since(at_alice));
            ended.push(end - begun);
        }
    }
    let cpu = (childrens_cpu()? - cpu) / u32::try_from(count)?;
    let same = run.fleet.metric(ACCEPTED)?[&of_bob] - accepted;
    ensure!(
        usize::try_from(same)? * 20 < count,
        "{same} of {count} came to the receiver's own server"
    );
    run.figures
        .add_percentiles(PART, "start of `send` to its line: stands in the log", &said);
    run.figures.add_percentiles(PART, "start of `send` to the line of `listen`", &shown);
    run.figures.add_percentiles(PART, "start of `send` to its end", &ended);
    run.figures.add_ms(PART, "CPU time of `send`", cpu);
    Ok(())
}
