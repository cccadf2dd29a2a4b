//! The shortest walks between two known nodes, looked for from both ends: level by level, at the end where the next level costs
//! less, until the two meet.

use super::data::{Met, Way};
use super::exec::{Cx, Exec, Flow, Run, Sink, used};
use super::plan::{Told, Types, Walk};
use super::value::{EdgeRef, NodeRef};
use rustc_hash::FxHashMap;

/// Edges counted at each node of a level, at first, to see which of two costs less.
const RACE: usize = 32;

/// What was met from one end.
struct Side {
    /// Where each node was come to from, at its distance: the node before and the edge as it is met there, or, from the far end,
    /// the edge as it is met here and the node after.
    ways: FxHashMap<NodeRef, (u32, Vec<(NodeRef, Met)>)>,
    level: Vec<NodeRef>,
    distance: u32,
    way: Way,
    from_far_end: bool,
}

impl Side {
    fn new(at: NodeRef, way: Way, from_far_end: bool) -> Side {
        let ways = [(at, (0, Vec::new()))].into_iter().collect();
        Side { ways, level: vec![at], distance: 0, way, from_far_end }
    }
}

/// The edges by which shortest walks leave each node, in the order in which they are told.
type Onwards = FxHashMap<NodeRef, Vec<Met>>;

impl Exec<'_> {
    /// The shortest walks between two known nodes: the one whose edges come first where they are told, or all in that order.
    pub(crate) fn shortest(
        &self,
        cx: &mut Cx,
        step: usize,
        walk: &Walk,
        all: bool,
        next: Sink<'_>,
    ) -> Run<Flow> {
        let (Some(from), Some(to)) = (cx.node(walk.from), cx.node(walk.to)) else { return Ok(Flow::Go) };
        if from == to {
            // Only a walk of no edges leads from a node to itself without going round.
            if walk.least > 0 {
                return Ok(Flow::Go);
            }
            self.bind(cx, walk, &[], to);
            return next(cx);
        }
        let Some(onwards) = self.meeting(cx, step, walk, from, to)? else { return Ok(Flow::Go) };
        let mut stack: Vec<(NodeRef, usize)> = vec![(from, 0)];
        let mut taken: Vec<EdgeRef> = Vec::new();
        loop {
            self.tick(cx)?;
            let Some((node, tried)) = stack.last_mut() else { return Ok(Flow::Go) };
            if *node == to {
                self.bind(cx, walk, &taken, to);
                if next(cx)? == Flow::Done {
                    return Ok(Flow::Done);
                }
                if !all {
                    return Ok(Flow::Go);
                }
                stack.pop();
                taken.pop();
                continue;
            }
            let hop = onwards.get(node).and_then(|w| w.get(*tried)).map(Met::hop);
            *tried += 1;
            match hop {
                Some(hop) => {
                    taken.push(hop.edge);
                    stack.push((hop.node, 0));
                }
                None => {
                    stack.pop();
                    taken.pop();
                }
            }
        }
    }

    /// Walks from both ends until they meet; every edge of a shortest walk.
    fn meeting(
        &self,
        cx: &mut Cx,
        step: usize,
        walk: &Walk,
        from: NodeRef,
        to: NodeRef,
    ) -> Run<Option<Onwards>> {
        let mut near = Side::new(from, walk.way, false);
        let mut far = Side::new(to, walk.way.back(), true);
        loop {
            let length = near.distance + far.distance;
            if near.level.is_empty() || far.level.is_empty() || walk.most.is_some_and(|m| length >= m) {
                return Ok(None);
            }
            let (side, other) =
                if self.costs_less(cx, walk, &far, &near)? { (&mut far, &near) } else { (&mut near, &far) };
            self.level(cx, step, walk, side)?;
            self.room(cx.kept + (side.ways.len() + other.ways.len()) * 96)?;
            let met: Vec<NodeRef> =
                side.level.iter().filter(|n| other.ways.contains_key(n)).copied().collect();
            if !met.is_empty() {
                return self.onwards(cx, &near, &far, met).map(Some);
            }
        }
    }

    /// Whether the next level of one side has fewer edges than that of the other.
    fn costs_less(&self, cx: &mut Cx, walk: &Walk, side: &Side, than: &Side) -> Run<bool> {
        let types = match &walk.types {
            Types::Any => &[][..],
            Types::These(types) if types.is_empty() => return Ok(false),
            Types::These(types) => types,
        };
        let mut most = RACE;
        loop {
            // How many edges, and whether all were counted.
            let mut count = |side: &Side| -> Run<(usize, bool)> {
                let (mut sum, mut all) = (0, true);
                for node in &side.level {
                    self.tick(cx)?;
                    let degree = self.data.degree(*node, side.way, types, most);
                    sum += degree;
                    all &= degree < most;
                }
                Ok((sum, all))
            };
            let (a, b) = (count(side)?, count(than)?);
            if a.1 && a.0 < b.0 {
                return Ok(true);
            }
            if b.1 && b.0 <= a.0 {
                return Ok(false);
            }
            most = most.saturating_mul(8);
        }
    }

    /// One step further on one side.
    fn level(&self, cx: &mut Cx, step: usize, walk: &Walk, side: &mut Side) -> Run<()> {
        side.distance += 1;
        let (distance, way, from_far_end) = (side.distance, side.way, side.from_far_end);
        let mut met = Vec::new();
        for node in std::mem::take(&mut side.level) {
            let mut taking = self.open(cx, step, (node, way, &walk.types, Told::UntilOne))?;
            while let Some(edge) = self.take(cx, &mut taking)? {
                let known = side.ways.get(&edge.node).map(|w| w.0);
                if known.is_some_and(|d| d < distance)
                    || used(cx, &walk.unlike, edge.edge)
                    || !self.each_holds(cx, walk, edge.edge)?
                {
                    continue;
                }
                let come = side.ways.entry(edge.node).or_insert_with(|| {
                    met.push(edge.node);
                    (distance, Vec::new())
                });
                come.1.push((node, if from_far_end { self.data.turned(edge, node) } else { edge }));
            }
            cx.met.truncate(taking.start);
            self.room(cx.kept + side.ways.len() * 96)?;
        }
        side.level = met;
        Ok(())
    }

    /// The edges of all walks through the nodes where two sides met.
    fn onwards(&self, cx: &mut Cx, near: &Side, far: &Side, met: Vec<NodeRef>) -> Run<Onwards> {
        let mut onwards = Onwards::default();
        let mut add = |cx: &mut Cx, side: &Side, start: &[NodeRef]| -> Run<()> {
            let mut seen: rustc_hash::FxHashSet<NodeRef> = start.iter().copied().collect();
            let mut stack = start.to_vec();
            while let Some(node) = stack.pop() {
                self.tick(cx)?;
                for (other, edge) in side.ways.get(&node).map_or(&[][..], |w| &w.1) {
                    let at = if side.from_far_end { node } else { *other };
                    onwards.entry(at).or_default().push(*edge);
                    if seen.insert(*other) {
                        stack.push(*other);
                    }
                }
            }
            Ok(())
        };
        add(cx, near, &met)?;
        add(cx, far, &met)?;
        onwards.values_mut().for_each(|edges| edges.sort_unstable());
        Ok(onwards)
    }
}
