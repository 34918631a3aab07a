//! What holds for every strategy.

use super::*;
use rand::{SeedableRng, rngs::StdRng};

/// Candidates with the given clients, all of weight 1.
pub(super) fn candidates(clients: &[u64]) -> Vec<Candidate> {
    (0..)
        .zip(clients)
        .map(|(index, clients)| Candidate {
            index: ServerIndex(index),
            name_hash: crate::hash::text(&format!("s{index}")),
            clients: *clients,
            weight: 1.0,
            assigned_at: 0,
            bytes: 0,
        })
        .collect()
}

/// A scene at 0 without a hint.
pub(super) fn scene(candidates: &[Candidate]) -> Scene<'_> {
    Scene {
        now: 0,
        candidates,
        hint: None,
    }
}

/// How often each server is picked, with nothing changing between picks.
pub(super) fn counts(strategy: &mut dyn Strategy, servers: &[Candidate], picks: u32, seed: u64) -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut counts = vec![0; servers.len()];
    for _ in 0..picks {
        counts[strategy.pick(&scene(servers), &mut rng).unwrap().0 as usize] += 1;
    }
    counts
}

/// Whether counts fit chances: chi-square within five standard deviations of
/// its mean, which fails by chance less than once in 10^4, and never with a fixed seed.
pub(super) fn fits(counts: &[u32], chances: &[f64]) -> bool {
    let all: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let chi_square: f64 = counts
        .iter()
        .zip(chances)
        .map(|(count, chance)| (f64::from(*count) - all * chance).powi(2) / (all * chance))
        .sum();
    let freedom = counts.len() as f64 - 1.0;
    chi_square <= freedom + 5.0 * (2.0 * freedom).sqrt()
}

fn balancing(strategy: &str) -> Balancing {
    Balancing {
        strategy: strategy.to_owned(),
        parameters: BTreeMap::new(),
        generation: 1,
    }
}

#[test]
fn every_strategy_picks_none_of_no_candidates_and_the_only_one_of_one() {
    let mut rng = StdRng::seed_from_u64(0);
    for Entry { info, build } in STRATEGIES {
        let mut strategy = build(Parameters(&BTreeMap::new()));
        assert_eq!(strategy.pick(&scene(&[]), &mut rng), None, "{}", info.name);
        let only = candidates(&[7]);
        for hint in [None, Some("hint")] {
            let scene = Scene { hint, ..scene(&only) };
            assert_eq!(strategy.pick(&scene, &mut rng), Some(ServerIndex(0)), "{}", info.name);
        }
    }
}

#[test]
fn one_seed_gives_one_sequence_of_picks() {
    for Entry { info, build } in STRATEGIES {
        let run = || {
            let mut strategy = build(Parameters(&BTreeMap::new()));
            let mut rng = StdRng::seed_from_u64(42);
            let mut servers = candidates(&[3, 1, 4, 1, 5]);
            let mut picks = Vec::new();
            for assignment in 1..200u64 {
                let hint = assignment.to_string();
                let scene = Scene {
                    now: assignment * 10,
                    candidates: &servers,
                    hint: (assignment % 2 == 0).then_some(&hint),
                };
                let picked = strategy.pick(&scene, &mut rng).unwrap();
                picks.push(picked);
                let server = &mut servers[picked.0 as usize];
                server.clients += 1;
                server.bytes += 100 * server.clients;
                server.assigned_at = assignment;
            }
            picks
        };
        assert_eq!(run(), run(), "{}", info.name);
    }
}

#[test]
fn strategies_stand_in_the_order_of_their_names_each_once() {
    let names: Vec<_> = STRATEGIES.iter().map(|entry| entry.info.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

#[test]
fn an_unknown_strategy_is_refused_with_the_known_ones() {
    let faults = build(&balancing("fastest")).err().unwrap();
    assert_eq!(
        faults[0].detail,
        "there is no strategy \"fastest\"; there are least-bytes, least-load, power-of-two, random, rendezvous, round-robin"
    );
}

#[test]
fn an_unknown_parameter_is_refused() {
    let mut balancing = balancing("random");
    balancing.parameters.insert("sides".to_owned(), 6.into());
    let faults = build(&balancing).err().unwrap();
    assert_eq!(faults[0].detail, "random has no parameter \"sides\"; it has slow_start_s");
}

#[test]
fn parameters_for_several_strategies_go_to_those_that_know_them() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let given = BTreeMap::from([("half_life_s".to_owned(), Value::from(30)), ("slow_start_s".to_owned(), 0.into())]);
    let dealt = deal(&names(&["least-bytes", "random"]), &given);
    let keys = |name: &str| dealt[name].keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys("least-bytes"), ["half_life_s", "slow_start_s"]);
    assert_eq!(keys("random"), ["slow_start_s"]);
    for (strategies, key) in [(&["random"][..], "half_life_s"), (&["random", "least-bytes"], "sides")] {
        let dealt = deal(&names(strategies), &[(key.to_owned(), 1.into())].into());
        assert!(check("random", &dealt["random"]).is_err(), "{key}: its refusal names what there is");
    }
}

/// What adding a strategy takes: its file, and one line.
#[expect(unreachable_pub, reason = "the table of the real list is public")]
mod added {
    use super::*;

    strategies! {
        fixed,
    }

    #[test]
    fn a_strategy_is_added_by_its_file_and_one_line() {
        let mut wanted = balancing("fixed");
        let servers = candidates(&[5, 6, 7]);
        let mut default = build_from(STRATEGIES, &wanted).ok().unwrap();
        assert_eq!(counts(&mut *default, &servers, 9, 0), [9, 0, 0]);
        wanted.parameters.insert("from".to_owned(), 2.into());
        let mut tuned = build_from(STRATEGIES, &wanted).ok().unwrap();
        assert_eq!(counts(&mut *tuned, &servers, 9, 0), [0, 0, 9]);
        wanted.parameters.insert("from".to_owned(), 101.into());
        let faults = build_from(STRATEGIES, &wanted).err().unwrap();
        assert_eq!(faults[0].detail, "from is a number from 0 to 100, not 101");
        assert!(check("fixed", &BTreeMap::new()).is_err(), "it stands in no list but this test's");
    }
}
