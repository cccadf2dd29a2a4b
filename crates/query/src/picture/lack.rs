//! Which questions cannot be answered, because something on their paths was never seen, and what would give it.

use super::words::{list, one};
use super::{Census, Gives, SourceSeen};
use graph::End;
use ontology::paths::{Hop, PathNode, Repeat};
use ontology::premise::Premise;
use ontology::rules::{Conclusion, Keep, Question, Rule};
use ontology::{ClassId, Ontology, RelationId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Sources named for one thing that is missing.
const GIVERS: usize = 12;
/// Rules behind rules that are looked through.
const DEPTH: u32 = 8;

/// Whether a question can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All that its paths need was seen.
    Answerable,
    /// It only waits for what is written here when it happens (a regression, say).
    Waits,
    /// A source is lacking.
    Lacks,
}

/// A question, and what stands in its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuestionSeen {
    /// `q01`.
    pub name: String,
    /// The question.
    pub ask: String,
    /// Whether it can be answered.
    pub state: State,
    /// What was never seen.
    pub missing: Vec<Missing>,
}

/// Something on a path of which nothing was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// `Deployment`, or `Service -owned_by-> Team`.
    pub name: String,
    /// One sentence: what is missing and what would give it.
    pub text: String,
    /// Whether it is written here, not told by a source.
    pub own: bool,
    /// Sources of the mapping that would give it.
    pub given_by: Vec<Giver>,
}

/// A source that would give what is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Giver {
    /// Its name in the mapping files.
    pub name: String,
    /// The ways in that it reads.
    pub inlets: Vec<String>,
    /// Where connecting it is described.
    pub pages: Vec<String>,
}

/// What is looked through.
pub(crate) struct Lack<'a> {
    pub o: &'a Ontology,
    pub gives: &'a [Gives],
    pub sources: &'a [SourceSeen],
    pub census: &'a Census,
    pub joined: BTreeMap<End, Option<u64>>,
    pub own: BTreeSet<ClassId>,
}

impl Lack<'_> {
    /// What stands in the way of a question.
    pub(crate) fn of(&self, question: &Question) -> QuestionSeen {
        let mut missing: Vec<Missing> = Vec::new();
        let mut add = |m: Missing| {
            if !missing.iter().any(|known| known.name == m.name) {
                missing.push(m);
            }
        };
        for path in &question.paths {
            for node in path.nodes.iter().filter(|n| self.absent(n.class)) {
                add(self.class(node.class));
            }
            for (hop, pair) in path.hops.iter().zip(path.nodes.windows(2)) {
                let [a, b] = pair else { continue };
                // A class that is missing says it already.
                if !self.absent(a.class) && !self.absent(b.class) {
                    self.hop(hop, a, b).into_iter().for_each(&mut add);
                }
            }
        }
        let state = if missing.is_empty() {
            State::Answerable
        } else if missing.iter().all(|m| m.own) {
            State::Waits
        } else {
            State::Lacks
        };
        QuestionSeen { name: question.name.clone(), ask: question.ask.clone(), state, missing }
    }

    fn absent(&self, class: ClassId) -> bool {
        self.census.of_class(self.o, class) == 0
    }

    fn class(&self, class: ClassId) -> Missing {
        let name = self.o.class_name(class).to_owned();
        let own = self.own.iter().any(|c| self.o.is_a(*c, class));
        let given_by = self.givers(|g| g.classes.iter().any(|c| self.o.is_a(*c, class)));
        let text = if own && given_by.is_empty() {
            format!("no {name} yet: {} is written here when it is noticed, not told by a source", one(&name))
        } else {
            format!("no {name} was seen yet; {}", told(&given_by))
        };
        Missing { own: own && given_by.is_empty(), name, text, given_by }
    }

    fn hop(&self, hop: &Hop, a: &PathNode, b: &PathNode) -> Option<Missing> {
        if hop.repeat == Repeat::AnyNumber {
            return None;
        }
        let (from, to) = if hop.back { (b.class, a.class) } else { (a.class, b.class) };
        let end = End { relation: hop.relation, back: hop.back, class: a.class, other: b.class };
        let typed = hop.repeat == Repeat::Once;
        let there = match self.joined.get(&end).copied().flatten() {
            Some(n) if typed => n,
            _ => self.census.of_relation(self.o, hop.relation),
        };
        if there > 0 {
            return None;
        }
        let relation = self.o.relation_name(hop.relation);
        let (a, b) = (self.o.class_name(from), self.o.class_name(to));
        let name = format!("{a} -{relation}-> {b}");
        let own = [from, to].iter().any(|c| self.own.contains(c));
        let mut given_by = self.givers(|g| {
            g.relations.iter().any(|(r, x, y)| {
                self.o.is_case_of(*r, hop.relation)
                    && (!typed || (self.o.is_a(*x, from) && self.o.is_a(*y, to)))
            })
        });
        if given_by.is_empty() && self.rules(hop.relation).next().is_some() {
            let mut base = BTreeSet::new();
            if !self.lacks(hop.relation, &mut base, DEPTH) {
                // Concluded when it is asked for, and all that it rests on is there.
                return None;
            }
            given_by = self.givers(|g| g.relations.iter().any(|(r, ..)| base.contains(r)));
            let base: Vec<String> = base.iter().map(|r| self.o.relation_name(*r).to_owned()).collect();
            let text = if base.is_empty() {
                format!("{name} was never concluded: what it follows from was not seen together yet")
            } else {
                format!(
                    "{name} is concluded from {}, of which nothing was seen; {}",
                    list(&base),
                    told(&given_by)
                )
            };
            return Some(Missing { own, name, text, given_by });
        }
        let text = if own && given_by.is_empty() {
            format!("no {name} yet: it is written here, not told by a source")
        } else {
            format!("no {name} was seen yet; {}", told(&given_by))
        };
        Some(Missing { own: own && given_by.is_empty(), name, text, given_by })
    }

    fn rules(&self, relation: RelationId) -> impl Iterator<Item = &Rule> {
        self.o.rules.rules.iter().filter(
            move |r| matches!(&r.head, Conclusion::Relation(head, ..) if self.o.is_case_of(*head, relation)),
        )
    }

    /// Whether a relation can neither be read nor be concluded, with the told relations that are wanting for it: those of the
    /// rule that wants fewest.
    fn lacks(&self, relation: RelationId, wanting: &mut BTreeSet<RelationId>, depth: u32) -> bool {
        if self.census.of_relation(self.o, relation) > 0 {
            return false;
        }
        let mut best: Option<BTreeSet<RelationId>> = None;
        for rule in self.rules(relation).filter(|_| depth > 0) {
            let mut of_rule = BTreeSet::new();
            let mut short = false;
            for premise in &rule.body {
                let Premise::Edge { steps, repeat, .. } = premise else { continue };
                if *repeat == Repeat::AnyNumber {
                    continue;
                }
                let mut fewest: Option<BTreeSet<RelationId>> = None;
                let met = steps.iter().any(|(r, _)| {
                    let mut of_step = BTreeSet::new();
                    let lacks = self.lacks(*r, &mut of_step, depth - 1);
                    if fewest.as_ref().is_none_or(|f| of_step.len() < f.len()) {
                        fewest = Some(of_step);
                    }
                    !lacks
                });
                if !met {
                    short = true;
                    of_rule.extend(fewest.unwrap_or_default());
                }
            }
            if !short && rule.keep == Keep::Asked {
                return false;
            }
            if best.as_ref().is_none_or(|b| of_rule.len() < b.len()) {
                best = Some(of_rule);
            }
        }
        wanting.extend(best.unwrap_or_else(|| BTreeSet::from([relation])));
        true
    }

    fn givers(&self, gives: impl Fn(&Gives) -> bool) -> Vec<Giver> {
        let all = self.gives.iter().zip(self.sources).filter(|(g, _)| gives(g));
        all.take(GIVERS)
            .map(|(_, s)| Giver { name: s.name.clone(), inlets: s.inlets.clone(), pages: s.pages.clone() })
            .collect()
    }
}

/// `changes.deployment and cdevents.service would give it (docs/connect.md#feeds)`.
fn told(given_by: &[Giver]) -> String {
    if given_by.is_empty() {
        return "no source of the mapping gives it".to_owned();
    }
    let names: Vec<String> = given_by.iter().map(|g| g.name.clone()).collect();
    let pages: BTreeSet<&str> = given_by.iter().flat_map(|g| &g.pages).map(String::as_str).collect();
    let pages: Vec<&str> = pages.into_iter().collect();
    let verb = if names.len() == 1 { "gives" } else { "give" };
    format!("{} {verb} it ({})", list(&names), pages.join(", "))
}
