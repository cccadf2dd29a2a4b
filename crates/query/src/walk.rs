//! Walks over the graph: what is around, how two things are connected, and where trouble can have come from.

use crate::view::View;
use graph::{Direction, Hop, NodeId};
use ontology::model::{AspectId, Travel};
use ontology::{RelationId, Time};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// Which edges a walk follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// Those that sources told of. A roll-up would be a second way to what it sums up.
    Told,
    /// Conclusions as well.
    Concluded,
}

/// Bounds of a walk; what was left out is said, never silent.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Farthest, in edges.
    pub hops: usize,
    /// Most nodes.
    pub nodes: usize,
    /// Weakest influence still followed, 0..1.
    pub weight: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        // `reach` of the default ontology's rules.
        Bounds { hops: 8, nodes: 10_000, weight: 0.02 }
    }
}

/// What a neighbourhood holds.
#[derive(Clone, Debug, Default)]
pub struct Neighbourhood {
    /// Nodes with their distance, nearest first.
    pub nodes: Vec<(NodeId, usize)>,
    /// Edges among them, as met.
    pub hops: Vec<(NodeId, Hop)>,
    /// Nodes met but left out because of the bound.
    pub hidden: usize,
}

/// One step of a path: from a node along an edge to the next.
#[derive(Clone, Copy, Debug)]
pub struct PathStep {
    /// Where from.
    pub from: NodeId,
    /// Along what, to where.
    pub hop: Hop,
}

/// Which way trouble is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// To where it can have come from.
    Origins,
    /// To where it can go.
    Sufferers,
}

/// Where trouble can have come from, how likely, and how it would have travelled.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The place.
    pub node: NodeId,
    /// As which kind of trouble it would have begun.
    pub aspect: AspectId,
    /// Product of the weights on the way.
    pub weight: f64,
    /// The way, from the sufferer to the place.
    pub path: Vec<PathStep>,
}

impl View<'_> {
    fn hops_along(&self, along: Along, node: NodeId, at: Time) -> Vec<Hop> {
        match along {
            Along::Told => self.graph.hops_at(node, at),
            Along::Concluded => self.graph.all_hops_at(node, at),
        }
    }

    /// Nodes within some edges of a node at a moment, nearest first. Sampled nodes are not walked through.
    pub fn neighbourhood(
        &self,
        node: NodeId,
        at: Time,
        bounds: Bounds,
        along: Along,
        via: &[RelationId],
    ) -> Neighbourhood {
        let start = self.graph.resolve(node);
        let mut found = Neighbourhood { nodes: vec![(start, 0)], ..Neighbourhood::default() };
        let mut seen = BTreeSet::from([start]);
        let mut edges = BTreeSet::new();
        let mut queue = VecDeque::from([(start, 0)]);
        let mut hidden = BTreeSet::new();
        while let Some((at_node, distance)) = queue.pop_front() {
            if distance >= bounds.hops || (distance > 0 && self.is_sampled(at_node)) {
                continue;
            }
            for hop in self.hops_along(along, at_node, at) {
                if !via.is_empty() && !via.contains(&hop.relation) {
                    continue;
                }
                if !seen.contains(&hop.node) {
                    if found.nodes.len() >= bounds.nodes {
                        hidden.insert(hop.node);
                        continue;
                    }
                    seen.insert(hop.node);
                    found.nodes.push((hop.node, distance + 1));
                    queue.push_back((hop.node, distance + 1));
                }
                if edges.insert(hop.edge) {
                    found.hops.push((at_node, hop));
                }
            }
        }
        found.hidden = hidden.len();
        found
    }

    /// A shortest connection between two nodes at a moment, conclusions included, or `None` within the bounds.
    pub fn path(&self, from: NodeId, to: NodeId, at: Time, bounds: Bounds) -> Option<Vec<PathStep>> {
        let (from, to) = (self.graph.resolve(from), self.graph.resolve(to));
        let mut came: BTreeMap<NodeId, PathStep> = BTreeMap::new();
        let mut queue = VecDeque::from([(from, 0)]);
        let mut seen = BTreeSet::from([from]);
        while let Some((node, distance)) = queue.pop_front() {
            if node == to {
                let mut steps = Vec::new();
                let mut back = to;
                while back != from {
                    let step = *came.get(&back)?;
                    steps.push(step);
                    back = step.from;
                }
                steps.reverse();
                return Some(steps);
            }
            if distance >= bounds.hops || seen.len() >= bounds.nodes {
                continue;
            }
            for hop in self.hops_along(Along::Concluded, node, at) {
                if seen.insert(hop.node) {
                    came.insert(hop.node, PathStep { from: node, hop });
                    queue.push_back((hop.node, distance + 1));
                }
            }
        }
        None
    }

    /// Every place that trouble of this kind at a node can have come from, strongest first: each relation walked against the
    /// way trouble travels along it, weights multiplied, aspects turned back into what they can have come from. Conclusions
    /// are not walked: the edges they follow from are.
    pub fn origins(&self, sufferer: NodeId, aspect: AspectId, at: Time, bounds: Bounds) -> Vec<Origin> {
        self.spread(sufferer, aspect, at, bounds, Towards::Origins)
    }

    /// The same, or every place that trouble of this kind at a node can reach: each relation walked the way trouble travels along it.
    pub fn spread(
        &self,
        sufferer: NodeId,
        aspect: AspectId,
        at: Time,
        bounds: Bounds,
        towards: Towards,
    ) -> Vec<Origin> {
        let start = self.graph.resolve(sufferer);
        let ontology = self.graph.ontology();
        let mut best: BTreeMap<(NodeId, AspectId), f64> = BTreeMap::new();
        let mut came: BTreeMap<(NodeId, AspectId), ((NodeId, AspectId), PathStep)> = BTreeMap::new();
        let mut heap = BinaryHeap::from([Reached { weight: 1.0, node: start, aspect, hops: 0 }]);
        best.insert((start, aspect), 1.0);
        let mut order = Vec::new();
        let mut closed = BTreeSet::new();
        while let Some(at_place) = heap.pop() {
            let place = (at_place.node, at_place.aspect);
            if !closed.insert(place) {
                continue;
            }
            order.push(place);
            if at_place.hops >= bounds.hops || order.len() >= bounds.nodes {
                continue;
            }
            // On the same component this aspect may be what another has become, or become another.
            let mut as_what = vec![(at_place.aspect, 1.0)];
            for (i, other) in ontology.aspects.iter().enumerate() {
                let Ok(id) = u16::try_from(i).map(AspectId) else { continue };
                match towards {
                    Towards::Origins => as_what.extend(
                        other.becomes.iter().filter(|(b, _)| *b == at_place.aspect).map(|(_, w)| (id, *w)),
                    ),
                    Towards::Sufferers if id == at_place.aspect => {
                        as_what.extend(other.becomes.iter().copied())
                    }
                    Towards::Sufferers => {}
                }
            }
            for hop in self.hops_along(Along::Told, at_place.node, at) {
                let Some(relation) = ontology.relations.get(hop.relation.index()) else { continue };
                for fault in &relation.faults {
                    // Trouble that travels to the source came from the target, which is where following the edge leads.
                    let back = match fault.travel {
                        Travel::ToSource => Direction::Out,
                        Travel::ToTarget => Direction::In,
                    };
                    if (hop.direction == back) != (towards == Towards::Origins) {
                        continue;
                    }
                    for (aspect, turned) in as_what.iter().filter(|(a, _)| fault.aspects.contains(a)) {
                        let weight = at_place.weight * fault.prior * turned;
                        let next = (hop.node, *aspect);
                        if weight < bounds.weight || best.get(&next).is_some_and(|b| *b >= weight) {
                            continue;
                        }
                        best.insert(next, weight);
                        came.insert(next, (place, PathStep { from: at_place.node, hop }));
                        heap.push(Reached {
                            weight,
                            node: hop.node,
                            aspect: *aspect,
                            hops: at_place.hops + 1,
                        });
                    }
                }
            }
        }
        let mut origins: Vec<Origin> = Vec::new();
        for place in order {
            if place.0 == start || origins.iter().any(|o| o.node == place.0) {
                continue;
            }
            let mut path = Vec::new();
            let mut back = place;
            while let Some((before, step)) = came.get(&back) {
                path.push(*step);
                back = *before;
                if path.len() > bounds.hops {
                    break;
                }
            }
            path.reverse();
            let weight = best.get(&place).copied().unwrap_or(0.0);
            origins.push(Origin { node: place.0, aspect: place.1, weight, path });
        }
        origins
    }
}

#[derive(PartialEq)]
struct Reached {
    weight: f64,
    node: NodeId,
    aspect: AspectId,
    hops: usize,
}

impl Eq for Reached {}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.weight
            .total_cmp(&other.weight)
            .then_with(|| (other.node, other.aspect).cmp(&(self.node, self.aspect)))
    }
}
