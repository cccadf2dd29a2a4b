//! Which sampled nodes (sessions, interactions) a condition is true of, without looking at all of them.
//!
//! A sampled node names what it leads to, itself or through other sampled ones. A condition is decided by few nodes, so of all that a
//! node names only these are kept, as the number of a set that many share. If a condition needs any of them, it can be true only of what
//! leads there: classes with a relation to one of them are walked, and from those that name one, edges are followed back (an interaction
//! is found from its session). Interactions are not looked at when the condition is about what sessions name.

use crate::links::End;
use crate::subgraph::{Condition, Led};
use crate::topology::{Graph, Marks, NodeId};
use crate::{Direction, Runs};
use ontology::model::Grain;
use ontology::{ClassId, Minute, RelationId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

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
    /// By node: its set, counted from one; of a node that decides, the set of it alone.
    of: Vec<u32>,
    sets: Vec<(Vec<NodeId>, bool)>,
    numbers: FxHashMap<Vec<NodeId>, Set>,
    unions: FxHashMap<(Set, Set), Set>,
    /// By sampled class: the relations by which it leads to sampled classes or to what decides.
    along: FxHashMap<ClassId, Rc<[RelationId]>>,
    /// Sampled classes that lead to what decides.
    near: BTreeSet<ClassId>,
}

impl<'a> Named<'a> {
    fn new(graph: &'a Graph, condition: &'a Condition<'a>) -> Named<'a> {
        let mut named = Named {
            graph,
            condition,
            of: vec![0; graph.nodes.len()],
            sets: Vec::new(),
            numbers: FxHashMap::default(),
            unions: FxHashMap::default(),
            along: FxHashMap::default(),
            near: BTreeSet::new(),
        };
        named.put(Vec::new());
        for node in condition.about {
            let set = named.put(vec![*node]);
            if let Some(slot) = named.of.get_mut(node.0 as usize) {
                *slot = set + 1;
            }
        }
        named.classes();
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

    /// Where classes lead, as the ontology says, between classes of which one is the other's kind: what a thing counts as may be of a
    /// more special class than what the relation was told of.
    fn classes(&mut self) {
        let (graph, o) = (self.graph, &self.graph.ontology);
        let class_of = |n: &NodeId| graph.raw(*n).map(|n| n.class);
        let about: BTreeSet<ClassId> = self.condition.about.iter().filter_map(class_of).collect();
        let kin = |a: ClassId, b: ClassId| o.is_a(a, b) || o.is_a(b, a);
        let sampled: Vec<ClassId> = self.sampled_classes().collect();
        for class in &sampled {
            let mut along = Vec::new();
            for (relation, r) in (0..).map(RelationId).zip(&o.relations) {
                let leads = |to: &ClassId| r.arrows.iter().any(|a| kin(*class, a.0) && kin(*to, a.1));
                let near = about.iter().any(leads);
                if near {
                    self.near.insert(*class);
                }
                if near || sampled.iter().any(leads) {
                    along.push(relation);
                }
            }
            if !along.is_empty() {
                self.along.insert(*class, along.into());
            }
        }
    }

    fn sampled_classes(&self) -> impl Iterator<Item = ClassId> + use<'a> {
        let graph = self.graph;
        let is_sampled = move |c: &ClassId| {
            graph.ontology.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled)
        };
        graph.by_class.keys().copied().filter(is_sampled)
    }

    fn holds(&self, set: Set) -> bool {
        self.sets.get(set as usize).is_some_and(|s| s.1)
    }

    /// Every sampled node that the condition is true of.
    fn all(&mut self) -> Vec<NodeId> {
        let graph = self.graph;
        let of_nothing = self.holds(EMPTY);
        let walked =
            self.sampled_classes().filter(|c| of_nothing || self.near.contains(c)).collect::<Vec<_>>();
        let (mut found, mut queue) = (Vec::new(), Vec::new());
        for class in &walked {
            for node in graph.by_class.get(class).into_iter().flatten() {
                self.look(*node, *class, &mut found, &mut queue);
            }
        }
        if of_nothing {
            return found;
        }
        let mut met: FxHashSet<NodeId> = FxHashSet::default();
        while let Some(node) = queue.pop() {
            let _: ControlFlow<()> = graph.each_hop(node, Direction::In, &[], |hop, _| {
                let class = graph.raw(hop.node).map(|n| n.class).filter(|c| !walked.contains(c));
                if let Some(class) = class.filter(|_| graph.is_sampled(hop.node) && met.insert(hop.node)) {
                    self.look(hop.node, class, &mut found, &mut queue);
                }
                ControlFlow::Continue(())
            });
        }
        found
    }

    /// Notes a node that the condition is true of, and one that names something that decides.
    fn look(&mut self, node: NodeId, class: ClassId, found: &mut Vec<NodeId>, queue: &mut Vec<NodeId>) {
        if self.graph.has_mark(node, Marks::SHARED) && !self.graph.stands(node) {
            return;
        }
        let (set, _) = self.set(node, class, STEPS);
        if self.holds(set) {
            found.push(node);
        }
        if set != EMPTY {
            queue.push(node);
        }
    }

    /// What a node names of what decides, and whether that is all, however many steps away.
    fn set(&mut self, node: NodeId, class: ClassId, steps: usize) -> (Set, bool) {
        if let Some(known) = self.known(node) {
            return (known, true);
        }
        let graph = self.graph;
        let Some(relations) = self.along.get(&class).map(Rc::clone) else { return (EMPTY, true) };
        let (mut set, mut whole) = (EMPTY, true);
        let _: ControlFlow<()> = graph.each_hop(node, Direction::Out, &relations, |hop, _| {
            let part = match self.known(hop.node) {
                Some(known) => known,
                None if !graph.is_sampled(hop.node) => EMPTY,
                None if steps == 0 => {
                    whole = false;
                    EMPTY
                }
                None => {
                    let further = graph.raw(hop.node).map_or(class, |n| n.class);
                    let (part, all) = self.set(hop.node, further, steps - 1);
                    whole &= all;
                    part
                }
            };
            set = self.union(set, part);
            ControlFlow::Continue(())
        });
        // What is more than some steps away depends on where from.
        if let Some(slot) = self.of.get_mut(node.0 as usize).filter(|_| whole) {
            *slot = set + 1;
        }
        (set, whole)
    }

    fn known(&self, node: NodeId) -> Option<Set> {
        self.of.get(node.0 as usize)?.checked_sub(1)
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
