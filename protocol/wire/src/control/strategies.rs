//! The balancing strategies by name, with their parameters: one table for the
//! control plane, which refuses what isn't in it, and the balancers, which
//! build what is.
//!
//! A new strategy is one entry here and one file in the balancer.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an operator may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StrategyInfo {
    /// `round-robin`, as it stands in [`super::Balancing::strategy`].
    pub name: &'static str,
    /// What it does, for people.
    pub summary: &'static str,
    /// What can be set, each with a default.
    pub parameters: &'static [ParameterInfo],
}

/// A number that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ParameterInfo {
    /// Its key in [`super::Balancing::parameters`].
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

/// Something in a balancing document that can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// JSON pointer into the document: `/strategy`, `/parameters/half_life_s`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// All strategies there are.
pub const STRATEGIES: &[StrategyInfo] = &[
    StrategyInfo {
        name: "least-load",
        summary: "the server with the fewest clients and reservations for its weight",
        parameters: &[],
    },
    StrategyInfo {
        name: "random",
        summary: "any server, with a chance in proportion to its weight",
        parameters: &[],
    },
    StrategyInfo {
        name: "round-robin",
        summary: "each server in turn, heavier ones more often",
        parameters: &[],
    },
];

/// Says whether a strategy and its parameters can be applied.
///
/// # Errors
/// Every fault there is, each naming what is known instead.
pub fn check(strategy: &str, parameters: &BTreeMap<String, Value>) -> Result<(), Vec<Fault>> {
    check_against(STRATEGIES, strategy, parameters)
}

fn check_against(known: &[StrategyInfo], strategy: &str, parameters: &BTreeMap<String, Value>) -> Result<(), Vec<Fault>> {
    let Some(info) = known.iter().find(|info| info.name == strategy) else {
        let names: Vec<_> = known.iter().map(|info| info.name).collect();
        return Err(vec![Fault {
            pointer: "/strategy".to_owned(),
            detail: format!("there is no strategy {strategy:?}; there are {}", names.join(", ")),
        }]);
    };
    let faults: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| {
            let detail = match info.parameters.iter().find(|parameter| parameter.name == name) {
                None => unknown_parameter(info, name),
                Some(parameter) => out_of_range(parameter, value)?,
            };
            Some(Fault {
                pointer: format!("/parameters/{}", name.replace('~', "~0").replace('/', "~1")),
                detail,
            })
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn unknown_parameter(info: &StrategyInfo, name: &str) -> String {
    if info.parameters.is_empty() {
        return format!("{} takes no parameters, {name:?} was given", info.name);
    }
    let names: Vec<_> = info.parameters.iter().map(|parameter| parameter.name).collect();
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

    const KNOWN: &[StrategyInfo] = &[
        StrategyInfo {
            name: "plain",
            summary: "",
            parameters: &[],
        },
        StrategyInfo {
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
    ];

    fn faults(strategy: &str, parameters: Value) -> Vec<(String, String)> {
        let parameters = serde_json::from_value(parameters).unwrap();
        let faults = check_against(KNOWN, strategy, &parameters).err().unwrap_or_default();
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
                "tuned has no parameter \"a/b\"; it has half_life_s".into()
            )]
        );
        assert_eq!(
            faults("plain", serde_json::json!({"half_life_s": 1})),
            [(
                "/parameters/half_life_s".into(),
                "plain takes no parameters, \"half_life_s\" was given".into()
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
    fn every_default_is_within_its_own_range() {
        for info in STRATEGIES {
            let defaults = info.parameters.iter().map(|p| (p.name.to_owned(), p.default.into())).collect();
            assert_eq!(check(info.name, &defaults), Ok(()), "{}", info.name);
        }
    }
}
