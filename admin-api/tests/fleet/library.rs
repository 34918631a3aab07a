//! The client library on a real fleet: sessions that outlive servers.

use super::{
    client::{new_id, registration},
    harness::{Fleet, signal},
};
use fastchat_client::{Config, Errand, MemoryJournal, MemoryOutbox, Session, SessionEvent, chat, enter};
use fastchat_wire::{AccountId, EntryId, LogId, chat::create::ConversationKind};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::timeout;

const MESSAGES: usize = 500;
const PATIENCE: Duration = Duration::from_secs(30);

/// Registers a name through the balancer, and starts its session.
pub(super) async fn person(fleet: &Fleet, name: &str) -> (Session, AccountId) {
    let config = Config::new(fleet.balancer()).expect("the balancer's address");
    let entered = enter(&config, Errand::default()).await.expect("a server");
    let registered = chat::register(&entered.connection, &registration(name), (&b"a sealed keyring"[..]).into()).await;
    let registered = registered.expect("a new name");
    entered.connection.close();
    let journal = Arc::new(MemoryJournal::with_token(registered.token));
    let session = Session::start(config, journal, Arc::new(MemoryOutbox::default()));
    (session, registered.account)
}

/// The server that the session is on, once it has caught up.
pub(super) async fn caught_up(session: &mut Session) -> String {
    let mut on = None;
    loop {
        match session.next().await.expect("the session lives") {
            SessionEvent::Live { server, .. } => on = Some(server),
            SessionEvent::CaughtUp => return on.expect("live before caught up"),
            _ => {}
        }
    }
}

/// Runs a session until it has all texts of the log, in order; answers them by number.
async fn read_all(session: &mut Session, log: LogId) -> BTreeMap<u64, EntryId> {
    let mut read = BTreeMap::new();
    while read.len() < MESSAGES {
        if let SessionEvent::Entry { entry, store } = session.next().await.expect("the session lives") {
            session.processed(&entry, &store).await.expect("kept in memory");
            if entry.log() == log && entry.head.kind == "app" {
                assert!(read.keys().next_back().is_none_or(|last| *last < entry.head.seq), "in order");
                assert_eq!(read.insert(entry.head.seq, entry.head.entry), None, "once");
            }
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_outlive_their_servers_and_hand_out_each_entry_once_in_order() {
    let fleet = Fleet::start();
    let (mut alice, _) = person(&fleet, "alice").await;
    let (mut bob, bob_id) = person(&fleet, "bob").await;
    let (_, victim) = (caught_up(&mut alice).await, caught_up(&mut bob).await);
    let connection = alice.handle().connection().await.expect("alice is online");
    let group = chat::create(&connection, new_id(), ConversationKind::Group, vec![bob_id])
        .await
        .expect("a group")
        .conversation;

    let writing = async {
        for n in 0..MESSAGES {
            if n == MESSAGES / 2 {
                // Bob's server dies in the middle of it.
                signal(
                    fleet
                        .line
                        .servers
                        .iter()
                        .find(|server| server.name == victim)
                        .expect("a server")
                        .pid,
                    "KILL",
                );
            }
            alice
                .send(group, "app", format!("message {n}").into())
                .await
                .expect("kept in memory");
        }
        read_all(&mut alice, group).await
    };
    let both = async { tokio::join!(writing, read_all(&mut bob, group)) };
    let (of_alice, of_bob) = timeout(PATIENCE, both).await.expect("everything is delivered in time");
    assert_eq!(of_alice, of_bob, "both have the same, at the same numbers");
}
