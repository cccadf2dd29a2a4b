//! `date.truncate('month', t, {day: 5})`: a time cut down to a unit.

use super::build::{Shape, filled};
use super::duration::When;
use super::zone::{Zone, at_zone};
use super::{DAY, HOUR, LocalDateTime, MINUTE, SECOND, calendar};
use crate::cypher::value::{Map, Value};

pub(crate) fn truncate(shape: Shape, unit: &str, from: &When, map: &Map) -> Result<Value, String> {
    let dated = from.days.map(|days| cut_days(unit, days));
    let nanos = from.nanos.unwrap_or(0);
    let (days, nanos) = match dated {
        Some(Some(days)) => (Some(days), 0),
        _ => (from.days, cut_nanos(unit, nanos).ok_or_else(|| format!("there is no unit `{unit}` here"))?),
    };
    if matches!(shape, Shape::Date | Shape::LocalDateTime | Shape::DateTime) && days.is_none() {
        return Err("there is no date to truncate".to_owned());
    }
    if matches!(shape, Shape::LocalTime | Shape::Time) && from.nanos.is_none() && unit != "day" {
        return Err("there is no time of day to truncate".to_owned());
    }
    let base = When { days, nanos: Some(nanos), zone: from.zone.clone() };
    // The offset of a named zone is that of the truncated date.
    if let (Shape::Time, Some(Zone::Named(_)), Some(day)) = (shape, &base.zone, from.days) {
        let zone = base.zone.clone().unwrap_or(Zone::Offset(0));
        let offset = at_zone(LocalDateTime { days: day, nanos }, &zone).offset;
        return filled(shape, map, &When { zone: Some(Zone::Offset(offset)), ..base }, true);
    }
    filled(shape, map, &base, true)
}

fn cut_days(unit: &str, at: i64) -> Option<i64> {
    let (year, month, _) = calendar::civil(at);
    let of_years = |n: i64| calendar::days(year.div_euclid(n) * n, 1, 1);
    Some(match unit.to_ascii_lowercase().as_str() {
        "millennium" => of_years(1000),
        "century" => of_years(100),
        "decade" => of_years(10),
        "year" => of_years(1),
        "weekyear" => calendar::week_year_start(calendar::week(at).0),
        "quarter" => calendar::quarter_start(at),
        "month" => calendar::days(year, month, 1),
        "week" => at - calendar::weekday(at) + 1,
        "day" => at,
        _ => return None,
    })
}

fn cut_nanos(unit: &str, nanos: i64) -> Option<i64> {
    let each = match unit.to_ascii_lowercase().as_str() {
        "day" => DAY,
        "hour" => HOUR,
        "minute" => MINUTE,
        "second" => SECOND,
        "millisecond" => 1_000_000,
        "microsecond" => 1_000,
        _ => return None,
    };
    Some(nanos / each * each)
}
