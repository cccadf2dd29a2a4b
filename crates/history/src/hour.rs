//! An hour: the grain in which history is written.

use ontology::{Minute, Stretch, Time};
use std::fmt;

/// Hours since the epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour that a minute falls into.
    pub const fn of(minute: Minute) -> Hour {
        Hour(minute.0.div_euclid(60))
    }

    /// The hour that a moment falls into.
    pub const fn at(time: Time) -> Hour {
        Hour::of(time.minute())
    }

    /// Its first minute.
    pub const fn first(self) -> Minute {
        Minute(self.0.saturating_mul(60))
    }

    /// The first minute after it.
    pub const fn end(self) -> Minute {
        Minute(self.0.saturating_add(1).saturating_mul(60))
    }

    /// Its minutes as a stretch of time.
    pub const fn stretch(self) -> Stretch {
        Stretch { from: self.first().start(), to: self.end().start() }
    }

    /// The day it belongs to: days since the epoch.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(24)
    }

    /// Which hour of its day, 0 to 23.
    pub const fn of_day(self) -> i64 {
        self.0.rem_euclid(24)
    }
}

/// A day as tables name it: `2026-11-24`.
pub(crate) fn day_text(day: i64) -> String {
    let text = Time::from_secs(day.saturating_mul(86_400)).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// The same back.
pub(crate) fn day_of(text: &str) -> Option<i64> {
    Time::parse(&format!("{text}T00:00:00Z")).ok().map(|t| t.secs().div_euclid(86_400))
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{:02}", day_text(self.day()), self.of_day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_knows_its_day_and_minutes() {
        let hour = Hour::at(Time::parse("2026-11-24T13:59:59Z").unwrap());
        assert_eq!(hour.to_string(), "2026-11-24T13");
        assert_eq!(hour.end().0 - hour.first().0, 60);
        assert_eq!(day_of("2026-11-24"), Some(hour.day()));
        assert_eq!((Hour(-1).day(), Hour(-1).of_day()), (-1, 23));
        assert_eq!(day_of("yesterday"), None);
    }
}
