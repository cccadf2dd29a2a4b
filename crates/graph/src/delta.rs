//! What is another thing in one graph than in the other: nodes, edges and series, whatever time they tell of.
//!
//! Epochs of one writer share every page and every run that did not change between them, so only those that they do not share
//! are looked at, and what this costs goes by what changed. Graphs that share nothing (after the log was read again, say) are
//! compared by keys: the same answer, at the price of reading both.
//!
//! A node here is what one key tells of. When two keys turn out to be one thing, the nodes of both keys change (one belongs to the
//! other from then on), and their edges do not.

#[cfg(test)]
mod laws;
mod strangers;

pub(crate) use strangers::Terms;

use crate::compare::Kind;
use crate::series::{Series, SeriesId};
use crate::topology::{Edge, EdgeId, Graph, Node, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The same thing in two graphs: at least one of them has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<T> {
    /// In the first; `None` when only the second has it.
    pub before: Option<T>,
    /// In the second.
    pub after: Option<T>,
}

impl<T> Pair<T> {
    /// What happened to it.
    pub fn kind(&self) -> Kind {
        match (&self.before, &self.after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        }
    }
}

/// All that differs between two graphs, in an order that is the same whenever the two are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Nodes of which something else is known: attributes, when they were seen, who told, what they belong to.
    pub nodes: Vec<Pair<NodeId>>,
    /// Edges of which something else is known, or along which something else went.
    pub edges: Vec<Pair<EdgeId>>,
    /// Series with other minutes.
    pub series: Vec<Pair<SeriesId>>,
}

impl Delta {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.edges.is_empty() && self.series.is_empty()
    }
}

/// Compares two graphs.
pub fn delta(before: &Graph, after: &Graph) -> Delta {
    if before.is_epoch_of(after) { epochs(before, after) } else { strangers::delta(before, after) }
}

/// The same by keys, as if the two had nothing in common. What [`delta`] is measured against.
pub fn delta_by_keys(before: &Graph, after: &Graph) -> Delta {
    strangers::delta(before, after)
}

impl Graph {
    /// Whether two graphs are epochs of one writer, so that places mean the same in both.
    pub fn is_epoch_of(&self, other: &Graph) -> bool {
        self.names.same_writer(&other.names)
    }

    /// Whether the same went along an edge as along one of another graph, minute by minute and side by side.
    pub fn had_the_same_traffic(&self, edge: EdgeId, other: &Graph, twin: EdgeId) -> bool {
        let by_minute = |graph: &Graph, edge: EdgeId| {
            let mut all: BTreeMap<_, crate::Stat> = BTreeMap::new();
            for ((side, _, minute), stat) in graph.flows.of_edge(edge) {
                all.entry((side, minute)).or_default().merge(&stat);
            }
            all
        };
        by_minute(self, edge) == by_minute(other, twin)
    }

    /// A series.
    pub fn series_with(&self, id: SeriesId) -> Option<&Series> {
        self.series_at(id).map(Arc::as_ref)
    }
}

fn epochs(before: &Graph, after: &Graph) -> Delta {
    let mut found = Delta { nodes: changed_nodes(before, after), ..Delta::default() };
    let mut edges = edges(before, after);
    let traffic = before.flows.unlike(&after.flows);
    found.edges = with_traffic(before, after, &mut edges, &traffic);
    found.series = series(before, after);
    found
}

/// Nodes of which something else is known in another epoch.
pub(crate) fn changed_nodes(before: &Graph, after: &Graph) -> Vec<Pair<NodeId>> {
    let mut found = Vec::new();
    for (at, x, y) in before.nodes.unlike(&after.nodes).flat_map(|page| page.rows()) {
        let (x, y) = (x.and_then(Option::as_ref), y.and_then(Option::as_ref));
        let same = match (x, y) {
            (None, None) => true,
            (Some(x), Some(y)) => Arc::ptr_eq(x, y) || is_same_node(x, y),
            _ => false,
        };
        if let (false, Ok(id)) = (same, u32::try_from(at)) {
            found.push(Pair { before: x.map(|_| NodeId(id)), after: y.map(|_| NodeId(id)) });
        }
    }
    let key = |of: &Graph, n: NodeId| of.raw(n).map_or(0, |n| n.key.hash);
    meet_again(
        &mut found,
        |n| key(before, n),
        |n| key(after, n),
        |n, m| before.raw(n).zip(after.raw(m)).is_some_and(|(x, y)| is_same_node(x, y)),
    );
    found
}

/// Whether the same is known of a node in two epochs. Said again is not said anew.
fn is_same_node(a: &Node, b: &Node) -> bool {
    let said = |of: &Node, other: &Node| {
        of.attrs.iter().all(|(id, said)| other.attrs.iter().any(|(i, s)| i == id && s.value == said.value))
    };
    a.key == b.key
        && a.seen == b.seen
        && a.ended == b.ended
        && a.sources == b.sources
        && a.attrs.len() == b.attrs.len()
        && said(a, b)
        && a.owners.len() == b.owners.len()
        && a.owners.iter().all(|o| b.owners.contains(o))
}

fn edges(before: &Graph, after: &Graph) -> Vec<Pair<EdgeId>> {
    let mut found = Vec::new();
    let none = Edge::default();
    for (at, x, y) in before.edges.unlike(&after.edges).flat_map(|page| page.rows()) {
        let (x, y) = (x.unwrap_or(&none), y.unwrap_or(&none));
        let same = (x.from, x.to, x.relation, x.sources, x.ends)
            == (y.from, y.to, y.relation, y.sources, y.ends)
            && x.seen == y.seen
            && (x.ends == 0 || before.edge_ended(x) == after.edge_ended(y));
        if let (false, Ok(id)) = (same, u32::try_from(at)) {
            let place = |e: &Edge| (!e.is_none()).then_some(EdgeId(id));
            found.push(Pair { before: place(x), after: place(y) });
        }
    }
    let key = |of: &Graph, id: EdgeId| of.edge(id).map(|e| (e.relation, of.order(e.from), of.order(e.to)));
    meet_again(
        &mut found,
        |e| key(before, e),
        |e| key(after, e),
        |e, f| {
            let told =
                |of: &Graph, id: EdgeId| of.edge(id).map(|e| (e.seen.clone(), e.sources, of.edge_ended(e)));
            told(before, e) == told(after, f) && before.flows.of_edge(e) == after.flows.of_edge(f)
        },
    );
    found
}

/// Makes one pair of what went and came again at another place, or none when it is as it was.
fn meet_again<T: Copy, K: Ord>(
    found: &mut Vec<Pair<T>>,
    key_before: impl Fn(T) -> K,
    key_after: impl Fn(T) -> K,
    same: impl Fn(T, T) -> bool,
) {
    if !found.iter().any(|p| p.after.is_none()) {
        return;
    }
    let came: BTreeMap<K, T> = found
        .iter()
        .filter(|p| p.before.is_none())
        .filter_map(|p| p.after.map(|a| (key_after(a), a)))
        .collect();
    if came.is_empty() {
        return;
    }
    let mut again: BTreeMap<K, T> = BTreeMap::new();
    for pair in found.iter_mut().filter(|p| p.after.is_none()) {
        let Some(went) = pair.before else { continue };
        let key = key_before(went);
        pair.after = came.get(&key).copied();
        if let Some(after) = pair.after {
            again.insert(key, after);
            // Nothing on either side: taken out below.
            if same(went, after) {
                *pair = Pair { before: None, after: None };
            }
        }
    }
    found.retain(|p| match (p.before, p.after) {
        (None, None) => false,
        (None, Some(came)) => !again.contains_key(&key_after(came)),
        _ => true,
    });
}

/// Adds edges of which only what went along them differs; both lists ascend.
fn with_traffic(
    before: &Graph,
    after: &Graph,
    edges: &mut Vec<Pair<EdgeId>>,
    traffic: &[EdgeId],
) -> Vec<Pair<EdgeId>> {
    let mut all = Vec::with_capacity(edges.len() + traffic.len());
    let mut rest = edges.drain(..).peekable();
    for id in traffic {
        while let Some(pair) = rest.next_if(|p| p.before.or(p.after).is_some_and(|e| e <= *id)) {
            all.push(pair);
        }
        let listed = all.last().is_some_and(|p: &Pair<EdgeId>| p.before.or(p.after) == Some(*id));
        // Of an edge that came or went the edge itself is told; what was let go of has no edge any more.
        if !listed && before.edge(*id).is_some() && after.edge(*id).is_some() {
            all.push(Pair { before: Some(*id), after: Some(*id) });
        }
    }
    all.extend(rest);
    all
}

fn series(before: &Graph, after: &Graph) -> Vec<Pair<SeriesId>> {
    let mut found = Vec::new();
    let mut place = |at: usize, a: Option<&Arc<Series>>, b: Option<&Arc<Series>>| {
        let same = a.zip(b).is_some_and(|(a, b)| Arc::ptr_eq(a, b) || a.says_the_same(b));
        if let (false, Ok(id)) = (same, u32::try_from(at)) {
            let (before, after) = (a.filter(|s| s.says_anything()), b.filter(|s| s.says_anything()));
            if before.is_some() || after.is_some() {
                found.push(Pair { before: before.map(|_| SeriesId(id)), after: after.map(|_| SeriesId(id)) });
            }
        }
    };
    // Leaves of the two trees that are one are passed over whole.
    let (mut xs, mut ys) = (before.series.leaves(), after.series.leaves());
    let (mut a, mut b): (&[Arc<Series>], &[Arc<Series>]) = (&[], &[]);
    let mut at = 0;
    loop {
        if a.is_empty() {
            a = xs.next().unwrap_or_default();
        }
        if b.is_empty() {
            b = ys.next().unwrap_or_default();
        }
        let both = match (a.len(), b.len()) {
            (0, 0) => break,
            (0, n) | (n, 0) => n,
            (n, m) => n.min(m),
        };
        if a.is_empty() || !std::ptr::eq(a.as_ptr(), b.as_ptr()) {
            (0..both).for_each(|i| place(at + i, a.get(i), b.get(i)));
        }
        a = a.get(both..).unwrap_or_default();
        b = b.get(both..).unwrap_or_default();
        at += both;
    }
    found
}
