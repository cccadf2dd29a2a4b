//! The k best loopless ways by which trouble can have travelled between two things.
//!
//! Two ways are the same if they go through the same things along the same relations; a way weighs as much as the most likely kinds of
//! trouble along it do. The best are found by Yen's algorithm (J. Y. Yen, "Finding the K Shortest Loopless Paths in a Network", 1971)
//! as E. L. Lawler put it (1972): the ways that are left are parted by where they leave those found, and each part is searched for its
//! best. Each search is A*, led by how likely trouble gets from the one end to each place at all, which is computed once.
//!
//! A search sees places (a thing and a kind of trouble) and so may give a way that meets a thing twice, as two kinds. Such a way only
//! bounds its part: the part is parted further along it, and the way is not given.
//!
//! Weights are compared as integers, so that their order does not depend on the order of multiplication; of equally likely ways the
//! shorter comes first, then what means the same in every graph decides.

use crate::view::View;
use crate::walk::{Bounds, PathStep, Towards, Travels};
use graph::{Direction, Hop, NodeId};
use ontology::model::AspectId;
use ontology::{RelationId, Time};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

/// How many ways are given when nothing is said.
pub const BEST: usize = 5;
/// Most ways given.
pub const MOST_BEST: usize = 1_000;
/// Longest ways looked for, in edges.
pub const MOST_EDGES: usize = 16;
/// Most edges looked at for one question: some seconds.
pub const MOST_LOOKED: usize = 20_000_000;

/// Which ways are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where trouble begins.
    pub from: NodeId,
    /// Where it is felt.
    pub to: NodeId,
    /// As which kinds of trouble it may be felt.
    pub aspects: Vec<AspectId>,
    /// When.
    pub at: Time,
    /// At most so many ways.
    pub best: usize,
    /// Longest way in edges, weakest weight; most edges looked at in place of nodes.
    pub bounds: Bounds,
}

/// One way of trouble.
#[derive(Clone, Debug)]
pub struct CausalPath {
    /// Product of the weights along it, 0..1.
    pub weight: f64,
    /// Kinds of trouble from where it begins to where it is felt: one for every step, and what it is felt as.
    pub kinds: Vec<AspectId>,
    /// The steps, from where it is felt to where it begins.
    pub path: Vec<PathStep>,
}

/// Why a search ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It looked at as many edges as it may.
    Work,
    /// Whoever asked has waited long enough.
    Time,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct CausalPaths {
    /// The best ways, best first. If the search was stopped, these are still the best, but there may be further ones.
    pub found: Vec<CausalPath>,
    /// What ended the search early.
    pub stopped: Option<Stopped>,
}

/// Costs are negative logarithms of weights in so many parts of a neper: sums of some dozens stay far from the end of a `u64`, and
/// rounding moves a weight by less than a part in a hundred billion.
const NEPER: f64 = 1e12;

/// `None` of what never gets through.
fn cost(weight: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a weight is at most 1")]
    let cost = (-weight.min(1.0).ln() * NEPER).round() as u64;
    (weight > 0.0).then_some(cost)
}

/// A place: a thing and a kind of trouble.
type Place = (NodeId, AspectId);

/// One step of a way, by what means the same in every graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    order: u64,
    relation: RelationId,
    direction: Direction,
    node: NodeId,
}

/// Kinds of trouble that may be at a thing, with what they cost so far and what each has become.
type Kinds = BTreeMap<AspectId, (u64, Option<AspectId>)>;

/// Kinds of trouble that may have become one, with what that costs.
type Costs = Rc<[(AspectId, u64)]>;

/// A partial way from where trouble is felt.
#[derive(Clone, Copy)]
struct Label {
    place: Place,
    cost: u64,
    hops: usize,
    /// The label before and the step from there.
    before: Option<(usize, Step)>,
}

/// The best of a part of all ways.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    cost: u64,
    hops: usize,
    steps: Vec<Step>,
    /// The part: all ways that begin with so many of the steps,
    shared: usize,
    /// and do not go on with any of these.
    barred: Vec<Step>,
}

impl View<'_> {
    /// The best loopless ways of trouble from one thing to another, under the directions in which the ontology lets trouble travel
    /// and with the weights that [`View::origins`] uses. Conclusions are not walked. `stop` is asked now and then; yes ends the search.
    pub fn causal_paths(&self, wanted: &Wanted, stop: &dyn Fn() -> bool) -> CausalPaths {
        let (from, to) = (self.graph.resolve(wanted.from), self.graph.resolve(wanted.to));
        let mut paths = CausalPaths::default();
        if from == to || wanted.best == 0 {
            return paths;
        }
        let mut search = Search {
            view: *self,
            wanted,
            ends: (from, to),
            stop,
            dearest: cost(wanted.bounds.weight).unwrap_or(u64::MAX / 4),
            looked: 0,
            steps: BTreeMap::new(),
            carried: BTreeMap::new(),
            ahead: FxHashMap::default(),
            beyond: None,
        };
        paths.stopped = search.all(&mut paths.found).err();
        paths
    }
}

struct Search<'a> {
    view: View<'a>,
    wanted: &'a Wanted,
    /// Where trouble begins and where it is felt.
    ends: (NodeId, NodeId),
    stop: &'a dyn Fn() -> bool,
    dearest: u64,
    looked: usize,
    /// Where trouble can have come from, by where it is.
    steps: BTreeMap<NodeId, Rc<[(Hop, Step)]>>,
    /// What steps cost: by relation, direction and kind of trouble, from which kinds.
    carried: BTreeMap<(RelationId, Direction, AspectId), Costs>,
    /// What it costs at least to get from a place to where trouble begins.
    ahead: FxHashMap<Place, u64>,
    /// The same of every other place: nothing gets there when not said.
    beyond: Option<u64>,
}

impl Search<'_> {
    fn all(&mut self, found: &mut Vec<CausalPath>) -> Result<(), Stopped> {
        self.look_ahead()?;
        let mut parts: BinaryHeap<Reverse<Candidate>> = BinaryHeap::new();
        parts.extend(self.best_of(&[], Vec::new())?.map(Reverse));
        while let Some(Reverse(best)) = parts.pop() {
            // The step that leads back to where the way was before.
            let back = (0..best.steps.len()).find(|i| {
                let node = best.steps.get(*i).map(|s| s.node);
                node == Some(self.ends.1) || best.steps.iter().take(*i).any(|s| Some(s.node) == node)
            });
            if back.is_none() {
                found.extend(self.way(&best.steps));
                if found.len() >= self.wanted.best {
                    break;
                }
            }
            for (i, step) in best.steps.iter().enumerate().skip(best.shared) {
                let mut barred = if i == best.shared { best.barred.clone() } else { Vec::new() };
                barred.push(*step);
                let shared = best.steps.get(..i).unwrap_or_default();
                parts.extend(self.best_of(shared, barred)?.map(Reverse));
                if back == Some(i) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Counts edges looked at.
    fn look(&mut self, edges: usize) -> Result<(), Stopped> {
        const EVERY: usize = 4_096;
        let before = self.looked;
        self.looked += edges.max(1);
        if self.looked > self.wanted.bounds.nodes {
            return Err(Stopped::Work);
        }
        if before / EVERY != self.looked / EVERY && (self.stop)() { Err(Stopped::Time) } else { Ok(()) }
    }

    /// Edges by which trouble at a node can have come to it or go from it.
    fn hops(&mut self, node: NodeId, towards: Towards) -> Result<Vec<Hop>, Stopped> {
        let o = self.view.graph.ontology();
        let mut hops = self.view.graph.hops_at(node, self.wanted.at);
        self.look(hops.len())?;
        hops.retain(|h| o.faults(h, towards).next().is_some());
        // Several keys of one thing may have an edge each: that is one way.
        hops.dedup_by_key(|h| (h.relation, h.direction, h.node));
        Ok(hops)
    }

    /// Dijkstra from where trouble begins, the way that it travels, as far as half of the work goes.
    fn look_ahead(&mut self) -> Result<(), Stopped> {
        let o = self.view.graph.ontology();
        let mut heap: BinaryHeap<Reverse<(u64, Place)>> = BinaryHeap::new();
        let kinds = (0..).map(AspectId).take(o.aspects.len());
        heap.extend(kinds.map(|a| Reverse((0, (self.ends.0, a)))));
        let mut hops: FxHashMap<NodeId, Rc<[Hop]>> = FxHashMap::default();
        while let Some(Reverse((so_far, place))) = heap.pop() {
            if self.looked > self.wanted.bounds.nodes / 2 {
                self.beyond = Some(so_far);
                break;
            }
            if self.ahead.contains_key(&place) {
                continue;
            }
            self.ahead.insert(place, so_far);
            let here = match hops.get(&place.0) {
                Some(known) => Rc::clone(known),
                None => match self.hops(place.0, Towards::Sufferers) {
                    Ok(new) => Rc::clone(hops.entry(place.0).or_insert(new.into())),
                    Err(Stopped::Work) => {
                        self.beyond = Some(so_far);
                        self.looked = self.wanted.bounds.nodes / 2;
                        break;
                    }
                    Err(Stopped::Time) => return Err(Stopped::Time),
                },
            };
            let becomes = o.turned(place.1, Towards::Sufferers);
            for hop in here.iter() {
                for fault in o.faults(hop, Towards::Sufferers).filter(|f| f.aspects.contains(&place.1)) {
                    for (aspect, turned) in &becomes {
                        let next = (hop.node, *aspect);
                        let Some(step) = cost(fault.prior).zip(cost(*turned)) else { continue };
                        let total = so_far + step.0 + step.1;
                        if total <= self.dearest && !self.ahead.contains_key(&next) {
                            heap.push(Reverse((total, next)));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// At least what a way from a place to where trouble begins costs.
    fn at_least(&self, place: Place) -> Option<u64> {
        let known = self.ahead.get(&place).copied().or(self.beyond);
        // Nothing leads to sampled nodes, and little leads on from them.
        known.or_else(|| self.view.is_sampled(place.0).then_some(0))
    }

    fn steps(&mut self, node: NodeId) -> Result<Rc<[(Hop, Step)]>, Stopped> {
        if let Some(known) = self.steps.get(&node) {
            let known = Rc::clone(known);
            self.look(known.len())?;
            return Ok(known);
        }
        let graph = self.view.graph;
        let step = |h: Hop| {
            let order = graph.order(h.node);
            (h, Step { order, relation: h.relation, direction: h.direction, node: h.node })
        };
        let new: Rc<[(Hop, Step)]> = self.hops(node, Towards::Origins)?.into_iter().map(step).collect();
        self.steps.insert(node, Rc::clone(&new));
        Ok(new)
    }

    /// Of each kind of trouble that can have become this one and come along an edge, what that costs.
    fn carried(&mut self, kind: AspectId, hop: &Hop) -> Costs {
        let key = (hop.relation, hop.direction, kind);
        if let Some(known) = self.carried.get(&key) {
            return Rc::clone(known);
        }
        let o = self.view.graph.ontology();
        let mut cheapest: BTreeMap<AspectId, u64> = BTreeMap::new();
        for (before, turned) in o.turned(kind, Towards::Origins) {
            for fault in o.faults(hop, Towards::Origins).filter(|f| f.aspects.contains(&before)) {
                let Some((a, b)) = cost(fault.prior).zip(cost(turned)) else { continue };
                let least = cheapest.entry(before).or_insert(a + b);
                *least = (*least).min(a + b);
            }
        }
        Rc::clone(self.carried.entry(key).or_insert(cheapest.into_iter().collect()))
    }

    /// The best of the ways that begin with some steps, do not meet a thing of these again, and do not go on with a barred one.
    fn best_of(&mut self, shared: &[Step], barred: Vec<Step>) -> Result<Option<Candidate>, Stopped> {
        let mut labels = Vec::new();
        for (aspect, (cost, _)) in self.kinds(shared).pop().unwrap_or_default() {
            let node = shared.last().map_or(self.ends.1, |s| s.node);
            labels.push(Label { place: (node, aspect), cost, hops: shared.len(), before: None });
        }
        let ends = |l: &Label, at_least: u64| Reverse((l.cost + at_least, l.hops));
        let mut heap = BinaryHeap::new();
        // By place, the labels that no other is as good as in every respect.
        let mut good: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (i, label) in labels.iter().enumerate() {
            heap.extend(self.at_least(label.place).map(|least| (ends(label, least), Reverse(i))));
            good.insert(label.place, vec![i]);
        }
        let mut best: Option<usize> = None;
        while let Some((Reverse((at_least, _)), Reverse(i))) = heap.pop() {
            let Some(label) = labels.get(i).copied() else { continue };
            if best.and_then(|b| labels.get(b)).is_some_and(|b| at_least > b.cost) {
                break;
            }
            if good.get(&label.place).is_none_or(|g| !g.contains(&i)) {
                continue;
            }
            if label.place.0 == self.ends.0 {
                let better = best.is_none_or(|b| rank(&labels, i) < rank(&labels, b));
                best = if better { Some(i) } else { best };
                continue;
            }
            if label.hops >= self.wanted.bounds.hops {
                continue;
            }
            for (hop, step) in self.steps(label.place.0)?.iter() {
                let again = step.node == self.ends.1 || shared.iter().any(|s| s.node == step.node);
                if again || (label.hops == shared.len() && barred.contains(step)) {
                    continue;
                }
                for (aspect, price) in self.carried(label.place.1, hop).iter().copied() {
                    let place = (step.node, aspect);
                    let next = Label {
                        place,
                        cost: label.cost + price,
                        hops: label.hops + 1,
                        before: Some((i, *step)),
                    };
                    let Some(least) = self.at_least(place).filter(|l| next.cost + l <= self.dearest) else {
                        continue;
                    };
                    let new = labels.len();
                    labels.push(next);
                    let rivals = good.entry(place).or_default();
                    if rivals.iter().any(|r| outdoes(&labels, *r, new)) {
                        labels.pop();
                        continue;
                    }
                    rivals.retain(|r| !outdoes(&labels, new, *r));
                    rivals.push(new);
                    heap.push((ends(&next, least), Reverse(new)));
                }
            }
        }
        let Some(best) = best else { return Ok(None) };
        let (cost, hops, further) = rank(&labels, best);
        let steps = shared.iter().copied().chain(further).collect();
        Ok(Some(Candidate { cost, hops, steps, shared: shared.len(), barred }))
    }

    /// After each step, the kinds of trouble that may be there; before the first, those that are asked about.
    fn kinds(&mut self, steps: &[Step]) -> Vec<Kinds> {
        let mut table = vec![self.wanted.aspects.iter().map(|a| (*a, (0, None))).collect::<Kinds>()];
        let mut node = self.ends.1;
        for step in steps {
            let mut next = Kinds::new();
            let Some(hop) = self.hop(node, step) else { break };
            for (after, (so_far, _)) in table.last().into_iter().flatten() {
                for (before, price) in self.carried(*after, &hop).iter().copied() {
                    let total = so_far + price;
                    if next.get(&before).is_none_or(|n| total < n.0) {
                        next.insert(before, (total, Some(*after)));
                    }
                }
            }
            table.push(next);
            node = step.node;
        }
        table
    }

    /// The edge of a step that a search took.
    fn hop(&self, node: NodeId, step: &Step) -> Option<Hop> {
        self.steps.get(&node)?.iter().find(|(_, s)| s == step).map(|(h, _)| *h)
    }

    /// A way as it is told: with its likeliest kinds of trouble, and its weight multiplied as [`View::origins`] does.
    fn way(&mut self, steps: &[Step]) -> Option<CausalPath> {
        let o = self.view.graph.ontology();
        let table = self.kinds(steps);
        let mut kind =
            table.last()?.iter().min_by_key(|(aspect, (cost, _))| (*cost, **aspect)).map(|k| *k.0)?;
        let mut kinds = vec![kind];
        for costs in table.iter().rev() {
            if let Some(after) = costs.get(&kind).and_then(|c| c.1) {
                kinds.push(after);
                kind = after;
            }
        }
        let (mut weight, mut path, mut node) = (1.0, Vec::new(), self.ends.1);
        for (step, pair) in steps.iter().zip(kinds.windows(2).rev()) {
            let [before, after] = pair else { continue };
            let hop = self.hop(node, step)?;
            let turned = o.turned(*after, Towards::Origins);
            let chances = turned.iter().filter(|(a, _)| a == before).flat_map(|(_, turned)| {
                let faults = o.faults(&hop, Towards::Origins).filter(|f| f.aspects.contains(before));
                faults.map(move |f| weight * f.prior * turned)
            });
            weight = chances.fold(0.0, f64::max);
            path.push(PathStep { from: node, hop });
            node = step.node;
        }
        Some(CausalPath { weight, kinds, path })
    }
}

/// What ways are put in order by: likelier, then shorter, then by their steps.
fn rank(labels: &[Label], label: usize) -> (u64, usize, Vec<Step>) {
    let mut steps = Vec::new();
    let (cost, hops) = labels.get(label).map_or((0, 0), |l| (l.cost, l.hops));
    let mut back = labels.get(label).and_then(|l| l.before);
    while let Some((before, step)) = back {
        steps.push(step);
        back = labels.get(before).and_then(|l| l.before);
    }
    steps.reverse();
    (cost, hops, steps)
}

/// Whether whatever way goes on from the second label, the same from the first comes before it or is it.
fn outdoes(labels: &[Label], a: usize, b: usize) -> bool {
    let (Some(x), Some(y)) = (labels.get(a), labels.get(b)) else { return false };
    match (x.cost.cmp(&y.cost), x.hops.cmp(&y.hops)) {
        (std::cmp::Ordering::Greater, _) | (_, std::cmp::Ordering::Greater) => false,
        (std::cmp::Ordering::Equal, std::cmp::Ordering::Equal) => rank(labels, a).2 <= rank(labels, b).2,
        _ => true,
    }
}
