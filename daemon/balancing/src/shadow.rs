//! Shadows: how uneven the servers would be under each of the other strategies.
//!
//! ```text
//!  a real assignment ──> every other strategy picks too, from its own counts
//!  real counts ── rose ──> the same clients on the same server in every shadow
//!              ── fell ──> as many clients leave each shadow, whichever
//! ```
//!
//! A shadow has as many clients as there really are, on servers of its own
//! choice. What is known of arrivals is exact: the candidates, the hint, the
//! moment. Clients whom this balancer did not place (another's, or those from
//! before its start) are where they really are.
//!
//! Of a departure only the real server is known, not the client. So who leaves
//! a shadow is drawn: each of its clients is as likely as any other. That is
//! exact where the stay of a client depends neither on its age nor on its
//! server. The bias: where one server really loses its clients (because it is
//! slow, say), a shadow loses them everywhere, and looks more even than it would
//! be; where it is mostly new clients that leave, counts that were uneven heal
//! faster in a shadow than they would. Many departures between two looks are
//! drawn at even distances over all clients (systematic sampling), which is as
//! fair, and spreads them a little better than chance would.
//!
//! A server that goes takes along its shadow clients. They come back as the real
//! ones do; where a shadow had more of them than there really were, the rest is
//! given to the other servers in proportion, where it had fewer, more leave.
//!
//! Bytes follow clients: each client of a shadow is taken to send what a client
//! sends on average. A server that is really full is no candidate in a shadow
//! either. Other strategies have their default parameters.

#[cfg(test)]
mod tests;

use crate::{
    imbalance::imbalance,
    strategy::{Candidate, Entry, Parameters, STRATEGIES, Scene, ServerIndex, Strategy},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

/// One of the servers that share the clients, as it really is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Which one.
    pub index: ServerIndex,
    /// Its connections and the places reserved on it.
    pub clients: u64,
    /// Its share, above 0.
    pub weight: f64,
    /// Bytes that it has sent; never shrinks.
    pub bytes: u64,
}

/// See the module.
pub struct Shadows {
    rows: Vec<Row>,
    /// The servers in order of their index, as they were seen last.
    real: Vec<Standing>,
    /// Bytes sent since the last pick, by all servers.
    sent: f64,
    assignments: u64,
    rng: StdRng,
}

/// One strategy's shadow.
struct Row {
    name: &'static str,
    strategy: Box<dyn Strategy>,
    /// In order of their index.
    places: Vec<Place>,
    /// What the strategy is shown; kept for its room.
    shown: Vec<Candidate>,
}

/// One server in a shadow.
#[derive(Debug, Clone, Copy)]
struct Place {
    server: ServerIndex,
    clients: u64,
    assigned_at: u64,
    bytes: f64,
}

/// What became of the real servers since they were seen last.
#[derive(Debug, Default)]
struct Changes {
    gone: Vec<(ServerIndex, u64)>,
    /// New servers, and old ones with more clients.
    more: Vec<(ServerIndex, u64)>,
    fewer: u64,
}

impl Shadows {
    /// Shadows of all strategies but the one in force.
    #[must_use]
    pub fn new(in_force: &str, seed: u64) -> Self {
        let mut shadows = Self {
            rows: Vec::new(),
            real: Vec::new(),
            sent: 0.0,
            assignments: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        shadows.follow(in_force);
        shadows
    }

    /// Another strategy is in force: it has no shadow from now on, and the one
    /// before starts its own from what it has really made of the servers.
    pub fn follow(&mut self, in_force: &str) {
        self.rows.retain(|row| row.name != in_force);
        for entry in STRATEGIES {
            let name = entry.info.name;
            if name != in_force && self.rows.iter().all(|row| row.name != name) {
                self.rows.push(Row::new(entry, &self.real));
            }
        }
    }

    /// A client is about to get a place on the server `picked`: `standings` are from before, in order of their index.
    pub fn assign(&mut self, standings: &[Standing], scene: &Scene<'_>, picked: ServerIndex) {
        self.see(standings);
        self.assignments += 1;
        for row in &mut self.rows {
            row.assign(scene, self.assignments, self.sent, &mut self.rng);
        }
        self.sent = 0.0;
        // Theirs has come already: it is none of the next changes.
        if let Ok(at) = self.real.binary_search_by_key(&picked, |standing| standing.index) {
            self.real[at].clients += 1;
        }
    }

    /// Takes over who came and went; `standings` in order of their index.
    pub fn see(&mut self, standings: &[Standing]) {
        let changes = self.changes(standings);
        self.real.clear();
        self.real.extend_from_slice(standings);
        for row in &mut self.rows {
            row.change(&changes, &mut self.rng);
        }
    }

    /// How uneven the servers would be under each of the other strategies, by name.
    #[must_use]
    pub fn imbalances(&self) -> BTreeMap<&'static str, f64> {
        let of = |row: &Row| {
            // Both are of the same servers, in the same order.
            let servers = row.places.iter().zip(&self.real);
            imbalance(servers.map(|(place, standing)| (place.clients, standing.weight)))
        };
        self.rows.iter().map(|row| (row.name, of(row))).collect()
    }

    fn changes(&mut self, standings: &[Standing]) -> Changes {
        let mut changes = Changes::default();
        let mut known = self.real.iter().peekable();
        for standing in standings {
            while let Some(gone) = known.next_if(|known| known.index < standing.index) {
                changes.gone.push((gone.index, gone.clients));
            }
            match known.next_if(|known| known.index == standing.index) {
                None => changes.more.push((standing.index, standing.clients)),
                Some(before) => {
                    self.sent += standing.bytes.saturating_sub(before.bytes) as f64;
                    if standing.clients > before.clients {
                        changes.more.push((standing.index, standing.clients - before.clients));
                    }
                    changes.fewer += before.clients.saturating_sub(standing.clients);
                }
            }
        }
        changes.gone.extend(known.map(|gone| (gone.index, gone.clients)));
        changes
    }
}

impl Row {
    fn new(entry: &Entry, real: &[Standing]) -> Self {
        let place = |standing: &Standing| Place::new(standing.index, standing.clients);
        Self {
            name: entry.info.name,
            strategy: (entry.build)(Parameters(&BTreeMap::new())),
            places: real.iter().map(place).collect(),
            shown: Vec::new(),
        }
    }

    fn change(&mut self, changes: &Changes, rng: &mut StdRng) {
        let (mut back, mut fewer) = (0, changes.fewer);
        for (server, clients) in &changes.gone {
            if let Ok(at) = self.find(*server) {
                let here = self.places.remove(at).clients;
                back += here.saturating_sub(*clients);
                fewer += clients.saturating_sub(here);
            }
        }
        for (server, clients) in &changes.more {
            match self.find(*server) {
                Ok(at) => self.places[at].clients += clients,
                Err(at) => self.places.insert(at, Place::new(*server, *clients)),
            }
        }
        if back > 0 {
            spread(
                &mut self.places,
                back,
                rng,
                |place| place.clients + 1,
                |place, some| place.clients += some,
            );
        }
        let here = self.places.iter().map(|place| place.clients).sum();
        let fewer = fewer.min(here);
        if fewer > 0 {
            spread(
                &mut self.places,
                fewer,
                rng,
                |place| place.clients,
                |place, some| place.clients -= some,
            );
        }
    }

    fn assign(&mut self, scene: &Scene<'_>, assignment: u64, sent: f64, rng: &mut StdRng) {
        if sent > 0.0 {
            let clients: u64 = self.places.iter().map(|place| place.clients).sum();
            let each = sent / clients.max(1) as f64;
            for place in &mut self.places {
                place.bytes += each * place.clients as f64;
            }
        }
        let mut places = self.places.iter();
        self.shown.clear();
        self.shown.extend(scene.candidates.iter().filter_map(|candidate| {
            let place = places.find(|place| place.server == candidate.index)?;
            Some(Candidate {
                clients: place.clients,
                assigned_at: place.assigned_at,
                bytes: place.bytes as u64,
                ..*candidate
            })
        }));
        let scene = Scene {
            candidates: &self.shown,
            ..*scene
        };
        if let Some(picked) = self.strategy.pick(&scene, rng)
            && let Ok(at) = self.find(picked)
        {
            self.places[at].clients += 1;
            self.places[at].assigned_at = assignment;
        }
    }

    fn find(&self, server: ServerIndex) -> Result<usize, usize> {
        self.places.binary_search_by_key(&server, |place| place.server)
    }
}

impl Place {
    fn new(server: ServerIndex, clients: u64) -> Self {
        Self {
            server,
            clients,
            assigned_at: 0,
            bytes: 0.0,
        }
    }
}

/// Spreads `count` over places by their sizes: drawn at even distances, with a
/// start by chance, so that each gets its exact part on average and never more
/// than that rounded up.
fn spread(places: &mut [Place], count: u64, rng: &mut StdRng, size: impl Fn(&Place) -> u64, give: impl Fn(&mut Place, u64)) {
    let sum: u64 = places.iter().map(&size).sum();
    if sum == 0 {
        return;
    }
    let start = u128::from(rng.random_range(0..sum));
    let (sum, count) = (u128::from(sum), u128::from(count));
    // Draws below a point of the sizes laid end to end: the k-th stands at (k sum + start) / count.
    let below = |point: u128| (point * count).saturating_sub(start).div_ceil(sum);
    let (mut point, mut given) = (0, 0);
    for place in places {
        point += u128::from(size(place));
        let all = below(point);
        // No more than the count, which was a u64.
        give(place, u64::try_from(all - given).unwrap_or(u64::MAX));
        given = all;
    }
}
