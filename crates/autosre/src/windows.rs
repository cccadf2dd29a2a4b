//! The two stretches that are compared: since the onset, and the healthy stretch most like it.

use crate::loss::Loss;
use ontology::{Minute, Stretch};

/// A degraded stretch and its healthy match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Before.
    pub healthy: Stretch,
    /// Since the onset.
    pub degraded: Stretch,
}

/// Minutes of a day.
const DAY: i64 = 24 * 60;
/// The healthy stretch is at least this long: shorter ones say too little about rare cohorts.
const SHORTEST: i64 = 30;
/// Minutes left out before the onset, which is known to a few minutes only.
const GUARD: i64 = 2;

/// The stretches of a loss: the same hours of the day before when the history reaches that far and was not itself bad, the
/// time right before the onset otherwise.
pub(crate) fn matched(loss: &Loss) -> Pair {
    let (first, _) = loss.table.extent().unwrap_or((loss.onset, loss.end));
    between(first, loss.onset, loss.end)
}

/// The stretches for an onset.
pub(crate) fn between(first: Minute, onset: Minute, end: Minute) -> Pair {
    let degraded = Stretch { from: onset.start(), to: end.start().max(onset.start()) };
    let length = (end.0 - onset.0).max(SHORTEST);
    let yesterday = (onset.plus(-DAY), end.plus(-DAY));
    let healthy = if yesterday.0 > first && yesterday.1 < onset {
        Stretch { from: yesterday.0.start(), to: yesterday.1.start() }
    } else {
        let to = onset.plus(-GUARD).max(first);
        Stretch { from: onset.plus(-GUARD - 2 * length).max(first).start(), to: to.start() }
    };
    Pair { healthy, degraded }
}

/// For a loss whose onset is unknown or that is none: the later half against the earlier.
pub(crate) fn halves(loss: &Loss) -> Pair {
    let (first, _) = loss.table.extent().unwrap_or((loss.onset, loss.end));
    let middle = Minute(first.0 + (loss.end.0 - first.0) / 2);
    Pair {
        healthy: Stretch { from: first.start(), to: middle.start() },
        degraded: Stretch { from: middle.start(), to: loss.end.start() },
    }
}
