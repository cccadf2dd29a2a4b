//! Offsets and named zones.

use super::{DateTime, LocalDateTime, SECOND, calendar};
use jiff::civil;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Where a clock hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Seconds east of UTC.
    Offset(i32),
    /// By name.
    Named(Arc<str>),
}

/// `Z`, `+01:00`, `-0130`, `+02`, `+02:05:59`, or the name of a zone.
pub(crate) fn read_zone(text: &str) -> Option<Zone> {
    if let Some(offset) = read_offset(text) {
        return Some(Zone::Offset(offset));
    }
    // Names come back spelt as the database has them.
    let zone = rules(text)?;
    Some(Zone::Named(Arc::from(zone.iana_name()?)))
}

pub(crate) fn read_offset(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 2 | 4 | 6) {
        return None;
    }
    let part = |i: usize| digits.get(i..i + 2).map_or(Some(0), |d| d.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    (hours <= 18 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

fn rules(name: &str) -> Option<TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

fn clamped(local: LocalDateTime) -> Option<civil::DateTime> {
    let (year, month, day) = calendar::civil(local.days);
    let year = i16::try_from(year.clamp(-9998, 9998)).ok()?;
    let day = day.min(calendar::days_in_month(i64::from(year), month));
    let seconds = local.nanos / SECOND;
    let small = |n: i64| i8::try_from(n).ok();
    civil::DateTime::new(
        year,
        small(month)?,
        small(day)?,
        small(seconds / 3600)?,
        small(seconds / 60 % 60)?,
        small(seconds % 60)?,
        i32::try_from(local.nanos % SECOND).ok()?,
    )
    .ok()
}

/// The moment at which a clock in a zone shows a time. Where a clock is set forward or back, the offset before the change
/// is meant.
pub(crate) fn at_zone(local: LocalDateTime, zone: &Zone) -> DateTime {
    match zone {
        Zone::Offset(offset) => DateTime { local, offset: *offset, zone: None },
        Zone::Named(name) => {
            let found = rules(name).zip(clamped(local)).and_then(|(rules, civil)| {
                let at = rules.to_ambiguous_timestamp(civil).compatible().ok()?;
                Some((rules.to_offset(at).seconds(), civil, rules.to_datetime(at)))
            });
            let (offset, shift) = found.map_or((0, 0), |(offset, asked, shown)| {
                (offset, i64::try_from(asked.duration_until(shown).as_nanos()).unwrap_or(0))
            });
            let local = LocalDateTime::from_flat(local.flat() + i128::from(shift));
            DateTime { local, offset, zone: Some(Arc::clone(name)) }
        }
    }
}

/// What a clock in a zone shows at a moment.
pub(crate) fn in_zone(instant: i128, zone: &Zone) -> DateTime {
    let (offset, name) = match zone {
        Zone::Offset(offset) => (*offset, None),
        Zone::Named(name) => {
            let seconds = instant.div_euclid(i128::from(SECOND));
            let seconds = i64::try_from(seconds).unwrap_or(0).clamp(-377_000_000_000, 253_000_000_000);
            let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
            (rules(name).map_or(0, |r| r.to_offset(at).seconds()), Some(Arc::clone(name)))
        }
    };
    let local = LocalDateTime::from_flat(instant + i128::from(offset) * i128::from(SECOND));
    DateTime { local, offset, zone: name }
}

impl DateTime {
    pub(crate) fn zone(&self) -> Zone {
        self.zone.as_ref().map_or(Zone::Offset(self.offset), |z| Zone::Named(Arc::clone(z)))
    }
}
