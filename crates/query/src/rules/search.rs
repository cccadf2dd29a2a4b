//! Following asked rules: a best-first search over half-satisfied rules, from what is known outwards.
//!
//! A state is a list of premises still to be satisfied and what their variables stand for. The strongest state is taken on by
//! one premise; a premise that another asked rule concludes is replaced by that rule's body. Weights only shrink, so the
//! first time a conclusion is reached is its strongest way, and two states with the same premises left need not both be
//! taken on.

use super::goal::{Goal, Slot, State, Steps, Used, slot_of, take_in, unify};
use super::{CutOff, Followed, Reach, direction};
use crate::view::View;
use graph::{Direction, EdgeId, Hop, NodeId};
use ontology::model::Grain;
use ontology::premise::Term;
use ontology::rules::{Conclusion, Keep, Rule};
use ontology::{ClassId, RelationId, Time};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BinaryHeap;
use std::rc::Rc;

/// A search, for one question.
pub(super) struct Search<'a> {
    view: View<'a>,
    at: Time,
    reach: Reach,
    heap: BinaryHeap<State<'a>>,
    order: u64,
    left: u32,
    hops: FxHashMap<NodeId, Rc<[Hop]>>,
    sampled: FxHashMap<(NodeId, RelationId), Rc<[NodeId]>>,
    /// Why not all was found.
    pub(super) cut_off: CutOff,
}

impl<'a> Search<'a> {
    pub(super) fn new(view: View<'a>, at: Time, reach: Reach) -> Search<'a> {
        Search {
            view,
            at,
            reach,
            heap: BinaryHeap::new(),
            order: 0,
            left: reach.facts,
            hops: FxHashMap::default(),
            sampled: FxHashMap::default(),
            cut_off: CutOff::default(),
        }
    }

    pub(super) fn looked_at(&self) -> u32 {
        self.reach.facts - self.left
    }

    /// Edges of a relation that stand in the graph between ends, as far as they are known.
    pub(super) fn stored(&mut self, relation: RelationId, ends: &[Option<NodeId>]) -> Vec<EdgeId> {
        let (from, to) = (ends.first().copied().flatten(), ends.get(1).copied().flatten());
        self.edges(relation, false, from, to).into_iter().map(|e| e.0).collect()
    }

    /// Sets out with a rule whose conclusion has these terms, some of which are known.
    pub(super) fn begin(&mut self, rule: &'a Rule, terms: &[Term], ends: &[Option<NodeId>]) {
        let mut state = State {
            weight: 1.0,
            order: 0,
            rule: &rule.name,
            head: Vec::new(),
            known: Vec::new(),
            goals: Vec::new(),
            used: None,
        };
        let slots = take_in(&mut state, rule);
        for (term, end) in terms.iter().zip(ends) {
            let slot = slot_of(*term, &slots);
            state.head.push(slot);
            if end.is_some_and(|n| !state.bind(slot, n)) {
                return;
            }
        }
        self.push(state);
    }

    /// Takes the strongest state on until none is left or the bound is reached.
    pub(super) fn run(&mut self, keep: &mut dyn FnMut(Followed<'a>)) {
        let mut done: FxHashSet<Vec<u64>> = FxHashSet::default();
        while let Some(state) = self.heap.pop() {
            if !done.insert(state.key()) {
                continue;
            }
            if !state.goals.is_empty() {
                self.take_on(state);
                continue;
            }
            let ends: Option<Vec<NodeId>> = state.head.iter().map(|s| state.value(*s)).collect();
            if let Some(ends) = ends {
                let premises = state.evidence();
                keep(Followed { ends, weight: state.weight, rule: Some(state.rule), premises, edge: None });
            }
        }
    }

    fn push(&mut self, mut state: State<'a>) {
        if state.weight < self.reach.weight {
            self.cut_off.weight = true;
            return;
        }
        self.order += 1;
        state.order = self.order;
        self.heap.push(state);
    }

    /// Satisfies one premise in every way.
    fn take_on(&mut self, mut state: State<'a>) {
        let Some(next) = self.next(&state) else { return };
        let goal = state.goals.remove(next);
        match goal {
            Goal::Edge(steps, a, b) => self.take_edge(&state, &steps, a, b),
            Goal::Path(steps, a, b, count) => {
                if count >= self.reach.hops {
                    self.cut_off.hops = true;
                    return;
                }
                // The last step, or one more step from whichever end is known.
                let mut last = state.clone();
                last.goals.push(Goal::Edge(Rc::clone(&steps), a, b));
                self.push(last);
                let middle = state.new_slot();
                let from_start = state.value(a).is_some() || state.value(b).is_none();
                let (first, rest) = if from_start {
                    ((a, Some(middle)), (Some(middle), b))
                } else {
                    ((Some(middle), b), (a, Some(middle)))
                };
                state.goals.push(Goal::Edge(Rc::clone(&steps), first.0, first.1));
                state.goals.push(Goal::Path(steps, rest.0, rest.1, count + 1));
                self.push(state);
            }
            Goal::Any(steps, a, b) => {
                let mut some = state.clone();
                some.goals.push(Goal::Path(steps, a, b, 0));
                self.push(some);
                if unify(&mut state, a, b) {
                    self.push(state);
                }
            }
            Goal::Is(class, slot) if state.value(Some(slot)).is_none() => {
                for node in self.view.graph.of_class(class) {
                    if !self.spend() {
                        return;
                    }
                    let mut one = state.clone();
                    one.bind(Some(slot), node);
                    self.push(one);
                }
            }
            test => {
                if self.holds(&state, &test) {
                    self.push(state);
                }
            }
        }
    }

    /// Which premise to satisfy next: a test of what is known, else an edge with known ends, else any edge, else a class;
    /// what must not be is looked at last, when everything it shares with the rest is known.
    fn next(&self, state: &State<'a>) -> Option<usize> {
        let cost = |goal: &Goal<'_>| {
            let unknown = |slots: &[Slot]| slots.iter().filter(|s| state.value(Some(**s)).is_none()).count();
            let test = |slots: &[Slot]| if unknown(slots) == 0 { 0 } else { 9 };
            match goal {
                Goal::Differ(a, b) | Goal::During(a, b) | Goal::StartsBefore(a, b, _) => test(&[*a, *b]),
                Goal::OneOf(_, a) | Goal::Attr(a, ..) => test(&[*a]),
                Goal::Is(_, a) => {
                    if unknown(&[*a]) == 0 {
                        0
                    } else {
                        7
                    }
                }
                Goal::Edge(_, a, b) | Goal::Path(_, a, b, _) | Goal::Any(_, a, b) => {
                    let known = [*a, *b].into_iter().filter(|s| state.value(*s).is_some()).count();
                    let repeated = usize::from(!matches!(goal, Goal::Edge(..)));
                    match known {
                        2 => 1 + repeated,
                        1 => 3 + repeated,
                        _ => 5 + repeated,
                    }
                }
                Goal::Not(_) => 8,
            }
        };
        let ranked = state.goals.iter().enumerate().map(|(i, g)| (cost(g), i)).min();
        // A test of something that no premise names can never be made: the rule concludes nothing.
        ranked.filter(|(cost, _)| *cost < 9).map(|(_, i)| i)
    }

    fn take_edge(&mut self, state: &State<'a>, steps: &Steps, a: Option<Slot>, b: Option<Slot>) {
        let o = self.view.ontology();
        for (relation, back) in steps.iter().copied() {
            for (id, special, from, to) in self.edges(relation, back, state.value(a), state.value(b)) {
                let mut one = state.clone();
                if one.bind(a, from) && one.bind(b, to) {
                    one.weight *= self.view.weight(special);
                    one.used = Some(Rc::new(Used { edge: id, before: one.used.take() }));
                    self.push(one);
                }
            }
            let (from, to) = if back { (b, a) } else { (a, b) };
            for rule in o.rules.rules.iter().filter(|r| r.keep == Keep::Asked) {
                let Conclusion::Relation(head, x, y) = rule.head else { continue };
                if !o.is_case_of(head, relation) {
                    continue;
                }
                let mut one = state.clone();
                let slots = take_in(&mut one, rule);
                if unify(&mut one, from, slot_of(x, &slots)) && unify(&mut one, to, slot_of(y, &slots)) {
                    self.push(one);
                }
            }
        }
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            self.cut_off.facts = true;
            return false;
        }
        self.left -= 1;
        true
    }

    fn hops(&mut self, node: NodeId) -> Rc<[Hop]> {
        let (view, at) = (self.view, self.at);
        Rc::clone(self.hops.entry(node).or_insert_with(|| view.graph.all_hops_at(node, at).into()))
    }

    /// Edges of a relation or of a special case of it that hold, each with its own relation and with the ends in the order in
    /// which the premise has them.
    fn edges(
        &mut self,
        relation: RelationId,
        back: bool,
        a: Option<NodeId>,
        b: Option<NodeId>,
    ) -> Vec<(EdgeId, RelationId, NodeId, NodeId)> {
        let view = self.view;
        let mut found = Vec::new();
        let (known, first) = match (a, b) {
            (Some(a), _) => (a, true),
            (None, Some(b)) => (b, false),
            (None, None) => {
                let mut all: Vec<_> = view
                    .graph
                    .edges()
                    .filter(|(_, e)| view.is_case_of(e.relation, relation))
                    .map(|(id, e)| {
                        let ends = (view.graph.resolve(e.from), view.graph.resolve(e.to));
                        let ends = if back { (ends.1, ends.0) } else { ends };
                        (view.graph.id(ends.0), view.graph.id(ends.1), id, e.relation, ends)
                    })
                    .collect();
                all.sort();
                for (_, _, id, special, (from, to)) in all {
                    if !self.spend() {
                        return found;
                    }
                    if view.graph.holds(id, self.at) {
                        found.push((id, special, from, to));
                    }
                }
                return found;
            }
        };
        let other = if first { b } else { None };
        // Edges from sampled nodes are found at their sources.
        let way = direction(first, back);
        if way == Direction::In && !view.is_sampled(known) {
            if let Some(source) = other.filter(|n| view.is_sampled(*n)) {
                return self.between(relation, source, known, first);
            }
            let sources = if other.is_none() { self.sampled_into(known, relation) } else { Vec::new() };
            for (special, source) in sources {
                found.extend(self.between(special, source, known, first));
            }
        }
        for hop in self.hops(known).iter() {
            if hop.direction != way || !view.is_case_of(hop.relation, relation) {
                continue;
            }
            if !self.spend() {
                return found;
            }
            if other.is_none_or(|o| o == hop.node) {
                let ends = if first { (known, hop.node) } else { (hop.node, known) };
                found.push((hop.edge, hop.relation, ends.0, ends.1));
            }
        }
        found
    }

    /// Edges from a sampled node to a kept one.
    fn between(
        &mut self,
        relation: RelationId,
        source: NodeId,
        target: NodeId,
        target_first: bool,
    ) -> Vec<(EdgeId, RelationId, NodeId, NodeId)> {
        let mut found = Vec::new();
        for hop in self.hops(source).iter() {
            let fits = hop.direction == Direction::Out && hop.node == target;
            if fits && self.view.is_case_of(hop.relation, relation) && self.spend() {
                let ends = if target_first { (target, source) } else { (source, target) };
                found.push((hop.edge, hop.relation, ends.0, ends.1));
            }
        }
        found
    }

    /// Sampled nodes that lead to a node by a relation or a special case of it.
    fn sampled_into(&mut self, node: NodeId, general: RelationId) -> Vec<(RelationId, NodeId)> {
        let o = self.view.ontology();
        let sampled = |c: ClassId| o.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled);
        let mut found = Vec::new();
        for i in 0..o.relations.len() {
            let Ok(relation) = u16::try_from(i).map(RelationId) else { break };
            let from_sampled =
                o.relations[i].arrows.iter().any(|(domain, _)| o.kinds_of(*domain).any(sampled));
            if !from_sampled || !o.is_case_of(relation, general) {
                continue;
            }
            let limit = self.left as usize;
            let graph = self.view.graph;
            let mut all = 0;
            let sources = self.sampled.entry((node, relation)).or_insert_with(|| {
                let (sources, there) = graph.sampled_into(node, relation, limit);
                all = there;
                sources.into()
            });
            self.cut_off.facts |= all > sources.len();
            found.extend(sources.iter().map(|s| (relation, *s)));
        }
        found
    }

    fn holds(&mut self, state: &State<'a>, test: &Goal<'a>) -> bool {
        let (view, value) = (self.view, |s: &Slot| state.value(Some(*s)));
        let both = |a: &Slot, b: &Slot| value(a).zip(value(b));
        let is_a = |s: &Slot, fits: &dyn Fn(ClassId) -> bool| {
            value(s).and_then(|n| view.graph.node(n)).is_some_and(|n| fits(n.class))
        };
        match test {
            Goal::Is(class, s) => is_a(s, &|c| view.ontology().is_a(c, *class)),
            Goal::OneOf(classes, s) => is_a(s, &|c| classes.contains(&c)),
            Goal::Differ(a, b) => both(a, b).is_some_and(|(a, b)| a != b),
            Goal::During(a, b) => both(a, b).is_some_and(|(a, b)| view.lies_during(a, b)),
            Goal::StartsBefore(a, b, secs) => {
                both(a, b).is_some_and(|(a, b)| view.started_before(a, b, *secs))
            }
            Goal::Attr(s, attr, test) => value(s).is_some_and(|n| view.attribute_is(n, attr, test)),
            Goal::Not(inner) => !self.is_there(state, inner),
            Goal::Edge(..) | Goal::Path(..) | Goal::Any(..) => false,
        }
    }

    /// Whether some premises can be satisfied at all, however weakly; taken to be so when that cannot be found out.
    fn is_there(&mut self, state: &State<'a>, goals: &[Goal<'a>]) -> bool {
        let mut inner = Search::new(self.view, self.at, Reach { weight: 0.0, ..self.reach });
        inner.left = self.left;
        inner.push(State { weight: 1.0, goals: goals.to_vec(), head: Vec::new(), ..state.clone() });
        let mut there = false;
        let mut done: FxHashSet<Vec<u64>> = FxHashSet::default();
        while let Some(next) = inner.heap.pop() {
            if next.goals.is_empty() {
                there = true;
                break;
            }
            if done.insert(next.key()) {
                inner.take_on(next);
            }
        }
        self.left = inner.left;
        self.cut_off.hops |= inner.cut_off.hops && !there;
        self.cut_off.facts |= inner.cut_off.facts && !there;
        there || inner.cut_off.any()
    }
}
