//! Which edges are at a node: a shelf per node, direction and relation with the first few, and a chain of blocks behind it for
//! more. Whoever asks for one relation at a busy node does not walk past the edges of others.
//!
//! Edges come in the order in which they are first seen, or nearly so. Each block says from when on any of its edges was seen, and jumps
//! over blocks as a Fenwick tree does (Fenwick, 1994): block number n jumps to n without its lowest bit, and says from when on any
//! edge in between was seen. So what is asked as of a moment passes over all that came later in as many steps as the logarithm.

use crate::pages::Pages;
use crate::topology::{EdgeId, NodeId};
use ontology::{Minute, RelationId};
use std::ops::ControlFlow;

/// Edges on the shelf itself: with the rest of it, little more than half a cache line.
const FEW: usize = 5;
/// Edges of a block: with the rest of it, a whole one.
const BLOCK: usize = 12;
/// Blocks that are searched for an edge that turns out to have been seen earlier. Beyond: the shelf no longer passes over blocks for
/// what is asked from that minute on.
const SEARCHED: usize = 64;
/// Later than every minute that anything was seen at.
const NEVER: i32 = i32::MAX;

#[derive(Clone, Debug)]
struct Shelf {
    relation: RelationId,
    /// The next shelf of the node and direction. All places here are counted from one.
    next: u32,
    /// The newest block.
    blocks: u32,
    /// Edges here and in blocks. All blocks but the newest are full.
    count: u32,
    /// From this minute on, blocks may hold edges that were seen earlier than they say.
    doubted: i32,
    edges: [u32; FEW],
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf { relation: RelationId(0), next: 0, blocks: 0, count: 0, doubted: NEVER, edges: [0; FEW] }
    }
}

impl Shelf {
    /// Edges on the shelf itself.
    fn few(&self) -> &[u32] {
        self.edges.get(..self.count as usize).unwrap_or(&self.edges)
    }

    /// Edges in blocks.
    fn behind(&self) -> u32 {
        self.count.saturating_sub(FEW as u32)
    }

    /// The newest block's number, counted from one.
    fn newest(&self) -> u32 {
        self.behind().div_ceil(BLOCK as u32)
    }

    /// Edges in the newest block; none when there is no block.
    fn in_newest(&self) -> usize {
        let behind = self.behind() as usize;
        if behind == 0 { 0 } else { (behind - 1) % BLOCK + 1 }
    }
}

#[derive(Clone, Debug)]
struct Block {
    older: u32,
    /// The block that this one jumps to.
    jump: u32,
    /// The first minute that any of its edges was seen at.
    first: i32,
    /// The same of all blocks from this one to the one it jumps to, that one left out.
    reach: i32,
    edges: [u32; BLOCK],
}

impl Default for Block {
    fn default() -> Self {
        Block { older: 0, jump: 0, first: NEVER, reach: NEVER, edges: [0; BLOCK] }
    }
}

/// The number of the block that a block jumps to.
fn jumped(number: u32) -> u32 {
    number & number.wrapping_sub(1)
}

/// A minute as it is kept.
#[expect(clippy::cast_possible_truncation, reason = "clamped first")]
fn short(minute: Minute) -> i32 {
    minute.0.clamp(i64::from(i32::MIN), i64::from(NEVER - 1)) as i32
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

    /// A block behind another, and its number.
    fn new_block(&mut self, older: u32, number: u32) -> u32 {
        // The block before has the number one less; what it jumps to, and that in turn, ends where this one jumps to.
        let (mut jump, mut at, mut reach) = (older, number - 1, NEVER);
        while at != jumped(number)
            && let Some(block) = self.block(jump)
        {
            reach = reach.min(block.reach);
            (jump, at) = (block.jump, jumped(at));
        }
        let block = Block { older, jump, reach, ..Block::default() };
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

    /// Adds an edge to a node, first seen at a minute; `None` of one that no source told of.
    pub(crate) fn add(
        &mut self,
        node: NodeId,
        end: End,
        relation: RelationId,
        edge: EdgeId,
        first: Option<Minute>,
    ) {
        let at = match self.find(node, end, relation) {
            Some((at, _)) => at,
            None => {
                let at = self.new_shelf(relation, self.first(node, end));
                self.set_first(node, end, at);
                at
            }
        };
        let Some(shelf) = self.shelf_mut(at) else { return };
        let count = shelf.count as usize;
        shelf.count += 1;
        if let Some(free) = shelf.edges.get_mut(count) {
            *free = edge.0;
            return;
        }
        let (number, within) = (shelf.newest(), shelf.in_newest() - 1);
        let mut newest = shelf.blocks;
        if within == 0 {
            newest = self.new_block(newest, number);
            if let Some(shelf) = self.shelf_mut(at) {
                shelf.blocks = newest;
            }
        }
        if let Some(block) = self.block_mut(newest)
            && let Some(free) = block.edges.get_mut(within)
        {
            *free = edge.0;
            let first = first.map_or(NEVER, short);
            block.first = block.first.min(first);
            block.reach = block.reach.min(first);
        }
    }

    /// An edge at a node turns out to have been seen at an earlier minute than any before.
    pub(crate) fn earlier(
        &mut self,
        node: NodeId,
        end: End,
        relation: RelationId,
        edge: EdgeId,
        first: Minute,
    ) {
        let Some((at, _)) = self.find(node, end, relation) else { return };
        let first = short(first);
        if self.shelf(at).is_none_or(|s| s.few().contains(&edge.0))
            || self.replace(at, edge, edge, first, SEARCHED)
        {
            return;
        }
        if let Some(shelf) = self.shelf_mut(at) {
            shelf.doubted = shelf.doubted.min(first);
        }
    }

    /// Takes an edge from a node.
    pub(crate) fn remove(&mut self, node: NodeId, end: End, relation: RelationId, edge: EdgeId) {
        let Some((at, before)) = self.find(node, end, relation) else { return };
        if !self.replace(at, edge, edge, NEVER, usize::MAX) {
            return;
        }
        // The newest takes its place.
        if let Some((newest, first)) = self.newest(at) {
            self.replace(at, edge, newest, first, usize::MAX);
        }
        if self.shelf(at).is_some_and(|s| s.count == 0) {
            let next = self.shelf(at).map_or(0, |s| s.next);
            match self.shelf_mut(before) {
                Some(before) => before.next = next,
                None => self.set_first(node, end, next),
            }
            self.free_shelf(at);
        }
    }

    /// Writes an edge, not seen before a minute, where another is in a shelf's first so many blocks, unless that was taken already.
    /// Says whether it was there.
    fn replace(&mut self, shelf: u32, edge: EdgeId, by: EdgeId, first: i32, blocks: usize) -> bool {
        let Some(on) = self.shelf_mut(shelf) else { return false };
        let (begin, newest, mut len) = (on.blocks, on.newest(), on.in_newest());
        let few = on.few().len();
        if let Some(found) = on.edges.iter_mut().take(few).find(|e| **e == edge.0) {
            *found = by.0;
            return true;
        }
        let (mut at, mut number, mut searched) = (begin, newest, 0);
        let found = loop {
            let Some(block) = self.block(at).filter(|_| searched < blocks) else { return false };
            if let Some(within) = block.edges.iter().take(len).position(|e| *e == edge.0) {
                break within;
            }
            (at, number, len, searched) = (block.older, number - 1, BLOCK, searched + 1);
        };
        if let Some(block) = self.block_mut(at) {
            block.first = block.first.min(first);
            if let Some(e) = block.edges.get_mut(found) {
                *e = by.0;
            }
        }
        // Whatever passes over it, from the newest on.
        let (mut passing, mut its) = (begin, newest);
        while its >= number
            && let Some(block) = self.block(passing)
        {
            let older = block.older;
            if jumped(its) < number
                && block.reach > first
                && let Some(block) = self.block_mut(passing)
            {
                block.reach = first;
            }
            (passing, its) = (older, its - 1);
        }
        true
    }

    /// Takes the newest edge off a shelf; says no minute before which it was not seen.
    fn newest(&mut self, shelf: u32) -> Option<(EdgeId, i32)> {
        let (blocks, within) = self.shelf(shelf).map(|s| (s.blocks, s.in_newest()))?;
        let Some(last) = within.checked_sub(1) else {
            let shelf = self.shelf_mut(shelf)?;
            shelf.count = shelf.count.checked_sub(1)?;
            return shelf.edges.get(shelf.count as usize).map(|e| (EdgeId(*e), i32::MIN));
        };
        let block = self.block(blocks)?;
        let (newest, first, older) = (*block.edges.get(last)?, block.first, block.older);
        self.shelf_mut(shelf)?.count -= 1;
        if last == 0 {
            self.free_block(blocks);
            self.shelf_mut(shelf)?.blocks = older;
        }
        Some((EdgeId(newest), first))
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

    fn on<'a>(&'a self, shelf: &'a Shelf) -> impl Iterator<Item = EdgeId> + 'a {
        let newest = self.block(shelf.blocks).map(|b| (b, shelf.in_newest()));
        let blocks = std::iter::successors(newest, |(b, _)| Some((self.block(b.older)?, BLOCK)));
        let more = blocks.flat_map(|(b, len)| b.edges.iter().take(len));
        shelf.few().iter().chain(more).map(|e| EdgeId(*e))
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

    /// Gives the edges of a node that may have been seen by a minute, some at a time, until `found` says that it has enough. All
    /// that were seen by then are among them.
    pub(crate) fn seen_by(
        &self,
        node: NodeId,
        end: End,
        minute: Minute,
        mut found: impl FnMut(&[u32]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let minute = short(minute);
        for shelf in self.shelves(node, end) {
            found(shelf.few())?;
            let passes = minute < shelf.doubted;
            let (mut at, mut len) = (shelf.blocks, shelf.in_newest());
            while let Some(block) = self.block(at) {
                if passes && block.reach > minute {
                    at = block.jump;
                } else {
                    // On its way here while what is on this one is looked at.
                    std::hint::black_box(self.block(block.older).map_or(0, |b| b.first));
                    if !passes || block.first <= minute {
                        found(block.edges.get(..len).unwrap_or(&block.edges))?;
                    }
                    at = block.older;
                }
                len = BLOCK;
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether a node has edges at this end.
    pub(crate) fn any(&self, node: NodeId, end: End) -> bool {
        self.first(node, end) != 0
    }

    /// Brings the places near that edges of some nodes will be added at, several at a time, before they are needed one by one.
    pub(crate) fn warm(&self, ends: &[(NodeId, End)]) -> usize {
        let shelves: Vec<u32> = ends.iter().map(|(node, end)| self.first(*node, *end)).collect();
        let counts = shelves.iter().filter_map(|s| Some(self.shelves.warm(place(*s)?)));
        let pages = counts.fold(0, usize::wrapping_add);
        let blocks: Vec<u32> = shelves.iter().filter_map(|s| self.shelf(*s)).map(|s| s.blocks).collect();
        let newest = blocks.iter().filter_map(|b| self.block(*b)).map(|b| b.older as usize);
        let counts = blocks.iter().filter_map(|b| Some(self.blocks.warm(place(*b)?)));
        counts.chain(newest).fold(pages, usize::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Edges of one relation at both ends of a node, by edge: when it was first seen.
    type Held = BTreeMap<(u32, bool, u16), BTreeMap<u32, i64>>;

    fn end(out: bool) -> End {
        if out { End::Out } else { End::Into }
    }

    fn seen_by(links: &Links, node: u32, out: bool, minute: i64) -> Vec<u32> {
        let mut given = Vec::new();
        let _ = links.seen_by(NodeId(node), end(out), Minute(minute), |edges| {
            given.extend_from_slice(edges);
            ControlFlow::Continue(())
        });
        given.sort_unstable();
        given
    }

    #[test]
    fn what_came_later_is_passed_over() {
        let mut links = Links::default();
        for edge in 0..100_000u32 {
            let first = Minute(i64::from(edge / 1000));
            links.add(NodeId(0), End::Out, RelationId(0), EdgeId(edge), Some(first));
        }
        let asked = |minute| seen_by(&links, 0, true, minute).len();
        assert!((1000..1000 + 2 * BLOCK).contains(&asked(0)), "{}", asked(0));
        assert!((51_000..51_000 + 2 * BLOCK).contains(&asked(50)), "{}", asked(50));
        assert_eq!((asked(-1), asked(99)), (FEW, 100_000));
    }

    #[test]
    fn what_turns_out_to_be_earlier_is_found_however_far_back_it_stands() {
        let mut links = Links::default();
        for edge in 0..10_000u32 {
            links.add(NodeId(0), End::Out, RelationId(0), EdgeId(edge), Some(Minute(50)));
        }
        for (edge, minute) in [(9_990, 20), (7, 30)] {
            links.earlier(NodeId(0), End::Out, RelationId(0), EdgeId(edge), Minute(minute));
        }
        let asked = |minute| seen_by(&links, 0, true, minute);
        assert!(asked(20).contains(&9_990) && asked(20).len() < 100);
        // Too far back to be looked for: from its minute on nothing is passed over.
        assert!(asked(30).contains(&7));
        assert_eq!((asked(19).len(), asked(30).len()), (FEW, 10_000));
    }

    #[test]
    fn how_many_steps_it_takes_to_pass_over_all_is_the_logarithm() {
        let mut links = Links::default();
        for edge in 0..100_000u32 {
            links.add(NodeId(0), End::Out, RelationId(0), EdgeId(edge), Some(Minute(7)));
        }
        let shelf = links.shelf(links.first(NodeId(0), End::Out)).unwrap();
        let chain = std::iter::successors(links.block(shelf.blocks), |b| links.block(b.jump));
        assert_eq!((shelf.newest(), chain.count()), (8_333, 8_333u32.count_ones() as usize));
    }

    proptest! {
        #[test]
        fn nodes_have_the_edges_that_were_added_and_not_taken(
            steps in proptest::collection::vec((0u32..4, any::<bool>(), 0u16..3, (0u32..90, 0i64..40), 0u8..30), 0..900)
        ) {
            let mut links = Links::default();
            let mut twin: Held = BTreeMap::new();
            for (node, out, relation, (edge, minute), what) in steps {
                let held = twin.entry((node, out, relation)).or_default();
                let (at, of, which) = (NodeId(node), RelationId(relation), EdgeId(edge));
                match (what, held.get(&edge).copied()) {
                    (0, _) => {
                        links.clear(at);
                        twin.retain(|k, _| k.0 != node);
                    }
                    (1..5, _) => {
                        links.remove(at, end(out), of, which);
                        held.remove(&edge);
                    }
                    (_, Some(first)) if minute < first => {
                        links.earlier(at, end(out), of, which, Minute(minute));
                        held.insert(edge, minute);
                    }
                    (_, None) => {
                        let first = (minute != 13).then_some(Minute(minute));
                        links.add(at, end(out), of, which, first);
                        held.insert(edge, first.map_or(i64::MAX, |m| m.0));
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
                    let mut all = BTreeMap::new();
                    let mut many = Vec::new();
                    for relation in 0..3 {
                        let held = twin.remove(&(node, out, relation)).unwrap_or_default();
                        let of = links.of_relations(NodeId(node), end(out), &[RelationId(relation)]).collect();
                        prop_assert_eq!(sorted(of), held.keys().copied().collect::<Vec<_>>());
                        many.extend(held.keys().copied());
                        all.insert(relation, held);
                    }
                    many.sort_unstable();
                    prop_assert_eq!(links.any(NodeId(node), end(out)), !many.is_empty());
                    prop_assert_eq!(sorted(links.of(NodeId(node), end(out)).collect()), &many[..]);
                    for minute in [0, 5, 12, 13, 20, 39] {
                        let given = seen_by(&links, node, out, minute);
                        for held in all.values() {
                            for (edge, _) in held.iter().filter(|(_, first)| **first <= minute) {
                                prop_assert!(given.binary_search(edge).is_ok(), "{} by {}", edge, minute);
                            }
                        }
                        prop_assert!(given.len() <= many.len());
                    }
                }
            }
        }
    }
}
