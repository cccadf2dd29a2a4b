//! Points and stretches of time: UTC, checked on the way in, half-open.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The epoch itself; also what an unset OTLP timestamp says, so receivers refuse it.
    pub const EPOCH: Time = Time(0);
    /// Later than any time a source may say.
    pub const END: Time = Time(i64::MAX);

    /// From nanoseconds since the epoch, as OTLP has them. `None` past the year 2262.
    pub fn from_nanos(nanos: u64) -> Option<Time> {
        i64::try_from(nanos).ok().map(Time)
    }

    /// From seconds since the epoch. Saturates.
    pub const fn from_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(1_000_000_000))
    }

    /// From milliseconds since the epoch. Saturates.
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Nanoseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved by some nanoseconds. Saturates.
    #[must_use]
    pub const fn plus_nanos(self, nanos: i64) -> Time {
        Time(self.0.saturating_add(nanos))
    }

    /// This moment moved by some seconds. Saturates.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Time {
        self.plus_nanos(secs.saturating_mul(1_000_000_000))
    }

    /// The minute this moment falls into.
    pub const fn minute(self) -> Minute {
        Minute(self.0.div_euclid(60_000_000_000))
    }

    /// Parses RFC 3339 (`2026-11-24T12:05:00Z`, any offset, fraction optional), also with the offset after a space, as GitLab
    /// writes it (`2026-11-24 12:05:00 +0200`, `… UTC`).
    ///
    /// # Errors
    /// Says what was expected when the text is not such a time.
    pub fn parse(text: &str) -> Result<Time, NotATime> {
        let apart = |text: &str| {
            let (time, offset) = text.rsplit_once(' ')?;
            let offset = if offset == "UTC" { "Z" } else { offset };
            let whole = offset.starts_with(['Z', '+', '-']).then(|| format!("{time}{offset}"))?;
            whole.parse::<jiff::Timestamp>().ok()
        };
        let parsed: Option<jiff::Timestamp> = text.trim().parse().ok().or_else(|| apart(text.trim()));
        parsed
            .and_then(|t| i64::try_from(t.as_nanosecond()).ok())
            .map(Time)
            .ok_or_else(|| NotATime(text.to_owned()))
    }
}

/// A text that was meant to be a time and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; write it like 2026-11-24T12:05:00Z")]
pub struct NotATime(pub String);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

/// A minute: the grain of every statistic in the graph. Minutes since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minute(pub i64);

impl Minute {
    /// Its first moment.
    pub const fn start(self) -> Time {
        Time(self.0.saturating_mul(60_000_000_000))
    }

    /// The minute `n` later (earlier when negative).
    #[must_use]
    pub const fn plus(self, n: i64) -> Minute {
        Minute(self.0.saturating_add(n))
    }
}

/// A half-open stretch of time: `from` is in it, `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stretch {
    /// First moment inside.
    pub from: Time,
    /// First moment after.
    pub to: Time,
}

impl Stretch {
    /// From `from` up to, not including, `to`; `None` when it would end before it starts.
    pub fn new(from: Time, to: Time) -> Option<Stretch> {
        (from <= to).then_some(Stretch { from, to })
    }

    /// Whether a moment lies inside.
    pub fn contains(&self, t: Time) -> bool {
        self.from <= t && t < self.to
    }

    /// Whether two stretches share a moment.
    pub fn overlaps(&self, other: &Stretch) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// The whole minutes that start inside.
    pub fn minutes(&self) -> impl Iterator<Item = Minute> + use<> {
        let first = Time(self.from.0.saturating_add(59_999_999_999)).minute().0;
        let end = Time(self.to.0.saturating_add(59_999_999_999)).minute().0;
        (first..end).map(Minute)
    }

    /// Length in seconds.
    pub fn secs(&self) -> f64 {
        self.to.since(self.from) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_printed_the_same() {
        let t = Time::parse("2026-11-24T12:05:00Z").unwrap();
        assert_eq!(t.to_string(), "2026-11-24T12:05:00Z");
        assert_eq!(Time::parse("2026-11-24T13:05:00+01:00").unwrap(), t);
        assert!(Time::parse("noon").unwrap_err().to_string().contains("write it like"));
    }

    #[test]
    fn a_stretch_holds_its_start_and_not_its_end() {
        let s = Stretch::new(Time::from_secs(60), Time::from_secs(180)).unwrap();
        assert!(s.contains(Time::from_secs(60)) && !s.contains(Time::from_secs(180)));
        assert_eq!(s.minutes().collect::<Vec<_>>(), vec![Minute(1), Minute(2)]);
        assert!(Stretch::new(Time::from_secs(2), Time::from_secs(1)).is_none());
    }
}
