//! What an operator may ask for: the check of a strategy's name and parameters
//! against the table, the same where a change is asked for (the control plane,
//! which refuses it) and where it is put in force (the balancer).

use super::Entry;
use fastchat_wire::control::Fault;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an operator may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StrategyInfo {
    /// `round-robin`, as it stands in [`fastchat_wire::control::Balancing::strategy`].
    pub name: &'static str,
    /// What it does, for people.
    pub summary: &'static str,
    /// What can be set beside [`COMMON`], each with a default.
    pub parameters: &'static [ParameterInfo],
}

/// A number that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ParameterInfo {
    /// Its key in [`fastchat_wire::control::Balancing::parameters`].
    pub name: &'static str,
    /// What it does, with its unit, for people.
    pub summary: &'static str,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// In force where it isn't given.
    pub default: f64,
}

/// A server that comes to others gets its whole share only after this time.
pub const SLOW_START_S: ParameterInfo = ParameterInfo {
    name: "slow_start_s",
    summary: "a server that comes to others gets its whole share after so many seconds; 0: at once",
    min: 0.0,
    max: 3_600.0,
    default: 10.0,
};

/// What can be set with every strategy.
pub const COMMON: &[ParameterInfo] = &[SLOW_START_S];

/// The numbers that a strategy is built with.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a>(pub &'a BTreeMap<String, Value>);

impl Parameters<'_> {
    /// What is given, or the default.
    #[must_use]
    pub fn number(self, parameter: &ParameterInfo) -> f64 {
        self.0.get(parameter.name).and_then(Value::as_f64).unwrap_or(parameter.default)
    }
}

/// The entry that a strategy and its parameters can be built from.
///
/// # Errors
/// Every fault there is, each naming what is known instead.
pub(super) fn find<'a>(known: &'a [Entry], strategy: &str, parameters: &BTreeMap<String, Value>) -> Result<&'a Entry, Vec<Fault>> {
    let Some(entry) = known.iter().find(|entry| entry.info.name == strategy) else {
        let names: Vec<_> = known.iter().map(|entry| entry.info.name).collect();
        return Err(vec![Fault {
            pointer: "/strategy".to_owned(),
            detail: format!("there is no strategy {strategy:?}; there are {}", names.join(", ")),
        }]);
    };
    let faults: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| {
            let detail = match known_to(&entry.info).find(|parameter| parameter.name == name) {
                None => unknown_parameter(&entry.info, name),
                Some(parameter) => out_of_range(parameter, value)?,
            };
            Some(Fault {
                pointer: format!("/parameters/{}", name.replace('~', "~0").replace('/', "~1")),
                detail,
            })
        })
        .collect();
    if faults.is_empty() { Ok(entry) } else { Err(faults) }
}

pub(super) fn known_to(info: &StrategyInfo) -> impl Iterator<Item = &ParameterInfo> {
    info.parameters.iter().chain(COMMON)
}

fn unknown_parameter(info: &StrategyInfo, name: &str) -> String {
    let names: Vec<_> = known_to(info).map(|parameter| parameter.name).collect();
    format!("{} has no parameter {name:?}; it has {}", info.name, names.join(", "))
}

fn out_of_range(parameter: &ParameterInfo, value: &Value) -> Option<String> {
    let ParameterInfo { name, min, max, .. } = parameter;
    match value.as_f64() {
        Some(number) if (*min..=*max).contains(&number) => None,
        _ => Some(format!("{name} is a number from {min} to {max}, not {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{STRATEGIES, check, least_load};

    const KNOWN: &[Entry] = &[
        Entry {
            info: StrategyInfo {
                name: "plain",
                summary: "",
                parameters: &[],
            },
            ..least_load::ENTRY
        },
        Entry {
            info: StrategyInfo {
                name: "tuned",
                summary: "",
                parameters: &[ParameterInfo {
                    name: "half_life_s",
                    summary: "",
                    min: 1.0,
                    max: 3600.0,
                    default: 60.0,
                }],
            },
            ..least_load::ENTRY
        },
    ];

    fn faults(strategy: &str, parameters: Value) -> Vec<(String, String)> {
        let parameters = serde_json::from_value(parameters).unwrap();
        let faults = find(KNOWN, strategy, &parameters).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    }

    #[test]
    fn an_unknown_strategy_is_answered_with_the_known_ones() {
        let expected = "there is no strategy \"best\"; there are plain, tuned";
        assert_eq!(faults("best", serde_json::json!({})), [("/strategy".into(), expected.into())]);
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_the_known_ones() {
        assert_eq!(
            faults("tuned", serde_json::json!({"a/b": 1})),
            [(
                "/parameters/a~1b".into(),
                "tuned has no parameter \"a/b\"; it has half_life_s, slow_start_s".into()
            )]
        );
        assert_eq!(
            faults("plain", serde_json::json!({"half_life_s": 1})),
            [(
                "/parameters/half_life_s".into(),
                "plain has no parameter \"half_life_s\"; it has slow_start_s".into()
            )]
        );
    }

    #[test]
    fn a_parameter_keeps_to_its_range_both_ends_included() {
        for good in [serde_json::json!(1), serde_json::json!(3600), serde_json::json!(2.5)] {
            assert_eq!(faults("tuned", serde_json::json!({"half_life_s": good})), []);
        }
        for bad in [
            serde_json::json!(0.999),
            serde_json::json!(3600.5),
            serde_json::json!("60"),
            serde_json::json!(null),
        ] {
            let faults = faults("tuned", serde_json::json!({"half_life_s": bad}));
            assert_eq!(faults[0].1, format!("half_life_s is a number from 1 to 3600, not {bad}"));
        }
    }

    #[test]
    fn every_strategy_takes_the_common_parameters_within_their_ranges() {
        for entry in STRATEGIES {
            for parameter in COMMON {
                let with = |value: f64| check(entry.info.name, &[(parameter.name.to_owned(), value.into())].into());
                assert_eq!(with(parameter.max), Ok(()));
                assert!(with(parameter.max + 1.0).is_err(), "{}", entry.info.name);
            }
        }
    }

    #[test]
    fn every_default_is_within_its_own_range_and_every_name_is_the_strategys_only() {
        for entry in STRATEGIES {
            let all: Vec<_> = known_to(&entry.info).collect();
            let defaults: BTreeMap<_, _> = all.iter().map(|p| (p.name.to_owned(), p.default.into())).collect();
            assert_eq!(defaults.len(), all.len(), "{}", entry.info.name);
            assert_eq!(check(entry.info.name, &defaults), Ok(()), "{}", entry.info.name);
        }
    }
}
