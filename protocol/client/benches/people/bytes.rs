//! Bytes for each text: on the wire, in the fleet's store, in both profiles.

use super::{
    Run,
    person::{Pair, Person, text, wait_for_text},
    relay::{Count, Counts, Relays},
};
use fastchat_e2e::content::Body;
use rusqlite::{Connection, OpenFlags};
use std::{path::Path, time::Duration};

const PART: &str = "bytes for a text of 200 bytes";
const MESSAGES: usize = 1_000;

/// What a database holds.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Bytes of all pages.
    pages: f64,
    /// Bytes of the blocks, or of the sealed values.
    values: f64,
    /// How many of them.
    rows: f64,
}

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (to_alice, to_bob) = (Relays::before(run.fleet)?, Relays::before(run.fleet)?);
    let alice = Person::new(run, "alice7", to_alice.balancer())?;
    let bob = Person::new(run, "bob7", to_bob.balancer())?;
    alice.register().await?;
    bob.register().await?;
    let pair = Pair::meet(&alice, &bob).await?;
    let fleet = run.fleet.database();
    let stores = [alice.folder.join("store.db"), bob.folder.join("store.db")];
    let sizes = || -> anyhow::Result<[Size; 3]> {
        Ok([
            size(&fleet, "SELECT count(*), sum(length(block)) FROM entries")?,
            size(&stores[0], "SELECT count(*), sum(length(value)) FROM sealed")?,
            size(&stores[1], "SELECT count(*), sum(length(value)) FROM sealed")?,
        ])
    };

    let (counts, before) = ([to_alice.counts(), to_bob.counts()], sizes()?);
    let count = run.count(MESSAGES);
    let mut after = 0;
    for _ in 0..count {
        let text = text();
        pair.alice.send(pair.conversation, Body::text(text.clone())).await?;
        wait_for_text(&pair.bob, &mut after, &text).await?;
    }
    // What is still to be said about them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (who, before, after) in [("sender", &counts[0], to_alice.counts()), ("receiver", &counts[1], to_bob.counts())] {
        add_frames(run, who, before, &after, count);
    }
    let each = |before: f64, after: f64| (after - before) / number(count);
    for ((what, values), (before, after)) in [
        ("fleet's store", "the sealed block"),
        ("sender's profile", "sealed values"),
        ("receiver's profile", "sealed values"),
    ]
    .into_iter()
    .zip(before.into_iter().zip(sizes()?))
    {
        run.figures
            .add(PART, format!("{what}: {values}"), each(before.values, after.values), "B");
        run.figures
            .add(PART, format!("{what}: rows of that"), each(before.rows, after.rows), "");
        run.figures.add(
            PART,
            format!("{what}: the file grew, with indexes"),
            each(before.pages, after.pages),
            "B",
        );
    }
    pair.part().await;
    Ok(())
}

/// Only what comes once for each message.
fn add_frames(run: &mut Run<'_>, who: &str, before: &Counts, after: &Counts, messages: usize) {
    let mut rest = Count::default();
    for (what, count) in after {
        let earlier = before.get(what).copied().unwrap_or_default();
        let (frames, bytes) = (count.frames - earlier.frames, count.bytes - earlier.bytes);
        if frames * 2 >= messages as u64 {
            #[expect(clippy::cast_precision_loss, reason = "a few million")]
            run.figures
                .add(PART, format!("{who}, {what}"), bytes as f64 / number(messages), "B");
        } else {
            rest.frames += frames;
            rest.bytes += bytes;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    run.figures
        .add(PART, format!("{who}, all other frames"), rest.bytes as f64 / number(messages), "B");
}

fn size(path: &Path, select: &str) -> anyhow::Result<Size> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let pages: f64 = database.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        (),
        |row| row.get(0),
    )?;
    let (rows, values) = database.query_row(select, (), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (rows, values) = (rows as f64, values.unwrap_or_default() as f64);
    Ok(Size { pages, values, rows })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn number(count: usize) -> f64 {
    count as f64
}
