//! Reading what went along very many edges: each run is walked once, in its own order, and summaries are not put together.

use super::{Cell, Flows, Run, Side, durations, few, key, millis};
use crate::series::CohortId;
use crate::stat::{Stat, Sums};
use crate::topology::EdgeId;
use ontology::Minute;

/// Adds what a cell says to sums.
fn add(sums: &mut Sums, bytes: &[u8]) {
    match few(bytes) {
        Some(_) => durations(bytes).for_each(|lasted| sums.add(millis(lasted >> 1), lasted & 1)),
        None => sums.merge(&Stat::read_sums(bytes.get(1..).unwrap_or_default())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "parts of a key")]
fn parts(key: u64) -> (EdgeId, Side, CohortId) {
    let side = if key >> 32 & 1 == 1 { Side::Asked } else { Side::Answered };
    (EdgeId((key >> 33) as u32), side, CohortId(key as u32))
}

/// The runs of a stretch, each with how far it was read. Asked of edges in ascending order it reads each run once.
pub(crate) struct Along<'a> {
    runs: Vec<(Minute, &'a Run, usize)>,
    from: Minute,
    to: Minute,
}

impl Along<'_> {
    /// What the answering side saw of an edge in each minute, by the cohorts that count; minutes ascend.
    pub(crate) fn minutes(
        &mut self,
        edge: EdgeId,
        side: Side,
        keep: impl Fn(CohortId) -> bool,
    ) -> Vec<(Minute, Sums)> {
        let mut found: Vec<(Minute, Sums)> = Vec::new();
        let first = key(edge, side, CohortId(0));
        for (begin, run, at) in &mut self.runs {
            let ahead = at.checked_sub(1).and_then(|before| run.keys.get(before)).is_none_or(|k| *k < first);
            *at = if ahead { forward(&run.keys, *at, first) } else { run.first_of(first) };
            while let Some(cell) = run.cell(*at).filter(|c| c.key >> 32 == first >> 32) {
                *at += 1;
                let minute = begin.plus(i64::from(cell.minute));
                if minute >= self.from && minute < self.to && keep(parts(cell.key).2) {
                    match found.iter_mut().rev().find(|(m, _)| *m == minute) {
                        Some((_, sums)) => add(sums, cell.bytes),
                        None => {
                            let mut sums = Sums::default();
                            add(&mut sums, cell.bytes);
                            found.push((minute, sums));
                        }
                    }
                }
            }
        }
        found.sort_unstable_by_key(|f| f.0);
        found
    }
}

/// The first place from `at` on whose key is not less, in steps that double: what is asked next is mostly near.
fn forward(keys: &[u64], at: usize, wanted: u64) -> usize {
    let (mut low, mut step) = (at, 1);
    while keys.get(low + step - 1).is_some_and(|k| *k < wanted) {
        low += step;
        step *= 2;
    }
    let near = keys.get(low..(low + step - 1).min(keys.len())).unwrap_or_default();
    low + near.partition_point(|k| *k < wanted)
}

/// What some cohorts did along an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Went {
    /// As the answering side saw it; milliseconds.
    pub answered: Sums,
    /// As the asking side saw it.
    pub asked: Sums,
}

impl Flows {
    pub(crate) fn along(&self, from: Minute, to: Minute) -> Along<'_> {
        Along { runs: self.runs(from, to).map(|(begin, run)| (begin, run, 0)).collect(), from, to }
    }

    /// What the cohorts that count did along each edge, by edge; and notes which of them did anything. Cohorts are looked up in
    /// a list by their number.
    pub(crate) fn of_cohorts(
        &self,
        (from, to): (Minute, Minute),
        counts: &[bool],
        active: &mut [bool],
    ) -> Vec<(EdgeId, Went)> {
        let mut cells: Vec<(u64, &[u8])> = Vec::new();
        for (begin, run) in self.runs(from, to) {
            let whole = begin >= from && begin.plus(super::WINDOW) <= to;
            for (at, key) in run.keys.iter().enumerate() {
                let cohort = parts(*key).2.0 as usize;
                if counts.get(cohort) != Some(&true) {
                    continue;
                }
                let Some(Cell { minute, bytes, .. }) = run.cell(at) else { continue };
                let minute = begin.plus(i64::from(minute));
                if whole || (minute >= from && minute < to) {
                    cells.push((key >> 32, bytes));
                    if let Some(active) = active.get_mut(cohort) {
                        *active = true;
                    }
                }
            }
        }
        cells.sort_by_key(|c| c.0);
        let of_edge = |cells: &[(u64, &[u8])]| {
            let mut went = Went::default();
            for (key, bytes) in cells {
                add(if key & 1 == 1 { &mut went.asked } else { &mut went.answered }, bytes);
            }
            Some((parts(cells.first()?.0 << 32).0, went))
        };
        cells.chunk_by(|a, b| a.0 >> 1 == b.0 >> 1).filter_map(of_edge).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tail;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_at_once_is_what_is_read_edge_by_edge(
            calls in proptest::collection::vec((0u32..9, any::<bool>(), 0u32..4, 0i64..50, 1i64..5_000_000, any::<bool>(), 0u8..12), 0..300),
            from in 0i64..50, long in 0i64..50, chosen in proptest::collection::vec(any::<bool>(), 4),
        ) {
            let (mut flows, mut tail) = (Flows::default(), Tail::default());
            for (edge, asked, cohort, minute, lasted, failed, what) in &calls {
                let side = if *asked { Side::Asked } else { Side::Answered };
                tail.add(EdgeId(*edge), side, CohortId(*cohort), Minute(*minute), *lasted, *failed);
                match what {
                    0..3 => flows.take(&mut tail),
                    3 => flows.settle(&mut tail),
                    _ => {}
                }
            }
            flows.take(&mut tail);
            let during = (Minute(from), Minute(from + long));
            let counts = |c: CohortId| chosen[c.0 as usize];
            let mut active = vec![false; 4];
            let found = flows.of_cohorts(during, &chosen, &mut active);
            let mut along = flows.along(during.0, during.1);
            let mut met = vec![false; 4];
            for edge in (0..9).map(EdgeId) {
                let sum = |side| flows.sum(edge, side, during, counts).sums();
                let went = found.iter().find(|f| f.0 == edge).map_or_else(Went::default, |f| f.1);
                prop_assert_eq!((went.answered, went.asked), (sum(Side::Answered), sum(Side::Asked)));
                for side in [Side::Answered, Side::Asked, Side::Answered] {
                    let minutes = along.minutes(edge, side, counts);
                    let twin = flows.by_minute(edge, side, during, counts);
                    prop_assert_eq!(minutes, twin.iter().map(|(m, s)| (*m, s.sums())).collect::<Vec<_>>());
                    flows.cohorts(edge, side, during).iter().for_each(|c| met[c.0 as usize] |= counts(*c));
                }
            }
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert_eq!(active, met);
            // The whole is the sum of what two halves of the cohorts did.
            let other: Vec<bool> = chosen.iter().map(|c| !c).collect();
            let mut whole = flows.of_cohorts(during, &[true; 4], &mut [false; 4]);
            for (edge, went) in &mut whole {
                let mut both = Went::default();
                for half in [&found, &flows.of_cohorts(during, &other, &mut [false; 4])] {
                    for (_, of) in half.iter().filter(|h| h.0 == *edge) {
                        both.answered.merge(&of.answered);
                        both.asked.merge(&of.asked);
                    }
                }
                prop_assert_eq!(both, *went);
            }
        }
    }
}
