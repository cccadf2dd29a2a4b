//! Kept rules made ready for drawing: every `*` decided, everything sampled gathered into groups, and, by relation, where one
//! more edge matters.
//!
//! Sampled nodes (sessions, interactions) are let go, so what is concluded through them cannot be counted by them. The
//! premises that share sampled nodes form a *group*; what the graph remembers of a group is which kept nodes it joined and
//! when (a *witness*), as it remembers of samples only their cohorts' sums. The rest of the rule takes a witness for one more
//! fact.

use ontology::model::Grain;
use ontology::paths::Repeat;
use ontology::premise::{Premise, Term};
use ontology::rules::{Conclusion, Keep, Rule};
use ontology::{ClassId, Ontology, RelationId};
use std::collections::BTreeSet;

/// One of the relations that a premise names, with its special cases, and whether it is followed backwards.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub relations: Vec<RelationId>,
    pub back: bool,
}

/// What a part of a plan is satisfied by.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One edge.
    Edge(Vec<Step>),
    /// One or more edges in a row.
    Path(Vec<Step>),
    /// A witness of this group.
    Group(usize),
}

/// A premise, or a group of them, with the variables at its ends.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub kind: Kind,
    pub ends: Vec<usize>,
}

/// One way to satisfy a kept rule.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Which of the ontology's rules.
    pub rule: usize,
    pub head: RelationId,
    /// Which end of which part the conclusion starts at, and which it leads to. An edge is drawn between the very nodes that
    /// its premises name, stand-ins or not, so that it does not depend on when two of them were found to be one.
    pub from: (usize, usize),
    pub to: (usize, usize),
    pub parts: Vec<Part>,
    /// By variable.
    pub classes: Vec<BTreeSet<ClassId>>,
    pub differ: Vec<(usize, usize)>,
}

/// Premises that share sampled nodes. Variables are those of the plan it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub premises: Vec<(Vec<Step>, [usize; 2])>,
    /// By variable: whether it stands for a sampled node.
    pub sampled: Vec<bool>,
    pub classes: Vec<BTreeSet<ClassId>>,
    /// Where it touches kept nodes: which end of which premise.
    pub ends: Vec<(usize, usize)>,
}

/// Where an edge of some relation can take part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trigger {
    Part { plan: usize, part: usize, back: bool },
    Group { group: usize, premise: usize, back: bool },
}

/// All kept rules of an ontology.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub plans: Vec<Plan>,
    pub groups: Vec<Group>,
    triggers: Vec<Vec<Trigger>>,
}

impl Kept {
    pub(crate) fn new(o: &Ontology) -> Kept {
        let mut kept = Kept { triggers: vec![Vec::new(); o.relations.len()], ..Kept::default() };
        for (i, rule) in o.rules.rules.iter().enumerate() {
            if rule.keep == Keep::Always
                && let Conclusion::Relation(head, Term::Var(from), Term::Var(to)) = rule.head
            {
                let draft = Draft::new(o, rule);
                for way in draft.decided().into_iter().flat_map(Draft::told_apart_by_grain) {
                    kept.add(i, head, [usize::from(from), usize::from(to)], &way, o);
                }
            }
        }
        kept
    }

    /// Where an edge of this relation can take part; nothing for most relations.
    pub(crate) fn triggers(&self, relation: RelationId) -> &[Trigger] {
        self.triggers.get(relation.index()).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, rule: usize, head: RelationId, ends: [usize; 2], draft: &Draft<'_>, o: &Ontology) {
        let plan = self.plans.len();
        let mut parts: Vec<Part> = Vec::new();
        // Premises are joined into groups by the sampled variables they share.
        let mut groups: Vec<(BTreeSet<usize>, Vec<usize>)> = Vec::new();
        for (i, p) in draft.premises.iter().enumerate() {
            let mut shared: BTreeSet<usize> =
                p.ends.iter().copied().filter(|v| draft.is_sampled(*v)).collect();
            if shared.is_empty() {
                let kind = if p.repeat == Repeat::Once {
                    Kind::Edge(p.steps.clone())
                } else {
                    Kind::Path(p.steps.clone())
                };
                parts.push(Part { kind, ends: p.ends.to_vec() });
                continue;
            }
            let mut members = vec![i];
            groups.retain(|(vars, others)| {
                let apart = vars.is_disjoint(&shared);
                if !apart {
                    shared.extend(vars);
                    members.extend(others);
                }
                apart
            });
            members.sort_unstable();
            groups.push((shared, members));
        }
        for (_, members) in groups {
            let premises: Vec<(Vec<Step>, [usize; 2])> =
                members.iter().map(|i| (draft.premises[*i].steps.clone(), draft.premises[*i].ends)).collect();
            let places = premises.iter().enumerate().flat_map(|(i, p)| [(i, 0, p.1[0]), (i, 1, p.1[1])]);
            let outer: Vec<_> = places.filter(|(_, _, v)| !draft.is_sampled(*v)).collect();
            let group = Group {
                premises,
                sampled: (0..draft.classes.len()).map(|v| draft.is_sampled(v)).collect(),
                classes: draft.classes.clone(),
                ends: outer.iter().map(|(i, side, _)| (*i, *side)).collect(),
            };
            let ends = outer.iter().map(|(_, _, v)| *v).collect();
            parts.push(Part { kind: Kind::Group(self.groups.len()), ends });
            self.groups.push(group);
        }
        let place = |v: usize| {
            let v = draft.same(v);
            parts.iter().enumerate().find_map(|(i, p)| Some((i, p.ends.iter().position(|e| *e == v)?)))
        };
        let (Some(from), Some(to)) = (place(ends[0]), place(ends[1])) else { return };
        for (i, part) in parts.iter().enumerate() {
            match &part.kind {
                Kind::Edge(steps) | Kind::Path(steps) => {
                    self.trigger(steps, |back| Trigger::Part { plan, part: i, back });
                }
                Kind::Group(group) => {
                    for (p, (steps, _)) in self.groups[*group].premises.clone().iter().enumerate() {
                        self.trigger(steps, |back| Trigger::Group { group: *group, premise: p, back });
                    }
                }
            }
        }
        // The conclusion itself must be one that the relation allows.
        let mut classes = draft.classes.clone();
        let arrows = o.relations.get(head.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
        for (v, of) in [(ends[0], 0), (ends[1], 1)] {
            let fits = |c: &ClassId| arrows.iter().any(|a| o.is_a(*c, if of == 0 { a.0 } else { a.1 }));
            classes[draft.same(v)].retain(fits);
        }
        self.plans.push(Plan { rule, head, from, to, parts, classes, differ: draft.differ.clone() });
    }

    fn trigger(&mut self, steps: &[Step], make: impl Fn(bool) -> Trigger) {
        for step in steps {
            for relation in &step.relations {
                if let Some(all) = self.triggers.get_mut(relation.index()) {
                    all.push(make(step.back));
                }
            }
        }
    }

    /// Which plan a group belongs to, and as which part of it.
    pub(crate) fn place_of(&self, group: usize) -> Option<(usize, usize)> {
        self.plans.iter().enumerate().find_map(|(i, plan)| {
            let of = |p: &Part| matches!(p.kind, Kind::Group(g) if g == group);
            Some((i, plan.parts.iter().position(of)?))
        })
    }
}

#[derive(Clone)]
struct DraftPremise {
    steps: Vec<Step>,
    repeat: Repeat,
    ends: [usize; 2],
}

/// A rule on its way to a plan.
#[derive(Clone)]
struct Draft<'a> {
    o: &'a Ontology,
    premises: Vec<DraftPremise>,
    classes: Vec<BTreeSet<ClassId>>,
    differ: Vec<(usize, usize)>,
    /// Variables found to be another.
    renamed: Vec<(usize, usize)>,
}

impl<'a> Draft<'a> {
    fn new(o: &'a Ontology, rule: &Rule) -> Draft<'a> {
        let mut draft = Draft {
            o,
            premises: Vec::new(),
            classes: rule.classes.clone(),
            differ: Vec::new(),
            renamed: Vec::new(),
        };
        for premise in &rule.body {
            match premise {
                Premise::Edge { steps, repeat, from, to } => {
                    let ends = [draft.variable(*from, steps, 0), draft.variable(*to, steps, 1)];
                    let steps = steps
                        .iter()
                        .map(|(general, back)| Step { relations: special_cases(o, *general), back: *back })
                        .collect();
                    draft.premises.push(DraftPremise { steps, repeat: *repeat, ends });
                }
                Premise::Differ(Term::Var(a), Term::Var(b)) => {
                    draft.differ.push((usize::from(*a), usize::from(*b)));
                }
                // Classes have narrowed the variables already; the loader lets a kept rule say nothing else.
                _ => {}
            }
        }
        draft
    }

    /// The variable of a term; anything at all is one of its own.
    fn variable(&mut self, term: Term, steps: &[(RelationId, bool)], side: usize) -> usize {
        if let Term::Var(v) = term {
            return usize::from(v);
        }
        let mut classes = BTreeSet::new();
        for (relation, back) in steps {
            for (domain, range) in self.o.relations.get(relation.index()).into_iter().flat_map(|r| &r.arrows)
            {
                let end = if (side == 0) == *back { *range } else { *domain };
                classes.extend(self.o.kinds_of(end));
            }
        }
        self.classes.push(classes);
        self.classes.len() - 1
    }

    fn same(&self, mut v: usize) -> usize {
        while let Some((_, to)) = self.renamed.iter().find(|(from, _)| *from == v) {
            v = *to;
        }
        v
    }

    fn samples(&self, c: ClassId) -> bool {
        self.o.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled)
    }

    /// After [`Draft::told_apart_by_grain`] a variable is one or the other.
    fn is_sampled(&self, v: usize) -> bool {
        self.classes.get(v).and_then(BTreeSet::first).is_some_and(|c| self.samples(*c))
    }

    /// Every `r*` is either one or more `r`, or both its ends are one.
    fn decided(self) -> Vec<Draft<'a>> {
        let Some(i) = self.premises.iter().position(|p| p.repeat == Repeat::AnyNumber) else {
            return vec![self];
        };
        let mut some = self.clone();
        some.premises[i].repeat = Repeat::OneOrMore;
        let mut none = self;
        let [from, to] = none.premises.remove(i).ends;
        if from != to {
            none.renamed.push((from, to));
            let both = none.classes[from].intersection(&none.classes[to]).copied().collect();
            none.classes[to] = both;
            let rename = |v: &mut usize| {
                if *v == from {
                    *v = to;
                }
            };
            none.premises.iter_mut().for_each(|p| p.ends.iter_mut().for_each(rename));
            for (a, b) in &mut none.differ {
                rename(a);
                rename(b);
            }
        }
        let mut all = some.decided();
        if !none.premises.is_empty() {
            all.extend(none.decided());
        }
        all
    }

    /// A variable that can be a sampled node or a kept one is taken for either in turn.
    fn told_apart_by_grain(self) -> Vec<Draft<'a>> {
        let used: BTreeSet<usize> = self.premises.iter().flat_map(|p| p.ends).collect();
        let mixed = used.into_iter().find(|v| {
            let sampled = self.classes[*v].iter().filter(|c| self.samples(**c)).count();
            sampled > 0 && sampled < self.classes[*v].len()
        });
        let Some(v) = mixed else { return vec![self] };
        let only = |sampled: bool| {
            let mut one = self.clone();
            one.classes[v].retain(|c| self.samples(*c) == sampled);
            one.told_apart_by_grain()
        };
        [only(true), only(false)].concat()
    }
}

/// A relation and every special case of it.
fn special_cases(o: &Ontology, general: RelationId) -> Vec<RelationId> {
    let all = (0..o.relations.len()).filter_map(|i| u16::try_from(i).ok().map(RelationId));
    all.filter(|r| o.is_case_of(*r, general)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> Vec<String> {
        let o = Ontology::builtin();
        let kept = Kept::new(&o);
        let steps = |steps: &[Step]| {
            let one = |s: &Step| {
                let names: Vec<&str> = s.relations.iter().map(|r| o.relation_name(*r)).collect();
                names.join("/") + if s.back { "^" } else { "" }
            };
            steps.iter().map(one).collect::<Vec<_>>().join("|")
        };
        let plans = kept.plans.iter().filter(|p| o.rules.rules[p.rule].name == name);
        let part = |p: &Part| {
            let ends: Vec<String> = p.ends.iter().map(ToString::to_string).collect();
            let kind = match &p.kind {
                Kind::Edge(s) => steps(s),
                Kind::Path(s) => format!("({})+", steps(s)),
                Kind::Group(g) => {
                    let inner = &kept.groups[*g].premises;
                    let inner: Vec<String> =
                        inner.iter().map(|(s, e)| format!("{}({},{})", steps(s), e[0], e[1])).collect();
                    format!("[{}]", inner.join(" "))
                }
            };
            format!("{kind}({})", ends.join(","))
        };
        plans.map(|p| p.parts.iter().map(part).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn what_is_sampled_becomes_one_fact_with_kept_ends() {
        assert_eq!(shown("backing"), ["[of_view(2,0) called(2,1)](0,1)"]);
    }

    #[test]
    fn any_number_is_one_or_more_or_none() {
        assert_eq!(
            shown("answerability"),
            ["(version_of|operation_of|instance_of|view_of|option_of)+(0,2) owned_by(2,1)", "owned_by(2,1)"]
        );
    }

    #[test]
    fn a_rule_over_kept_nodes_stays_as_written() {
        assert_eq!(shown("observed_dependency"), ["operation_of(2,0) calls(2,3) operation_of(3,1)"]);
    }
}
