//! What follows from what, and what must be answerable: rules and paths, parsed and typed hop by hop.

use crate::load::Gathered;
use crate::model::{ClassId, Grain, Ontology, RelationId};
use crate::paths::{self, Path, Repeat};
use crate::premise::{self, Premise, Scope, Term};
use crate::problems::Report;
use crate::resolve::{self, choice};
use crate::yaml::Word;
use std::collections::BTreeSet;

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Weights below this are dropped when asked rules are followed.
    pub weight: f64,
    /// Longest chain of one repeated relation (`r+`, `r*`) in an asked rule.
    pub hops: u32,
    /// Most facts looked at for one question.
    pub facts: u32,
    /// Names of conclusions that are no relations, with the classes of their arguments.
    pub predicates: Vec<(String, Vec<ClassId>)>,
    /// The rules, in file order.
    pub rules: Vec<Rule>,
}

/// When a conclusion is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Kept as edges.
    Always,
    /// Computed from the node in question.
    Asked,
}

/// What a rule concludes.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// An edge.
    Relation(RelationId, Term, Term),
    /// A predicate: an index into [`Rules::predicates`], and its arguments.
    Predicate(usize, Vec<Term>),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// When it is drawn.
    pub keep: Keep,
    /// What it concludes.
    pub head: Conclusion,
    /// From what.
    pub body: Vec<Premise>,
    /// Names of its variables, by [`Term::Var`].
    pub variables: Vec<String>,
    /// The classes each variable can have, by [`Term::Var`]: what the ends of its relations allow, the conclusion's included.
    pub classes: Vec<BTreeSet<ClassId>>,
    /// As written.
    pub text: String,
    /// What it says.
    pub doc: String,
}

impl Rule {
    /// The relation it concludes, if it concludes one.
    pub fn concludes(&self) -> Option<RelationId> {
        match self.head {
            Conclusion::Relation(relation, ..) => Some(relation),
            Conclusion::Predicate(..) => None,
        }
    }

    /// Whether it only joins: edges, classes, difference, order in time.
    pub fn only_joins(&self) -> bool {
        let joins = |p: &Premise| !matches!(p, Premise::Not(_) | Premise::During(..) | Premise::Attr { .. });
        self.body.iter().all(joins)
    }
}

/// A competency question.
#[derive(Clone, Debug)]
pub struct Question {
    /// `q01`.
    pub name: String,
    /// The question.
    pub ask: String,
    /// Its paths.
    pub paths: Vec<Path>,
}

/// Resolves rules and questions.
pub(crate) fn resolve(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    let mut rules = Rules::default();
    if let Some(reach) = &all.reach {
        (rules.weight, rules.hops, rules.facts) = (reach.weight.value, reach.hops.value, reach.facts.value);
        if !(0.0..=1.0).contains(&reach.weight.value) {
            let text = reach.weight.value.to_string();
            report.add(
                reach.weight.at,
                &text,
                "a weight is a product of chances",
                "write a number from 0 to 1",
            );
        }
        for (what, number) in [("hops", &reach.hops), ("facts", &reach.facts)] {
            if number.value == 0 {
                report.add(number.at, "0", format!("no {what} at all reach nothing"), "write at least 1");
            }
        }
    }
    for (name, classes) in &all.predicates {
        let words = classes.value.split(',').map(|c| Word { value: c.trim().to_owned(), at: classes.at });
        let anything = o.classes.iter().position(|c| c.is.is_none()).and_then(|i| u16::try_from(i).ok());
        let classes = words.filter_map(|w| resolve::class(o, &w, report).or(anything.map(ClassId))).collect();
        rules.predicates.push((name.value.clone(), classes));
    }
    for (name, raw) in &all.rules {
        let keep = choice(&raw.keep, &[("always", Keep::Always), ("asked", Keep::Asked)], report);
        let Some((head, body)) = raw.rule.value.split_once("<-") else {
            let hint = "write `conclusion(A, B) <- premise(A, C), premise(C, B)`";
            report.add(raw.rule.at, &raw.rule.value, "a rule needs `<-`", hint);
            continue;
        };
        let mut scope = Scope::new(o, Vec::new());
        let at = raw.rule.at;
        let conclusion = premise::head(head, at, &mut scope, &rules.predicates, keep, report);
        let body_at = at.plus(head.len() + 2);
        let body = premise::body(body, body_at, &mut scope, report);
        let Some((conclusion, (body, texts))) = conclusion.zip(body) else { continue };
        let head_text = Word { value: head.trim().to_owned(), at };
        let head = conclusion;
        scope.check(&body, Some(&head), &rules.predicates, &texts, &head_text, report);
        premise::sound((&body, &texts), Some((&head, &head_text)), &scope, 0, report);
        if keep == Some(Keep::Always) {
            can_be_kept(o, &head, &body, &scope.classes, &raw.rule, report);
        }
        let (variables, classes) = (scope.names, scope.classes);
        let text = raw.rule.value.clone();
        let keep = keep.unwrap_or(Keep::Asked);
        rules.rules.push(Rule {
            name: name.value.clone(),
            keep,
            head,
            body,
            variables,
            classes,
            text,
            doc: raw.doc.clone(),
        });
    }
    circles(all, o, &rules, report);
    kept_rests_on_kept(all, o, &rules, report);
    o.rules = rules;
    for (name, raw) in &all.questions {
        let mut names = Vec::new();
        let parsed = raw.path.0.iter().map(|w| paths::parse(w, o, &mut names, report)).collect::<Vec<_>>();
        let paths = parsed.into_iter().flatten().collect();
        if raw.ask.value.trim().is_empty() {
            report.add(raw.ask.at, &name.value, "nothing is asked", "write the question as people would");
        }
        if raw.path.0.is_empty() {
            let hint = "add `path: [\"a:Class -relation-> b:Class\"]`";
            report.add(name.at, &name.value, "no path answers this question", hint);
        }
        o.questions.push(Question { name: name.value.clone(), ask: raw.ask.value.clone(), paths });
    }
}

/// What is kept is maintained edge by edge, so a kept rule may say only what one more edge can decide: relations, classes and
/// `!=`. Sampled nodes come and go, so nothing is kept about them; they may stand between the ends, joined by single steps.
fn can_be_kept(
    o: &Ontology,
    head: &Conclusion,
    body: &[Premise],
    classes: &[BTreeSet<ClassId>],
    text: &Word,
    report: &mut Report,
) {
    const ASKED: &str = "write `keep: asked`";
    let mut wrong = |message: &str, hint: &str| report.add(text.at, &text.value, message, hint);
    let sampled = |c: &ClassId| o.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled);
    let any_sampled = |t: Term| match t {
        Term::Var(v) => classes.get(usize::from(v)).is_some_and(|all| all.iter().any(sampled)),
        Term::Any => false,
    };
    let mut groups: Vec<BTreeSet<Term>> = Vec::new();
    for premise in body {
        match premise {
            Premise::Edge { steps, repeat, from, to } => {
                let passes_sampled = steps.iter().any(|(r, _)| {
                    let arrows = o.relations.get(r.index()).map(|r| r.arrows.as_slice()).unwrap_or_default();
                    arrows.iter().any(|(d, r)| o.kinds_of(*d).chain(o.kinds_of(*r)).any(|c| sampled(&c)))
                });
                if *repeat != Repeat::Once && passes_sampled {
                    wrong("a kept rule cannot repeat a relation of sampled nodes", ASKED);
                }
                let mut here: BTreeSet<Term> = [*from, *to].into_iter().filter(|t| *t != Term::Any).collect();
                groups.retain(|g| {
                    let apart = g.is_disjoint(&here);
                    if !apart {
                        here.extend(g);
                    }
                    apart
                });
                groups.push(here);
            }
            Premise::Differ(a, b) if any_sampled(*a) || any_sampled(*b) => {
                wrong("a kept rule cannot compare sampled nodes", ASKED);
            }
            Premise::Is(..) | Premise::Differ(..) => {}
            Premise::Not(_) | Premise::During(..) | Premise::StartsBefore(..) | Premise::Attr { .. } => {
                wrong("a kept rule has only relations, classes and `!=`", ASKED);
            }
        }
    }
    if groups.len() > 1 {
        wrong("the premises of a kept rule hang together", "join them by a variable they share");
    }
    if let Conclusion::Relation(_, from, to) = head {
        let bound = |t: &Term| groups.iter().any(|g| g.contains(t));
        if !bound(from) || !bound(to) {
            wrong("both ends of a kept conclusion stand in a relation of the body", "name them there");
        }
        if any_sampled(*from) || any_sampled(*to) {
            wrong("nothing is kept about sampled nodes: there are too many, and they are let go", ASKED);
        }
    }
}

/// A kept rule may rest on kept conclusions only: asked ones are never drawn, so it would not see them.
fn kept_rests_on_kept(all: &Gathered, o: &Ontology, rules: &Rules, report: &mut Report) {
    let asked = |r: &RelationId| {
        rules.rules.iter().any(|other| {
            other.keep == Keep::Asked
                && matches!(other.head, Conclusion::Relation(head, ..) if o.is_case_of(head, *r))
        })
    };
    for rule in rules.rules.iter().filter(|r| r.keep == Keep::Always) {
        if let Some(relation) = premise::relations(&rule.body).iter().find(|r| asked(r))
            && let Some((_, raw)) = all.rules.iter().find(|(n, _)| n.value == rule.name)
        {
            let message = format!("{} is concluded only when asked", o.relation_name(*relation));
            report.add(raw.rule.at, &rule.text, message, "write `keep: asked` here as well");
        }
    }
}

/// Rules may not depend on themselves; `r+` is the only recursion.
fn circles(all: &Gathered, o: &Ontology, rules: &Rules, report: &mut Report) {
    let concludes = |r: &Rule| match r.head {
        Conclusion::Relation(id, ..) => Some(id),
        Conclusion::Predicate(..) => None,
    };
    let uses = |r: &Rule| premise::relations(&r.body);
    for rule in &rules.rules {
        let Some(head) = concludes(rule) else { continue };
        let mut reached = uses(rule);
        let mut next = 0;
        while let Some(relation) = reached.get(next).copied() {
            next += 1;
            for other in rules.rules.iter().filter(|r| concludes(r) == Some(relation)) {
                for r in uses(other) {
                    if !reached.contains(&r) {
                        reached.push(r);
                    }
                }
            }
        }
        if reached.contains(&head)
            && let Some((_, raw)) = all.rules.iter().find(|(n, _)| n.value == rule.name)
        {
            let message = format!("{} would follow from itself", o.relation_name(head));
            report.add(raw.rule.at, &rule.text, message, "use `r+` for one or more steps of a relation");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::problems::SourceFile;

    fn check(rule: &str) -> String {
        let text = format!("rules:\n  mine: {{keep: always, rule: \"{rule}\", doc: \"Mine.\"}}\n");
        match crate::load(&[SourceFile { name: "rules.yaml".to_owned(), text }]) {
            Ok(_) => String::new(),
            Err(problems) => problems.0.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("; "),
        }
    }

    #[test]
    fn a_kept_rule_says_only_what_one_more_edge_can_decide() {
        assert_eq!(
            check(
                "depends_on(A, B) <- instance_of(I, A), runs_on(I, H), runs_on(J, H), instance_of(J, B), A != B"
            ),
            ""
        );
        assert_eq!(
            check("answers_to(A, T) <- owned_by(A, T), not objective_for^(A, _)"),
            "a kept rule has only relations, classes and `!=`"
        );
        assert_eq!(
            check("depends_on(A, B) <- operation_of(_, A), operation_of(_, B)"),
            "the premises of a kept rule hang together"
        );
        assert_eq!(
            check("suspects(R, C) <- about(R, K), exposed_to(K, C)"),
            "exposed_to is concluded only when asked"
        );
    }

    #[test]
    fn nothing_is_kept_about_sampled_nodes_but_they_may_stand_between() {
        let site = "went_to: {arrow: \"Session -> View\", card: n..m, time: while, derived: true}\n";
        let relations = SourceFile { name: "relations.yaml".to_owned(), text: site.to_owned() };
        let rule = "went_to(S, V) <- in_session(I, S), of_view(I, V)";
        let text = format!("rules:\n  mine: {{keep: always, rule: \"{rule}\", doc: \"Mine.\"}}\n");
        let rules = SourceFile { name: "rules.yaml".to_owned(), text };
        let problems = crate::load(&[relations, rules]).unwrap_err().to_string();
        assert!(problems.contains("nothing is kept about sampled nodes"), "{problems}");
        assert_eq!(
            check("backed_by(V, O) <- of_view(I, V), in_session(I, S), in_session(J, S), called(J, O)"),
            ""
        );
    }
}
