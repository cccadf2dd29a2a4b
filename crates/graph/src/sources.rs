//! Who told of something: sets of sources, each distinct set kept once.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const WORDS: usize = 4;
/// Sources told apart. Beyond: further ones count as the last.
const MOST: usize = WORDS * 64;

/// A set of sources, by their place in [`crate::Graph`]'s list of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Sources([u64; WORDS]);

impl Sources {
    /// The set of one.
    pub(crate) fn one(place: usize) -> Sources {
        let place = place.min(MOST - 1);
        let mut set = Sources::default();
        set.0[place / 64] = 1 << (place % 64);
        set
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Sources::default()
    }

    pub(crate) fn with(self, other: Sources) -> Sources {
        Sources(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    pub(crate) fn without(self, other: Sources) -> Sources {
        Sources(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    pub(crate) fn has(self, other: Sources) -> bool {
        self.with(other) == self
    }

    /// The places of its sources, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..WORDS).flat_map(move |i| {
            let mut rest = self.0[i];
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        })
    }

    /// The place under which a source is counted.
    pub(crate) fn place(source: usize) -> usize {
        source.min(MOST - 1)
    }
}

/// A set of sources as edges keep it: its place among all distinct sets; 0 is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SetId(u16);

/// Every distinct set there is.
#[derive(Clone, Debug)]
pub(crate) struct Sets(Arc<Vec<Sources>>);

impl Default for Sets {
    fn default() -> Self {
        Sets(Arc::new(vec![Sources::default()]))
    }
}

impl Sets {
    /// Every set, the empty one first.
    pub(crate) fn all(&self) -> &[Sources] {
        &self.0
    }

    pub(crate) fn of(all: Vec<Sources>) -> Sets {
        Sets(Arc::new(all))
    }

    pub(crate) fn get(&self, id: SetId) -> Sources {
        self.0.get(usize::from(id.0)).copied().unwrap_or_default()
    }

    /// Whether the sets have the same places as others.
    pub(crate) fn is(&self, other: &Sets) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// The writer's way from a set to its place.
#[derive(Debug, Default)]
pub(crate) struct SetIndex(FxHashMap<Sources, SetId>);

impl SetIndex {
    pub(crate) fn of(sets: &Sets) -> SetIndex {
        let places = (0u16..).map(SetId).zip(sets.all());
        SetIndex(places.skip(1).map(|(id, set)| (*set, id)).collect())
    }

    /// The place of a set. There are 65,536; beyond, a new set counts as the one it grew from.
    pub(crate) fn id(&mut self, sets: &mut Sets, set: Sources, was: SetId) -> SetId {
        if set.is_empty() {
            return SetId(0);
        }
        if let Some(known) = self.0.get(&set) {
            return *known;
        }
        let Ok(id) = u16::try_from(sets.0.len()).map(SetId) else { return was };
        Arc::make_mut(&mut sets.0).push(set);
        self.0.insert(set, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_kept_once() {
        let (mut sets, mut index) = (Sets::default(), SetIndex::default());
        let (a, b) = (Sources::one(3), Sources::one(200));
        let both = index.id(&mut sets, a.with(b), SetId(0));
        assert_eq!(both, index.id(&mut sets, b.with(a), SetId(0)));
        assert_ne!(both, index.id(&mut sets, a, SetId(0)));
        assert_eq!(sets.get(both).iter().collect::<Vec<_>>(), [3, 200]);
        assert!(sets.get(both).has(a) && !a.has(b) && sets.get(both).without(a) == b);
        assert_eq!(index.id(&mut sets, Sources::default(), both), SetId(0));
        assert_eq!(Sources::one(1000), Sources::one(255));
    }
}
