//! Durations: made of fractions, added, scaled, and measured between two times.

use super::zone::{Zone, at_zone};
use super::{DAY, Date, DateTime, Duration, LocalDateTime, LocalTime, SECOND, ZonedTime, calendar};

/// Seconds of an average month of the Gregorian calendar: 365.2425 / 12 days.
const MONTH_SECONDS: f64 = 2_629_746.0;
const DAY_SECONDS: f64 = 86_400.0;

/// What a duration is added up from; fractions of months go to days, of days to seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    months: Part,
    days: Part,
    seconds: Part,
    nanos: Part,
}

/// A whole number and a fraction beyond it, kept apart so that neither costs the other digits.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    whole: i128,
    fraction: f64,
}

impl Part {
    fn add(&mut self, value: f64, times: i128) {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and sums are checked when narrowed")]
        let whole = value.trunc() as i128;
        self.whole = self.whole.saturating_add(whole.saturating_mul(times));
        self.fraction += value.fract() * times as f64;
    }

    /// Whole number and fraction, the fraction's own whole part moved over.
    #[expect(clippy::cast_possible_truncation, reason = "fractions stay small")]
    fn settled(self) -> (i128, f64) {
        (self.whole.saturating_add(self.fraction.trunc() as i128), self.fraction.fract())
    }
}

impl Sums {
    /// Adds so much of a unit; `None` when there is no such unit.
    pub(crate) fn add(&mut self, unit: &str, value: f64) -> Option<()> {
        let (part, times) = match unit {
            "years" => (&mut self.months, 12),
            "quarters" => (&mut self.months, 3),
            "months" => (&mut self.months, 1),
            "weeks" => (&mut self.days, 7),
            "days" => (&mut self.days, 1),
            "hours" => (&mut self.seconds, 3600),
            "minutes" => (&mut self.seconds, 60),
            "seconds" => (&mut self.seconds, 1),
            "milliseconds" => (&mut self.nanos, 1_000_000),
            "microseconds" => (&mut self.nanos, 1_000),
            "nanoseconds" => (&mut self.nanos, 1),
            _ => return None,
        };
        part.add(value, times);
        Some(())
    }

    /// `None` when it is too long to be kept.
    pub(crate) fn duration(mut self) -> Option<Duration> {
        let (months, month_part) = self.months.settled();
        self.days.fraction += month_part * (MONTH_SECONDS / DAY_SECONDS);
        let (days, day_part) = self.days.settled();
        self.seconds.fraction += day_part * DAY_SECONDS;
        // A thousandth of a nanosecond is noise of the steps before.
        let beyond = self.seconds.fraction * SECOND as f64 + self.nanos.fraction;
        #[expect(clippy::cast_possible_truncation, reason = "fractions stay small")]
        let beyond = ((beyond * 1e3).round() / 1e3).trunc() as i128;
        let nanos =
            self.seconds.whole.checked_mul(i128::from(SECOND))?.checked_add(self.nanos.whole)? + beyond;
        let seconds = nanos.div_euclid(i128::from(SECOND));
        Some(Duration {
            months: i64::try_from(months).ok()?,
            days: i64::try_from(days).ok()?,
            seconds: i64::try_from(seconds).ok()?,
            nanos: i32::try_from(nanos.rem_euclid(i128::from(SECOND))).ok()?,
        })
    }
}

impl Duration {
    pub(crate) fn from_parts(months: i64, days: i64, nanos: i128) -> Duration {
        let second = i128::from(SECOND);
        Duration {
            months,
            days,
            seconds: i64::try_from(nanos.div_euclid(second)).unwrap_or(i64::MAX),
            nanos: i32::try_from(nanos.rem_euclid(second)).unwrap_or(0),
        }
    }

    /// The part below a day, which has a fixed length, in nanoseconds.
    pub(crate) fn clock_nanos(self) -> i128 {
        i128::from(self.seconds) * i128::from(SECOND) + i128::from(self.nanos)
    }

    pub(crate) fn negated(self) -> Duration {
        Duration::from_parts(self.months.saturating_neg(), self.days.saturating_neg(), -self.clock_nanos())
    }

    pub(crate) fn plus(self, other: Duration) -> Option<Duration> {
        let nanos = self.clock_nanos() + other.clock_nanos();
        let months = self.months.checked_add(other.months)?;
        Some(Duration::from_parts(months, self.days.checked_add(other.days)?, nanos))
    }

    pub(crate) fn scaled(self, by: f64) -> Option<Duration> {
        if !by.is_finite() {
            return None;
        }
        let mut sums = Sums::default();
        sums.add("months", self.months as f64 * by)?;
        sums.add("days", self.days as f64 * by)?;
        sums.add("seconds", self.seconds as f64 * by)?;
        sums.add("nanoseconds", f64::from(self.nanos) * by)?;
        sums.duration()
    }

    /// Roughly how long, in seconds: only to put durations in some order.
    pub(crate) fn rough_nanos(self) -> i128 {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of seconds")]
        let month = MONTH_SECONDS as i128 * i128::from(SECOND);
        i128::from(self.months) * month + i128::from(self.days) * i128::from(DAY) + self.clock_nanos()
    }
}

impl Date {
    /// Moved by a duration; what is below a day counts in whole days.
    pub(crate) fn plus(self, d: Duration) -> Date {
        let moved = calendar::plus_months(self.0, d.months);
        let whole = i64::try_from(d.clock_nanos() / i128::from(DAY)).unwrap_or(0);
        Date(moved.saturating_add(d.days).saturating_add(whole))
    }
}

impl LocalTime {
    pub(crate) fn plus(self, d: Duration) -> LocalTime {
        let moved = (i128::from(self.0) + d.clock_nanos()).rem_euclid(i128::from(DAY));
        LocalTime(i64::try_from(moved).unwrap_or(0))
    }
}

impl ZonedTime {
    pub(crate) fn plus(self, d: Duration) -> ZonedTime {
        ZonedTime { nanos: LocalTime(self.nanos).plus(d).0, ..self }
    }
}

impl LocalDateTime {
    fn plus_days(self, months: i64, days: i64) -> LocalDateTime {
        LocalDateTime { days: calendar::plus_months(self.days, months).saturating_add(days), ..self }
    }

    pub(crate) fn plus(self, d: Duration) -> LocalDateTime {
        LocalDateTime::from_flat(self.plus_days(d.months, d.days).flat() + d.clock_nanos())
    }
}

impl DateTime {
    pub(crate) fn plus(&self, d: Duration) -> DateTime {
        let zone = self.zone();
        let moved = at_zone(self.local.plus_days(d.months, d.days), &zone);
        super::zone::in_zone(moved.instant() + d.clock_nanos(), &zone)
    }
}

/// What a temporal value says of when: any of these may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    pub days: Option<i64>,
    pub nanos: Option<i64>,
    pub zone: Option<Zone>,
}

/// Which units a difference is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Units {
    All,
    Months,
    Days,
    Seconds,
}

/// From one time to another. What one does not say (its date, its zone) is taken from the other.
pub(crate) fn between(from: &When, to: &When, units: Units) -> Duration {
    let dated = from.days.is_some() && to.days.is_some();
    if !dated && matches!(units, Units::Months | Units::Days) {
        return Duration::default();
    }
    let zone =
        |own: &When, other: &When| own.zone.clone().or_else(|| other.zone.clone()).unwrap_or(Zone::Offset(0));
    let place = |own: &When, other: &When| {
        let days = own.days.or(other.days).unwrap_or(0);
        at_zone(LocalDateTime { days, nanos: own.nanos.unwrap_or(0) }, &zone(own, other))
    };
    let (start, end) = (place(from, to), place(to, from));
    let zone = start.zone();
    let end_local = super::zone::in_zone(end.instant(), &zone).local;
    let mut at = start.local;
    let (mut months, mut days) = (0, 0);
    if dated && matches!(units, Units::All | Units::Months) {
        months = months_between(at, end_local);
        at = at.plus_days(months, 0);
    }
    if dated && matches!(units, Units::All | Units::Days) {
        days = i64::try_from((end_local.flat() - at.flat()) / i128::from(DAY)).unwrap_or(0);
        at = at.plus_days(0, days);
    }
    let nanos = match units {
        Units::All | Units::Seconds => end.instant() - at_zone(at, &zone).instant(),
        Units::Months | Units::Days => 0,
    };
    Duration::from_parts(months, days, nanos)
}

fn months_between(from: LocalDateTime, to: LocalDateTime) -> i64 {
    let count = |at: LocalDateTime| {
        let (year, month, day) = calendar::civil(at.days);
        (year * 12 + month, (day, at.nanos))
    };
    let ((a, within_a), (b, within_b)) = (count(from), count(to));
    let months = b - a;
    match months {
        1.. if within_b < within_a => months - 1,
        ..=-1 if within_b > within_a => months + 1,
        _ => months,
    }
}
