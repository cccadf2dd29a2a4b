//! The writer's whole state in parts: written down and read back, so that a start need not fold all that ever came.
//!
//! Only what cannot be worked out from the rest is in it: the tables, the items that were counted, the traces that are open. What
//! leads to them (edges at nodes, nodes by key and class, edges by their ends, series by subject) is made again when it is read.
//! The epochs of what was known before ([`Fold::known_at`]) are not in it.
//!
//! Ids of classes, relations and measures are those of the ontology that it was made under: it means nothing under another.

use crate::flows::FlowRows;
use crate::fold::{Fold, NEAR};
use crate::glance::Glance;
use crate::identity::key_id;
use crate::items::Items;
use crate::join::{Support, Witness};
use crate::known::Known;
use crate::limits::{Limits, Totals};
use crate::links::End;
use crate::pages::{self, Pages};
use crate::series::Series;
use crate::sources::{SetIndex, Sets, Sources};
use crate::supports::Supports;
use crate::topology::{Edge, EdgeId, Graph, Marks, Node, NodeId};
use crate::trace::{Trace, Traces};
use ontology::model::Grain;
use ontology::{Minute, Ontology, Time, Value};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::sync::Arc;

/// Rows of a part: a few hundred kilobytes. Whole pages, so that those without rows stay so.
const ROWS: usize = pages::ROWS;
/// The same of what has rows that are large.
const FEW: usize = 1_024;

/// Values as they are written: with what they are, which for people goes without saying.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
pub(crate) enum Told {
    Text(Arc<str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(Time),
}

/// What is small.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    ends: Vec<Time>,
    cohorts: Vec<Arc<[NodeId]>>,
    sources: Vec<Arc<str>>,
    sets: Vec<Sources>,
    latest: Option<Time>,
    totals: Totals,
    traces_let_go: u64,
    forgotten_before: Option<Minute>,
    whole_from: Option<Minute>,
    arrived: Option<Minute>,
    conclusions: usize,
    /// So that the table of them is made large enough at once.
    edges: usize,
}

/// How much of everything there was: a checkpoint of which a part is missing is none.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    nodes: usize,
    edges: usize,
    series: usize,
    flows: usize,
    items: usize,
    traces: usize,
    witnesses: usize,
    concluded: usize,
}

/// A part as it was read. Reading one needs nothing of the others, so that it can be done ahead of [`Restore::take`], by another thread.
#[derive(Debug)]
pub struct Part(Rows);

impl Part {
    /// Reads a part.
    ///
    /// # Errors
    /// When the bytes are no part of a checkpoint of this form.
    pub fn read(bytes: &[u8]) -> Result<Part, NotReadable> {
        postcard::from_bytes(bytes).map(Part).map_err(|e| NotReadable(e.to_string()))
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Rows {
    Head(Head),
    Nodes(Vec<(Option<Arc<Node>>, Marks)>),
    /// So many nodes that were let go, a multiple of a page.
    NoNodes(usize),
    Edges(Vec<Edge>),
    NoEdges(usize),
    Series(Vec<Arc<Series>>),
    Witnesses(Vec<Witness>),
    Concluded(Vec<(EdgeId, Vec<Support>)>),
    Flows(FlowRows),
    Items(Minute, Vec<u64>),
    Traces(Vec<(u128, Arc<Trace>)>),
    Counts(Counts),
}

/// The state of a writer at one moment, sharing what it can with the writer.
#[derive(Debug)]
pub struct Checkpoint {
    graph: Graph,
    items: Items,
    traces: Traces,
    totals: Totals,
    forgotten_before: Option<Minute>,
    whole_from: Option<Minute>,
    arrived: Option<Minute>,
    conclusions: usize,
}

/// Why bytes are no part of a checkpoint of this form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint of this form: {0}")]
pub struct NotReadable(String);

impl Fold {
    /// All that was folded so far. Cheap at any size: what is written while it is held is copied first.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.settle();
        Checkpoint {
            graph: self.graph.clone(),
            items: self.items.clone(),
            traces: self.traces.clone(),
            totals: self.totals,
            forgotten_before: self.forgotten_before,
            whole_from: self.whole_from,
            arrived: self.known.arrived(),
            conclusions: self.drawing.held,
        }
    }
}

impl Checkpoint {
    /// The form of the parts, raised whenever a type that is written changes: parts of another form are not to be read.
    pub const FORM: u32 = 2;

    /// Its parts, in the order in which they must be read. Each is some hundred kilobytes, made when it is asked for.
    ///
    /// # Errors
    /// [`NotReadable`] when a part cannot be put into bytes, which no part is known to be.
    pub fn parts(&self) -> impl Iterator<Item = Result<Vec<u8>, NotReadable>> + '_ {
        let all = std::iter::once_with(|| Rows::Head(self.head())).chain(self.nodes()).chain(self.edges());
        let all = all.chain(self.series()).chain(self.conclusions()).chain(self.flows()).chain(self.items());
        let all = all.chain(self.traces()).chain(std::iter::once_with(|| Rows::Counts(self.counts())));
        all.map(|part| postcard::to_allocvec(&part).map_err(|e| NotReadable(e.to_string())))
    }

    fn head(&self) -> Head {
        let g = &self.graph;
        Head {
            ends: g.ends.iter().copied().collect(),
            cohorts: g.cohorts.iter().cloned().collect(),
            sources: g.sources.iter().cloned().collect(),
            sets: g.sets.all().to_vec(),
            latest: g.latest,
            totals: self.totals,
            traces_let_go: self.traces.let_go,
            forgotten_before: self.forgotten_before,
            whole_from: self.whole_from,
            arrived: self.arrived,
            conclusions: self.conclusions,
            edges: g.edge_counts.iter().sum(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = Rows> + '_ {
        chunks(self.graph.nodes.iter().zip(self.graph.marks.iter()), ROWS).map(|rows| {
            if rows.len() == ROWS && rows.iter().all(|(node, _)| node.is_none()) {
                return Rows::NoNodes(rows.len());
            }
            Rows::Nodes(rows.into_iter().map(|(node, marks)| (node.clone(), *marks)).collect())
        })
    }

    fn edges(&self) -> impl Iterator<Item = Rows> + '_ {
        chunks(self.graph.edges.iter(), ROWS).map(|rows| {
            if rows.len() == ROWS && rows.iter().all(|edge| edge.is_none()) {
                return Rows::NoEdges(rows.len());
            }
            Rows::Edges(rows.into_iter().cloned().collect())
        })
    }

    fn series(&self) -> impl Iterator<Item = Rows> + '_ {
        chunks(self.graph.series.iter(), FEW).map(|rows| Rows::Series(rows.into_iter().cloned().collect()))
    }

    fn conclusions(&self) -> impl Iterator<Item = Rows> + '_ {
        let witnesses = chunks(self.graph.witnesses.iter(), ROWS);
        let witnesses = witnesses.map(|rows| Rows::Witnesses(rows.into_iter().cloned().collect()));
        let concluded = chunks(self.graph.concluded.iter(), FEW).map(|rows| {
            let one =
                |(id, supports): (EdgeId, &Supports)| (id, supports.iter().cloned().collect::<Vec<_>>());
            Rows::Concluded(rows.into_iter().map(one).collect())
        });
        witnesses.chain(concluded)
    }

    fn flows(&self) -> impl Iterator<Item = Rows> + '_ {
        self.graph.flows.rows(ROWS).map(Rows::Flows)
    }

    fn items(&self) -> impl Iterator<Item = Rows> + '_ {
        self.items
            .minutes()
            .flat_map(|(minute, items)| chunks(items.iter(), ROWS).map(move |rows| Rows::Items(minute, rows)))
    }

    fn traces(&self) -> impl Iterator<Item = Rows> + '_ {
        let traces = chunks(self.traces.all(), FEW);
        traces.map(|rows| Rows::Traces(rows.into_iter().map(|(id, trace)| (id, Arc::clone(trace))).collect()))
    }

    fn counts(&self) -> Counts {
        let g = &self.graph;
        Counts {
            nodes: g.nodes.len(),
            edges: g.edges.len(),
            series: g.series.len(),
            flows: g.flows.size().0,
            items: self.items.len(),
            traces: self.traces.len(),
            witnesses: g.witnesses.len(),
            concluded: g.concluded.len(),
        }
    }
}

/// Rows some at a time.
fn chunks<T>(mut rows: impl Iterator<Item = T>, many: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let some: Vec<T> = rows.by_ref().take(many).collect();
        (!some.is_empty()).then_some(some)
    })
}

/// A writer that is being made from the parts of a checkpoint.
#[derive(Debug)]
pub struct Restore {
    fold: Fold,
    counts: Option<Counts>,
}

impl Restore {
    /// A writer without anything yet, under the ontology that the checkpoint was made under; the rest as in [`Fold::new`].
    pub fn new(ontology: Arc<Ontology>, trust: Vec<String>, limits: Limits) -> Restore {
        Restore { fold: Fold::new(ontology, trust, limits), counts: None }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// When it does not go with those before.
    pub fn take(&mut self, part: Part) -> Result<(), NotReadable> {
        let g = &mut self.fold.graph;
        match part.0 {
            Rows::Head(head) => self.head(head),
            Rows::Nodes(rows) => rows.into_iter().for_each(|(node, marks)| self.node(node, marks)),
            Rows::NoNodes(many) => {
                g.nodes.skip(many);
                g.marks.skip(many);
                g.glances.skip(many);
                g.order.skip(many);
            }
            Rows::Edges(rows) => self.edges(rows),
            Rows::NoEdges(many) => g.edges.skip(many),
            Rows::Series(rows) => rows.into_iter().try_for_each(|series| self.series(series))?,
            Rows::Witnesses(rows) => rows.into_iter().try_for_each(|witness| self.witness(witness))?,
            Rows::Concluded(rows) => {
                rows.into_iter().for_each(|(id, s)| g.concluded.put(id, s.into_iter().collect()));
            }
            Rows::Flows(rows) => g.flows.put_rows(rows).map_err(|e| NotReadable(e.to_owned()))?,
            Rows::Items(minute, items) => {
                self.fold.items.put(minute, items);
            }
            Rows::Traces(rows) => rows.into_iter().for_each(|(id, trace)| self.fold.traces.put(id, trace)),
            Rows::Counts(counts) => self.counts = Some(counts),
        }
        Ok(())
    }

    fn head(&mut self, head: Head) {
        let fold = &mut self.fold;
        let g = &mut fold.graph;
        g.ends = head.ends.into_iter().collect();
        g.latest = head.latest;
        for (id, cohort) in (0..).map(crate::CohortId).zip(&head.cohorts) {
            fold.cohort_index.insert(Arc::clone(cohort), id);
        }
        g.cohorts = head.cohorts.into_iter().collect();
        fold.source_index = head.sources.iter().map(|s| s.as_ref().to_owned()).zip(0..).collect();
        g.sources = head.sources.into_iter().collect();
        g.sets = Sets::of(head.sets);
        fold.sets = SetIndex::of(&g.sets);
        fold.totals = head.totals;
        fold.traces.let_go = head.traces_let_go;
        fold.forgotten_before = head.forgotten_before;
        fold.whole_from = head.whole_from;
        fold.known = Known::since(head.arrived);
        fold.drawing.held = head.conclusions;
        fold.edge_index.reserve(head.edges);
    }

    fn node(&mut self, node: Option<Arc<Node>>, mut marks: Marks) {
        let fold = &mut self.fold;
        let g = &mut fold.graph;
        // Checkpoints of before it was noted lack it.
        if let Some(node) = &node
            && (marks.has(Marks::SAMPLED) || g.ontology.is_event(node.class))
        {
            marks.set(Marks::DATED);
        }
        g.marks.push(marks);
        let glance = node.as_ref().map_or_else(Glance::default, |n| Glance::of(&g.ontology, n));
        let row = g.glances.push(glance);
        let order = g.order.push(node.as_ref().map_or(0, |n| key_id(n.key.hash)));
        let Some(node) = node else {
            g.nodes.push(None);
            g.nodes.give_back(order, Option::is_none);
            g.glances.give_back(row, |g| *g == Glance::default());
            return;
        };
        let id = NodeId(u32::try_from(order).unwrap_or(u32::MAX));
        let sampled = g.ontology.classes.get(node.class.index()).is_some_and(|c| c.grain == Grain::Sampled);
        g.by_key.insert(key_id(node.key.hash), id);
        let index = if node.key.slot == 0 { &mut fold.keys } else { &mut fold.weaker };
        index.insert(node.key.hash, id);
        g.by_class.entry(node.class).or_default().push_back(id);
        if sampled {
            fold.sampled.push_back(id);
        } else {
            fold.kept_nodes += 1;
        }
        g.nodes.push(Some(node));
    }

    fn edges(&mut self, rows: Vec<Edge>) {
        let mut rows = rows.into_iter();
        while !rows.as_slice().is_empty() {
            let next = rows.as_slice().get(..NEAR).unwrap_or(rows.as_slice());
            let ends = next.iter().filter(|e| !e.is_none()).map(|e| (e.relation, e.from, e.to));
            black_box(self.fold.edge_index.warm(ends));
            rows.by_ref().take(NEAR).for_each(|edge| self.edge(edge));
        }
    }

    fn edge(&mut self, edge: Edge) {
        let g = &mut self.fold.graph;
        let ends = (edge.relation, edge.from, edge.to);
        let none = edge.is_none();
        let row = g.edges.push(edge);
        if none {
            g.edges.give_back(row, Edge::is_none);
            return;
        }
        self.fold.edge_index.insert(ends, EdgeId(u32::try_from(row).unwrap_or(u32::MAX)));
        if let Some(count) = g.edge_counts.get_mut(ends.0.index()) {
            *count += 1;
        }
    }

    /// Puts all edges at their nodes, a node at a time: what is at one is written while it is near, and in one place.
    fn link(&mut self) {
        let g = &mut self.fold.graph;
        for end in [End::Out, End::Into] {
            let at = |e: &Edge, marks: &Pages<Marks>| {
                let has = |node: NodeId| marks.get(node.0 as usize).is_some_and(|m| m.has(Marks::SAMPLED));
                match end {
                    _ if e.is_none() => None,
                    End::Out => Some(e.from),
                    End::Into => (!has(e.from) || has(e.to)).then_some(e.to),
                }
            };
            // How many each node has; then where those of each begin; at last where they end.
            let mut places = vec![0u32; g.nodes.len()];
            for node in g.edges.iter().filter_map(|e| at(e, &g.marks)) {
                places.get_mut(node.0 as usize).into_iter().for_each(|n| *n += 1);
            }
            let mut sum = 0;
            places.iter_mut().for_each(|n| sum += std::mem::replace(n, sum));
            let mut by_node = vec![EdgeId(0); sum as usize];
            for (id, edge) in (0..).map(EdgeId).zip(g.edges.iter()) {
                if let Some(place) = at(edge, &g.marks).and_then(|node| places.get_mut(node.0 as usize)) {
                    by_node.get_mut(*place as usize).into_iter().for_each(|of| *of = id);
                    *place += 1;
                }
            }
            let mut node = 0;
            for (n, ids) in (0..).step_by(NEAR).zip(by_node.chunks(NEAR)) {
                let rows = ids.iter().filter_map(|id| g.edges.get(id.0 as usize));
                black_box(rows.map(|e| e.from.0).fold(0, u32::wrapping_add));
                for (place, id) in (n..).zip(ids) {
                    while places.get(node as usize).is_some_and(|end| *end <= place) {
                        node += 1;
                    }
                    if let Some(edge) = g.edges.get(id.0 as usize) {
                        g.links.add(NodeId(node), end, edge.relation, *id, edge.seen.first());
                    }
                }
            }
        }
    }

    fn series(&mut self, series: Arc<Series>) -> Result<(), NotReadable> {
        let g = &mut self.fold.graph;
        let id = u32::try_from(g.series.len()).map_err(|e| NotReadable(e.to_string()))?;
        let (id, of) = (crate::SeriesId(id), (series.measure, series.subject));
        self.fold.series_index.insert((of, series.cohort), id);
        g.series_of.entry(of).or_default().push_back(id);
        g.series.push_back(series);
        Ok(())
    }

    fn witness(&mut self, witness: Witness) -> Result<(), NotReadable> {
        let g = &mut self.fold.graph;
        let id = u32::try_from(g.witnesses.len()).map_err(|e| NotReadable(e.to_string()))?;
        self.fold.drawing.put_witness(&witness, id);
        g.witnesses.push_back(witness);
        Ok(())
    }

    /// The writer, once all parts were taken.
    ///
    /// # Errors
    /// When parts are missing.
    pub fn finish(mut self) -> Result<Fold, NotReadable> {
        self.link();
        let mut fold = self.fold;
        fold.graph.flows.shrink();
        let g = &fold.graph;
        let found = Counts {
            nodes: g.nodes.len(),
            edges: g.edges.len(),
            series: g.series.len(),
            flows: g.flows.size().0,
            items: fold.items.len(),
            traces: fold.traces.len(),
            witnesses: g.witnesses.len(),
            concluded: g.concluded.len(),
        };
        match self.counts {
            Some(counts) if counts == found => {
                fold.touch_all();
                Ok(fold)
            }
            Some(counts) => Err(NotReadable(format!("{counts:?} were written, {found:?} are here"))),
            None => Err(NotReadable("its end is missing".to_owned())),
        }
    }
}
