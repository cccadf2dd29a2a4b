//! Finding what satisfies a kept rule around one edge: joins from that edge outwards, through nodes as they are known now.

use crate::links::End;
use crate::rules::{Group, Kind, Plan, Step};
use crate::runs::Runs;
use crate::topology::{EdgeId, Graph, NodeId};
use ontology::{ClassId, RelationId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one part of a plan is satisfied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Ground {
    /// An edge; `true` when followed backwards.
    Edge(EdgeId, bool),
    /// A path: where its first edge starts and its last one ends. Which edges are between is looked up when read.
    Path(NodeId, NodeId),
    /// A witness, by its place in [`Graph::witnesses`].
    Witness(u32),
}

/// One way in which a conclusion follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Support {
    pub plan: u16,
    /// In the order of the plan's parts.
    pub grounds: Arc<[Ground]>,
}

/// What is remembered of a group: which kept nodes it joined, and when it held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Witness {
    pub group: u16,
    pub ends: Arc<[NodeId]>,
    pub seen: Runs,
}

/// Witnesses by the nodes at their ends.
pub(crate) type WitnessesAt = FxHashMap<NodeId, Vec<u32>>;

impl Graph {
    /// The ends of what a part is satisfied by, in the order of the part's variables, as they stand in the facts.
    pub(crate) fn ground_ends(&self, ground: Ground) -> Option<Vec<NodeId>> {
        Some(match ground {
            Ground::Edge(id, back) => {
                let e = self.edge(id)?;
                if back { vec![e.to, e.from] } else { vec![e.from, e.to] }
            }
            Ground::Path(from, to) => vec![from, to],
            Ground::Witness(i) => self.witnesses.get(i as usize)?.ends.to_vec(),
        })
    }

    /// Whether a node's class is one of these.
    fn is_one_of(&self, node: NodeId, classes: &BTreeSet<ClassId>) -> bool {
        self.raw(node).is_some_and(|n| classes.contains(&n.class))
    }

    /// Edges of a step at a node (under any of its keys), with their ends as they stand: here, there.
    pub(crate) fn steps_at(
        &self,
        node: NodeId,
        steps: &[Step],
        forwards: bool,
    ) -> Vec<(EdgeId, bool, NodeId, NodeId)> {
        let mut found = Vec::new();
        for member in self.members(node) {
            self.steps_at_raw(member, steps, forwards, &mut found);
        }
        found
    }

    /// The same under one key only.
    fn steps_at_raw(
        &self,
        node: NodeId,
        steps: &[Step],
        forwards: bool,
        found: &mut Vec<(EdgeId, bool, NodeId, NodeId)>,
    ) {
        for step in steps {
            let out = step.back != forwards;
            for id in self.links.of_relations(node, if out { End::Out } else { End::Into }, &step.relations) {
                if let Some(e) = self.edge(id) {
                    found.push((id, step.back, node, if out { e.to } else { e.from }));
                }
            }
        }
    }

    /// Everything reached from some nodes by steps, these included, as it stands in the facts.
    fn closure(&self, steps: &[Step], seeds: Vec<NodeId>, forwards: bool) -> BTreeSet<NodeId> {
        let mut reached: BTreeSet<NodeId> = seeds.iter().copied().collect();
        let mut looked_at = BTreeSet::new();
        let mut queue = seeds;
        while let Some(node) = queue.pop() {
            let node = self.resolve(node);
            if looked_at.insert(node) {
                for (.., there) in self.steps_at(node, steps, forwards) {
                    if reached.insert(there) {
                        queue.push(there);
                    }
                }
            }
        }
        reached
    }

    /// Paths from a node (to it when `forwards` is false), each as the ends it has in the facts.
    fn paths_at(&self, steps: &[Step], node: NodeId, forwards: bool) -> Vec<Ground> {
        let mut found = Vec::new();
        for member in self.members(node) {
            let mut first = Vec::new();
            self.steps_at_raw(member, steps, forwards, &mut first);
            let seeds: Vec<NodeId> = first.into_iter().map(|(.., there)| there).collect();
            let reached = self.closure(steps, seeds, forwards).into_iter();
            found.extend(
                reached.map(|n| if forwards { Ground::Path(member, n) } else { Ground::Path(n, member) }),
            );
        }
        found
    }

    /// Paths that lead along an edge.
    fn paths_through(&self, steps: &[Step], edge: EdgeId, back: bool) -> Vec<Ground> {
        let Some(ends) = self.ground_ends(Ground::Edge(edge, back)) else { return Vec::new() };
        let starts = self.closure(steps, vec![ends[0]], false);
        let stops = self.closure(steps, vec![ends[1]], true);
        starts.iter().flat_map(|a| stops.iter().map(|b| Ground::Path(*a, *b))).collect()
    }

    /// Whether a support would be found again: everything in it is there, and what must be one node is.
    pub(crate) fn still_follows(&self, support: &Support) -> bool {
        let Some(plan) = self.rules.plans.get(usize::from(support.plan)) else { return false };
        let mut bound = vec![None; plan.classes.len()];
        for (part, ground) in plan.parts.iter().zip(support.grounds.iter()) {
            let Some(ends) = self.ground_ends(*ground) else { return false };
            for (v, end) in part.ends.iter().zip(ends) {
                if !self.is_one_of(end, &plan.classes[*v]) {
                    return false;
                }
                let node = self.resolve(end);
                if *bound[*v].get_or_insert(node) != node {
                    return false;
                }
            }
            if let (Kind::Path(steps), Ground::Path(from, _)) = (&part.kind, ground) {
                let mut first = Vec::new();
                self.steps_at_raw(*from, steps, true, &mut first);
                let seeds = first.into_iter().map(|(.., there)| there).collect();
                let reached = self.closure(steps, seeds, true);
                if !matches!(ground, Ground::Path(_, to) if reached.contains(to)) {
                    return false;
                }
            }
        }
        plan.differ.iter().all(|(a, b)| bound[*a] != bound[*b])
    }

    /// The ends of a conclusion as they stand in its premises.
    pub(crate) fn head_of(&self, support: &Support) -> Option<(RelationId, NodeId, NodeId)> {
        let plan = self.rules.plans.get(usize::from(support.plan))?;
        let end = |(part, place): (usize, usize)| {
            self.ground_ends(*support.grounds.get(part)?)?.get(place).copied()
        };
        Some((plan.head, end(plan.from)?, end(plan.to)?))
    }
}

/// A search for supports of one plan, from what one part is satisfied by.
pub(crate) struct Search<'a> {
    graph: &'a Graph,
    at: &'a WitnessesAt,
    plan: &'a Plan,
    number: u16,
    bound: Vec<Option<NodeId>>,
    grounds: Vec<Option<Ground>>,
    /// What was found.
    pub found: Vec<Support>,
    /// Most that may be found.
    room: usize,
    /// Whether there may have been more.
    pub cut_off: bool,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        graph: &'a Graph,
        at: &'a WitnessesAt,
        number: usize,
        room: usize,
    ) -> Option<Search<'a>> {
        let plan = graph.rules.plans.get(number)?;
        Some(Search {
            graph,
            at,
            plan,
            number: u16::try_from(number).ok()?,
            bound: vec![None; plan.classes.len()],
            grounds: vec![None; plan.parts.len()],
            found: Vec::new(),
            room,
            cut_off: false,
        })
    }

    /// Finds every support in which an edge takes this part.
    pub(crate) fn along(&mut self, part: usize, edge: EdgeId, back: bool) {
        let starts = match &self.plan.parts[part].kind {
            Kind::Edge(_) => vec![Ground::Edge(edge, back)],
            Kind::Path(steps) => self.graph.paths_through(steps, edge, back),
            Kind::Group(_) => Vec::new(),
        };
        starts.into_iter().for_each(|g| self.place(part, g));
    }

    /// Satisfies a part by something, if it fits what is bound, and goes on to the others.
    pub(crate) fn place(&mut self, part: usize, ground: Ground) {
        let Some(ends) = self.graph.ground_ends(ground) else { return };
        let saved = self.bound.clone();
        let variables = &self.plan.parts[part].ends;
        let fits = variables.iter().zip(ends).all(|(v, end)| {
            let node = self.graph.resolve(end);
            self.graph.is_one_of(end, &self.plan.classes[*v]) && *self.bound[*v].get_or_insert(node) == node
        });
        if fits {
            self.grounds[part] = Some(ground);
            self.go_on();
            self.grounds[part] = None;
        }
        self.bound = saved;
    }

    fn go_on(&mut self) {
        if self.found.len() >= self.room {
            self.cut_off = true;
            return;
        }
        let open = |part: &usize| self.grounds[*part].is_none();
        let bound_ends =
            |part: &usize| self.plan.parts[*part].ends.iter().filter(|v| self.bound[**v].is_some()).count();
        let Some(next) = (0..self.plan.parts.len()).filter(open).max_by_key(bound_ends) else {
            if self.plan.differ.iter().all(|(a, b)| self.bound[*a] != self.bound[*b]) {
                let grounds = self.grounds.iter().copied().flatten().collect();
                self.found.push(Support { plan: self.number, grounds });
            }
            return;
        };
        let part = &self.plan.parts[next];
        let Some(side) = part.ends.iter().position(|v| self.bound[*v].is_some()) else { return };
        let Some(node) = self.bound[part.ends[side]] else { return };
        let candidates: Vec<Ground> = match &part.kind {
            Kind::Edge(steps) => {
                let edges = self.graph.steps_at(node, steps, side == 0).into_iter();
                edges.map(|(id, back, ..)| Ground::Edge(id, back)).collect()
            }
            Kind::Path(steps) => self.graph.paths_at(steps, node, side == 0),
            Kind::Group(group) => {
                let members = self.graph.members(node);
                let here = members.iter().filter_map(|m| self.at.get(m)).flatten();
                let mut here: Vec<u32> = here
                    .copied()
                    .filter(|w| {
                        let witness = self.graph.witnesses.get(*w as usize);
                        witness.is_some_and(|w| usize::from(w.group) == *group)
                    })
                    .collect();
                here.sort_unstable();
                here.dedup();
                here.into_iter().map(Ground::Witness).collect()
            }
        };
        candidates.into_iter().for_each(|g| self.place(next, g));
    }
}

/// A search for what one group of premises joins, from one edge in it.
pub(crate) struct GroupSearch<'a> {
    graph: &'a Graph,
    group: &'a Group,
    bound: Vec<Option<NodeId>>,
    edges: Vec<Option<(EdgeId, bool)>>,
    /// The kept nodes joined, and when.
    pub found: Vec<(Vec<NodeId>, Runs)>,
}

impl<'a> GroupSearch<'a> {
    pub(crate) fn new(graph: &'a Graph, group: &'a Group) -> GroupSearch<'a> {
        GroupSearch {
            graph,
            group,
            bound: vec![None; group.sampled.len()],
            edges: vec![None; group.premises.len()],
            found: Vec::new(),
        }
    }

    pub(crate) fn place(&mut self, premise: usize, edge: EdgeId, back: bool) {
        let Some(e) = self.graph.edge(edge) else { return };
        let ends = if back { [e.to, e.from] } else { [e.from, e.to] };
        let saved = self.bound.clone();
        let variables = self.group.premises[premise].1;
        let fits = variables.iter().zip(ends).all(|(v, end)| {
            let node = self.graph.resolve(end);
            self.graph.is_one_of(end, &self.group.classes[*v])
                // Kept nodes are compared when the witness is joined to the rest: they may be found to be one later.
                && (!self.group.sampled[*v] || *self.bound[*v].get_or_insert(node) == node)
        });
        if fits {
            self.edges[premise] = Some((edge, back));
            self.go_on();
            self.edges[premise] = None;
        }
        self.bound = saved;
    }

    fn go_on(&mut self) {
        let next = (0..self.edges.len()).filter(|p| self.edges[*p].is_none()).find_map(|p| {
            let side = self.group.premises[p].1.iter().position(|v| self.bound[*v].is_some())?;
            Some((p, side, self.bound[self.group.premises[p].1[side]]?))
        });
        if let Some((premise, side, node)) = next {
            for (id, back, ..) in self.graph.steps_at(node, &self.group.premises[premise].0, side == 0) {
                self.place(premise, id, back);
            }
            return;
        }
        let mut when: Option<Runs> = None;
        for (id, _) in self.edges.iter().flatten() {
            let held = self.graph.held_runs(*id);
            when = Some(when.map_or(held.clone(), |w| w.and(&held)));
        }
        let end = |(premise, side): &(usize, usize)| {
            let (id, back) = (*self.edges.get(*premise)?)?;
            let e = self.graph.edge(id)?;
            Some(if (*side == 0) == back { e.to } else { e.from })
        };
        let ends: Option<Vec<NodeId>> = self.group.ends.iter().map(end).collect();
        if let (Some(ends), Some(when)) = (ends, when.filter(|w| w.first().is_some())) {
            self.found.push((ends, when));
        }
    }
}
