//! The joints that questions rest on: for each step of their paths, how many things have such an edge at all.

use super::words::{number, one, plural};
use super::{Census, JOINTS};
use graph::End;
use ontology::model::Grain;
use ontology::paths::Repeat;
use ontology::rules::{Conclusion, Keep};
use ontology::{ClassId, Ontology};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How complete one joint is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cover {
    /// `91 % of instances have a host (1 820 of 2 000)`.
    pub text: String,
    /// 0..1.
    pub share: f64,
    /// How many have it.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
    /// Whose things are looked at.
    pub class: String,
    /// By which relation they should be joined.
    pub relation: String,
    /// `out` along the arrow, `in` against it.
    pub direction: &'static str,
    /// To what.
    pub other: String,
    /// Questions whose paths take this step.
    pub questions: Vec<String>,
}

/// One end of a step, with the questions that take the step.
#[derive(Clone, Debug)]
pub(crate) struct Joint {
    pub end: End,
    pub questions: Vec<String>,
}

/// Both ends of every step of every question's path, each once. The far end of a step that begins at sampled nodes is left out:
/// of what only samples tell, being told of is no merit.
pub(crate) fn joints(o: &Ontology) -> Vec<Joint> {
    let mut places: BTreeMap<End, usize> = BTreeMap::new();
    let mut all: Vec<Joint> = Vec::new();
    for question in &o.questions {
        for path in &question.paths {
            for (hop, pair) in path.hops.iter().zip(path.nodes.windows(2)) {
                let [from, to] = pair else { continue };
                // A repeated step leads anywhere first, and comes from anywhere last.
                let ends = match hop.repeat {
                    Repeat::Once => [(from.class, to.class), (to.class, from.class)],
                    _ => [(from.class, root(o, to.class)), (to.class, root(o, from.class))],
                };
                for (back, (class, other)) in [hop.back, !hop.back].into_iter().zip(ends) {
                    let end = End { relation: hop.relation, back, class, other };
                    let far = back != hop.back;
                    let sampled = o
                        .kinds_of(other)
                        .any(|c| o.classes.get(c.index()).is_some_and(|c| c.grain == Grain::Sampled));
                    if (far && sampled) || (!places.contains_key(&end) && all.len() >= JOINTS) {
                        continue;
                    }
                    let place = *places.entry(end).or_insert(all.len());
                    if place == all.len() {
                        all.push(Joint { end, questions: Vec::new() });
                    }
                    if let Some(joint) = all.get_mut(place)
                        && joint.questions.last() != Some(&question.name)
                    {
                        joint.questions.push(question.name.clone());
                    }
                }
            }
        }
    }
    all
}

fn root(o: &Ontology, class: ClassId) -> ClassId {
    let mut at = class;
    while let Some(above) = o.classes.get(at.index()).and_then(|c| c.is) {
        at = above;
    }
    at
}

impl Joint {
    /// Whether it says something of the sources: not what is written here, and not what is concluded only when it is asked for.
    pub(crate) fn told(&self, o: &Ontology, census: &Census, own: &BTreeSet<ClassId>) -> bool {
        let End { relation, class, other, .. } = self.end;
        let asked = o.rules.rules.iter().any(|rule| {
            let concludes = matches!(&rule.head, Conclusion::Relation(head, ..) if *head == relation);
            concludes && rule.keep == Keep::Asked
        });
        !own.contains(&class) && !own.contains(&other) && (!asked || census.of_relation(o, relation) > 0)
    }

    /// How complete it is; nothing when there are no such things.
    pub(crate) fn cover(&self, o: &Ontology, census: &Census, part: u64) -> Option<Cover> {
        let End { relation, back, class, other } = self.end;
        let whole = census.of_class(o, class);
        if whole == 0 {
            return None;
        }
        let anything = root(o, other) == other;
        let (class, other, relation) = (o.class_name(class), o.class_name(other), o.relation_name(relation));
        let arrow = if back { format!("<-{relation}-") } else { format!("-{relation}->") };
        let have = if anything {
            "something".to_owned()
        } else if class == other {
            format!("another {}", super::words::words(other))
        } else {
            one(other)
        };
        Some(Cover {
            text: sentence(part, whole, &format!("of {} have {have} ({arrow})", plural(class))),
            share: share(part, whole),
            part,
            whole,
            class: class.to_owned(),
            relation: relation.to_owned(),
            direction: if back { "in" } else { "out" },
            other: other.to_owned(),
            questions: self.questions.clone(),
        })
    }
}

fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64).min(1.0)
}

/// `91 % <what> (1 820 of 2 000)`. Only nothing is 0 %, and only everything 100 %.
pub fn sentence(part: u64, whole: u64, what: &str) -> String {
    let percent = (share(part, whole) * 100.0).round();
    let shown = match (part, percent) {
        (0, _) => "0".to_owned(),
        (p, _) if p >= whole => "100".to_owned(),
        (_, p) if p < 1.0 => "< 1".to_owned(),
        (_, p) if p > 99.0 => "> 99".to_owned(),
        (_, p) => format!("{p:.0}"),
    };
    format!("{shown} % {what}: {} of {}", number(part.min(whole)), number(whole))
}
