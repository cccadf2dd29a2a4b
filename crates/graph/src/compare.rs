//! What differs between two moments, two snapshots or two cohorts, most surprising first, nothing cut off.
//!
//! Surprise of a figure is its change over its own variability from minute to minute on the healthy side; surprise of
//! something that came or went is how rare that is for its class, in bits. Both are comparable in size: 3 is worth a look.

use crate::flows::Side;
use crate::read::Agg;
use crate::series::{CohortId, Series};
use crate::stat::Stat;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::model::{Grain, MeasureKind};
use ontology::{ClassId, Minute, Stretch};
use serde::Serialize;
use std::collections::BTreeMap;

/// What happened to it from the first to the second side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only on the second side.
    Added,
    /// Only on the first side.
    Removed,
    /// On both, with other figures.
    Changed,
}

/// A node that came or went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeChange {
    /// Stable id.
    pub id: String,
    /// Class name.
    pub class: String,
    /// Name.
    pub name: String,
    /// What happened.
    pub kind: Kind,
    /// In bits: how rare it is that one of this class comes or goes.
    pub surprise: f64,
}

/// Figures of both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// How many on the first side, per minute.
    pub rate_before: f64,
    /// How many on the second side, per minute.
    pub rate_after: f64,
    /// Typical value (geometric mean) before; milliseconds for calls, the measure's unit for measures.
    pub before: Option<f64>,
    /// Typical value after.
    pub after: Option<f64>,
    /// Share of bad ones before.
    pub bad_before: Option<f64>,
    /// Share of bad ones after.
    pub bad_after: Option<f64>,
    /// Largest of the changes of value, bad share and rate, each over its healthy variability.
    pub surprise: f64,
}

/// An edge that came, went, or carries other traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EdgeChange {
    /// Stable id of the source.
    pub from: String,
    /// Name of the source, class first.
    pub from_name: String,
    /// Relation name.
    pub relation: String,
    /// Stable id of the target.
    pub to: String,
    /// Name of the target, class first.
    pub to_name: String,
    /// What happened.
    pub kind: Kind,
    /// Figures, for edges that carry traffic.
    pub change: Option<Change>,
    /// How surprising.
    pub surprise: f64,
}

/// A measure that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureChange {
    /// Measure name.
    pub measure: String,
    /// Stable id of the subject.
    pub subject: String,
    /// Its name, class first.
    pub subject_name: String,
    /// Figures.
    pub change: Change,
}

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Nodes that came or went.
    pub nodes: Vec<NodeChange>,
    /// Edges that came, went or changed.
    pub edges: Vec<EdgeChange>,
    /// Measures that moved.
    pub measures: Vec<MeasureChange>,
}

/// Says whether a cohort counts.
pub type Keep<'a> = &'a dyn Fn(&Graph, CohortId) -> bool;

/// One side of a comparison: a graph, a stretch of time, and which cohorts count.
#[derive(Clone, Copy)]
pub struct Half<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The stretch.
    pub during: Stretch,
    /// Which cohorts count; `None` for all.
    pub keep: Option<Keep<'a>>,
}

impl Half<'_> {
    fn keeps(&self, cohort: CohortId) -> bool {
        self.keep.is_none_or(|k| k(self.graph, cohort))
    }

    fn minutes(&self) -> f64 {
        ((self.during.to.minute().0 - self.during.from.minute().0) as f64).max(1.0)
    }
}

/// Compares two sides. Only changes at least this surprising are reported; 0 reports every figure that is not equal.
pub fn diff(before: Half<'_>, after: Half<'_>, at_least: f64) -> Difference {
    let mut found = Difference::default();
    // The same epoch, the same stretch, the same people: nothing differs, whatever there is.
    let same_keep = match (before.keep, after.keep) {
        (None, None) => true,
        (Some(a), Some(b)) => std::ptr::addr_eq(a, b),
        _ => false,
    };
    if std::ptr::eq(before.graph, after.graph) && before.during == after.during && same_keep {
        return found;
    }
    nodes(before, after, at_least, &mut found);
    edges(before, after, at_least, &mut found);
    measures(before, after, at_least, &mut found);
    found.nodes.sort_by(|a, b| {
        b.surprise.total_cmp(&a.surprise).then_with(|| (&a.class, &a.name).cmp(&(&b.class, &b.name)))
    });
    found.edges.sort_by(|a, b| {
        b.surprise.total_cmp(&a.surprise).then_with(|| {
            (&a.from_name, &a.relation, &a.to_name).cmp(&(&b.from_name, &b.relation, &b.to_name))
        })
    });
    found.measures.sort_by(|a, b| {
        b.change
            .surprise
            .total_cmp(&a.change.surprise)
            .then_with(|| (&a.measure, &a.subject_name).cmp(&(&b.measure, &b.subject_name)))
    });
    found
}

fn label(graph: &Graph, node: NodeId) -> String {
    let class =
        graph.node(node).and_then(|n| graph.ontology().classes.get(n.class.index())).map_or("?", |c| &c.name);
    format!("{class} {}", graph.name(node))
}

fn present(half: Half<'_>) -> BTreeMap<String, (ClassId, NodeId)> {
    let (from, to) = (half.during.from.minute(), half.during.to.minute());
    let classes = &half.graph.ontology().classes;
    half.graph
        .nodes()
        .filter_map(|n| {
            let node = half.graph.node(n)?;
            let class = classes.get(node.class.index())?;
            let life = half.graph.life_minutes(n);
            let there = half
                .graph
                .members(n)
                .iter()
                .any(|m| half.graph.raw(*m).is_some_and(|x| x.seen.touches(from, to, life)));
            (class.grain == Grain::Each && there).then(|| (half.graph.id(n), (node.class, n)))
        })
        .collect()
}

fn nodes(before: Half<'_>, after: Half<'_>, at_least: f64, found: &mut Difference) {
    let (a, b) = (present(before), present(after));
    let mut of_class: BTreeMap<ClassId, (usize, usize)> = BTreeMap::new();
    for (id, (class, _)) in a.iter().chain(b.iter()) {
        let entry = of_class.entry(*class).or_default();
        entry.0 += 1;
        entry.1 += usize::from(a.contains_key(id) != b.contains_key(id));
    }
    let mut report = |graph: &Graph, id: &String, class: ClassId, node: NodeId, kind: Kind| {
        let (all, moved) = of_class.get(&class).copied().unwrap_or((1, 1));
        let surprise = ((all + 1) as f64 / moved as f64).log2();
        if surprise >= at_least {
            found.nodes.push(NodeChange {
                id: id.clone(),
                class: graph
                    .ontology()
                    .classes
                    .get(class.index())
                    .map_or_else(String::new, |c| c.name.clone()),
                name: graph.name(node),
                kind,
                surprise,
            });
        }
    };
    for (id, (class, node)) in &a {
        if !b.contains_key(id) {
            report(before.graph, id, *class, *node, Kind::Removed);
        }
    }
    for (id, (class, node)) in &b {
        if !a.contains_key(id) {
            report(after.graph, id, *class, *node, Kind::Added);
        }
    }
}

type EdgeKey = (String, u16, String);

fn present_edges(half: Half<'_>) -> BTreeMap<EdgeKey, (NodeId, NodeId, Vec<EdgeId>)> {
    let mut found: BTreeMap<EdgeKey, (NodeId, NodeId, Vec<EdgeId>)> = BTreeMap::new();
    let graph = half.graph;
    for (id, edge) in graph.edges() {
        let sampled = |n: NodeId| {
            graph
                .node(n)
                .and_then(|n| graph.ontology().classes.get(n.class.index()))
                .is_none_or(|c| c.grain == Grain::Sampled)
        };
        if sampled(edge.from) || sampled(edge.to) || !graph.held_during(id, half.during) {
            continue;
        }
        let (from, to) = (graph.resolve(edge.from), graph.resolve(edge.to));
        let entry =
            found.entry((graph.id(from), edge.relation.0, graph.id(to))).or_insert((from, to, Vec::new()));
        entry.2.push(id);
    }
    found
}

fn edges(before: Half<'_>, after: Half<'_>, at_least: f64, found: &mut Difference) {
    let (a, b) = (present_edges(before), present_edges(after));
    let mut of_relation: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    for key in a.keys().chain(b.keys()) {
        let entry = of_relation.entry(key.1).or_default();
        entry.0 += 1;
        entry.1 += usize::from(a.contains_key(key) != b.contains_key(key));
    }
    let relation = |r: u16| {
        before.graph.ontology().relations.get(r as usize).map_or_else(String::new, |r| r.name.clone())
    };
    let make = |graph: &Graph,
                key: &EdgeKey,
                from: NodeId,
                to: NodeId,
                kind: Kind,
                change: Option<Change>,
                surprise: f64| EdgeChange {
        from: key.0.clone(),
        from_name: label(graph, from),
        relation: relation(key.1),
        to: key.2.clone(),
        to_name: label(graph, to),
        kind,
        change,
        surprise,
    };
    for (graph, mine, other, kind) in
        [(before.graph, &a, &b, Kind::Removed), (after.graph, &b, &a, Kind::Added)]
    {
        for (key, (from, to, _)) in mine {
            if !other.contains_key(key) {
                let (all, moved) = of_relation.get(&key.1).copied().unwrap_or((1, 1));
                let surprise = ((all + 1) as f64 / moved as f64).log2();
                if surprise >= at_least {
                    found.edges.push(make(graph, key, *from, *to, kind, None, surprise));
                }
            }
        }
    }
    for (key, (from, to, of_b)) in &b {
        let Some((_, _, of_a)) = a.get(key) else { continue };
        let (a, b) = (along(before, of_a), along(after, of_b));
        let change = compare((before, &a), (after, &b), MeasureKind::Duration);
        if let Some(change) = change.filter(|c| c.surprise >= at_least) {
            let surprise = change.surprise;
            found.edges.push(make(after.graph, key, *from, *to, Kind::Changed, Some(change), surprise));
        }
    }
}

fn measures(before: Half<'_>, after: Half<'_>, at_least: f64, found: &mut Difference) {
    for (i, measure) in before.graph.ontology().measures.iter().enumerate() {
        let Ok(id) = u16::try_from(i).map(ontology::MeasureId) else { continue };
        for subject in after.graph.subjects(id) {
            let stable = after.graph.id(subject);
            let Some(twin) = before.graph.node_with_id(&stable) else { continue };
            let a = by_minute(before, &before.graph.series(id, twin));
            let b = by_minute(after, &after.graph.series(id, subject));
            let change = compare((before, &a), (after, &b), measure.kind);
            if let Some(change) = change.filter(|c| c.surprise >= at_least) {
                found.measures.push(MeasureChange {
                    measure: measure.name.clone(),
                    subject: stable,
                    subject_name: label(after.graph, subject),
                    change,
                });
            }
        }
    }
}

/// Sums by minute.
type Minutes = BTreeMap<Minute, Stat>;

/// Sums by minute of the series that count.
fn by_minute(half: Half<'_>, series: &[&Series]) -> Minutes {
    let mut minutes = Minutes::new();
    for s in series.iter().filter(|s| half.keeps(s.cohort)) {
        for (minute, stat) in s.between(half.during.from.minute(), half.during.to.minute()) {
            minutes.entry(*minute).or_default().merge(stat);
        }
    }
    minutes
}

/// The same of what went along some edges.
fn along(half: Half<'_>, edges: &[EdgeId]) -> Minutes {
    let mut minutes = Minutes::new();
    for edge in edges {
        let flow = half.graph.flow_by_minute(*edge, Side::Answered, half.during, |c| half.keeps(c));
        for (minute, stat) in flow {
            minutes.entry(minute).or_default().merge(&stat);
        }
    }
    minutes
}

/// Relative changes below this are noise of the sketch and of the clock, whatever the spread of a quiet series says.
const FLOOR: f64 = 0.01;

fn compare(
    (before, a): (Half<'_>, &Minutes),
    (after, b): (Half<'_>, &Minutes),
    kind: MeasureKind,
) -> Option<Change> {
    let total = |m: &Minutes| {
        m.values().fold(Agg::default(), |mut sum, s| {
            sum.merge(s);
            sum
        })
    };
    let (all_a, all_b) = (total(a), total(b));
    if all_a.count == 0 || all_b.count == 0 {
        return None;
    }
    let spread = |value: &dyn Fn(&Stat) -> f64| {
        let values: Vec<f64> = a.values().map(value).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let variance =
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len().max(2) - 1) as f64;
        variance.sqrt()
    };
    let over = |change: f64, spread: f64| {
        change.abs() / (spread * (1.0 / a.len() as f64 + 1.0 / b.len() as f64).sqrt()).max(FLOOR)
    };
    let valued = kind != MeasureKind::Rate && all_a.sketch.count() > 0 && all_b.sketch.count() > 0;
    let value = if valued {
        over(all_b.log_mean()? - all_a.log_mean()?, spread(&|s| s.log_mean().unwrap_or(0.0)))
    } else {
        0.0
    };
    let bad = over(all_b.ratio()? - all_a.ratio()?, spread(&|s| s.ratio().unwrap_or(0.0)));
    let (rate_a, rate_b) = (all_a.count as f64 / before.minutes(), all_b.count as f64 / after.minutes());
    let rate = over((rate_b / rate_a).ln(), spread(&|s| (s.count as f64).ln()));
    let typical = |s: &Stat| if valued { s.log_mean().map(f64::exp) } else { None };
    Some(Change {
        rate_before: rate_a,
        rate_after: rate_b,
        before: typical(&all_a),
        after: typical(&all_b),
        bad_before: all_a.ratio(),
        bad_after: all_b.ratio(),
        surprise: value.max(bad).max(rate),
    })
}
