//! The load itself: a task for each member, the pacer, the end.

use super::{
    Conversation, Flow,
    opening::Opened,
    seat::{Seat, Shared},
    tracker::Tracker,
};
use crate::{
    mould::Mould,
    pace::{Pacer, Schedule},
    report::Report,
    stage::{Stage, Timing},
    trouble::Trouble,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// So long the last messages may take to arrive.
const SETTLE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Bytes of a block.
    pub(crate) size: usize,
    /// Messages of one sender in flight (closed loop) …
    pub(crate) window: u64,
    /// … or messages per second of all senders (open loop).
    pub(crate) rate: Option<f64>,
    /// Members of each conversation that send.
    pub(crate) senders: usize,
}

/// Runs the load on open conversations and reports.
///
/// # Errors
/// This machine refuses something.
pub(crate) async fn run(stage: &mut Stage, mode: &'static str, opened: Vec<Opened>, load: Load, timing: Timing) -> Result<Report, Trouble> {
    let shared = Rc::new(Shared {
        clock: stage.clock,
        pool: Rc::clone(&stage.entrance.pool),
        tally: Rc::clone(&stage.tally),
        window: load.rate.is_none().then_some(load.window),
        sending: Cell::new(true),
    });
    let run = rand::random();
    let mut conversations = Vec::with_capacity(opened.len());
    let mut tasks = JoinSet::new();
    for opened in opened {
        let members = opened.lines.len();
        let conversation = Rc::new(Conversation {
            log: opened.log,
            log_text: opened.log.to_string(),
            run,
            flows: (0..load.senders).map(|_| Flow::default()).collect(),
            trackers: (0..members)
                .map(|_| RefCell::new(Tracker::new(opened.last_seq, load.senders)))
                .collect(),
        });
        for (member, line) in opened.lines.into_iter().enumerate() {
            let mould = (member < load.senders).then(|| Mould::new(opened.log, load.size, rand::random()));
            let seat = Seat::new(Rc::clone(&shared), Rc::clone(&conversation), member, mould.transpose()?);
            let (tally, broken) = (Rc::clone(&shared.tally), stage.broken.clone());
            tasks.spawn_local(async move {
                if let Err(trouble) = seat.run(line).await {
                    tally.error(trouble.code());
                    broken.cancel();
                }
            });
        }
        conversations.push(conversation);
    }
    if let Some(rate) = load.rate {
        let pacer = Pacer::new(stage.clock)?;
        let schedule = Schedule::new(stage.clock.now_ns(), rate);
        let (conversations, broken) = (conversations.clone(), stage.broken.clone());
        tasks.spawn_local(async move {
            if pace(&pacer, schedule, &conversations).await.is_err() {
                broken.cancel();
            }
        });
    }

    let measured = stage.measure(timing).await;
    let mut report = Report::of_messages(mode, measured, &stage.tally);
    shared.sending.set(false);
    settle(&conversations, stage).await;
    drop(tasks);

    report.errors = stage.tally.errors();
    if let Some(messages) = &mut report.messages {
        for conversation in &conversations {
            messages.missing += conversation.missing();
            for tracker in &conversation.trackers {
                let tracker = tracker.borrow();
                messages.duplicates += tracker.duplicates;
                messages.out_of_order += tracker.out_of_order;
            }
        }
    }
    Ok(stage.with_processes(report))
}

/// Tells the senders in turn what is due.
async fn pace(pacer: &Pacer, schedule: Schedule, conversations: &[Rc<Conversation>]) -> Result<(), Trouble> {
    let flows = || conversations.iter().flat_map(|conversation| &conversation.flows);
    for (n, flow) in (0..).zip(flows().cycle()) {
        let due_ns = schedule.due_ns(n);
        pacer.until(due_ns).await?;
        flow.due.borrow_mut().push_back(due_ns);
        flow.wake.notify_one();
    }
    Ok(())
}

/// Waits until everything that was sent has arrived.
async fn settle(conversations: &[Rc<Conversation>], stage: &Stage) {
    let deadline = Instant::now() + SETTLE;
    while !conversations.iter().all(|conversation| conversation.is_settled()) {
        if Instant::now() > deadline || stage.broken.is_cancelled() {
            return;
        }
        sleep(LOOK).await;
    }
}
