//! What grows (counters, cumulative histograms): readings in, what came between them out.
//!
//! A reading says everything since its process started; what counts is the difference between neighbours. Readings come late,
//! twice and in any order, so a newcomer takes back what its successor was said to have grown by and splits it in two. Where
//! the source does not say when the process started, a fall between neighbours tells of a new start.

use crate::stat::{FARTHEST, Stat, tries_micro};
use ontology::{Minute, StreamId, Time};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Readings kept of one process: an hour of them at the usual interval of a minute. Beyond: the oldest are let go, and a
/// reading that comes later than that changes nothing (its growth is in its successor's already).
const KEPT: usize = 64;

/// Processes whose readings are kept for one series. Beyond: the one that was silent longest is let go, and counts from its next
/// reading when it speaks again.
const RUNS: usize = 4096;

/// Growth of counters is kept in millionths: whole numbers, so that order does not matter.
pub(crate) const MICRO: f64 = 1e6;

/// What was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reading {
    /// A counter of happenings.
    Counter(f64),
    /// A counter of which the speed is the value: seconds of work per second.
    Speed(f64),
    /// A counter of which only the growth itself is asked for.
    Amount(f64),
    /// A counter of tries of a ratio, all of one outcome.
    Tries { count: f64, bad: bool },
    /// A distribution.
    Values(Box<Values>),
}

/// Representative values with their counts, ascending, and the exact sum when the source knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Values {
    pub values: Vec<(f64, u64)>,
    pub sum: Option<f64>,
}

/// What came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Growth {
    pub stat: Stat,
    /// Of a counter, in millionths.
    pub micro: i128,
}

/// A change to a minute: what to take away and what to add.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub minute: Minute,
    pub less: Growth,
    pub more: Growth,
}

/// The readings of one process, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Run {
    readings: Vec<(Time, Reading)>,
    /// Older ones were let go: the first that is left has been counted against one of them.
    cut: bool,
}

/// The readings of one series, by what they are readings of and the start of the process that made them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Growing {
    runs: BTreeMap<(StreamId, Time), Run>,
    /// The earliest reading of any process: one that started after it was watched from its beginning.
    first: Option<Time>,
}

impl Growing {
    /// Takes a reading and says what changes.
    pub(crate) fn read(&mut self, stream: StreamId, at: Time, start: Time, reading: Reading) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = self.first;
        let watched = before.map_or(at, |f| f.min(at));
        if before != Some(watched) {
            self.first = Some(watched);
            // Processes that now turn out to have been watched from their beginning.
            for ((_, start), run) in &self.runs {
                if !run.cut
                    && *start >= watched
                    && Some(*start) < before
                    && let Some((at, first)) = run.readings.first()
                {
                    let more = whole(*start, *at, first);
                    changes.push(Change { minute: at.minute(), less: Growth::default(), more });
                }
            }
        }
        if self.runs.len() >= RUNS && !self.runs.contains_key(&(stream, start)) {
            let silent = self.runs.iter().min_by_key(|(k, r)| (r.readings.last().map(|l| l.0), **k));
            if let Some(key) = silent.map(|s| *s.0) {
                self.runs.remove(&key);
            }
        }
        let run = self.runs.entry((stream, start)).or_default();
        let i = run.readings.partition_point(|r| r.0 < at);
        if i == 0 && run.cut {
            return changes;
        }
        let grown = |run: &Run, i: usize| -> Option<Change> {
            let (at, now) = run.readings.get(i)?;
            let more = match i.checked_sub(1).and_then(|j| run.readings.get(j)) {
                Some((then, before)) => between(*then, before, *at, now),
                None if !run.cut && start >= watched => whole(start, *at, now),
                None => Growth::default(),
            };
            Some(Change { minute: at.minute(), less: Growth::default(), more })
        };
        let taken_back = |c: Change| Change { less: c.more, more: Growth::default(), ..c };
        let twice = run.readings.get(i).is_some_and(|r| r.0 == at);
        if twice {
            // Two readings of one moment: the larger, whichever came first.
            if run.readings.get(i).is_some_and(|r| larger(&r.1, &reading) != Ordering::Less) {
                return changes;
            }
            changes.extend([i, i + 1].into_iter().filter_map(|i| grown(run, i)).map(taken_back));
            if let Some(r) = run.readings.get_mut(i) {
                r.1 = reading;
            }
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

    /// Lets go of processes that said nothing since.
    pub(crate) fn forget_before(&mut self, minute: Minute) {
        self.runs.retain(|_, r| r.readings.last().is_some_and(|l| l.0.minute() >= minute));
    }
}

/// An order of readings by how much they say; total, so that which of two counts does not depend on which came first.
fn larger(a: &Reading, b: &Reading) -> Ordering {
    let number = |r: &Reading| match r {
        Reading::Counter(v) | Reading::Speed(v) | Reading::Amount(v) => *v,
        Reading::Tries { count, .. } => *count,
        Reading::Values(v) => total(v) as f64,
    };
    let bits = |r: &Reading| match r {
        Reading::Values(v) => {
            let sum = v.sum.map(f64::to_bits);
            (sum, v.values.iter().map(|(v, n)| (v.to_bits(), *n)).collect())
        }
        Reading::Tries { count, bad } => (None, vec![(count.to_bits(), u64::from(*bad))]),
        _ => (None, Vec::new()),
    };
    number(a).total_cmp(&number(b)).then_with(|| bits(a).cmp(&bits(b)))
}

fn total(r: &Values) -> u64 {
    r.values.iter().map(|v| v.1).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturating by definition of `as`, and values are finite"
)]
fn micro(value: f64) -> i128 {
    (value * MICRO).round().clamp(-FARTHEST, FARTHEST) as i128
}

/// Whole happenings: rounded down where it was read, so that what is lost here comes with a later reading.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn happened(value: f64) -> u64 {
    value.clamp(0.0, 9.0e15).floor() as u64
}

/// Everything that a first reading says.
fn whole(start: Time, at: Time, r: &Reading) -> Growth {
    let nothing = match r {
        Reading::Counter(_) => Reading::Counter(0.0),
        Reading::Speed(_) => Reading::Speed(0.0),
        Reading::Amount(_) => Reading::Amount(0.0),
        Reading::Tries { bad, .. } => Reading::Tries { count: 0.0, bad: *bad },
        Reading::Values(_) => Reading::Values(Box::new(Values { values: Vec::new(), sum: Some(0.0) })),
    };
    between(start, &nothing, at, r)
}

/// What came between two readings of one process.
fn between(then: Time, before: &Reading, at: Time, now: &Reading) -> Growth {
    let mut stat = Stat::default();
    // Less than before: it started again without saying so.
    let (Reading::Counter(was) | Reading::Speed(was) | Reading::Amount(was)) = before else {
        match (before, now) {
            (Reading::Tries { count: was, .. }, Reading::Tries { count, bad }) => {
                let was = if count < was { 0.0 } else { *was };
                // Rounded where it was read, so that growths add up to what was read.
                let more = tries_micro(*count).saturating_sub(tries_micro(was));
                stat.add_tries_micro(more, if *bad { more } else { 0 });
            }
            (Reading::Values(before), Reading::Values(now)) => stat = spread(before, now),
            // Readings of one stream are of one kind.
            _ => {}
        }
        return Growth { stat, micro: 0 };
    };
    let (Reading::Counter(is) | Reading::Speed(is) | Reading::Amount(is)) = now else {
        return Growth::default();
    };
    let was = if is < was { 0.0 } else { *was };
    match now {
        Reading::Counter(_) => stat.add_count(happened(*is) - happened(was), 0),
        Reading::Speed(_) => {
            let seconds = at.since(then) as f64 / 1e9;
            if seconds > 0.0 {
                stat.add((is - was) / seconds, 1, 0);
            }
        }
        _ => {}
    }
    Growth { stat, micro: micro(*is) - micro(was) }
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

/// What came between two readings of a distribution.
fn spread(before: &Values, now: &Values) -> Stat {
    let all_of_it = || stat(now.values.iter().copied(), now.sum);
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
            None => return all_of_it(),
        }
    }
    let sum = before.sum.zip(now.sum).map(|(a, b)| b - a);
    if matched == u64::try_from(old.len()).unwrap_or(u64::MAX) {
        return stat(grown.into_iter(), sum);
    }
    // The buckets themselves are others now (an exponential histogram that had to widen): as many as came, spread as all are.
    let (was, all) = (total(before), total(now));
    let Some(more) = all.checked_sub(was).filter(|_| all > 0) else { return all_of_it() };
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
        Reading::Values(Box::new(Values { values, sum: Some(5.0 * small as f64 + 50.0 * large as f64) }))
    }

    /// Folds readings (start, at, reading) into minutes.
    fn minutes(readings: &[(i64, i64, Reading)]) -> BTreeMap<Minute, Stat> {
        let all: Vec<_> = readings.iter().map(|(s, w, r)| (StreamId(1), at(*s), at(*w), r.clone())).collect();
        grown(&all).into_iter().map(|(m, g)| (m, g.stat)).collect()
    }

    /// The same of (stream, start, at, reading).
    fn grown(readings: &[(StreamId, Time, Time, Reading)]) -> BTreeMap<Minute, Growth> {
        let mut growing = Growing::default();
        let mut minutes: BTreeMap<Minute, Growth> = BTreeMap::new();
        for (stream, start, at, r) in readings {
            for c in growing.read(*stream, *at, *start, r.clone()) {
                let growth = minutes.entry(c.minute).or_default();
                growth.stat.merge(&c.more.stat);
                growth.stat.take(&c.less.stat);
                growth.micro += c.more.micro - c.less.micro;
            }
        }
        minutes.retain(|_, s| *s != Growth::default());
        minutes
    }

    fn shuffled<T>(all: &mut [T], seed: u64) {
        let mut state = seed | 1;
        for i in (1..all.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.swap(i, (state >> 33) as usize % (i + 1));
        }
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
    fn two_counters_on_one_subject_grow_each_by_itself() {
        let read = |stream, secs: i64, v| (StreamId(stream), Time::EPOCH, at(0).plus_secs(secs), v);
        let ok = |count| Reading::Tries { count, bad: false };
        let failed = |count| Reading::Tries { count, bad: true };
        let all = [
            read(1, 0, ok(1000.0)),
            read(2, 0, failed(10.0)),
            read(1, 15, ok(1090.0)),
            read(2, 15, failed(20.0)),
        ];
        let minute = grown(&all).remove(&at(0).minute()).unwrap();
        assert_eq!((minute.stat.count, minute.stat.bad), (100, 10));
    }

    #[test]
    fn parts_of_a_second_of_work_are_kept() {
        let read = |stream, secs: i64, count, bad| {
            (StreamId(stream), Time::EPOCH, at(0).plus_secs(secs), Reading::Tries { count, bad })
        };
        let all = [
            read(1, 0, 1000.7, false),
            read(2, 0, 300.1, true),
            read(1, 15, 1015.3, false),
            read(2, 15, 300.3, true),
            read(1, 30, 1030.1, false),
            read(2, 30, 300.5, true),
        ];
        let minute = grown(&all).remove(&at(0).minute()).unwrap();
        assert_eq!((minute.stat.tries(), minute.stat.bad_tries()), (29.8, 0.4));
        assert!((minute.stat.ratio().unwrap() - 0.4 / 29.8).abs() < 1e-12);
    }

    #[test]
    fn seconds_of_work_become_work_per_second() {
        let read = |secs: i64, v| (StreamId(1), Time::EPOCH, at(0).plus_secs(secs), Reading::Speed(v));
        let minute = grown(&[read(0, 5.0), read(30, 20.0)]).remove(&at(0).minute()).unwrap();
        assert_eq!((minute.stat.mean(), minute.micro), (Some(0.5), 15_000_000));
    }

    #[test]
    fn buckets_that_were_widened_spread_what_came() {
        let wide = Reading::Values(Box::new(Values { values: vec![(20.0, 15)], sum: Some(350.0) }));
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
            self::shuffled(&mut shuffled, seed);
            prop_assert_eq!(straight, minutes(&shuffled));
        }

        /// Counters that never say when they started, several on one subject, each falling when it starts again.
        #[test]
        fn a_counter_that_falls_grew_by_what_a_naive_reader_in_order_would_say(
            steps in proptest::collection::vec((0u64..3, 0.0f64..9.0, 0u8..6), 1..60), seed in any::<u64>(), kind in 0u8..4,
        ) {
            let reading = |v: f64| match kind {
                0 => Reading::Counter(v),
                1 => Reading::Speed(v),
                2 => Reading::Amount(v),
                _ => Reading::Tries { count: v, bad: true },
            };
            let mut now = [0.0; 3];
            let mut readings = Vec::new();
            let (mut count, mut micros) = (0, 0);
            let mut seen = [None; 3];
            for (i, (stream, more, fate)) in steps.into_iter().enumerate() {
                let s = stream as usize;
                now[s] = if fate == 0 { more } else { now[s] + more };
                let when = Time::from_secs(1_800_000_000 + i64::try_from(i).unwrap() * 15);
                readings.push((StreamId(stream), Time::EPOCH, when, reading(now[s])));
                if let Some(was) = seen[s].replace(now[s]) {
                    let was = if now[s] < was { 0.0 } else { was };
                    count += happened(now[s]) - happened(was);
                    micros += micro(now[s]) - micro(was);
                }
            }
            let straight = grown(&readings);
            let all: u64 = straight.values().map(|g| g.stat.count).sum();
            match kind {
                0 => prop_assert_eq!((all, straight.values().map(|g| g.micro).sum::<i128>()), (count, micros)),
                3 => {
                    let all: f64 = straight.values().map(|g| g.stat.tries()).sum();
                    prop_assert!((all - micros as f64 / MICRO).abs() < 1e-6, "{all} of {micros}");
                }
                2 => prop_assert_eq!((all, straight.values().map(|g| g.micro).sum::<i128>()), (0, micros)),
                _ => {}
            }
            let mut mixed = readings.clone();
            mixed.extend(readings.iter().take(9).cloned());
            shuffled(&mut mixed, seed);
            prop_assert_eq!(straight, grown(&mixed));
        }
    }
}
