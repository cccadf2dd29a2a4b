//! Which sampled nodes (sessions, interactions) a condition is true of, without looking at all of them.
//!
//! A sampled node names what it leads to, itself or through other sampled ones. A condition is decided by few nodes, so of all that a
//! node names only these are kept, as the number of a set that many share. Only classes with a relation to something that decides are
//! walked, and what their nodes name is handed on to those that lead to them (from a session to its interactions). So interactions are
//! not looked at when the condition is about what sessions name, but those of sessions that name some of it.

use crate::links::End;
use crate::subgraph::{Condition, Led};
use crate::topology::{Graph, Marks, NodeId};
use crate::{Direction, Runs};
use ontology::model::Grain;
use ontology::{ClassId, Minute, RelationId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Sampled nodes lead to sampled nodes (an interaction to its session, a session to its device) over at most so many steps.
const STEPS: usize = 4;

impl Graph {
    /// Sampled nodes of a condition that were seen in a stretch, by class, and where they lead.
    pub(crate) fn sampled_of(
        &self,
        during: (Minute, Minute),
        condition: &Condition<'_>,
    ) -> (BTreeMap<ClassId, usize>, Vec<Led>) {
        let mut named = Named::new(self, condition);
        let mut sampled: BTreeMap<ClassId, usize> = BTreeMap::new();
        let mut led: FxHashMap<(ClassId, RelationId, NodeId), usize> = FxHashMap::default();
        for node in named.all() {
            let Some(class) = self.raw(node).filter(|_| self.was_there(node, during)).map(|n| n.class) else {
                continue;
            };
            *sampled.entry(class).or_default() += 1;
            let _: ControlFlow<()> = self.each_hop(node, Direction::Out, &[], |hop, _| {
                if !self.is_sampled(hop.node) {
                    *led.entry((class, hop.relation, hop.node)).or_default() += 1;
                }
                ControlFlow::Continue(())
            });
        }
        let mut led: Vec<Led> = led.into_iter().map(|((c, r, to), n)| (c, r, to, n)).collect();
        led.sort_unstable_by_key(|l| (l.0, l.1, self.order(l.2), l.2));
        (sampled, led)
    }

    /// What nobody saw itself was there when something was said to relate to it.
    fn was_there(&self, node: NodeId, (from, to): (Minute, Minute)) -> bool {
        let touches = |runs: &Runs| runs.iter().any(|r| r.0 < to && r.1 >= from);
        self.members(node).into_iter().any(|member| match self.raw(member) {
            Some(node) if !node.seen.is_empty() => touches(&node.seen),
            _ => {
                let edges = self.links.of(member, End::Out).chain(self.links.of(member, End::Into));
                edges.filter_map(|e| self.edge(e)).any(|e| touches(&e.seen))
            }
        })
    }
}

/// A set of nodes that decide, by its number.
type Set = u32;
/// No such node.
const EMPTY: Set = 0;

/// What sampled nodes name of what decides. Many name the same, so each set is kept once, with the verdict on it.
struct Named<'a> {
    graph: &'a Graph,
    condition: &'a Condition<'a>,
    /// By node: its set; of a node that decides, the set of it alone.
    of: Vec<Set>,
    sets: Vec<(Vec<NodeId>, bool)>,
    numbers: FxHashMap<Vec<NodeId>, Set>,
    unions: FxHashMap<(Set, Set), Set>,
    /// Sampled nodes whose set is not empty.
    some: Vec<NodeId>,
}

impl<'a> Named<'a> {
    fn new(graph: &'a Graph, condition: &'a Condition<'a>) -> Named<'a> {
        let mut named = Named {
            graph,
            condition,
            of: vec![EMPTY; graph.nodes.len()],
            sets: Vec::new(),
            numbers: FxHashMap::default(),
            unions: FxHashMap::default(),
            some: Vec::new(),
        };
        named.put(Vec::new());
        for node in condition.about.iter().filter(|n| !graph.is_sampled(**n)) {
            let set = named.put(vec![*node]);
            if let Some(slot) = named.of.get_mut(node.0 as usize) {
                *slot = set;
            }
        }
        named
    }

    fn put(&mut self, names: Vec<NodeId>) -> Set {
        if let Some(known) = self.numbers.get(&names) {
            return *known;
        }
        let number = Set::try_from(self.sets.len()).unwrap_or(EMPTY);
        let verdict = (self.condition.holds)(&names);
        self.sets.push((names.clone(), verdict));
        self.numbers.insert(names, number);
        number
    }

    /// Sampled classes, with the relations by which each leads to what decides, as the ontology says, between classes of which one is
    /// the other's kind: what a thing counts as may be of a more special class than what the relation was told of.
    fn classes(&self) -> Vec<(ClassId, Vec<RelationId>)> {
        let o = &self.graph.ontology;
        let class_of = |n: &NodeId| self.graph.raw(*n).map(|n| n.class);
        let about: BTreeSet<ClassId> = self.condition.about.iter().filter_map(class_of).collect();
        let kin = |a: ClassId, b: ClassId| o.is_a(a, b) || o.is_a(b, a);
        let leads = |class: ClassId, arrows: &[(ClassId, ClassId)]| {
            arrows.iter().any(|a| kin(class, a.0) && about.iter().any(|c| kin(*c, a.1)))
        };
        let is_sampled = |c: &ClassId| o.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled);
        let relations = |class: ClassId| {
            let all = (0..).map(RelationId).zip(&o.relations);
            all.filter(|(_, r)| leads(class, &r.arrows)).map(|(id, _)| id).collect()
        };
        self.graph.by_class.keys().copied().filter(is_sampled).map(|c| (c, relations(c))).collect()
    }

    fn holds(&self, set: Set) -> bool {
        self.sets.get(set as usize).is_some_and(|s| s.1)
    }

    fn set(&self, node: NodeId) -> Set {
        self.of.get(node.0 as usize).copied().unwrap_or(EMPTY)
    }

    /// Adds to what a sampled node names. Says whether that is more than before.
    fn add(&mut self, node: NodeId, part: Set) -> bool {
        let before = self.set(node);
        let set = self.union(before, part);
        if before == EMPTY && set != EMPTY {
            self.some.push(node);
        }
        if let Some(slot) = self.of.get_mut(node.0 as usize) {
            *slot = set;
        }
        set != before
    }

    /// Every sampled node that the condition is true of.
    fn all(&mut self) -> Vec<NodeId> {
        let graph = self.graph;
        let classes = self.classes();
        let of_class = |c: &ClassId| graph.by_class.get(c).into_iter().flatten().copied();
        // What counts as another node has that one's names.
        let stands = |n: &NodeId| !graph.has_mark(*n, Marks::SHARED) || graph.stands(*n);
        for (class, relations) in classes.iter().filter(|c| !c.1.is_empty()) {
            for node in of_class(class).filter(stands) {
                let mut set = EMPTY;
                let _: ControlFlow<()> = graph.each_hop(node, Direction::Out, relations, |hop, _| {
                    if !graph.is_sampled(hop.node) {
                        set = self.union(set, self.set(hop.node));
                    }
                    ControlFlow::Continue(())
                });
                self.add(node, set);
            }
        }
        let mut handed: Vec<(NodeId, Set)> = self.some.iter().map(|n| (*n, self.set(*n))).collect();
        for _ in 0..STEPS {
            let mut next = Vec::new();
            for (node, part) in handed {
                let _: ControlFlow<()> = graph.each_hop(node, Direction::In, &[], |hop, _| {
                    if graph.is_sampled(hop.node) && self.add(hop.node, part) {
                        next.push((hop.node, part));
                    }
                    ControlFlow::Continue(())
                });
            }
            handed = next;
        }
        if self.holds(EMPTY) {
            let all = classes.iter().flat_map(|(class, _)| of_class(class)).filter(stands);
            return all.filter(|n| self.holds(self.set(*n))).collect();
        }
        self.some.iter().copied().filter(|n| self.holds(self.set(*n))).collect()
    }

    fn union(&mut self, a: Set, b: Set) -> Set {
        if a == b || b == EMPTY {
            return a;
        }
        if a == EMPTY {
            return b;
        }
        if let Some(known) = self.unions.get(&(a, b)) {
            return *known;
        }
        let of = |s: Set| self.sets.get(s as usize).map_or(&[][..], |s| &s.0);
        let mut names = [of(a), of(b)].concat();
        names.sort_unstable();
        names.dedup();
        let set = self.put(names);
        self.unions.insert((a, b), set);
        set
    }
}
