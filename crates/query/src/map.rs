//! The map around some nodes at a moment, beside another moment: figures, what changed, and where to draw it.
//!
//! The layout depends on what is there at either moment and on nothing else, so nodes stay where they are while the two are
//! compared.

use crate::cohort::Filter;
use crate::view::View;
use crate::walk::{Along, Bounds};
use graph::{Agg, Direction, NodeId, Side};
use ontology::model::{Better, Holds, MeasureKind};
use ontology::{ClassId, RelationId, Stretch, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes drawn; the rest is counted.
pub const MAX_NODES: usize = 150;
/// Figures are over this long before a moment: long enough for a few hundred calls, short enough to be "then".
const WINDOW_SECS: i64 = 15 * 60;
/// Changes at least this many times their healthy variability are shown as such.
const WORTH_SHOWING: f64 = 4.0;

/// Figures of a node or an edge in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Geometric mean duration.
    pub latency_ms: Option<f64>,
    /// Share that failed.
    pub error_ratio: Option<f64>,
    /// Happenings per minute.
    pub rate: Option<f64>,
    /// A level (saturation), 0..1.
    pub level: Option<f64>,
}

/// A node on the map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapNode {
    /// Stable id.
    pub id: String,
    /// Class name.
    pub class: String,
    /// Name.
    pub name: String,
    /// Namespace of its class: `ux`, `client`, `net`, `svc`, `data`, `infra`, `change`, `exp`, …
    pub kind: String,
    /// 0..1 from left to right.
    pub x: f64,
    /// 0..1 from top to bottom.
    pub y: f64,
    /// Figures at the moment.
    pub figures: Figures,
    /// Figures at the other moment.
    pub before: Option<Figures>,
    /// `same`, `added`, `removed`, `worse` or `better`.
    pub change: &'static str,
    /// How large the change is, over healthy variability.
    pub score: f64,
}

/// An edge on the map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapEdge {
    /// Stable id of the source.
    pub from: String,
    /// Relation name.
    pub relation: String,
    /// Stable id of the target.
    pub to: String,
    /// Figures at the moment.
    pub figures: Figures,
    /// Figures at the other moment.
    pub before: Option<Figures>,
    /// `same`, `added`, `removed`, `worse` or `better`.
    pub change: &'static str,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// The moment.
    pub at: Time,
    /// The other moment.
    pub compare: Option<Time>,
    /// Nodes.
    pub nodes: Vec<MapNode>,
    /// Edges.
    pub edges: Vec<MapEdge>,
    /// Nodes left out.
    pub hidden: usize,
}

type EdgeKey = (NodeId, RelationId, NodeId);

/// The map around some nodes.
pub fn map(view: &View<'_>, around: &[NodeId], hops: usize, at: Time, compare: Option<Time>) -> Map {
    let moments: Vec<Time> = std::iter::once(at).chain(compare).collect();
    let mut order: Vec<NodeId> = Vec::new();
    let mut there: BTreeMap<NodeId, [bool; 2]> = BTreeMap::new();
    let mut edges: BTreeMap<EdgeKey, [bool; 2]> = BTreeMap::new();
    let mut hidden = 0;
    for (i, moment) in moments.iter().enumerate() {
        for start in around {
            let bounds = Bounds { hops, nodes: MAX_NODES * 4, weight: 0.0 };
            let found = view.neighbourhood(*start, *moment, bounds, Along::Told, &[]);
            hidden = hidden.max(found.hidden);
            for (node, _) in found.nodes.iter().filter(|(n, _)| !view.is_sampled(*n)) {
                let flags = there.entry(*node).or_insert_with(|| {
                    order.push(*node);
                    [false; 2]
                });
                flags[i] = true;
            }
            for (from, hop) in &found.hops {
                let key = if hop.direction == Direction::Out {
                    (*from, hop.relation, hop.node)
                } else {
                    (hop.node, hop.relation, *from)
                };
                edges.entry(key).or_default()[i] = true;
            }
        }
    }
    if order.len() > MAX_NODES {
        hidden += order.len() - MAX_NODES;
        order.truncate(MAX_NODES);
    }
    let kept: BTreeSet<NodeId> = order.iter().copied().collect();
    edges.retain(|(from, _, to), _| kept.contains(from) && kept.contains(to) && from != to);
    let places = layout(view, &order, edges.keys());
    let windows: Vec<Stretch> =
        moments.iter().map(|t| Stretch { from: t.plus_secs(-WINDOW_SECS), to: *t }).collect();
    let nodes = order
        .iter()
        .map(|n| {
            let mut flags = there.get(n).copied().unwrap_or_default();
            // Out of reach at a moment is not gone: what then had edges of its own was there.
            for (flag, moment) in flags.iter_mut().zip(&moments) {
                *flag = *flag || !view.graph.hops_at(*n, *moment).is_empty();
            }
            let (x, y) = places.get(n).copied().unwrap_or((0.5, 0.5));
            let figures: Vec<Figures> = windows.iter().map(|w| node_figures(view, *n, *w)).collect();
            let (change, score) = change(flags, compare.is_some(), &node_timelines(view, *n, &windows));
            MapNode {
                id: view.graph.id(*n),
                class: view.class_name(*n).to_owned(),
                name: view.graph.name(*n),
                kind: namespace(view, *n),
                x,
                y,
                figures: figures.first().copied().unwrap_or_default(),
                before: figures.get(1).copied(),
                change,
                score,
            }
        })
        .collect();
    let edges = edges
        .iter()
        .map(|((from, relation, to), flags)| {
            let ids: Vec<graph::EdgeId> = view
                .graph
                .hops(*from)
                .into_iter()
                .filter(|h| h.relation == *relation && h.direction == Direction::Out && h.node == *to)
                .map(|h| h.edge)
                .collect();
            let (all, answered) = (Filter::all(), Side::Answered);
            let figures: Vec<Figures> =
                windows.iter().map(|w| duration_figures(&view.flow(&ids, answered, &all, *w), *w)).collect();
            let lines: Vec<Vec<f64>> =
                windows.iter().map(|w| log_means(&view.flow_timeline(&ids, answered, &all, *w, 1))).collect();
            let (change, _) = change(*flags, compare.is_some(), &[(lines, true)]);
            MapEdge {
                from: view.graph.id(*from),
                relation: view
                    .ontology()
                    .relations
                    .get(relation.index())
                    .map_or_else(String::new, |r| r.name.clone()),
                to: view.graph.id(*to),
                figures: figures.first().copied().unwrap_or_default(),
                before: figures.get(1).copied(),
                change,
            }
        })
        .collect();
    Map { at, compare, nodes, edges, hidden }
}

fn namespace(view: &View<'_>, node: NodeId) -> String {
    let class = view.graph.node(node).and_then(|n| view.ontology().classes.get(n.class.index()));
    class.map_or_else(String::new, |c| c.namespace.clone())
}

fn duration_figures(agg: &Agg, during: Stretch) -> Figures {
    if agg.count == 0 {
        return Figures::default();
    }
    Figures {
        latency_ms: agg.log_mean().map(f64::exp),
        error_ratio: agg.ratio(),
        rate: Some(agg.count as f64 / (during.secs() / 60.0).max(1.0)),
        level: None,
    }
}

fn measures_of(view: &View<'_>, node: NodeId) -> Vec<ontology::MeasureId> {
    let Some(class) = view.graph.node(node).map(|n| n.class) else { return Vec::new() };
    (0u16..)
        .zip(&view.ontology().measures)
        .filter(|(_, m)| view.ontology().is_a(class, m.of))
        .map(|(i, _)| ontology::MeasureId(i))
        .collect()
}

fn node_figures(view: &View<'_>, node: NodeId, during: Stretch) -> Figures {
    let mut figures = Figures::default();
    for id in measures_of(view, node) {
        let Some(measure) = view.measure(id) else { continue };
        let agg = view.sum(id, Some(node), &Filter::all(), during);
        if agg.count == 0 {
            continue;
        }
        match measure.kind {
            MeasureKind::Duration if figures.latency_ms.is_none() => {
                figures.latency_ms = agg.log_mean().map(f64::exp);
                figures.rate = figures.rate.or(Some(agg.count as f64 / (during.secs() / 60.0).max(1.0)));
            }
            MeasureKind::Ratio if agg.sketch.count() == 0 => {
                figures.error_ratio = figures.error_ratio.or_else(|| agg.ratio())
            }
            // A level is how full something is; gauges in bytes or seconds say that of nothing in particular.
            MeasureKind::Ratio | MeasureKind::Gauge if measure.unit == "1" => {
                figures.level = figures.level.or_else(|| agg.mean())
            }
            _ => {}
        }
    }
    figures
}

/// Per measure: a line per window, and whether more is worse.
type Lines = (Vec<Vec<f64>>, bool);

fn node_timelines(view: &View<'_>, node: NodeId, windows: &[Stretch]) -> Vec<Lines> {
    let mut all = Vec::new();
    for id in measures_of(view, node) {
        let Some(measure) = view.measure(id).filter(|m| m.better != Better::Steady) else { continue };
        let lines = windows
            .iter()
            .map(|w| {
                let line = view.timeline(id, Some(node), &Filter::all(), *w, 1);
                if measure.kind == MeasureKind::Ratio {
                    line.iter()
                        .filter_map(|(_, a)| if a.sketch.count() > 0 { a.mean() } else { a.ratio() })
                        .collect()
                } else {
                    log_means(&line)
                }
            })
            .collect();
        all.push((lines, measure.better == Better::Lower));
    }
    all
}

fn log_means(line: &[(ontology::Minute, Agg)]) -> Vec<f64> {
    line.iter().filter_map(|(_, a)| a.log_mean()).collect()
}

fn change(flags: [bool; 2], compared: bool, measures: &[Lines]) -> (&'static str, f64) {
    match flags {
        _ if !compared => return ("same", 0.0),
        [true, false] => return ("added", 0.0),
        [false, true] => return ("removed", 0.0),
        _ => {}
    }
    let mut worst = 0.0f64;
    for (lines, more_is_worse) in measures {
        let [now, before] = lines.as_slice() else { continue };
        if now.len() < 3 || before.len() < 3 {
            continue;
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (a, b) = (mean(before), mean(now));
        let variance = before.iter().map(|v| (v - a).powi(2)).sum::<f64>() / (before.len() - 1) as f64;
        let spread = (variance * (1.0 / before.len() as f64 + 1.0 / now.len() as f64)).sqrt().max(0.01);
        let z = if *more_is_worse { b - a } else { a - b } / spread;
        if z.abs() > worst.abs() {
            worst = z;
        }
    }
    let word = if worst >= WORTH_SHOWING {
        "worse"
    } else if worst <= -WORTH_SHOWING {
        "better"
    } else {
        "same"
    };
    (word, worst)
}

/// Columns by namespace in the ontology's order, and inside one by how far along the traffic; rows by the mean place of
/// neighbours (Sugiyama's barycentre rule, a few rounds).
fn layout<'e>(
    view: &View<'_>,
    nodes: &[NodeId],
    edges: impl Iterator<Item = &'e EdgeKey>,
) -> BTreeMap<NodeId, (f64, f64)> {
    let mut rank: BTreeMap<&str, usize> = BTreeMap::new();
    for class in &view.ontology().classes {
        let next = rank.len();
        rank.entry(class.namespace.as_str()).or_insert(next);
    }
    let edges: Vec<EdgeKey> = edges.copied().collect();
    let is_flow =
        |r: RelationId| view.ontology().relations.get(r.index()).is_some_and(|r| r.holds == Holds::Flow);
    let class_of = |n: NodeId| view.graph.node(n).map_or(ClassId(0), |x| x.class);
    let namespace_of = |n: NodeId| rank.get(namespace(view, n).as_str()).copied().unwrap_or(usize::MAX);
    // Depth along traffic among nodes of one class, by relaxation; loops stop at the number of nodes.
    let mut depth: BTreeMap<NodeId, usize> = nodes.iter().map(|n| (*n, 0)).collect();
    for _ in 0..8 {
        let mut moved = false;
        for (from, relation, to) in &edges {
            if is_flow(*relation) && class_of(*from) == class_of(*to) {
                let next = depth.get(from).copied().unwrap_or(0) + 1;
                let at = depth.entry(*to).or_default();
                if *at < next && next < 8 {
                    *at = next;
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    let column_key = |n: NodeId| (namespace_of(n), class_of(n), depth.get(&n).copied().unwrap_or(0));
    let keys: BTreeSet<_> = nodes.iter().map(|n| column_key(*n)).collect();
    let column_of: BTreeMap<_, usize> = keys.into_iter().enumerate().map(|(i, k)| (k, i)).collect();
    let mut columns: Vec<Vec<NodeId>> = vec![Vec::new(); column_of.len()];
    let mut by_name: Vec<(String, NodeId)> = nodes.iter().map(|n| (view.graph.name(*n), *n)).collect();
    by_name.sort();
    for (_, n) in by_name {
        if let Some(column) = column_of.get(&column_key(n)).and_then(|c| columns.get_mut(*c)) {
            column.push(n);
        }
    }
    let mut near: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (from, _, to) in &edges {
        near.entry(*from).or_default().push(*to);
        near.entry(*to).or_default().push(*from);
    }
    let mut y: BTreeMap<NodeId, f64> = BTreeMap::new();
    let place = |columns: &[Vec<NodeId>], y: &mut BTreeMap<NodeId, f64>| {
        for column in columns {
            for (i, n) in column.iter().enumerate() {
                y.insert(*n, (i as f64 + 0.5) / column.len() as f64);
            }
        }
    };
    place(&columns, &mut y);
    for _ in 0..6 {
        for column in &mut columns {
            let centre = |n: &NodeId| {
                let around: Vec<f64> =
                    near.get(n).into_iter().flatten().filter_map(|m| y.get(m).copied()).collect();
                if around.is_empty() {
                    y.get(n).copied().unwrap_or(0.5)
                } else {
                    around.iter().sum::<f64>() / around.len() as f64
                }
            };
            let mut keyed: Vec<(f64, usize, NodeId)> =
                column.iter().enumerate().map(|(i, n)| (centre(n), i, *n)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            *column = keyed.into_iter().map(|k| k.2).collect();
        }
        place(&columns, &mut y);
    }
    let width = columns.len().max(1) as f64;
    let mut places = BTreeMap::new();
    for (i, column) in columns.iter().enumerate() {
        for n in column {
            places.insert(*n, ((i as f64 + 0.5) / width, y.get(n).copied().unwrap_or(0.5)));
        }
    }
    places
}
