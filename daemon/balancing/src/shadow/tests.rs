//! Shadows beside what really is, and beside what would be.

use super::*;
use proptest::prelude::*;

fn standings(clients: &[u64]) -> Vec<Standing> {
    (0..)
        .zip(clients)
        .map(|(index, clients)| Standing {
            index: ServerIndex(index),
            clients: *clients,
            weight: 1.0,
            bytes: 0,
        })
        .collect()
}

fn candidates(standings: &[Standing]) -> Vec<Candidate> {
    let of = |standing: &Standing| Candidate {
        index: standing.index,
        name_hash: crate::hash::text(&standing.index.0.to_string()),
        clients: standing.clients,
        weight: standing.weight,
        assigned_at: 0,
        bytes: standing.bytes,
    };
    standings.iter().map(of).collect()
}

fn assign(shadows: &mut Shadows, standings: &mut [Standing], picked: usize) {
    let candidates = candidates(standings);
    let scene = Scene {
        now: 0,
        candidates: &candidates,
        hint: None,
    };
    shadows.assign(standings, &scene, standings[picked].index);
    standings[picked].clients += 1;
}

fn of(shadows: &Shadows, name: &str) -> Vec<u64> {
    let row = shadows.rows.iter().find(|row| row.name == name).unwrap();
    row.places.iter().map(|place| place.clients).collect()
}

#[test]
fn a_strategy_that_would_do_better_is_seen_to() {
    let mut shadows = Shadows::new("random", 1);
    let mut real = standings(&[0, 0, 0]);
    for _ in 0..30 {
        assign(&mut shadows, &mut real, 1);
    }
    shadows.see(&real);
    assert_eq!(of(&shadows, "least-load"), [10, 10, 10]);
    assert_eq!(of(&shadows, "round-robin"), [10, 10, 10]);
    let imbalances = shadows.imbalances();
    assert_eq!(imbalances["least-load"], 0.0);
    let others = ["least-bytes", "least-load", "power-of-two", "rendezvous", "round-robin"];
    assert!(imbalances.keys().eq(&others), "all but the one in force");
}

#[test]
fn clients_whom_nobody_here_placed_are_where_they_really_are() {
    let mut shadows = Shadows::new("random", 1);
    shadows.see(&standings(&[5, 0, 7]));
    shadows.see(&standings(&[5, 4, 9]));
    for row in &shadows.rows {
        assert_eq!(of(&shadows, row.name), [5, 4, 9]);
    }
}

#[test]
fn the_strategy_that_was_in_force_starts_its_shadow_from_what_it_made() {
    let mut shadows = Shadows::new("random", 1);
    let mut real = standings(&[0, 0]);
    for _ in 0..8 {
        assign(&mut shadows, &mut real, 0);
    }
    shadows.see(&real);
    shadows.follow("least-load");
    assert_eq!(of(&shadows, "random"), [8, 0]);
    assert_eq!(of(&shadows, "round-robin"), [4, 4], "the others go on");
    assert!(!shadows.imbalances().contains_key("least-load"));
}

#[test]
fn a_server_that_goes_takes_its_shadow_clients_and_no_more_are_there_than_really_are() {
    let mut shadows = Shadows::new("random", 1);
    let mut real = standings(&[0, 0, 0]);
    for _ in 0..30 {
        assign(&mut shadows, &mut real, 1);
    }
    // Really it had none, in the shadow ten: they come back to the others.
    shadows.see(&real[1..]);
    assert_eq!(of(&shadows, "least-load").len(), 2);
    assert_eq!(of(&shadows, "least-load").iter().sum::<u64>(), 30);
    // Really it had all, in the shadow half: all are gone.
    shadows.see(&real[2..]);
    assert_eq!(of(&shadows, "least-load"), [0]);
}

#[test]
fn whoever_leaves_is_as_likely_to_be_anyone() {
    let mut rng = StdRng::seed_from_u64(5);
    let places: Vec<_> = [10, 30, 60].map(|clients| Place::new(ServerIndex(0), clients)).to_vec();
    let mut left = [0; 3];
    for _ in 0..3_000 {
        let mut after = places.clone();
        spread(&mut after, 1, &mut rng, |place| place.clients, |place, some| place.clients -= some);
        for (left, (before, after)) in left.iter_mut().zip(places.iter().zip(&after)) {
            *left += before.clients - after.clients;
        }
    }
    // Binomial: five standard deviations.
    for (left, chance) in left.iter().zip([0.1, 0.3, 0.6]) {
        let deviation = (3_000.0f64 * chance * (1.0 - chance)).sqrt();
        assert!((*left as f64 - 3_000.0 * chance).abs() <= 5.0 * deviation, "{left} of {chance}");
    }
}

/// Arrivals and departures at even rates under one strategy; gives the mean of
/// its own imbalance, and of the other strategies' shadows.
fn churn(in_force: &'static str, seed: u64) -> (f64, BTreeMap<&'static str, f64>) {
    let entry = STRATEGIES.iter().find(|entry| entry.info.name == in_force).unwrap();
    let mut strategy = (entry.build)(Parameters(&BTreeMap::new()));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut shadows = Shadows::new(in_force, seed);
    let mut real = standings(&[0; 5]);
    let (mut own, mut shadow, mut looks) = (0.0, BTreeMap::new(), 0.0);
    for step in 0..6_000u64 {
        let candidates = candidates(&real);
        let scene = Scene {
            now: step,
            candidates: &candidates,
            hint: None,
        };
        let picked = strategy.pick(&scene, &mut rng).unwrap();
        shadows.assign(&real, &scene, picked);
        real[picked.0 as usize].clients += 1;
        if step < 500 {
            continue;
        }
        // From 500 clients on, one leaves for each that comes.
        let mut nth = rng.random_range(0..real.iter().map(|server| server.clients).sum());
        let leaves = real.iter_mut().find(|server| {
            let here = nth < server.clients;
            nth = nth.saturating_sub(server.clients);
            here
        });
        leaves.unwrap().clients -= 1;
        if step > 2_000 {
            shadows.see(&real);
            looks += 1.0;
            own += imbalance(real.iter().map(|server| (server.clients, server.weight)));
            for (name, now) in shadows.imbalances() {
                *shadow.entry(name).or_insert(0.0) += now;
            }
        }
    }
    shadow.values_mut().for_each(|sum| *sum /= looks);
    (own / looks, shadow)
}

#[test]
fn a_shadow_comes_near_to_what_its_strategy_really_does() {
    let (random, beside_random) = churn("random", 1);
    let (least_load, beside_least_load) = churn("least-load", 2);
    let (power, _) = churn("power-of-two", 3);
    assert!(least_load < power && power < random / 2.0, "{least_load} {power} {random}");
    let near = |shadow: f64, real: f64| (shadow - real).abs() <= 0.35 * real + 0.01;
    assert!(near(beside_least_load["random"], random), "{beside_least_load:?} {random}");
    assert!(near(beside_random["least-load"], least_load), "{beside_random:?} {least_load}");
    assert!(near(beside_random["power-of-two"], power), "{beside_random:?} {power}");
}

proptest! {
    /// Whatever comes and goes: every shadow has the real servers and as many clients as there really are.
    #[test]
    fn a_shadow_has_as_many_clients_as_there_really_are(
        steps in proptest::collection::vec((proptest::collection::vec(proptest::option::weighted(0.8, 0..50u64), 5), 0..5usize), 1..60),
        seed in any::<u64>(),
    ) {
        let mut shadows = Shadows::new("random", seed);
        for (servers, picked) in steps {
            let mut real: Vec<_> = (0..).zip(&servers).filter_map(|(index, clients)| {
                let clients = (*clients)?;
                Some(Standing { index: ServerIndex(index), clients, weight: 1.0, bytes: clients * 1_000 })
            }).collect();
            if picked < real.len() {
                assign(&mut shadows, &mut real, picked);
            } else {
                shadows.see(&real);
            }
            let all: u64 = real.iter().map(|server| server.clients).sum();
            for row in &shadows.rows {
                prop_assert_eq!(row.places.iter().map(|place| place.clients).sum::<u64>(), all, "{}", row.name);
                prop_assert!(row.places.iter().map(|place| place.server).eq(real.iter().map(|server| server.index)));
            }
        }
    }
}
