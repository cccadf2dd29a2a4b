//! Folding facts into the graph: the one writer.
//!
//! Every bound here has a name in [`Limits`]; what happens at the bound is said there and counted in [`Totals`].

use crate::columns;
use crate::conclude::Drawing;
use crate::flows::{Side, Tail};
use crate::glance::Glance;
use crate::growing::{Reading, Values};
use crate::identity::key_id;
use crate::index::{EdgeIndex, Ends};
use crate::items::Items;
use crate::known::Known;
use crate::limits::{Folded, Limits, Totals};
use crate::links::End;
use crate::series::{CohortId, Of, Series, SeriesId};
use crate::sources::{SetIndex, Sources};
use crate::stat::tries_micro;
use crate::topology::{Edge, EdgeId, Graph, Marks, Node, NodeId};
use crate::touched::{self, Touched};
use crate::trace::{Joined, Traces, Waiting};
use ontology::fact::{Batch, Draft, Fact, ItemId, Observation, Ref, Step};
use ontology::model::{Grain, Holds, MeasureKind};
use ontology::{AttrId, ClassId, Key, MeasureId, Minute, Ontology, RelationId, StreamId, Time, Value};
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
/// `fixed` relations are one run however rarely they are seen.
const FIXED_GAP_MINUTES: i64 = i64::MAX / 4;
/// Sampled nodes that are told again when what they belong to is described anew. Beyond: they are not, until their hour is told of
/// otherwise.
const DESCRIBED: usize = 256;
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

    /// Notes something that was concluded here rather than told by a source: a node of a class under an identity of its
    /// own, with attributes and edges to nodes that are there. The same note again changes nothing.
    pub fn note(
        &mut self,
        class: ClassId,
        identity: &str,
        attrs: Vec<(AttrId, Value)>,
        edges: &[(RelationId, NodeId)],
        at: Time,
    ) -> Option<NodeId> {
        let context = Context {
            source: self.concluded(),
            rank: 0,
            recorded: at,
            nodes: Vec::new(),
            cohorts: FxHashMap::default(),
        };
        let name = self.graph.ontology.classes.get(class.index())?.original().to_owned();
        let draft =
            Draft { class, keys: vec![ontology::Key { slot: 0, hash: fnv128(&[&name, identity]) }], attrs };
        let node = self.node(&draft, at, &context)?;
        self.seen(node, at, &context);
        for (relation, to) in edges {
            self.edge(*relation, node, *to, at, context.source);
            self.touch_begun(*to);
        }
        self.touch_begun(node);
        Some(node)
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

    fn sample(
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

    fn reading(
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

    /// The node of a draft: found by its primary key, else by its strongest weaker one, else made.
    /// The key that something is found by, and whether it is the one that identifies by itself.
    pub(crate) fn strongest(draft: &Draft) -> Option<(Key, bool)> {
        let primary = draft.keys.iter().find(|k| k.slot == 0);
        primary.or_else(|| draft.keys.first()).map(|key| (*key, primary.is_some()))
    }

    pub(crate) fn with_key(&self, key: Key, primary: bool) -> Option<NodeId> {
        if primary { self.keys.get(&key.hash).copied() } else { self.weaker.get(&key.hash).copied() }
    }

    fn node(&mut self, draft: &Draft, at: Time, c: &Context) -> Option<NodeId> {
        let (strongest, primary) = Self::strongest(draft)?;
        let node = match self.with_key(strongest, primary) {
            Some(n) => {
                self.touch_begun(n);
                n
            }
            None => self.make(draft.class, strongest, primary)?,
        };
        if self.told_again(node, draft, at, c) {
            return Some(node);
        }
        for key in draft.keys.iter().filter(|k| k.slot != 0 && k.hash != strongest.hash) {
            let stand_in = match self.weaker.get(&key.hash).copied() {
                Some(s) => s,
                None => self.make(draft.class, *key, false)?,
            };
            let apart = self.apart.contains(&(key_id(key.hash), key_id(strongest.hash)));
            if !apart && self.graph.raw(stand_in).is_some_and(|s| !s.owners.contains(&node)) {
                self.belongs(stand_in, node);
            }
        }
        let (rank, source) = (c.rank, c.source);
        let known = self.graph.raw(node).is_some_and(|n| {
            n.sources.has(source)
                && draft.attrs.iter().all(|(a, v)| {
                    n.attrs.iter().any(|(b, s)| a == b && s.value == *v && s.rank == rank && s.at >= at)
                })
        });
        if !known {
            let new = self.graph.raw(node).is_some_and(|n| n.sources == Sources::default());
            let in_doubt = !new && self.is_named_otherwise(node, &draft.attrs);
            let name = in_doubt.then(|| self.graph.name(node));
            self.with_node(node, |n| {
                n.sources = n.sources.with(source);
                draft.attrs.iter().for_each(|(attr, value)| n.say(*attr, value, rank, at));
            });
            if new && !self.graph.has_mark(node, Marks::SHARED) {
                self.note_name(node);
            } else if new || name.is_some_and(|n| n != self.graph.name(node)) {
                self.named_anew(node);
            }
        }
        Some(node)
    }

    /// Notes that the same was told of a node by the same source, as mostly happens: only when it was said last is new. False, and nothing is
    /// noted, when there may be more in it.
    fn told_again(&mut self, node: NodeId, draft: &Draft, at: Time, c: &Context) -> bool {
        if draft.keys.len() > 1 || self.graph.has_mark(node, Marks::SHARED) {
            return false;
        }
        let known = self.graph.raw(node).filter(|n| n.sources.has(c.source));
        match known.and_then(|n| n.said(&draft.attrs, c.rank, at)) {
            Some(true) => true,
            Some(false) => {
                if let Some(Some(known)) = self.graph.nodes.get_mut(node.0 as usize) {
                    Arc::make_mut(known).said_by(&draft.attrs, at);
                }
                true
            }
            None => false,
        }
    }

    pub(crate) fn make(&mut self, class: ClassId, key: ontology::Key, primary: bool) -> Option<NodeId> {
        let (sampled, open) =
            self.graph.ontology.classes.get(class.index()).map(|c| (c.grain == Grain::Sampled, c.open))?;
        let of_class = || self.graph.by_class.get(&class).map_or(0, imbl::Vector::len);
        if open && of_class() >= self.limits.open_nodes {
            self.totals.open_left_out += 1;
            return None;
        }
        if !sampled && self.kept_nodes >= self.limits.nodes {
            self.totals.left_out += 1;
            return None;
        }
        let id = NodeId(u32::try_from(self.graph.nodes.len()).ok()?);
        let node = Node {
            class,
            key,
            attrs: Vec::new(),
            seen: crate::Runs::default(),
            ended: None,
            sources: Sources::default(),
            owners: Vec::new(),
            followers: Vec::new(),
        };
        self.graph.glances.push(Glance::of(&self.graph.ontology, &node));
        self.graph.nodes.push(Some(Arc::new(node)));
        let mut marks = Marks::default();
        if sampled {
            marks.set(Marks::SAMPLED);
        }
        if sampled || self.graph.ontology.is_event(class) {
            marks.set(Marks::DATED);
        }
        if !primary {
            marks.set(Marks::SHARED);
        }
        self.graph.marks.push(marks);
        self.graph.order.push(key_id(key.hash));
        self.graph.by_key.insert(key_id(key.hash), id);
        if primary {
            self.keys.insert(key.hash, id);
        }
        if !primary {
            self.weaker.insert(key.hash, id);
        }
        self.graph.by_class.entry(class).or_default().push_back(id);
        self.note_name(id);
        if sampled {
            self.sampled.push_back(id);
        } else {
            self.kept_nodes += 1;
        }
        Some(id)
    }

    fn seen(&mut self, node: NodeId, at: Time, c: &Context) {
        let minute = at.minute();
        let known = self.graph.raw(node).is_some_and(|n| n.seen.at(minute, 0).is_some());
        if !known {
            self.touch_begun(node);
            self.with_node(node, |n| n.seen.add(minute, RUN_GAP_MINUTES));
        }
        self.moved(at, c);
    }

    fn edge(&mut self, relation: RelationId, from: NodeId, to: NodeId, at: Time, sources: Sources) -> EdgeId {
        let gap = match self.graph.ontology.relations.get(relation.index()).map(|r| r.holds) {
            Some(Holds::Fixed) => FIXED_GAP_MINUTES,
            _ => RUN_GAP_MINUTES,
        };
        let minute = at.minute();
        if let Some(id) = self.known_edge((relation, from, to)) {
            let sets = &self.graph.sets;
            let known = self
                .graph
                .edge(id)
                .is_some_and(|e| e.seen.at(minute, 0).is_some() && sets.get(e.sources).has(sources));
            if !known {
                let first = self.graph.edge(id).and_then(|e| e.seen.first());
                self.with_edge(id, |e| e.seen.add(minute, gap));
                if first.is_none_or(|f| f > minute) {
                    first.into_iter().for_each(|f| self.touched.mark(f));
                    self.graph.links.earlier(from, End::Out, relation, id, minute);
                    if self.is_found_at(from, to) {
                        self.graph.links.earlier(to, End::Into, relation, id, minute);
                    }
                }
                self.led_again(from, relation);
                self.told_by(id, sources);
                // When kept conclusions hold is read off their premises; of sampled ones it is noted as they come.
                let watched = !self.graph.rules.triggers(relation).is_empty();
                if watched && (self.is_sampled(from) || self.is_sampled(to)) {
                    self.draw(id);
                }
            }
            return id;
        }
        let mut edge = Edge::new(relation, from, to);
        edge.seen.add(minute, gap);
        let id = self.make_edge(edge);
        self.told_by(id, sources);
        if !self.graph.rules.triggers(relation).is_empty() {
            self.draw(id);
        }
        id
    }

    pub(crate) fn make_edge(&mut self, edge: Edge) -> EdgeId {
        let id = EdgeId(u32::try_from(self.graph.edges.len()).unwrap_or(u32::MAX));
        let (relation, from, to, first) = (edge.relation, edge.from, edge.to, edge.seen.first());
        self.touch_described(from, relation);
        self.graph.edges.push(edge);
        self.edge_index.insert((relation, from, to), id);
        self.graph.links.add(from, End::Out, relation, id, first);
        if self.is_found_at(from, to) {
            self.graph.links.add(to, End::Into, relation, id, first);
        }
        if let Some(count) = self.graph.edge_counts.get_mut(relation.index()) {
            *count += 1;
        }
        if self.graph.names.leads(relation) {
            self.named_anew(from);
        }
        id
    }

    /// What describes a sampled node describes the sampled nodes that belong to it as well: a session's place is that of its
    /// interactions.
    fn touch_described(&mut self, node: NodeId, relation: RelationId) {
        let describes = |r: RelationId| {
            self.graph.ontology.relations.get(r.index()).is_some_and(|r| r.holds != Holds::Flow)
        };
        if !self.is_sampled(node) || !describes(relation) {
            return;
        }
        let mut found = vec![node];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            for edge in self.graph.links.of(at, End::Into).filter_map(|id| self.graph.edge(id)) {
                let is_new = found.len() < DESCRIBED && !found.contains(&edge.from);
                if is_new && describes(edge.relation) && self.is_sampled(edge.from) {
                    found.push(edge.from);
                }
            }
        }
        found.into_iter().skip(1).for_each(|n| self.touch_begun(n));
    }

    /// The edge between some ends, if there is one.
    pub(crate) fn known_edge(&self, ends: Ends) -> Option<EdgeId> {
        self.edge_index.get(ends, |id| self.graph.joins(id, ends))
    }

    /// Takes an edge out of all but the chains of its ends.
    pub(crate) fn drop_edge(&mut self, id: EdgeId) {
        let Some(ends) = self.graph.edge(id).map(|e| (e.relation, e.from, e.to)) else { return };
        let graph = &self.graph;
        self.edge_index.remove(ends, |id| graph.joins(id, ends));
        self.with_edge(id, |e| *e = Edge::default());
        self.graph.edges.give_back(id.0 as usize, Edge::is_none);
        if let Some(count) = self.graph.edge_counts.get_mut(ends.0.index()) {
            *count = count.saturating_sub(1);
        }
        if self.graph.names.leads(ends.0) {
            self.named_anew(ends.1);
        }
    }

    pub(crate) fn with_edge(&mut self, id: EdgeId, change: impl FnOnce(&mut Edge)) {
        if let Some(edge) = self.graph.edges.get_mut(id.0 as usize) {
            change(edge);
        }
    }

    /// Notes who told of an edge.
    pub(crate) fn told_by(&mut self, id: EdgeId, sources: Sources) {
        let Some(was) = self.graph.edge(id).map(|e| e.sources) else { return };
        let told = self.graph.sets.get(was);
        if !told.has(sources) {
            let now = self.sets.id(&mut self.graph.sets, told.with(sources), was);
            self.with_edge(id, |e| e.sources = now);
        }
    }

    /// Notes that an edge was said to end; the latest that was said counts.
    pub(crate) fn ends(&mut self, id: EdgeId, at: Time) {
        let Some(place) = self.graph.edge(id).map(|e| e.ends) else { return };
        if let Some(known) = place.checked_sub(1).and_then(|p| self.graph.ends.get_mut(p as usize)) {
            *known = at.max(*known);
            // Its page is another one from now on, so that whoever compares pages looks at it.
            self.with_edge(id, |e| e.ends = place);
            return;
        }
        self.graph.ends.push_back(at);
        let place = u32::try_from(self.graph.ends.len()).unwrap_or(0);
        self.with_edge(id, |e| e.ends = place);
    }

    /// Whether an edge is also found at the node that it leads to: those from sampled nodes into kept ones are too many.
    fn is_found_at(&self, from: NodeId, to: NodeId) -> bool {
        !self.is_sampled(from) || self.is_sampled(to)
    }

    fn is_sampled(&self, node: NodeId) -> bool {
        self.graph.has_mark(node, Marks::SAMPLED)
    }

    pub(crate) fn with_node(&mut self, node: NodeId, change: impl FnOnce(&mut Node)) {
        let (at, graph) = (node.0 as usize, &mut self.graph);
        let Some(Some(n)) = graph.nodes.get_mut(at) else { return };
        let n = Arc::make_mut(n);
        change(n);
        let glance = Glance::of(&graph.ontology, n);
        if graph.glances.get(at) != Some(&glance)
            && let Some(old) = graph.glances.get_mut(at)
        {
            *old = glance;
        }
    }

    /// Whether an item was not counted before; remembers it.
    fn is_new(&mut self, id: ItemId, at: Time) -> bool {
        let new = self.items.is_new(id, at.minute(), self.limits.remembered_items);
        self.totals.repeated += u64::from(!new);
        new
    }

    /// A cohort from the components named by a record: those that are kept each, as a sorted set.
    fn cohort(&mut self, refs: &Arc<[Ref]>, c: &mut Context) -> CohortId {
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

    fn empty_cohort(&mut self) -> CohortId {
        self.cohort_of(Arc::new([]))
    }

    fn series_cell(&mut self, of: Of, cohort: CohortId, minute: Minute) -> &mut crate::Stat {
        let id = self.series(of, cohort);
        #[expect(clippy::indexing_slicing, reason = "`series` has just returned an index into this table")]
        Arc::make_mut(&mut self.graph.series[id.0 as usize]).cell(minute)
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

    /// What is said of an event or of a sampled node shows where it began. To be called before and after anything is said in a batch: it
    /// may have begun earlier than was known.
    pub(crate) fn touch_begun(&mut self, node: NodeId) {
        if !self.graph.has_mark(node, Marks::DATED) {
            return;
        }
        let began = match self.is_sampled(node) {
            true => self.graph.node(node).and_then(|n| n.seen.first()),
            false => self.graph.started(node).map(Time::minute),
        };
        if let Some(began) = began {
            self.touched.mark(began);
        }
    }

    /// Lets the oldest sampled nodes go, with their edges.
    fn let_go_of_sampled(&mut self) {
        while self.sampled.len() > self.limits.sampled_nodes {
            let Some(oldest) = self.sampled.pop_front() else { return };
            let Some(Some(node)) = self.graph.nodes.get(oldest.0 as usize).cloned() else { continue };
            self.let_go_of_edges(oldest);
            self.graph.by_key.remove(&key_id(node.key.hash));
            self.keys.remove(&node.key.hash);
            if let Some(class) = self.graph.by_class.get_mut(&node.class)
                && let Some(at) = class.iter().position(|n| *n == oldest)
            {
                // The oldest stand first.
                class.remove(at);
            }
            if let Some(slot) = self.graph.nodes.get_mut(oldest.0 as usize) {
                *slot = None;
            }
            self.graph.nodes.give_back(oldest.0 as usize, Option::is_none);
            if let Some(glance) = self.graph.glances.get_mut(oldest.0 as usize) {
                *glance = Glance::default();
            }
            self.graph.glances.give_back(oldest.0 as usize, |g| *g == Glance::default());
            self.totals.sampled_let_go += 1;
        }
    }

    fn let_go_of_edges(&mut self, node: NodeId) {
        let links = &self.graph.links;
        let edges: Vec<EdgeId> = links.of(node, End::Out).chain(links.of(node, End::Into)).collect();
        for id in edges {
            let Some((relation, from, to)) = self.graph.edge(id).map(|e| (e.relation, e.from, e.to)) else {
                continue;
            };
            self.drop_edge(id);
            // The other end may stay.
            if from != node {
                self.graph.links.remove(from, End::Out, relation, id);
            }
            if to != node && self.is_sampled(to) {
                self.graph.links.remove(to, End::Into, relation, id);
            }
        }
        self.graph.links.clear(node);
    }

    /// Forgets minutes beyond the limit, once an hour of new ones has come.
    fn forget_old(&mut self) {
        let Some(latest) = self.graph.latest else { return };
        let minutes = self.limits.hours * 60;
        let mut before = latest.minute().plus(-minutes);
        if let Some(held) = self.held_from {
            before = before.min(held.max(latest.minute().plus(-minutes.saturating_mul(2))));
        }
        if self.forgotten_before.is_some_and(|f| before.0 - f.0 < 60) {
            return;
        }
        self.forgotten_before = Some(before);
        if self.earliest.is_some_and(|e| e < before) {
            self.whole_from = self.whole_from.max(Some(before));
        }
        self.graph.flows.forget_before(before);
        for i in 0..self.graph.series.len() {
            let stale =
                self.graph.series.get(i).and_then(|s| s.extent()).is_some_and(|(first, _)| first < before);
            if stale && let Some(s) = self.graph.series.get_mut(i) {
                Arc::make_mut(s).forget_before(before);
            }
        }
    }
}

impl Context {
    pub(crate) fn node(&self, r: Ref) -> Option<NodeId> {
        self.nodes.get(r.0 as usize).copied().flatten()
    }
}

/// A count that came as a number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn whole(value: f64) -> u64 {
    if value.is_finite() { value.clamp(0.0, 9e15).round() as u64 } else { 0 }
}

/// FNV-1a over 128 bits (Fowler, Noll, Vo), with a separator after each part.
fn fnv128(parts: &[&str]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    hash
}
