//! The minutes at which something was seen, kept as runs: minutes closer together than a gap are one run.
//!
//! Single-linkage in one dimension does not depend on order, so runs built from the same minutes are the same runs.

use ontology::Minute;
use serde::{Deserialize, Serialize};

/// Runs of minutes, ascending, none closer to the next than the gap they were built with.
///
/// Sixteen bytes, and no more for what was seen in one run, as nearly everything is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Runs {
    first: i32,
    last: i32,
    /// All runs, when there are more than one.
    #[expect(clippy::box_collection, reason = "one pointer wide: a graph holds one of these per edge")]
    several: Option<Box<Vec<(i32, i32)>>>,
}

/// Minutes as they are kept: four thousand years to either side of 1970.
#[expect(clippy::cast_possible_truncation, reason = "clamped first")]
fn short(minute: i64) -> i32 {
    minute.clamp(i64::from(i32::MIN + 1), i64::from(i32::MAX - 1)) as i32
}

impl Default for Runs {
    fn default() -> Self {
        Runs { first: 1, last: 0, several: None }
    }
}

impl PartialEq for Runs {
    fn eq(&self, other: &Runs) -> bool {
        // What is the same is kept the same: several are kept only when there are several, and none is always the default.
        (self.first, self.last) == (other.first, other.last) && self.several == other.several
    }
}

impl Eq for Runs {}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs(")?;
        f.debug_list().entries(self.iter()).finish()?;
        f.write_str(")")
    }
}

impl Runs {
    fn of(runs: Vec<(i32, i32)>) -> Runs {
        match (runs.first(), runs.last()) {
            (Some(first), Some(last)) => {
                let (first, last) = (first.0, last.1);
                Runs { first, last, several: (runs.len() > 1).then(|| Box::new(runs)) }
            }
            _ => Runs::default(),
        }
    }

    fn short(&self) -> impl DoubleEndedIterator<Item = (i32, i32)> + '_ {
        let several = self.several.as_deref().map_or(&[][..], |s| s);
        let one = (self.several.is_none() && !self.is_empty()).then_some((self.first, self.last));
        one.into_iter().chain(several.iter().copied())
    }

    /// Adds one minute; runs that come within `gap` minutes of each other become one.
    pub fn add(&mut self, minute: Minute, gap: i64) {
        let minute = short(minute.0);
        if self.is_empty() {
            (self.first, self.last) = (minute, minute);
            return;
        }
        let gap = short(gap);
        let near =
            |run: (i32, i32)| minute >= run.0.saturating_sub(gap) && minute <= run.1.saturating_add(gap);
        // Most facts are about now, and most things were seen in one run.
        if self.several.is_none() && near((self.first, self.last)) {
            self.first = self.first.min(minute);
            self.last = self.last.max(minute);
            return;
        }
        let mut runs: Vec<(i32, i32)> = match self.several.take() {
            Some(several) => *several,
            None => vec![(self.first, self.last)],
        };
        let at = runs.partition_point(|run| run.1.saturating_add(gap) < minute);
        match runs.get_mut(at) {
            Some(run) if near(*run) => *run = (run.0.min(minute), run.1.max(minute)),
            _ => runs.insert(at, (minute, minute)),
        }
        while let (Some(run), Some(next)) = (runs.get(at).copied(), runs.get(at + 1).copied())
            && next.0.saturating_sub(run.1) <= gap
        {
            runs.remove(at + 1);
            if let Some(run) = runs.get_mut(at) {
                run.1 = run.1.max(next.1);
            }
        }
        *self = Runs::of(runs);
    }

    /// Runs of these stretches; only those that touch become one.
    fn covering(mut all: Vec<(i32, i32)>) -> Runs {
        all.sort_unstable();
        let mut runs: Vec<(i32, i32)> = Vec::new();
        for (from, to) in all {
            match runs.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => runs.push((from, to)),
            }
        }
        Runs::of(runs)
    }

    /// Adds the minutes from one to another, both included; only runs that touch become one.
    pub(crate) fn cover(&mut self, first: Minute, last: Minute) {
        let (first, last) = (short(first.0), short(last.0.max(first.0)));
        let near = first <= self.last.saturating_add(1) && last >= self.first.saturating_sub(1);
        match &self.several {
            _ if self.is_empty() => (self.first, self.last) = (first, last),
            None if near => (self.first, self.last) = (self.first.min(first), self.last.max(last)),
            _ => *self = Runs::covering(self.short().chain([(first, last)]).collect()),
        }
    }

    /// Adds every minute of some runs; only runs that touch become one.
    pub(crate) fn cover_all(&mut self, other: &Runs) {
        *self = Runs::covering(self.short().chain(other.short()).collect());
    }

    /// Whether every minute of some runs is in one of these.
    pub(crate) fn covers_all(&self, other: &Runs) -> bool {
        other.iter().all(|run| self.at(run.0, 0).is_some_and(|own| own.1 >= run.1))
    }

    /// The minutes that are in both.
    pub(crate) fn and(&self, other: &Runs) -> Runs {
        let both = self.short().flat_map(|a| other.short().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
        Runs::covering(both.filter(|(from, to)| from <= to).collect())
    }

    /// Each run prolonged by `life`; those that touch then are one.
    pub(crate) fn prolonged(&self, life: i64) -> Runs {
        let life = short(life);
        Runs::covering(self.short().map(|(from, to)| (from, to.saturating_add(life))).collect())
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// The first minute seen.
    pub fn first(&self) -> Option<Minute> {
        (!self.is_empty()).then_some(Minute(i64::from(self.first)))
    }

    /// The last minute seen.
    pub fn last(&self) -> Option<Minute> {
        (!self.is_empty()).then_some(Minute(i64::from(self.last)))
    }

    /// The run that a minute falls into, when a run is taken to go on for `life` minutes after it was last seen.
    pub fn at(&self, minute: Minute, life: i64) -> Option<(Minute, Minute)> {
        let run = match self.several.as_deref() {
            None => (self.first, self.last),
            Some(runs) => {
                let before = runs.partition_point(|run| i64::from(run.0) <= minute.0);
                *runs.get(before.checked_sub(1)?)?
            }
        };
        let (first, last) = (i64::from(run.0), i64::from(run.1));
        (first <= minute.0 && minute.0 <= last.saturating_add(life) && !self.is_empty())
            .then_some((Minute(first), Minute(last)))
    }

    /// Whether any run, prolonged by `life`, shares a minute with `from..to`.
    pub fn touches(&self, from: Minute, to: Minute, life: i64) -> bool {
        self.iter().any(|run| run.0 < to && run.1.0.saturating_add(life) >= from.0)
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Minute, Minute)> + '_ {
        self.short().map(|(from, to)| (Minute(i64::from(from)), Minute(i64::from(to))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built(minutes: &[i64], gap: i64) -> Runs {
        let mut runs = Runs::default();
        for m in minutes {
            runs.add(Minute(*m), gap);
        }
        runs
    }

    fn pairs(runs: &Runs) -> Vec<(Minute, Minute)> {
        runs.iter().collect()
    }

    #[test]
    fn minutes_close_together_are_one_run() {
        assert_eq!(
            pairs(&built(&[1, 2, 9, 3, 20], 5)),
            vec![(Minute(1), Minute(3)), (Minute(9), Minute(9)), (Minute(20), Minute(20))]
        );
        assert_eq!(pairs(&built(&[1, 9, 5], 5)), vec![(Minute(1), Minute(9))]);
    }

    #[test]
    fn a_run_goes_on_for_its_life_after_it_was_last_seen() {
        let runs = built(&[10, 12], 5);
        assert!(runs.at(Minute(9), 5).is_none());
        assert!(runs.at(Minute(17), 5).is_some());
        assert!(runs.at(Minute(18), 5).is_none());
    }

    #[test]
    fn what_is_in_both_is_what_overlaps() {
        let (a, b) = (built(&[1, 2, 3, 9, 20], 5), built(&[3, 8, 12], 3));
        assert_eq!(pairs(&a), [(Minute(1), Minute(3)), (Minute(9), Minute(9)), (Minute(20), Minute(20))]);
        assert_eq!(pairs(&a.and(&b.prolonged(1))), [(Minute(3), Minute(3)), (Minute(9), Minute(9))]);
        assert!(a.and(&Runs::default()).is_empty());
        let mut both = a.clone();
        both.cover_all(&built(&[4, 10], 0));
        assert_eq!(pairs(&both), [(Minute(1), Minute(4)), (Minute(9), Minute(10)), (Minute(20), Minute(20))]);
        assert!(both.covers_all(&a) && !a.covers_all(&both));
    }

    #[test]
    fn parts_of_runs_put_together_are_the_runs() {
        let whole = built(&[1, 2, 3, 30, 31, 80], 5);
        let mut parts = Runs::default();
        for (first, last) in [(30, 30), (80, 80), (2, 3), (31, 31), (1, 1), (31, 31)] {
            parts.cover(Minute(first), Minute(last));
        }
        assert_eq!(parts, whole);
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(minutes in proptest::collection::vec(0i64..200, 1..60), gap in 0i64..8) {
            let forwards = built(&minutes, gap);
            let mut other = minutes.clone();
            other.reverse();
            other.extend_from_slice(&minutes);
            prop_assert_eq!(&forwards, &built(&other, gap));
            let mut sorted = minutes;
            sorted.sort_unstable();
            prop_assert_eq!(&forwards, &built(&sorted, gap));
        }
    }
}
