//! Rows into values.

use crate::audit;
use crate::desired::{Cluster, Fleet, Goal, Host, Instance, Ordinals, Settings};
use crate::operation::{Operation, OperationState};
use crate::store::{Receipt, StoreError};
use fastchat_wire::{
    Secret32,
    control::{Balancing, Role},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// The desired state, whole, within one transaction.
pub(super) async fn fleet(connection: &mut SqliteConnection, store: &str) -> Result<Fleet, StoreError> {
    let cluster = sqlx::query("SELECT name, fleet_key, control, database, blobs, generation FROM cluster")
        .fetch_one(&mut *connection)
        .await?;
    let hosts = sqlx::query("SELECT name, address, internal_address, probe_port, balancer_port, server_port_base FROM hosts ORDER BY name")
        .fetch_all(&mut *connection)
        .await?;
    let instances = sqlx::query(
        "SELECT name, role, ordinal, host, listen, internal_listen, probe_listen, weight, connections_max, epoch,
                goal, goal_until, goal_generation
         FROM instances WHERE goal <> 'gone' ORDER BY role DESC, ordinal",
    )
    .fetch_all(&mut *connection)
    .await?;
    let ordinals = sqlx::query(
        "SELECT coalesce(max(ordinal) FILTER (WHERE role = 'server'), 0) AS server,
                coalesce(max(ordinal) FILTER (WHERE role = 'balancer'), 0) AS balancer
         FROM instances",
    )
    .fetch_one(&mut *connection)
    .await?;
    let balancing = sqlx::query("SELECT strategy, parameters, generation FROM balancing")
        .fetch_one(connection)
        .await?;
    Ok(Fleet {
        generation: unsigned(cluster.try_get("generation")?)?,
        cluster: Cluster {
            name: cluster.try_get("name")?,
            store: store.to_owned(),
            fleet_key: Secret32::new(bytes32(&cluster, "fleet_key")?),
            settings: Settings {
                control: cluster.try_get("control")?,
                database: cluster.try_get("database")?,
                blobs: cluster.try_get("blobs")?,
            },
        },
        hosts: hosts.iter().map(host).collect::<Result<_, _>>()?,
        instances: instances.iter().map(instance).collect::<Result<_, _>>()?,
        ordinals: Ordinals {
            server: unsigned(ordinals.try_get("server")?)?,
            balancer: unsigned(ordinals.try_get("balancer")?)?,
        },
        balancing: Balancing {
            strategy: balancing.try_get("strategy")?,
            parameters: json(balancing.try_get("parameters")?)?,
            generation: unsigned(balancing.try_get("generation")?)?,
        },
    })
}

fn host(row: &SqliteRow) -> Result<Host, StoreError> {
    Ok(Host {
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        internal_address: row.try_get("internal_address")?,
        probe_port: port(row.try_get("probe_port")?)?,
        balancer_port: port(row.try_get("balancer_port")?)?,
        server_port_base: port(row.try_get("server_port_base")?)?,
    })
}

fn instance(row: &SqliteRow) -> Result<Instance, StoreError> {
    Ok(Instance {
        name: row.try_get("name")?,
        role: role(row.try_get("role")?)?,
        ordinal: unsigned(row.try_get("ordinal")?)?,
        host: row.try_get("host")?,
        listen: row.try_get("listen")?,
        internal_listen: row.try_get("internal_listen")?,
        probe_listen: row.try_get("probe_listen")?,
        weight: row.try_get("weight")?,
        connections_max: unsigned(row.try_get("connections_max")?)?,
        epoch: unsigned(row.try_get("epoch")?)?,
        goal: goal(row)?,
        goal_generation: unsigned(row.try_get("goal_generation")?)?,
    })
}

fn role(text: &str) -> Result<Role, StoreError> {
    match text {
        "server" => Ok(Role::Server),
        "balancer" => Ok(Role::Balancer),
        other => Err(StoreError::Broken(format!("an instance has the role {other:?}"))),
    }
}

fn goal(row: &SqliteRow) -> Result<Goal, StoreError> {
    match row.try_get("goal")? {
        "run" => Ok(Goal::Run),
        "drain" => Ok(Goal::Drain {
            until: unsigned(row.try_get::<Option<i64>, _>("goal_until")?.unwrap_or(0))?,
        }),
        "stop" => Ok(Goal::Stop),
        "gone" => Ok(Goal::Gone),
        other => Err(StoreError::Broken(format!("an instance has the goal {other:?}"))),
    }
}

/// An operation, from its document.
pub(super) fn operation(row: &SqliteRow) -> Result<Operation, StoreError> {
    json(row.try_get("document")?)
}

/// A state and how many operations are in it.
pub(super) fn operation_count(row: &SqliteRow) -> Result<(OperationState, u64), StoreError> {
    let name: &str = row.try_get("state")?;
    let state = OperationState::ALL.into_iter().find(|state| state.as_str() == name);
    let state = state.ok_or_else(|| StoreError::Broken(format!("an operation has the state {name:?}")))?;
    Ok((state, unsigned(row.try_get("n")?)?))
}

/// A receipt.
pub(super) fn receipt(row: &SqliteRow) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        principal: row.try_get("principal")?,
        key: row.try_get("key")?,
        fingerprint: bytes32(row, "fingerprint")?,
        status: port(row.try_get("status")?)?,
        location: row.try_get("location")?,
        body: row.try_get("body")?,
        created_at: unsigned(row.try_get("created_at")?)?,
    })
}

/// A row of the audit log.
pub(super) fn audit(row: &SqliteRow) -> Result<audit::Row, StoreError> {
    Ok(audit::Row {
        seq: unsigned(row.try_get("seq")?)?,
        record: row.try_get("record")?,
        hash: bytes32(row, "hash")?,
    })
}

/// As SQLite keeps it.
pub(super) fn integer(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Broken(format!("{value} is too large")))
}

/// As we use it.
pub(super) fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Broken(format!("{value} is negative")))
}

fn port(value: i64) -> Result<u16, StoreError> {
    u16::try_from(value).map_err(|_| StoreError::Broken(format!("{value} does not fit")))
}

fn bytes32(row: &SqliteRow, column: &str) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| StoreError::Broken(format!("{column} is not 32 bytes")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Broken(error.to_string()))
}
