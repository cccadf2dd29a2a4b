//! Series: one thing that is measured, by one cohort, minute by minute.

use crate::growing::{Growing, Reading};
use crate::stat::Stat;
use crate::topology::{EdgeId, NodeId};
use ontology::{MeasureId, Minute, Time};
use std::collections::BTreeMap;

/// A distinct set of components named together by records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CohortId(pub u32);

/// A series: an index into the graph's table of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// What a series tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// A measure on a node.
    Measure(MeasureId, NodeId),
    /// What went along an edge, as the answering side saw it.
    Answered(EdgeId),
    /// The same, as the asking side saw it.
    Asked(EdgeId),
}

/// One series of one cohort.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it tells of.
    pub of: Of,
    /// By whom.
    pub cohort: CohortId,
    cells: Vec<(Minute, Stat)>,
    /// Readings of a growing counter: when, since when it grows, and its value. One per moment.
    readings: Vec<(Time, Time, f64)>,
    /// Readings of a growing distribution; few series have one.
    growing: Option<Box<Growing>>,
}

impl Series {
    pub(crate) fn new(of: Of, cohort: CohortId) -> Series {
        Series { of, cohort, cells: Vec::new(), readings: Vec::new(), growing: None }
    }

    pub(crate) fn cell(&mut self, minute: Minute) -> &mut Stat {
        let at = match self.cells.last() {
            Some(last) if last.0 < minute => self.cells.len(),
            _ => self.cells.partition_point(|c| c.0 < minute),
        };
        if self.cells.get(at).is_none_or(|c| c.0 != minute) {
            self.cells.insert(at, (minute, Stat::default()));
        }
        &mut self.cells[at].1
    }

    pub(crate) fn reading(&mut self, at: Time, start: Time, value: f64) {
        let i = self.readings.partition_point(|r| (r.0, r.1) < (at, start));
        match self.readings.get_mut(i) {
            // Two readings of one moment: the larger, whichever came first.
            Some(r) if r.0 == at && r.1 == start => r.2 = r.2.max(value),
            _ => self.readings.insert(i, (at, start, value)),
        }
    }

    /// A reading of a distribution that grows since `start`.
    pub(crate) fn distribution(&mut self, at: Time, start: Time, reading: Reading) {
        for change in self.growing.get_or_insert_default().read(at, start, reading) {
            if change.more == Stat::default() && change.less == Stat::default() {
                continue;
            }
            let cell = self.cell(change.minute);
            cell.merge(&change.more);
            cell.take(&change.less);
            if *cell == Stat::default() {
                self.cells.retain(|c| c.0 != change.minute);
            }
        }
    }

    /// The minutes `from..to` that have something, ascending.
    pub fn between(&self, from: Minute, to: Minute) -> &[(Minute, Stat)] {
        let a = self.cells.partition_point(|c| c.0 < from);
        let b = self.cells.partition_point(|c| c.0 < to);
        &self.cells[a..b.max(a)]
    }

    /// First and last minute that have something.
    pub fn extent(&self) -> Option<(Minute, Minute)> {
        Some((self.cells.first()?.0, self.cells.last()?.0))
    }

    /// Growth of a counter in `from..to`, by the minute of the later reading. Readings of one process (one start) are
    /// compared with one another. A process that started while the counter was watched counts from zero; the first reading
    /// of one that started before says nothing about when it grew.
    pub fn growth(&self, from: Minute, to: Minute) -> impl Iterator<Item = (Minute, f64)> + '_ {
        let watched = self.readings.first().map(|r| r.0);
        let mut last: BTreeMap<Time, f64> = BTreeMap::new();
        self.readings.iter().filter_map(move |&(at, start, value)| {
            let grown = match last.insert(start, value) {
                Some(before) if before <= value => value - before,
                Some(_) => value,
                None if watched.is_some_and(|w| start >= w) => value,
                None => return None,
            };
            let minute = at.minute();
            (minute >= from && minute < to).then_some((minute, grown))
        })
    }

    /// Whether it holds readings of a counter.
    pub fn is_counter(&self) -> bool {
        !self.readings.is_empty()
    }

    pub(crate) fn forget_before(&mut self, minute: Minute) {
        self.cells.retain(|c| c.0 >= minute);
        self.readings.retain(|r| r.0.minute() >= minute);
    }
}
