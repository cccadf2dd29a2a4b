//! Which edges are at a node: a chain of small blocks per node and direction, newest first.

use crate::pages::Pages;
use crate::topology::{EdgeId, NodeId};

/// Edges of a block: with its head, one cache line.
const BLOCK: usize = 14;

#[derive(Clone, Debug, Default)]
struct Block {
    /// The next older block, counted from one.
    older: u32,
    len: u32,
    edges: [u32; BLOCK],
}

/// The newest blocks of a node, counted from one.
#[derive(Clone, Copy, Debug, Default)]
struct Heads {
    out: u32,
    into: u32,
}

/// The edges at every node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    heads: Pages<Heads>,
    blocks: Pages<Block>,
    /// A chain of blocks that no node uses.
    free: u32,
}

/// Which end of the edges is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Out,
    Into,
}

impl Heads {
    fn at(&mut self, end: End) -> &mut u32 {
        match end {
            End::Out => &mut self.out,
            End::Into => &mut self.into,
        }
    }
}

fn place(counted: u32) -> Option<usize> {
    counted.checked_sub(1).map(|at| at as usize)
}

impl Links {
    fn head(&self, node: NodeId, end: End) -> u32 {
        self.heads.get(node.0 as usize).copied().map_or(0, |mut heads| *heads.at(end))
    }

    fn set_head(&mut self, node: NodeId, end: End, to: u32) {
        while self.heads.len() <= node.0 as usize {
            self.heads.push(Heads::default());
        }
        if let Some(heads) = self.heads.get_mut(node.0 as usize) {
            *heads.at(end) = to;
        }
    }

    fn block(&self, counted: u32) -> Option<&Block> {
        self.blocks.get(place(counted)?)
    }

    fn block_mut(&mut self, counted: u32) -> Option<&mut Block> {
        self.blocks.get_mut(place(counted)?)
    }

    /// An empty block before `older`.
    fn fresh(&mut self, older: u32) -> u32 {
        if let Some(free) = self.block(self.free).map(|b| b.older) {
            let taken = std::mem::replace(&mut self.free, free);
            if let Some(block) = self.block_mut(taken) {
                *block = Block { older, ..Block::default() };
            }
            return taken;
        }
        let at = self.blocks.push(Block { older, ..Block::default() });
        u32::try_from(at + 1).unwrap_or(0)
    }

    fn let_go(&mut self, counted: u32) {
        let free = self.free;
        if let Some(block) = self.block_mut(counted) {
            *block = Block { older: free, ..Block::default() };
            self.free = counted;
        }
    }

    /// Adds an edge to a node.
    pub(crate) fn add(&mut self, node: NodeId, end: End, edge: EdgeId) {
        let mut head = self.head(node, end);
        if self.block(head).is_none_or(|b| b.len as usize >= BLOCK) {
            head = self.fresh(head);
            self.set_head(node, end, head);
        }
        if let Some(block) = self.block_mut(head)
            && let Some(slot) = block.edges.get_mut(block.len as usize)
        {
            *slot = edge.0;
            block.len += 1;
        }
    }

    /// Takes an edge from a node.
    pub(crate) fn remove(&mut self, node: NodeId, end: End, edge: EdgeId) {
        let head = self.head(node, end);
        let mut at = head;
        let found = loop {
            let Some(block) = self.block(at) else { return };
            let edges = block.edges.get(..block.len as usize).unwrap_or_default();
            match edges.iter().position(|e| *e == edge.0) {
                Some(i) => break i,
                None => at = block.older,
            }
        };
        // The newest takes its place.
        let Some((last, empty, older)) = self.block_mut(head).and_then(|newest| {
            newest.len -= 1;
            Some((*newest.edges.get(newest.len as usize)?, newest.len == 0, newest.older))
        }) else {
            return;
        };
        if let Some(slot) = self.block_mut(at).and_then(|b| b.edges.get_mut(found)) {
            *slot = last;
        }
        if empty {
            self.set_head(node, end, older);
            self.let_go(head);
        }
    }

    /// Takes all edges from a node.
    pub(crate) fn clear(&mut self, node: NodeId) {
        for end in [End::Out, End::Into] {
            let mut at = self.head(node, end);
            while let Some(older) = self.block(at).map(|b| b.older) {
                self.let_go(at);
                at = older;
            }
            if self.head(node, end) != 0 {
                self.set_head(node, end, 0);
            }
        }
    }

    /// The edges of a node, in no order that means anything.
    pub(crate) fn of(&self, node: NodeId, end: End) -> impl Iterator<Item = EdgeId> + '_ {
        let first = self.block(self.head(node, end));
        std::iter::successors(first, |b| self.block(b.older))
            .flat_map(|b| b.edges.get(..b.len as usize).unwrap_or_default().iter().map(|e| EdgeId(*e)))
    }

    /// Whether a node has edges at this end.
    pub(crate) fn any(&self, node: NodeId, end: End) -> bool {
        self.head(node, end) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn nodes_have_the_edges_that_were_added_and_not_taken(
            steps in proptest::collection::vec((0u32..5, any::<bool>(), 0u32..60, 0u8..10), 0..400)
        ) {
            let mut links = Links::default();
            let mut twin: BTreeMap<(u32, bool), Vec<u32>> = BTreeMap::new();
            for (node, out, edge, what) in steps {
                let end = if out { End::Out } else { End::Into };
                let held = twin.entry((node, out)).or_default();
                match what {
                    0 => {
                        links.clear(NodeId(node));
                        twin.remove(&(node, out));
                        twin.remove(&(node, !out));
                    }
                    1..4 => {
                        links.remove(NodeId(node), end, EdgeId(edge));
                        held.retain(|e| *e != edge);
                    }
                    _ if !held.contains(&edge) => {
                        links.add(NodeId(node), end, EdgeId(edge));
                        held.push(edge);
                    }
                    _ => {}
                }
            }
            for node in 0..5 {
                for out in [true, false] {
                    let end = if out { End::Out } else { End::Into };
                    let mut found: Vec<u32> = links.of(NodeId(node), end).map(|e| e.0).collect();
                    let mut held = twin.remove(&(node, out)).unwrap_or_default();
                    found.sort_unstable();
                    held.sort_unstable();
                    prop_assert_eq!(links.any(NodeId(node), end), !held.is_empty());
                    prop_assert_eq!(found, held);
                }
            }
        }
    }
}
