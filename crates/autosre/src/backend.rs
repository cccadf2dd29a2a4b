//! What stands behind a view: the operations users enter by, how they call one another, and how slow or failing each is.

use crate::case::Case;
use crate::finding::{Condition, People};
use crate::loss::Loss;
use crate::scene::{Aspect, Channel, Kind, Scene, Series, Spot};
use crate::table::Table;
use crate::vocabulary::Vocabulary;
use graph::{Agg, Direction, EdgeId, NodeId, Side};
use ontology::model::MeasureKind;
use ontology::{MeasureId, Minute, Stretch, Time};
use query::{Filter, View};
use std::collections::{BTreeMap, BTreeSet};

/// Interactions looked at to learn which operations a view enters by.
const SAMPLE: usize = 400;
/// Minutes of a bucket of a scene: enough calls for a mean, enough buckets for a spread.
const BUCKET: i64 = 5;
/// Buckets right before the onset.
const LEAD: i64 = 2;

/// What is behind the subjects of a case.
pub(crate) struct Backend {
    /// Operations that users' interactions with the subjects call, most called first.
    pub entries: Vec<NodeId>,
    /// The measure of operations that shows the trouble people feel.
    pub measure: MeasureId,
    /// The part of the backend where entries are worse, as conditions that hold beyond one service (a region).
    pub part: People,
    /// Mean departure of the entries there.
    pub effect: f64,
    /// The loss of the entries.
    pub loss: Option<Loss>,
}

/// The measure of operations with the aspect of another measure.
pub(crate) fn operation_measure(
    view: &View<'_>,
    vocabulary: &Vocabulary,
    felt: MeasureId,
) -> Option<MeasureId> {
    let o = view.ontology();
    let felt = view.measure(felt)?;
    let fits = |m: &ontology::model::Measure| {
        m.of == vocabulary.operation
            && m.aspect == felt.aspect
            && matches!(m.kind, MeasureKind::Duration | MeasureKind::Ratio)
    };
    o.measures.iter().position(fits).and_then(|i| u16::try_from(i).ok()).map(MeasureId)
}

/// Operations that users enter by from some views, most called first.
pub(crate) fn entries(view: &View<'_>, vocabulary: &Vocabulary, views: &[NodeId]) -> Vec<NodeId> {
    let o = view.ontology();
    let enters = vocabulary.enters(o, vocabulary.operation);
    let mut count: BTreeMap<NodeId, usize> = BTreeMap::new();
    for v in views {
        // An edge that a source told says it at once; else the interactions themselves do.
        for hop in view.graph.hops(*v) {
            let to_operation = view.graph.node(hop.node).is_some_and(|n| n.class == vocabulary.operation);
            if hop.direction == Direction::Out && to_operation {
                *count.entry(hop.node).or_default() += SAMPLE;
            }
        }
        let of_view: Vec<ontology::RelationId> = (0..o.relations.len())
            .filter_map(|i| u16::try_from(i).ok().map(ontology::RelationId))
            .filter(|r| o.relations[r.index()].arrows.iter().any(|(_, to)| *to == vocabulary.view))
            .collect();
        for relation in of_view {
            let (sample, _) = view.graph.sampled_into(*v, relation, SAMPLE);
            for interaction in sample {
                for hop in view.graph.hops(interaction) {
                    if hop.direction == Direction::Out && enters.contains(&hop.relation) {
                        *count.entry(hop.node).or_default() += 1;
                    }
                }
            }
        }
    }
    let all: usize = count.values().sum();
    let mut found: Vec<(usize, String, NodeId)> =
        count.into_iter().map(|(n, c)| (c, view.graph.name(n), n)).collect();
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    // An operation called once in twenty renders is not what the view waits for.
    found.into_iter().filter(|f| f.0 * 20 >= all).map(|f| f.2).collect()
}

/// Every operation and store reachable by calls from some operations.
pub(crate) fn reach(view: &View<'_>, from: &[NodeId]) -> Vec<NodeId> {
    let mut seen: BTreeSet<NodeId> = from.iter().copied().collect();
    let mut queue: Vec<NodeId> = from.to_vec();
    while let Some(at) = queue.pop() {
        for hop in view.graph.hops(at) {
            let flows = view
                .ontology()
                .relations
                .get(hop.relation.index())
                .is_some_and(|r| r.holds == ontology::model::Holds::Flow);
            if hop.direction == Direction::Out && flows && seen.insert(hop.node) {
                queue.push(hop.node);
            }
        }
    }
    let mut found: Vec<(String, NodeId)> = seen.into_iter().map(|n| (view.label(n), n)).collect();
    found.sort();
    found.into_iter().map(|f| f.1).collect()
}

impl Backend {
    /// Looks behind the subjects of a case.
    pub(crate) fn of(case: &Case<'_>) -> Option<Backend> {
        let (view, vocabulary) = (case.view, case.vocabulary);
        let o = view.ontology();
        let measure = operation_measure(view, vocabulary, case.measure())?;
        let entries = entries(view, vocabulary, case.subjects);
        if entries.is_empty() {
            return None;
        }
        let all = Stretch { from: Time::EPOCH, to: view.as_of };
        // Facets that hold beyond one service: places of the backend, not its copies or builds.
        let own = |class| {
            o.is_a(class, vocabulary.version)
                || [vocabulary.instance, vocabulary.service, vocabulary.host, vocabulary.operation]
                    .contains(&class)
                || vocabulary.belongs(o, class, vocabulary.service).is_some()
                || serves(view, vocabulary, class)
        };
        let table =
            Table::read_by(view, vocabulary, measure, &entries, &Filter::all(), all, |class| !own(class))?;
        let loss = Loss::in_table(view, table, Some(case.loss.onset));
        let mut backend = Backend { entries, measure, part: People::default(), effect: 0.0, loss };
        if let Some(loss) = &backend.loss
            && let Some(first) = loss.elements.first()
        {
            let conditions: Vec<Condition> = loss.people(first).0;
            backend.part = People(conditions);
            backend.effect = first.effect;
        }
        Some(backend)
    }

    /// The scene for the ranker: operations and stores, within the part of the backend where it is worse.
    pub(crate) fn scene(&self, case: &Case<'_>) -> Option<(Scene, BTreeMap<Spot, NodeId>)> {
        let view = case.view;
        let filter = self.part.filter();
        let ratio = case.loss.table.ratio;
        let aspect = if ratio { Aspect::Errors } else { Aspect::Latency };
        let entry = *self.entries.first()?;
        let mut scene = Scene::new(&view.label(entry), Kind::Operation, Some(aspect), (BUCKET * 60) as f64);
        let mut node_of = BTreeMap::from([(scene.target.component, entry)]);
        let reached = reach(view, &self.entries);
        let (first, _) = case.loss.table.extent()?;
        let grid = Grid::new(first, case.loss.onset, case.loss.end);
        let flows: Vec<query::Flow> = view
            .flows(case.whole(), &filter)
            .into_iter()
            .filter(|f| reached.contains(&f.from) && reached.contains(&f.to))
            .collect();
        // Requests are counted by the measure of operations and, for stores, by sampled calls; both on one scale.
        let mut scales: Vec<f64> = Vec::new();
        for node in &reached {
            let counted = view.sum(self.measure, Some(*node), &filter, case.whole()).count as f64;
            let sampled: u64 = flows.iter().filter(|f| f.to == *node).map(|f| f.answered.count).sum();
            if counted > 0.0 && sampled > 0 {
                scales.push(counted / sampled as f64);
            }
        }
        scales.sort_by(f64::total_cmp);
        let scale = scales.get(scales.len() / 2).copied().unwrap_or(1.0);
        for node in &reached {
            let is_operation = view.graph.node(*node).is_some_and(|n| n.class == case.vocabulary.operation);
            let lines = if is_operation {
                view.timeline(self.measure, Some(*node), &filter, grid.whole(), 1)
            } else {
                let edges: Vec<EdgeId> = flows.iter().filter(|f| f.to == *node).map(|f| f.edge).collect();
                view.flow_timeline(&edges, Side::Answered, &filter, grid.whole(), 1)
            };
            if lines.is_empty() {
                continue;
            }
            let kind = if is_operation { Kind::Operation } else { Kind::Datastore };
            let spot = scene.add(&view.label(*node), kind);
            node_of.insert(spot, *node);
            let scale = if is_operation { 1.0 } else { scale };
            let (requests, level) = grid.buckets(&lines, ratio, scale);
            scene.sample(spot, Channel::Requests, requests);
            scene.sample(spot, if ratio { Channel::ErrorRatio } else { Channel::Latency }, level);
        }
        for f in &flows {
            let (Some(from), Some(to)) = (scene.find(&view.label(f.from)), scene.find(&view.label(f.to)))
            else {
                continue;
            };
            let into: u64 = flows.iter().filter(|x| x.to == f.to).map(|x| x.answered.count).sum();
            let share = f.answered.count as f64 / into.max(1) as f64;
            scene.calls(from, to, Some(share));
        }
        Some((scene, node_of))
    }
}

/// Whether things of a class serve one service each (workloads).
fn serves(view: &View<'_>, vocabulary: &Vocabulary, class: ontology::ClassId) -> bool {
    view.ontology()
        .relations
        .iter()
        .any(|r| r.arrows.iter().any(|(a, b)| *a == class && *b == vocabulary.service))
}

struct Grid {
    first: Minute,
    healthy: usize,
    onset: Minute,
    degraded: usize,
}

impl Grid {
    fn new(first: Minute, onset: Minute, end: Minute) -> Grid {
        let count =
            |from: Minute, to: Minute| usize::try_from((to.0 - from.0).div_euclid(BUCKET)).unwrap_or(0);
        let healthy = count(first, onset);
        // Counted back from the onset, so that no bucket holds both.
        let first = Minute(onset.0 - i64::try_from(healthy).unwrap_or(0) * BUCKET);
        Grid { first, healthy, onset, degraded: count(onset, end).max(1) }
    }

    fn whole(&self) -> Stretch {
        let minutes = i64::try_from(self.degraded).unwrap_or(0) * BUCKET;
        Stretch { from: self.first.start(), to: self.onset.plus(minutes).start() }
    }

    fn buckets(&self, lines: &[(Minute, Agg)], ratio: bool, scale: f64) -> (Series, Series) {
        let total = self.healthy + self.degraded;
        let mut sums = vec![Agg::default(); total];
        for (minute, agg) in lines {
            let at = usize::try_from((minute.0 - self.first.0).div_euclid(BUCKET)).unwrap_or(usize::MAX);
            if let Some(sum) = sums.get_mut(at) {
                sum.merge(agg);
            }
        }
        let requests: Vec<f64> = sums.iter().map(|s| s.count as f64 * scale).collect();
        let level: Vec<f64> =
            sums.iter().map(|s| if ratio { s.ratio() } else { s.mean() }.unwrap_or(f64::NAN)).collect();
        (self.series(&requests), self.series(&level))
    }

    fn series(&self, values: &[f64]) -> Series {
        let lead = usize::try_from(LEAD).unwrap_or(0).min(self.healthy);
        let cut = self.healthy - lead;
        Series {
            healthy: values.iter().take(cut).copied().collect(),
            lead: values.iter().skip(cut).take(lead).copied().collect(),
            degraded: values.iter().skip(self.healthy).copied().collect(),
        }
    }
}
