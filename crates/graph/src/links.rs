//! Which edges are at a node: a shelf per node, direction and relation with the first few, and a chain of blocks behind it for
//! more. Whoever asks for one relation at a busy node does not walk past the edges of others.

use crate::pages::Pages;
use crate::topology::{EdgeId, NodeId};
use ontology::RelationId;

/// Edges on the shelf itself: with the rest of it, half a cache line.
const FEW: usize = 5;
/// Edges of a block: with the rest of it, a whole one.
const BLOCK: usize = 14;

#[derive(Clone, Debug)]
struct Shelf {
    relation: RelationId,
    len: u16,
    /// The next shelf of the node and direction. All places here are counted from one.
    next: u32,
    /// The newest block.
    blocks: u32,
    edges: [u32; FEW],
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf { relation: RelationId(0), len: 0, next: 0, blocks: 0, edges: [0; FEW] }
    }
}

#[derive(Clone, Debug, Default)]
struct Block {
    older: u32,
    len: u32,
    edges: [u32; BLOCK],
}

/// The first shelves of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Heads {
    out: u32,
    into: u32,
}

/// Which end of the edges is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Out,
    Into,
}

/// The edges at every node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    heads: Pages<Heads>,
    shelves: Pages<Shelf>,
    blocks: Pages<Block>,
    /// Chains of what nobody uses.
    free_shelves: u32,
    free_blocks: u32,
}

fn place(counted: u32) -> Option<usize> {
    counted.checked_sub(1).map(|at| at as usize)
}

impl Links {
    fn first(&self, node: NodeId, end: End) -> u32 {
        let heads = self.heads.get(node.0 as usize).copied().unwrap_or_default();
        if end == End::Out { heads.out } else { heads.into }
    }

    fn set_first(&mut self, node: NodeId, end: End, to: u32) {
        while self.heads.len() <= node.0 as usize {
            self.heads.push(Heads::default());
        }
        if let Some(heads) = self.heads.get_mut(node.0 as usize) {
            *(if end == End::Out { &mut heads.out } else { &mut heads.into }) = to;
        }
    }

    fn shelf(&self, counted: u32) -> Option<&Shelf> {
        self.shelves.get(place(counted)?)
    }

    fn shelf_mut(&mut self, counted: u32) -> Option<&mut Shelf> {
        self.shelves.get_mut(place(counted)?)
    }

    fn block(&self, counted: u32) -> Option<&Block> {
        self.blocks.get(place(counted)?)
    }

    fn block_mut(&mut self, counted: u32) -> Option<&mut Block> {
        self.blocks.get_mut(place(counted)?)
    }

    /// The shelf of a relation at a node, and the one before it.
    fn find(&self, node: NodeId, end: End, relation: RelationId) -> Option<(u32, u32)> {
        let (mut before, mut at) = (0, self.first(node, end));
        while let Some(shelf) = self.shelf(at) {
            if shelf.relation == relation {
                return Some((at, before));
            }
            (before, at) = (at, shelf.next);
        }
        None
    }

    fn new_shelf(&mut self, relation: RelationId, next: u32) -> u32 {
        let shelf = Shelf { relation, next, ..Shelf::default() };
        if let Some(free) = self.shelf(self.free_shelves).map(|s| s.next) {
            let taken = std::mem::replace(&mut self.free_shelves, free);
            if let Some(place) = self.shelf_mut(taken) {
                *place = shelf;
            }
            return taken;
        }
        u32::try_from(self.shelves.push(shelf) + 1).unwrap_or(0)
    }

    fn new_block(&mut self, older: u32) -> u32 {
        let block = Block { older, ..Block::default() };
        if let Some(free) = self.block(self.free_blocks).map(|b| b.older) {
            let taken = std::mem::replace(&mut self.free_blocks, free);
            if let Some(place) = self.block_mut(taken) {
                *place = block;
            }
            return taken;
        }
        u32::try_from(self.blocks.push(block) + 1).unwrap_or(0)
    }

    fn free_shelf(&mut self, counted: u32) {
        let next = self.free_shelves;
        if let Some(shelf) = self.shelf_mut(counted) {
            *shelf = Shelf { next, ..Shelf::default() };
            self.free_shelves = counted;
        }
    }

    fn free_block(&mut self, counted: u32) {
        let older = self.free_blocks;
        if let Some(block) = self.block_mut(counted) {
            *block = Block { older, ..Block::default() };
            self.free_blocks = counted;
        }
    }

    /// Adds an edge to a node.
    pub(crate) fn add(&mut self, node: NodeId, end: End, relation: RelationId, edge: EdgeId) {
        let at = match self.find(node, end, relation) {
            Some((at, _)) => at,
            None => {
                let at = self.new_shelf(relation, self.first(node, end));
                self.set_first(node, end, at);
                at
            }
        };
        let Some(shelf) = self.shelf_mut(at) else { return };
        if let Some(free) = shelf.edges.get_mut(usize::from(shelf.len)) {
            *free = edge.0;
            shelf.len += 1;
            return;
        }
        let mut newest = shelf.blocks;
        if self.block(newest).is_none_or(|b| b.len as usize >= BLOCK) {
            newest = self.new_block(newest);
            if let Some(shelf) = self.shelf_mut(at) {
                shelf.blocks = newest;
            }
        }
        if let Some(block) = self.block_mut(newest)
            && let Some(free) = block.edges.get_mut(block.len as usize)
        {
            *free = edge.0;
            block.len += 1;
        }
    }

    /// Takes an edge from a node.
    pub(crate) fn remove(&mut self, node: NodeId, end: End, relation: RelationId, edge: EdgeId) {
        let Some((at, before)) = self.find(node, end, relation) else { return };
        if !self.replace(at, edge, edge) {
            return;
        }
        // The newest takes its place.
        if let Some(newest) = self.newest(at) {
            self.replace(at, edge, newest);
        }
        if self.shelf(at).is_some_and(|s| s.len == 0) {
            let next = self.shelf(at).map_or(0, |s| s.next);
            match self.shelf_mut(before) {
                Some(before) => before.next = next,
                None => self.set_first(node, end, next),
            }
            self.free_shelf(at);
        }
    }

    /// Writes an edge where another is, unless that was taken already. Says whether it was there.
    fn replace(&mut self, shelf: u32, edge: EdgeId, by: EdgeId) -> bool {
        let Some(on) = self.shelf_mut(shelf) else { return false };
        let mut at = on.blocks;
        if let Some(found) = on.edges.iter_mut().take(usize::from(on.len)).find(|e| **e == edge.0) {
            *found = by.0;
            return true;
        }
        while let Some(block) = self.block(at) {
            let held = block.edges.iter().take(block.len as usize);
            match held.clone().position(|e| *e == edge.0) {
                Some(i) => {
                    if let Some(found) = self.block_mut(at).and_then(|b| b.edges.get_mut(i)) {
                        *found = by.0;
                    }
                    return true;
                }
                None => at = block.older,
            }
        }
        false
    }

    /// Takes the newest edge off a shelf.
    fn newest(&mut self, shelf: u32) -> Option<EdgeId> {
        let blocks = self.shelf(shelf)?.blocks;
        let Some(block) = self.block_mut(blocks) else {
            let shelf = self.shelf_mut(shelf)?;
            shelf.len = shelf.len.checked_sub(1)?;
            return shelf.edges.get(usize::from(shelf.len)).map(|e| EdgeId(*e));
        };
        block.len = block.len.checked_sub(1)?;
        let (newest, empty, older) = (*block.edges.get(block.len as usize)?, block.len == 0, block.older);
        if empty {
            self.free_block(blocks);
            self.shelf_mut(shelf)?.blocks = older;
        }
        Some(EdgeId(newest))
    }

    /// Takes all edges from a node.
    pub(crate) fn clear(&mut self, node: NodeId) {
        for end in [End::Out, End::Into] {
            let mut at = self.first(node, end);
            if at == 0 {
                continue;
            }
            while let Some((next, mut block)) = self.shelf(at).map(|s| (s.next, s.blocks)) {
                while let Some(older) = self.block(block).map(|b| b.older) {
                    self.free_block(block);
                    block = older;
                }
                self.free_shelf(at);
                at = next;
            }
            self.set_first(node, end, 0);
        }
    }

    fn shelves(&self, node: NodeId, end: End) -> impl Iterator<Item = &Shelf> + '_ {
        std::iter::successors(self.shelf(self.first(node, end)), |s| self.shelf(s.next))
    }

    fn on(&self, shelf: &Shelf) -> impl Iterator<Item = EdgeId> + '_ {
        let blocks = std::iter::successors(self.block(shelf.blocks), |b| self.block(b.older));
        let more = blocks.flat_map(|b| b.edges.iter().take(b.len as usize).map(|e| EdgeId(*e)));
        let few = shelf.edges;
        few.into_iter().take(usize::from(shelf.len)).map(EdgeId).chain(more)
    }

    /// The edges of a node, in no order that means anything.
    pub(crate) fn of(&self, node: NodeId, end: End) -> impl Iterator<Item = EdgeId> + '_ {
        self.shelves(node, end).flat_map(|s| self.on(s))
    }

    /// Those of some relations.
    pub(crate) fn of_relations<'a>(
        &'a self,
        node: NodeId,
        end: End,
        relations: &'a [RelationId],
    ) -> impl Iterator<Item = EdgeId> + 'a {
        self.shelves(node, end).filter(|s| relations.contains(&s.relation)).flat_map(|s| self.on(s))
    }

    /// Whether a node has edges at this end.
    pub(crate) fn any(&self, node: NodeId, end: End) -> bool {
        self.first(node, end) != 0
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
            steps in proptest::collection::vec((0u32..4, any::<bool>(), 0u16..3, 0u32..60, 0u8..20), 0..600)
        ) {
            let mut links = Links::default();
            let mut twin: BTreeMap<(u32, bool, u16), Vec<u32>> = BTreeMap::new();
            for (node, out, relation, edge, what) in steps {
                let end = if out { End::Out } else { End::Into };
                let held = twin.entry((node, out, relation)).or_default();
                match what {
                    0 => {
                        links.clear(NodeId(node));
                        twin.retain(|k, _| k.0 != node);
                    }
                    1..7 => {
                        links.remove(NodeId(node), end, RelationId(relation), EdgeId(edge));
                        held.retain(|e| *e != edge);
                    }
                    _ if !held.contains(&edge) => {
                        links.add(NodeId(node), end, RelationId(relation), EdgeId(edge));
                        held.push(edge);
                    }
                    _ => {}
                }
            }
            let sorted = |edges: Vec<EdgeId>| {
                let mut edges: Vec<u32> = edges.into_iter().map(|e| e.0).collect();
                edges.sort_unstable();
                edges
            };
            for node in 0..4 {
                for out in [true, false] {
                    let end = if out { End::Out } else { End::Into };
                    let mut all = Vec::new();
                    for relation in 0..3 {
                        let mut held = twin.remove(&(node, out, relation)).unwrap_or_default();
                        all.extend_from_slice(&held);
                        held.sort_unstable();
                        let of = links.of_relations(NodeId(node), end, &[RelationId(relation)]).collect();
                        prop_assert_eq!(sorted(of), held);
                    }
                    all.sort_unstable();
                    prop_assert_eq!(links.any(NodeId(node), end), !all.is_empty());
                    prop_assert_eq!(sorted(links.of(NodeId(node), end).collect()), all);
                }
            }
        }
    }
}
