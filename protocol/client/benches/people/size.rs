//! Groups at size: what a group of a thousand takes that a group of a hundred does not.

use super::{
    Run,
    figures::percentile,
    guests,
    person::{Person, text, wait_for_text},
    process::own_cpu,
};
use anyhow::{Context, ensure};
use fastchat_client::{
    messenger::Messenger,
    profile::Profile,
    record::{Record, What, Whom},
};
use fastchat_e2e::{ConversationId, Username, content::Body};
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

const SMALL: &str = "a group of 100 members, every other one with 2 devices";
const LARGE: &str = "a group of 1,000 members, every other one with 2 devices";
/// Members, those included who found it, join it, and are added to it later.
const MEMBERS: [(&str, usize); 2] = [(SMALL, 100), (LARGE, 1_000)];
/// Alice, who founds, and Bob, who joins.
const WHO_LOOK: usize = 2;
const TEXTS: usize = 100;
/// One added and removed so often.
const CHANGES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(120);

/// Two who look, and those who may be added.
struct Cast {
    alice: Person,
    bob: Person,
    names: Vec<Username>,
    /// The servers' processes.
    servers: Vec<u32>,
}

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let most = MEMBERS.iter().map(|(_, members)| run.count(*members)).max().unwrap_or_default();
    let mut cast = Cast {
        alice: Person::registered(run, "alice10").await?,
        bob: Person::registered(run, "bob10").await?,
        // One more, to be added and removed.
        names: guests::register(run.fleet, most - WHO_LOOK + 1, |n| n % 2 == 0).await?,
        servers: run.fleet.servers().iter().map(|server| server.pid).collect(),
    };
    for (part, members) in MEMBERS {
        let members = run.count(members);
        group(run, part, &mut cast, members - WHO_LOOK).await?;
    }
    Ok(())
}

async fn group(run: &mut Run<'_>, part: &'static str, cast: &mut Cast, guests: usize) -> anyhow::Result<()> {
    let bob_name: Username = cast.bob.name.parse()?;
    let mut names = cast.names[..guests].to_vec();
    names.push(bob_name);
    let extra = cast.names.last().context("there are some")?.clone();
    let (alice, _) = cast.alice.online().await?;

    let begun = Instant::now();
    alice.acquaint_all(&names, |_| ()).await?;
    run.figures.add_ms(part, "founder: names looked up", begun.elapsed());
    let (begun, cpu) = (Instant::now(), own_cpu()?);
    let chat = alice.create_group("big", &names).await?;
    run.figures
        .add_ms(part, "founder: key packages claimed, founded, acknowledged", begun.elapsed());
    run.figures.add_ms(part, "founder: CPU time of that", own_cpu()? - cpu);
    sizes(run, part, "founding", chat)?;

    let (begun, cpu) = (Instant::now(), own_cpu()?);
    let (bob, _) = cast.bob.online().await?;
    until_in(&bob, chat).await?;
    run.figures
        .add_ms(part, "joining by the Welcome, from the start of the client on", begun.elapsed());
    run.figures
        .add_ms(part, "joining by the Welcome: CPU time of both clients", own_cpu()? - cpu);

    let mut after = 0;
    texts(run, part, &alice, &bob, chat, &mut after).await?;
    written(run, part, cast, &alice, &bob, chat, &mut after).await?;
    changes(run, part, cast, &alice, &bob, chat, &extra, &mut after).await?;

    let phone = format!("bob10-{guests}");
    cast.bob.login(&phone).await?;
    let begun = Instant::now();
    let profile = Profile::open(&cast.bob.folder.with_file_name(&phone))?;
    let messenger = cast.bob.online_as(profile)?;
    messenger.caught_up(PATIENCE).await?;
    until_in(&messenger, chat).await?;
    run.figures.add_ms(
        part,
        "coming in by itself (external commit), from the start of the client on",
        begun.elapsed(),
    );
    sizes(run, part, "coming in by itself", chat)?;
    for messenger in [messenger, alice, bob] {
        messenger.close().await;
    }
    Ok(())
}

/// Waits until a device is in.
async fn until_in(messenger: &Messenger, chat: ConversationId) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while messenger.members(chat).await.is_err() {
        ensure!(Instant::now() < deadline, "the device does not come in");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn texts(
    run: &mut Run<'_>,
    part: &'static str,
    alice: &Messenger,
    bob: &Messenger,
    chat: ConversationId,
    after: &mut u64,
) -> anyhow::Result<()> {
    let (mut sent, mut shown) = (Vec::new(), Vec::new());
    let cpu = own_cpu()?;
    let count = run.count(TEXTS);
    for _ in 0..count {
        let (text, begun) = (text(), Instant::now());
        alice.send(chat, Body::text(text.clone())).await?;
        sent.push(begun.elapsed());
        wait_for_text(bob, after, &text).await?;
        shown.push(begun.elapsed());
    }
    run.figures
        .add_ms(part, "a text: send() to the server's acknowledgement, p50", percentile(&sent, 0.5));
    run.figures
        .add_ms(part, "a text: send() to the record with the receiver, p50", percentile(&shown, 0.5));
    let each = (own_cpu()? - cpu) / u32::try_from(count)?;
    run.figures.add_ms(part, "a text: CPU time of both clients", each);
    Ok(())
}

/// What one text writes into the profiles.
async fn written(
    run: &mut Run<'_>,
    part: &'static str,
    cast: &Cast,
    alice: &Messenger,
    bob: &Messenger,
    chat: ConversationId,
    after: &mut u64,
) -> anyhow::Result<()> {
    let stores = [&cast.alice, &cast.bob].map(|person| person.folder.join("store.db"));
    let before = [rows(&stores[0])?, rows(&stores[1])?];
    let text = text();
    alice.send(chat, Body::text(text.clone())).await?;
    wait_for_text(bob, after, &text).await?;
    for ((who, store), before) in ["sender", "receiver"].into_iter().zip(&stores).zip(before) {
        let written = rows(store)?.into_iter().filter(|(key, value)| before.get(key) != Some(value));
        let bytes: usize = written.map(|(_, value)| value.len()).sum();
        run.figures
            .add(part, format!("a text: sealed values written, {who}"), number(bytes), "B");
    }
    Ok(())
}

/// One member added and removed, several times.
#[expect(clippy::too_many_arguments, reason = "who, where, whom")]
async fn changes(
    run: &mut Run<'_>,
    part: &'static str,
    cast: &Cast,
    alice: &Messenger,
    bob: &Messenger,
    chat: ConversationId,
    extra: &Username,
    after: &mut u64,
) -> anyhow::Result<()> {
    let whom = std::slice::from_ref(extra);
    alice.acquaint_all(whom, |_| ()).await?;
    let (mut added, mut removed, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    let (clients, servers) = (own_cpu()?, cast.servers_cpu()?);
    for _ in 0..CHANGES {
        let begun = Instant::now();
        alice.add(chat, whom).await?;
        added.push(begun.elapsed());
        wait_for_event(bob, after, |what| matches!(what, What::Added(_))).await?;
        seen.push(begun.elapsed());
        if seen.len() == CHANGES {
            sizes(run, part, "adding one", chat)?;
        }
        let begun = Instant::now();
        alice.remove(chat, &[Whom::from(extra.clone())]).await?;
        removed.push(begun.elapsed());
        wait_for_event(bob, after, |what| matches!(what, What::Removed(_))).await?;
    }
    let commits = u32::try_from(2 * CHANGES)?;
    run.figures
        .add_ms(part, "adding one: until it is acknowledged, p50", percentile(&added, 0.5));
    run.figures
        .add_ms(part, "adding one: until another member has it, p50", percentile(&seen, 0.5));
    run.figures
        .add_ms(part, "removing one: until it is acknowledged, p50", percentile(&removed, 0.5));
    run.figures
        .add_ms(part, "a commit: CPU time of both clients", (own_cpu()? - clients) / commits);
    run.figures
        .add_ms(part, "a commit: CPU time of all servers", (cast.servers_cpu()? - servers) / commits);
    Ok(())
}

async fn wait_for_event(messenger: &Messenger, after: &mut u64, is: impl Fn(&What) -> bool) -> anyhow::Result<Record> {
    loop {
        let record = tokio::time::timeout(PATIENCE, messenger.next(*after)).await??;
        ensure!(record.alarms.is_empty(), "an alarm: {:?}", record.alarms);
        *after = record.arrival;
        if is(&record.what) {
            return Ok(record);
        }
    }
}

/// The bytes of a conversation's last commit, as the fleet keeps it.
fn sizes(run: &mut Run<'_>, part: &'static str, what: &str, chat: ConversationId) -> anyhow::Result<()> {
    let database = Connection::open_with_flags(run.fleet.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let commit: (i64, i64) = database.query_row(
        "SELECT seq, length(block) FROM entries WHERE log_id = ?1 AND kind = 'commit' ORDER BY seq DESC LIMIT 1",
        [chat.as_bytes()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let welcome: Option<i64> = database.query_row(
        "SELECT max(length(block)) FROM entries WHERE log_id = ?1 AND kind = 'welcome' AND seq = ?2 + 1",
        (chat.as_bytes(), commit.0),
        |row| row.get(0),
    )?;
    let info: i64 = database.query_row(
        "SELECT length(group_info) FROM group_infos WHERE log_id = ?1",
        [chat.as_bytes()],
        |row| row.get(0),
    )?;
    for (name, bytes) in [("commit", Some(commit.1)), ("Welcome", welcome), ("GroupInfo", Some(info))] {
        if let Some(bytes) = bytes {
            run.figures
                .add(part, format!("{what}: {name}"), number(usize::try_from(bytes)?) / 1e3, "kB");
        }
    }
    Ok(())
}

/// By table and key.
type Rows = HashMap<(String, Vec<u8>), Vec<u8>>;

/// Every row of a profile, as it lies on the disk: what is written again is sealed anew.
fn rows(store: &Path) -> anyhow::Result<Rows> {
    let database = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let mut select = database.prepare("SELECT tab, key, value FROM sealed")?;
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Cast {
    fn servers_cpu(&self) -> anyhow::Result<Duration> {
        self.servers.iter().map(|pid| super::process::cpu(*pid)).sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}
