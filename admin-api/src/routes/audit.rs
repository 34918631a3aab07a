//! `/v1/audit`: who changed what, and who was refused.

use crate::app::App;
use crate::audit::{self, Row};
use crate::extract::Params;
use crate::pages::{self, PageQuery};
use crate::problem::Problem;
use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{fmt::Write, sync::Arc};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/audit", get(list))
}

/// A page of the log.
#[derive(Serialize)]
struct AuditList {
    items: Vec<Item>,
    next_page_token: Option<String>,
    /// Whether every row of this page continues the chain.
    chain_intact: bool,
}

/// A row.
#[derive(Serialize)]
struct Item {
    seq: u64,
    /// Hex.
    hash: String,
    /// As it was hashed, to the byte.
    record: Box<RawValue>,
}

async fn list(State(app): State<Arc<App>>, Params(query): Params<PageQuery>) -> Result<Json<AuditList>, Problem> {
    app.denials.flush().await;
    let (after, limit) = (query.after()?, query.limit()?);
    let mut page = app.store.audit(after, limit + 1).await?;
    let more = page.rows.len() > limit as usize;
    page.rows.truncate(limit as usize);
    let broken = audit::broken_at(&page.previous, after, &page.rows);
    if let Some(seq) = broken {
        tracing::error!(seq, "the audit log was tampered with: its chain of hashes breaks here");
    }
    let next_page_token = page.rows.last().filter(|_| more).map(|row| pages::token(row.seq));
    let items = page.rows.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok(Json(AuditList {
        items,
        next_page_token,
        chain_intact: broken.is_none(),
    }))
}

fn item(row: Row) -> Result<Item, Problem> {
    let mut hash = String::with_capacity(64);
    for byte in row.hash {
        // Writing to a string does not fail.
        let _ = write!(hash, "{byte:02x}");
    }
    // A record that is no JSON any more was tampered with; it is shown all the same.
    let record = RawValue::from_string(row.record).or_else(|error| RawValue::from_string(format!("{:?}", error.to_string())));
    Ok(Item {
        seq: row.seq,
        hash,
        record: record.map_err(|_| Problem::internal())?,
    })
}
