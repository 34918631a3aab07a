//! Weights, slow start, what servers say of their bytes, and who keeps his server.

use super::*;

fn with_slow_start(slow_start_ms: u64) -> Registry {
    let mut registry = Registry::default();
    registry.set_slow_start(slow_start_ms);
    registry
}

fn join(registry: &mut Registry, now: u64, name: &str, weight: f64, connections: u64) -> LinkId {
    registry.attach(now, name, "a:1".into(), weight, &reported(connections))
}

fn weights(registry: &mut Registry, now: u64) -> Vec<f64> {
    registry.candidates(now, None).iter().map(|candidate| candidate.weight).collect()
}

#[test]
fn a_new_server_gets_its_share_bit_by_bit_and_never_nothing() {
    let mut registry = with_slow_start(10_000);
    join(&mut registry, 0, "old", 1.0, 100);
    join(&mut registry, 20_000, "new", 4.0, 0);
    assert_eq!(weights(&mut registry, 20_000), [1.0, 0.4]);
    assert_eq!(weights(&mut registry, 20_500), [1.0, 0.4]);
    assert_eq!(weights(&mut registry, 25_000), [1.0, 2.0]);
    assert_eq!(weights(&mut registry, 29_999), [1.0, 4.0 * 0.9999]);
    assert_eq!(weights(&mut registry, 30_000), [1.0, 4.0]);
}

#[test]
fn where_all_are_new_nobody_waits() {
    let mut registry = with_slow_start(10_000);
    join(&mut registry, 0, "a", 1.0, 0);
    join(&mut registry, 5_000, "b", 2.0, 0);
    assert_eq!(weights(&mut registry, 5_000), [1.0, 2.0]);
    assert_eq!(weights(&mut registry, 10_000), [1.0, 1.0], "a has started, b is half way");
}

#[test]
fn a_server_that_brings_its_clients_is_not_new() {
    let mut registry = with_slow_start(10_000);
    let link = join(&mut registry, 0, "a", 1.0, 5);
    join(&mut registry, 0, "b", 1.0, 5);
    registry.detach(link);
    join(&mut registry, 50, "a", 1.0, 5);
    assert_eq!(weights(&mut registry, 50), [1.0, 1.0]);
}

#[test]
fn no_slow_start_is_the_whole_share_at_once() {
    let mut registry = with_slow_start(0);
    join(&mut registry, 0, "old", 1.0, 100);
    join(&mut registry, 20_000, "new", 4.0, 0);
    assert_eq!(weights(&mut registry, 20_000), [1.0, 4.0]);
}

#[test]
fn a_slow_start_keeps_least_load_from_sending_everybody_to_the_new_server() {
    let mut registry = with_slow_start(10_000);
    for name in ["a", "b"] {
        join(&mut registry, 0, name, 1.0, 100);
    }
    let new = join(&mut registry, 20_000, "new", 1.0, 0);
    let (_, mut strategy) = strategy::initial();
    let mut rng = StdRng::seed_from_u64(0);
    let mut at_half = 0;
    for number in 0..200 {
        let now = 20_000 + number * 50;
        let candidates = registry.candidates(now, None);
        let scene = Scene {
            now,
            candidates: &candidates,
            hint: None,
        };
        let picked = strategy.pick(&scene, &mut rng).unwrap();
        registry.reserve(picked, number, u64::MAX, None).unwrap();
        if number == 100 {
            at_half = registry.reserved(new).unwrap();
        }
    }
    assert!(
        (45..=75).contains(&at_half),
        "half way it has about half of what the others have: {at_half}"
    );
    assert!(registry.reserved(new).unwrap() > 100, "in the end it has caught up");
}

fn bytes(registry: &mut Registry) -> Vec<u64> {
    registry.candidates(0, None).iter().map(|candidate| candidate.bytes).collect()
}

#[test]
fn bytes_never_shrink_whatever_a_server_says() {
    let mut registry = Registry::default();
    let liar = attach(&mut registry, "liar", 0);
    let honest = attach(&mut registry, "honest", 0);
    let says = |bytes_out| Reported { bytes_out, ..reported(0) };
    registry.load(1, honest, &says(500)).unwrap();
    registry.load(1, liar, &says(1_000)).unwrap();
    registry.load(2, liar, &says(10)).unwrap();
    assert_eq!(bytes(&mut registry), [1_010, 500], "started again, it seems");
    registry.load(3, liar, &says(u64::MAX)).unwrap();
    registry.load(4, liar, &says(0)).unwrap();
    registry.load(5, liar, &says(u64::MAX)).unwrap();
    assert_eq!(bytes(&mut registry), [u64::MAX, 500], "its own loss, and nobody else's");
}

#[test]
fn a_server_that_lies_about_its_clients_harms_itself_only() {
    let mut registry = Registry::default();
    let boasts = attach(&mut registry, "boasts", u64::pow(2, 53));
    let shrinks = attach(&mut registry, "shrinks", 10);
    let honest = [attach(&mut registry, "a", 10), attach(&mut registry, "b", 10)];
    registry.set_policy(Policy {
        clients_max: [("shrinks".to_owned(), 40)].into(),
        ..Policy::default()
    });
    let (_, mut strategy) = strategy::initial();
    let mut rng = StdRng::seed_from_u64(0);
    for number in 0..100 {
        // Says that it has none, whoever was sent.
        registry.load(number, shrinks, &reported(0)).unwrap();
        let candidates = registry.candidates(number, None);
        let scene = Scene {
            now: number,
            candidates: &candidates,
            hint: None,
        };
        let picked = strategy.pick(&scene, &mut rng).unwrap();
        registry.reserve(picked, number, u64::MAX, None).unwrap();
    }
    let got = |link| registry.reserved(link).unwrap();
    assert_eq!(got(boasts), 0);
    assert_eq!(got(shrinks), 40, "what is out for it counts, whatever it says, up to its limit");
    assert_eq!(honest.map(got), [30, 30]);
}

/// Where each of these hints goes.
fn places(registry: &mut Registry, hints: u32) -> Vec<ServerIndex> {
    let mut strategy = strategy::build(&Balancing {
        strategy: "rendezvous".into(),
        parameters: BTreeMap::new(),
        generation: 1,
    })
    .ok()
    .unwrap();
    let mut rng = StdRng::seed_from_u64(0);
    let candidates = registry.candidates(0, None);
    let mut place = |hint: u32| {
        let hint = hint.to_string();
        let scene = Scene {
            now: 0,
            candidates: &candidates,
            hint: Some(&hint),
        };
        strategy.pick(&scene, &mut rng).unwrap()
    };
    (0..hints).map(&mut place).collect()
}

#[test]
fn a_hint_keeps_its_server_and_one_nth_moves_when_a_server_comes_or_goes() {
    const HINTS: u32 = 4_000;
    let mut registry = Registry::default();
    for name in ["s1", "s2", "s3", "s4", "s5", "s6", "s7"] {
        attach(&mut registry, name, 0);
    }
    let seven = places(&mut registry, HINTS);
    assert_eq!(seven, places(&mut registry, HINTS));
    let eighth = attach(&mut registry, "s8", 0);
    let eight = places(&mut registry, HINTS);
    let moved = seven.iter().zip(&eight).filter(|(before, after)| before != after);
    assert!(moved.clone().all(|(_, after)| *after == eighth.server));
    // An eighth of 4,000, and five standard deviations.
    assert!((395..=605).contains(&moved.count()));
    registry.detach(eighth);
    assert_eq!(places(&mut registry, HINTS), seven, "who came goes back");
}

#[test]
fn two_balancers_and_one_that_was_restarted_agree_on_every_hint() {
    let mut one = Registry::default();
    let mut other = Registry::default();
    for name in ["s1", "s2", "s3"] {
        attach(&mut one, name, 0);
    }
    for name in ["s3", "gone", "s1", "s2"] {
        attach(&mut other, name, 0);
    }
    other.set_policy(Policy {
        excluded: ["gone".to_owned()].into(),
        ..Policy::default()
    });
    let names = |registry: &mut Registry| -> Vec<String> {
        let places = places(registry, 500);
        places.iter().map(|index| registry.servers[index].name.clone()).collect()
    };
    assert_eq!(names(&mut one), names(&mut other));
}
