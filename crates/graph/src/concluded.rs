//! Which edges were concluded, and how each follows: rows in pages, as everything that there may be millions of.

use crate::pages::Pages;
use crate::supports::Supports;
use crate::topology::EdgeId;

/// Sets of supports by edge; a clone shares all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concluded {
    /// By edge: the place of its set, counted from one. Pages of edges that were told only are not there.
    places: Pages<u32>,
    /// Places are not used twice.
    sets: Pages<Supports>,
    len: usize,
}

impl Concluded {
    /// How many edges were concluded.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn place(&self, edge: EdgeId) -> Option<usize> {
        self.places.get(edge.0 as usize)?.checked_sub(1).map(|place| place as usize)
    }

    /// How an edge follows, if it was concluded; never an empty set.
    pub(crate) fn get(&self, edge: EdgeId) -> Option<&Supports> {
        self.sets.get(self.place(edge)?)
    }

    /// A set to change.
    pub(crate) fn get_mut(&mut self, edge: EdgeId) -> Option<&mut Supports> {
        self.sets.get_mut(self.place(edge)?)
    }

    /// Notes how an edge follows that was not concluded before.
    pub(crate) fn put(&mut self, edge: EdgeId, supports: Supports) {
        let row = edge.0 as usize;
        if let Some(missing) = (row + 1).checked_sub(self.places.len()) {
            self.places.skip(missing);
        }
        if let Some(place) = self.places.get_mut(row)
            && let Ok(counted) = u32::try_from(self.sets.push(supports) + 1)
        {
            *place = counted;
            self.len += 1;
        }
    }

    /// Forgets that an edge was concluded.
    pub(crate) fn remove(&mut self, edge: EdgeId) {
        let Some(place) = self.place(edge) else { return };
        self.len -= 1;
        let row = edge.0 as usize;
        self.places.get_mut(row).into_iter().for_each(|place| *place = 0);
        self.places.give_back(row, |place| *place == 0);
        self.sets.get_mut(place).into_iter().for_each(|set| *set = Supports::default());
        self.sets.give_back(place, Supports::is_empty);
    }

    /// All of them, by edge.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EdgeId, &Supports)> + '_ {
        (0..).map(EdgeId).zip(self.places.iter()).filter_map(|(edge, _)| Some((edge, self.get(edge)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::{Ground, Support};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn it_is_a_map_and_a_clone_stays_as_it_was(
            steps in proptest::collection::vec((0u32..900, 0u32..40, 0u8..8), 0..400)
        ) {
            let (mut concluded, mut twin) = (Concluded::default(), BTreeMap::new());
            let mut kept = (concluded.clone(), twin.clone());
            for (edge, witness, what) in steps {
                let id = EdgeId(edge);
                match what {
                    0 => kept = (concluded.clone(), twin.clone()),
                    1..4 => {
                        concluded.remove(id);
                        twin.remove(&edge);
                    }
                    _ => {
                        let one = || [Support { plan: 1, grounds: Arc::new([Ground::Witness(witness)]) }];
                        match concluded.get_mut(id) {
                            Some(known) => *known = one().into_iter().collect(),
                            None => concluded.put(id, one().into_iter().collect()),
                        }
                        twin.insert(edge, one());
                    }
                }
            }
            for (concluded, twin) in [(concluded, twin), kept] {
                prop_assert_eq!(concluded.len(), twin.len());
                let all: Vec<_> = concluded.iter().map(|(e, s)| (e.0, s.iter().cloned().collect::<Vec<_>>())).collect();
                prop_assert_eq!(all, twin.into_iter().map(|(e, s)| (e, s.to_vec())).collect::<Vec<_>>());
            }
        }
    }
}
