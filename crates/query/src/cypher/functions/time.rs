//! Functions that make dates, times and durations.

use super::{
    Accepts, Env, Fault, Function, Gives, Nulls, Outcome, first, int_of, of, plain, second, text_of,
};
use crate::cypher::temporal::build::{Shape, convert, duration_from_map, from_map, when};
use crate::cypher::temporal::duration::{Units, When, between};
use crate::cypher::temporal::truncate::truncate;
use crate::cypher::temporal::zone::{Zone, in_zone, read_zone};
use crate::cypher::temporal::{SECOND, read};
use crate::cypher::value::{Map, Value};

const fn made(name: &'static str, run: super::Run) -> Function {
    Function {
        name,
        least: 0,
        most: 1,
        accepts: Accepts::Anything,
        ty: Gives::Temporal,
        nulls: Nulls::GiveNull,
        run,
    }
}

pub(super) static FUNCTIONS: &[Function] = &[
    made("date", |env, args| make(env, args, Shape::Date)),
    made("date.transaction", |env, args| make(env, args, Shape::Date)),
    made("date.statement", |env, args| make(env, args, Shape::Date)),
    made("date.realtime", |env, args| make(env, args, Shape::Date)),
    made("localtime", |env, args| make(env, args, Shape::LocalTime)),
    made("localtime.transaction", |env, args| make(env, args, Shape::LocalTime)),
    made("localtime.statement", |env, args| make(env, args, Shape::LocalTime)),
    made("localtime.realtime", |env, args| make(env, args, Shape::LocalTime)),
    made("time", |env, args| make(env, args, Shape::Time)),
    made("time.transaction", |env, args| make(env, args, Shape::Time)),
    made("time.statement", |env, args| make(env, args, Shape::Time)),
    made("time.realtime", |env, args| make(env, args, Shape::Time)),
    made("localdatetime", |env, args| make(env, args, Shape::LocalDateTime)),
    made("localdatetime.transaction", |env, args| make(env, args, Shape::LocalDateTime)),
    made("localdatetime.statement", |env, args| make(env, args, Shape::LocalDateTime)),
    made("localdatetime.realtime", |env, args| make(env, args, Shape::LocalDateTime)),
    made("datetime", |env, args| make(env, args, Shape::DateTime)),
    made("datetime.transaction", |env, args| make(env, args, Shape::DateTime)),
    made("datetime.statement", |env, args| make(env, args, Shape::DateTime)),
    made("datetime.realtime", |env, args| make(env, args, Shape::DateTime)),
    of("datetime.fromEpoch", 2, 2, Accepts::Anything, Gives::Temporal, from_epoch),
    plain("datetime.fromEpochMillis", 1, Gives::Temporal, from_epoch_millis),
    of("date.truncate", 2, 3, Accepts::Anything, Gives::Temporal, |_, a| cut(a, Shape::Date)),
    of("localtime.truncate", 2, 3, Accepts::Anything, Gives::Temporal, |_, a| cut(a, Shape::LocalTime)),
    of("time.truncate", 2, 3, Accepts::Anything, Gives::Temporal, |_, a| cut(a, Shape::Time)),
    of("localdatetime.truncate", 2, 3, Accepts::Anything, Gives::Temporal, |_, a| {
        cut(a, Shape::LocalDateTime)
    }),
    of("datetime.truncate", 2, 3, Accepts::Anything, Gives::Temporal, |_, a| cut(a, Shape::DateTime)),
    plain("duration", 1, Gives::Temporal, duration),
    plain("duration.between", 2, Gives::Temporal, |_, a| apart(a, Units::All)),
    plain("duration.inMonths", 2, Gives::Temporal, |_, a| apart(a, Units::Months)),
    plain("duration.inDays", 2, Gives::Temporal, |_, a| apart(a, Units::Days)),
    plain("duration.inSeconds", 2, Gives::Temporal, |_, a| apart(a, Units::Seconds)),
];

fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Date => "date",
        Shape::LocalTime => "localtime",
        Shape::Time => "time",
        Shape::LocalDateTime => "localdatetime",
        Shape::DateTime => "datetime",
    }
}

fn make(env: &Env<'_>, args: &[Value], shape: Shape) -> Outcome {
    let Some(arg) = args.first() else { return now(env, shape, None) };
    match arg {
        Value::Map(m) if m.len() == 1 && m.contains_key("timezone") => now(env, shape, m.get("timezone")),
        Value::Map(m) => from_map(shape, m).map_err(Fault::value),
        Value::Text(t) => {
            from_text(t, shape).ok_or_else(|| Fault::value(format!("`{t}` is no {}", name(shape))))
        }
        other => match when(other) {
            Some(w) => convert(shape, &w).map_err(Fault::value),
            None => Err(Fault::of(name(shape), other)),
        },
    }
}

fn from_text(text: &str, shape: Shape) -> Option<Value> {
    Some(match shape {
        Shape::Date => Value::Date(read::date(text)?),
        Shape::LocalTime => Value::LocalTime(read::local_time(text)?),
        Shape::Time => Value::Time(read::time(text)?),
        Shape::LocalDateTime => Value::LocalDateTime(read::local_date_time(text)?),
        Shape::DateTime => Value::moment(read::date_time(text)?),
    })
}

/// The moment of the question, the same wherever it is asked in one query.
fn now(env: &Env<'_>, shape: Shape, zone: Option<&Value>) -> Outcome {
    let zone = match zone {
        None => env.now.zone(),
        Some(z) => {
            let text = text_of("timezone", z)?;
            read_zone(text).ok_or_else(|| Fault::value(format!("there is no time zone `{text}`")))?
        }
    };
    let there = in_zone(env.now.instant(), &zone);
    let at = When { days: Some(there.local.days), nanos: Some(there.local.nanos), zone: Some(zone) };
    convert(shape, &at).map_err(Fault::value)
}

fn from_epoch(_: &Env<'_>, args: &[Value]) -> Outcome {
    let (seconds, nanos) =
        (int_of("datetime.fromEpoch", first(args))?, int_of("datetime.fromEpoch", second(args))?);
    let instant = i128::from(seconds) * i128::from(SECOND) + i128::from(nanos);
    Ok(Value::moment(in_zone(instant, &Zone::Offset(0))))
}

fn from_epoch_millis(_: &Env<'_>, args: &[Value]) -> Outcome {
    let millis = int_of("datetime.fromEpochMillis", first(args))?;
    Ok(Value::moment(in_zone(i128::from(millis) * 1_000_000, &Zone::Offset(0))))
}

fn cut(args: &[Value], shape: Shape) -> Outcome {
    let unit = text_of("truncate", first(args))?;
    let from = when(second(args)).ok_or_else(|| Fault::of("truncate", second(args)))?;
    let empty = Map::new();
    let map = match args.get(2) {
        Some(Value::Map(m)) => m.as_ref(),
        None => &empty,
        Some(other) => return Err(Fault::of("truncate", other)),
    };
    truncate(shape, unit, &from, map).map_err(Fault::value)
}

fn duration(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Map(m) => duration_from_map(m).map(Value::duration).map_err(Fault::value),
        Value::Text(t) => read::duration(t)
            .map(Value::duration)
            .ok_or_else(|| Fault::value(format!("`{t}` is no duration"))),
        Value::Duration(d) => Ok(Value::Duration(d.clone())),
        other => Err(Fault::of("duration", other)),
    }
}

fn apart(args: &[Value], units: Units) -> Outcome {
    let at = |v: &Value| when(v).ok_or_else(|| Fault::of("duration.between", v));
    let found = between(&at(first(args))?, &at(second(args))?, units);
    Ok(Value::duration(found))
}
