//! Dates and times from maps: `{year: 2026, week: 3}`, `{date: other, hour: 12, timezone: 'Europe/Stockholm'}`.

use super::duration::{Sums, When};
use super::read::{valid_date, valid_ordinal, valid_week};
use super::zone::{Zone, at_zone, in_zone, read_zone};
use super::{Date, Duration, HOUR, LocalDateTime, LocalTime, MINUTE, SECOND, ZonedTime, calendar};
use crate::cypher::value::{Map, Value};

/// Kinds of temporal values that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Date,
    LocalTime,
    Time,
    LocalDateTime,
    DateTime,
}

impl Shape {
    fn dated(self) -> bool {
        matches!(self, Shape::Date | Shape::LocalDateTime | Shape::DateTime)
    }

    fn timed(self) -> bool {
        self != Shape::Date
    }
}

type Built<T> = Result<T, String>;

/// What a value says of when; `None` when it is no point in time.
pub(crate) fn when(value: &Value) -> Option<When> {
    Some(match value {
        Value::Date(d) => When { days: Some(d.0), ..When::default() },
        Value::LocalTime(t) => When { nanos: Some(t.0), ..When::default() },
        Value::Time(t) => {
            When { nanos: Some(t.nanos), zone: Some(Zone::Offset(t.offset)), ..When::default() }
        }
        Value::LocalDateTime(t) => When { days: Some(t.days), nanos: Some(t.nanos), zone: None },
        Value::DateTime(t) => {
            When { days: Some(t.local.days), nanos: Some(t.local.nanos), zone: Some(t.zone()) }
        }
        _ => return None,
    })
}

/// One kind of temporal value from another: what is missing is midnight, UTC.
pub(crate) fn convert(shape: Shape, from: &When) -> Built<Value> {
    if shape.dated() && from.days.is_none() {
        return Err("there is no date to take".to_owned());
    }
    if !shape.dated() && from.nanos.is_none() {
        return Err("there is no time of day to take".to_owned());
    }
    let zone = from.zone.clone().unwrap_or(Zone::Offset(0));
    Ok(shaped(shape, from.days.unwrap_or(0), from.nanos.unwrap_or(0), &zone))
}

fn shaped(shape: Shape, days: i64, nanos: i64, zone: &Zone) -> Value {
    let local = LocalDateTime { days, nanos };
    match shape {
        Shape::Date => Value::Date(Date(days)),
        Shape::LocalTime => Value::LocalTime(LocalTime(nanos)),
        Shape::Time => {
            let at = at_zone(local, zone);
            Value::Time(ZonedTime { nanos: at.local.nanos, offset: at.offset })
        }
        Shape::LocalDateTime => Value::LocalDateTime(local),
        Shape::DateTime => Value::moment(at_zone(local, zone)),
    }
}

struct Parts<'a> {
    map: &'a Map,
}

impl Parts<'_> {
    fn int(&self, name: &str) -> Built<Option<i64>> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Int(i)) => Ok(Some(*i)),
            Some(other) => Err(format!("`{name}` must be an integer, it is {}", other.kind())),
        }
    }

    fn base(&self, names: [&str; 2]) -> Built<Option<When>> {
        for name in names {
            match self.map.get(name) {
                None | Some(Value::Null) => {}
                Some(v) => {
                    return when(v)
                        .map(Some)
                        .ok_or(format!("`{name}` must be a date or time, it is {}", v.kind()));
                }
            }
        }
        Ok(None)
    }

    fn zone(&self) -> Built<Option<Zone>> {
        match self.map.get("timezone") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(t)) => read_zone(t).map(Some).ok_or(format!("there is no time zone `{t}`")),
            Some(other) => Err(format!("`timezone` must be a string, it is {}", other.kind())),
        }
    }

    fn date(&self, base: Option<i64>) -> Built<i64> {
        let year = self.int("year")?;
        let wrong = || "there is no such date".to_owned();
        if let Some(week) = self.int("week")? {
            let base_year = base.map(|b| calendar::week(b).0);
            let year = year.or(base_year).ok_or_else(|| missing("year"))?;
            let weekday = self.int("dayOfWeek")?.or(base.map(calendar::weekday)).unwrap_or(1);
            return valid_week(year, week, weekday).ok_or_else(wrong);
        }
        let base_year = base.map(|b| calendar::civil(b).0);
        let year = year.or(base_year).ok_or_else(|| missing("year"))?;
        if let Some(ordinal) = self.int("ordinalDay")? {
            return valid_ordinal(year, ordinal).ok_or_else(wrong);
        }
        let quarter = self.int("quarter")?;
        if quarter.is_some() || self.int("dayOfQuarter")?.is_some() {
            let quarter = quarter.or(base.map(|b| (calendar::civil(b).1 - 1) / 3 + 1)).unwrap_or(1);
            let of_base = base.map(|b| b - calendar::quarter_start(b) + 1);
            let day = self.int("dayOfQuarter")?.or(of_base).unwrap_or(1);
            if !(1..=4).contains(&quarter) {
                return Err(wrong());
            }
            let start = calendar::days(year, quarter * 3 - 2, 1);
            let next = calendar::plus_months(start, 3);
            return (1..=next - start).contains(&day).then_some(start + day - 1).ok_or_else(wrong);
        }
        if let Some(weekday) = self.int("dayOfWeek")?
            && let Some(base) = base
        {
            return Ok(base - calendar::weekday(base) + weekday);
        }
        let (base_month, base_day) = base.map_or((1, 1), |b| {
            let (_, month, day) = calendar::civil(b);
            (month, day)
        });
        let month = self.int("month")?.unwrap_or(base_month);
        valid_date(year, month, self.int("day")?.unwrap_or(base_day)).ok_or_else(wrong)
    }

    /// `adds` says that parts of a second come on top of the base's.
    fn time(&self, base: Option<i64>, adds: bool) -> Built<i64> {
        let base = base.unwrap_or(0);
        let part = |name: &str, old: i64, end: i64| match self.int(name)? {
            None => Ok(old),
            Some(v) if (0..end).contains(&v) => Ok(v),
            Some(v) => Err(format!("`{name}` cannot be {v}")),
        };
        let hour = part("hour", base / HOUR, 24)?;
        let minute = part("minute", base / MINUTE % 60, 60)?;
        let second = part("second", base / SECOND % 60, 60)?;
        let small = ["millisecond", "microsecond", "nanosecond"];
        let said = small.iter().any(|n| self.map.contains_key(*n));
        let mut nanos = if said && !adds { 0 } else { base % SECOND };
        for (name, each) in small.into_iter().zip([1_000_000, 1_000, 1]) {
            nanos += part(name, 0, SECOND / each)? * each;
        }
        if nanos >= SECOND {
            return Err("the parts of a second are more than a second".to_owned());
        }
        Ok(hour * HOUR + minute * MINUTE + second * SECOND + nanos)
    }
}

fn missing(name: &str) -> String {
    format!("`{name}` is missing")
}

const DATE_PARTS: [&str; 9] =
    ["year", "month", "day", "week", "dayOfWeek", "quarter", "dayOfQuarter", "ordinalDay", "date"];
const TIME_PARTS: [&str; 7] =
    ["hour", "minute", "second", "millisecond", "microsecond", "nanosecond", "time"];

/// From a map.
pub(crate) fn from_map(shape: Shape, map: &Map) -> Built<Value> {
    let parts = Parts { map };
    if shape == Shape::DateTime
        && let Some(found) = from_epoch(&parts)?
    {
        return Ok(found);
    }
    let known = |k: &str| {
        (shape.dated() && DATE_PARTS.contains(&k))
            || (shape.timed() && TIME_PARTS.contains(&k))
            || (shape.dated() && shape.timed() && k == "datetime")
            || (matches!(shape, Shape::Time | Shape::DateTime) && k == "timezone")
    };
    if let Some(k) = map.keys().find(|k| !known(k)) {
        return Err(format!("`{k}` is no part of it"));
    }
    let date_base = parts.base(["date", "datetime"])?;
    let time_base = parts.base(["time", "datetime"])?;
    let base = When {
        days: date_base.as_ref().and_then(|b| b.days),
        nanos: time_base.as_ref().and_then(|b| b.nanos),
        zone: time_base.and_then(|b| b.zone),
    };
    filled(shape, map, &base, false)
}

/// A base with parts replaced by those of a map.
pub(crate) fn filled(shape: Shape, map: &Map, base: &When, adds: bool) -> Built<Value> {
    let parts = Parts { map };
    let days = if shape.dated() { parts.date(base.days)? } else { base.days.unwrap_or(0) };
    let nanos = if shape.timed() { parts.time(base.nanos, adds)? } else { 0 };
    let zone = parts.zone()?;
    match (&base.zone, zone) {
        // The base is a moment, so it is told in the other zone. When it was truncated, only the zone is replaced.
        (Some(from), Some(to)) if !adds => {
            let at = at_zone(LocalDateTime { days, nanos }, from);
            let there = in_zone(at.instant(), &to);
            Ok(match shape {
                Shape::Time => Value::Time(ZonedTime { nanos: there.local.nanos, offset: there.offset }),
                Shape::DateTime => Value::moment(there),
                _ => shaped(shape, days, nanos, &to),
            })
        }
        (from, to) => {
            let zone = to.or_else(|| from.clone()).unwrap_or(Zone::Offset(0));
            Ok(shaped(shape, days, nanos, &zone))
        }
    }
}

fn from_epoch(parts: &Parts<'_>) -> Built<Option<Value>> {
    let (seconds, millis) = (parts.int("epochSeconds")?, parts.int("epochMillis")?);
    let Some(nanos) =
        seconds.map(|s| i128::from(s) * i128::from(SECOND)).or(millis.map(|m| i128::from(m) * 1_000_000))
    else {
        return Ok(None);
    };
    let nanos = nanos + i128::from(parts.int("nanosecond")?.unwrap_or(0));
    let zone = parts.zone()?.unwrap_or(Zone::Offset(0));
    Ok(Some(Value::moment(in_zone(nanos, &zone))))
}

/// A duration from a map of units.
pub(crate) fn duration_from_map(map: &Map) -> Built<Duration> {
    let mut sums = Sums::default();
    for (unit, amount) in map {
        let amount = match amount {
            Value::Null => continue,
            Value::Int(i) => *i as f64,
            Value::Float(x) if x.is_finite() => *x,
            other => return Err(format!("`{unit}` must be a number, it is {}", other.kind())),
        };
        sums.add(unit, amount).ok_or_else(|| format!("`{unit}` is no unit of a duration"))?;
    }
    sums.duration().ok_or_else(|| "this duration is too long".to_owned())
}
