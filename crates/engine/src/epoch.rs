//! What whoever keeps the graph's history elsewhere asks of the engine.

use crate::intake::{Engine, lock};
use graph::Graph;
use ontology::{Minute, Time};

/// The graph, and what changed in it by the hour.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// The graph as it is now.
    pub graph: Graph,
    /// Hours that facts told of: first minute, and a number that is another whenever the hour was told of again.
    pub touched: Vec<(Minute, u64)>,
    /// Before this the graph may have forgotten something, or the log may not say it any more. `None` when nothing is missing.
    pub whole_from: Option<Minute>,
    /// Sampled nodes that are held, and how many may be.
    pub sampled: (usize, usize),
}

impl Engine {
    /// The graph as it is now with what changed in it.
    pub fn epoch(&self) -> Epoch {
        let mut fold = lock(&self.fold);
        let sampled =
            fold.usage().into_iter().find(|u| u.0 == "sampled_nodes").map_or((0, 0), |u| (u.1, u.2));
        Epoch {
            touched: fold.touched().collect(),
            whole_from: fold.whole_from(),
            sampled,
            graph: fold.graph(),
        }
    }

    /// Before this the graph may have forgotten something, or the log may not say it any more. `None` when nothing is missing.
    pub fn whole_from(&self) -> Option<Minute> {
        lock(&self.fold).whole_from()
    }

    /// Keeps what is beyond the limit of hours from a moment on, up to twice that limit: history has not got it yet.
    pub fn hold(&self, from: Option<Time>) {
        lock(&self.fold).hold(from);
    }
}

/// From which minute on a log says all there was: everything, where it begins at its beginning and is whole.
pub(crate) fn whole_log(first: Option<(u64, Time)>, last: Option<Time>, damaged: bool) -> Option<Minute> {
    // Telemetry may be dated this much after it came.
    const AHEAD_SECS: i64 = 300;
    /// The number of the first record of a log.
    const FIRST: u64 = 1;
    let after = |at: Time| Minute((at.plus_secs(AHEAD_SECS).minute().0.div_euclid(60) + 1) * 60);
    match (first, last) {
        // What is lost cannot be dated.
        (_, Some(last)) if damaged => Some(after(last)),
        (Some((seq, at)), _) if seq > FIRST => Some(after(at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_lost_its_beginning_says_all_only_from_later_on() {
        let at = |text: &str| Time::parse(text).unwrap();
        let (first, last) = (at("2026-11-24T10:20:00Z"), at("2026-11-25T10:58:00Z"));
        assert_eq!(whole_log(Some((1, first)), Some(last), false), None);
        assert_eq!(whole_log(None, None, true), None);
        let begun = whole_log(Some((7, first)), Some(last), false);
        assert_eq!(begun.map(|m| m.start()), Some(at("2026-11-24T11:00:00Z")));
        let damaged = whole_log(Some((1, first)), Some(last), true);
        assert_eq!(damaged.map(|m| m.start()), Some(at("2026-11-25T12:00:00Z")));
    }
}
