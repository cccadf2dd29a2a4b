//! From one type to another.

use super::{Env, Fault, Function, Gives, Outcome, first, plain};
use crate::cypher::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    plain("toString", 1, Gives::Text, to_string),
    plain("toInteger", 1, Gives::Int, to_integer),
    plain("toInt", 1, Gives::Int, to_integer),
    plain("toFloat", 1, Gives::Float, to_float),
    plain("toBoolean", 1, Gives::Bool, to_boolean),
    plain("toStringOrNull", 1, Gives::Text, |env, args| Ok(to_string(env, args).unwrap_or(Value::Null))),
    plain("toIntegerOrNull", 1, Gives::Int, |env, args| Ok(to_integer(env, args).unwrap_or(Value::Null))),
    plain("toFloatOrNull", 1, Gives::Float, |env, args| Ok(to_float(env, args).unwrap_or(Value::Null))),
    plain("toBooleanOrNull", 1, Gives::Bool, |env, args| Ok(to_boolean(env, args).unwrap_or(Value::Null))),
];

fn to_string(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Text(t) => Ok(Value::Text(t.clone())),
        other => crate::cypher::show::plain_text(other)
            .map(Value::text)
            .ok_or_else(|| Fault::of("toString", other)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
fn whole(x: f64) -> Value {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if (-EDGE..EDGE).contains(&x) { Value::Int(x.trunc() as i64) } else { Value::Null }
}

fn to_integer(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Int(i) => Ok(Value::Int(*i)),
        Value::Float(x) => Ok(whole(*x)),
        Value::Bool(b) => Ok(Value::Int(i64::from(*b))),
        Value::Text(t) => {
            let t = t.trim();
            let int = t.parse::<i64>().ok().map(Value::Int);
            Ok(int.or_else(|| t.parse::<f64>().ok().map(whole)).unwrap_or(Value::Null))
        }
        other => Err(Fault::of("toInteger", other)),
    }
}

fn to_float(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Int(i) => Ok(Value::Float(*i as f64)),
        Value::Float(x) => Ok(Value::Float(*x)),
        Value::Text(t) => Ok(t.trim().parse().map_or(Value::Null, Value::Float)),
        other => Err(Fault::of("toFloat", other)),
    }
}

fn to_boolean(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Bool(b) => Ok(Value::Bool(*b)),
        Value::Int(i) => Ok(Value::Bool(*i != 0)),
        Value::Text(t) => Ok(match t.trim().to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        }),
        other => Err(Fault::of("toBoolean", other)),
    }
}
