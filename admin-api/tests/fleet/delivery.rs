//! What FastChat promises of messages, on a real fleet, on both stores. The
//! table "Guarantees" in ARCHITECTURE.md says which test is for which promise.

mod acknowledged;
mod moving;
mod once;
mod removed;

use super::{
    client::{Client, Me, PATIENCE, append},
    harness::Fleet,
};
use fastchat_schema_testing::Server as Postgres;
use fastchat_wire::{Block, EntryId, EventName, Kind, LogId, Secret, chat::append::Appended, chat::entry::EntryEvent};
use std::time::Duration;
use tokio::time::timeout;

/// Where a fleet keeps what it must not lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Sqlite,
    Postgres,
}

/// A fleet of three servers, and the database that it works on.
struct Stand {
    // Ends before its database.
    fleet: Fleet,
    _database: Option<Postgres>,
}

impl Stand {
    async fn on(store: Store) -> Self {
        let start = move || match store {
            Store::Sqlite => Self {
                fleet: Fleet::start(),
                _database: None,
            },
            Store::Postgres => {
                let database = Postgres::start();
                Self {
                    fleet: Fleet::start_with(&["--database", &database.url("postgres")]),
                    _database: Some(database),
                }
            }
        };
        tokio::task::spawn_blocking(start).await.expect("the fleet starts")
    }

    /// Somebody new on that server, who receives pushes.
    async fn person(&self, server: &str, name: &str) -> (Client, Me) {
        let (mut client, registered) = Client::registered(self.fleet.server(server), name).await;
        client.listed().await;
        (client, registered.into())
    }

    /// A connection of a session that began elsewhere.
    async fn resumed(&self, server: &str, token: &Secret) -> Client {
        let mut client = Client::greeted(self.fleet.server(server), None).await.expect("a server greets");
        client.resume(token).await.expect("the session lives");
        client.listed().await;
        client
    }
}

impl Client {
    /// Asks for the conversations: from the answer on nothing is missed.
    async fn listed(&mut self) -> Vec<fastchat_wire::chat::conversations::Conversation> {
        let ask = fastchat_wire::chat::conversations::Conversations { after: None, limit: 500 };
        let (_, frame) = self.call(&ask, &Block::none()).await.expect("conversations are answered");
        serde_json::from_slice(&frame.block).expect("a list")
    }

    /// Sends appends of these entries, one after the other, and waits for none of them.
    async fn pipeline(&mut self, log: LogId, entries: &[EntryId]) -> Vec<u64> {
        let mut ids = Vec::new();
        for entry in entries {
            let block = Block::binary(entry.to_string().into_bytes());
            ids.push(self.send(&append(log, *entry), &block).await.expect("sent"));
        }
        ids
    }

    /// The answers to pipelined appends, in order.
    async fn answers(&mut self, ids: &[u64]) -> Vec<Result<Appended, String>> {
        let mut answers = Vec::new();
        for id in ids {
            answers.push(match self.response(*id).await {
                Ok(frame) => Ok(frame.parse().expect("an answer")),
                Err(failure) => Err(failure.code().to_owned()),
            });
        }
        answers
    }

    /// Keeps what is pushed until nothing more comes for a while.
    async fn quiet(&mut self) {
        while let Ok(Ok(frame)) = timeout(QUIET, self.frame()).await {
            self.events.push_back(frame);
        }
    }

    /// What was pushed of a log when nothing more comes.
    async fn pushed_until_quiet(&mut self, log: LogId) -> Vec<u64> {
        self.quiet().await;
        self.pushed_of(log)
    }

    /// The pushes of a log that came so far; others stay.
    fn pushed_of(&mut self, log: LogId) -> Vec<u64> {
        let is_entry = |frame: &fastchat_wire::Frame| {
            let name = Some(EventName::Entry);
            matches!(frame.head.kind, Kind::Event { name: it, .. } if it == name)
        };
        let mut numbers = Vec::new();
        self.events.retain(|frame| {
            let entry: Option<EntryEvent> = is_entry(frame).then(|| frame.parse().expect("an entry"));
            let of_log = entry.filter(|entry| entry.log == log);
            numbers.extend(of_log.as_ref().map(|entry| entry.seq));
            of_log.is_none()
        });
        numbers
    }
}

/// Nothing is pushed for so long, and nothing is on its way: longer than lost pushes are looked for.
const QUIET: Duration = Duration::from_millis(1_500);
const _: () = assert!(QUIET.as_millis() < PATIENCE.as_millis());

/// Runs each test on a fleet with SQLite, and on one with PostgreSQL.
macro_rules! on_both_stores {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&super::Stand::on(super::Store::Sqlite).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&super::Stand::on(super::Store::Postgres).await).await;
            })*
        }
    };
}
use on_both_stores;
