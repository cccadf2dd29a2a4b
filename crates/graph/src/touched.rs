//! Which hours facts have told of, and when last: so that whoever keeps hours elsewhere writes those again that changed.

use ontology::Minute;
use std::collections::BTreeMap;

/// Hours remembered. Beyond: the earliest are forgotten; what came late for them is not noticed until everything is folded again.
pub(crate) const MOST: usize = 4_096;
/// Minutes to either side that what was seen at a minute may change: runs that come this near become one.
const NEAR: i64 = 10;
const HOUR: i64 = 60;

/// Hours by the batch that last told of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    hours: BTreeMap<i64, u64>,
    batch: u64,
    /// The hour marked last for this batch, with minutes that are well inside of it.
    inside: Option<(i64, i64)>,
}

impl Touched {
    /// A new batch begins.
    pub(crate) fn begin(&mut self) {
        self.batch += 1;
        self.inside = None;
    }

    /// Something of a minute changed.
    pub(crate) fn mark(&mut self, minute: Minute) {
        if self.inside.is_some_and(|(from, to)| from <= minute.0 && minute.0 < to) {
            return;
        }
        let (first, last) =
            (minute.0.saturating_sub(NEAR).div_euclid(HOUR), minute.0.saturating_add(NEAR).div_euclid(HOUR));
        for hour in [first, last] {
            self.hours.insert(hour, self.batch);
        }
        if first == last {
            self.inside = Some((first * HOUR + NEAR, (first + 1) * HOUR - NEAR));
        }
        while self.hours.len() > MOST {
            self.hours.pop_first();
        }
    }

    /// Something changed that may show at any minute up to a later one.
    pub(crate) fn mark_all(&mut self, from: Minute, to: Minute) {
        let (first, last) = (from.0.div_euclid(HOUR), to.0.div_euclid(HOUR));
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        for hour in first.max(last.saturating_sub(most))..=last {
            self.mark(Minute(hour * HOUR + HOUR / 2));
        }
    }

    /// First minutes of the hours, ascending, each with a number that is another whenever the hour was told of again.
    pub(crate) fn hours(&self) -> impl Iterator<Item = (Minute, u64)> + '_ {
        self.hours.iter().map(|(hour, batch)| (Minute(hour * HOUR), *batch))
    }

    pub(crate) fn len(&self) -> usize {
        self.hours.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(minutes: &[i64]) -> Vec<i64> {
        let mut touched = Touched::default();
        touched.begin();
        minutes.iter().for_each(|m| touched.mark(Minute(*m)));
        touched.hours().map(|(m, _)| m.0).collect()
    }

    #[test]
    fn what_is_near_an_hour_touches_it() {
        assert_eq!(marked(&[30]), [0]);
        assert_eq!(marked(&[30, 55]), [0, 60]);
        assert_eq!(marked(&[30, 65]), [0, 60]);
        assert_eq!(marked(&[-30]), [-60]);
    }

    #[test]
    fn a_later_batch_marks_anew_and_the_earliest_hours_go() {
        let mut touched = Touched::default();
        touched.begin();
        touched.mark(Minute(30));
        let before: Vec<_> = touched.hours().collect();
        touched.begin();
        touched.mark(Minute(31));
        assert_ne!(before, touched.hours().collect::<Vec<_>>());
        touched.mark_all(Minute(0), Minute(1_000_000));
        assert_eq!(touched.len(), MOST);
        assert_eq!(touched.hours().last().map(|h| h.0), Some(Minute(1_000_000 / 60 * 60)));
    }
}
