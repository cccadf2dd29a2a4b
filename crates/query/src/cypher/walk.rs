//! Walks of several edges: all of them, and those that are known already.

use super::data::{Met, Way};
use super::exec::{Cx, Exec, Flow, Run, Sink, used};
use super::hops::Taking;
use super::plan::{Slot, Types, Walk};
use super::value::{EdgeRef, NodeRef, Path, Value};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// What nothing is followed along: a walk is as long as it may be.
const NONE: Types = Types::These(Vec::new());

impl Exec<'_> {
    /// Every walk of a length in range that uses no edge twice. The stack is ours, so that long chains cost memory, not stack.
    pub(crate) fn walk(&self, cx: &mut Cx, step: usize, walk: &Walk, next: Sink<'_>) -> Run<Flow> {
        let Some(origin) = cx.node(walk.from) else { return Ok(Flow::Go) };
        let target = walk.bound.then(|| cx.node(walk.to));
        let bottom = cx.met.len();
        let mut taken: Vec<EdgeRef> = Vec::new();
        let mut on_walk: FxHashSet<EdgeRef> = FxHashSet::default();
        let mut levels: Vec<Taking> = Vec::new();
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
                let types = if taken.len() < most { &walk.types } else { &NONE };
                levels.push(self.open(cx, step, (node, walk.way, types, walk.told))?);
                self.room(cx.kept + cx.met.len() * size_of::<Met>() + taken.len() * 64)?;
            }
            let Some(level) = levels.last_mut() else { break };
            let Some(hop) = self.take(cx, level)? else {
                cx.met.truncate(level.start);
                levels.pop();
                if let Some(e) = taken.pop() {
                    on_walk.remove(&e);
                }
                continue;
            };
            let again = on_walk.contains(&hop.edge) || used(cx, &walk.unlike, hop.edge);
            if again || !self.each_holds(cx, walk, hop.edge)? {
                continue;
            }
            taken.push(hop.edge);
            on_walk.insert(hop.edge);
            at = Some(hop.node);
        }
        cx.met.truncate(bottom);
        Ok(flow)
    }

    pub(crate) fn each_holds(&self, cx: &mut Cx, walk: &Walk, edge: EdgeRef) -> Run<bool> {
        let Some((slot, test)) = &walk.each else { return Ok(true) };
        cx.set(*slot, Value::Edge(edge));
        self.holds(cx, test)
    }

    pub(crate) fn bind(&self, cx: &mut Cx, walk: &Walk, taken: &[EdgeRef], end: NodeRef) {
        let edges = taken.iter().map(|e| Value::Edge(*e));
        let list = if walk.backwards { edges.rev().collect() } else { edges.collect() };
        cx.set(walk.edges, Value::list(list));
        if !walk.bound {
            cx.set(walk.to, Value::Node(end));
        }
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
