//! Along which edges something else went, of two epochs: only runs that they do not share are read.

use super::{Flows, Run, Side, WINDOW, add, merged};
use crate::series::CohortId;
use crate::stat::Stat;
use crate::topology::EdgeId;
use ontology::Minute;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs by window.
type Windows = BTreeMap<i32, Vec<Arc<Run>>>;

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).addr()
}

impl Flows {
    /// Every run, but those of lists that both have; lists are sorted when they were not yet.
    fn apart(&self, other: &Flows) -> Vec<(i32, Arc<Run>)> {
        let mut known: Vec<usize> = other.fresh.iter().map(address).collect();
        known.sort_unstable();
        let settled = self.windows.iter().flat_map(|(w, runs)| runs.iter().map(|r| (*w, Arc::clone(r))));
        let fresh = self.fresh.iter().filter(|f| known.binary_search(&address(f)).is_err());
        settled.chain(fresh.flat_map(|f| f.runs().iter().cloned())).collect()
    }

    /// Gives every cell once, what several runs say of it as one, window by window.
    pub(crate) fn each_cell(&self, mut found: impl FnMut(EdgeId, Side, CohortId, Minute, &[u8])) {
        let mut windows = Windows::new();
        let settled = self.windows.iter().flat_map(|(w, runs)| runs.iter().map(|r| (*w, r)));
        let fresh = self.fresh.iter().flat_map(|f| f.runs().iter().map(|(w, r)| (*w, r)));
        for (window, run) in settled.chain(fresh) {
            windows.entry(window).or_default().push(Arc::clone(run));
        }
        for (window, runs) in windows {
            let run = one(&runs);
            let begin = Minute(i64::from(window) * WINDOW);
            for cell in (0..run.len()).filter_map(|at| run.cell(at)) {
                let side = if cell.key >> 32 & 1 == 1 { Side::Asked } else { Side::Answered };
                #[expect(clippy::cast_possible_truncation, reason = "the lower half is the cohort")]
                let cohort = CohortId(cell.key as u32);
                found(edge(cell.key), side, cohort, begin.plus(i64::from(cell.minute)), cell.bytes);
            }
        }
    }

    /// All that went along an edge, by side, cohort and minute.
    pub(crate) fn of_edge(&self, edge: EdgeId) -> BTreeMap<(Side, CohortId, Minute), Stat> {
        let mut all: BTreeMap<(Side, CohortId, Minute), Stat> = BTreeMap::new();
        for side in [Side::Answered, Side::Asked] {
            self.each(edge, side, Minute(i64::MIN / 2), Minute(i64::MAX / 2), |cohort, minute, bytes| {
                add(all.entry((side, cohort, minute)).or_default(), bytes);
            });
        }
        all
    }

    /// Edges along which not the same went, of both sides, all cohorts and all minutes together and each by itself; ascending.
    pub(crate) fn unlike(&self, other: &Flows) -> Vec<EdgeId> {
        let (mine, theirs) = (self.apart(other), other.apart(self));
        let (a, b) = (without(&mine, &theirs), without(&theirs, &mine));
        let mut found = Vec::new();
        for window in a.keys().chain(b.keys().filter(|w| !a.contains_key(w))) {
            let runs = |of: &Windows| of.get(window).cloned().unwrap_or_default();
            match (runs(&a).as_slice(), runs(&b).as_slice()) {
                // No cell is empty, so what one side has alone makes a difference.
                ([], only) | (only, []) => only.iter().for_each(|run| found.extend(edges(run))),
                (a, b) => compare(&one(a), &one(b), &mut found),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// By window, the runs that the others do not have.
fn without(runs: &[(i32, Arc<Run>)], others: &[(i32, Arc<Run>)]) -> Windows {
    let mut known: Vec<usize> = others.iter().map(|(_, run)| address(run)).collect();
    known.sort_unstable();
    let mut left = Windows::new();
    for (window, run) in runs {
        if known.binary_search(&address(run)).is_err() {
            left.entry(*window).or_default().push(Arc::clone(run));
        }
    }
    left
}

fn one(runs: &[Arc<Run>]) -> Cow<'_, Arc<Run>> {
    match runs {
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(Arc::new(merged(several))),
    }
}

fn edge(key: u64) -> EdgeId {
    EdgeId((key >> 33) as u32)
}

/// The edges of a run, each once.
fn edges(run: &Run) -> impl Iterator<Item = EdgeId> + '_ {
    run.keys.chunk_by(|a, b| edge(*a) == edge(*b)).filter_map(|of| of.first()).map(|key| edge(*key))
}

/// Walks two runs of a window side by side.
fn compare(a: &Run, b: &Run, found: &mut Vec<EdgeId>) {
    let (mut i, mut j) = (0, 0);
    loop {
        let (x, y) = (a.cell(i), b.cell(j));
        // What is at an end comes after everything.
        let order = match (x, y) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) => (x.key, x.minute).cmp(&(y.key, y.minute)),
        };
        let same = order.is_eq()
            && x.zip(y).is_some_and(|(x, y)| x.bytes == y.bytes || sum(x.bytes) == sum(y.bytes));
        let first = if order.is_le() { x } else { y };
        if let Some(of) = first.map(|cell| edge(cell.key)).filter(|of| !same && found.last() != Some(of)) {
            found.push(of);
        }
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
}

fn sum(bytes: &[u8]) -> Stat {
    let mut stat = Stat::default();
    add(&mut stat, bytes);
    stat
}

#[cfg(test)]
mod tests {
    use super::super::Tail;
    use super::*;
    use proptest::prelude::*;

    type Told = (u32, bool, u32, i64, i64, bool, u8);

    fn fold(flows: &mut Flows, calls: &[Told]) {
        let mut tail = Tail::default();
        for (edge, asked, cohort, minute, lasted, failed, what) in calls {
            let side = if *asked { Side::Asked } else { Side::Answered };
            tail.add(EdgeId(*edge), side, CohortId(*cohort), Minute(*minute), *lasted, *failed);
            match what {
                0..3 => flows.take(&mut tail),
                3 => flows.settle(&mut tail),
                4 => {
                    flows.forget_before(Minute(*minute));
                }
                _ => {}
            }
        }
        flows.take(&mut tail);
    }

    fn all(flows: &Flows) -> BTreeMap<(EdgeId, Side, CohortId, Minute), Stat> {
        let all = flows.all(Minute(-1_000), Minute(1_000));
        all.into_iter().map(|(e, s, c, m, stat)| ((e, s, c, m), stat)).collect()
    }

    proptest! {
        /// However runs were merged in between, and whatever was forgotten: what reading all of both says.
        #[test]
        fn runs_that_are_not_shared_say_what_all_of_them_say(
            first in proptest::collection::vec((0u32..12, any::<bool>(), 0u32..3, 0i64..70, 1i64..5, any::<bool>(), 0u8..16), 0..120),
            then in proptest::collection::vec((0u32..12, any::<bool>(), 0u32..3, 0i64..70, 1i64..5, any::<bool>(), 0u8..16), 0..120),
        ) {
            let mut flows = Flows::default();
            fold(&mut flows, &first);
            let before = flows.clone();
            fold(&mut flows, &then);
            let (a, b) = (all(&before), all(&flows));
            let differ = |k: &&(EdgeId, Side, CohortId, Minute)| a.get(k) != b.get(k);
            let mut twin: Vec<EdgeId> = a.keys().chain(b.keys()).filter(differ).map(|k| k.0).collect();
            twin.sort_unstable();
            twin.dedup();
            prop_assert_eq!(before.unlike(&flows), twin.clone());
            prop_assert_eq!(flows.unlike(&before), twin);
            prop_assert_eq!(flows.unlike(&flows.clone()), vec![]);
        }
    }
}
