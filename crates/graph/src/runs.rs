//! The minutes at which something was seen, kept as runs: minutes closer together than a gap are one run.
//!
//! Single-linkage in one dimension does not depend on order, so runs built from the same minutes are the same runs.

use ontology::Minute;

/// Runs of minutes, ascending, none closer to the next than the gap they were built with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<(Minute, Minute)>);

impl Runs {
    /// Adds one minute; runs that come within `gap` minutes of each other become one.
    pub fn add(&mut self, minute: Minute, gap: i64) {
        let near = |run: &(Minute, Minute)| minute.0 >= run.0.0 - gap && minute.0 <= run.1.0 + gap;
        // Most facts are about now: look at the last run first.
        if let Some(last) = self.0.last_mut() {
            if minute >= last.0 && minute <= last.1 {
                return;
            }
            if minute > last.1 {
                if near(last) {
                    last.1 = minute;
                } else {
                    self.0.push((minute, minute));
                }
                return;
            }
        } else {
            self.0.push((minute, minute));
            return;
        }
        let at = self.0.partition_point(|run| run.1.0 + gap < minute.0);
        match self.0.get_mut(at) {
            Some(run) if near(run) => {
                run.0 = run.0.min(minute);
                run.1 = run.1.max(minute);
            }
            _ => self.0.insert(at, (minute, minute)),
        }
        let mut i = at.saturating_sub(1);
        while i + 1 < self.0.len() && i <= at {
            if self.0[i + 1].0.0 - self.0[i].1.0 <= gap {
                let next = self.0.remove(i + 1);
                self.0[i].1 = self.0[i].1.max(next.1);
            } else {
                i += 1;
            }
        }
    }

    /// Adds every minute of some runs; only runs that touch become one.
    pub(crate) fn cover_all(&mut self, other: &Runs) {
        let mut all: Vec<(Minute, Minute)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        self.0.clear();
        for (from, to) in all {
            match self.0.last_mut() {
                Some(last) if from.0 <= last.1.0.saturating_add(1) => last.1 = last.1.max(to),
                _ => self.0.push((from, to)),
            }
        }
    }

    /// Whether every minute of some runs is in one of these.
    pub(crate) fn covers_all(&self, other: &Runs) -> bool {
        other.0.iter().all(|run| self.at(run.0, 0).is_some_and(|own| own.1 >= run.1))
    }

    /// The minutes that are in both.
    pub(crate) fn and(&self, other: &Runs) -> Runs {
        let both = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
        let mut found = Runs::default();
        found.cover_all(&Runs(both.filter(|(from, to)| from <= to).collect()));
        found
    }

    /// Each run prolonged by `life`; those that touch then are one.
    pub(crate) fn prolonged(&self, life: i64) -> Runs {
        let mut found = Runs::default();
        found.cover_all(&Runs(self.0.iter().map(|(a, b)| (*a, Minute(b.0.saturating_add(life)))).collect()));
        found
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first minute seen.
    pub fn first(&self) -> Option<Minute> {
        self.0.first().map(|r| r.0)
    }

    /// The last minute seen.
    pub fn last(&self) -> Option<Minute> {
        self.0.last().map(|r| r.1)
    }

    /// The run that a minute falls into, when a run is taken to go on for `life` minutes after it was last seen.
    pub fn at(&self, minute: Minute, life: i64) -> Option<(Minute, Minute)> {
        let before = self.0.partition_point(|run| run.0 <= minute);
        let run = *self.0.get(before.checked_sub(1)?)?;
        (minute.0 <= run.1.0.saturating_add(life)).then_some(run)
    }

    /// Whether any run, prolonged by `life`, shares a minute with `from..to`.
    pub fn touches(&self, from: Minute, to: Minute, life: i64) -> bool {
        self.0.iter().any(|run| run.0 < to && run.1.0.saturating_add(life) >= from.0)
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Minute, Minute)> + '_ {
        self.0.iter().copied()
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

    #[test]
    fn minutes_close_together_are_one_run() {
        assert_eq!(
            built(&[1, 2, 9, 3, 20], 5).0,
            vec![(Minute(1), Minute(3)), (Minute(9), Minute(9)), (Minute(20), Minute(20))]
        );
        assert_eq!(built(&[1, 9, 5], 5).0, vec![(Minute(1), Minute(9))]);
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
        assert_eq!(a.0, [(Minute(1), Minute(3)), (Minute(9), Minute(9)), (Minute(20), Minute(20))]);
        assert_eq!(a.and(&b.prolonged(1)).0, [(Minute(3), Minute(3)), (Minute(9), Minute(9))]);
        assert!(a.and(&Runs::default()).is_empty());
        let mut both = a.clone();
        both.cover_all(&built(&[4, 10], 0));
        assert_eq!(both.0, [(Minute(1), Minute(4)), (Minute(9), Minute(10)), (Minute(20), Minute(20))]);
        assert!(both.covers_all(&a) && !a.covers_all(&both));
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
