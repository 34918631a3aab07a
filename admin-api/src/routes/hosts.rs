//! `/v1/hosts`: the machines that have an agent.

use crate::app::App;
use crate::extract::Params;
use crate::pages::{Page, PageQuery};
use crate::problem::Problem;
use crate::view::{self, HostView};
use axum::{Json, Router, extract::State, routing::get};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/hosts", get(list))
}

async fn list(State(app): State<Arc<App>>, Params(page): Params<PageQuery>) -> Result<Json<Page<HostView>>, Problem> {
    let (fleet, seen) = (app.fleet(), app.observed.snapshot());
    // Hosts are in the order of their names; a page's position is the place in that.
    page.of((1..).zip(fleet.hosts.iter().map(|host| view::host(&fleet, &seen, host))))
        .map(Json)
}
