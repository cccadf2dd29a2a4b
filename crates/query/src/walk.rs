//! Walks over the graph: what is around, how two things are connected, and where trouble can have come from.

use crate::view::View;
use graph::{Direction, Hop, NodeId};
use ontology::model::{AspectId, Fault, Travel};
use ontology::{Ontology, RelationId, Time};
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
        // Every way to a place that is stronger or shorter than all ways to it before: with a bound on length, a weaker one may lead
        // on to where the strongest cannot.
        let mut met: BTreeMap<(NodeId, AspectId), Vec<(f64, usize)>> = BTreeMap::new();
        let mut ways: Vec<(Option<usize>, PathStep)> = Vec::new();
        let first = Reached { weight: 1.0, hops: 0, order: 0, node: start, aspect, way: None };
        let mut heap = BinaryHeap::from([first]);
        let mut closed: BTreeMap<(NodeId, AspectId), usize> = BTreeMap::new();
        let mut found = BTreeSet::from([start]);
        let mut origins: Vec<Origin> = Vec::new();
        while let Some(at_place) = heap.pop() {
            let place = (at_place.node, at_place.aspect);
            if closed.get(&place).is_some_and(|hops| *hops <= at_place.hops) {
                continue;
            }
            closed.insert(place, at_place.hops);
            if found.insert(at_place.node) {
                let mut path = Vec::new();
                let mut back = at_place.way;
                while let Some((before, step)) = back.and_then(|w| ways.get(w)) {
                    path.push(*step);
                    back = *before;
                }
                path.reverse();
                let Reached { node, aspect, weight, .. } = at_place;
                origins.push(Origin { node, aspect, weight, path });
            }
            if at_place.hops >= bounds.hops || closed.len() >= bounds.nodes {
                continue;
            }
            let as_what = ontology.turned(at_place.aspect, towards);
            for hop in self.hops_along(Along::Told, at_place.node, at) {
                for fault in ontology.faults(&hop, towards) {
                    for (aspect, turned) in as_what.iter().filter(|(a, _)| fault.aspects.contains(a)) {
                        let weight = at_place.weight * fault.prior * turned;
                        let hops = at_place.hops + 1;
                        let known = met.entry((hop.node, *aspect)).or_default();
                        if weight < bounds.weight || known.iter().any(|(w, h)| *w >= weight && *h <= hops) {
                            continue;
                        }
                        known.push((weight, hops));
                        ways.push((at_place.way, PathStep { from: at_place.node, hop }));
                        let (node, order) = (hop.node, self.graph.order(hop.node));
                        let way = Some(ways.len() - 1);
                        heap.push(Reached { weight, hops, order, node, aspect: *aspect, way });
                    }
                }
            }
        }
        origins
    }
}

/// How trouble travels, as walks ask for it.
pub(crate) trait Travels {
    /// What trouble of a kind at a thing can have been there before (walking to origins), or can be there afterwards, with the
    /// chance: itself first.
    fn turned(&self, aspect: AspectId, towards: Towards) -> Vec<(AspectId, f64)>;

    /// By which of its relation's faults trouble can be followed along an edge.
    fn faults(&self, hop: &Hop, towards: Towards) -> impl Iterator<Item = &Fault>;
}

impl Travels for Ontology {
    fn turned(&self, aspect: AspectId, towards: Towards) -> Vec<(AspectId, f64)> {
        let mut as_what = vec![(aspect, 1.0)];
        for (id, other) in (0..).map(AspectId).zip(&self.aspects) {
            match towards {
                Towards::Origins => {
                    as_what.extend(other.becomes.iter().filter(|(b, _)| *b == aspect).map(|(_, w)| (id, *w)));
                }
                Towards::Sufferers if id == aspect => as_what.extend(other.becomes.iter().copied()),
                Towards::Sufferers => {}
            }
        }
        as_what
    }

    fn faults(&self, hop: &Hop, towards: Towards) -> impl Iterator<Item = &Fault> {
        let relation = self.relations.get(hop.relation.index());
        let direction = hop.direction;
        relation.into_iter().flat_map(|r| &r.faults).filter(move |fault| {
            // Trouble that travels to the source came from the target, which is where following the edge leads.
            let back = match fault.travel {
                Travel::ToSource => Direction::Out,
                Travel::ToTarget => Direction::In,
            };
            (direction == back) == (towards == Towards::Origins)
        })
    }
}

struct Reached {
    weight: f64,
    hops: usize,
    /// What nodes are put in order by.
    order: u64,
    node: NodeId,
    aspect: AspectId,
    way: Option<usize>,
}

impl PartialEq for Reached {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Reached {}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reached {
    /// The strongest first, of these the shortest; then by what means the same in every graph.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rest = |r: &Reached| (r.hops, r.order, r.node, r.aspect, r.way);
        self.weight.total_cmp(&other.weight).then_with(|| rest(other).cmp(&rest(self)))
    }
}
