//! `herd`: many clients that come back when their server dies, and go where they are asked to.

use crate::{
    args::{self, Common},
    book::Account,
    enter::Entrance,
    line::{Arrived, Line},
    report::{Herd, Quantiles, Report},
    stage::{Stage, Timing},
    tally::{Tally, add},
    trouble::Trouble,
};
use fastchat_wire::{
    Block,
    chat::{move_to::Move, ping::Ping},
};
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// Connections that sign in at once before it is measured.
const AT_ONCE: usize = 16;
/// A connection that is silent for 60 s is closed by the server.
const PING: Duration = Duration::from_secs(25);
/// Whoever is lost asks the balancer at a random moment within this time, as clients do.
const SCATTER: Duration = Duration::from_secs(1);
/// Where nobody says when to try again.
const RETRY: Duration = Duration::from_millis(200);

/// Holds many clients, and tells how they come back
///
/// Kill a server, drain or rebalance the fleet while it runs. A client whose connection is lost comes back as clients
/// do: within a second assign, the wait that it imposes, hello, resume; one that is asked to move opens its new connection first. Told
/// are how long each took (from the loss, or from the request to move), the most that came back in a second, and every
/// refusal.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load herd --clients 5000 --seconds 60 --accounts ~/load --json
  fastchat-load herd --clients 200 --seconds 20 --progress"))]
pub(crate) struct Args {
    /// Clients, each with an account of its own
    #[arg(long, value_name = "N", default_value = "1000", value_parser = args::count)]
    clients: usize,
    #[command(flatten)]
    timing: Timing,
}

/// What the clients share.
struct Field {
    entrance: Rc<Entrance>,
    tally: Rc<Tally>,
    began: Instant,
    herd: RefCell<Herd>,
    away: Cell<u64>,
    /// When the first of those who are away now was lost.
    since: Cell<Option<Instant>>,
    returns: RefCell<BTreeMap<u64, u64>>,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    let mut stage = Stage::set(common, args.clients * 2).await?;
    let entrance = Rc::clone(&stage.entrance);
    entrance.balancer()?;
    let accounts = stage.accounts(args.clients).await?;
    let opening = stream::iter(accounts.iter_mut().enumerate())
        .map(|(seat, account)| {
            let entrance = Rc::clone(&entrance);
            async move {
                let line = entrance.patiently(async || entrance.sign_in(seat, account, None).await).await?;
                Ok::<_, Trouble>((seat, account.clone(), line))
            }
        })
        .buffer_unordered(AT_ONCE);
    let clients: Vec<(usize, Account, Line)> = opening.try_collect().await?;
    let field = Rc::new(Field {
        entrance,
        tally: Rc::clone(&stage.tally),
        began: Instant::now(),
        herd: RefCell::default(),
        away: Cell::new(0),
        since: Cell::new(None),
        returns: RefCell::default(),
    });
    let mut held = JoinSet::new();
    for (seat, account, line) in clients {
        held.spawn_local(live(Rc::clone(&field), seat, account, line));
    }
    let measured = stage.measure(args.timing).await;
    let mut herd = field.herd.borrow().clone();
    herd.away_at_end = field.away.get();
    herd.peak_per_s = field.returns.borrow().values().max().copied().unwrap_or(0);
    drop(held);
    // Tokens were replaced as clients came back: a later run logs in once with what the book has.
    stage.book.save()?;
    let mut report = Report::of("herd", measured, &stage.tally);
    report.connections = Some(args.clients);
    herd.return_us = Quantiles::of(&stage.tally.operation);
    herd.handoff_us = Quantiles::of(&stage.tally.to_deliver);
    report.herd = Some(herd);
    Ok(stage.with_processes(report))
}

/// One client, for as long as it is measured.
async fn live(field: Rc<Field>, seat: usize, mut account: Account, mut line: Line) {
    loop {
        match held(&field, &mut line).await {
            Some(moved) => {
                let asked = Instant::now();
                sleep(Duration::from_millis(moved.after_ms)).await;
                // Make before break: the old connection ends when the new one is signed in.
                line = field.back(seat, &mut account, Some(&moved)).await;
                field.herd.borrow_mut().moved += 1;
                field.tally.to_deliver.record_ns(ns(asked.elapsed()));
            }
            None => {
                let lost = field.lost();
                sleep(SCATTER.mul_f64(rand::random())).await;
                line = field.back(seat, &mut account, None).await;
                field.returned(lost);
            }
        }
    }
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Holds a connection until the server asks to move, or it is lost.
async fn held(field: &Field, line: &mut Line) -> Option<Move> {
    loop {
        let mut moved = None;
        let take = |arrived: &Arrived<'_>| {
            if arrived.glance.event == Some(b"move") {
                moved = serde_json::from_slice(arrived.header).ok();
            }
        };
        tokio::select! {
            turned = line.turn(&field.entrance.pool, take) => turned.ok()?,
            () = sleep(PING) => {
                line.queue(&Ping {}, &Block::none()).ok()?;
            }
        }
        if moved.is_some() {
            return moved;
        }
    }
}

impl Field {
    /// Tries until it is signed in again; refusals are counted, a server that is not there any more is not.
    async fn back(&self, seat: usize, account: &mut Account, moved: Option<&Move>) -> Line {
        loop {
            let trouble = match self.entrance.sign_in(seat, account, moved.map(|moved| moved.id)).await {
                Ok(line) => return line,
                Err(trouble) => trouble,
            };
            self.herd.borrow_mut().tries_again += 1;
            let pause = match &trouble {
                Trouble::Refused(error) => {
                    self.tally.error(trouble.code());
                    error.retry_after_ms.map_or(RETRY, Duration::from_millis)
                }
                _ => RETRY,
            };
            sleep(pause).await;
        }
    }

    fn lost(&self) -> Instant {
        let now = Instant::now();
        self.away.set(self.away.get() + 1);
        if self.since.get().is_none() {
            self.since.set(Some(now));
        }
        let mut herd = self.herd.borrow_mut();
        herd.lost += 1;
        herd.away_most = herd.away_most.max(self.away.get());
        now
    }

    fn returned(&self, lost: Instant) {
        self.tally.operation.record_ns(ns(lost.elapsed()));
        add(&self.tally.operations, 1);
        *self.returns.borrow_mut().entry(self.began.elapsed().as_secs()).or_insert(0) += 1;
        self.away.set(self.away.get().saturating_sub(1));
        if self.away.get() == 0
            && let Some(since) = self.since.take()
        {
            let mut herd = self.herd.borrow_mut();
            herd.all_back_s = herd.all_back_s.max(since.elapsed().as_secs_f64());
        }
    }
}
