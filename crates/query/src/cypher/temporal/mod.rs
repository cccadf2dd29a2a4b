//! Dates, times and durations as openCypher has them: proleptic Gregorian, nanoseconds, years of up to nine digits.
//!
//! The calendar is ours, because libraries stop at the year 9999; rules of time zones are `jiff`'s bundled database, so that
//! no file of the machine decides an answer.

pub(crate) mod access;
pub(crate) mod build;
pub(crate) mod calendar;
pub(crate) mod duration;
pub(crate) mod read;
pub(crate) mod truncate;
pub(crate) mod zone;

use std::fmt;
use std::sync::Arc;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A date: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i64);

/// A time of day without a place: nanoseconds since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(pub i64);

/// A time of day at an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZonedTime {
    /// Nanoseconds since local midnight.
    pub nanos: i64,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// A date with a time of day, without a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDateTime {
    /// Days since 1970-01-01.
    pub days: i64,
    /// Nanoseconds since midnight.
    pub nanos: i64,
}

/// A moment, told in local time of an offset or a named zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Date and time as the clock there shows.
    pub local: LocalDateTime,
    /// Seconds east of UTC.
    pub offset: i32,
    /// Name of the zone, when it was told by name.
    pub zone: Option<Arc<str>>,
}

/// A length of time. Months and days have no fixed length, so they are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Whole months.
    pub months: i64,
    /// Whole days.
    pub days: i64,
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds beyond, 0 to 999,999,999.
    pub nanos: i32,
}

impl ZonedTime {
    /// Nanoseconds since midnight UTC; may be negative or beyond a day.
    pub(crate) fn utc(self) -> i64 {
        self.nanos - i64::from(self.offset) * SECOND
    }

    pub(crate) fn order(self) -> (i64, i32) {
        (self.utc(), self.offset)
    }
}

impl LocalDateTime {
    /// Nanoseconds since 1970-01-01T00:00 on the same clock.
    pub(crate) fn flat(self) -> i128 {
        i128::from(self.days) * i128::from(DAY) + i128::from(self.nanos)
    }

    pub(crate) fn from_flat(flat: i128) -> LocalDateTime {
        let day = i128::from(DAY);
        let narrow = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
        LocalDateTime { days: narrow(flat.div_euclid(day)), nanos: narrow(flat.rem_euclid(day)) }
    }
}

impl DateTime {
    /// Nanoseconds since 1970-01-01T00:00Z.
    pub(crate) fn instant(&self) -> i128 {
        self.local.flat() - i128::from(self.offset) * i128::from(SECOND)
    }

    /// From nanoseconds since the epoch, in UTC.
    pub fn utc(nanos: i64) -> DateTime {
        DateTime { local: LocalDateTime::from_flat(i128::from(nanos)), offset: 0, zone: None }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = calendar::civil(self.0);
        match year {
            0..=9999 => write!(f, "{year:04}-{month:02}-{day:02}"),
            10_000.. => write!(f, "+{year}-{month:02}-{day:02}"),
            _ => write!(f, "-{:04}-{month:02}-{day:02}", -year),
        }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / SECOND, self.0 % SECOND);
        write!(f, "{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 != 0 || nanos != 0 {
            write!(f, ":{:02}", seconds % 60)?;
        }
        fraction(f, nanos)
    }
}

fn fraction(f: &mut fmt::Formatter<'_>, nanos: i64) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

/// `Z`, `+01:00`, `+00:53:28`.
pub(crate) fn offset_text(offset: i32) -> String {
    if offset == 0 {
        return "Z".to_owned();
    }
    let (sign, abs) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let mut text = format!("{sign}{:02}:{:02}", abs / 3600, abs / 60 % 60);
    if abs % 60 != 0 {
        text += &format!(":{:02}", abs % 60);
    }
    text
}

impl fmt::Display for ZonedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", LocalTime(self.nanos), offset_text(self.offset))
    }
}

impl fmt::Display for LocalDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", Date(self.days), LocalTime(self.nanos))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.local, offset_text(self.offset))?;
        self.zone.as_ref().map_or(Ok(()), |z| write!(f, "[{z}]"))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        let unit = |f: &mut fmt::Formatter<'_>, n: i128, unit: char| {
            if n == 0 { Ok(()) } else { write!(f, "{n}{unit}") }
        };
        unit(f, i128::from(self.months / 12), 'Y')?;
        unit(f, i128::from(self.months % 12), 'M')?;
        unit(f, i128::from(self.days), 'D')?;
        let total = self.clock_nanos();
        if total == 0 {
            return if self.months == 0 && self.days == 0 { f.write_str("T0S") } else { Ok(()) };
        }
        f.write_str("T")?;
        let second = i128::from(SECOND);
        let (seconds, nanos) = (total / second, (total % second).abs());
        unit(f, seconds / 3600, 'H')?;
        unit(f, seconds / 60 % 60, 'M')?;
        let left = seconds % 60;
        if left == 0 && nanos == 0 {
            return Ok(());
        }
        write!(f, "{}{}", if total < 0 { "-" } else { "" }, left.abs())?;
        fraction(f, i64::try_from(nanos).unwrap_or(0))?;
        f.write_str("S")
    }
}
