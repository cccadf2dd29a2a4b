//! What follows from what, and what must be answerable: rules and paths, parsed and typed hop by hop.

use crate::load::Gathered;
use crate::model::{ClassId, Ontology, RelationId};
use crate::paths::{self, Path};
use crate::premise::{self, Premise, Scope, Term};
use crate::problems::Report;
use crate::resolve::{self, choice};
use crate::yaml::Word;

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Weights below this are dropped when asked rules are followed.
    pub weight: f64,
    /// Longest chain of asked rules.
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
    /// As written.
    pub text: String,
    /// What it says.
    pub doc: String,
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
        (rules.weight, rules.hops, rules.facts) = (reach.weight, reach.hops, reach.facts);
    }
    for (name, classes) in &all.predicates {
        let words = classes.value.split(',').map(|c| Word { value: c.trim().to_owned(), at: classes.at });
        let classes = words.filter_map(|w| resolve::class(o, &w, report)).collect();
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
        let Some((head, body)) = conclusion.zip(body) else { continue };
        scope.check(&body, Some(&head), &rules.predicates, &raw.rule, report);
        let variables = scope.names;
        let text = raw.rule.value.clone();
        let keep = keep.unwrap_or(Keep::Asked);
        rules.rules.push(Rule {
            name: name.value.clone(),
            keep,
            head,
            body,
            variables,
            text,
            doc: raw.doc.clone(),
        });
    }
    circles(all, o, &rules, report);
    o.rules = rules;
    for (name, raw) in &all.questions {
        let mut names = Vec::new();
        let parsed = raw.path.0.iter().map(|w| paths::parse(w, o, &mut names, report)).collect::<Vec<_>>();
        let paths = parsed.into_iter().flatten().collect();
        o.questions.push(Question { name: name.value.clone(), ask: raw.ask.clone(), paths });
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
