//! What the control plane's store does, on both kinds of database.

use super::*;
use crate::audit;
use crate::desired::{Goal, Ordinals, Rebalance, Settings};
use crate::operation::{Kind, Target};
use crate::testing::{host, instance, trial};
use fastchat_schema_testing::TestDatabase;
use fastchat_wire::Secret;
use fastchat_wire::control::{Drain, Role};

/// A database of either kind, empty.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase),
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    async fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres(_) => Self::Postgres(TestDatabase::empty().await),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}/fastchat.db", folder.path().display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Somebody writes past the control plane.
    async fn tamper(&self, sql: &'static str) {
        match self {
            Self::Sqlite(_) => drop(
                sqlx::query(sql)
                    .execute(&sqlx::SqlitePool::connect(&self.url()).await.unwrap())
                    .await
                    .unwrap(),
            ),
            Self::Postgres(_) => drop(
                sqlx::query(sql)
                    .execute(&sqlx::PgPool::connect(&self.url()).await.unwrap())
                    .await
                    .unwrap(),
            ),
        }
    }
}

async fn store(place: &Place) -> Arc<dyn ControlStore> {
    open(&place.url()).await.unwrap()
}

/// Runs every test on both kinds of database.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::Postgres(fastchat_schema_testing::TestDatabase::empty().await)).await;
            })*
        }
    };
}

on_both! {
    a_new_fleet_has_its_own_key_for_ever
    what_was_committed_is_read_again_whole
    instances_that_are_gone_leave_their_number_behind
    a_change_that_was_decided_on_an_older_generation_is_refused_whole
    operations_move_without_a_new_generation
    a_key_is_remembered_for_a_day
    the_audit_log_is_one_chain_whose_pages_can_be_checked
}

fn change(based_on: u64, edits: Vec<Edit>) -> Change {
    Change {
        based_on,
        edits,
        ..Change::default()
    }
}

fn receipt(key: &str, created_at: u64) -> Receipt {
    Receipt {
        principal: "admin".into(),
        key: key.into(),
        fingerprint: [1; 32],
        status: 202,
        location: "/v1/operations/x".into(),
        body: "{}".into(),
        created_at,
    }
}

fn operation(state: OperationState) -> Operation {
    let target = Target {
        role: Role::Server,
        name: "s1".into(),
    };
    Operation {
        state,
        ..Operation::new(crate::operation::new_id(), Kind::Create, target, 5, 6)
    }
}

async fn a_new_fleet_has_its_own_key_for_ever(place: Place) {
    let first = store(&place).await;
    let fleet = first.fleet().await.unwrap();
    assert_eq!(
        (fleet.generation, fleet.balancing.strategy.as_str(), fleet.balancing.generation),
        (1, "least-load", 1)
    );
    first.close().await;
    let again = store(&place).await.fleet().await.unwrap();
    assert_eq!(again.cluster, fleet.cluster);
    let other = place.another().await;
    let other = store(&other).await.fleet().await.unwrap();
    assert_ne!(other.cluster.fleet_key, fleet.cluster.fleet_key);
    assert_ne!(other.cluster.store, fleet.cluster.store);
}

const PACE: Drain = Drain {
    clients_per_s: 7,
    within_ms: 8,
};

fn rebalance() -> Rebalance {
    Rebalance {
        operation: "op".into(),
        gives: [("s1".to_owned(), 5)].into(),
        clients_per_s: 6,
        within_ms: 7,
        cool_down_ms: 8,
    }
}

async fn what_was_committed_is_read_again_whole(place: Place) {
    let store = store(&place).await;
    let settings = Settings {
        control: "http://127.0.0.1:7100".into(),
        database: Secret::new("sqlite:/a".into()),
        blobs: "/b".into(),
        bus: Secret::new("mesh".into()),
    };
    let edits = vec![
        Edit::SetSettings(settings.clone()),
        Edit::PutHost(host("h1")),
        Edit::AddInstance(instance(Role::Server, 1)),
        Edit::AddInstance(instance(Role::Balancer, 1)),
        Edit::SetBalancing {
            strategy: "random".into(),
            parameters: [("a".to_owned(), 1.into())].into(),
            trial: Some(trial()),
        },
        Edit::SetRebalance(Some(rebalance())),
    ];
    assert_eq!(store.commit(change(1, edits)).await.unwrap(), 2);
    let fleet = store.fleet().await.unwrap();
    assert_eq!(
        (fleet.generation, &fleet.cluster.settings, fleet.hosts.as_slice()),
        (2, &settings, [host("h1")].as_slice())
    );
    assert_eq!(fleet.instances, [instance(Role::Server, 1), instance(Role::Balancer, 1)]);
    assert_eq!((fleet.balancing.strategy.as_str(), fleet.balancing.generation), ("random", 2));
    assert_eq!(fleet.balancing.parameters["a"], 1);
    assert_eq!((fleet.trial, fleet.rebalance), (Some(trial()), Some(rebalance())));
    let drain = Edit::SetGoal {
        name: "s1".into(),
        goal: Goal::Drain { until: 99, pace: PACE },
    };
    assert_eq!(store.commit(change(2, vec![drain])).await.unwrap(), 3);
    let fleet = store.fleet().await.unwrap();
    assert_eq!(
        (fleet.instances[0].goal, fleet.instances[0].goal_generation),
        (Goal::Drain { until: 99, pace: PACE }, 3)
    );
}

async fn instances_that_are_gone_leave_their_number_behind(place: Place) {
    let store = store(&place).await;
    let edits = vec![Edit::PutHost(host("h1")), Edit::AddInstance(instance(Role::Server, 1))];
    store.commit(change(1, edits)).await.unwrap();
    store
        .commit(change(
            2,
            vec![Edit::SetGoal {
                name: "s1".into(),
                goal: Goal::Gone,
            }],
        ))
        .await
        .unwrap();
    let fleet = store.fleet().await.unwrap();
    assert!(fleet.instances.is_empty());
    assert_eq!(fleet.ordinals, Ordinals { server: 1, balancer: 0 });
}

async fn a_change_that_was_decided_on_an_older_generation_is_refused_whole(place: Place) {
    let store = store(&place).await;
    store.commit(change(1, vec![Edit::PutHost(host("h1"))])).await.unwrap();
    let late = Change {
        receipt: Some(receipt("k", 1)),
        ..change(1, vec![Edit::PutHost(host("h2"))])
    };
    assert!(matches!(store.commit(late).await, Err(CommitError::Stale)));
    assert_eq!(store.fleet().await.unwrap().hosts, [host("h1")]);
    assert_eq!(store.receipt("admin", "k", 1).await.unwrap(), None);
}

async fn operations_move_without_a_new_generation(place: Place) {
    let store = store(&place).await;
    let pending = operation(OperationState::Pending);
    assert_eq!(store.commit(change(1, vec![Edit::PutOperation(pending.clone())])).await.unwrap(), 1);
    assert_eq!(store.open_operations().await.unwrap(), std::slice::from_ref(&pending));
    let done = Operation {
        state: OperationState::Succeeded,
        ..pending.clone()
    };
    store.commit(change(1, vec![Edit::PutOperation(done.clone())])).await.unwrap();
    assert_eq!(store.open_operations().await.unwrap(), []);
    assert_eq!(store.operation(&pending.id).await.unwrap(), Some(done));
    assert_eq!(store.operation("nobody").await.unwrap(), None);
    assert_eq!(store.operation_counts().await.unwrap(), [(OperationState::Succeeded, 1)]);
}

async fn a_key_is_remembered_for_a_day(place: Place) {
    let store = store(&place).await;
    let with = |receipt| Change {
        receipt: Some(receipt),
        ..change(1, vec![])
    };
    store.commit(with(receipt("k", 1_000))).await.unwrap();
    assert_eq!(store.receipt("admin", "k", RECEIPT_MS).await.unwrap(), Some(receipt("k", 1_000)));
    assert_eq!(store.receipt("admin", "k", RECEIPT_MS + 1_001).await.unwrap(), None);
    assert!(matches!(store.commit(with(receipt("k", 2_000))).await, Err(CommitError::KeyUsed)));
    store.commit(with(receipt("k", RECEIPT_MS + 2_000))).await.unwrap();
}

async fn the_audit_log_is_one_chain_whose_pages_can_be_checked(place: Place) {
    let store = store(&place).await;
    let record = |who: &str| crate::testing::record(who);
    store.append_audit(&[record("a"), record("b")]).await.unwrap();
    store
        .commit(Change {
            audit: Some(record("c")),
            ..change(1, vec![])
        })
        .await
        .unwrap();
    let all = store.audit(0, 10).await.unwrap();
    assert_eq!(all.rows.len(), 3);
    assert_eq!(audit::broken_at(&all.previous, 0, &all.rows), None);
    let rest = store.audit(2, 10).await.unwrap();
    assert_eq!((rest.previous, rest.rows.as_slice()), (all.rows[1].hash, &all.rows[2..]));
    assert_eq!(audit::broken_at(&rest.previous, 2, &rest.rows), None);
    place
        .tamper("UPDATE audit SET record = replace(record, '\"b\"', '\"x\"') WHERE seq = 2")
        .await;
    let tampered = store.audit(0, 10).await.unwrap();
    assert_eq!(audit::broken_at(&tampered.previous, 0, &tampered.rows), Some(2));
}
