//! Links between servers that break, and how what was lost on them is mended.

use super::{Client, Fleet, MENDED, client::append, proxy::Wire};
use crate::{
    bus::{
        VERSION,
        mesh::handshake::{Control, Greeting, Side, nonce},
        message::{Known, Message, Piece},
    },
    fleet_key::FleetKey,
};
use fastchat_wire::{
    Deframer, EventName, FrameLimits, LogId, Secret32,
    chat::{append::Appended, create::ConversationKind, logout::Logout},
    control::Peer,
    encode_request,
    frame::Block,
    limits::PRESENCE_WAIT_MS_MAX,
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// Alice on the first server, Bob on the second, and their conversation.
pub(super) async fn pair(fleet: &Fleet) -> (Client, Client, LogId) {
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    bob.pushed_from(log, 1).await;
    (alice, bob, log)
}

#[tokio::test]
async fn a_server_that_others_have_lost_sight_of_looks_for_itself() {
    let fleet = Fleet::proxied(2).await;
    let (mut alice, mut bob, log) = pair(&fleet).await;
    // s1 does not know any more that Bob is on s2; s2 hears s1 as ever.
    fleet.link(1, 0).set(Wire::Cut);
    fleet.servers[0].links_up(0).await;
    let appended = alice.append(log, "x").await;
    let pushed = timeout(MENDED, bob.pushed_from(log, appended.seq)).await;
    pushed.expect("nobody rang, and nobody looked");
}

#[tokio::test]
async fn what_was_appended_while_a_link_came_up_again_is_not_missed() {
    let fleet = Fleet::proxied(2).await;
    let (mut alice, mut bob, log) = pair(&fleet).await;
    for _ in 0..5 {
        for (from, to) in [(0, 1), (1, 0)] {
            fleet.link(from, to).set(Wire::Cut);
        }
        fleet.servers[0].links_up(0).await;
        fleet.servers[1].links_up(0).await;
        // s2 hears s1 at once; that Bob is on s2, s1 hears later.
        fleet.link(0, 1).set(Wire::Whole);
        fleet.servers[1].links_up(1).await;
        let appended = alice.append(log, "x").await;
        fleet.link(1, 0).set(Wire::Whole);
        let pushed = timeout(MENDED, bob.pushed_from(log, appended.seq)).await;
        pushed.expect("what came between the link and the presence on it was missed");
        fleet.servers[0].links_up(1).await;
    }
}

/// Alice appends 1,200 entries while the fleet is treated; Bob gets each of them by a push, once and in order.
pub(super) async fn everything_arrives(fleet: &mut Fleet, treat: impl AsyncFn(&mut Fleet, u64)) {
    let (mut alice, mut bob, log) = pair(fleet).await;
    let sending = async {
        for round in 0..60u64 {
            let pipelined: Vec<u8> = (0..20)
                .flat_map(|n| encode_request(1_000 + round * 20 + n, &append(log), &Block::none()).unwrap())
                .collect();
            alice.send(&pipelined).await;
            for _ in 0..20 {
                let answer = alice.answer().await;
                assert!(answer.failure().is_none(), "{answer:?}");
                answer.parse::<Appended>().unwrap();
            }
            treat(fleet, round).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let hearing = async {
        for seq in 2..=1_201 {
            let pushed = bob.pushed().await;
            assert_eq!(pushed.event.seq, seq);
        }
    };
    tokio::join!(sending, async {
        timeout(Duration::from_secs(20), hearing).await.expect("a push was lost");
    });
    let quiet = bob.hears_nothing(EventName::Entry, Duration::from_millis(300)).await;
    assert!(quiet, "a push was doubled");
}

#[tokio::test]
async fn under_load_over_links_that_break_everything_arrives_in_order_without_a_fetch() {
    let mut fleet = Fleet::proxied(2).await;
    let treat = async |fleet: &mut Fleet, round| match round {
        10 => fleet.link(0, 1).set(Wire::Cut),
        15 => fleet.link(1, 0).set(Wire::Cut),
        20 => fleet.link(0, 1).set(Wire::Whole),
        30 => fleet.link(1, 0).set(Wire::Whole),
        40 => fleet.link(0, 1).set(Wire::Frozen),
        50 => fleet.link(0, 1).set(Wire::Whole),
        _ => {}
    };
    everything_arrives(&mut fleet, treat).await;
}

#[tokio::test]
async fn under_load_over_half_open_links_everything_arrives_in_order_without_a_fetch() {
    let mut fleet = Fleet::proxied(2).await;
    let treat = async |fleet: &mut Fleet, round| match round {
        5 => fleet.link(0, 1).set(Wire::Swallows),
        20 => fleet.link(1, 0).set(Wire::Swallows),
        35 => fleet.link(0, 1).set(Wire::Whole),
        45 => fleet.link(1, 0).set(Wire::Whole),
        _ => {}
    };
    everything_arrives(&mut fleet, treat).await;
    fleet.is_linked().await;
}

/// What a first answer takes at least that another server is waited for with.
const HELD_UP: Duration = Duration::from_millis(PRESENCE_WAIT_MS_MAX - 50);

/// How long one waits for the first answer who signs in again, on the first server.
async fn first_answer(fleet: &Fleet, who: &Client) -> Duration {
    let mut again = fleet.client(0).await;
    again.resume(who).await;
    let began = Instant::now();
    again.conversations().await;
    began.elapsed()
}

/// Where another server is still waited for, each of them is late; on a busy machine one or the other is.
async fn nobody_is_held_up(fleet: &Fleet, who: &Client) {
    let mut waits = Vec::new();
    while waits.last().is_none_or(|wait| *wait >= HELD_UP) {
        assert!(waits.len() < 6, "another server is still waited for: {waits:?}");
        waits.push(first_answer(fleet, who).await);
    }
}

#[tokio::test]
async fn a_half_open_link_is_found_by_both_of_its_ends() {
    let fleet = Fleet::proxied(2).await;
    let (mut alice, mut bob, log) = pair(&fleet).await;
    fleet.link(0, 1).set(Wire::Swallows);
    let appended = alice.append(log, "x").await;
    // The receiver hears no heartbeat.
    fleet.servers[1].links_up(0).await;
    let pushed = timeout(MENDED, bob.pushed_from(log, appended.seq)).await;
    pushed.expect("the half-open link was not found");
    // The sender hears none either, and does not hold up who signs in.
    nobody_is_held_up(&fleet, &alice).await;
    fleet.link(0, 1).set(Wire::Whole);
    fleet.is_linked().await;
}

#[tokio::test]
async fn a_conversation_that_began_while_a_link_was_down_is_found() {
    let fleet = Fleet::proxied(2).await;
    let (mut alice, mut bob, _) = pair(&fleet).await;
    fleet.link(0, 1).set(Wire::Cut);
    fleet.servers[1].links_up(0).await;
    let log = alice.create(ConversationKind::Group, &[&bob]).await;
    alice.append(log, "x").await;
    fleet.link(0, 1).set(Wire::Whole);
    for seq in 1..=2 {
        let pushed = timeout(MENDED, bob.pushed_from(log, seq))
            .await
            .expect("the conversation was not found");
        assert_eq!(pushed.event.seq, seq);
    }
}

#[tokio::test]
async fn a_session_that_ended_while_a_link_was_down_ends_everywhere() {
    let fleet = Fleet::proxied(2).await;
    let (_alice, mut bob, _) = pair(&fleet).await;
    let mut elsewhere = fleet.client(0).await;
    elsewhere.resume(&bob).await;
    fleet.link(0, 1).set(Wire::Cut);
    fleet.servers[1].links_up(0).await;
    elsewhere.ask(&Logout { everywhere: true }).await.unwrap();
    fleet.link(0, 1).set(Wire::Whole);
    timeout(MENDED, bob.end()).await.expect("the session lives on");
}

#[tokio::test]
async fn a_server_that_starts_again_under_its_name_is_known_again() {
    let mut fleet = Fleet::of(2).await;
    let (mut alice, bob, log) = pair(&fleet).await;
    for _ in 0..2 {
        fleet.restart(1).await;
        let mut again = fleet.client(1).await;
        again.resume(&bob).await;
        again.conversations().await;
        let appended = alice.append(log, "x").await;
        let pushed = timeout(MENDED, again.pushed_from(log, appended.seq)).await;
        assert_eq!(pushed.expect("the push was lost").event.seq, appended.seq);
    }
}

#[tokio::test]
async fn a_frozen_server_holds_up_one_first_answer_and_no_second() {
    let fleet = Fleet::proxied(2).await;
    let alice = fleet.register(0, "alice").await;
    // Its acknowledgements are still on their way when the next ones come.
    fleet.link(1, 0).set(Wire::Frozen);
    let wait = first_answer(&fleet, &alice).await;
    assert!(wait >= HELD_UP, "{wait:?}");
    nobody_is_held_up(&fleet, &alice).await;
}

#[tokio::test]
async fn a_server_that_left_the_spec_is_forgotten_and_may_come_back() {
    let mut fleet = Fleet::of(3).await;
    let (mut alice, mut bob, log) = pair(&fleet).await;
    let mut peers = Vec::new();
    fleet.servers[0].respec(|part| peers = std::mem::take(&mut part.peers));
    let server = &fleet.servers[0];
    let gone = async {
        while !server.values("bus_link_up", "").is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(MENDED, gone).await.expect("its metric stays");
    nobody_is_held_up(&fleet, &alice).await;
    fleet.servers[0].respec(|part| part.peers = peers);
    fleet.servers[0].links_up(2).await;
    let appended = alice.append(log, "x").await;
    timeout(MENDED, bob.pushed_from(log, appended.seq))
        .await
        .expect("the push was lost");
}

#[tokio::test]
async fn a_conversation_whose_later_entry_is_heard_of_first_is_pushed_from_its_beginning() {
    let fleet = Fleet::proxied(3).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    let mut carol = fleet.register(2, "carol").await;
    for client in [&mut bob, &mut carol] {
        client.conversations().await;
    }
    // What s1 tells s2 is held up; what s3 tells it is not.
    fleet.link(0, 1).set(Wire::Frozen);
    let log = alice.create(ConversationKind::Group, &[&bob, &carol]).await;
    carol.pushed_from(log, 1).await;
    let appended = carol.append(log, "x").await;
    for seq in 1..=appended.seq {
        let pushed = timeout(MENDED, bob.pushed_from(log, 0)).await.expect("its beginning is not pushed");
        assert_eq!(pushed.event.seq, seq);
    }
}

/// A server of the fleet that the test plays, known to the first one as `s9`.
struct Played {
    hears: OwnedReadHalf,
    deframer: Deframer,
    tells: TcpStream,
    /// Says that it hears.
    _heard: AbortOnDropHandle<()>,
}

/// The next thing said on a link that isn't a message.
async fn control(stream: &mut TcpStream, deframer: &mut Deframer) -> Control {
    loop {
        if let Some(frame) = deframer.next().unwrap() {
            return Control::decode(&frame).expect("a greeting");
        }
        assert_ne!(stream.read_buf(deframer.buffer_mut()).await.unwrap(), 0);
    }
}

async fn say(stream: &mut TcpStream, control: &Control) {
    stream.write_all(&control.encode().unwrap()).await.unwrap();
}

impl Played {
    async fn join(fleet: &mut Fleet) -> Self {
        let key = FleetKey::new(Secret32::new([5; 32]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        fleet.servers[0].respec(|part| {
            part.peers.push(Peer {
                name: "s9".into(),
                address,
            });
        });
        let (mut hears, _) = listener.accept().await.unwrap();
        let mut deframer = Deframer::new(FrameLimits::DEFAULT);
        let Control::Hello {
            from, to, nonce: dialler, ..
        } = control(&mut hears, &mut deframer).await
        else {
            panic!("a link begins with a hello");
        };
        let listener = nonce();
        let greeting = Greeting {
            from,
            to,
            dialler,
            listener,
        };
        let welcome = Control::Welcome {
            nonce: greeting.listener.clone(),
            proof: greeting.proof(Side::Listener, &key),
        };
        say(&mut hears, &welcome).await;
        let Control::Proof { .. } = control(&mut hears, &mut deframer).await else {
            panic!("a welcome is answered by a proof");
        };
        let (hears, mut heard) = hears.into_split();
        let heard = tokio::spawn(async move {
            let frame = Control::Heard.encode().unwrap();
            while heard.write_all(&frame).await.is_ok() {
                sleep(Duration::from_millis(250)).await;
            }
        });

        let mut tells = TcpStream::connect(fleet.servers[0].bus).await.unwrap();
        let dialler = nonce();
        let hello = Control::Hello {
            version: VERSION,
            from: "s9".into(),
            to: "s1".into(),
            nonce: dialler.clone(),
        };
        say(&mut tells, &hello).await;
        let Control::Welcome { nonce: listener, .. } = control(&mut tells, &mut Deframer::new(FrameLimits::DEFAULT)).await else {
            panic!("a hello is welcome");
        };
        let greeting = Greeting {
            from: "s9".into(),
            to: "s1".into(),
            dialler,
            listener,
        };
        let proof = greeting.proof(Side::Dialler, &key);
        say(&mut tells, &Control::Proof { proof }).await;
        Self {
            hears,
            deframer,
            tells,
            _heard: AbortOnDropHandle::new(heard),
        }
    }

    async fn tell(&mut self, message: &Message) {
        self.tells.write_all(&message.encode().unwrap()).await.unwrap();
    }

    /// Says that so many messages were sent.
    async fn beat(&mut self, sent: u64) {
        say(&mut self.tells, &Control::Heartbeat { sent }).await;
    }

    /// The next message; heartbeats are passed over.
    async fn next(&mut self) -> Message {
        loop {
            while let Some(frame) = self.deframer.next().unwrap() {
                if let Ok(message) = Message::decode(&frame) {
                    return message;
                }
            }
            let read = timeout(MENDED, self.hears.read_buf(self.deframer.buffer_mut())).await;
            assert_ne!(read.expect("nothing came").unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn a_heartbeat_that_counts_more_than_came_has_the_rest_looked_for() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut played = Played::join(&mut fleet).await;
    let Message::Snapshot { known, piece, accounts } = played.next().await else {
        panic!("a link begins with a snapshot");
    };
    assert_eq!((piece, accounts), (Piece { number: 0, of: 1 }, vec![alice.account]));
    played.tell(&Message::Known(known)).await;
    let mine = Known { snapshot: 1, seq: 0 };
    let nobody = Message::Snapshot {
        known: mine,
        piece,
        accounts: vec![],
    };
    played.tell(&nobody).await;
    assert_eq!(played.next().await, Message::Known(mine));
    played.beat(2).await;

    // An entry whose bell is lost: nothing shows it until a heartbeat does.
    let archive = LogId::archive_of(alice.account);
    let quiet = async {
        loop {
            played.beat(2).await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let stays_lost = async {
        for _ in 0..5 {
            let lost = fleet.append_silently(&alice, archive).await;
            // What is looked for as a link begins may have found it.
            if alice.hears_nothing(EventName::Entry, Duration::from_millis(1_300)).await {
                return lost;
            }
        }
        panic!("links are whole");
    };
    let lost = tokio::select! {
        () = quiet => unreachable!(),
        lost = stays_lost => lost,
    };
    played.beat(3).await;
    assert_eq!(
        timeout(MENDED, alice.pushed_from(archive, lost))
            .await
            .expect("not looked for")
            .event
            .seq,
        lost
    );
    assert_eq!(played.next().await, Message::Resync);
}
