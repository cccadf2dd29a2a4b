//! Two sides compared: stretches, moments, snapshots, cohorts, or what was known at two moments. Rows are ranked first and written
//! down one by one, so that a page costs a page and a stream needs no room.

use crate::epochs::Epochs;
use crate::people::ground;
use crate::run::{MAX_ROWS, Output, QueryError, nearest, stretch, table};
use crate::text::{Page, Predicate, Query, Side};
use crate::view::View;
use graph::{
    Change, Difference, EdgeChange, Graph, Half, Kind, MeasureChange, NodeChange, NodeId, Subgraph, Told,
    diff, learned,
};
use ontology::{Stretch, Time};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Figures of a moment are over so many minutes before it: enough for a few hundred calls, short enough to be "then".
pub const FIGURES_MINUTES: i64 = 15;
/// Least surprise reported when none is said.
pub const LEAST: f64 = 3.0;

/// How many of one sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Only on the second side.
    pub added: usize,
    /// Only on the first side.
    pub removed: usize,
    /// On both, otherwise.
    pub changed: usize,
}

impl Counts {
    fn of(kinds: impl Iterator<Item = Kind>) -> Counts {
        kinds.fold(Counts::default(), |mut all, kind| {
            match kind {
                Kind::Added => all.added += 1,
                Kind::Removed => all.removed += 1,
                Kind::Changed => all.changed += 1,
            }
            all
        })
    }
}

/// How many rows there are of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Nodes.
    pub nodes: Counts,
    /// Edges.
    pub edges: Counts,
    /// Measures.
    pub measures: Counts,
    /// All rows.
    pub rows: usize,
}

/// A thing as rows name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// Stable id.
    pub id: String,
    /// Class name.
    pub class: String,
    /// Name.
    pub name: String,
}

/// A value that is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Which attribute, or what else is known: `seen`, `ended`, `sources`, `traffic`.
    pub what: String,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its place among all rows, from 1.
    pub rank: usize,
    /// What happened.
    pub change: Kind,
    /// `node`, `edge` or `measure`.
    pub kind: &'static str,
    /// The node, the edge's source, or what is measured.
    pub of: Thing,
    /// The relation of an edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// The edge's target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Thing>,
    /// The measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// Figures of both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Change>,
    /// What else is another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Other>,
    /// How surprising.
    pub surprise: f64,
}

/// One side as it was found.
struct End {
    graph: Arc<Graph>,
    during: Stretch,
    at: Option<Time>,
    only: Option<Subgraph>,
}

impl End {
    fn half(&self) -> Half<'_> {
        Half { graph: &self.graph, during: self.during, at: self.at, only: self.only.as_ref() }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Node(usize),
    Edge(usize),
    Measure(usize),
}

/// Two sides, compared.
pub struct Compared {
    query: String,
    before: End,
    after: End,
    found: Difference,
    order: Vec<Place>,
    page: Page,
    /// What was known is compared, not what was so.
    of_knowledge: bool,
    notes: BTreeSet<String>,
}

/// The minutes that the figures of a moment are of.
pub(crate) fn lately(at: Time) -> Stretch {
    let minute = at.minute();
    let to = if minute.start() == at { minute } else { minute.plus(1) };
    Stretch { from: to.plus(-FIGURES_MINUTES).start(), to: to.start() }
}

/// The graph and time of a side.
pub(crate) fn side(
    view: &View<'_>,
    base: &Arc<Graph>,
    epochs: &dyn Epochs,
    side: &Side,
) -> Result<(Arc<Graph>, Stretch, Option<Time>), QueryError> {
    let last = view.as_of.plus_nanos(-1);
    Ok(match side {
        Side::Between(b) => (Arc::clone(base), view.clip(stretch(b)), None),
        Side::At(t) => {
            let at = (*t).min(last);
            (Arc::clone(base), lately(at), Some(at))
        }
        Side::Snapshot(name) => {
            let Some((graph, at)) = epochs.snapshot(name) else {
                let nearest = nearest(name, epochs.snapshots(), 3);
                return Err(QueryError::NoSnapshot { name: name.clone(), nearest });
            };
            // A snapshot is of all before its moment.
            let at = at.plus_nanos(-1);
            (Arc::new(graph), lately(at), Some(at))
        }
        Side::Known(t) => {
            let known = epochs.known(*t);
            let graph = known.map_err(|since| QueryError::NotKnown { at: *t, since })?;
            (Arc::new(graph), lately(*t), Some(*t))
        }
    })
}

impl Compared {
    /// Compares the two sides of a `diff`.
    ///
    /// # Errors
    /// When it names something unknown, a snapshot that is not there, or a moment of which nothing can be said.
    pub fn of(view: &View<'_>, epochs: &dyn Epochs, query: &Query) -> Result<Compared, QueryError> {
        let Query::Diff { before, after, terms, versus, least, page } = query else {
            return Err(QueryError::Sides);
        };
        let base = Arc::new(view.graph.clone());
        let of_knowledge = matches!((before, after), (Side::Known(_), Side::Known(_)));
        let mixed = matches!(before, Side::Known(_)) != matches!(after, Side::Known(_));
        if mixed || (of_knowledge && (!terms.is_everyone() || versus.is_some())) {
            return Err(QueryError::Sides);
        }
        let mut notes = BTreeSet::new();
        let mut end = |of: &Side, people: &Predicate| -> Result<End, QueryError> {
            let (graph, during, at) = side(view, &base, epochs, of)?;
            let (filter, renamed) = ground(&graph, people)?;
            notes.extend(renamed);
            let only = (!filter.is_all()).then(|| filter.subgraph(&graph, during));
            Ok(End { graph, during, at, only })
        };
        let others = versus.as_ref().unwrap_or(terms);
        let (first, second) = (end(before, terms)?, end(after, others)?);
        let found = if (before, terms) == (after, others) {
            notes.insert("Both sides are the same.".to_owned());
            Difference::default()
        } else if of_knowledge {
            let (found, left_out) = learned(&first.graph, &second.graph);
            if left_out > 0 {
                notes.insert(format!("{left_out} sampled nodes and edges at such are not listed."));
            }
            found
        } else {
            diff(first.half(), second.half(), least.unwrap_or(LEAST))
        };
        for (side, held) in ["first", "second"].into_iter().zip(found.held) {
            if held == 0 && found.held != [0, 0] {
                notes.insert(format!("Nothing was there on the {side} side."));
            }
        }
        let mut order: Vec<(f64, Place)> = Vec::new();
        order.extend(found.nodes.iter().enumerate().map(|(i, r)| (r.surprise, Place::Node(i))));
        order.extend(found.edges.iter().enumerate().map(|(i, r)| (r.surprise, Place::Edge(i))));
        order.extend(found.measures.iter().enumerate().map(|(i, r)| (r.surprise, Place::Measure(i))));
        // Each list is ranked already; of equals nodes come first, then edges.
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(Compared {
            query: query.to_string(),
            before: first,
            after: second,
            found,
            order: order.into_iter().map(|o| o.1).collect(),
            page: *page,
            of_knowledge,
            notes,
        })
    }

    /// The question in its canonical form.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// How many rows there are, whatever page was asked for.
    pub fn totals(&self) -> Totals {
        Totals {
            nodes: Counts::of(self.found.nodes.iter().map(|r| r.kind)),
            edges: Counts::of(self.found.edges.iter().map(|r| r.kind)),
            measures: Counts::of(self.found.measures.iter().map(|r| r.kind)),
            rows: self.order.len(),
        }
    }

    /// What else to know.
    pub fn notes(&self) -> String {
        self.notes.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    /// The page that was asked for: its first row and how many there are in it, at most so many when nothing was said.
    pub fn page(&self, most: usize) -> std::ops::Range<usize> {
        let from = self.page.offset.unwrap_or(0).min(self.order.len());
        let to = from.saturating_add(self.page.limit.unwrap_or(most)).min(self.order.len());
        from..to
    }

    /// Rows, most surprising first.
    pub fn rows(&self, which: std::ops::Range<usize>) -> impl Iterator<Item = Row> + '_ {
        let first = which.start;
        let places = self.order.get(which).unwrap_or_default();
        (first + 1..).zip(places).map(|(rank, place)| self.row(rank, *place))
    }

    fn row(&self, rank: usize, place: Place) -> Row {
        let empty = Thing { id: String::new(), class: String::new(), name: String::new() };
        let mut row = Row {
            rank,
            change: Kind::Changed,
            kind: "node",
            of: empty,
            relation: None,
            to: None,
            measure: None,
            figures: None,
            others: Vec::new(),
            surprise: 0.0,
        };
        match place {
            Place::Node(i) => self.found.nodes.get(i).into_iter().for_each(|n| self.node(n, &mut row)),
            Place::Edge(i) => self.found.edges.get(i).into_iter().for_each(|e| self.edge(e, &mut row)),
            Place::Measure(i) => {
                self.found.measures.get(i).into_iter().for_each(|m| self.measure(m, &mut row));
            }
        }
        row.surprise = (row.surprise * 100.0).round() / 100.0;
        row
    }

    fn told<T>(&self, before: Option<T>, after: Option<T>) -> Option<(&Graph, T)> {
        match (before, after) {
            (_, Some(is)) => Some((&self.after.graph, is)),
            (Some(was), None) => Some((&self.before.graph, was)),
            (None, None) => None,
        }
    }

    fn node(&self, found: &NodeChange, row: &mut Row) {
        (row.change, row.surprise) = (found.kind, found.surprise);
        if let Some((graph, node)) = self.told(found.before, found.after) {
            row.of = thing(graph, node, self.of_knowledge);
        }
        if let (Some(was), Some(is)) = (found.before, found.after) {
            row.others = self.other_attrs(was, is);
            if self.of_knowledge {
                let (a, b) = (self.before.graph.member(was), self.after.graph.member(is));
                let mut other = |what: &str, differs: bool| {
                    if differs {
                        row.others.push(Other { what: what.to_owned(), before: None, after: None });
                    }
                };
                other("seen", a.map(|n| &n.seen) != b.map(|n| &n.seen));
                other("ended", a.map(|n| n.ended) != b.map(|n| n.ended));
                other("sources", self.before.graph.told_by(was) != self.after.graph.told_by(is));
                let counts_as = |g: &Graph, n: NodeId| g.id(n);
                other("counts as", counts_as(&self.before.graph, was) != counts_as(&self.after.graph, is));
            }
        }
    }

    fn other_attrs(&self, was: NodeId, is: NodeId) -> Vec<Other> {
        let told = |g: &Graph, n: NodeId| -> BTreeMap<String, String> {
            let name = |a: ontology::AttrId| g.ontology().attrs.get(a.index()).map(|a| a.name.clone());
            g.attrs(n).into_iter().filter_map(|(a, v)| Some((name(a)?, v.to_string()))).collect()
        };
        let (a, b) = (told(&self.before.graph, was), told(&self.after.graph, is));
        let all: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let other = |what: &String| Other {
            what: what.clone(),
            before: a.get(what).cloned(),
            after: b.get(what).cloned(),
        };
        all.into_iter().filter(|k| a.get(*k) != b.get(*k)).map(other).collect()
    }

    fn edge(&self, found: &EdgeChange, row: &mut Row) {
        (row.kind, row.change, row.surprise) = ("edge", found.kind, found.surprise);
        row.figures = found.change;
        let first = |told: &Told| told.edges().first().copied();
        let (was, is) = (first(&found.before), first(&found.after));
        if let Some((graph, id)) = self.told(was, is)
            && let Some(edge) = graph.edge(id)
        {
            row.of = thing(graph, edge.from, self.of_knowledge);
            row.to = Some(thing(graph, edge.to, self.of_knowledge));
            row.relation = Some(graph.ontology().relation_name(edge.relation).to_owned());
        }
        if let (true, Some(was), Some(is)) = (self.of_knowledge, was, is) {
            let (a, b) = (self.before.graph.edge(was), self.after.graph.edge(is));
            let mut other = |what: &str, differs: bool| {
                if differs {
                    row.others.push(Other { what: what.to_owned(), before: None, after: None });
                }
            };
            let ended = |g: &Graph, e: Option<&graph::Edge>| e.and_then(|e| g.edge_ended(e));
            other("seen", a.map(|e| &e.seen) != b.map(|e| &e.seen));
            other("ended", ended(&self.before.graph, a) != ended(&self.after.graph, b));
            other("sources", self.before.graph.edge_sources(was) != self.after.graph.edge_sources(is));
            let traffic = self.before.graph.had_the_same_traffic(was, &self.after.graph, is);
            other("traffic", !traffic);
        }
    }

    fn measure(&self, found: &MeasureChange, row: &mut Row) {
        (row.kind, row.change, row.surprise) = ("measure", found.kind, found.surprise);
        row.figures = found.change;
        if let Some((graph, node)) = self.told(found.before, found.after) {
            row.of = thing(graph, node, self.of_knowledge);
        }
        let graph = if found.before.is_some() { &self.before.graph } else { &self.after.graph };
        row.measure = graph.ontology().measures.get(found.measure.index()).map(|m| m.name.clone());
    }

    /// As a table: the page that was asked for.
    pub fn table(&self) -> Output {
        let page = self.page(MAX_ROWS);
        let page = page.start..page.end.min(page.start + MAX_ROWS);
        let hidden = self.order.len() - page.end;
        let rows = self.rows(page).map(|r| cells(&r)).collect();
        let columns = [
            "change",
            "kind",
            "what",
            "before",
            "after",
            "per minute before",
            "per minute after",
            "surprise",
        ];
        let mut out = table(&columns, rows);
        out.hidden = hidden;
        out.note = self.notes();
        out
    }
}

/// A node by id, class and name; of what was known, by its own key.
fn thing(graph: &Graph, node: NodeId, own: bool) -> Thing {
    let class = graph.node(node).and_then(|n| graph.ontology().classes.get(n.class.index()));
    Thing {
        id: if own { graph.own_id(node) } else { graph.id(node) },
        class: class.map_or_else(|| "?".to_owned(), |c| c.name.clone()),
        name: graph.name(node),
    }
}

fn cells(row: &Row) -> Vec<Json> {
    let of = format!("{} {}", row.of.class, row.of.name);
    let mut what = match (&row.relation, &row.to) {
        (Some(relation), Some(to)) => format!("{of} -{relation}-> {} {}", to.class, to.name),
        _ => of,
    };
    let others: Vec<String> = row
        .others
        .iter()
        .map(|o| match (&o.before, &o.after) {
            (None, None) => o.what.clone(),
            (a, b) => {
                let said = |v: &Option<String>| v.clone().unwrap_or_else(|| "nothing".to_owned());
                format!("{} {} → {}", o.what, said(a), said(b))
            }
        })
        .collect();
    if !others.is_empty() {
        what.push_str(&format!(" ({})", others.join(", ")));
    }
    let kind = row.measure.as_deref().unwrap_or(row.kind);
    let figures = row.figures.map_or([Json::Null, Json::Null, Json::Null, Json::Null], |c| {
        [
            json!(c.before.or(c.bad_before)),
            json!(c.after.or(c.bad_after)),
            json!(c.rate_before),
            json!(c.rate_after),
        ]
    });
    let [before, after, rate_before, rate_after] = figures;
    vec![
        json!(row.change),
        json!(kind),
        json!(what),
        before,
        after,
        rate_before,
        rate_after,
        json!(row.surprise),
    ]
}
