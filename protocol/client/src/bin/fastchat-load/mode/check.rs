//! `check`: proves that a fleet loses nothing, doubles nothing and keeps the order.

use crate::{
    args::{self, Common},
    check::{
        evidence::{Evidence, Record},
        killer,
        member::{Conversation, Desk, Member, Shared},
        readback,
        verdict::{Verdict, judge},
    },
    pace::{Pacer, Schedule},
    report::{Checked, Measured, Messages, Quantiles, Report},
    stage::{Stage, Timing},
    talk::opening::open,
    tally::Tally,
    trouble::Trouble,
};
use fastchat_wire::chat::create::ConversationKind;
use std::{
    cell::{Cell, RefCell},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How often it is looked whether all have everything.
const LOOK: Duration = Duration::from_millis(10);

/// Proves that what was acknowledged was delivered, exactly once and in order, to every member
///
/// Groups of new accounts' members all send, and record every send, every acknowledgement and every entry that
/// reaches them. A member that loses its connection goes to the balancer, resumes, fetches from its cursor, and sends
/// whatever has an unknown outcome again under the same entry id. At the end every log is read whole and compared with
/// all of it. Kill what you like meanwhile, or let --kill-every do it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load check --seconds 60
  fastchat-load check --seconds 60 --kill-every 5 --admin-url http://127.0.0.1:7100 --token-file admin.token
  fastchat-load check --record run.json
  fastchat-load check --replay run.json                  judge it again"))]
pub(crate) struct Args {
    /// How many groups
    #[arg(long, value_name = "N", default_value = "10", value_parser = args::count)]
    conversations: usize,
    /// Members of each group
    #[arg(long, value_name = "N", default_value = "3", value_parser = args::count)]
    members: usize,
    /// Messages per second of all members
    #[arg(long, value_name = "MSG/S", default_value = "200", value_parser = args::rate)]
    rate: f64,
    /// Messages of a member that may wait for their answer
    #[arg(long, value_name = "W", default_value = "32", value_parser = args::count)]
    window: usize,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = args::size)]
    size: usize,
    /// How long to send, in seconds
    #[arg(long, visible_alias = "for", value_name = "SECONDS", default_value_t = 10.0, value_parser = args::seconds)]
    seconds: f64,
    /// How long the fleet may take to get over it and deliver the rest, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = args::seconds)]
    settle: f64,
    /// Kill a server (SIGKILL) every so many seconds; needs --admin-url, on this machine
    #[arg(long, value_name = "SECONDS", value_parser = args::seconds, requires = "admin_url")]
    kill_every: Option<f64>,
    /// Write all that was seen to a file, as JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Judge such a file, and do nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "kill_every"])]
    replay: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses, or does not come back.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    if let Some(file) = &args.replay {
        return replay(file);
    }
    let (members, connections) = (args.members, args.members * args.conversations);
    if members < 2 {
        return Err(Trouble::Usage("a group needs two members".to_owned()));
    }
    let mut stage = Stage::set(common, connections * 2).await?;
    let entrance = Rc::clone(&stage.entrance);
    let shared = Rc::new(Shared {
        clock: stage.clock,
        entrance: Rc::clone(&entrance),
        tally: Rc::clone(&stage.tally),
        broken: stage.broken.clone(),
        run: rand::random(),
        window: args.window as u64,
        sending: Cell::new(true),
        reconnects: Cell::default(),
        sent_again: Cell::default(),
    });
    let mut conversations = Vec::new();
    let mut tasks = JoinSet::new();
    for (group, accounts) in stage.accounts(connections).await?.chunks_exact_mut(members).enumerate() {
        let opened = open(&entrance, accounts, ConversationKind::Group, |member| group * members + member).await?;
        let conversation = Rc::new(Conversation {
            record: RefCell::new(Record::new(opened.log, members)),
            known: Cell::new(opened.last_seq),
            desks: (0..members).map(|_| Desk::default()).collect(),
        });
        for (me, (line, account)) in opened.lines.into_iter().zip(accounts.iter()).enumerate() {
            let (shared, its) = (Rc::clone(&shared), Rc::clone(&conversation));
            let member = Member::new(shared, its, me, group * members + me, account.clone(), args.size)?;
            tasks.spawn_local(member.live(Some(line)));
        }
        conversations.push(conversation);
    }
    stage.book.save()?;
    start_pacer(&stage, args, &conversations, &mut tasks)?;
    let kills = Rc::new(Cell::new(0));
    if let (Some(every), Some(fleet)) = (args.kill_every, stage.fleet.clone()) {
        let (kills, tally) = (Rc::clone(&kills), Rc::clone(&stage.tally));
        tasks.spawn_local(async move {
            let Err(trouble) = killer::run(&fleet, Duration::from_secs_f64(every), kills).await;
            tally.error(trouble.code());
        });
    }

    let timing = Timing {
        seconds: args.seconds,
        warmup: 0.0,
    };
    stage.follow_processes();
    let measured = stage.measure(timing).await;
    let mut report = stage.with_processes(Report::of_messages("check", measured, &stage.tally));
    shared.sending.set(false);
    settle(&conversations, &stage, Duration::from_secs_f64(args.settle)).await;
    drop(tasks);

    let evidence = gather(&mut stage, &conversations, members, shared.run).await?;
    if let Some(file) = &args.record {
        let text = serde_json::to_vec(&evidence).map_err(|error| Trouble::Failed(error.to_string()))?;
        fs::write(file, text).map_err(|error| Trouble::file(file, &error))?;
    }
    report.errors = stage.tally.errors();
    report.check = Some(Checked {
        reconnects: shared.reconnects.get(),
        away_us: Quantiles::of(&stage.tally.operation),
        sent_again: shared.sent_again.get(),
        kills: kills.get(),
        ..Checked::default()
    });
    Ok(with_verdict(report, &judge(&evidence)))
}

fn start_pacer(stage: &Stage, args: &Args, conversations: &[Rc<Conversation>], tasks: &mut JoinSet<()>) -> Result<(), Trouble> {
    let pacer = Pacer::new(stage.clock)?;
    let schedule = Schedule::new(stage.clock.now_ns(), args.rate);
    let (conversations, broken) = (conversations.to_vec(), stage.broken.clone());
    tasks.spawn_local(async move {
        let desks = || conversations.iter().flat_map(|conversation| &conversation.desks);
        for (n, desk) in (0..).zip(desks().cycle()) {
            let due_ns = schedule.due_ns(n);
            if pacer.until(due_ns).await.is_err() {
                return broken.cancel();
            }
            desk.due.borrow_mut().push_back(due_ns);
            desk.wake.notify_one();
        }
    });
    Ok(())
}

/// Waits until every member has every answer and every entry.
async fn settle(conversations: &[Rc<Conversation>], stage: &Stage, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !conversations.iter().all(|conversation| conversation.is_settled()) {
        if Instant::now() > deadline || stage.broken.is_cancelled() {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Reads all logs as they stand now.
async fn gather(stage: &mut Stage, conversations: &[Rc<Conversation>], members: usize, run: u32) -> Result<Evidence, Trouble> {
    let entrance = Rc::clone(&stage.entrance);
    let accounts = stage.accounts(conversations.len() * members).await?;
    let mut evidence = Evidence::default();
    for (group, conversation) in conversations.iter().enumerate() {
        let mut record = conversation.record.borrow().clone();
        let seat = group * members;
        record.entries = readback::read(&entrance, seat, &mut accounts[seat], record.log, run).await?;
        evidence.conversations.push(record);
    }
    stage.book.save()?;
    Ok(evidence)
}

fn replay(file: &Path) -> Result<Report, Trouble> {
    let text = fs::read(file).map_err(|error| Trouble::file(file, &error))?;
    let evidence: Evidence = serde_json::from_slice(&text)
        .map_err(|error| Trouble::Usage(format!("{} is no record of `check --record`: {error}", file.display())))?;
    let measured = Measured {
        time: Duration::ZERO,
        interrupted: false,
    };
    let mut report = Report::of_messages("check", measured, &Tally::new());
    let records = &evidence.conversations;
    if let Some(messages) = &mut report.messages {
        messages.sent = records.iter().flat_map(|record| &record.sent).sum();
        messages.acknowledged = records.iter().map(|record| record.acknowledged.len() as u64).sum();
    }
    report.check = Some(Checked::default());
    Ok(with_verdict(report, &judge(&evidence)))
}

fn with_verdict(report: Report, verdict: &Verdict) -> Report {
    let messages = report.messages.map(|messages| Messages {
        missing: verdict.missing,
        duplicates: verdict.duplicates,
        out_of_order: verdict.out_of_order,
        ..messages
    });
    let check = report.check.map(|checked| Checked {
        unacknowledged: verdict.unacknowledged,
        findings: verdict.findings.iter().map(ToString::to_string).collect(),
        ..checked
    });
    Report { messages, check, ..report }
}
