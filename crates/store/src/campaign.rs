//! A seeded campaign against the log and the documents: whatever a disk and a machine may do to them, beside a naive twin that
//! knows what was acknowledged.

mod judge;
mod world;

use world::World;

/// What one campaign did and found. The same seed and steps give the same tally.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps taken.
    pub steps: u64,
    /// Records whose writer heard that they are kept.
    pub acknowledged: u64,
    /// Records whose writer heard that they are not.
    pub refused: u64,
    /// Records of the second kind that were there after a crash all the same, once.
    pub came_back: u64,
    /// Times the power went.
    pub power_cuts: u64,
    /// Times only the process ended.
    pub ends: u64,
    /// Bits flipped in closed segments.
    pub flipped_bits: u64,
    /// Acknowledged records that these hit.
    pub hit: u64,
    /// Documents kept or removed.
    pub documents: u64,
    /// Times everything was read and compared.
    pub checks: u64,
    /// Acknowledged records that are not read and that no flipped bit hit.
    pub lost: u64,
    /// Records read twice or out of order.
    pub doubled: u64,
    /// Records missing without a word, damage without cause, or a flipped bit that nobody reported.
    pub silent: u64,
    /// Anything else that must not be, such as a store that does not open again.
    pub wrong: u64,
    /// The first thing of the last four kinds, with its seed and step.
    pub first: Option<String>,
}

impl Tally {
    /// How much of what must not be was found.
    pub fn found(&self) -> u64 {
        self.lost + self.doubled + self.silent + self.wrong
    }

    fn add(&mut self, other: Tally) {
        self.steps += other.steps;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.came_back += other.came_back;
        self.power_cuts += other.power_cuts;
        self.ends += other.ends;
        self.flipped_bits += other.flipped_bits;
        self.hit += other.hit;
        self.documents += other.documents;
        self.checks += other.checks;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.silent += other.silent;
        self.wrong += other.wrong;
        self.first = self.first.take().or(other.first);
    }
}

/// Steps before a world is left for a fresh one: long enough for dozens of segments and crashes, short enough that reading
/// everything stays quick.
const WORLD: u64 = 500;

/// Plays so many steps, in worlds of seeds from this one on, and tells how far it is.
pub fn campaign(seed: u64, steps: u64, mut progress: impl FnMut(u64)) -> Tally {
    let mut tally = Tally::default();
    for seed in seed.. {
        let left = steps.saturating_sub(tally.steps);
        if left == 0 {
            break;
        }
        tally.add(World::play(seed, left.min(WORLD)));
        progress(tally.steps);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acknowledged_is_lost_doubled_or_damaged_in_silence() {
        let tally = campaign(1, 30_000, |_| {});
        assert_eq!(tally.found(), 0, "{tally:#?}");
        assert!(tally.acknowledged > 10_000 && tally.refused > 1_000, "{tally:#?}");
        assert!(tally.power_cuts > 1_000 && tally.ends > 500 && tally.hit > 200, "{tally:#?}");
        assert!(tally.documents > 1_000 && tally.checks > 1_000, "{tally:#?}");
    }

    #[test]
    fn the_same_seed_plays_the_same_campaign() {
        assert_eq!(campaign(9, 1_200, |_| {}), campaign(9, 1_200, |_| {}));
    }
}
