//! `/v1/limits`: what clients may take, changed while they are served.

use super::if_match::{IfMatch, etag};
use crate::app::{App, Decision};
use crate::auth::Caller;
use crate::desired::{Edit, Fleet};
use crate::extract::JsonBody;
use crate::problem::{Fault, Problem};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fastchat_wire::control::Limits;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

const PATH: &str = "/v1/limits";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show).put(replace))
}

/// The document, as REST shows it.
#[derive(Debug, Serialize)]
struct LimitsView<'a> {
    #[serde(flatten)]
    limits: &'a Limits,
    /// Counts changes; the ETag.
    generation: u64,
}

async fn show(State(app): State<Arc<App>>) -> Response {
    answer(&app.fleet())
}

fn answer(fleet: &Fleet) -> Response {
    let generation = fleet.limits_generation;
    let view = LimitsView {
        limits: &fleet.limits,
        generation,
    };
    ([(header::ETAG, etag(generation))], Json(view)).into_response()
}

/// The whole document; what is left out becomes the default.
fn read(given: &Value) -> Result<Limits, Problem> {
    let invalid = |faults: Vec<Fault>| {
        let first = faults.first().map(|fault| fault.detail.clone()).unwrap_or_default();
        Problem::invalid(first, faults)
    };
    let limits: Limits = serde_json::from_value(given.clone()).map_err(|error| {
        invalid(vec![Fault {
            pointer: String::new(),
            detail: error.to_string(),
        }])
    })?;
    let known = serde_json::to_value(&limits).unwrap_or_default();
    let mut faults = Vec::new();
    unknown(given, &known, "", &mut faults);
    let wrong = limits.check().err().unwrap_or_default();
    faults.extend(wrong.into_iter().map(|fault| Fault {
        pointer: fault.pointer,
        detail: fault.detail,
    }));
    if faults.is_empty() { Ok(limits) } else { Err(invalid(faults)) }
}

/// A limit that is misspelt is no limit: keys that the document doesn't have are faults.
fn unknown(given: &Value, known: &Value, at: &str, faults: &mut Vec<Fault>) {
    let (Some(given), Some(known)) = (given.as_object(), known.as_object()) else {
        return;
    };
    for (key, value) in given {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        match known.get(key) {
            Some(known) => unknown(value, known, &pointer, faults),
            // What the GET shows may be put again as it is.
            None if pointer == "/generation" => {}
            None => faults.push(Fault {
                detail: format!(
                    "there is no such limit; known here: {}",
                    known.keys().cloned().collect::<Vec<_>>().join(", ")
                ),
                pointer,
            }),
        }
    }
}

async fn replace(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody { value: given, .. }: JsonBody<Value>,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(&headers, PATH)?;
    let limits = read(&given)?;
    app.change(|fleet: &Fleet| {
        condition.check(fleet.limits_generation, PATH)?;
        let change = json!({"before": fleet.limits, "after": limits});
        Ok(Decision {
            edits: vec![Edit::SetLimits(limits.clone())],
            audit: Some(caller.changed(200, change)),
            receipt: None,
            value: (),
        })
    })
    .await?;
    Ok(answer(&app.fleet()))
}
