//! Conclusions of the ontology's kept rules: joins over the edges of a graph, from the bound variables outwards.

use crate::view::View;
use graph::NodeId;
use ontology::RelationId;
use ontology::paths::Repeat;
use ontology::premise::{Premise, Term};
use ontology::rules::{Conclusion, Keep, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Most conclusions of one rule that are drawn. Kept rules conclude about as much as their premises, so a rule that reaches
/// this is written wrongly; the rest is left out, and the caller is told.
pub const MOST: usize = 200_000;

/// What a rule concludes.
#[derive(Clone, Debug, Default)]
pub struct Conclusions {
    /// Relation, from, to.
    pub edges: BTreeSet<(RelationId, NodeId, NodeId)>,
    /// Whether [`MOST`] was reached.
    pub cut_off: bool,
}

/// The edges that the kept rules draw from what holds now.
pub fn kept(view: &View<'_>) -> Conclusions {
    let index = Index::new(view);
    let mut all = Conclusions::default();
    for rule in view.ontology().rules.rules.iter().filter(|r| r.keep == Keep::Always) {
        index.apply(rule, &mut all);
    }
    all
}

/// Ends by relation, both ways.
struct Index<'a> {
    view: &'a View<'a>,
    out: BTreeMap<RelationId, BTreeMap<NodeId, BTreeSet<NodeId>>>,
    into: BTreeMap<RelationId, BTreeMap<NodeId, BTreeSet<NodeId>>>,
}

impl<'a> Index<'a> {
    fn new(view: &'a View<'a>) -> Index<'a> {
        let mut index = Index { view, out: BTreeMap::new(), into: BTreeMap::new() };
        // Only relations that some rule asks for, and their special cases.
        let mut wanted: BTreeSet<RelationId> = BTreeSet::new();
        for rule in view.ontology().rules.rules.iter().filter(|r| r.keep == Keep::Always) {
            for premise in &rule.body {
                if let Premise::Edge { steps, .. } = premise {
                    wanted.extend(steps.iter().map(|s| s.0));
                }
            }
        }
        for (id, edge) in view.graph.edges() {
            for general in wanted.iter().filter(|w| view.is_case_of(edge.relation, **w)) {
                if view.graph.holds(id, view.as_of.plus_nanos(-1)) {
                    let (from, to) = (view.graph.resolve(edge.from), view.graph.resolve(edge.to));
                    index.out.entry(*general).or_default().entry(from).or_default().insert(to);
                    index.into.entry(*general).or_default().entry(to).or_default().insert(from);
                }
            }
        }
        index
    }

    fn apply(&self, rule: &Rule, all: &mut Conclusions) {
        let Conclusion::Relation(relation, from, to) = rule.head else { return };
        let mut bound = vec![None; rule.variables.len()];
        let before = all.edges.len();
        self.join(&rule.body.iter().collect::<Vec<_>>(), &mut bound, &mut |bound| {
            if all.edges.len() - before >= MOST {
                all.cut_off = true;
                return false;
            }
            if let (Some(f), Some(t)) = (value(from, bound), value(to, bound)) {
                all.edges.insert((relation, f, t));
            }
            true
        });
    }

    /// Finds every way to satisfy the premises; `found` says whether to go on.
    fn join(
        &self,
        rest: &[&Premise],
        bound: &mut Vec<Option<NodeId>>,
        found: &mut dyn FnMut(&[Option<NodeId>]) -> bool,
    ) -> bool {
        if rest.is_empty() {
            return found(bound);
        }
        // Cheapest first: what can be tested, then an edge with a bound end, then any edge.
        let cost = |p: &Premise| match p {
            Premise::Edge { from, to, .. } => match (value(*from, bound), value(*to, bound)) {
                (Some(_), Some(_)) => 1,
                (None, None) => 3,
                _ => 2,
            },
            Premise::Is(_, t) => usize::from(value(*t, bound).is_none()) * 4,
            Premise::Differ(a, b) => {
                usize::from(value(*a, bound).is_none() || value(*b, bound).is_none()) * 4
            }
            _ => 4,
        };
        let Some((i, premise)) = rest.iter().enumerate().min_by_key(|(_, p)| cost(p)) else { return true };
        let others: Vec<&Premise> =
            rest.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
        match premise {
            Premise::Edge { steps, repeat, from, to } => {
                for (f, t) in self.pairs(steps, *repeat, value(*from, bound), value(*to, bound)) {
                    let saved = bound.clone();
                    bind(*from, f, bound);
                    bind(*to, t, bound);
                    let go_on = self.join(&others, bound, found);
                    *bound = saved;
                    if !go_on {
                        return false;
                    }
                }
                true
            }
            Premise::Is(class, t) => {
                let holds = value(*t, bound)
                    .and_then(|n| self.view.graph.node(n))
                    .is_some_and(|n| self.view.ontology().is_a(n.class, *class));
                !holds || self.join(&others, bound, found)
            }
            Premise::Differ(a, b) => {
                let differ = value(*a, bound) != value(*b, bound);
                !differ || self.join(&others, bound, found)
            }
            Premise::StartsBefore(a, b, within) => {
                let start = |t: Term| value(t, bound).and_then(|n| self.view.started(n));
                let holds = start(*a)
                    .zip(start(*b))
                    .is_some_and(|(a, b)| a <= b && b.since(a) <= within.saturating_mul(1_000_000_000));
                !holds || self.join(&others, bound, found)
            }
            // The language allows these in asked rules and actions only.
            Premise::Not(_) | Premise::During(..) | Premise::Attr { .. } => true,
        }
    }

    fn pairs(
        &self,
        steps: &[(RelationId, bool)],
        repeat: Repeat,
        from: Option<NodeId>,
        to: Option<NodeId>,
    ) -> Vec<(NodeId, NodeId)> {
        match (repeat, from, to) {
            (Repeat::Once, Some(f), _) => self
                .next(steps, f, false)
                .into_iter()
                .filter(|t| to.is_none_or(|x| x == *t))
                .map(|t| (f, t))
                .collect(),
            (Repeat::Once, None, Some(t)) => self.next(steps, t, true).into_iter().map(|f| (f, t)).collect(),
            (_, Some(f), _) => self
                .reach(steps, repeat, f, false)
                .into_iter()
                .filter(|t| to.is_none_or(|x| x == *t))
                .map(|t| (f, t))
                .collect(),
            (_, None, Some(t)) => self.reach(steps, repeat, t, true).into_iter().map(|f| (f, t)).collect(),
            (_, None, None) => {
                let mut starts: BTreeSet<NodeId> = BTreeSet::new();
                for (relation, backwards) in steps {
                    let side = if *backwards { &self.into } else { &self.out };
                    starts.extend(side.get(relation).into_iter().flat_map(|m| m.keys()));
                }
                starts.into_iter().flat_map(|f| self.pairs(steps, repeat, Some(f), None)).collect()
            }
        }
    }

    /// One step from a node; from its other end when `reversed`.
    fn next(&self, steps: &[(RelationId, bool)], node: NodeId, reversed: bool) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        for (relation, backwards) in steps {
            let side = if *backwards == reversed { &self.out } else { &self.into };
            found.extend(side.get(relation).and_then(|m| m.get(&node)).into_iter().flatten());
        }
        found
    }

    fn reach(
        &self,
        steps: &[(RelationId, bool)],
        repeat: Repeat,
        node: NodeId,
        reversed: bool,
    ) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::new();
        if repeat == Repeat::AnyNumber {
            found.insert(node);
        }
        let mut queue = vec![node];
        while let Some(at) = queue.pop() {
            for n in self.next(steps, at, reversed) {
                if found.insert(n) {
                    queue.push(n);
                }
            }
        }
        found
    }
}

fn value(term: Term, bound: &[Option<NodeId>]) -> Option<NodeId> {
    match term {
        Term::Var(v) => bound.get(usize::from(v)).copied().flatten(),
        Term::Any => None,
    }
}

fn bind(term: Term, node: NodeId, bound: &mut [Option<NodeId>]) {
    if let Term::Var(v) = term
        && let Some(slot) = bound.get_mut(usize::from(v))
    {
        *slot = Some(node);
    }
}
