//! Dates, times and durations from text: ISO 8601, basic and extended, with weeks, ordinal days and named zones.

use super::zone::{Zone, at_zone, read_offset, read_zone};
use super::{
    DAY, Date, DateTime, Duration, HOUR, LocalDateTime, LocalTime, MINUTE, SECOND, ZonedTime, calendar,
};

fn number(digits: &str) -> Option<i64> {
    let fits = !digits.is_empty() && digits.len() <= 12 && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

pub(crate) fn valid_date(year: i64, month: i64, day: i64) -> Option<i64> {
    let fits = (1..=12).contains(&month)
        && (1..=calendar::days_in_month(year, month)).contains(&day)
        && year.abs() <= 999_999_999;
    fits.then(|| calendar::days(year, month, day))
}

pub(crate) fn valid_week(year: i64, week: i64, weekday: i64) -> Option<i64> {
    let start = calendar::week_year_start(year);
    let day = start + (week - 1) * 7 + weekday - 1;
    let fits = (1..=53).contains(&week)
        && (1..=7).contains(&weekday)
        && start + (week - 1) * 7 < calendar::week_year_start(year + 1);
    fits.then_some(day)
}

pub(crate) fn valid_ordinal(year: i64, ordinal: i64) -> Option<i64> {
    let most = 365 + i64::from(calendar::is_leap(year));
    (1..=most).contains(&ordinal).then(|| calendar::days(year, 1, 1) + ordinal - 1)
}

pub(crate) fn date(text: &str) -> Option<Date> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => (1, text),
    };
    // A signed year may have more digits, so it must be set off.
    if text.starts_with(['+', '-']) {
        let mut parts = rest.split('-');
        let year = sign * number(parts.next()?)?;
        let month = parts.next().map_or(Some(1), number)?;
        let day = parts.next().map_or(Some(1), number)?;
        return if parts.next().is_none() { valid_date(year, month, day).map(Date) } else { None };
    }
    let year = number(rest.get(..4)?)?;
    let rest = rest.get(4..)?;
    let dashed = rest.starts_with('-');
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    if let Some(week) = rest.strip_prefix('W') {
        let number_of_week = number(week.get(..2)?)?;
        let day = week.get(2..)?;
        let day = day.strip_prefix('-').unwrap_or(day);
        let weekday = if day.is_empty() { 1 } else { number(day)? };
        return valid_week(year, number_of_week, weekday).map(Date);
    }
    let found = match (rest.len(), dashed) {
        (0, false) => valid_date(year, 1, 1),
        (2, _) => valid_date(year, number(rest)?, 1),
        (3, _) => valid_ordinal(year, number(rest)?),
        (4, false) => valid_date(year, number(rest.get(..2)?)?, number(rest.get(2..)?)?),
        (4 | 5, true) => {
            let (month, day) = rest.split_once('-')?;
            valid_date(year, number(month)?, number(day)?)
        }
        _ => None,
    };
    found.map(Date)
}

pub(crate) fn local_time(text: &str) -> Option<LocalTime> {
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits: String = clock.chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4 | 6) || fraction.len() > 9 {
        return None;
    }
    let part = |i: usize| digits.get(i..i + 2).map_or(Some(0), number);
    let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
    let nanos = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<9}"))? };
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some(LocalTime(hour * HOUR + minute * MINUTE + second * SECOND + nanos))
}

/// Splits a zone off the end: `+01:00`, `Z`, `[Europe/Stockholm]`, both.
fn split_zone(text: &str) -> Option<(&str, Option<i32>, Option<Zone>)> {
    let (text, named) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        Some((rest, name)) => (rest, Some(read_zone(name)?)),
        None => (text, None),
    };
    let cut = text.find(['+', '-', 'Z', 'z']);
    match cut {
        Some(i) => Some((text.get(..i)?, Some(read_offset(text.get(i..)?)?), named)),
        None => Some((text, None, named)),
    }
}

pub(crate) fn time(text: &str) -> Option<ZonedTime> {
    let (clock, offset, _) = split_zone(text)?;
    Some(ZonedTime { nanos: local_time(clock)?.0, offset: offset.unwrap_or(0) })
}

pub(crate) fn local_date_time(text: &str) -> Option<LocalDateTime> {
    let (day, clock) = text.split_once(['T', 't']).unwrap_or((text, "00"));
    Some(LocalDateTime { days: date(day)?.0, nanos: local_time(clock)?.0 })
}

pub(crate) fn date_time(text: &str) -> Option<DateTime> {
    let Some((day, clock)) = text.split_once(['T', 't']) else {
        let local = LocalDateTime { days: date(text)?.0, nanos: 0 };
        return Some(at_zone(local, &Zone::Offset(0)));
    };
    let (clock, offset, named) = split_zone(clock)?;
    let local = LocalDateTime { days: date(day)?.0, nanos: local_time(clock)?.0 };
    Some(match (named, offset) {
        (Some(zone), Some(offset)) => {
            let moment = at_zone(local, &Zone::Offset(offset)).instant();
            super::zone::in_zone(moment, &zone)
        }
        (Some(zone), None) => at_zone(local, &zone),
        (None, offset) => at_zone(local, &Zone::Offset(offset.unwrap_or(0))),
    })
}

/// `P1Y2M3W4DT5H6M7.8S`, any number with a fraction, or `P2012-02-02T14:37:21.545`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let body = text.strip_prefix('P')?;
    let (day_part, clock) = body.split_once('T').unwrap_or((body, ""));
    if day_part.is_empty() && clock.is_empty() {
        return None;
    }
    let alternative = |d: &str| d.len() >= 8 && d.as_bytes().get(4) == Some(&b'-');
    let found = if alternative(day_part) { date_like(day_part, clock)? } else { by_units(day_part, clock)? };
    Some(if negative { found.negated() } else { found })
}

fn date_like(day_part: &str, clock: &str) -> Option<Duration> {
    let mut parts = day_part.split('-');
    let (years, months, days) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let nanos = if clock.is_empty() { 0 } else { local_time(clock)?.0 };
    debug_assert!(nanos < DAY);
    Some(Duration::from_parts(years * 12 + months, days, i128::from(nanos)))
}

fn by_units(day_part: &str, clock: &str) -> Option<Duration> {
    let mut sums = super::duration::Sums::default();
    for (part, units) in [(day_part, "YMWD"), (clock, "HMS")] {
        let mut rest = part;
        let mut due = units;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let value = rest.get(..end)?.replace(',', ".");
            let unit = rest.get(end..=end)?;
            let place = due.find(unit)?;
            due = due.get(place + 1..)?;
            sums.add(
                match (units, unit) {
                    ("YMWD", "Y") => "years",
                    ("YMWD", "M") => "months",
                    (_, "W") => "weeks",
                    (_, "D") => "days",
                    (_, "H") => "hours",
                    (_, "M") => "minutes",
                    _ => "seconds",
                },
                value.parse::<f64>().ok().filter(|v| v.is_finite())?,
            )?;
            rest = rest.get(end + 1..)?;
        }
    }
    sums.duration()
}
