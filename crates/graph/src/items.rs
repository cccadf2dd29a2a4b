//! The items that were counted, so that none is counted twice however often it arrives: by the minute they are of, minutes that are
//! over packed.

use ontology::Minute;
use ontology::fact::ItemId;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Minutes behind a new one whose items still arrive, mostly.
const ARRIVING: i64 = 2;
/// Items that arrived late, for each of so many packed ones, are packed with them.
const LATE: usize = 8;
/// Fewer are not worth packing.
const WORTH: usize = 1024;
/// Items of a drawer, on average, as a power of two.
const DRAWER_BITS: u32 = 3;

/// Ids in ascending order: those that begin with the same bits in one drawer, without these bits (as Elias and Fano do, in whole
/// bytes). Some seven bytes an id; a hash set takes up to eighteen.
#[derive(Debug, Default)]
struct Packed {
    /// Bits that say which drawer.
    bits: u32,
    /// Where each drawer begins, and the end of the last.
    begins: Vec<u32>,
    /// What is left of an id, in so many bytes.
    width: usize,
    bytes: Vec<u8>,
}

impl Packed {
    /// Of sorted ids, each once.
    fn new(ids: &[u64]) -> Packed {
        let bits = ids.len().max(1).ilog2().saturating_sub(DRAWER_BITS);
        let mut packed = Packed {
            bits,
            begins: Vec::with_capacity((1 << bits) + 1),
            width: (64 - bits).div_ceil(8) as usize,
            bytes: Vec::new(),
        };
        packed.bytes.reserve_exact(ids.len() * packed.width);
        for (place, id) in (0u32..).zip(ids) {
            while packed.begins.len() <= packed.drawer(*id) {
                packed.begins.push(place);
            }
            packed.bytes.extend_from_slice(id.to_le_bytes().get(..packed.width).unwrap_or_default());
        }
        packed.begins.resize((1 << bits) + 1, u32::try_from(ids.len()).unwrap_or(u32::MAX));
        packed
    }

    #[expect(clippy::cast_possible_truncation, reason = "the first bits of an id; fewer than 32")]
    fn drawer(&self, id: u64) -> usize {
        id.checked_shr(64 - self.bits).unwrap_or(0) as usize
    }

    fn len(&self) -> usize {
        self.begins.last().map_or(0, |end| *end as usize)
    }

    /// What is kept of the ids of a drawer.
    fn kept(&self, drawer: usize) -> impl Iterator<Item = u64> + '_ {
        let place = |d: usize| self.begins.get(d).map_or(0, |b| *b as usize * self.width);
        let bytes = self.bytes.get(place(drawer)..place(drawer + 1)).unwrap_or_default();
        bytes
            .chunks_exact(self.width)
            .map(|kept| kept.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }

    fn mask(&self) -> u64 {
        u64::MAX.checked_shr(64 - 8 * u32::try_from(self.width).unwrap_or(8)).unwrap_or(u64::MAX)
    }

    fn holds(&self, id: u64) -> bool {
        let wanted = id & self.mask();
        self.width != 0 && self.kept(self.drawer(id)).any(|kept| kept == wanted)
    }

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let first = |drawer: usize| (drawer as u64).checked_shl(64 - self.bits).unwrap_or(0) & !self.mask();
        let drawers = if self.width == 0 { 0 } else { 1usize << self.bits };
        (0..drawers).flat_map(move |d| self.kept(d).map(move |kept| first(d) | kept))
    }
}

/// Items of one minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfMinute {
    packed: Arc<Packed>,
    arriving: FxHashSet<u64>,
}

impl OfMinute {
    pub(crate) fn len(&self) -> usize {
        self.packed.len() + self.arriving.len()
    }

    /// Every id, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.packed.iter().chain(self.arriving.iter().copied())
    }

    fn insert(&mut self, id: u64) -> bool {
        !self.packed.holds(id) && self.arriving.insert(id)
    }

    fn is_to_pack(&self) -> bool {
        self.arriving.len() >= WORTH && self.arriving.len() >= self.packed.len() / LATE
    }

    fn pack(&mut self) {
        let mut all: Vec<u64> = self.iter().collect();
        all.sort_unstable();
        *self = OfMinute { packed: Arc::new(Packed::new(&all)), arriving: FxHashSet::default() };
    }
}

/// Items by minute; a clone shares all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    minutes: BTreeMap<Minute, Arc<OfMinute>>,
    len: usize,
}

impl Items {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// By minute.
    pub(crate) fn minutes(&self) -> impl Iterator<Item = (Minute, &OfMinute)> {
        self.minutes.iter().map(|(m, of)| (*m, of.as_ref()))
    }

    /// Remembers an item. Says whether it is new; forgets the oldest minute beyond so many items.
    pub(crate) fn is_new(&mut self, id: ItemId, minute: Minute, limit: usize) -> bool {
        let of_minute = match self.minutes.get_mut(&minute) {
            Some(known) => known,
            None => self.begin(minute),
        };
        let of_minute = Arc::make_mut(of_minute);
        if !of_minute.insert(id.0) {
            return false;
        }
        self.len += 1;
        while self.len > limit && self.minutes.len() > 1 {
            if let Some((_, oldest)) = self.minutes.pop_first() {
                self.len -= oldest.len();
            }
        }
        true
    }

    /// A new minute; of the latest one as many items are expected as of the one before.
    fn begin(&mut self, minute: Minute) -> &mut Arc<OfMinute> {
        self.pack_before(minute.plus(-ARRIVING));
        let before = self.minutes.last_key_value().filter(|(last, _)| **last == minute.plus(-1));
        let expected = before.map_or(0, |(_, of)| of.len());
        let new = self.minutes.entry(minute).or_default();
        Arc::make_mut(new).arriving.reserve(expected);
        new
    }

    fn pack_before(&mut self, minute: Minute) {
        for (_, of_minute) in self.minutes.range_mut(..minute).filter(|(_, of)| of.is_to_pack()) {
            Arc::make_mut(of_minute).pack();
        }
    }

    /// Takes back items of a minute that were written down.
    pub(crate) fn put(&mut self, minute: Minute, ids: Vec<u64>) {
        let of_minute = Arc::make_mut(self.minutes.entry(minute).or_default());
        self.len += ids.into_iter().filter(|id| of_minute.insert(*id)).count();
        if of_minute.is_to_pack() {
            of_minute.pack();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn any_ids() -> impl Strategy<Value = BTreeSet<u64>> {
        let id = prop_oneof![any::<u64>(), 0u64..300, any::<u64>().prop_map(|i| i | 0xffff << 48)];
        proptest::collection::btree_set(id, 0..3000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_packed_is_there_and_nothing_else(ids in any_ids(), others in any_ids()) {
            let sorted: Vec<u64> = ids.iter().copied().collect();
            let packed = Packed::new(&sorted);
            prop_assert_eq!(packed.len(), ids.len());
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), sorted);
            for id in ids.iter().chain(&others) {
                prop_assert_eq!(packed.holds(*id), ids.contains(id));
            }
        }

        #[test]
        fn items_are_new_once_however_late_they_come(
            told in proptest::collection::vec((0i64..9, 0u64..6), 1..400), many in 1u64..900
        ) {
            let mut items = Items::default();
            let mut twin: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
            for (minute, which) in told {
                for id in (0..many).map(|i| (i * 6 + which).wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                    let new = twin.entry(minute).or_default().insert(id);
                    prop_assert_eq!(items.is_new(ItemId(id), Minute(minute), usize::MAX), new);
                }
            }
            prop_assert_eq!(items.len(), twin.values().map(BTreeSet::len).sum::<usize>());
            let mut again = Items::default();
            for (minute, of) in items.minutes() {
                again.put(minute, of.iter().collect());
            }
            let sets = |items: &Items| -> Vec<(Minute, BTreeSet<u64>)> {
                items.minutes().map(|(m, of)| (m, of.iter().collect())).collect()
            };
            prop_assert_eq!(sets(&again), sets(&items));
            prop_assert_eq!(again.len(), items.len());
        }
    }

    #[test]
    fn minutes_that_are_over_are_packed_and_the_oldest_forgotten() {
        let mut items = Items::default();
        let mixed = |i: u64| ItemId(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for minute in 0..10i64 {
            for i in 0..5_000 {
                assert!(items.is_new(mixed(i), Minute(minute), 30_000));
            }
        }
        let (oldest, of_oldest) = items.minutes().next().unwrap();
        assert_eq!((oldest, items.len()), (Minute(4), 30_000));
        assert_eq!((of_oldest.packed.len(), of_oldest.arriving.len()), (5_000, 0));
        assert!(!items.is_new(mixed(7), Minute(4), 30_000) && items.is_new(mixed(7), Minute(3), 40_000));
    }
}
