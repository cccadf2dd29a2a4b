//! The shortest walks between two known nodes, looked for from both ends: level by level, at the end where the next level costs
//! less, until the two meet.

use super::data::{Check, Met, Way};
use super::exec::{Cx, Exec, Flow, Run, Sink, used};
use super::plan::{Types, Walk};
use super::value::{EdgeRef, NodeRef};
use rustc_hash::{FxHashMap, FxHashSet};

/// Edges counted on either side, at first, to see on which the next level costs less.
const RACE: usize = 256;

/// An edge by which a node was come to: the node, from where, and the edge as it is met there.
type Come = (NodeRef, NodeRef, Met);

/// What was met from one end.
struct Side {
    /// How far each node is.
    seen: FxHashMap<NodeRef, u32>,
    /// By distance less one how its nodes were come to, sorted.
    come: Vec<Vec<Come>>,
    level: Vec<NodeRef>,
    way: Way,
    from_far_end: bool,
}

impl Side {
    fn new(at: NodeRef, way: Way, from_far_end: bool) -> Side {
        Side { seen: [(at, 0)].into_iter().collect(), come: Vec::new(), level: vec![at], way, from_far_end }
    }

    fn distance(&self) -> usize {
        self.come.len()
    }

    /// How a node was come to.
    fn come(&self, node: NodeRef) -> impl Iterator<Item = &Come> {
        let level =
            self.seen.get(&node).and_then(|d| (*d as usize).checked_sub(1)).and_then(|d| self.come.get(d));
        let level = level.map_or(&[][..], |l| l);
        let first = level.partition_point(|c| c.0 < node);
        level.iter().skip(first).take_while(move |c| c.0 == node)
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
            let length = near.distance() + far.distance();
            if near.level.is_empty()
                || far.level.is_empty()
                || walk.most.is_some_and(|m| length >= m as usize)
            {
                return Ok(None);
            }
            let (side, other) =
                if self.costs_less(cx, walk, &far, &near)? { (&mut far, &near) } else { (&mut near, &far) };
            let met = self.level(cx, step, walk, side, other)?;
            if !met.is_empty() {
                return self.onwards(cx, &near, &far, &met).map(Some);
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
        // How many edges, and whether all were counted.
        let count = |cx: &mut Cx, side: &Side, most: usize| -> Run<(usize, bool)> {
            let mut sum = 0;
            for node in &side.level {
                self.tick(cx)?;
                sum += self.data.degree(*node, side.way, types, most - sum);
                if sum >= most {
                    return Ok((sum, false));
                }
            }
            Ok((sum, true))
        };
        let mut most = RACE;
        loop {
            let (a, b) = (count(cx, side, most)?, count(cx, than, most)?);
            if a.1 || b.1 {
                return Ok(a.0 < b.0);
            }
            most = most.saturating_mul(4);
        }
    }

    /// One step further on one side; the nodes where it met the other.
    fn level(
        &self,
        cx: &mut Cx,
        step: usize,
        walk: &Walk,
        side: &mut Side,
        other: &Side,
    ) -> Run<Vec<NodeRef>> {
        let (mut come, mut meeting): (Vec<Come>, Vec<Come>) = (Vec::new(), Vec::new());
        let start = cx.met.len();
        let mut repeats = false;
        for node in std::mem::take(&mut side.level) {
            repeats |= self.meet(cx, step, (node, side.way, &walk.types), Check::Later)?;
            for i in start..cx.met.len() {
                self.tick(cx)?;
                let Some(edge) = cx.met.get(i).copied() else { break };
                if side.seen.contains_key(&edge.node) {
                    continue;
                }
                let met = other.seen.contains_key(&edge.node);
                (if met { &mut meeting } else { &mut come }).push((edge.node, node, edge));
            }
            cx.met.truncate(start);
            let held = side.seen.len() + other.seen.len() + come.len() + meeting.len();
            self.room(cx.kept + held * size_of::<Come>())?;
        }
        // Whether edges held is only asked where it matters: mostly the two sides have met by now.
        self.keep_told(cx, walk, &mut meeting, repeats)?;
        let met = !meeting.is_empty();
        let mut come = if met { meeting } else { come };
        if !met {
            self.keep_told(cx, walk, &mut come, repeats)?;
        }
        let distance = u32::try_from(side.distance() + 1).unwrap_or(u32::MAX);
        let mut level: Vec<NodeRef> = come.iter().map(|c| c.0).collect();
        level.dedup();
        side.seen.extend(level.iter().map(|n| (*n, distance)));
        side.come.push(come);
        if met {
            return Ok(level);
        }
        side.level = level;
        Ok(Vec::new())
    }

    /// Keeps the edges that are told and fulfil what the walk asks of each, sorted.
    fn keep_told(&self, cx: &mut Cx, walk: &Walk, come: &mut Vec<Come>, repeats: bool) -> Run<()> {
        come.sort_unstable();
        let mut kept: usize = 0;
        for i in 0..come.len() {
            self.tick(cx)?;
            let Some(at) = come.get(i).copied() else { break };
            let same = |c: &Come| (c.0, c.1, c.2.kind, c.2.order) == (at.0, at.1, at.2.kind, at.2.order);
            let before = kept.checked_sub(1).and_then(|k| come.get(k)).is_some_and(same);
            let again = repeats && before;
            if !again
                && self.data.is_told(&at.2)
                && !used(cx, &walk.unlike, at.2.edge)
                && self.each_holds(cx, walk, at.2.edge)?
            {
                come.swap(kept, i);
                kept += 1;
            }
        }
        come.truncate(kept);
        Ok(())
    }

    /// The edges of all walks through the nodes where two sides met.
    fn onwards(&self, cx: &mut Cx, near: &Side, far: &Side, met: &[NodeRef]) -> Run<Onwards> {
        let mut onwards = Onwards::default();
        for side in [near, far] {
            let mut seen: FxHashSet<NodeRef> = met.iter().copied().collect();
            let mut stack = met.to_vec();
            while let Some(node) = stack.pop() {
                for (_, before, edge) in side.come(node) {
                    self.tick(cx)?;
                    if side.from_far_end {
                        onwards.entry(node).or_default().push(self.data.turned(*edge, *before));
                    } else {
                        onwards.entry(*before).or_default().push(*edge);
                    }
                    if seen.insert(*before) {
                        stack.push(*before);
                    }
                }
            }
        }
        onwards.values_mut().for_each(|edges| edges.sort_unstable());
        Ok(onwards)
    }
}
