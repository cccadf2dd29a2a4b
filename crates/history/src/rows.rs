//! Rows of a table, as a graph has them for some hours. Sorted by what is stable between graphs, so that they come in the same order
//! wherever the same facts were folded.

mod build;
mod edges;
mod look;

use crate::chart::Chart;
use crate::format::BATCH_ROWS;
use crate::hour::Hour;
use crate::table::Table;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
pub(crate) use build::micros;
use graph::{EdgeId, Flow, Graph, NodeId, Runs, Series, Side, Stat};
use look::Look;
use ontology::model::Holds;
use ontology::{Minute, Stretch, Time};
use std::collections::{BTreeMap, BTreeSet};

/// One row, before its columns are made.
pub(crate) enum Row<'g> {
    /// A node, seen from one minute up to another.
    Seen(NodeId, Minute, Minute),
    /// A node that only relations tell of, in the hour that begins at a minute.
    Related(NodeId, Minute),
    /// An edge, the same.
    Edge(EdgeId, Minute, Minute),
    Flow(Flow),
    /// A minute of a series: what was counted, and by how much counters grew.
    Cell(&'g Series, Minute, Option<&'g Stat>, f64),
    Event(NodeId, Time),
    Sampled(NodeId, Minute),
}

/// Minutes of what went along edges that are read at once.
const QUARTER: i64 = 15;

/// Batches of rows of a table for some hours, in order.
pub(crate) struct Batches<'g> {
    rows: Box<dyn Iterator<Item = Row<'g>> + 'g>,
    look: Look<'g>,
    schema: SchemaRef,
    columns: Vec<crate::chart::Column>,
}

/// What a graph has of a table for some hours. `columns` chooses among [`Chart::columns`], in the order wanted; `schema` is theirs.
pub(crate) fn batches<'g>(
    graph: &'g Graph,
    chart: &'g Chart,
    table: Table,
    hours: &BTreeSet<Hour>,
    (columns, schema): (Vec<crate::chart::Column>, SchemaRef),
) -> Batches<'g> {
    let rows: Box<dyn Iterator<Item = Row<'g>> + 'g> = match table {
        Table::Entities => Box::new(seen(graph, chart, hours).into_iter()),
        Table::Relations => Box::new(edges(graph, hours).into_iter()),
        Table::Flows => Box::new(flows(graph, hours)),
        Table::Measures => Box::new(cells(graph, hours)),
        Table::Events => {
            Box::new(events(graph, chart, Some(hours)).into_iter().map(|(_, node, at)| Row::Event(node, at)))
        }
        Table::Interactions => {
            Box::new(sampled(graph, Some(hours)).into_iter().map(|(_, node, at)| Row::Sampled(node, at)))
        }
    };
    Batches { rows, look: Look::new(graph), schema, columns }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows: Vec<Row> = self.rows.by_ref().take(BATCH_ROWS).collect();
        (!rows.is_empty()).then(|| build::batch(&mut self.look, &rows, &self.columns, &self.schema))
    }
}

/// The parts of some runs that lie in an hour, ascending, as stretches of minutes that do not touch.
fn within(runs: &[&Runs], hour: Hour) -> Vec<(Minute, Minute)> {
    let touching =
        runs.iter().flat_map(|r| r.iter()).filter(|(from, to)| *from < hour.end() && *to >= hour.first());
    let clipped = touching.map(|(from, to)| (from.max(hour.first()), to.plus(1).min(hour.end())));
    let mut parts: Vec<(Minute, Minute)> = clipped.collect();
    parts.sort_unstable();
    parts.dedup_by(|next, before| {
        let touch = next.0 <= before.1;
        if touch {
            before.1 = before.1.max(next.1);
        }
        touch
    });
    parts
}

/// When a thing was seen, under any of its keys.
fn seen_runs(graph: &Graph, node: NodeId) -> Vec<&Runs> {
    graph.members(node).into_iter().filter_map(|m| graph.member(m)).map(|n| &n.seen).collect()
}

/// The hours of some in which sources told of a thing's relations; of what is said once, where it was first said.
fn related(graph: &Graph, node: NodeId, hours: &BTreeSet<Hour>) -> BTreeSet<Hour> {
    let mut found = BTreeSet::new();
    for edge in graph.hops(node).into_iter().filter_map(|h| graph.edge(h.edge)) {
        let relation = graph.ontology().relations.get(edge.relation.index());
        match edge.seen.first().filter(|_| relation.is_some_and(|r| r.holds == Holds::Fixed)) {
            Some(first) => found.extend(hours.get(&Hour::of(first))),
            None => found.extend(touched(&[&edge.seen], hours)),
        }
    }
    found
}

/// The hours of some that runs touch.
fn touched<'a>(runs: &'a [&Runs], hours: &'a BTreeSet<Hour>) -> BTreeSet<Hour> {
    let all = runs.iter().flat_map(|r| r.iter());
    all.flat_map(|(from, to)| hours.range(Hour::of(from)..=Hour::of(to))).copied().collect()
}

/// Things that are kept each and are no events.
fn seen<'g>(graph: &'g Graph, chart: &Chart, hours: &BTreeSet<Hour>) -> Vec<Row<'g>> {
    // Hour, class and id: what rows are sorted by.
    let mut found = Vec::new();
    for node in graph.nodes().filter(|n| !graph.is_sampled(*n)) {
        let Some(class) = graph.node(node).map(|n| n.class).filter(|c| !chart.is_event(*c)) else { continue };
        let runs = seen_runs(graph, node);
        let own = touched(&runs, hours);
        for hour in &own {
            for part in within(&runs, *hour) {
                found.push((*hour, class.0, graph.id(node), node, Some(part)));
            }
        }
        // What becomes of it in other hours changes nothing in this one.
        for hour in related(graph, node, hours).difference(&own) {
            found.push((*hour, class.0, graph.id(node), node, None));
        }
    }
    found.sort_unstable();
    let row = |(hour, _, _, node, part): (Hour, u16, String, NodeId, Option<(Minute, Minute)>)| match part {
        Some((from, to)) => Row::Seen(node, from, to),
        None => Row::Related(node, hour.first()),
    };
    found.into_iter().map(row).collect()
}

/// Edges between things and events, as sources told of them. What is said once and true for good stands where it was said.
fn edges<'g>(graph: &'g Graph, hours: &BTreeSet<Hour>) -> Vec<Row<'g>> {
    // Hour, relation and both ids: what rows are sorted by.
    let mut found = Vec::new();
    for (id, edge) in graph.edges() {
        if graph.is_sampled(edge.from) || graph.is_sampled(edge.to) {
            continue;
        }
        let fixed =
            graph.ontology().relations.get(edge.relation.index()).is_some_and(|r| r.holds == Holds::Fixed);
        let first = edge.seen.first().filter(|_| fixed);
        let hours_of = match first {
            Some(first) => hours.get(&Hour::of(first)).copied().into_iter().collect(),
            None => touched(&[&edge.seen], hours),
        };
        for hour in hours_of {
            let parts = match first {
                Some(first) => vec![(first, first.plus(1))],
                None => within(&[&edge.seen], hour),
            };
            for part in parts {
                found.push((hour, edge.relation.0, graph.id(edge.from), graph.id(edge.to), id, part));
            }
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(.., id, (from, to))| Row::Edge(id, from, to)).collect()
}

fn flows<'g>(graph: &'g Graph, hours: &BTreeSet<Hour>) -> impl Iterator<Item = Row<'g>> + use<'g> {
    let quarters: Vec<Minute> =
        hours.iter().flat_map(|h| (0..60 / QUARTER).map(|q| h.first().plus(q * QUARTER))).collect();
    quarters.into_iter().flat_map(move |from| {
        let during = Stretch { from: from.start(), to: from.plus(QUARTER).start() };
        let mut flows = graph.flows_during(during);
        let mut ends: BTreeMap<EdgeId, (u16, String, String)> = BTreeMap::new();
        for flow in &flows {
            if let Some(e) = graph.edge(flow.edge) {
                ends.entry(flow.edge).or_insert_with(|| (e.relation.0, graph.id(e.from), graph.id(e.to)));
            }
        }
        flows.retain(|f| ends.contains_key(&f.edge));
        let cohorts: BTreeSet<_> = flows.iter().map(|f| f.cohort).collect();
        let cohorts: BTreeMap<_, _> = cohorts.into_iter().map(|c| (c, look::cohort_id(graph, c))).collect();
        let side = |s: Side| s == Side::Asked;
        flows.sort_by(|a, b| {
            (ends.get(&a.edge), side(a.side), cohorts.get(&a.cohort), a.minute).cmp(&(
                ends.get(&b.edge),
                side(b.side),
                cohorts.get(&b.cohort),
                b.minute,
            ))
        });
        flows.into_iter().map(Row::Flow)
    })
}

fn cells<'g>(graph: &'g Graph, hours: &BTreeSet<Hour>) -> impl Iterator<Item = Row<'g>> + use<'g> {
    let hours: Vec<Hour> = hours.iter().copied().collect();
    let ends = hours.first().zip(hours.last()).map(|(a, b)| (a.first(), b.end()));
    let has = |s: &&Series| {
        ends.is_some_and(|(from, to)| !s.between(from, to).is_empty() || s.growth(from, to).next().is_some())
    };
    let mut series: Vec<&Series> = graph.every_series().filter(has).collect();
    series.sort_by_cached_key(|s| (s.measure, graph.id(s.subject), look::cohort_id(graph, s.cohort)));
    hours.into_iter().flat_map(move |hour| {
        let (from, to) = (hour.first(), hour.end());
        series.clone().into_iter().flat_map(move |s| {
            let mut minutes: BTreeMap<Minute, (Option<&Stat>, f64)> = BTreeMap::new();
            for (minute, stat) in s.between(from, to) {
                minutes.entry(*minute).or_default().0 = Some(stat);
            }
            for (minute, grown) in s.growth(from, to) {
                minutes.entry(minute).or_default().1 = grown;
            }
            minutes.into_iter().map(move |(minute, (stat, grown))| Row::Cell(s, minute, stat, grown))
        })
    })
}

/// When a node began that is an event.
pub(crate) fn began(graph: &Graph, chart: &Chart, node: NodeId) -> Option<Time> {
    graph.node(node).filter(|n| chart.is_event(n.class)).and_then(|_| graph.started(node))
}

/// Events by when they began, in some hours or in all: hour, node, moment.
pub(crate) fn events(
    graph: &Graph,
    chart: &Chart,
    hours: Option<&BTreeSet<Hour>>,
) -> Vec<(Hour, NodeId, Time)> {
    let mut found: Vec<(Hour, Time, String, NodeId)> = Vec::new();
    for node in graph.nodes() {
        let Some(at) = began(graph, chart, node) else { continue };
        if hours.is_none_or(|h| h.contains(&Hour::at(at))) {
            found.push((Hour::at(at), at, graph.id(node), node));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(hour, at, _, node)| (hour, node, at)).collect()
}

/// Sampled nodes by when they were first seen, in some hours or in all: hour, node, minute.
pub(crate) fn sampled(graph: &Graph, hours: Option<&BTreeSet<Hour>>) -> Vec<(Hour, NodeId, Minute)> {
    let mut found: Vec<(Hour, u16, String, NodeId, Minute)> = Vec::new();
    for node in graph.sampled() {
        let Some((class, first)) = graph.node(node).and_then(|n| Some((n.class, n.seen.first()?))) else {
            continue;
        };
        if hours.is_none_or(|h| h.contains(&Hour::of(first))) {
            found.push((Hour::of(first), class.0, graph.id(node), node, first));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(hour, _, _, node, first)| (hour, node, first)).collect()
}

/// Hours for which a graph may have rows of a table: first and last.
pub(crate) fn extent(graph: &Graph, chart: &Chart, table: Table) -> Option<(Hour, Hour)> {
    let of = |ends: &mut dyn Iterator<Item = (Minute, Minute)>| {
        let both = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some((Hour::of(both.0), Hour::of(both.1)))
    };
    match table {
        Table::Entities => {
            let kept = graph.nodes().filter(|n| !graph.is_sampled(*n));
            let runs = kept.flat_map(|n| seen_runs(graph, n));
            let told = graph.edges().map(|(_, e)| &e.seen);
            of(&mut runs.chain(told).filter_map(|r| Some((r.first()?, r.last()?))))
        }
        Table::Relations => {
            of(&mut graph.edges().filter_map(|(_, e)| Some((e.seen.first()?, e.seen.last()?))))
        }
        Table::Flows => of(&mut graph.flow_extent().into_iter()),
        Table::Measures => {
            let grown = |s: &Series| {
                let all = s.growth(Minute(i64::MIN), Minute(i64::MAX)).map(|g| (g.0, g.0));
                all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            };
            of(&mut graph.every_series().flat_map(|s| [s.extent(), grown(s)]).flatten())
        }
        Table::Events => {
            let all = events(graph, chart, None);
            Some((all.first()?.0, all.last()?.0))
        }
        Table::Interactions => {
            let all = sampled(graph, None);
            Some((all.first()?.0, all.last()?.0))
        }
    }
}
