//! Typed reading for experts and pages: sums, groups, timelines, flows, changes, all over half-open stretches of whole minutes.

use crate::cohort::{Dim, Filter, dimensions};
use graph::{Agg, CohortId, Direction, EdgeId, Graph, NodeId, Series, Side, Stat};
use ontology::model::{Holds, Measure, MeasureKind, Show};
use ontology::{ClassId, MeasureId, Minute, Ontology, RelationId, Stretch, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A graph as seen at a moment: nothing later is read through it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The epoch.
    pub graph: &'a Graph,
    /// The moment.
    pub as_of: Time,
}

/// Traffic of one edge over a stretch.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The edge.
    pub edge: EdgeId,
    /// Its relation.
    pub relation: RelationId,
    /// From.
    pub from: NodeId,
    /// To.
    pub to: NodeId,
    /// As the answering side saw it (milliseconds).
    pub answered: Agg,
    /// As the asking side saw it (milliseconds).
    pub asked: Agg,
}

impl<'a> View<'a> {
    /// A view of a graph at its latest moment.
    pub fn latest(graph: &'a Graph) -> View<'a> {
        View { graph, as_of: graph.latest().map_or(Time::EPOCH, |t| t.minute().plus(1).start()) }
    }

    /// The ontology.
    pub fn ontology(&self) -> &'a Ontology {
        self.graph.ontology()
    }

    /// A measure's definition.
    pub fn measure(&self, id: MeasureId) -> Option<&'a Measure> {
        self.graph.ontology().measures.get(id.index())
    }

    /// `Class name`, as people read it.
    pub fn label(&self, node: NodeId) -> String {
        format!("{} {}", self.class_name(node), self.graph.name(node))
    }

    /// Name of a node's class.
    pub fn class_name(&self, node: NodeId) -> &'a str {
        let class = self.graph.node(node).map(|n| n.class);
        class.and_then(|c| self.graph.ontology().classes.get(c.index())).map_or("?", |c| c.name.as_str())
    }

    /// A stretch cut off at this view's moment.
    pub fn clip(&self, during: Stretch) -> Stretch {
        Stretch { from: during.from.min(self.as_of), to: during.to.min(self.as_of) }
    }

    /// The series of a measure on a subject (on every subject when `None`) that pass a filter.
    pub fn series(&self, measure: MeasureId, subject: Option<NodeId>, filter: &Filter) -> Vec<&'a Series> {
        let subjects = subject.map_or_else(|| self.graph.subjects(measure), |s| vec![s]);
        subjects
            .into_iter()
            .flat_map(|s| self.graph.series(measure, s))
            .filter(|s| filter.keeps(self.graph, s.cohort))
            .collect()
    }

    /// Everything observed of a measure in a stretch, as one summary.
    pub fn sum(&self, measure: MeasureId, subject: Option<NodeId>, filter: &Filter, during: Stretch) -> Agg {
        self.sum_of(&self.series(measure, subject, filter), during)
    }

    /// The same over given series.
    pub fn sum_of(&self, series: &[&Series], during: Stretch) -> Agg {
        let during = self.clip(during);
        self.graph.sum(series.iter().copied(), during, |_| true)
    }

    /// The same, told apart along dimensions; `None` stands for cohorts that name nothing in a dimension.
    pub fn group(
        &self,
        measure: MeasureId,
        subject: Option<NodeId>,
        filter: &Filter,
        during: Stretch,
        dims: &[Dim],
    ) -> BTreeMap<Vec<Option<NodeId>>, Agg> {
        let during = self.clip(during);
        let (from, to) = (during.from.minute(), during.to.minute());
        let mut known: BTreeMap<CohortId, Vec<Option<NodeId>>> = BTreeMap::new();
        let mut groups: BTreeMap<Vec<Option<NodeId>>, Agg> = BTreeMap::new();
        for s in self.series(measure, subject, filter) {
            let cells = s.between(from, to);
            if cells.is_empty() {
                continue;
            }
            let key = known
                .entry(s.cohort)
                .or_insert_with(|| dims.iter().map(|d| d.of(self.graph, s.cohort)).collect())
                .clone();
            let group = groups.entry(key).or_default();
            for (_, stat) in cells {
                group.merge(stat);
            }
        }
        groups
    }

    /// The same by stretches of `every` minutes, ascending; empty ones are left out.
    pub fn timeline(
        &self,
        measure: MeasureId,
        subject: Option<NodeId>,
        filter: &Filter,
        during: Stretch,
        every: i64,
    ) -> Vec<(Minute, Agg)> {
        self.timeline_of(&self.series(measure, subject, filter), during, every)
    }

    /// The same over given series.
    pub fn timeline_of(&self, series: &[&Series], during: Stretch, every: i64) -> Vec<(Minute, Agg)> {
        let during = self.clip(during);
        let (from, to) = (during.from.minute(), during.to.minute());
        let mut steps: BTreeMap<Minute, Agg> = BTreeMap::new();
        for s in series {
            for (minute, stat) in s.between(from, to) {
                steps.entry(step_of(*minute, during, every)).or_default().merge(stat);
            }
        }
        steps.into_iter().collect()
    }

    /// Growth of counters of a measure by stretches of `every` minutes, and how many series grew.
    pub fn growth(
        &self,
        measure: MeasureId,
        subject: Option<NodeId>,
        filter: &Filter,
        during: Stretch,
        every: i64,
    ) -> Vec<(Minute, f64)> {
        let during = self.clip(during);
        let (from, to) = (during.from.minute(), during.to.minute());
        let mut steps: BTreeMap<Minute, f64> = BTreeMap::new();
        for s in self.series(measure, subject, filter) {
            for (minute, grown) in s.growth(from, to) {
                *steps.entry(step_of(minute, during, every)).or_default() += grown;
            }
        }
        steps.into_iter().collect()
    }

    /// The dimensions along which the cohorts of a measure on a subject differ.
    pub fn dimensions(&self, measure: MeasureId, subject: Option<NodeId>) -> Vec<Dim> {
        dimensions(self.graph, self.series(measure, subject, &Filter::all()).into_iter().map(|s| s.cohort))
    }

    /// The statistic people mean by a measure's name.
    pub fn shown(&self, measure: MeasureId, agg: &Agg) -> Option<f64> {
        let m = self.measure(measure)?;
        shown(m, agg)
    }

    /// Traffic of every edge whose relation is a flow, between nodes that are kept each, in name order.
    pub fn flows(&self, during: Stretch, filter: &Filter) -> Vec<Flow> {
        let during = self.clip(during);
        let ontology = self.graph.ontology();
        let mut flows = Vec::new();
        for (id, edge) in self.graph.edges() {
            let flow = ontology.relations.get(edge.relation.index()).is_some_and(|r| r.holds == Holds::Flow);
            if !flow || self.is_sampled(edge.from) {
                continue;
            }
            let keep = |c| filter.keeps(self.graph, c);
            let answered = self.graph.flow(id, Side::Answered, during, keep);
            if answered.count == 0 {
                continue;
            }
            let asked = self.graph.flow(id, Side::Asked, during, keep);
            let (from, to) = (self.graph.resolve(edge.from), self.graph.resolve(edge.to));
            flows.push((
                (self.label(from), self.label(to)),
                Flow { edge: id, relation: edge.relation, from, to, answered, asked },
            ));
        }
        flows.sort_by(|a, b| a.0.cmp(&b.0));
        flows.into_iter().map(|f| f.1).collect()
    }

    /// What went along some edges, as one summary.
    pub fn flow(&self, edges: &[EdgeId], side: Side, filter: &Filter, during: Stretch) -> Agg {
        let during = self.clip(during);
        edges.iter().fold(Agg::default(), |mut sum, edge| {
            sum.merge(&self.graph.flow(*edge, side, during, |c| filter.keeps(self.graph, c)));
            sum
        })
    }

    /// The same by stretches of `every` minutes, ascending; empty ones are left out.
    pub fn flow_timeline(
        &self,
        edges: &[EdgeId],
        side: Side,
        filter: &Filter,
        during: Stretch,
        every: i64,
    ) -> Vec<(Minute, Agg)> {
        let during = self.clip(during);
        let mut steps: BTreeMap<Minute, Agg> = BTreeMap::new();
        for edge in edges {
            let minutes = self.graph.flow_by_minute(*edge, side, during, |c| filter.keeps(self.graph, c));
            for (minute, stat) in minutes {
                steps.entry(step_of(minute, during, every)).or_default().merge(&stat);
            }
        }
        steps.into_iter().collect()
    }

    /// Whether a node is of a class that is folded into cohorts.
    pub fn is_sampled(&self, node: NodeId) -> bool {
        self.graph.is_sampled(node)
    }

    /// Nodes of a class that have something to do with a stretch: events that began in it, entities seen in it.
    pub fn events(&self, class: ClassId, during: Stretch) -> Vec<(Time, NodeId)> {
        let during = self.clip(during);
        let mut found: Vec<(Time, String, NodeId)> = self
            .graph
            .of_class(class)
            .into_iter()
            .filter_map(|n| {
                let at = self.started(n)?;
                during.contains(at).then(|| (at, self.label(n), n))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(at, _, n)| (at, n)).collect()
    }

    /// When an event started: its `started_at`, else when it was first seen.
    pub fn started(&self, node: NodeId) -> Option<Time> {
        self.graph.started(node)
    }

    /// Targets of a relation or of any special case of it, each once.
    pub fn targets(&self, node: NodeId, relation: RelationId) -> Vec<NodeId> {
        self.ends(node, relation, Direction::Out)
    }

    /// Sources of a relation or of any special case of it, each once.
    pub fn sources(&self, node: NodeId, relation: RelationId) -> Vec<NodeId> {
        self.ends(node, relation, Direction::In)
    }

    fn ends(&self, node: NodeId, relation: RelationId, direction: Direction) -> Vec<NodeId> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for h in self.graph.all_hops(node) {
            if h.direction == direction && self.is_case_of(h.relation, relation) && seen.insert(h.node) {
                found.push(h.node);
            }
        }
        found
    }

    /// Whether a relation is another or a special case of it.
    pub fn is_case_of(&self, special: RelationId, general: RelationId) -> bool {
        self.graph.ontology().is_case_of(special, general)
    }
}

/// The first minute of the step that a minute falls into, of steps of `every` minutes from the beginning of a stretch.
fn step_of(minute: Minute, during: Stretch, every: i64) -> Minute {
    let (from, every) = (during.from.minute(), every.max(1));
    Minute(from.0 + (minute.0 - from.0).div_euclid(every) * every)
}

/// The statistic people mean by a measure's name: a quantile, the mean, a share.
pub fn shown(measure: &Measure, agg: &Stat) -> Option<f64> {
    if agg.count == 0 {
        return None;
    }
    let valued = agg.sketch.count() > 0;
    match (measure.kind, measure.show) {
        (MeasureKind::Ratio, _) if !valued => agg.ratio(),
        (MeasureKind::Rate, _) => Some(agg.count as f64),
        (_, Show::Quantile(q)) => agg.quantile(q),
        (_, Show::Max) => agg.quantile(1.0),
        (_, Show::Mean) => agg.mean(),
    }
}
