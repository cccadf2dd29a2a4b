//! Reading conclusions: when they hold, and why they are there.

use crate::join::{Ground, Support};
use crate::rules::{Kind, Step};
use crate::runs::Runs;
use crate::supports::Supports;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::rules::Rule;
use ontology::{Minute, RelationId, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One premise that a conclusion rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// An edge.
    Edge(EdgeId),
    /// Edges in a row, first to last.
    Path(Vec<EdgeId>),
    /// Sampled nodes joined these kept ones along these relations. The sampled nodes themselves may have been let go.
    Sampled {
        /// Along what.
        relations: Vec<RelationId>,
        /// The kept nodes, in the order of the rule.
        nodes: Vec<NodeId>,
        /// When.
        seen: Runs,
    },
}

/// One way in which a conclusion follows.
#[derive(Clone, Debug)]
pub struct Because<'a> {
    /// The rule that draws it.
    pub rule: &'a Rule,
    /// What it rests on here, in the order of the rule.
    pub premises: Vec<Evidence>,
}

impl Graph {
    /// Whether an edge was concluded here (it may have been told by a source as well).
    pub fn is_concluded(&self, edge: EdgeId) -> bool {
        self.concluded.get(edge).is_some()
    }

    /// Every way in which a conclusion follows; only those that hold at a moment when one is given. None for an edge that was
    /// told only.
    pub fn why(&self, edge: EdgeId, at: Option<Time>) -> Vec<Because<'_>> {
        let supports = self.concluded.get(edge).into_iter().flat_map(Supports::iter);
        let mut ways: Vec<(String, Because<'_>)> = supports
            .filter(|s| at.is_none_or(|t| self.support_holds(s, t)))
            .filter_map(|s| Some((self.support_text(s), self.because(s, at)?)))
            .collect();
        ways.sort_by(|a, b| a.0.cmp(&b.0));
        ways.into_iter().map(|w| w.1).collect()
    }

    fn because(&self, support: &Support, at: Option<Time>) -> Option<Because<'_>> {
        let plan = self.rules.plans.get(usize::from(support.plan))?;
        let premises = plan.parts.iter().zip(support.grounds.iter()).map(|(part, ground)| match *ground {
            Ground::Edge(id, _) => Some(Evidence::Edge(id)),
            Ground::Path(from, to) => {
                let Kind::Path(steps) = &part.kind else { return None };
                Some(Evidence::Path(self.path_between(steps, from, to, at)?))
            }
            Ground::Witness(i) => {
                let witness = self.witnesses.get(i as usize)?;
                let group = self.rules.groups.get(usize::from(witness.group))?;
                let first = |steps: &Vec<Step>| steps.first().and_then(|s| s.relations.first()).copied();
                Some(Evidence::Sampled {
                    relations: group.premises.iter().filter_map(|p| first(&p.0)).collect(),
                    nodes: witness.ends.iter().map(|n| self.resolve(*n)).collect(),
                    seen: witness.seen.clone(),
                })
            }
        });
        let premises = premises.collect::<Option<Vec<_>>>()?;
        Some(Because { rule: self.ontology.rules.rules.get(plan.rule)?, premises })
    }

    /// Whether a conclusion follows at a moment from what holds then.
    pub(crate) fn follows_at(&self, edge: EdgeId, at: Time) -> bool {
        self.concluded.get(edge).is_some_and(|all| all.iter().any(|s| self.support_holds(s, at)))
    }

    /// The first minute in a stretch at which a conclusion follows: where it begins, or where one of its premises does.
    pub(crate) fn follows_first(&self, edge: EdgeId, from: Minute, to: Minute) -> Option<Minute> {
        let mut moments = BTreeSet::from([from]);
        for support in self.concluded.get(edge)?.iter() {
            self.begins(support, &mut moments);
        }
        moments.range(from..to).find(|m| self.follows_at(edge, m.start())).copied()
    }

    /// The first minute at which an edge held, as far as is known: told or concluded.
    pub fn held_since(&self, edge: EdgeId) -> Option<Minute> {
        let told = self.edge(edge)?.seen.first();
        let followed = self.follows_first(edge, Minute(i64::MIN), Minute(i64::MAX));
        told.into_iter().chain(followed).min()
    }

    fn support_holds(&self, support: &Support, at: Time) -> bool {
        let Some(plan) = self.rules.plans.get(usize::from(support.plan)) else { return false };
        plan.parts.iter().zip(support.grounds.iter()).all(|(part, ground)| match (&part.kind, *ground) {
            (_, Ground::Edge(id, _)) => self.holds(id, at),
            (_, Ground::Witness(i)) => {
                self.witnesses.get(i as usize).is_some_and(|w| w.seen.at(at.minute(), 0).is_some())
            }
            (Kind::Path(steps), Ground::Path(from, to)) => {
                self.path_between(steps, from, to, Some(at)).is_some()
            }
            (_, Ground::Path(..)) => false,
        })
    }

    /// Minutes at which a support can begin to hold: those at which one of its premises does.
    fn begins(&self, support: &Support, moments: &mut BTreeSet<Minute>) {
        let Some(plan) = self.rules.plans.get(usize::from(support.plan)) else { return };
        for (part, ground) in plan.parts.iter().zip(support.grounds.iter()) {
            match (&part.kind, *ground) {
                (_, Ground::Edge(id, _)) => self.edge_begins(id, moments),
                (_, Ground::Witness(i)) => {
                    let seen = self.witnesses.get(i as usize).into_iter().flat_map(|w| w.seen.iter());
                    moments.extend(seen.map(|r| r.0));
                }
                (Kind::Path(steps), Ground::Path(from, _)) => {
                    let mut seen = BTreeSet::from([self.resolve(from)]);
                    let mut queue = vec![from];
                    while let Some(node) = queue.pop() {
                        for (id, _, _, there) in self.steps_at(node, steps, true) {
                            self.edge_begins(id, moments);
                            if seen.insert(self.resolve(there)) {
                                queue.push(there);
                            }
                        }
                    }
                }
                (_, Ground::Path(..)) => {}
            }
        }
    }

    fn edge_begins(&self, id: EdgeId, moments: &mut BTreeSet<Minute>) {
        moments.extend(self.edge(id).into_iter().flat_map(|e| e.seen.iter()).map(|r| r.0));
        for support in self.concluded.get(id).into_iter().flat_map(Supports::iter) {
            self.begins(support, moments);
        }
    }

    /// A shortest path whose first edge starts and whose last edge ends at these very nodes; of edges that hold at a moment
    /// when one is given.
    fn path_between(
        &self,
        steps: &[Step],
        from: NodeId,
        to: NodeId,
        at: Option<Time>,
    ) -> Option<Vec<EdgeId>> {
        // How each node was come to: along which edge, from where, and whether that edge is the first.
        let mut came: BTreeMap<NodeId, (EdgeId, NodeId, bool)> = BTreeMap::new();
        let mut looked_at = BTreeSet::new();
        let mut queue = VecDeque::from([(from, true)]);
        while let Some((node, first)) = queue.pop_front() {
            if !first && !looked_at.insert(self.resolve(node)) {
                continue;
            }
            for (id, _, here, there) in self.steps_at(node, steps, true) {
                let begins = !first || here == from;
                if !begins || at.is_some_and(|t| !self.holds(id, t)) || came.contains_key(&there) {
                    continue;
                }
                came.insert(there, (id, node, first));
                queue.push_back((there, false));
                if there == to {
                    let mut path = Vec::new();
                    let mut back = to;
                    while let Some((id, before, first)) = came.get(&back) {
                        path.push(*id);
                        if *first {
                            break;
                        }
                        back = *before;
                    }
                    path.reverse();
                    return Some(path);
                }
            }
        }
        None
    }

    /// A support in words that are equal for equal facts.
    pub(crate) fn support_text(&self, support: &Support) -> String {
        let Some(plan) = self.rules.plans.get(usize::from(support.plan)) else { return String::new() };
        let label = |n: NodeId| format!("{} {}", self.name(n), self.id(n));
        let mut text = self.ontology.rules.rules.get(plan.rule).map_or_else(String::new, |r| r.name.clone());
        for ground in support.grounds.iter() {
            let relation = match ground {
                Ground::Edge(id, _) => {
                    self.edge(*id).map_or("?", |e| self.ontology.relation_name(e.relation))
                }
                Ground::Path(..) => "path",
                Ground::Witness(_) => "sampled",
            };
            let ends = self.ground_ends(*ground).unwrap_or_default().into_iter().map(label);
            text.push_str(&format!(" {relation}({})", ends.collect::<Vec<_>>().join(", ")));
            if let Ground::Witness(i) = ground {
                text.push_str(&format!(" {:?}", self.witnesses.get(*i as usize).map(|w| &w.seen)));
            }
        }
        text
    }
}
