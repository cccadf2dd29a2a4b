//! Series: one thing that is measured, by one cohort, minute by minute.

use crate::growing::{Growing, MICRO, Reading};
use crate::stat::Stat;
use crate::topology::NodeId;
use ontology::{MeasureId, Minute, StreamId, Time};
use serde::{Deserialize, Serialize};

/// A distinct set of components named together by records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CohortId(pub u32);

/// A series: an index into the graph's table of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// What a series tells of: a measure on a node.
pub(crate) type Of = (MeasureId, NodeId);

/// One series of one cohort.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What is measured.
    pub measure: MeasureId,
    /// On what.
    pub subject: NodeId,
    /// By whom.
    pub cohort: CohortId,
    cells: Vec<(Minute, Stat)>,
    /// What counters grew by, in millionths.
    grown: Vec<(Minute, i128)>,
    /// Readings of what grows; few series have one.
    growing: Option<Box<Growing>>,
}

impl Series {
    pub(crate) fn new((measure, subject): Of, cohort: CohortId) -> Series {
        Series { measure, subject, cohort, cells: Vec::new(), grown: Vec::new(), growing: None }
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

    /// A reading of what grows since `start`.
    pub(crate) fn reading(&mut self, stream: StreamId, at: Time, start: Time, reading: Reading) {
        for change in self.growing.get_or_insert_default().read(stream, at, start, reading) {
            let grown = change.more.micro - change.less.micro;
            if grown != 0 {
                let i = self.grown.partition_point(|g| g.0 < change.minute);
                match self.grown.get_mut(i).filter(|g| g.0 == change.minute) {
                    Some(g) => g.1 += grown,
                    None => self.grown.insert(i, (change.minute, grown)),
                }
                self.grown.retain(|g| g.0 != change.minute || g.1 != 0);
            }
            let (more, less) = (change.more.stat, change.less.stat);
            if more == Stat::default() && less == Stat::default() {
                continue;
            }
            let cell = self.cell(change.minute);
            cell.merge(&more);
            cell.take(&less);
            if *cell == Stat::default() {
                self.cells.retain(|c| c.0 != change.minute);
            }
        }
    }

    /// Notes by how much counters grew in a minute, in millionths.
    pub(crate) fn grew(&mut self, minute: Minute, micro: i128) {
        let at = self.grown.partition_point(|g| g.0 < minute);
        match self.grown.get_mut(at).filter(|g| g.0 == minute) {
            Some(known) => known.1 += micro,
            None => self.grown.insert(at, (minute, micro)),
        }
    }

    /// The minutes `from..to` that have something, ascending.
    pub fn between(&self, from: Minute, to: Minute) -> &[(Minute, Stat)] {
        let a = self.cells.partition_point(|c| c.0 < from);
        let b = self.cells.partition_point(|c| c.0 < to);
        &self.cells[a..b.max(a)]
    }

    /// Whether it has any minute.
    pub(crate) fn says_anything(&self) -> bool {
        !self.cells.is_empty() || !self.grown.is_empty()
    }

    /// Whether the same was observed in the same minutes.
    pub(crate) fn says_the_same(&self, other: &Series) -> bool {
        self.cells == other.cells && self.grown == other.grown
    }

    /// First and last minute that have something.
    pub fn extent(&self) -> Option<(Minute, Minute)> {
        Some((self.cells.first()?.0, self.cells.last()?.0))
    }

    /// Growth of counters in `from..to`, by the minute of the later reading. Readings of one process (one stream, one start) are
    /// compared with one another. A process that started while the series was watched counts from zero; the first reading
    /// of one that started before says nothing about when it grew.
    pub fn growth(&self, from: Minute, to: Minute) -> impl Iterator<Item = (Minute, f64)> + '_ {
        let within = self.grown.iter().filter(move |g| g.0 >= from && g.0 < to);
        within.map(|(minute, micro)| (*minute, *micro as f64 / MICRO))
    }

    pub(crate) fn forget_before(&mut self, minute: Minute) {
        self.cells.retain(|c| c.0 >= minute);
        self.grown.retain(|g| g.0 >= minute);
        if let Some(growing) = &mut self.growing {
            growing.forget_before(minute);
        }
    }
}
