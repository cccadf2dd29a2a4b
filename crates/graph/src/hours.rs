//! Reading a graph by the hour: what whoever keeps its history elsewhere asks for.

use crate::flows::Side;
use crate::fold::Fold;
use crate::series::{CohortId, Series};
use crate::stat::Stat;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::{Minute, Stretch, Time};

/// What went along one edge in one minute, as one side saw it, by one cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Along which edge.
    pub edge: EdgeId,
    /// Who saw it.
    pub side: Side,
    /// Whose calls.
    pub cohort: CohortId,
    /// When.
    pub minute: Minute,
    /// How many, how long in milliseconds, how many failed.
    pub stat: Stat,
}

impl Graph {
    /// What went along all edges in the minutes that begin in a stretch, sorted by edge, side, cohort and minute. Made when asked: ask
    /// for a quarter of an hour at a time.
    pub fn flows_during(&self, during: Stretch) -> Vec<Flow> {
        let all = self.flows.all(during.from.minute(), during.to.minute()).into_iter();
        all.map(|(edge, side, cohort, minute, stat)| Flow { edge, side, cohort, minute, stat }).collect()
    }

    /// First and last minute that something may have gone along an edge in.
    pub fn flow_extent(&self) -> Option<(Minute, Minute)> {
        self.flows.extent()
    }

    /// Every series, unordered.
    pub fn every_series(&self) -> impl Iterator<Item = &Series> + '_ {
        self.series.iter().map(AsRef::as_ref)
    }

    /// Sampled nodes (sessions, interactions) that are held, unordered.
    pub fn sampled(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes().filter(|n| self.is_sampled(*n))
    }

    /// How many cohorts there are; their ids count up from zero.
    pub fn cohort_count(&self) -> usize {
        self.cohorts.len()
    }
}

impl Fold {
    /// Hours that facts told of, ascending: the first minute of each, and a number that is another whenever the hour was told of
    /// again. A sampled node counts for the hour it was first seen in, an event for the one it began in.
    pub fn touched(&self) -> impl Iterator<Item = (Minute, u64)> + '_ {
        self.touched.hours()
    }

    /// From when on nothing was forgotten: of earlier minutes what went along edges and what was measured may be gone. `None` when
    /// all that was folded is held.
    pub fn whole_from(&self) -> Option<Minute> {
        self.whole_from
    }

    /// Keeps minutes from a moment on although they are beyond the limit of hours, up to twice that: somebody else has not got them
    /// yet. `None` lets all go that is beyond.
    pub fn hold(&mut self, from: Option<Time>) {
        self.held_from = from.map(Time::minute);
    }

    /// Before a minute not all there was may have been folded: the log no longer says it.
    pub fn not_whole_before(&mut self, minute: Option<Minute>) {
        self.whole_from = self.whole_from.max(minute);
    }

    /// Counts every hour that anything is held of as told of: it is not known any more which were.
    pub(crate) fn touch_all(&mut self) {
        let g = &self.graph;
        let series = g.every_series().filter_map(Series::extent);
        let seen = g.nodes.iter().flatten().filter_map(|n| Some((n.seen.first()?, n.seen.last()?)));
        let ends = g.flows.extent().into_iter().chain(series).chain(seen);
        if let Some((from, to)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
            self.touched.begin();
            self.touched.mark_all(from, to);
            self.earliest = Some(from);
        }
    }

    /// Keeps as long as another writer does.
    pub fn hold_like(&mut self, other: &Fold) {
        self.held_from = other.held_from;
    }
}
