//! What is left to satisfy: premises of rules as goals, and states that hold some of them.

use graph::{EdgeId, Evidence, NodeId};
use ontology::paths::Repeat;
use ontology::premise::{Compare, Premise, Term};
use ontology::rules::{Conclusion, Rule};
use ontology::{ClassId, RelationId};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Variables of all rules that a state has taken in.
pub(super) type Slot = usize;
/// Alternatives, each backwards where `true`.
pub(super) type Steps = Rc<[(RelationId, bool)]>;

/// One premise still to be satisfied; no slot stands for anything at all.
#[derive(Clone, Debug)]
pub(super) enum Goal<'a> {
    Edge(Steps, Option<Slot>, Option<Slot>),
    /// One or more, and how many have been followed so far.
    Path(Steps, Option<Slot>, Option<Slot>, u32),
    /// One or more, or both ends the same.
    Any(Steps, Option<Slot>, Option<Slot>),
    Is(ClassId, Slot),
    OneOf(&'a BTreeSet<ClassId>, Slot),
    Differ(Slot, Slot),
    During(Slot, Slot),
    StartsBefore(Slot, Slot, i64),
    Attr(Slot, &'a str, &'a Compare),
    Not(Rc<[Goal<'a>]>),
}

/// Edges used, last first.
#[derive(Debug)]
pub(super) struct Used {
    pub edge: EdgeId,
    pub before: Option<Rc<Used>>,
}

#[derive(Clone, Debug)]
pub(super) struct State<'a> {
    pub weight: f64,
    /// Of equal weights the one met first is taken on first.
    pub order: u64,
    /// The rule set out with.
    pub rule: &'a str,
    /// Its conclusion.
    pub head: Vec<Option<Slot>>,
    /// What variables stand for.
    pub known: Vec<Option<NodeId>>,
    pub goals: Vec<Goal<'a>>,
    pub used: Option<Rc<Used>>,
}

impl PartialEq for State<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for State<'_> {}

impl PartialOrd for State<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for State<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.weight.total_cmp(&other.weight).then_with(|| other.order.cmp(&self.order))
    }
}

impl State<'_> {
    pub(super) fn value(&self, slot: Option<Slot>) -> Option<NodeId> {
        self.known.get(slot?).copied().flatten()
    }

    /// Whether a variable can stand for a node; if so it does from now on.
    pub(super) fn bind(&mut self, slot: Option<Slot>, node: NodeId) -> bool {
        match slot.and_then(|s| self.known.get_mut(s)) {
            Some(known) => *known.get_or_insert(node) == node,
            None => true,
        }
    }

    pub(super) fn new_slot(&mut self) -> Slot {
        self.known.push(None);
        self.known.len() - 1
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let mut all = Vec::new();
        let mut at = self.used.as_ref();
        while let Some(used) = at {
            all.push(Evidence::Edge(used.edge));
            at = used.before.as_ref();
        }
        all.reverse();
        all
    }

    /// What is left to do and for what, however its variables came to be: equal for states that lead to the same.
    pub(super) fn key(&self) -> Vec<u64> {
        let mut key = vec![self.rule.as_ptr() as u64];
        let mut names: Vec<Slot> = Vec::new();
        let mut slot = |s: Option<Slot>, key: &mut Vec<u64>| match (s, self.value(s)) {
            (_, Some(node)) => key.extend([1, u64::from(node.0)]),
            (Some(s), None) => {
                let name = names.iter().position(|n| *n == s).unwrap_or_else(|| {
                    names.push(s);
                    names.len() - 1
                });
                key.extend([2, name as u64]);
            }
            (None, None) => key.push(3),
        };
        for s in &self.head {
            slot(*s, &mut key);
        }
        keys_of(&self.goals, &mut key, &mut slot);
        key
    }
}

fn keys_of(goals: &[Goal<'_>], key: &mut Vec<u64>, slot: &mut dyn FnMut(Option<Slot>, &mut Vec<u64>)) {
    for goal in goals {
        match goal {
            Goal::Edge(steps, a, b) | Goal::Path(steps, a, b, _) | Goal::Any(steps, a, b) => {
                let tag = match goal {
                    Goal::Edge(..) => 10,
                    Goal::Path(..) => 11,
                    _ => 12,
                };
                key.extend([tag, steps.len() as u64]);
                key.extend(steps.iter().map(|(r, back)| u64::from(r.0) << 1 | u64::from(*back)));
                slot(*a, key);
                slot(*b, key);
            }
            Goal::Is(class, a) => {
                key.extend([13, u64::from(class.0)]);
                slot(Some(*a), key);
            }
            Goal::OneOf(classes, a) => {
                key.extend([14, std::ptr::from_ref(*classes) as u64]);
                slot(Some(*a), key);
            }
            Goal::Differ(a, b) | Goal::During(a, b) | Goal::StartsBefore(a, b, _) => {
                key.push(match goal {
                    Goal::Differ(..) => 15,
                    Goal::During(..) => 16,
                    _ => 17,
                });
                slot(Some(*a), key);
                slot(Some(*b), key);
                if let Goal::StartsBefore(_, _, secs) = goal {
                    key.push(secs.cast_unsigned());
                }
            }
            Goal::Attr(a, attr, test) => {
                key.extend([18, attr.as_ptr() as u64, std::ptr::from_ref(*test) as u64]);
                slot(Some(*a), key);
            }
            Goal::Not(inner) => {
                key.extend([19, inner.len() as u64]);
                keys_of(inner, key, slot);
            }
        }
    }
}

pub(super) fn slot_of(term: Term, slots: &[Slot]) -> Option<Slot> {
    match term {
        Term::Var(v) => slots.get(usize::from(v)).copied(),
        Term::Any => None,
    }
}

/// Adds a rule's variables and premises to a state; says which slots its variables have.
pub(super) fn take_in<'a>(state: &mut State<'a>, rule: &'a Rule) -> Vec<Slot> {
    let slots: Vec<Slot> = rule.variables.iter().map(|_| state.new_slot()).collect();
    // What only a `not` names is no matter of the rest.
    let mut outside = BTreeSet::new();
    match &rule.head {
        Conclusion::Relation(_, from, to) => outside.extend([*from, *to]),
        Conclusion::Predicate(_, terms) => outside.extend(terms),
    }
    rule.body.iter().filter(|p| !matches!(p, Premise::Not(_))).for_each(|p| terms_of(p, &mut outside));
    state.goals.extend(goals(&rule.body, &slots, rule, &outside));
    state.goals.extend(outside.iter().filter_map(|t| one_of(*t, &slots, rule)));
    slots
}

fn one_of<'a>(term: Term, slots: &[Slot], rule: &'a Rule) -> Option<Goal<'a>> {
    let Term::Var(v) = term else { return None };
    Some(Goal::OneOf(rule.classes.get(usize::from(v))?, slot_of(term, slots)?))
}

fn terms_of(premise: &Premise, terms: &mut BTreeSet<Term>) {
    match premise {
        Premise::Edge { from, to, .. } => terms.extend([*from, *to]),
        Premise::Is(_, t) | Premise::Attr { of: t, .. } => terms.extend([*t]),
        Premise::Differ(a, b) | Premise::During(a, b) | Premise::StartsBefore(a, b, _) => {
            terms.extend([*a, *b])
        }
        Premise::Not(inner) => inner.iter().for_each(|p| terms_of(p, terms)),
    }
}

fn goals<'a>(body: &'a [Premise], slots: &[Slot], rule: &'a Rule, outside: &BTreeSet<Term>) -> Vec<Goal<'a>> {
    let slot = |t: &Term| slot_of(*t, slots);
    let two = |a: &Term, b: &Term| slot(a).zip(slot(b));
    body.iter()
        .filter_map(|p| {
            Some(match p {
                Premise::Edge { steps, repeat, from, to } => {
                    let (steps, from, to) = (steps.as_slice().into(), slot(from), slot(to));
                    match repeat {
                        Repeat::Once => Goal::Edge(steps, from, to),
                        Repeat::OneOrMore => Goal::Path(steps, from, to, 0),
                        Repeat::AnyNumber => Goal::Any(steps, from, to),
                    }
                }
                Premise::Is(class, t) => Goal::Is(*class, slot(t)?),
                Premise::Differ(a, b) => two(a, b).map(|(a, b)| Goal::Differ(a, b))?,
                Premise::During(a, b) => two(a, b).map(|(a, b)| Goal::During(a, b))?,
                Premise::StartsBefore(a, b, secs) => {
                    two(a, b).map(|(a, b)| Goal::StartsBefore(a, b, *secs))?
                }
                Premise::Attr { of, attr, test } => Goal::Attr(slot(of)?, attr, test),
                Premise::Not(inner) => {
                    let mut own = BTreeSet::new();
                    inner.iter().for_each(|p| terms_of(p, &mut own));
                    let mut all = goals(inner, slots, rule, outside);
                    all.extend(own.difference(outside).filter_map(|t| one_of(*t, slots, rule)));
                    Goal::Not(all.into())
                }
            })
        })
        .collect()
}

/// Makes two variables one.
pub(super) fn unify(state: &mut State<'_>, outer: Option<Slot>, inner: Option<Slot>) -> bool {
    let (Some(outer), Some(inner)) = (outer, inner) else { return true };
    if let Some(node) = state.value(Some(outer)).or(state.value(Some(inner)))
        && !(state.bind(Some(outer), node) && state.bind(Some(inner), node))
    {
        return false;
    }
    let same = |s: &mut Slot| {
        if *s == inner {
            *s = outer;
        }
    };
    state.goals.iter_mut().for_each(|g| g.rename(&same));
    state.head.iter_mut().flatten().for_each(same);
    true
}

impl Goal<'_> {
    fn rename(&mut self, same: &dyn Fn(&mut Slot)) {
        match self {
            Goal::Edge(_, a, b) | Goal::Path(_, a, b, _) | Goal::Any(_, a, b) => {
                a.iter_mut().for_each(same);
                b.iter_mut().for_each(same);
            }
            Goal::Is(_, a) | Goal::OneOf(_, a) | Goal::Attr(a, ..) => same(a),
            Goal::Differ(a, b) | Goal::During(a, b) | Goal::StartsBefore(a, b, _) => {
                same(a);
                same(b);
            }
            Goal::Not(inner) => {
                let mut renamed = inner.to_vec();
                renamed.iter_mut().for_each(|g| g.rename(same));
                *inner = renamed.into();
            }
        }
    }
}
