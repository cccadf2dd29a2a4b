//! The writer's way from what an edge joins to its id: one table of eight bytes a place, probed in a row.

use crate::topology::{EdgeId, NodeId};
use ontology::RelationId;

/// What an edge joins.
pub(crate) type Ends = (RelationId, NodeId, NodeId);

/// Fullest that the table may be, in eighths.
const FULL: usize = 6;

#[derive(Debug, Default)]
pub(crate) struct EdgeIndex {
    /// Part of the hash, then the id counted from one; zero where nothing is.
    places: Vec<u64>,
    held: usize,
}

/// Multiplies and folds (as wyhash does): every bit of the ends reaches every bit of the hash.
#[expect(clippy::cast_possible_truncation, reason = "the upper and the lower half are mixed")]
fn hash((relation, from, to): Ends) -> u32 {
    let ends = u64::from(from.0) << 32 | u64::from(to.0);
    let wide =
        u128::from(ends ^ 0x9e37_79b9_7f4a_7c15) * u128::from(0xd6e8_feb8_6659_fd93 ^ u64::from(relation.0));
    let folded = (wide >> 64) as u64 ^ wide as u64;
    (folded ^ folded >> 32) as u32
}

fn id(place: u64) -> EdgeId {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    EdgeId((place as u32).wrapping_sub(1))
}

impl EdgeIndex {
    /// Where a hash begins to be looked for: the table's length need not be a power of two.
    fn begin(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.places.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }

    /// Brings the places of some ends near, several at a time, before they are needed one by one.
    pub(crate) fn warm(&self, ends: impl Iterator<Item = Ends>) -> u64 {
        ends.fold(0, |sum, e| sum ^ self.places.get(self.begin(hash(e))).copied().unwrap_or(0))
    }

    /// The edge that is likely the one between some ends: the first with the same part of the hash.
    pub(crate) fn guess(&self, ends: Ends) -> Option<EdgeId> {
        let place = *self.places.get(self.begin(hash(ends)))?;
        (place >> 32 == u64::from(hash(ends))).then(|| id(place))
    }

    /// The edge between some ends; `is` says whether one is it.
    pub(crate) fn get(&self, ends: Ends, is: impl Fn(EdgeId) -> bool) -> Option<EdgeId> {
        self.find(ends, is).map(|found| found.1)
    }

    fn find(&self, ends: Ends, is: impl Fn(EdgeId) -> bool) -> Option<(usize, EdgeId)> {
        if self.places.is_empty() {
            return None;
        }
        let hash = hash(ends);
        let mut at = self.begin(hash);
        loop {
            let place = *self.places.get(at)?;
            if place == 0 {
                return None;
            }
            if place >> 32 == u64::from(hash) && is(id(place)) {
                return Some((at, id(place)));
            }
            at = self.after(at);
        }
    }

    /// Makes room for so many edges at once.
    pub(crate) fn reserve(&mut self, edges: usize) {
        let places = edges * 8 / FULL + 1024;
        if self.held == 0 && places > self.places.len() {
            self.places = vec![0; places];
        }
    }

    /// Adds an edge that is not there.
    pub(crate) fn insert(&mut self, ends: Ends, edge: EdgeId) {
        if (self.held + 1) * 8 > self.places.len() * FULL {
            self.grow();
        }
        self.put(u64::from(hash(ends)) << 32 | (u64::from(edge.0) + 1));
        self.held += 1;
    }

    fn put(&mut self, place: u64) {
        let mut at = self.begin((place >> 32) as u32);
        while self.places.get(at).is_some_and(|p| *p != 0) {
            at = self.after(at);
        }
        if let Some(free) = self.places.get_mut(at) {
            *free = place;
        }
    }

    fn grow(&mut self) {
        let larger = (self.places.len() * 3 / 2).max(1024);
        let before = std::mem::replace(&mut self.places, vec![0; larger]);
        before.into_iter().filter(|p| *p != 0).for_each(|p| self.put(p));
    }

    /// Takes an edge out; what was probed past its place moves up.
    pub(crate) fn remove(&mut self, ends: Ends, is: impl Fn(EdgeId) -> bool) {
        let Some((mut hole, _)) = self.find(ends, is) else { return };
        self.held -= 1;
        let mut at = hole;
        loop {
            at = self.after(at);
            let Some(place) = self.places.get(at).copied().filter(|p| *p != 0) else { break };
            let begin = self.begin((place >> 32) as u32);
            // It may move into the hole unless it begins between the hole and itself.
            let stays = if hole <= at { hole < begin && begin <= at } else { hole < begin || begin <= at };
            if !stays {
                if let Some(free) = self.places.get_mut(hole) {
                    *free = place;
                }
                hole = at;
            }
        }
        if let Some(free) = self.places.get_mut(hole) {
            *free = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_finds_what_was_added_and_not_taken(steps in proptest::collection::vec((0u32..40, 0u32..40, any::<bool>()), 0..3000)) {
            let mut index = EdgeIndex::default();
            let mut twin: BTreeMap<Ends, EdgeId> = BTreeMap::new();
            let mut ids: Vec<Ends> = Vec::new();
            for (from, to, add) in steps {
                let ends = (RelationId(1), NodeId(from), NodeId(to));
                let is = |e: EdgeId| ids[e.0 as usize] == ends;
                if !add {
                    index.remove(ends, is);
                    twin.remove(&ends);
                } else if index.get(ends, is).is_none() {
                    let id = EdgeId(ids.len() as u32);
                    ids.push(ends);
                    index.insert(ends, id);
                    twin.insert(ends, id);
                }
            }
            for from in 0..40 {
                for to in 0..40 {
                    let ends = (RelationId(1), NodeId(from), NodeId(to));
                    prop_assert_eq!(index.get(ends, |e| ids[e.0 as usize] == ends), twin.get(&ends).copied());
                }
            }
        }
    }
}
