//! `fixed`: always the same server. A strategy for the test that adds one; nobody gets it.

use crate::strategy::{Entry, ParameterInfo, Scene, ServerIndex, Strategy, StrategyInfo};
use rand::Rng;

const FROM: ParameterInfo = ParameterInfo {
    name: "from",
    summary: "which of the candidates it is",
    min: 0.0,
    max: 100.0,
    default: 0.0,
};

pub(super) const ENTRY: Entry = Entry {
    info: StrategyInfo {
        name: "fixed",
        summary: "always the same server",
        parameters: &[FROM],
    },
    build: |parameters| Box::new(Fixed(parameters.number(&FROM) as usize)),
};

struct Fixed(usize);

impl Strategy for Fixed {
    fn pick(&mut self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<ServerIndex> {
        let last = scene.candidates.len().checked_sub(1)?;
        Some(scene.candidates[self.0.min(last)].index)
    }
}
