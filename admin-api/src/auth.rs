//! Who calls, and whether they may.
//!
//! Operators' routes want the admin's token; a process's control link wants that
//! process's own. Tokens are compared by digest in constant time. A known token
//! in the wrong place is 403, anything else 401; both are audited.

use crate::app::App;
use crate::audit::{Outcome, Record, clip};
use crate::clock;
use crate::desired::Fleet;
use crate::edge::RequestInfo;
use crate::problem::Problem;
use crate::tokens::{TokenDigest, process_token};
use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fastchat_wire::control::Role;
use serde_json::Value;
use std::{fmt, sync::Arc};

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// The operator with the admin's token.
    Admin,
    /// A process of the fleet.
    Process(Role, String),
}

impl Principal {
    /// The name of its role in the audit log.
    fn role(&self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Process(Role::Server, _) => "server",
            Self::Process(Role::Balancer, _) => "balancer",
            Self::Process(Role::Agent, _) => "agent",
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Process(role, name) => write!(f, "{role}/{name}"),
        }
    }
}

/// An operator and the request that they make.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Whose token it is.
    pub(crate) principal: Principal,
    /// The request.
    pub(crate) request: RequestInfo,
}

impl Caller {
    /// The audit record of a change by this caller.
    pub(crate) fn changed(&self, status: u16, change: Value) -> Record {
        Record {
            change: Some(change),
            ..record(Some(&self.principal), &self.request, Outcome::Changed, status)
        }
    }
}

fn record(principal: Option<&Principal>, request: &RequestInfo, result: Outcome, status: u16) -> Record {
    Record {
        at: clock::now_ms(),
        who: principal.map_or_else(|| "unknown".to_owned(), ToString::to_string),
        role: principal.map_or("none", Principal::role).to_owned(),
        from: request.from.clone(),
        method: request.method.clone(),
        path: clip(&request.path),
        request_id: request.id.clone(),
        result,
        status,
        reason: request.reason.clone(),
        change: None,
        count: 1,
    }
}

/// Lets operators through.
pub(crate) async fn operators(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let info = RequestInfo::of(&request);
    let principal = identify(&app, request.headers());
    match principal {
        Ok(principal @ Principal::Admin) => {
            request.extensions_mut().insert(Caller { principal, request: info });
            next.run(request).await
        }
        Ok(principal @ Principal::Process(..)) => {
            let detail = format!("this is the token of {principal}; use an operator's, such as that in admin.token");
            deny(&app, Some(&principal), &info, Problem::forbidden(detail))
        }
        Err(problem) => deny(&app, None, &info, problem),
    }
}

/// Lets a process through to its own control link.
pub(crate) async fn processes(
    State(app): State<Arc<App>>,
    path: Result<Path<(Role, String)>, axum::extract::rejection::PathRejection>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(Path((role, name))) = path else {
        return Problem::not_found("a control link is /v1/control/{server|balancer|agent}/{name}/{spec|status}").into_response();
    };
    let info = RequestInfo::of(&request);
    match identify_process(&app, request.headers(), role, &name) {
        Ok(()) => next.run(request).await,
        Err(problem) => match identify(&app, request.headers()) {
            Ok(principal) => {
                let problem = Problem::forbidden(format!(
                    "this is the token of {principal}, and only {role}/{name} may follow this link"
                ));
                deny(&app, Some(&principal), &info, problem)
            }
            Err(_) => deny(&app, None, &info, problem),
        },
    }
}

fn deny(app: &App, principal: Option<&Principal>, info: &RequestInfo, problem: Problem) -> Response {
    app.denials.record(record(principal, info, Outcome::Denied, problem.status));
    problem.into_response()
}

fn bearer(headers: &HeaderMap) -> Result<TokenDigest, Problem> {
    let refusal = || Problem::unauthorized("send `Authorization: Bearer TOKEN`; the admin's token is in admin.token of the data folder");
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(refusal)?;
    let (scheme, token) = value.split_once(' ').ok_or_else(refusal)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(TokenDigest::of(token.trim()))
    } else {
        Err(refusal())
    }
}

fn identify_process(app: &App, headers: &HeaderMap, role: Role, name: &str) -> Result<(), Problem> {
    let given = bearer(headers)?;
    let wanted = process_token(&app.fleet().cluster.fleet_key, role, name);
    if given.matches(&TokenDigest::of(wanted.expose())) {
        Ok(())
    } else {
        Err(unknown_token())
    }
}

fn identify(app: &App, headers: &HeaderMap) -> Result<Principal, Problem> {
    let given = bearer(headers)?;
    if given.matches(&app.admin_token) {
        return Ok(Principal::Admin);
    }
    process_of(&app.fleet(), &given).ok_or_else(unknown_token)
}

/// Only for the sake of the right refusal: it is not on the path of anyone who may.
fn process_of(fleet: &Fleet, given: &TokenDigest) -> Option<Principal> {
    let agents = fleet.hosts.iter().map(|host| (Role::Agent, &host.name));
    let instances = fleet.instances.iter().map(|instance| (instance.role, &instance.name));
    agents
        .chain(instances)
        .find(|(role, name)| given.matches(&TokenDigest::of(process_token(&fleet.cluster.fleet_key, *role, name).expose())))
        .map(|(role, name)| Principal::Process(role, name.clone()))
}

fn unknown_token() -> Problem {
    Problem::unauthorized("nobody has this token; the admin's token is in admin.token of the data folder")
}
