//! What some people touched, as rows: where their sessions lead, what went along edges for them, and which nodes that concerns.

use crate::compared::{Thing, lately, side};
use crate::epochs::Epochs;
use crate::people::ground;
use crate::run::{MAX_ROWS, Output, QueryError, table};
use crate::text::{Page, Query};
use crate::view::View;
use graph::{Agg, EdgeId, Graph, Led, NodeId, Side, Subgraph, Sums, Went};
use ontology::{ClassId, Stretch};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What there is in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Cohorts of the condition that did anything.
    pub cohorts: usize,
    /// Sampled nodes of the condition that are held, by class name.
    pub sampled: BTreeMap<String, usize>,
    /// Nodes touched.
    pub nodes: usize,
    /// Edges that they called along.
    pub edges: usize,
    /// Calls along all edges.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// All rows.
    pub rows: usize,
}

/// What went along an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Traffic {
    /// Calls.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// Mean duration in milliseconds.
    pub mean_ms: Option<f64>,
    /// Median duration.
    pub p50_ms: Option<f64>,
    /// 95 of a hundred took at most so long.
    pub p95_ms: Option<f64>,
}

impl Traffic {
    fn of(agg: &Agg) -> Option<Traffic> {
        let ms = |q| agg.quantile(q);
        (agg.count > 0).then(|| Traffic {
            count: agg.count,
            errors: agg.bad,
            mean_ms: agg.mean(),
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
        })
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `sampled` (where sessions and interactions lead), `edge` or `node`.
    pub kind: &'static str,
    /// The node, or the edge's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Thing>,
    /// The class of the sampled nodes that lead there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_class: Option<String>,
    /// The relation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// The target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Thing>,
    /// How many: sampled nodes that lead there, or calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// As the answering side saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Traffic>,
    /// As the asking side saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Traffic>,
}

/// What some people touched.
pub struct Touched {
    query: String,
    graph: Arc<Graph>,
    during: Stretch,
    found: Subgraph,
    /// Edges, those with most calls first.
    edges: Vec<(EdgeId, Went)>,
    /// Where sampled nodes lead, most first.
    led: Vec<Led>,
    page: Page,
    notes: BTreeSet<String>,
}

fn calls(went: &Went) -> u64 {
    went.answered.count.max(went.asked.count)
}

impl Touched {
    /// Answers a `cohort`.
    ///
    /// # Errors
    /// When it names something unknown, a snapshot that is not there, or a moment of which nothing can be said.
    pub fn of(view: &View<'_>, epochs: &dyn Epochs, query: &Query) -> Result<Touched, QueryError> {
        let Query::Cohort { terms, when, page } = query else { return Err(QueryError::Sides) };
        let base = Arc::new(view.graph.clone());
        let (graph, during) = match when {
            Some(when) => side(view, &base, epochs, when).map(|(graph, during, _)| (graph, during))?,
            None => (base, lately(view.as_of)),
        };
        let (filter, notes) = ground(&graph, terms)?;
        let found = filter.subgraph(&graph, during);
        let mut edges = found.edges.clone();
        let key = |id: EdgeId| graph.edge(id).map(|e| (graph.order(e.from), e.relation, graph.order(e.to)));
        edges.sort_by_cached_key(|(id, went)| (std::cmp::Reverse(calls(went)), key(*id)));
        let mut led = found.led.clone();
        led.sort_by_key(|l| std::cmp::Reverse(l.3));
        Ok(Touched { query: query.to_string(), graph, during, found, edges, led, page: *page, notes })
    }

    /// The question in its canonical form.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The stretch.
    pub fn during(&self) -> Stretch {
        self.during
    }

    /// What else to know.
    pub fn notes(&self) -> String {
        self.notes.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    fn len(&self) -> usize {
        self.led.len() + self.edges.len() + self.found.nodes.len()
    }

    /// What there is in all, whatever page was asked for.
    pub fn totals(&self) -> Totals {
        let mut all = Sums::default();
        // A call that only one side told of counts as well.
        let told = |w: &Went| if w.answered.count >= w.asked.count { w.answered } else { w.asked };
        self.edges.iter().for_each(|(_, went)| all.merge(&told(went)));
        let class = |c: ClassId| self.graph.ontology().class_name(c).to_owned();
        Totals {
            cohorts: self.found.cohorts,
            sampled: self.found.sampled.iter().map(|(c, n)| (class(*c), *n)).collect(),
            nodes: self.found.nodes.len(),
            edges: self.edges.len(),
            calls: all.count,
            errors: all.bad,
            rows: self.len(),
        }
    }

    /// The page that was asked for, of at most so many rows when nothing was said.
    pub fn page(&self, most: usize) -> std::ops::Range<usize> {
        let from = self.page.offset.unwrap_or(0).min(self.len());
        from..from.saturating_add(self.page.limit.unwrap_or(most)).min(self.len())
    }

    /// Rows: where sampled nodes lead, then edges, those with most calls first, then nodes.
    pub fn rows(&self, which: std::ops::Range<usize>) -> impl Iterator<Item = Row> + '_ {
        which.filter_map(|i| self.row(i))
    }

    fn row(&self, i: usize) -> Option<Row> {
        let o = self.graph.ontology();
        let empty = Row {
            kind: "node",
            of: None,
            from_class: None,
            relation: None,
            to: None,
            count: None,
            answered: None,
            asked: None,
        };
        if let Some((class, relation, to, count)) = self.led.get(i) {
            return Some(Row {
                kind: "sampled",
                from_class: Some(o.class_name(*class).to_owned()),
                relation: Some(o.relation_name(*relation).to_owned()),
                to: Some(self.thing(*to)),
                count: u64::try_from(*count).ok(),
                ..empty
            });
        }
        let i = i - self.led.len();
        if let Some((id, went)) = self.edges.get(i) {
            let edge = self.graph.edge(*id)?;
            let flow = |side| self.graph.flow(*id, side, self.during, |c| self.found.counts(c));
            return Some(Row {
                kind: "edge",
                of: Some(self.thing(edge.from)),
                relation: Some(o.relation_name(edge.relation).to_owned()),
                to: Some(self.thing(edge.to)),
                count: Some(calls(went)),
                answered: Traffic::of(&flow(Side::Answered)),
                asked: Traffic::of(&flow(Side::Asked)),
                ..empty
            });
        }
        let node = self.found.nodes.get(i - self.edges.len())?;
        Some(Row { of: Some(self.thing(*node)), ..empty })
    }

    fn thing(&self, node: NodeId) -> Thing {
        let class = self.graph.node(node).map_or("?", |n| self.graph.ontology().class_name(n.class));
        Thing { id: self.graph.id(node), class: class.to_owned(), name: self.graph.name(node) }
    }

    /// As a table: the page that was asked for.
    pub fn table(&self) -> Output {
        let page = self.page(MAX_ROWS);
        let page = page.start..page.end.min(page.start + MAX_ROWS);
        let hidden = self.len() - page.end;
        let cells = |row: Row| -> Vec<Json> {
            let label = |t: &Thing| format!("{} {}", t.class, t.name);
            let from = row.of.as_ref().map(label).or(row.from_class);
            let what = match (from, row.relation, row.to.as_ref().map(label)) {
                (Some(from), Some(relation), Some(to)) => format!("{from} -{relation}-> {to}"),
                (from, ..) => from.unwrap_or_default(),
            };
            let traffic = row.answered.or(row.asked);
            let of = |value: &dyn Fn(&Traffic) -> Json| traffic.as_ref().map_or(Json::Null, value);
            vec![
                json!(row.kind),
                json!(what),
                json!(row.count),
                of(&|t| json!(t.errors)),
                of(&|t| json!(t.mean_ms)),
                of(&|t| json!(t.p50_ms)),
                of(&|t| json!(t.p95_ms)),
            ]
        };
        let rows = self.rows(page).map(cells).collect();
        let mut out = table(&["kind", "what", "count", "errors", "mean ms", "p50 ms", "p95 ms"], rows);
        out.hidden = hidden;
        let totals = self.totals();
        let sampled: Vec<String> = totals.sampled.iter().map(|(c, n)| format!("{n} {c}")).collect();
        let sampled = if sampled.is_empty() { "none held".to_owned() } else { sampled.join(", ") };
        out.note = format!(
            "{} cohorts between {} and {}: {} nodes, {} edges, {} calls, {} errors; sampled: {sampled}.",
            totals.cohorts,
            self.during.from,
            self.during.to,
            totals.nodes,
            totals.edges,
            totals.calls,
            totals.errors
        );
        if !self.notes.is_empty() {
            out.note = format!("{} {}", out.note, self.notes());
        }
        out
    }
}
