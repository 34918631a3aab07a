//! How a server ends, is emptied, and follows its spec.

use super::{Client, Fleet, PATIENCE, client::hello};
use fastchat_wire::{
    Code, Deframer, Empty, FrameLimits, MoveId,
    chat::{
        move_to::{Move, MoveReason},
        ping::Ping,
        resume::Resume,
    },
    control::{Drain, Peer, Shed},
    encode_response,
    frame::Block,
    link::{attach::Attach, load::Load},
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A balancer's end of a link.
struct Balancer {
    stream: TcpStream,
    deframer: Deframer,
}

impl Balancer {
    async fn next(&mut self) -> fastchat_wire::Frame {
        loop {
            if let Some(frame) = self.deframer.next().unwrap() {
                return frame;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(self.deframer.buffer_mut())).await;
            assert_ne!(read.expect("nothing came").unwrap(), 0, "the server has closed");
        }
    }

    /// The server's link, attached, and how it introduced itself.
    async fn attached(listener: &TcpListener) -> (Self, Attach) {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("nobody dials").unwrap();
        let deframer = Deframer::new(FrameLimits::DEFAULT);
        let mut link = Self { stream, deframer };
        let attach = link.next().await.parse().unwrap();
        link.stream
            .write_all(&encode_response(1, &Empty {}, &Block::none()).unwrap())
            .await
            .unwrap();
        (link, attach)
    }

    async fn loads_until(&mut self, fits: impl Fn(&Load) -> bool) -> Load {
        loop {
            let load: Load = self.next().await.parse().unwrap();
            if fits(&load) {
                return load;
            }
        }
    }
}

#[tokio::test]
async fn at_a_soft_stop_the_balancer_hears_of_each_move_before_its_client() {
    let mut fleet = Fleet::of(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    fleet.servers[0].respec(|part| {
        part.balancers.push(Peer {
            name: "b1".into(),
            address,
        });
    });
    let (mut link, _) = Balancer::attached(&listener).await;
    let mut alice = fleet.register(0, "alice").await;
    fleet.servers[0].shutdown.cancel();
    let announced = link.loads_until(|load| !load.moving.is_empty()).await;
    assert!(announced.draining);
    let (moved, _) = alice.event::<Move>().await;
    assert_eq!(announced.moving, [moved.id]);
    let began = Instant::now();
    assert_eq!(alice.end().await, None, "closed once its time is over");
    assert!(began.elapsed() < Duration::from_millis(moved.within_ms) + PATIENCE / 4);
    timeout(PATIENCE, &mut fleet.servers[0].task)
        .await
        .expect("it stays")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_soft_stop_ends_at_once_when_everybody_has_gone() {
    let mut fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    fleet.servers[0].shutdown.cancel();
    alice.event::<Move>().await;
    let mut elsewhere = fleet.client(1).await;
    elsewhere.resume(&alice).await;
    drop(alice);
    timeout(PATIENCE, &mut fleet.servers[0].task)
        .await
        .expect("it stays")
        .unwrap()
        .unwrap();
    elsewhere.conversations().await;
}

#[tokio::test]
async fn a_drain_that_is_taken_back_asks_nobody_any_more() {
    let mut fleet = Fleet::of(1).await;
    let mut first = fleet.register(0, "first").await;
    let drain = Drain {
        clients_per_s: 1_000,
        within_ms: 600,
    };
    fleet.servers[0].respec(|part| part.drain = Some(drain));
    let (moved, _) = first.event::<Move>().await;
    let mut refused = fleet.client(0).await;
    let resume = Resume {
        token: first.token.clone(),
    };
    assert_eq!(refused.ask(&resume).await.unwrap_err().code, Code::Draining);
    fleet.servers[0].respec(|part| part.drain = None);
    let signed_in = timeout(PATIENCE, async {
        while refused.ask(&resume).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    signed_in.await.expect("it refuses still");
    tokio::time::sleep(Duration::from_millis(moved.within_ms + 300)).await;
    for client in [&mut first, &mut refused] {
        client.ask(&Ping {}).await.expect("closed all the same");
    }
    fleet.servers[0].respec(|part| part.drain = Some(drain));
    let again: MoveId = first.event::<Move>().await.0.id;
    assert_ne!(again, moved.id);
    first.end().await;
}

#[tokio::test]
async fn another_weight_or_limit_holds_from_then_on() {
    let mut fleet = Fleet::of(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    fleet.servers[0].respec(|part| {
        part.balancers.push(Peer {
            name: "b1".into(),
            address,
        });
    });
    let (_link, attach) = Balancer::attached(&listener).await;
    assert_eq!(attach.weight, 1.0);
    fleet.servers[0].respec(|part| (part.weight, part.connections_max) = (2.5, 1));
    let (_link, attach) = Balancer::attached(&listener).await;
    assert_eq!(attach.weight, 2.5);
    let _one = fleet.client(0).await;
    let mut other = Client::silent(fleet.servers[0].clients).await;
    assert_eq!(other.ask(&hello(None)).await.unwrap_err().code, Code::Overloaded);
}

/// All who are asked for, at once.
fn shed(id: &str, clients: u64, cool_down_ms: u64) -> Option<Shed> {
    Some(Shed {
        id: id.into(),
        clients,
        clients_per_s: 1_000,
        within_ms: 60_000,
        cool_down_ms,
    })
}

#[tokio::test]
async fn a_server_gives_away_as_many_as_it_is_asked_to_and_those_who_came_first() {
    let mut fleet = Fleet::of(2).await;
    let mut first = fleet.register(0, "first").await;
    let mut second = fleet.register(0, "second").await;
    let mut third = fleet.register(0, "third").await;
    fleet.servers[0].respec(|part| part.shed = shed("one", 2, 0));
    for client in [&mut first, &mut second] {
        let (moved, _) = client.event::<Move>().await;
        assert_eq!(moved.reason, MoveReason::Rebalance);
        assert!(moved.after_ms < 100 && moved.within_ms > 20_000, "{moved:?}");
    }
    let status = fleet.servers[0].shed(|shed| shed.asked == 2 && shed.left == 2).await;
    assert!(!status.done, "they are here still");
    for client in [&first, &second] {
        fleet.client(1).await.resume(client).await;
    }
    drop((first, second));
    fleet.servers[0].shed(|shed| shed.done && shed.left == 0).await;
    // A spec that says the same is no new shed, and who stays signs in and out as ever.
    fleet.servers[0].respec(|part| part.weight = 2.0);
    third.ask(&Ping {}).await.unwrap();
    fleet.client(0).await.resume(&third).await;
    let next = timeout(Duration::from_millis(500), third.event::<Move>());
    assert!(next.await.is_err(), "a third one is asked");
}

#[tokio::test]
async fn who_has_just_come_is_not_asked_and_an_aborted_shed_asks_nobody() {
    let mut fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    fleet.servers[0].respec(|part| part.shed = shed("one", 1, 3_600_000));
    let asked = timeout(Duration::from_millis(500), alice.event::<Move>()).await;
    assert!(asked.is_err(), "she came within the cool-down");
    fleet.servers[0].respec(|part| part.shed = None);
    fleet.servers[0].shed(|shed| shed.id == "one" && shed.asked == 0 && shed.done).await;
    fleet.servers[0].respec(|part| part.shed = shed("two", 1, 0));
    alice.event::<Move>().await;
}
