//! Parts of temporal values: `d.year`, `d.weekDay`, `duration.minutesOfHour`.

use super::build::when;
use super::duration::When;
use super::{DateTime, Duration, HOUR, MINUTE, SECOND, calendar, offset_text};
use crate::cypher::value::Value;

/// A part of a temporal value by name; `None` when there is no such part.
pub(crate) fn part(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Duration(d) => of_duration(d, name).map(Value::Int),
        Value::DateTime(t) => of_zone(t.offset, t.zone.as_deref(), name)
            .or_else(|| of_epoch(t, name))
            .or_else(|| of_when(&when(value)?, name)),
        Value::Time(t) => of_zone(t.offset, None, name).or_else(|| of_when(&when(value)?, name)),
        _ => of_when(&when(value)?, name),
    }
}

fn of_when(w: &When, name: &str) -> Option<Value> {
    let found = w.days.and_then(|d| of_days(d, name)).or_else(|| w.nanos.and_then(|n| of_nanos(n, name)));
    found.map(Value::Int)
}

fn of_days(at: i64, name: &str) -> Option<i64> {
    let (year, month, day) = calendar::civil(at);
    Some(match name {
        "year" => year,
        "quarter" => (month - 1) / 3 + 1,
        "month" => month,
        "week" => calendar::week(at).1,
        "weekYear" => calendar::week(at).0,
        "day" => day,
        "ordinalDay" => calendar::day_of_year(at),
        "weekDay" | "dayOfWeek" => calendar::weekday(at),
        "dayOfQuarter" => at - calendar::quarter_start(at) + 1,
        _ => return None,
    })
}

fn of_nanos(nanos: i64, name: &str) -> Option<i64> {
    Some(match name {
        "hour" => nanos / HOUR,
        "minute" => nanos / MINUTE % 60,
        "second" => nanos / SECOND % 60,
        "millisecond" => nanos % SECOND / 1_000_000,
        "microsecond" => nanos % SECOND / 1_000,
        "nanosecond" => nanos % SECOND,
        _ => return None,
    })
}

fn of_zone(offset: i32, zone: Option<&str>, name: &str) -> Option<Value> {
    Some(match name {
        "timezone" => zone.map_or_else(|| Value::text(offset_text(offset)), Value::text),
        "offset" => Value::text(offset_text(offset)),
        "offsetMinutes" => Value::Int(i64::from(offset / 60)),
        "offsetSeconds" => Value::Int(i64::from(offset)),
        _ => return None,
    })
}

fn of_epoch(t: &DateTime, name: &str) -> Option<Value> {
    let each = match name {
        "epochSeconds" => i128::from(SECOND),
        "epochMillis" => 1_000_000,
        _ => return None,
    };
    i64::try_from(t.instant().div_euclid(each)).ok().map(Value::Int)
}

fn of_duration(d: &Duration, name: &str) -> Option<i64> {
    let nanos = i64::from(d.nanos);
    let scaled = |each: i128| i64::try_from(d.clock_nanos().div_euclid(each)).ok();
    Some(match name {
        "years" => d.months / 12,
        "quarters" => d.months / 3,
        "months" => d.months,
        "weeks" => d.days / 7,
        "days" => d.days,
        "hours" => d.seconds / 3600,
        "minutes" => d.seconds / 60,
        "seconds" => d.seconds,
        "milliseconds" => return scaled(1_000_000),
        "microseconds" => return scaled(1_000),
        "nanoseconds" => return scaled(1),
        "quartersOfYear" => d.months / 3 % 4,
        "monthsOfQuarter" => d.months % 3,
        "monthsOfYear" => d.months % 12,
        "daysOfWeek" => d.days % 7,
        "minutesOfHour" => d.seconds / 60 % 60,
        "secondsOfMinute" => d.seconds % 60,
        "millisecondsOfSecond" => nanos / 1_000_000,
        "microsecondsOfSecond" => nanos / 1_000,
        "nanosecondsOfSecond" => nanos,
        _ => return None,
    })
}
