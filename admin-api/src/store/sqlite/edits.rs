//! One edit each, as SQL.

use crate::desired::{Edit, Goal, Host, Instance, Settings};
use crate::operation::Operation;
use crate::store::StoreError;
use crate::store::rows::{goal_columns, integer, to_json};
use sqlx::SqliteConnection;

/// Applies one edit of the change that makes `generation`.
pub(super) async fn apply(connection: &mut SqliteConnection, edit: &Edit, generation: u64) -> Result<(), StoreError> {
    match edit {
        Edit::SetSettings(settings) => set_settings(connection, settings).await,
        Edit::PutHost(host) => put_host(connection, host).await,
        Edit::AddInstance(instance) => add_instance(connection, instance, generation).await,
        Edit::SetGoal { name, goal } => set_goal(connection, name, *goal, generation).await,
        Edit::SetBalancing {
            strategy,
            parameters,
            trial,
        } => {
            sqlx::query("UPDATE balancing SET strategy = ?, parameters = ?, trial = ?, generation = generation + 1")
                .bind(strategy)
                .bind(to_json(parameters)?)
                .bind(trial.as_ref().map(to_json).transpose()?)
                .execute(connection)
                .await?;
            Ok(())
        }
        Edit::SetRebalance(rebalance) => {
            sqlx::query("UPDATE balancing SET rebalance = ?")
                .bind(rebalance.as_ref().map(to_json).transpose()?)
                .execute(connection)
                .await?;
            Ok(())
        }
        Edit::SetLimits(limits) => {
            sqlx::query("UPDATE limits SET document = ?, generation = generation + 1")
                .bind(to_json(limits)?)
                .execute(connection)
                .await?;
            Ok(())
        }
        Edit::PutOperation(operation) => put_operation(connection, operation).await,
    }
}

async fn set_settings(connection: &mut SqliteConnection, settings: &Settings) -> Result<(), StoreError> {
    sqlx::query("UPDATE cluster SET control = ?, database = ?, blobs = ?, bus = ?")
        .bind(&settings.control)
        .bind(settings.database.expose())
        .bind(&settings.blobs)
        .bind(settings.bus.expose())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_host(connection: &mut SqliteConnection, host: &Host) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO hosts (name, address, internal_address, probe_port, balancer_port, server_port_base) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET
             address = excluded.address, internal_address = excluded.internal_address, probe_port = excluded.probe_port,
             balancer_port = excluded.balancer_port, server_port_base = excluded.server_port_base",
    )
    .bind(&host.name)
    .bind(&host.address)
    .bind(&host.internal_address)
    .bind(i64::from(host.probe_port))
    .bind(i64::from(host.balancer_port))
    .bind(i64::from(host.server_port_base))
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_instance(connection: &mut SqliteConnection, instance: &Instance, generation: u64) -> Result<(), StoreError> {
    let (goal, until, pace) = goal_columns(instance.goal)?;
    sqlx::query(
        "INSERT INTO instances (name, role, ordinal, host, listen, internal_listen, probe_listen, weight, connections_max, epoch,
                                goal, goal_until, goal_pace, goal_generation)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&instance.name)
    .bind(instance.role.to_string())
    .bind(integer(instance.ordinal)?)
    .bind(&instance.host)
    .bind(&instance.listen)
    .bind(&instance.internal_listen)
    .bind(&instance.probe_listen)
    .bind(instance.weight)
    .bind(integer(instance.connections_max)?)
    .bind(integer(instance.epoch)?)
    .bind(goal)
    .bind(until)
    .bind(pace)
    .bind(integer(generation)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_goal(connection: &mut SqliteConnection, name: &str, goal: Goal, generation: u64) -> Result<(), StoreError> {
    let (goal, until, pace) = goal_columns(goal)?;
    let done = sqlx::query("UPDATE instances SET goal = ?, goal_until = ?, goal_pace = ?, goal_generation = ? WHERE name = ?")
        .bind(goal)
        .bind(until)
        .bind(pace)
        .bind(integer(generation)?)
        .bind(name)
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Broken(format!("there is no instance {name}")))
    }
}

async fn put_operation(connection: &mut SqliteConnection, operation: &Operation) -> Result<(), StoreError> {
    let document = to_json(operation)?;
    sqlx::query(
        "INSERT INTO operations (id, target, state, document) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document",
    )
    .bind(&operation.id)
    .bind(&operation.target.name)
    .bind(operation.state.as_str())
    .bind(document)
    .execute(connection)
    .await?;
    Ok(())
}
