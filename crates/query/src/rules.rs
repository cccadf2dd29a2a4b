//! What follows for one node by the ontology's rules: kept conclusions as they stand in the graph, asked ones computed from
//! the node outwards, strongest first.
//!
//! The weight of a conclusion is the product of the weights of the edges it rests on, each the prior chance that trouble gets
//! through its relation (1 where the ontology names none); of several ways the strongest counts.

mod goal;
mod search;
mod single;

use crate::view::View;
use graph::{Direction, EdgeId, Evidence, NodeId};
use ontology::rules::{Conclusion, Keep};
use ontology::{RelationId, Time};
use search::Search;
use std::collections::BTreeMap;

/// What is asked for: a derived relation, or a predicate by its place among the ontology's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A relation.
    Relation(RelationId),
    /// A predicate.
    Predicate(usize),
}

/// How far asked rules are followed; what was left out is said, never silent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Weakest conclusion still followed, 0..1.
    pub weight: f64,
    /// Longest chain of one repeated relation (`r+`, `r*`).
    pub hops: u32,
    /// Most edges looked at.
    pub facts: u32,
}

/// Why a list of conclusions may not be all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutOff {
    /// Weaker ones were not followed.
    pub weight: bool,
    /// Longer chains were not followed.
    pub hops: bool,
    /// Too many facts would have had to be looked at.
    pub facts: bool,
}

impl CutOff {
    /// Whether anything was left out.
    pub fn any(self) -> bool {
        self.weight || self.hops || self.facts
    }
}

/// One conclusion.
#[derive(Clone, Debug)]
pub struct Followed<'a> {
    /// What it is about: both ends of a relation, or the arguments of a predicate.
    pub ends: Vec<NodeId>,
    /// Product of the weights on the strongest way.
    pub weight: f64,
    /// The rule of that way; `None` when a source said so.
    pub rule: Option<&'a str>,
    /// What that way rests on, from the node in question outwards.
    pub premises: Vec<Evidence>,
    /// The edge, when it stands in the graph.
    pub edge: Option<EdgeId>,
}

/// Conclusions, strongest first.
#[derive(Clone, Debug, Default)]
pub struct Conclusions<'a> {
    /// What follows.
    pub found: Vec<Followed<'a>>,
    /// Why that may not be all.
    pub cut_off: CutOff,
    /// Edges looked at.
    pub looked_at: u32,
}

impl<'a> View<'a> {
    /// How far asked rules are followed, as the ontology says.
    pub fn reach(&self) -> Reach {
        let rules = &self.ontology().rules;
        Reach { weight: rules.weight, hops: rules.hops, facts: rules.facts }
    }

    /// The derived relation or the predicate of this name.
    pub fn derived(&self, name: &str) -> Option<What> {
        let o = self.ontology();
        let relation = o.relation(name).filter(|r| o.relations.get(r.index()).is_some_and(|r| r.derived));
        let predicate = || o.rules.predicates.iter().position(|(n, _)| n == name).map(What::Predicate);
        relation.map(What::Relation).or_else(predicate)
    }

    /// What follows at a moment, where some of the ends are known (in the order of the relation's arrow or the predicate's
    /// arguments; at least one of them, or every node of the class is tried).
    pub fn follows(&self, what: What, ends: &[Option<NodeId>], at: Time, reach: Reach) -> Conclusions<'a> {
        let ends: Vec<Option<NodeId>> = ends.iter().map(|n| n.map(|n| self.graph.resolve(n))).collect();
        let o = self.ontology();
        let mut search = Search::new(*self, at, reach);
        let mut best: BTreeMap<Vec<NodeId>, Followed<'a>> = BTreeMap::new();
        let mut keep = |one: Followed<'a>| match best.get_mut(&one.ends) {
            Some(known) if known.weight >= one.weight => {}
            Some(known) => *known = one,
            None => {
                best.insert(one.ends.clone(), one);
            }
        };
        if let What::Relation(relation) = what {
            for edge in search.stored(relation, &ends) {
                self.stored(edge, at).into_iter().for_each(&mut keep);
            }
        }
        for rule in o.rules.rules.iter().filter(|r| r.keep == Keep::Asked) {
            let terms = match (&rule.head, what) {
                (Conclusion::Relation(r, from, to), What::Relation(of)) if o.is_case_of(*r, of) => {
                    vec![*from, *to]
                }
                (Conclusion::Predicate(p, terms), What::Predicate(of)) if *p == of => terms.clone(),
                _ => continue,
            };
            search.begin(rule, &terms, &ends);
        }
        search.run(&mut keep);
        let (cut_off, looked_at) = (search.cut_off, search.looked_at());
        let mut found: Vec<Followed<'a>> = best.into_values().collect();
        found.sort_by(|a, b| {
            let label = |f: &Followed<'_>| f.ends.iter().map(|n| self.label(*n)).collect::<Vec<_>>();
            b.weight.total_cmp(&a.weight).then_with(|| (label(a), &a.ends).cmp(&(label(b), &b.ends)))
        });
        Conclusions { found, cut_off, looked_at }
    }

    /// A conclusion that stands in the graph, with the first of the ways in which it follows.
    fn stored(&self, id: EdgeId, at: Time) -> Option<Followed<'a>> {
        let edge = self.graph.edge(id)?;
        let ends = vec![self.graph.resolve(edge.from), self.graph.resolve(edge.to)];
        let weight = self.weight(edge.relation);
        let (rule, premises) = match self.graph.why(id, Some(at)).into_iter().next() {
            Some(because) => (Some(because.rule.name.as_str()), because.premises),
            None => (None, vec![Evidence::Edge(id)]),
        };
        Some(Followed { ends, weight, rule, premises, edge: Some(id) })
    }

    /// The prior chance that trouble gets through a relation: its strongest way, 1 where the ontology names none.
    pub fn weight(&self, relation: RelationId) -> f64 {
        let faults = self.ontology().relations.get(relation.index()).map_or(&[][..], |r| &r.faults);
        faults.iter().map(|f| f.prior).max_by(f64::total_cmp).unwrap_or(1.0)
    }

    /// The names of the rules that conclude an edge, as far as it holds at a moment.
    pub fn concluded_by(&self, edge: EdgeId, at: Time) -> Vec<&'a str> {
        let mut names: Vec<&str> =
            self.graph.why(edge, Some(at)).into_iter().map(|b| b.rule.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A premise in words, with since when it has held.
    pub fn evidence_text(&self, evidence: &Evidence) -> String {
        let edge = |id: &EdgeId| {
            let Some(e) = self.graph.edge(*id) else { return String::new() };
            let relation = self.ontology().relation_name(e.relation);
            let since =
                self.graph.held_since(*id).map_or_else(String::new, |m| format!(" since {}", m.start()));
            format!("{} -{relation}-> {}{since}", self.label(e.from), self.label(e.to))
        };
        match evidence {
            Evidence::Edge(id) => edge(id),
            Evidence::Path(ids) => ids.iter().map(edge).collect::<Vec<_>>().join(", "),
            Evidence::Sampled { relations, nodes, seen } => {
                let nodes: Vec<String> = nodes.iter().map(|n| self.label(*n)).collect();
                let relations: Vec<&str> =
                    relations.iter().map(|r| self.ontology().relation_name(*r)).collect();
                let since = seen.first().map_or_else(String::new, |m| format!(" since {}", m.start()));
                format!("{} joined by sampled {}{since}", nodes.join(" and "), relations.join(", "))
            }
        }
    }
}

/// Which way to follow a step from a known end.
fn direction(known_is_first: bool, back: bool) -> Direction {
    if known_is_first == back { Direction::In } else { Direction::Out }
}
