//! Rows into values.

use crate::audit::{self, Record};
use crate::desired::{Cluster, Fleet, Goal, Host, Instance, Ordinals, Settings};
use crate::operation::{Operation, OperationState};
use crate::specs::DRAIN;
use crate::store::{AuditPage, Receipt, StoreError};
use fastchat_schema::Columns;
use fastchat_wire::{
    Secret, Secret32,
    control::{Balancing, Role},
};

/// What is read of the fleet, each in one statement, all within one transaction.
pub(super) mod select {
    pub(in crate::store) const CLUSTER: &str = "SELECT name, fleet_key, control, database, blobs, bus, generation FROM cluster";
    pub(in crate::store) const HOSTS: &str =
        "SELECT name, address, internal_address, probe_port, balancer_port, server_port_base FROM hosts ORDER BY name";
    pub(in crate::store) const INSTANCES: &str = "
        SELECT name, role, ordinal, host, listen, internal_listen, probe_listen, weight, connections_max, epoch,
               goal, goal_until, goal_pace, goal_generation
        FROM instances WHERE goal <> 'gone' ORDER BY role DESC, ordinal";
    pub(in crate::store) const ORDINALS: &str = "
        SELECT coalesce(max(ordinal) FILTER (WHERE role = 'server'), 0) AS server,
               coalesce(max(ordinal) FILTER (WHERE role = 'balancer'), 0) AS balancer
        FROM instances";
    pub(in crate::store) const BALANCING: &str = "SELECT strategy, parameters, generation, trial, rebalance FROM balancing";
    pub(in crate::store) const LIMITS: &str = "SELECT document, generation FROM limits";
    pub(in crate::store) const OPEN_OPERATIONS: &str = "SELECT document FROM operations WHERE state IN ('pending', 'running') ORDER BY id";
    /// Its kind stands in the document, in which a quote within a text is escaped.
    pub(in crate::store) const LAST_TRIAL: &str =
        r#"SELECT document FROM operations WHERE target = '*' AND document LIKE '%"kind":"trial"%' ORDER BY id DESC LIMIT 1"#;
    pub(in crate::store) const OPERATION_COUNTS: &str = "SELECT state, count(*) AS n FROM operations GROUP BY state";
    pub(in crate::store) const LAST_AUDIT: &str = "SELECT seq, record, hash FROM audit ORDER BY seq DESC LIMIT 1";
}

/// The rows of [`select`].
pub(super) struct FleetRows<R> {
    pub(super) cluster: R,
    pub(super) hosts: Vec<R>,
    pub(super) instances: Vec<R>,
    pub(super) ordinals: R,
    pub(super) balancing: R,
    pub(super) limits: R,
}

/// The desired state, whole.
pub(super) fn fleet<R: Columns>(rows: &FleetRows<R>, store: &str) -> Result<Fleet, StoreError> {
    let FleetRows {
        cluster,
        hosts,
        instances,
        ordinals,
        balancing,
        limits,
    } = rows;
    Ok(Fleet {
        generation: unsigned(integer_of(cluster, "generation")?)?,
        cluster: Cluster {
            name: text(cluster, "name")?.to_owned(),
            store: store.to_owned(),
            fleet_key: Secret32::new(bytes32(cluster, "fleet_key")?),
            settings: Settings {
                control: text(cluster, "control")?.to_owned(),
                database: Secret::new(text(cluster, "database")?.to_owned()),
                blobs: text(cluster, "blobs")?.to_owned(),
                bus: Secret::new(text(cluster, "bus")?.to_owned()),
            },
        },
        hosts: hosts.iter().map(host).collect::<Result<_, _>>()?,
        instances: instances.iter().map(instance).collect::<Result<_, _>>()?,
        ordinals: Ordinals {
            server: unsigned(integer_of(ordinals, "server")?)?,
            balancer: unsigned(integer_of(ordinals, "balancer")?)?,
        },
        balancing: Balancing {
            strategy: text(balancing, "strategy")?.to_owned(),
            parameters: json(text(balancing, "parameters")?)?,
            generation: unsigned(integer_of(balancing, "generation")?)?,
        },
        trial: optional(balancing, "trial")?,
        rebalance: optional(balancing, "rebalance")?,
        limits: json(text(limits, "document")?)?,
        limits_generation: unsigned(integer_of(limits, "generation")?)?,
    })
}

fn host(row: &impl Columns) -> Result<Host, StoreError> {
    Ok(Host {
        name: text(row, "name")?.to_owned(),
        address: text(row, "address")?.to_owned(),
        internal_address: text(row, "internal_address")?.to_owned(),
        probe_port: port(integer_of(row, "probe_port")?)?,
        balancer_port: port(integer_of(row, "balancer_port")?)?,
        server_port_base: port(integer_of(row, "server_port_base")?)?,
    })
}

fn instance(row: &impl Columns) -> Result<Instance, StoreError> {
    Ok(Instance {
        name: text(row, "name")?.to_owned(),
        role: role(text(row, "role")?)?,
        ordinal: unsigned(integer_of(row, "ordinal")?)?,
        host: text(row, "host")?.to_owned(),
        listen: text(row, "listen")?.to_owned(),
        internal_listen: text(row, "internal_listen")?.to_owned(),
        probe_listen: text(row, "probe_listen")?.to_owned(),
        weight: row
            .real("weight")?
            .ok_or_else(|| StoreError::Broken("a weight is missing".to_owned()))?,
        connections_max: unsigned(integer_of(row, "connections_max")?)?,
        epoch: unsigned(integer_of(row, "epoch")?)?,
        goal: goal(row)?,
        goal_generation: unsigned(integer_of(row, "goal_generation")?)?,
    })
}

fn role(text: &str) -> Result<Role, StoreError> {
    match text {
        "server" => Ok(Role::Server),
        "balancer" => Ok(Role::Balancer),
        other => Err(StoreError::Broken(format!("an instance has the role {other:?}"))),
    }
}

fn goal(row: &impl Columns) -> Result<Goal, StoreError> {
    match text(row, "goal")? {
        "run" => Ok(Goal::Run),
        "drain" => Ok(Goal::Drain {
            until: unsigned(row.integer("goal_until")?.unwrap_or(0))?,
            pace: optional(row, "goal_pace")?.unwrap_or(DRAIN),
        }),
        "stop" => Ok(Goal::Stop),
        "gone" => Ok(Goal::Gone),
        other => Err(StoreError::Broken(format!("an instance has the goal {other:?}"))),
    }
}

/// An operation, from its document.
pub(super) fn operation(row: &impl Columns) -> Result<Operation, StoreError> {
    json(text(row, "document")?)
}

/// A state and how many operations are in it.
pub(super) fn operation_count(row: &impl Columns) -> Result<(OperationState, u64), StoreError> {
    let name = text(row, "state")?;
    let state = OperationState::ALL.into_iter().find(|state| state.as_str() == name);
    let state = state.ok_or_else(|| StoreError::Broken(format!("an operation has the state {name:?}")))?;
    Ok((state, unsigned(integer_of(row, "n")?)?))
}

/// A receipt.
pub(super) fn receipt(row: &impl Columns) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        principal: text(row, "principal")?.to_owned(),
        key: text(row, "key")?.to_owned(),
        fingerprint: bytes32(row, "fingerprint")?,
        status: port(integer_of(row, "status")?)?,
        location: text(row, "location")?.to_owned(),
        body: text(row, "body")?.to_owned(),
        created_at: unsigned(integer_of(row, "created_at")?)?,
    })
}

/// A row of the audit log.
pub(super) fn audit(row: &impl Columns) -> Result<audit::Row, StoreError> {
    Ok(audit::Row {
        seq: unsigned(integer_of(row, "seq")?)?,
        record: text(row, "record")?.to_owned(),
        hash: bytes32(row, "hash")?,
    })
}

fn text<'r>(row: &'r impl Columns, column: &str) -> Result<&'r str, StoreError> {
    row.text(column)?.ok_or_else(|| StoreError::Broken(format!("{column} is missing")))
}

/// A column of integers.
pub(super) fn integer_of(row: &impl Columns, column: &str) -> Result<i64, StoreError> {
    row.integer(column)?
        .ok_or_else(|| StoreError::Broken(format!("{column} is missing")))
}

/// As databases keep it.
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

fn bytes32(row: &impl Columns, column: &str) -> Result<[u8; 32], StoreError> {
    row.bytes(column)?
        .unwrap_or_default()
        .try_into()
        .map_err(|_| StoreError::Broken(format!("{column} is not 32 bytes")))
}

/// A document that may be missing.
fn optional<T: serde::de::DeserializeOwned>(row: &impl Columns, column: &str) -> Result<Option<T>, StoreError> {
    row.text(column)?.map(json).transpose()
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Broken(error.to_string()))
}

/// A goal's columns.
pub(super) fn goal_columns(goal: Goal) -> Result<(&'static str, Option<i64>, Option<String>), StoreError> {
    Ok(match goal {
        Goal::Run => ("run", None, None),
        Goal::Drain { until, pace } => ("drain", Some(integer(until)?), Some(to_json(&pace)?)),
        Goal::Stop => ("stop", None, None),
        Goal::Gone => ("gone", None, None),
    })
}

/// A document as it is kept.
pub(super) fn to_json(document: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|error| StoreError::Broken(error.to_string()))
}

/// The next row of the audit log, after the last one.
pub(super) fn next_audit(last: Option<&impl Columns>, record: &Record) -> Result<audit::Row, StoreError> {
    let (seq, previous) = match last {
        Some(row) => {
            let row = audit(row)?;
            (row.seq, row.hash)
        }
        None => (0, audit::GENESIS),
    };
    let record = to_json(record)?;
    let seq = seq + 1;
    Ok(audit::Row {
        hash: audit::next_hash(&previous, seq, &record),
        seq,
        record,
    })
}

/// A page out of the rows from `after` on.
pub(super) fn audit_page(rows: &[impl Columns], after: u64) -> Result<AuditPage, StoreError> {
    let mut rows = rows.iter().map(audit).collect::<Result<Vec<_>, _>>()?;
    let before = if rows.first().is_some_and(|row| row.seq <= after) {
        Some(rows.remove(0))
    } else {
        None
    };
    Ok(AuditPage {
        previous: before.map_or(audit::GENESIS, |row| row.hash),
        rows,
    })
}
