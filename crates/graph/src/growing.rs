//! Distributions that grow (cumulative histograms): readings in, what came between them out.
//!
//! A reading says everything since its process started; what counts is the difference between neighbours. Readings come late,
//! twice and in any order, so a newcomer takes back what its successor was said to have grown by and splits it in two.

use crate::stat::Stat;
use ontology::{Minute, Time};
use std::collections::BTreeMap;

/// Readings kept of one process: an hour of them at the usual interval of a minute. Beyond: the oldest are let go, and a
/// reading that comes later than that changes nothing (its growth is in its successor's already).
const KEPT: usize = 64;

/// What was read: representative values with their counts, ascending, and the exact sum when the source knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub values: Vec<(f64, u64)>,
    pub sum: Option<f64>,
}

/// A change to a minute: what to take away and what to add.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub minute: Minute,
    pub less: Stat,
    pub more: Stat,
}

/// The readings of one process, oldest first.
#[derive(Clone, Debug, Default)]
struct Run {
    readings: Vec<(Time, Reading)>,
    /// Older ones were let go: the first that is left has been counted against one of them.
    cut: bool,
}

/// The readings of one series, by the start of the process that made them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Growing {
    runs: BTreeMap<Time, Run>,
    /// The earliest reading of any process: one that started after it was watched from its beginning.
    first: Option<Time>,
}

impl Growing {
    /// Takes a reading and says what changes.
    pub(crate) fn read(&mut self, at: Time, start: Time, reading: Reading) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = self.first;
        let watched = before.map_or(at, |f| f.min(at));
        if before != Some(watched) {
            self.first = Some(watched);
            // Processes that now turn out to have been watched from their beginning.
            for run in self.runs.iter().filter(|(s, r)| !r.cut && **s >= watched && Some(**s) < before) {
                if let Some((at, first)) = run.1.readings.first() {
                    changes.push(Change { minute: at.minute(), less: Stat::default(), more: whole(first) });
                }
            }
        }
        let run = self.runs.entry(start).or_default();
        let i = run.readings.partition_point(|r| r.0 < at);
        if i == 0 && run.cut {
            return changes;
        }
        let grown = |run: &Run, i: usize| -> Option<Change> {
            let (at, now) = run.readings.get(i)?;
            let more = match i.checked_sub(1).and_then(|j| run.readings.get(j)) {
                Some((_, before)) => between(before, now),
                None if !run.cut && start >= watched => whole(now),
                None => Stat::default(),
            };
            Some(Change { minute: at.minute(), less: Stat::default(), more })
        };
        let taken_back = |c: Change| Change { less: c.more, more: Stat::default(), ..c };
        let twice = run.readings.get(i).is_some_and(|r| r.0 == at);
        if twice {
            // Two readings of one moment: the larger, whichever came first.
            if run.readings.get(i).is_some_and(|r| total(&r.1) >= total(&reading)) {
                return changes;
            }
            changes.extend([i, i + 1].into_iter().filter_map(|i| grown(run, i)).map(taken_back));
            run.readings[i].1 = reading;
        } else {
            changes.extend(grown(run, i).map(taken_back));
            run.readings.insert(i, (at, reading));
        }
        changes.extend([i, i + 1].into_iter().filter_map(|i| grown(run, i)));
        if run.readings.len() > KEPT {
            run.readings.remove(0);
            run.cut = true;
        }
        changes
    }
}

fn total(r: &Reading) -> u64 {
    r.values.iter().map(|v| v.1).sum()
}

fn whole(r: &Reading) -> Stat {
    stat(r.values.iter().copied(), r.sum)
}

fn stat(values: impl Iterator<Item = (f64, u64)>, sum: Option<f64>) -> Stat {
    let mut stat = Stat::default();
    let mut roughly = 0.0;
    for (value, count) in values {
        stat.add(value, count, 0);
        roughly += value * count as f64;
    }
    if let (Some(exact), true) = (sum, stat.count > 0) {
        stat.correct_sum(exact - roughly);
    }
    stat
}

/// What came between two readings of one process.
fn between(before: &Reading, now: &Reading) -> Stat {
    let old: BTreeMap<u64, u64> = before.values.iter().map(|(v, n)| (v.to_bits(), *n)).collect();
    let mut grown = Vec::with_capacity(now.values.len());
    let mut matched = 0;
    for (value, count) in &now.values {
        let was = old.get(&value.to_bits()).copied().unwrap_or(0);
        matched += u64::from(was > 0);
        match count.checked_sub(was) {
            Some(0) => {}
            Some(more) => grown.push((*value, more)),
            // Less than before: it was set to zero without saying so.
            None => return whole(now),
        }
    }
    let sum = before.sum.zip(now.sum).map(|(a, b)| b - a);
    if matched == u64::try_from(old.len()).unwrap_or(u64::MAX) {
        return stat(grown.into_iter(), sum);
    }
    // The buckets themselves are others now (an exponential histogram that had to widen): as many as came, spread as all are.
    let (was, all) = (total(before), total(now));
    let Some(more) = all.checked_sub(was).filter(|_| all > 0) else { return whole(now) };
    let share = |n: u64| u64::try_from(u128::from(n) * u128::from(more) / u128::from(all)).unwrap_or(0);
    let mut spread: Vec<(f64, u64)> = now.values.iter().map(|(v, n)| (*v, share(*n))).collect();
    let left = more - spread.iter().map(|s| s.1).sum::<u64>();
    if let Some(largest) = spread.iter_mut().max_by_key(|s| s.1) {
        largest.1 += left;
    }
    stat(spread.into_iter(), sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minute: i64) -> Time {
        Time::from_secs(1_800_000_000 + minute * 60)
    }

    fn reading(small: u64, large: u64) -> Reading {
        let values = [(5.0, small), (50.0, large)].into_iter().filter(|v| v.1 > 0).collect();
        Reading { values, sum: Some(5.0 * small as f64 + 50.0 * large as f64) }
    }

    /// Folds readings (start, at, reading) into minutes.
    fn minutes(readings: &[(i64, i64, Reading)]) -> BTreeMap<Minute, Stat> {
        let mut growing = Growing::default();
        let mut minutes: BTreeMap<Minute, Stat> = BTreeMap::new();
        for (start, when, r) in readings {
            for c in growing.read(at(*when), at(*start), r.clone()) {
                let stat = minutes.entry(c.minute).or_default();
                stat.merge(&c.more);
                stat.take(&c.less);
            }
        }
        minutes.retain(|_, s| *s != Stat::default());
        minutes
    }

    fn counts(readings: &[(i64, i64, Reading)]) -> Vec<(i64, u64, f64)> {
        let zero = at(0).minute().0;
        minutes(readings).into_iter().map(|(m, s)| (m.0 - zero, s.count, s.sum())).collect()
    }

    #[test]
    fn what_came_between_two_readings_counts_in_the_minute_of_the_later() {
        let readings = [(0, 1, reading(10, 0)), (0, 2, reading(12, 1)), (0, 3, reading(12, 1))];
        assert_eq!(counts(&readings), [(2, 3, 60.0)]);
    }

    #[test]
    fn a_process_that_started_while_it_was_watched_counts_from_zero() {
        let readings = [(0, 1, reading(10, 0)), (2, 3, reading(4, 0)), (2, 4, reading(5, 0))];
        assert_eq!(counts(&readings), [(3, 4, 20.0), (4, 1, 5.0)]);
    }

    #[test]
    fn two_processes_in_one_series_do_not_take_each_other_for_a_restart() {
        let readings = [
            (0, 5, reading(100, 0)),
            (1, 5, reading(200, 0)),
            (0, 6, reading(101, 0)),
            (1, 6, reading(202, 0)),
        ];
        assert_eq!(counts(&readings), [(6, 3, 15.0)]);
    }

    #[test]
    fn buckets_that_were_widened_spread_what_came() {
        let wide = Reading { values: vec![(20.0, 15)], sum: Some(350.0) };
        assert_eq!(counts(&[(0, 1, reading(8, 2)), (0, 2, wide)]), [(2, 5, 210.0)]);
    }

    #[test]
    fn a_reading_later_than_the_kept_ones_changes_nothing() {
        let many: Vec<_> = (1..100).filter(|m| *m != 3).map(|m| (0, m, reading(m as u64 * 2, 0))).collect();
        let mut late = many.clone();
        late.push((0, 3, reading(6, 0)));
        assert_eq!(counts(&late), counts(&many));
    }

    proptest! {
        #[test]
        fn order_and_repetition_change_nothing(
            growth in proptest::collection::vec((0u64..5, 0u64..3, any::<bool>()), 1..30), seed in any::<u64>(),
        ) {
            let (mut small, mut large, mut start) = (3, 1, 0);
            let mut readings = Vec::new();
            for (i, (a, b, restarts)) in growth.into_iter().enumerate() {
                let minute = i64::try_from(i).unwrap() + 1;
                if restarts && i % 4 == 3 {
                    (small, large, start) = (0, 0, minute);
                }
                (small, large) = (small + a, large + b);
                readings.push((start, minute, reading(small, large)));
            }
            let straight = minutes(&readings);
            let mut shuffled = readings.clone();
            shuffled.extend(readings.iter().take(5).cloned());
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            prop_assert_eq!(straight, minutes(&shuffled));
        }
    }
}
