//! Folding facts into the graph: the one writer.
//!
//! Every bound here has a name in [`Limits`]; what happens at the bound is said there and counted in [`Totals`].

mod bounds;
mod edges;
mod nodes;
mod samples;

use crate::columns;
use crate::conclude::Drawing;
use crate::flows::{Side, Tail};
use crate::index::EdgeIndex;
use crate::items::Items;
use crate::known::Known;
use crate::limits::{Folded, Limits, Totals};
use crate::series::{CohortId, Of, SeriesId};
use crate::sources::{SetIndex, Sources};
use crate::topology::{EdgeId, Graph, NodeId};
use crate::touched::{self, Touched};
use crate::trace::{Joined, Traces, Waiting};
use ontology::fact::{Batch, Fact, ItemId, Ref, Step};
use ontology::{ClassId, Minute, Ontology, Time};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The writer: holds the current graph and the indexes that only writing needs.
#[derive(Debug)]
pub struct Fold {
    pub(crate) graph: Graph,
    pub(crate) limits: Limits,
    pub(crate) drawing: Drawing,
    pub(crate) trust: Vec<String>,
    pub(crate) edge_index: EdgeIndex,
    pub(crate) sets: SetIndex,
    tail: Tail,
    pub(crate) known: Known,
    pub(crate) cohort_index: FxHashMap<Arc<[NodeId]>, CohortId>,
    pub(crate) series_index: FxHashMap<(Of, CohortId), SeriesId>,
    /// Stand-ins and nodes, by the ids of their keys, that somebody said are not the same.
    apart: BTreeSet<(u64, u64)>,
    /// Nodes by primary key, as readers find them, nearer.
    pub(crate) keys: FxHashMap<u128, NodeId>,
    /// Stand-ins by weaker key.
    pub(crate) weaker: FxHashMap<u128, NodeId>,
    pub(crate) source_index: BTreeMap<String, usize>,
    /// By minute: what comes now is looked up in a small table.
    pub(crate) items: Items,
    pub(crate) traces: Traces,
    pub(crate) sampled: VecDeque<NodeId>,
    pub(crate) kept_nodes: usize,
    pub(crate) totals: Totals,
    pub(crate) forgotten_before: Option<Minute>,
    pub(crate) touched: Touched,
    pub(crate) whole_from: Option<Minute>,
    /// The first minute that any fact told of.
    pub(crate) earliest: Option<Minute>,
    pub(crate) held_from: Option<Minute>,
}

/// What is the same for all facts of a batch.
pub(crate) struct Context {
    source: Sources,
    rank: u16,
    recorded: Time,
    nodes: Vec<Option<NodeId>>,
    cohorts: FxHashMap<*const Ref, CohortId>,
}

/// Facts whose edges are looked up together: as many loads as a processor has under way, a few times over.
pub(crate) const NEAR: usize = 64;
/// Facts this much later than their arrival do not move the graph's idea of "now": a wrong clock is likelier than news.
const AHEAD_SECS: i64 = 300;
/// Traffic and co-occurrence seen within this many minutes is one run.
const RUN_GAP_MINUTES: i64 = 10;
/// The source of what was concluded here.
const CONCLUDED: &str = "concluded";

impl Fold {
    /// An empty graph under an ontology; `trust` lists sources, most trusted first.
    pub fn new(ontology: Arc<Ontology>, trust: Vec<String>, limits: Limits) -> Fold {
        Fold {
            graph: Graph::new(ontology),
            limits,
            drawing: Drawing::default(),
            trust,
            edge_index: EdgeIndex::default(),
            sets: SetIndex::default(),
            tail: Tail::default(),
            known: Known::default(),
            cohort_index: FxHashMap::default(),
            series_index: FxHashMap::default(),
            apart: BTreeSet::new(),
            keys: FxHashMap::default(),
            weaker: FxHashMap::default(),
            source_index: BTreeMap::new(),
            items: Items::default(),
            traces: Traces::default(),
            sampled: VecDeque::new(),
            kept_nodes: 0,
            totals: Totals::default(),
            forgotten_before: None,
            touched: Touched::default(),
            whole_from: None,
            earliest: None,
            held_from: None,
        }
    }

    /// Never takes a stand-in for a node, each said by its own id (see [`Graph::own_id`]), whatever key they share. To be said before
    /// anything is folded.
    pub fn keep_apart(&mut self, apart: impl IntoIterator<Item = (u64, u64)>) {
        self.apart.extend(apart);
    }

    /// The ontology that facts are folded under.
    pub fn ontology(&self) -> &Arc<Ontology> {
        &self.graph.ontology
    }

    /// What is kept apart, in order.
    pub fn kept_apart(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.apart.iter().copied()
    }

    /// The graph as it is now. Cheap at any size: shares everything with the writer until the writer changes it.
    pub fn graph(&mut self) -> Graph {
        self.graph.flows.take(&mut self.tail);
        if self.graph.flows.unsettled() {
            self.settle();
        }
        self.graph.clone()
    }

    /// The graph as it was known at a moment: of all that had arrived by the end of that minute, whatever time it tells of.
    ///
    /// # Errors
    /// The first moment that something can be said of, when this one is earlier.
    pub fn known_at(&mut self, at: Time) -> Result<Graph, Time> {
        match self.known.at(at)? {
            Some(graph) => Ok(graph.clone()),
            None => Ok(self.graph()),
        }
    }

    /// What has been folded so far.
    pub fn totals(&self) -> Totals {
        Totals { traces_let_go: self.traces.let_go, ..self.totals }
    }

    /// How much of each limit is used, in the order of [`Limits`]: name, used, limit.
    pub fn usage(&self) -> [(&'static str, usize, usize); 12] {
        let (known_minutes, known_rows) = self.known.held();
        [
            ("sampled_nodes", self.sampled.len(), self.limits.sampled_nodes),
            ("open_traces", self.traces.len(), self.limits.open_traces),
            ("remembered_items", self.items.len(), self.limits.remembered_items),
            ("series", self.graph.series.len(), self.limits.series),
            ("nodes", self.kept_nodes, self.limits.nodes),
            ("open_nodes", self.most_open(), self.limits.open_nodes),
            ("conclusions", self.drawing.held, self.limits.conclusions),
            ("known_minutes", known_minutes, self.limits.known_minutes),
            ("known_rows", known_rows, self.limits.known_rows),
            ("flow_bytes", self.graph.flows.size().1, self.limits.flow_bytes),
            ("touched_hours", self.touched.len(), touched::MOST),
            ("columns", self.graph.columns.held(), columns::ATTRIBUTES),
        ]
    }

    /// Nodes of the open class that has most.
    fn most_open(&self) -> usize {
        let classes = (0..).map(ClassId).zip(&self.graph.ontology.classes).filter(|(_, c)| c.open);
        classes.filter_map(|(id, _)| self.graph.by_class.get(&id)).map(imbl::Vector::len).max().unwrap_or(0)
    }

    /// Folds a batch that arrived at `recorded`.
    pub fn fold(&mut self, batch: &Batch, recorded: Time) -> Folded {
        if self.known.is_due(recorded) {
            let (until, graph) = (recorded.minute(), self.graph());
            self.known.keep(until, graph, (self.limits.known_minutes, self.limits.known_rows));
        }
        self.touched.begin();
        let before = self.totals;
        let source = self.source(&batch.source);
        let rank =
            self.trust.iter().position(|t| t.starts_with(batch.source.as_str())).unwrap_or(self.trust.len());
        let mut context = Context {
            source: Sources::one(source),
            rank: u16::try_from(rank).unwrap_or(u16::MAX),
            recorded,
            nodes: vec![None; batch.drafts.len()],
            cohorts: FxHashMap::default(),
        };
        // When each entity was first spoken of: attributes are dated by it.
        let mut spoken: Vec<Option<Time>> = vec![None; batch.drafts.len()];
        let mut speak = |r: &Ref, at: Time| {
            if let Some(t) = spoken.get_mut(r.0 as usize) {
                *t = Some(t.map_or(at, |t| t.max(at)));
            }
        };
        for fact in &batch.facts {
            match fact {
                Fact::Seen { entity, at } | Fact::Ended { entity, at } => speak(entity, *at),
                Fact::Related { from, to, at, .. } => {
                    speak(from, *at);
                    speak(to, *at);
                }
                Fact::Sample { subject, cohort, at, .. } => {
                    speak(subject, *at);
                    cohort.iter().for_each(|r| speak(r, *at));
                }
                Fact::Call { from, to, cohort, at, .. } => {
                    speak(from, *at);
                    speak(to, *at);
                    cohort.iter().for_each(|r| speak(r, *at));
                }
                Fact::Step(step) => step.here.iter().for_each(|r| speak(r, step.from)),
            }
        }
        for (n, drafts) in batch.drafts.chunks(NEAR).enumerate() {
            self.bring_named_near(drafts);
            for (i, draft) in (n * NEAR..).zip(drafts) {
                let at = spoken.get(i).copied().flatten().unwrap_or(recorded);
                let node = self.node(draft, at, &context);
                if let Some(slot) = context.nodes.get_mut(i) {
                    *slot = node;
                }
            }
        }
        for facts in batch.facts.chunks(NEAR) {
            self.bring_near(facts, &context);
            for fact in facts {
                self.totals.facts += 1;
                self.one(fact, &mut context);
            }
        }
        context.nodes.iter().flatten().for_each(|n| self.touch_begun(*n));
        self.let_go_of_sampled();
        self.forget_old();
        Folded { facts: self.totals.facts - before.facts, repeated: self.totals.repeated - before.repeated }
    }

    /// The source of what is concluded here.
    pub(crate) fn concluded(&mut self) -> Sources {
        Sources::one(self.source(CONCLUDED))
    }

    fn one(&mut self, fact: &Fact, c: &mut Context) {
        match fact {
            Fact::Seen { entity, at } => {
                if let Some(n) = c.node(*entity) {
                    self.seen(n, *at, c);
                }
            }
            Fact::Ended { entity, at } => {
                if let Some(n) = c.node(*entity) {
                    self.seen(n, *at, c);
                    self.with_node(n, |node| node.ended = Some(node.ended.map_or(*at, |e| e.min(*at))));
                }
            }
            Fact::Related { relation, from, to, at, until } => {
                if let (Some(f), Some(t)) = (c.node(*from), c.node(*to)) {
                    let edge = self.edge(*relation, f, t, *at, c.source);
                    if let Some(end) = until {
                        self.ends(edge, *end);
                    }
                    self.moved(*at, c);
                }
            }
            Fact::Sample { id, measure, subject, cohort, at, value } => {
                let Some(subject) = c.node(*subject) else {
                    self.totals.left_out += 1;
                    return;
                };
                if self.is_new(*id, *at) {
                    let cohort = self.cohort(cohort, c);
                    self.moved(*at, c);
                    self.sample(*measure, subject, cohort, *at, value);
                }
            }
            Fact::Call { id, relation, from, to, cohort, at, lasted_ns, failed } => {
                let (Some(from), Some(to)) = (c.node(*from), c.node(*to)) else {
                    self.totals.left_out += 1;
                    return;
                };
                if self.is_new(*id, *at) {
                    let cohort = self.cohort(cohort, c);
                    self.moved(*at, c);
                    let edge = self.edge(*relation, from, to, *at, c.source);
                    self.went(edge, (cohort, *at), (*lasted_ns, *failed), None);
                }
            }
            Fact::Step(step) => self.step(step, c),
        }
    }

    fn step(&mut self, step: &Step, c: &mut Context) {
        if !self.is_new(step.id, step.from) {
            return;
        }
        self.totals.steps += 1;
        self.moved(step.from, c);
        let cohort = self.cohort(&step.here, c);
        let here: Vec<(ClassId, NodeId)> = step
            .here
            .iter()
            .filter_map(|r| c.node(*r))
            .filter_map(|n| Some((self.graph.raw(n)?.class, n)))
            .collect();
        let waiting = Waiting {
            span: step.span,
            parent: step.parent,
            from: step.from,
            lasted_ns: step.to.since(step.from),
            failed: step.failed,
            side: step.side,
            here,
            upward: step.upward.iter().filter_map(|u| Some((u.from, u.relation, c.node(u.to)?))).collect(),
            cohort,
            sources: c.source,
            done: false,
        };
        let ontology = Arc::clone(&self.graph.ontology);
        let joined =
            self.traces.add(step.trace, waiting, self.limits.open_traces, |a, b| ontology.is_a(a, b));
        for j in joined {
            self.totals.joined += 1;
            self.flow(&j);
        }
    }

    fn flow(&mut self, j: &Joined) {
        self.touched.mark(j.at.minute());
        // They may have been told of by an earlier batch.
        self.touch_begun(j.from);
        self.touch_begun(j.to);
        let edge = self.edge(j.relation, j.from, j.to, j.at, j.sources);
        // Interactions are nodes of their own and do not need a statistic per edge.
        if self.is_sampled(j.from) {
            return;
        }
        self.went(edge, (j.cohort, j.at), (j.lasted_ns, j.failed), j.asked);
    }

    /// Notes a call along an edge: how long it took and whether it failed, as the answering side saw it and as the asking one did.
    fn went(
        &mut self,
        edge: EdgeId,
        (cohort, at): (CohortId, Time),
        answered: (i64, bool),
        asked: Option<(i64, bool)>,
    ) {
        let minute = at.minute();
        let mut full = self.tail.add(edge, Side::Answered, cohort, minute, answered.0, answered.1);
        if let Some(asked) = asked {
            full = self.tail.add(edge, Side::Asked, cohort, minute, asked.0, asked.1);
        }
        if full {
            self.settle();
        }
    }

    /// Puts calls where they are read from, within the bound.
    pub(crate) fn settle(&mut self) {
        self.graph.flows.settle(&mut self.tail);
        let gone = self.graph.flows.keep_within(self.limits.flow_bytes);
        self.totals.flows_let_go += u64::try_from(gone).unwrap_or(u64::MAX);
        if gone > 0 {
            self.whole_from = self.whole_from.max(self.graph.flows.extent().map(|e| e.0));
        }
    }

    /// Whether an item was not counted before; remembers it.
    fn is_new(&mut self, id: ItemId, at: Time) -> bool {
        let new = self.items.is_new(id, at.minute(), self.limits.remembered_items);
        self.totals.repeated += u64::from(!new);
        new
    }

    fn moved(&mut self, at: Time, c: &Context) {
        let minute = at.minute();
        self.touched.mark(minute);
        self.earliest = Some(self.earliest.map_or(minute, |e| e.min(minute)));
        if at <= c.recorded.plus_secs(AHEAD_SECS) {
            self.graph.latest = Some(self.graph.latest.map_or(at, |t| t.max(at)));
        }
    }

    pub(crate) fn source(&mut self, name: &str) -> usize {
        if let Some(i) = self.source_index.get(name) {
            return *i;
        }
        let i = self.source_index.len();
        self.source_index.insert(name.to_owned(), i);
        self.graph.sources.push_back(Arc::from(name));
        i
    }
}

impl Context {
    pub(crate) fn node(&self, r: Ref) -> Option<NodeId> {
        self.nodes.get(r.0 as usize).copied().flatten()
    }
}
