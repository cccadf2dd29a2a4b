//! What facts say was measured, and of whom.

use super::{Context, Fold};
use crate::growing::{Reading, Values};
use crate::series::{CohortId, Of, Series, SeriesId};
use crate::stat::tries_micro;
use crate::topology::NodeId;
use ontology::fact::{Observation, Ref};
use ontology::model::MeasureKind;
use ontology::{MeasureId, Minute, StreamId, Time};
use std::sync::Arc;

impl Fold {
    pub(super) fn sample(
        &mut self,
        measure: MeasureId,
        subject: NodeId,
        cohort: CohortId,
        at: Time,
        value: &Observation,
    ) {
        let of = (measure, subject);
        let kind = self.graph.ontology.measures.get(measure.index()).map(|m| m.kind);
        match value {
            Observation::Cumulative { stream, start, value } => {
                let reading = match kind {
                    Some(MeasureKind::Rate) => Reading::Counter(*value),
                    Some(MeasureKind::Gauge | MeasureKind::Ratio) => Reading::Speed(*value),
                    Some(MeasureKind::Duration) | None => Reading::Amount(*value),
                };
                self.reading(of, cohort, *stream, at, *start, reading);
            }
            Observation::GrowingTries { stream, start, count, bad } => {
                let reading = Reading::Tries { count: *count, bad: *bad };
                self.reading(of, cohort, *stream, at, *start, reading);
            }
            Observation::Growing { stream, start, values, sum } => {
                let values = Values { values: values.clone(), sum: *sum };
                self.reading(of, cohort, *stream, at, *start, Reading::Values(Box::new(values)));
            }
            other => {
                let cell = self.series_cell(of, cohort, at.minute());
                match other {
                    Observation::One(v) if kind == Some(MeasureKind::Rate) => cell.add_count(whole(*v), 0),
                    Observation::One(v) => cell.add(*v, 1, 0),
                    Observation::Flag(bad) => cell.add_count(1, u64::from(*bad)),
                    Observation::Count(n) => cell.add_count(*n, 0),
                    Observation::Many { values, sum } => {
                        for (v, n) in values {
                            cell.add(*v, *n, 0);
                        }
                        if let Some(exact) = sum {
                            cell.correct_sum(exact - values.iter().map(|(v, n)| v * *n as f64).sum::<f64>());
                        }
                    }
                    Observation::Tries { count, bad } => {
                        cell.add_tries_micro(tries_micro(*count), tries_micro(bad.min(*count)));
                    }
                    Observation::Cumulative { .. }
                    | Observation::GrowingTries { .. }
                    | Observation::Growing { .. } => {}
                }
            }
        }
    }

    pub(super) fn reading(
        &mut self,
        of: Of,
        cohort: CohortId,
        stream: StreamId,
        at: Time,
        start: Time,
        reading: Reading,
    ) {
        // One that comes late changes what grew until the next.
        if let Some(latest) = self.graph.latest.filter(|l| l.minute() > at.minute()) {
            self.touched.mark_all(at.minute(), latest.minute());
        }
        let id = self.series(of, cohort);
        if let Some(s) = self.graph.series.get_mut(id.0 as usize) {
            Arc::make_mut(s).reading(stream, at, start, reading);
        }
    }

    /// A cohort from the components named by a record: those that are kept each, as a sorted set.
    pub(super) fn cohort(&mut self, refs: &Arc<[Ref]>, c: &mut Context) -> CohortId {
        if let Some(known) = c.cohorts.get(&refs.as_ptr()) {
            return *known;
        }
        let mut nodes: Vec<NodeId> =
            refs.iter().filter_map(|r| c.node(*r)).filter(|n| !self.is_sampled(*n)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let id = self.cohort_of(nodes.into());
        c.cohorts.insert(refs.as_ptr(), id);
        id
    }

    /// The cohort of some nodes, which are sorted and each there once.
    pub(crate) fn cohort_of(&mut self, nodes: Arc<[NodeId]>) -> CohortId {
        if let Some(id) = self.cohort_index.get(&nodes) {
            return *id;
        }
        let id = CohortId(u32::try_from(self.graph.cohorts.len()).unwrap_or(u32::MAX));
        self.graph.cohorts.push_back(Arc::clone(&nodes));
        self.cohort_index.insert(nodes, id);
        id
    }

    pub(crate) fn series(&mut self, of: Of, cohort: CohortId) -> SeriesId {
        if let Some(id) = self.series_index.get(&(of, cohort)) {
            return *id;
        }
        let full = self.graph.series.len() >= self.limits.series;
        let empty = self.empty_cohort();
        if full && cohort != empty {
            self.totals.cohorts_folded += 1;
            return self.series(of, empty);
        }
        let id = SeriesId(u32::try_from(self.graph.series.len()).unwrap_or(u32::MAX));
        self.graph.series.push_back(Arc::new(Series::new(of, cohort)));
        self.graph.series_of.entry(of).or_default().push_back(id);
        self.series_index.insert((of, cohort), id);
        id
    }

    pub(super) fn empty_cohort(&mut self) -> CohortId {
        self.cohort_of(Arc::new([]))
    }

    pub(super) fn series_cell(&mut self, of: Of, cohort: CohortId, minute: Minute) -> &mut crate::Stat {
        let id = self.series(of, cohort);
        #[expect(clippy::indexing_slicing, reason = "`series` has just returned an index into this table")]
        Arc::make_mut(&mut self.graph.series[id.0 as usize]).cell(minute)
    }
}

/// A count that came as a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn whole(value: f64) -> u64 {
    if value.is_finite() { value.clamp(0.0, 9e15).round() as u64 } else { 0 }
}
