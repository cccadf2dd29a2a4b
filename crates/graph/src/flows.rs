//! What went along edges: one summary per edge, side, cohort and minute, in sorted runs.
//!
//! A call is appended to a list and not looked at again until somebody reads or the list is long; then the list is sorted into
//! a run, and runs of like size are merged (a log-structured merge tree: O'Neil, Cheng, Gawlick, O'Neil, 1996). Runs never
//! change, so a snapshot shares all of them, and sums of whole numbers do not care which run a call is in. Time is cut into
//! windows with runs of their own: what is read is found by its window, and what is old goes a window at a time.

mod along;
mod unlike;

pub(crate) use along::Along;
pub use along::Went;

use crate::series::CohortId;
use crate::stat::{Stat, read_number, write_number};
use crate::topology::EdgeId;
use ontology::Minute;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, OnceLock};

/// Minutes of a window.
const WINDOW: i64 = 15;
/// Calls kept as a list. Beyond: they are sorted into a run.
const LIST: usize = 128 * 1024;
/// Runs of like size that are merged into one: each call is merged as often as the logarithm to this base of what a window holds.
const FAN: usize = 8;
/// Calls of a cell whose durations are kept one by one; of more, the summary is.
const FEW: u64 = 8;

/// Which side of a call was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// As the answering side saw it.
    Answered,
    /// As the asking side saw it.
    Asked,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    window: i32,
    /// Edge and side, then cohort.
    key: u64,
    /// Of the window.
    minute: u8,
    /// Nanoseconds, then whether it failed.
    lasted: u64,
}

fn key(edge: EdgeId, side: Side, cohort: CohortId) -> u64 {
    // Edges are counted in 31 bits here: two thousand million.
    u64::from(edge.0) << 33 | u64::from(side == Side::Asked) << 32 | u64::from(cohort.0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "windows of minutes that `Time` can say fit into 32 bits"
)]
fn window(minute: Minute) -> i32 {
    minute.0.div_euclid(WINDOW) as i32
}

/// Milliseconds, as every duration is kept.
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Summaries of one window, sorted by edge, side, cohort and minute. Keys and minutes as columns; of each summary, the end of
/// its bytes.
#[derive(Debug, Default)]
pub(crate) struct Run {
    keys: Vec<u64>,
    minutes: Vec<u8>,
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// One summary as it is kept.
#[derive(Clone, Copy)]
struct Cell<'a> {
    key: u64,
    minute: u8,
    bytes: &'a [u8],
}

impl Run {
    fn len(&self) -> usize {
        self.keys.len()
    }

    fn cell(&self, at: usize) -> Option<Cell<'_>> {
        let (key, minute, end) = (*self.keys.get(at)?, *self.minutes.get(at)?, *self.ends.get(at)?);
        let begin = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(Cell { key, minute, bytes: self.bytes.get(begin as usize..end as usize)? })
    }

    /// Ends a cell whose bytes have been written. False when a run can hold no more.
    fn close(&mut self, key: u64, minute: u8) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len()) else { return false };
        self.keys.push(key);
        self.minutes.push(minute);
        self.ends.push(end);
        true
    }

    /// The place of the first cell of an edge and side.
    fn first_of(&self, key: u64) -> usize {
        self.keys.partition_point(|k| *k < key)
    }

    fn shrink(mut self) -> Run {
        fit(&mut self.keys);
        fit(&mut self.minutes);
        fit(&mut self.ends);
        fit(&mut self.bytes);
        self
    }

    fn heap(&self) -> usize {
        self.keys.capacity() * 8 + self.minutes.capacity() + self.ends.capacity() * 4 + self.bytes.capacity()
    }
}

/// Gives back room beyond an eighth. (Allocators shrink in place, and keep the room, while no more than half of it is free.)
fn fit<T: Copy>(all: &mut Vec<T>) {
    if all.capacity() > all.len() + all.len() / 8 {
        *all = all.as_slice().to_vec();
    }
}

/// Rows of one run as they are written down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FlowRows {
    window: i32,
    /// Which of the runs of its window.
    run: u32,
    /// Each less the one before.
    keys: Vec<u64>,
    minutes: Vec<u8>,
    lengths: Vec<u32>,
    bytes: Vec<u8>,
}

impl Run {
    fn rows(&self, (window, run): (i32, u32), from: usize, to: usize) -> FlowRows {
        let cells = || (from..to).filter_map(|at| self.cell(at));
        let mut before = 0;
        FlowRows {
            window,
            run,
            keys: cells().map(|c| c.key - std::mem::replace(&mut before, c.key)).collect(),
            minutes: cells().map(|c| c.minute).collect(),
            lengths: cells().map(|c| u32::try_from(c.bytes.len()).unwrap_or(0)).collect(),
            bytes: cells().flat_map(|c| c.bytes.iter().copied()).collect(),
        }
    }

    /// Adds rows behind those that are here. False when they are not what [`Run::rows`] gave.
    fn put_rows(&mut self, rows: &FlowRows) -> bool {
        let (mut key, mut from) = (0u64, 0usize);
        let whole = rows.keys.len() == rows.minutes.len() && rows.keys.len() == rows.lengths.len();
        whole
            && rows.keys.iter().zip(&rows.minutes).zip(&rows.lengths).all(|((more, minute), length)| {
                key = key.wrapping_add(*more);
                let to = from + *length as usize;
                let Some(bytes) = rows.bytes.get(from..to) else { return false };
                from = to;
                self.bytes.extend_from_slice(bytes);
                self.close(key, *minute)
            })
    }
}

impl Flows {
    /// Everything that is in its place, so many rows at a time: by window, and run by run.
    pub(crate) fn rows(&self, many: usize) -> impl Iterator<Item = FlowRows> + '_ {
        let runs =
            self.windows.iter().flat_map(|(w, runs)| (0u32..).zip(runs).map(move |(i, r)| ((*w, i), r)));
        runs.flat_map(move |(place, run)| {
            (0..run.len()).step_by(many).map(move |from| run.rows(place, from, (from + many).min(run.len())))
        })
    }

    /// Gives back room that nothing is in.
    pub(crate) fn shrink(&mut self) {
        let windows: Vec<i32> = self.windows.keys().copied().collect();
        for window in windows {
            for run in self.windows.get_mut(&window).into_iter().flatten() {
                if let Some(run) = Arc::get_mut(run) {
                    *run = std::mem::take(run).shrink();
                }
            }
        }
    }

    /// Takes them back, in the same order.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn put_rows(&mut self, rows: FlowRows) -> Result<(), &'static str> {
        let runs = self.windows.entry(rows.window).or_default();
        if runs.len() == rows.run as usize {
            runs.push(Arc::default());
        }
        let run = runs.get_mut(rows.run as usize).and_then(Arc::get_mut);
        match run.is_some_and(|run| run.put_rows(&rows)) {
            true => Ok(()),
            false => Err("rows of what went along edges that do not fit together"),
        }
    }
}

/// Writes the durations of a cell: how many, shifted by one to say that they follow, then each as its distance from the one before.
fn write_few(to: &mut Vec<u8>, lasted: &[u64]) {
    write_number(to, (lasted.len() as u128) << 1);
    let mut before = 0;
    for value in lasted {
        write_number(to, u128::from(value - before));
        before = *value;
    }
}

fn write_many(to: &mut Vec<u8>, stat: &Stat) {
    to.push(1);
    stat.write(to);
}

/// How many durations are kept one by one; none when it is a summary.
fn few(mut bytes: &[u8]) -> Option<u64> {
    let head = read_number(&mut bytes) as u64;
    (head & 1 == 0).then_some(head >> 1)
}

fn durations(mut bytes: &[u8]) -> impl Iterator<Item = u64> {
    let count = read_number(&mut bytes) as u64 >> 1;
    let mut before = 0;
    (0..count).map(move |_| {
        before += read_number(&mut bytes) as u64;
        before
    })
}

/// Adds what a cell says to a summary.
fn add(stat: &mut Stat, bytes: &[u8]) {
    match few(bytes) {
        Some(_) => durations(bytes).for_each(|lasted| stat.add(millis(lasted >> 1), 1, lasted & 1)),
        None => stat.merge(&Stat::read(&mut bytes.get(1..).unwrap_or_default())),
    }
}

/// Writes several cells of one edge, side, cohort and minute as one.
fn join(to: &mut Vec<u8>, cells: &[&[u8]]) {
    if let [only] = cells {
        to.extend_from_slice(only);
        return;
    }
    let count = cells.iter().map(|c| few(c)).try_fold(0, |sum, n| Some(sum + n?));
    if count.is_some_and(|n| n <= FEW) {
        let mut all: Vec<u64> = cells.iter().flat_map(|c| durations(c)).collect();
        all.sort_unstable();
        write_few(to, &all);
        return;
    }
    let mut sum = Stat::default();
    cells.iter().for_each(|c| add(&mut sum, c));
    write_many(to, &sum);
}

/// Calls as they came, and the runs they make once somebody has asked for those.
#[derive(Debug, Default)]
struct Fresh {
    calls: Box<[Call]>,
    runs: OnceLock<Vec<(i32, Arc<Run>)>>,
}

impl Fresh {
    fn runs(&self) -> &[(i32, Arc<Run>)] {
        self.runs.get_or_init(|| sorted(&mut self.calls.to_vec()))
    }
}

/// Runs of some calls, by window.
fn sorted(calls: &mut [Call]) -> Vec<(i32, Arc<Run>)> {
    calls.sort_unstable();
    let mut runs = Vec::new();
    for of_window in calls.chunk_by(|a, b| a.window == b.window) {
        let mut run = Run::default();
        let mut durations: Vec<u64> = Vec::new();
        for of_cell in of_window.chunk_by(|a, b| (a.key, a.minute) == (b.key, b.minute)) {
            let Some(first) = of_cell.first() else { continue };
            durations.clear();
            durations.extend(of_cell.iter().map(|c| c.lasted));
            if durations.len() as u64 <= FEW {
                write_few(&mut run.bytes, &durations);
            } else {
                let mut sum = Stat::default();
                durations.iter().for_each(|lasted| sum.add(millis(lasted >> 1), 1, lasted & 1));
                write_many(&mut run.bytes, &sum);
            }
            run.close(first.key, first.minute);
        }
        if let Some(first) = of_window.first() {
            runs.push((first.window, Arc::new(run.shrink())));
        }
    }
    runs
}

/// One run of several.
fn merged(runs: &[Arc<Run>]) -> Run {
    let mut all = Run::default();
    // Room that is not written to is not taken.
    let (cells, bytes) = runs.iter().fold((0, 0), |sum, r| (sum.0 + r.len(), sum.1 + r.bytes.len()));
    all.keys.reserve(cells);
    all.minutes.reserve(cells);
    all.ends.reserve(cells);
    all.bytes.reserve(bytes);
    let mut heads: BinaryHeap<Reverse<(u64, u8, usize, usize)>> = BinaryHeap::new();
    for (i, run) in runs.iter().enumerate() {
        if let Some(cell) = run.cell(0) {
            heads.push(Reverse((cell.key, cell.minute, i, 0)));
        }
    }
    let mut same: Vec<&[u8]> = Vec::new();
    while let Some(Reverse((key, minute, ..))) = heads.peek().copied() {
        same.clear();
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((k, m, i, at)) = *head;
            if (k, m) != (key, minute) {
                break;
            }
            let Some(run) = runs.get(i) else { break };
            same.extend(run.cell(at).map(|c| c.bytes));
            match run.cell(at + 1) {
                Some(next) => *head = Reverse((next.key, next.minute, i, at + 1)),
                None => {
                    std::collections::binary_heap::PeekMut::pop(head);
                }
            }
        }
        join(&mut all.bytes, &same);
        all.close(key, minute);
    }
    all.shrink()
}

/// The runs of one window, largest first.
type Window = Vec<Arc<Run>>;

/// Everything that went along edges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    windows: imbl::OrdMap<i32, Window>,
    fresh: imbl::Vector<Arc<Fresh>>,
}

/// One summary with its place.
pub(crate) type Summed = (EdgeId, Side, CohortId, Minute, Stat);

impl Flows {
    /// Adds summaries that were made elsewhere.
    pub(crate) fn put_sums(&mut self, sums: &mut Vec<Summed>) {
        let place = |s: &Summed| (window(s.3), key(s.0, s.1, s.2), s.3);
        sums.sort_by_key(place);
        for of_window in sums.chunk_by(|a, b| window(a.3) == window(b.3)) {
            let mut run = Run::default();
            for of_cell in of_window.chunk_by(|a, b| place(a) == place(b)) {
                let mut sum = Stat::default();
                of_cell.iter().for_each(|s| sum.merge(&s.4));
                write_many(&mut run.bytes, &sum);
                if let Some(s) = of_cell.first() {
                    run.close(key(s.0, s.1, s.2), u8::try_from(s.3.0.rem_euclid(WINDOW)).unwrap_or(0));
                }
            }
            if let Some(first) = of_window.first() {
                self.put(window(first.3), Arc::new(run.shrink()));
            }
        }
        sums.clear();
    }
}

/// What is appended to, before it is shared.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    calls: Vec<Call>,
}

impl Tail {
    /// Notes a call. True when there are so many that they should be sorted.
    pub(crate) fn add(
        &mut self,
        edge: EdgeId,
        side: Side,
        cohort: CohortId,
        minute: Minute,
        lasted_ns: i64,
        failed: bool,
    ) -> bool {
        self.calls.push(Call {
            window: window(minute),
            key: key(edge, side, cohort),
            minute: u8::try_from(minute.0.rem_euclid(WINDOW)).unwrap_or(0),
            lasted: lasted_ns.max(0).cast_unsigned() << 1 | u64::from(failed),
        });
        self.calls.len() >= LIST
    }
}

impl Flows {
    /// Takes what was appended, unsorted: whoever reads it first sorts it.
    pub(crate) fn take(&mut self, tail: &mut Tail) {
        if !tail.calls.is_empty() {
            // The room stays with the writer.
            let calls = Box::from(tail.calls.as_slice());
            tail.calls.clear();
            self.fresh.push_back(Arc::new(Fresh { calls, runs: OnceLock::new() }));
        }
    }

    /// Puts what was appended where it belongs.
    pub(crate) fn settle(&mut self, tail: &mut Tail) {
        for fresh in std::mem::take(&mut self.fresh) {
            for (window, run) in fresh.runs() {
                self.put(*window, Arc::clone(run));
            }
        }
        for (window, run) in sorted(&mut tail.calls) {
            self.put(window, run);
        }
        tail.calls.clear();
        self.tidy();
    }

    /// Forgets the oldest windows until no more than so many bytes are held, the newest window excepted. Says how many summaries went.
    pub(crate) fn keep_within(&mut self, bytes: usize) -> usize {
        let (mut held, mut gone) = (self.size().1, 0);
        while held > bytes && self.windows.len() > 1 {
            let Some((oldest, runs)) = self.windows.get_min().map(|(w, r)| (*w, r)) else { break };
            held = held.saturating_sub(runs.iter().map(|r| r.heap()).sum());
            gone += runs.iter().map(|r| r.len()).sum::<usize>();
            self.windows.remove(&oldest);
        }
        gone
    }

    /// Makes one run of each window that has just ended.
    fn tidy(&mut self) {
        let Some(newest) = self.windows.get_max().map(|(newest, _)| *newest) else { return };
        let over = self.windows.range(..newest - 1).rev().take(4);
        let several: Vec<i32> = over.filter(|(_, runs)| runs.len() > 1).map(|(w, _)| *w).collect();
        for window in several {
            if let Some(runs) = self.windows.get_mut(&window) {
                *runs = vec![Arc::new(merged(runs))];
            }
        }
    }

    /// Whether so much was taken unsorted that it should be put in its place.
    pub(crate) fn unsettled(&self) -> bool {
        self.fresh.len() >= FAN
    }

    fn put(&mut self, window: i32, run: Arc<Run>) {
        let newest = self.windows.get_max().map_or(window, |(newest, _)| *newest);
        let runs = self.windows.entry(window).or_default();
        runs.push(run);
        // What is over is read more often than written to.
        if window + 1 < newest && runs.len() > 1 {
            let largest = runs.iter().map(|r| r.len()).max().unwrap_or(0);
            let all: usize = runs.iter().map(|r| r.len()).sum();
            if (all - largest) * FAN >= largest || runs.len() >= FAN {
                *runs = vec![Arc::new(merged(runs))];
            }
            return;
        }
        runs.sort_by_key(|r| Reverse(r.len()));
        // The smallest that are of a size with one another become one.
        while let Some(smallest) = runs.len().checked_sub(FAN).and_then(|from| runs.get(from..))
            && let (Some(largest), Some(least)) = (smallest.first(), smallest.last())
            && largest.len() <= least.len().saturating_mul(FAN)
        {
            let one = Arc::new(merged(smallest));
            runs.truncate(runs.len() - FAN);
            let at = runs.partition_point(|r| r.len() >= one.len());
            runs.insert(at, one);
        }
    }

    /// Forgets windows that ended before a minute, and says how many cells they had.
    pub(crate) fn forget_before(&mut self, minute: Minute) -> usize {
        let mut gone = 0;
        while let Some((first, runs)) = self.windows.get_min().map(|(w, r)| (*w, r))
            && first < window(minute)
        {
            gone += runs.iter().map(|r| r.len()).sum::<usize>();
            self.windows.remove(&first);
        }
        gone
    }

    /// Runs that may say something of `from..to`, with the first minute of their window.
    fn runs(&self, from: Minute, to: Minute) -> impl Iterator<Item = (Minute, &Run)> + '_ {
        let (first, last) = (window(from), window(Minute(to.0.saturating_sub(1))));
        let begin = |w: i32| Minute(i64::from(w) * WINDOW);
        let settled = (first <= last)
            .then(|| self.windows.range(first..=last))
            .into_iter()
            .flatten()
            .flat_map(move |(w, runs)| runs.iter().map(move |r| (begin(*w), r.as_ref())));
        let fresh = self.fresh.iter().flat_map(|f| f.runs().iter());
        let fresh = fresh.filter(move |(w, _)| (first..=last).contains(w));
        settled.chain(fresh.map(move |(w, r)| (begin(*w), r.as_ref())))
    }

    /// First minute of the earliest window and last of the latest.
    pub(crate) fn extent(&self) -> Option<(Minute, Minute)> {
        let fresh = self.fresh.iter().flat_map(|f| f.runs().iter().map(|(w, _)| *w));
        let ends = [self.windows.get_min(), self.windows.get_max()].into_iter().flatten().map(|(w, _)| *w);
        let all = || ends.clone().chain(fresh.clone());
        let begin = |w: i32| Minute(i64::from(w) * WINDOW);
        Some((begin(all().min()?), begin(all().max()?).plus(WINDOW - 1)))
    }

    /// Gives each cell of an edge in `from..to`, in no order; one cohort and minute may come several times.
    fn each<'a>(
        &'a self,
        edge: EdgeId,
        side: Side,
        from: Minute,
        to: Minute,
        mut found: impl FnMut(CohortId, Minute, &'a [u8]),
    ) {
        let first = key(edge, side, CohortId(0));
        for (begin, run) in self.runs(from, to) {
            for at in run.first_of(first).. {
                let Some(cell) = run.cell(at).filter(|c| c.key >> 32 == first >> 32) else { break };
                let minute = begin.plus(i64::from(cell.minute));
                if minute >= from && minute < to {
                    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the cohort")]
                    found(CohortId(cell.key as u32), minute, cell.bytes);
                }
            }
        }
    }

    /// Everything along an edge in `from..to`, where `keep` says yes to the cohort, as one summary.
    pub(crate) fn sum(
        &self,
        edge: EdgeId,
        side: Side,
        (from, to): (Minute, Minute),
        mut keep: impl FnMut(CohortId) -> bool,
    ) -> Stat {
        let mut sum = Stat::default();
        self.each(edge, side, from, to, |cohort, _, bytes| {
            if keep(cohort) {
                add(&mut sum, bytes);
            }
        });
        sum
    }

    /// The same by minute.
    pub(crate) fn by_minute(
        &self,
        edge: EdgeId,
        side: Side,
        (from, to): (Minute, Minute),
        mut keep: impl FnMut(CohortId) -> bool,
    ) -> BTreeMap<Minute, Stat> {
        let mut minutes: BTreeMap<Minute, Stat> = BTreeMap::new();
        self.each(edge, side, from, to, |cohort, minute, bytes| {
            if keep(cohort) {
                add(minutes.entry(minute).or_default(), bytes);
            }
        });
        minutes
    }

    /// The cohorts that used an edge.
    pub(crate) fn cohorts(&self, edge: EdgeId, side: Side, (from, to): (Minute, Minute)) -> Vec<CohortId> {
        let mut found = Vec::new();
        self.each(edge, side, from, to, |cohort, _, _| found.push(cohort));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every cell: window by window, sorted within each by edge, side, cohort and minute.
    pub(crate) fn all(&self, from: Minute, to: Minute) -> Vec<(EdgeId, Side, CohortId, Minute, Stat)> {
        let mut cells: BTreeMap<(u64, Minute), Stat> = BTreeMap::new();
        for (begin, run) in self.runs(from, to) {
            for cell in (0..run.len()).filter_map(|at| run.cell(at)) {
                let minute = begin.plus(i64::from(cell.minute));
                if minute >= from && minute < to {
                    add(cells.entry((cell.key, minute)).or_default(), cell.bytes);
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "parts of a key")]
        let told = |((key, minute), stat): ((u64, Minute), Stat)| {
            let side = if key >> 32 & 1 == 1 { Side::Asked } else { Side::Answered };
            (EdgeId((key >> 33) as u32), side, CohortId(key as u32), minute, stat)
        };
        cells.into_iter().map(told).collect()
    }

    /// How many cells are held and how many bytes they take; a cell that is in several runs counts in each.
    pub(crate) fn size(&self) -> (usize, usize) {
        let fresh = self.fresh.iter().map(|f| (f.calls.len(), size_of_val(&*f.calls)));
        let settled = self.windows.values().flatten().map(|r| (r.len(), r.heap()));
        fresh.chain(settled).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everything() -> (Minute, Minute) {
        (Minute(-1_000_000), Minute(1_000_000))
    }

    #[test]
    fn calls_are_found_before_and_after_they_are_put_in_their_place() {
        let (mut flows, mut tail) = (Flows::default(), Tail::default());
        for n in 0..40 {
            tail.add(EdgeId(3), Side::Answered, CohortId(1), Minute(n), 5_000_000, n % 2 == 0);
        }
        tail.add(EdgeId(3), Side::Asked, CohortId(1), Minute(0), 1, false);
        tail.add(EdgeId(4), Side::Answered, CohortId(1), Minute(0), 1, false);
        flows.take(&mut tail);
        let before = flows.sum(EdgeId(3), Side::Answered, everything(), |_| true);
        flows.settle(&mut tail);
        let after = flows.sum(EdgeId(3), Side::Answered, everything(), |_| true);
        assert_eq!((before.count, before.bad, before.mean()), (40, 20, Some(5.0)));
        assert_eq!(before, after);
        let within = flows.sum(EdgeId(3), Side::Answered, (Minute(14), Minute(31)), |_| true);
        assert_eq!(within.count, 17);
        assert_eq!(flows.forget_before(Minute(29)), 15 + 2);
        assert_eq!(flows.sum(EdgeId(3), Side::Answered, everything(), |_| true).count, 25);
        assert_eq!(flows.keep_within(usize::MAX), 0);
        // The newest window stays, however little may be held.
        assert_eq!(flows.keep_within(0), 15);
        assert_eq!(flows.sum(EdgeId(3), Side::Answered, everything(), |_| true).count, 10);
    }

    proptest! {
        /// However calls are shared out among lists and runs, and in whatever order: the sums are those of adding one by one.
        #[test]
        fn runs_say_what_adding_one_by_one_says(
            calls in proptest::collection::vec((0u32..3, any::<bool>(), 0u32..3, 0i64..50, 1i64..5_000_000, any::<bool>(), 0u8..12), 0..400)
        ) {
            let (mut flows, mut tail) = (Flows::default(), Tail::default());
            let mut twin: BTreeMap<(u32, bool, u32, i64), Stat> = BTreeMap::new();
            let mut kept = None;
            for (edge, asked, cohort, minute, lasted, failed, what) in &calls {
                let side = if *asked { Side::Asked } else { Side::Answered };
                tail.add(EdgeId(*edge), side, CohortId(*cohort), Minute(*minute), *lasted, *failed);
                let stat = twin.entry((*edge, *asked, *cohort, *minute)).or_default();
                stat.add(*lasted as f64 / 1e6, 1, u64::from(*failed));
                match what {
                    0..4 => flows.take(&mut tail),
                    4 => flows.settle(&mut tail),
                    5 => {
                        flows.take(&mut tail);
                        kept = Some((flows.clone(), twin.clone()));
                    }
                    _ => {}
                }
            }
            flows.take(&mut tail);
            let as_told = |flows: &Flows| {
                let all = flows.all(everything().0, everything().1).into_iter();
                all.map(|(e, s, c, m, stat)| ((e.0, s == Side::Asked, c.0, m.0), stat)).collect::<BTreeMap<_, _>>()
            };
            prop_assert_eq!(as_told(&flows), twin.clone());
            // What was kept on the way has not changed.
            if let Some((then, said)) = kept {
                prop_assert_eq!(as_told(&then), said);
            }
            for edge in 0..3 {
                let sum = flows.sum(EdgeId(edge), Side::Asked, (Minute(10), Minute(33)), |c| c.0 != 1);
                let mut same = Stat::default();
                let of = twin.iter().filter(|(k, _)| k.0 == edge && k.1 && k.2 != 1 && (10..33).contains(&k.3));
                of.for_each(|(_, stat)| same.merge(stat));
                prop_assert_eq!(sum, same);
            }
        }
    }
}
