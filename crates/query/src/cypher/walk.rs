//! Walks of several edges: all of them, the shortest, and those that are known already.

use super::data::Way;
use super::exec::{Cx, Exec, Flow, Run, Sink, used};
use super::plan::{Slot, Walk};
use super::value::{EdgeRef, NodeRef, Path, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// One node of a walk under way: its hops not yet taken are `next..end` of the shared stack.
struct Level {
    start: usize,
    next: usize,
    end: usize,
}

impl Exec<'_> {
    /// Every walk of a length in range that uses no edge twice. The stack is ours, so that long chains cost memory, not stack.
    pub(crate) fn walk(&self, cx: &mut Cx, step: usize, walk: &Walk, next: Sink<'_>) -> Run<Flow> {
        let Some(origin) = cx.node(walk.from) else { return Ok(Flow::Go) };
        let target = walk.bound.then(|| cx.node(walk.to));
        let bottom = cx.hops.len();
        let mut taken: Vec<EdgeRef> = Vec::new();
        let mut on_walk: FxHashSet<EdgeRef> = FxHashSet::default();
        let mut levels: Vec<Level> = Vec::new();
        let most = walk.most.map_or(usize::MAX, |m| m as usize);
        let mut at = Some(origin);
        let mut flow = Flow::Go;
        loop {
            if let Some(node) = at.take() {
                self.tick(cx)?;
                let meets = target.is_none_or(|t| t == Some(node));
                if taken.len() >= walk.least as usize && meets {
                    self.bind(cx, walk, &taken, node);
                    flow = next(cx)?;
                    if flow == Flow::Done {
                        break;
                    }
                }
                let start = cx.hops.len();
                if taken.len() < most {
                    self.expand(cx, step, node, walk.way, &walk.types);
                    self.room(cx.kept + cx.hops.len() * 16 + taken.len() * 64)?;
                }
                levels.push(Level { start, next: start, end: cx.hops.len() });
            }
            let Some(level) = levels.last_mut() else { break };
            if level.next == level.end {
                cx.hops.truncate(level.start);
                levels.pop();
                if let Some(e) = taken.pop() {
                    on_walk.remove(&e);
                }
                continue;
            }
            let hop = cx.hops.get(level.next).copied();
            level.next += 1;
            let Some(hop) = hop else { continue };
            self.tick(cx)?;
            let again = on_walk.contains(&hop.edge) || used(cx, &walk.unlike, hop.edge);
            if again || !self.each_holds(cx, walk, hop.edge)? {
                continue;
            }
            taken.push(hop.edge);
            on_walk.insert(hop.edge);
            at = Some(hop.node);
        }
        cx.hops.truncate(bottom);
        Ok(flow)
    }

    fn each_holds(&self, cx: &mut Cx, walk: &Walk, edge: EdgeRef) -> Run<bool> {
        let Some((slot, test)) = &walk.each else { return Ok(true) };
        cx.set(*slot, Value::Edge(edge));
        self.holds(cx, test)
    }

    fn bind(&self, cx: &mut Cx, walk: &Walk, taken: &[EdgeRef], end: NodeRef) {
        let edges = taken.iter().map(|e| Value::Edge(*e));
        let list = if walk.backwards { edges.rev().collect() } else { edges.collect() };
        cx.set(walk.edges, Value::list(list));
        if !walk.bound {
            cx.set(walk.to, Value::Node(end));
        }
    }

    /// The shortest walks between two known nodes, breadth first.
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
        let ways = self.backwards_from(cx, step, walk, from, to)?;
        if !ways.contains_key(&to) {
            return Ok(Flow::Go);
        }
        // From the target back to the start, along every edge that a shortest walk came by.
        let mut stack: Vec<(NodeRef, usize)> = vec![(to, 0)];
        let mut taken: Vec<EdgeRef> = Vec::new();
        loop {
            self.tick(cx)?;
            let Some((node, tried)) = stack.last_mut() else { return Ok(Flow::Go) };
            if *node == from {
                let in_order: Vec<EdgeRef> = taken.iter().rev().copied().collect();
                self.bind(cx, walk, &in_order, to);
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
            let step = ways.get(node).and_then(|w| w.1.get(*tried)).copied();
            *tried += 1;
            match step {
                Some((edge, before)) => {
                    taken.push(edge);
                    stack.push((before, 0));
                }
                None => {
                    stack.pop();
                    taken.pop();
                }
            }
        }
    }

    /// For each node met: its distance, and by which edges it was first come to.
    fn backwards_from(&self, cx: &mut Cx, step: usize, walk: &Walk, from: NodeRef, to: NodeRef) -> Run<Ways> {
        let mut ways: Ways = FxHashMap::default();
        ways.insert(from, (0, Vec::new()));
        let mut level = vec![from];
        let mut distance = 0;
        while !level.is_empty() && walk.most.is_none_or(|m| distance < m) {
            distance += 1;
            let mut met = Vec::new();
            for node in std::mem::take(&mut level) {
                self.hops(cx, step, node, walk.way, &walk.types, &mut |cx, hop| {
                    let known = ways.get(&hop.node).map(|w| w.0);
                    if known.is_some_and(|d| d < distance)
                        || used(cx, &walk.unlike, hop.edge)
                        || !self.each_holds(cx, walk, hop.edge)?
                    {
                        return Ok(Flow::Go);
                    }
                    let way = ways.entry(hop.node).or_insert_with(|| {
                        met.push(hop.node);
                        (distance, Vec::new())
                    });
                    way.1.push((hop.edge, node));
                    Ok(Flow::Go)
                })?;
                self.room(cx.kept + ways.len() * 64)?;
            }
            if ways.contains_key(&to) {
                break;
            }
            level = met;
        }
        Ok(ways)
    }

    /// A known edge between two nodes, each of which may be known as well (the flag says so).
    pub(crate) fn known(
        &self,
        cx: &mut Cx,
        edge: EdgeRef,
        from: (Slot, bool),
        to: (Slot, bool),
        way: Way,
        next: Sink<'_>,
    ) -> Run<Flow> {
        let (source, target) = self.data.ends(edge);
        let mut turns = match way {
            Way::Out => vec![(source, target)],
            Way::In => vec![(target, source)],
            Way::Both => vec![(source, target), (target, source)],
        };
        turns.dedup();
        let known = [(from.1, cx.node(from.0)), (to.1, cx.node(to.0))];
        let one_node = from.0 == to.0;
        for (a, b) in turns {
            let meets =
                [a, b].iter().zip(&known).all(|(n, (bound, at))| !bound || *at == Some(*n) || one_node);
            let meets = meets && (!one_node || (a == b && (!from.1 || known[0].1 == Some(a))));
            if !meets {
                continue;
            }
            cx.set(from.0, Value::Node(a));
            cx.set(to.0, Value::Node(b));
            if next(cx)? == Flow::Done {
                return Ok(Flow::Done);
            }
        }
        Ok(Flow::Go)
    }

    /// Where a known list of edges leads from a known node.
    pub(crate) fn follow(&self, cx: &Cx, edges: Slot, from: Slot, way: Way) -> Option<NodeRef> {
        let Value::List(list) = cx.get(edges) else { return None };
        let mut at = cx.node(from)?;
        for v in list.iter() {
            let Value::Edge(e) = v else { return None };
            let (source, target) = self.data.ends(*e);
            at = match way {
                Way::Out if source == at => target,
                Way::In if target == at => source,
                Way::Both if source == at => target,
                Way::Both if target == at => source,
                _ => return None,
            };
        }
        Some(at)
    }

    /// A path from its parts; nothing when a part is missing.
    pub(crate) fn path(&self, cx: &Cx, parts: &[Slot]) -> Value {
        let mut path = Path { nodes: Vec::new(), edges: Vec::new() };
        let go = |path: &mut Path, e: EdgeRef| {
            let (from, to) = self.data.ends(e);
            let at = path.nodes.last().copied();
            path.edges.push(e);
            path.nodes.push(if at == Some(from) { to } else { from });
        };
        for slot in parts {
            match cx.get(*slot) {
                Value::Node(n) if path.nodes.is_empty() => path.nodes.push(*n),
                Value::Node(_) => {}
                Value::Edge(e) => go(&mut path, *e),
                Value::List(l) => {
                    for v in l.iter() {
                        let Value::Edge(e) = v else { return Value::Null };
                        go(&mut path, *e);
                    }
                }
                _ => return Value::Null,
            }
        }
        Value::Path(Arc::new(path))
    }
}

/// Nodes to their distance and the edges they were come to by.
type Ways = FxHashMap<NodeRef, (u32, Vec<(EdgeRef, NodeRef)>)>;
