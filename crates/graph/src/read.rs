//! Reading a graph: nodes, edges as they held at a moment, and sums over series.

use crate::flows::Side;
use crate::links::End;
use crate::runs::Runs;
use crate::series::{CohortId, Series};
use crate::sources::Sources;
use crate::stat::Stat;
use crate::supports::Supports;
use crate::topology::{Edge, EdgeId, Graph, Marks, Node, NodeId};
use ontology::model::{Grain, Holds, STARTED};
use ontology::{AttrId, ClassId, MeasureId, Minute, RelationId, Stretch, Time, Value};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Which way to follow an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From source to target.
    Out,
    /// From target to source.
    In,
}

/// One edge met on the way, and the node at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The edge.
    pub edge: EdgeId,
    /// Its relation.
    pub relation: RelationId,
    /// Which way it was followed.
    pub direction: Direction,
    /// The node it led to.
    pub node: NodeId,
}

/// A sum over cells, with the minutes it came from.
pub type Agg = Stat;

/// The components of a cohort, resolved.
pub type Cohort = Vec<NodeId>;

/// Traffic not seen for this long is taken to have stopped.
const FLOW_LIFE_MINUTES: i64 = 10;
/// Longer than any graph, short enough to be added to.
const FOREVER_MINUTES: i64 = i64::MAX / 4;

impl Graph {
    /// A node, if it is still held.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.raw(self.resolve(node)).map(Arc::as_ref)
    }

    /// A node as one key tells of it; [`Graph::members`] gives all that count as one.
    pub fn member(&self, node: NodeId) -> Option<&Node> {
        self.raw(node).map(Arc::as_ref)
    }

    /// The value of an attribute: of all that was said under any of the node's keys, the most trusted, then the latest.
    pub fn attr(&self, node: NodeId, attr: AttrId) -> Option<&Value> {
        let said = |member: NodeId| {
            self.raw(member).and_then(|n| n.attrs.iter().find(|(a, _)| *a == attr)).map(|(_, s)| s)
        };
        if !self.has_mark(node, Marks::SHARED) {
            return said(node).map(|s| &s.value);
        }
        let mut best: Option<&crate::topology::Said> = None;
        for s in self.members(node).into_iter().filter_map(said) {
            if best.is_none_or(|b| s.beats(b)) {
                best = Some(s);
            }
        }
        best.map(|s| &s.value)
    }

    /// The value of an attribute by name.
    pub fn attr_named(&self, node: NodeId, name: &str) -> Option<&Value> {
        let class = self.node(node)?.class;
        self.attr(node, self.ontology.attr(class, name)?)
    }

    /// When it began: what it says of that itself ([`STARTED`]), else when it was first seen.
    pub fn started(&self, node: NodeId) -> Option<Time> {
        match self.attr_named(node, STARTED) {
            Some(Value::Time(t)) => Some(*t),
            _ => self.node(node)?.seen.first().map(Minute::start),
        }
    }

    /// Every attribute, in the ontology's order.
    pub fn attrs(&self, node: NodeId) -> Vec<(AttrId, Value)> {
        let mut ids: Vec<AttrId> = Vec::new();
        for m in self.members(node) {
            ids.extend(self.raw(m).iter().flat_map(|n| n.attrs.iter().map(|(a, _)| *a)));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|a| Some((a, self.attr(node, a)?.clone()))).collect()
    }

    /// All nodes of a class or of a kind of it, by name, sampled ones included.
    pub fn of_class(&self, class: ClassId) -> Vec<NodeId> {
        let mut found: Vec<NodeId> = Vec::new();
        for (c, nodes) in &self.by_class {
            if self.ontology.is_a(*c, class) {
                found.extend(nodes.iter().copied().filter(|n| self.stands(*n)));
            }
        }
        let mut named: Vec<(String, u128, NodeId)> =
            found.into_iter().map(|n| (self.name(n), self.raw(n).map_or(0, |x| x.key.hash), n)).collect();
        named.sort_unstable();
        named.into_iter().map(|(_, _, n)| n).collect()
    }

    /// Nodes of exactly this class, unordered, stand-ins that count as another left out.
    pub fn of_exactly(&self, class: ClassId) -> impl Iterator<Item = NodeId> + '_ {
        self.by_class.get(&class).into_iter().flatten().copied().filter(|n| self.stands(*n))
    }

    /// How many nodes of exactly this class are held, stand-ins counted as well.
    pub fn class_size(&self, class: ClassId) -> usize {
        self.by_class.get(&class).map_or(0, imbl::Vector::len)
    }

    /// The node of a class (or of a kind of it) with this name, as [`Graph::name`] prints it.
    pub fn named(&self, class: ClassId, name: &str) -> Option<NodeId> {
        self.of_class(class).into_iter().find(|n| self.name(*n) == name)
    }

    /// Everything, unordered, stand-ins that count as another left out.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().enumerate().filter_map(|(i, n)| {
            let id = NodeId(u32::try_from(i).ok()?);
            (n.is_some() && self.stands(id)).then_some(id)
        })
    }

    /// Where a one-target relation leads from a node (the last target seen).
    pub fn target(&self, node: NodeId, relation: RelationId) -> Option<NodeId> {
        let mut best: Option<(Option<Minute>, u128, NodeId)> = None;
        for m in self.members(node) {
            for e in self.links.of_relations(m, End::Out, &[relation]) {
                let Some(edge) = self.edge(e) else { continue };
                let to = self.resolve(edge.to);
                let rank = (edge.seen.last(), self.raw(to).map_or(0, |n| n.key.hash), to);
                if best.as_ref().is_none_or(|b| (b.0, b.1) < (rank.0, rank.1)) {
                    best = Some(rank);
                }
            }
        }
        best.map(|b| b.2)
    }

    /// Whether an edge held at a moment. A `fixed` one holds from when it was first seen; a `while` one until its source has
    /// another target or is no longer seen; a `flow` as long as there is traffic; a concluded one as long as what it follows
    /// from.
    pub fn holds(&self, id: EdgeId, at: Time) -> bool {
        self.edge(id).is_some_and(|edge| self.edge_holds(id, edge, at))
    }

    /// The same for who has the edge in hand.
    pub fn edge_holds(&self, id: EdgeId, edge: &Edge, at: Time) -> bool {
        self.told_to_hold(edge, at) || self.follows_at(id, at)
    }

    /// The same by what sources told, without conclusions.
    pub fn told_at(&self, id: EdgeId, at: Time) -> bool {
        self.edge(id).is_some_and(|edge| self.told_to_hold(edge, at))
    }

    fn told_to_hold(&self, edge: &Edge, at: Time) -> bool {
        if self.edge_ended(edge).is_some_and(|end| end <= at) {
            return false;
        }
        let minute = at.minute();
        let Some(relation) = self.ontology.relations.get(edge.relation.index()) else { return false };
        match relation.holds {
            Holds::Fixed => {
                edge.seen.first().is_some_and(|f| f <= minute)
                    // What only samples are kept of is remembered by what was seen of it alone.
                    && (!relation.single || self.of_sampled(edge) || !self.superseded(edge, minute))
            }
            Holds::Flow => edge.seen.at(minute, FLOW_LIFE_MINUTES).is_some(),
            Holds::While => {
                // Mostly it goes on, or is long over: then it does not matter for how long it would live.
                let run = edge.seen.at(minute, FOREVER_MINUTES);
                run.is_some_and(|(_, last)| {
                    minute <= last || minute.0 <= last.0.saturating_add(self.life_minutes(edge.from))
                }) && (!relation.single || !self.superseded(edge, minute))
            }
        }
    }

    /// When an edge held by what was seen of it alone, without regard to other edges: what of a sampled node's edges is
    /// remembered.
    pub(crate) fn held_runs(&self, id: EdgeId) -> Runs {
        let Some(edge) = self.edge(id) else { return Runs::default() };
        let life = match self.ontology.relations.get(edge.relation.index()).map(|r| r.holds) {
            Some(Holds::Fixed) => FOREVER_MINUTES,
            Some(Holds::Flow) => FLOW_LIFE_MINUTES,
            Some(Holds::While) => self.life_minutes(edge.from),
            None => 0,
        };
        edge.seen.prolonged(life)
    }

    fn of_sampled(&self, edge: &Edge) -> bool {
        self.is_sampled(edge.from)
    }

    /// Whether a node is of a class of which a sample is held, and the rest in cohorts.
    pub fn is_sampled(&self, node: NodeId) -> bool {
        self.has_mark(node, Marks::SAMPLED)
    }

    /// Whether the source of a one-target edge was seen with another target later, up to `minute`. Of two in the same minute one is
    /// taken by its key, whichever was told first.
    fn superseded(&self, edge: &Edge, minute: Minute) -> bool {
        let rank = |edge: &Edge, target: NodeId| {
            let last = edge.seen.iter().filter(|r| r.0 <= minute).map(|r| r.1.min(minute)).max();
            (last, self.raw(target).map_or(0, |n| n.key.hash))
        };
        let target = self.resolve(edge.to);
        let own = rank(edge, target);
        let relation = [edge.relation];
        let members = self.members(edge.from);
        members.into_iter().flat_map(|m| self.links.of_relations(m, End::Out, &relation)).any(|e| {
            self.edge(e).is_some_and(|other| {
                let to = self.resolve(other.to);
                to != target && rank(other, to) > own
            })
        })
    }

    /// Whether an edge held at any moment of a stretch.
    pub fn held_during(&self, id: EdgeId, during: Stretch) -> bool {
        self.edge(id).is_some_and(|edge| self.edge_held_during(id, edge, during))
    }

    /// The same for who has the edge in hand.
    pub fn edge_held_during(&self, id: EdgeId, edge: &Edge, during: Stretch) -> bool {
        let (from, to) = (during.from.minute(), during.to.minute().plus(1));
        self.told_to_hold_during(edge, during) || self.follows_first(id, from, to).is_some()
    }

    fn told_to_hold_during(&self, edge: &Edge, during: Stretch) -> bool {
        if self.edge_ended(edge).is_some_and(|end| end <= during.from) {
            return false;
        }
        let (from, to) = (during.from.minute(), during.to.minute().plus(1));
        match self.ontology.relations.get(edge.relation.index()).map(|r| r.holds) {
            Some(Holds::Fixed) => edge.seen.first().is_some_and(|f| f < to),
            Some(Holds::Flow) => edge.seen.touches(from, to, FLOW_LIFE_MINUTES),
            Some(Holds::While) => edge.seen.touches(from, to, self.life_minutes(edge.from)),
            None => false,
        }
    }

    /// Edges at a node as sources told of them, both ways, without regard to time, sorted by relation, direction and the
    /// other end's key. What was only concluded is left out: a roll-up is no second way for trouble to travel.
    /// Edges from sampled nodes into unsampled ones are not indexed; [`Graph::sampled_into`] finds them.
    pub fn hops(&self, node: NodeId) -> Vec<Hop> {
        self.hops_where(node, |e| !e.seen.is_empty())
    }

    /// The same with what was concluded.
    pub fn all_hops(&self, node: NodeId) -> Vec<Hop> {
        self.hops_where(node, |_| true)
    }

    fn hops_where(&self, node: NodeId, keep: impl Fn(&Edge) -> bool) -> Vec<Hop> {
        let mut hops: Vec<(RelationId, Direction, u128, Hop)> = Vec::new();
        for member in self.members(node) {
            let out = self.links.of(member, End::Out).map(|e| (e, Direction::Out));
            let both = out.chain(self.links.of(member, End::Into).map(|e| (e, Direction::In)));
            for (id, direction) in both {
                let Some(edge) = self.edge(id).filter(|e| keep(e)) else { continue };
                let other = self.resolve(if direction == Direction::Out { edge.to } else { edge.from });
                let hash = self.raw(other).map_or(0, |n| n.key.hash);
                hops.push((
                    edge.relation,
                    direction,
                    hash,
                    Hop { edge: id, relation: edge.relation, direction, node: other },
                ));
            }
        }
        hops.sort_by_key(|a| (a.0, a.1, a.2, a.3.edge));
        hops.into_iter().map(|h| h.3).collect()
    }

    /// Edges as sources told of them that hold at a moment.
    pub fn hops_at(&self, node: NodeId, at: Time) -> Vec<Hop> {
        self.hops(node).into_iter().filter(|h| self.holds(h.edge, at)).collect()
    }

    /// The same with what was concluded.
    pub fn all_hops_at(&self, node: NodeId, at: Time) -> Vec<Hop> {
        self.all_hops(node).into_iter().filter(|h| self.holds(h.edge, at)).collect()
    }

    /// Gives every edge at a node that sources told to hold at a moment, in no order that means anything, until `found` says that it has
    /// enough. What a walk asks: nothing is sorted, named or copied, and edges that came later are passed over.
    pub fn each_hop_at(&self, node: NodeId, at: Time, mut found: impl FnMut(Hop) -> ControlFlow<()>) {
        let minute = at.minute();
        let mut around = |member: NodeId| {
            for (end, direction) in [(End::Out, Direction::Out), (End::Into, Direction::In)] {
                self.links.seen_by(member, end, minute, |edges| {
                    // All rows at once: the processor waits for memory once instead of each time.
                    let rows = edges.iter().filter_map(|e| self.edges.get(*e as usize));
                    std::hint::black_box(rows.map(|e| e.from.0).fold(0, u32::wrapping_add));
                    edges.iter().try_for_each(|id| {
                        let edge = EdgeId(*id);
                        let Some(e) =
                            self.edge(edge).filter(|e| !e.seen.is_empty() && self.told_to_hold(e, at))
                        else {
                            return ControlFlow::Continue(());
                        };
                        let node = self.resolve(if direction == Direction::Out { e.to } else { e.from });
                        found(Hop { edge, relation: e.relation, direction, node })
                    })
                })?;
            }
            ControlFlow::Continue(())
        };
        let _ = match self.has_mark(node, Marks::SHARED) {
            false => around(node),
            true => self.members(node).into_iter().try_for_each(around),
        };
    }

    /// Nodes a relation leads to at some time, in key order, each once.
    pub fn follow(&self, node: NodeId, relation: RelationId, direction: Direction) -> Vec<NodeId> {
        let end = if direction == Direction::Out { End::Out } else { End::Into };
        let mut found: Vec<(u128, NodeId)> = Vec::new();
        for member in self.members(node) {
            for edge in self.links.of_relations(member, end, &[relation]).filter_map(|e| self.edge(e)) {
                let other = self.resolve(if direction == Direction::Out { edge.to } else { edge.from });
                found.push((self.raw(other).map_or(0, |n| n.key.hash), other));
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|f| f.1).collect()
    }

    /// Sampled nodes (sessions, interactions) with an edge of this relation into a node, at most `limit`, and how many there are.
    pub fn sampled_into(&self, node: NodeId, relation: RelationId, limit: usize) -> (Vec<NodeId>, usize) {
        let members = self.members(node);
        let mut found: Vec<(u128, NodeId)> = Vec::new();
        for (class, nodes) in &self.by_class {
            if self.ontology.classes.get(class.index()).is_none_or(|c| c.grain != Grain::Sampled) {
                continue;
            }
            for n in nodes {
                let Some(raw) = self.raw(*n) else { continue };
                let leads = self
                    .links
                    .of(*n, End::Out)
                    .filter_map(|e| self.edge(e))
                    .any(|e| e.relation == relation && members.contains(&e.to));
                if leads {
                    found.push((raw.key.hash, *n));
                }
            }
        }
        found.sort_unstable();
        let all = found.len();
        (found.into_iter().take(limit).map(|f| f.1).collect(), all)
    }

    /// How many edges were ever made: at least as many as are held, and known without counting.
    pub fn edge_slots(&self) -> usize {
        self.edges.len()
    }

    /// Every edge, unordered.
    pub fn edges(&self) -> impl Iterator<Item = (EdgeId, &Edge)> + '_ {
        (0..).map(EdgeId).zip(self.edges.iter()).filter(|(_, e)| !e.is_none())
    }

    /// Every edge of a relation with its resolved ends, unordered.
    pub fn edges_of(&self, relation: RelationId) -> impl Iterator<Item = (EdgeId, NodeId, NodeId)> + '_ {
        self.edges()
            .filter(move |(_, e)| e.relation == relation)
            .map(|(id, e)| (id, self.resolve(e.from), self.resolve(e.to)))
    }

    /// Names of the sources that told of an edge.
    pub fn edge_sources(&self, edge: EdgeId) -> Vec<&str> {
        self.edge(edge).map_or_else(Vec::new, |e| self.source_names(self.sets.get(e.sources)))
    }

    /// Names of the sources that told of a node.
    pub fn node_sources(&self, node: NodeId) -> Vec<&str> {
        let members = self.members(node).into_iter().filter_map(|m| self.raw(m));
        self.source_names(members.fold(Sources::default(), |all, n| all.with(n.sources)))
    }

    /// Names of the sources that told of a node by its own key.
    pub fn told_by(&self, node: NodeId) -> Vec<&str> {
        self.raw(node).map_or_else(Vec::new, |n| self.source_names(n.sources))
    }

    fn source_names(&self, told: Sources) -> Vec<&str> {
        let mut names: Vec<&str> =
            told.iter().filter_map(|place| self.sources.get(place)).map(AsRef::as_ref).collect();
        names.sort_unstable();
        names
    }

    /// All series of a measure on a node (under any of its keys), with their cohorts.
    pub fn series(&self, measure: MeasureId, subject: NodeId) -> Vec<&Series> {
        self.members(subject).into_iter().flat_map(|m| self.series_for(measure, m)).collect()
    }

    /// The same under one key only.
    fn series_for(&self, measure: MeasureId, member: NodeId) -> impl Iterator<Item = &Series> + '_ {
        let ids = self.series_of.get(&(measure, member));
        ids.into_iter().flatten().filter_map(|id| self.series_at(*id)).map(Arc::as_ref)
    }

    /// What went along an edge in a stretch, by the cohorts that `keep` says yes to, as one summary: milliseconds, and how many failed.
    pub fn flow(&self, edge: EdgeId, side: Side, during: Stretch, keep: impl FnMut(CohortId) -> bool) -> Agg {
        self.flows.sum(edge, side, (during.from.minute(), during.to.minute()), keep)
    }

    /// The same by minute.
    pub fn flow_by_minute(
        &self,
        edge: EdgeId,
        side: Side,
        during: Stretch,
        keep: impl FnMut(CohortId) -> bool,
    ) -> BTreeMap<Minute, Agg> {
        self.flows.by_minute(edge, side, (during.from.minute(), during.to.minute()), keep)
    }

    /// The cohorts whose calls went along an edge in a stretch.
    pub fn flow_cohorts(&self, edge: EdgeId, side: Side, during: Stretch) -> Vec<CohortId> {
        self.flows.cohorts(edge, side, (during.from.minute(), during.to.minute()))
    }

    /// The nodes that carry a measure, by name.
    pub fn subjects(&self, measure: MeasureId) -> Vec<NodeId> {
        let mut found: BTreeMap<(String, u128), NodeId> = BTreeMap::new();
        for (m, node) in self.series_of.keys() {
            if *m == measure {
                let node = self.resolve(*node);
                found.insert((self.name(node), self.raw(node).map_or(0, |n| n.key.hash)), node);
            }
        }
        found.into_values().collect()
    }

    /// The components of a cohort, resolved.
    pub fn cohort_members(&self, cohort: CohortId) -> Cohort {
        self.cohort(cohort).iter().map(|n| self.resolve(*n)).collect()
    }

    /// Sums the cells of some series over a stretch, where `keep` says yes to the cohort.
    pub fn sum<'a>(
        &self,
        series: impl IntoIterator<Item = &'a Series>,
        during: Stretch,
        mut keep: impl FnMut(CohortId) -> bool,
    ) -> Agg {
        let (from, to) = (during.from.minute(), during.to.minute());
        let mut sum = Stat::default();
        for s in series {
            if keep(s.cohort) {
                for (_, stat) in s.between(from, to) {
                    sum.merge(stat);
                }
            }
        }
        sum
    }

    /// A text that is equal for graphs that hold the same facts, whatever order they came in. For tests and for `diff`.
    pub fn canonical(&self) -> String {
        use std::fmt::Write as _;
        let mut lines: Vec<String> = Vec::new();
        let label = |n: NodeId| {
            let class = self
                .node(n)
                .and_then(|x| self.ontology.classes.get(x.class.index()))
                .map_or("?", |c| &c.name);
            format!("{class} {} {}", self.name(n), self.id(n))
        };
        let members = |cohort: CohortId| {
            let mut names: Vec<String> = self.cohort_members(cohort).into_iter().map(label).collect();
            names.sort_unstable();
            names
        };
        for n in self.nodes() {
            let mut line = format!("node {}", label(n));
            for (a, v) in self.attrs(n) {
                let name = self.ontology.attrs.get(a.index()).map_or("?", |a| &a.name);
                let _ = write!(line, " {name}={v}");
            }
            if let Some(x) = self.node(n) {
                let _ = write!(line, " seen={:?} ended={:?} by={:?}", x.seen, x.ended, self.node_sources(n));
            }
            lines.push(line);
        }
        for (id, e) in self.edges() {
            let relation = self.ontology.relations.get(e.relation.index()).map_or("?", |r| &r.name);
            let supports = self.concluded.get(id).into_iter().flat_map(Supports::iter);
            let mut because: Vec<String> = supports.map(|s| self.support_text(s)).collect();
            because.sort_unstable();
            lines.push(format!(
                "edge {} -{relation}-> {} seen={:?} ended={:?} by={:?} because={because:?}",
                label(e.from),
                label(e.to),
                e.seen,
                self.edge_ended(e),
                self.edge_sources(id)
            ));
        }
        for s in &self.series {
            let measure = self.ontology.measures.get(s.measure.index()).map_or("?", |m| &m.name);
            let (of, cohort) = (format!("{measure} of {}", label(s.subject)), members(s.cohort));
            let all = s.between(Minute(i64::MIN), Minute(i64::MAX));
            let growth: Vec<_> = s.growth(Minute(i64::MIN), Minute(i64::MAX)).collect();
            lines.push(format!("series {of} by {cohort:?} {all:?} {growth:?}"));
        }
        for (edge, side, cohort, minute, stat) in self.flows.all(Minute(i64::MIN / 2), Minute(i64::MAX / 2)) {
            let ends = self.edge(edge).map(|e| format!("{:?} {} {}", e.relation, label(e.from), label(e.to)));
            lines.push(format!("{side:?} {ends:?} by {:?} {minute:?} {stat:?}", members(cohort)));
        }
        lines.sort_unstable();
        lines.join("\n")
    }
}

impl crate::topology::Said {
    /// Whether this is to be believed rather than the other: more trusted, then later, then larger in print.
    pub(crate) fn beats(&self, other: &crate::topology::Said) -> bool {
        other
            .rank
            .cmp(&self.rank)
            .then(self.at.cmp(&other.at))
            .then_with(|| self.value.to_string().cmp(&other.value.to_string()))
            == std::cmp::Ordering::Greater
    }
}
