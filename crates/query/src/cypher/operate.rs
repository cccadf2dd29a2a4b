//! Operators of two values: arithmetic, texts, membership.

use super::ast::Binary;
use super::error::Kind;
use super::functions::{Fault, Outcome};
use super::temporal::Duration;
use super::value::{Value, equal};
use std::sync::Arc;

/// The value of `a op b`. A single value may not be larger than `room` bytes.
pub(crate) fn binary(op: Binary, a: &Value, b: &Value, room: usize) -> Outcome {
    match op {
        Binary::In => return member(a, b),
        Binary::Xor => {
            return match (a, b) {
                (Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(a != b)),
                (Value::Null | Value::Bool(_), Value::Null | Value::Bool(_)) => Ok(Value::Null),
                _ => Err(wrong(a, b)),
            };
        }
        Binary::StartsWith | Binary::EndsWith | Binary::Contains => return Ok(text_test(op, a, b)),
        _ => {}
    }
    if a.is_null() || b.is_null() {
        return Ok(Value::Null);
    }
    match (op, a, b) {
        (Binary::Add, Value::List(x), Value::List(y)) => joined(x, y, room),
        (Binary::Add, Value::List(x), y) => joined(x, std::slice::from_ref(y), room),
        (Binary::Add, x, Value::List(y)) => joined(std::slice::from_ref(x), y, room),
        (Binary::Add, Value::Text(_), _) | (Binary::Add, _, Value::Text(_)) => concatenated(a, b, room),
        (_, Value::Int(x), Value::Int(y)) => ints(op, *x, *y),
        (_, Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            Ok(Value::Float(floats(op, number(a), number(b))))
        }
        _ => temporal(op, a, b),
    }
}

/// `-a`.
pub(crate) fn negative(a: &Value) -> Outcome {
    match a {
        Value::Null => Ok(Value::Null),
        Value::Int(i) => i.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Float(x) => Ok(Value::Float(-x)),
        Value::Duration(d) => Ok(Value::duration(d.negated())),
        other => Err(Fault::Wrong(
            Kind::TypeError,
            "InvalidArgumentType",
            format!("a number is due here, this is {}", other.kind()),
        )),
    }
}

fn overflow() -> Fault {
    Fault::range("the result is too large for an integer")
}

fn wrong(a: &Value, b: &Value) -> Fault {
    let message = format!("this is not defined between {} and {}", a.kind(), b.kind());
    Fault::Wrong(Kind::TypeError, "InvalidArgumentType", message)
}

fn number(v: &Value) -> f64 {
    match v {
        Value::Int(i) => *i as f64,
        Value::Float(x) => *x,
        _ => f64::NAN,
    }
}

fn ints(op: Binary, a: i64, b: i64) -> Outcome {
    let found = match op {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div | Binary::Mod if b == 0 => return Err(Fault::range("there is no division by 0")),
        Binary::Div => a.checked_div(b),
        Binary::Mod => Some(a.checked_rem(b).unwrap_or(0)),
        _ => return Ok(Value::Float((a as f64).powf(b as f64))),
    };
    found.map(Value::Int).ok_or_else(overflow)
}

fn floats(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Mod => a % b,
        _ => a.powf(b),
    }
}

fn joined(a: &[Value], b: &[Value], room: usize) -> Outcome {
    if (a.len() + b.len()).saturating_mul(size_of::<Value>()) > room {
        return Err(Fault::TooLarge);
    }
    Ok(Value::list(a.iter().chain(b).cloned().collect()))
}

fn concatenated(a: &Value, b: &Value, room: usize) -> Outcome {
    let text = |v: &Value| match v {
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => super::show::plain_text(v),
        _ => None,
    };
    let (Some(x), Some(y)) = (text(a), text(b)) else { return Err(wrong(a, b)) };
    if x.len() + y.len() > room {
        return Err(Fault::TooLarge);
    }
    Ok(Value::Text(Arc::from(x + &y)))
}

fn member(item: &Value, list: &Value) -> Outcome {
    let list = match list {
        Value::Null => return Ok(Value::Null),
        Value::List(l) => l,
        other => {
            let message = format!("a list is due after IN, this is {}", other.kind());
            return Err(Fault::Wrong(Kind::TypeError, "InvalidArgumentType", message));
        }
    };
    let mut known = true;
    for v in list.iter() {
        match equal(item, v) {
            Some(true) => return Ok(Value::Bool(true)),
            Some(false) => {}
            None => known = false,
        }
    }
    Ok(if known { Value::Bool(false) } else { Value::Null })
}

fn text_test(op: Binary, a: &Value, b: &Value) -> Value {
    let (Value::Text(a), Value::Text(b)) = (a, b) else { return Value::Null };
    Value::Bool(match op {
        Binary::StartsWith => a.starts_with(&**b),
        Binary::EndsWith => a.ends_with(&**b),
        _ => a.contains(&**b),
    })
}

fn temporal(op: Binary, a: &Value, b: &Value) -> Outcome {
    let too_long = || Fault::range("the result is too long for a duration");
    match (op, a, b) {
        (Binary::Add, Value::Duration(x), Value::Duration(y)) => {
            x.plus(**y).map(Value::duration).ok_or_else(too_long)
        }
        (Binary::Sub, Value::Duration(x), Value::Duration(y)) => {
            x.plus(y.negated()).map(Value::duration).ok_or_else(too_long)
        }
        (Binary::Mul, Value::Duration(d), Value::Int(_) | Value::Float(_)) => {
            d.scaled(number(b)).map(Value::duration).ok_or_else(too_long)
        }
        (Binary::Mul, Value::Int(_) | Value::Float(_), Value::Duration(d)) => {
            d.scaled(number(a)).map(Value::duration).ok_or_else(too_long)
        }
        (Binary::Div, Value::Duration(d), Value::Int(_) | Value::Float(_)) => {
            d.scaled(1.0 / number(b)).map(Value::duration).ok_or_else(too_long)
        }
        (Binary::Add, moment, Value::Duration(d)) => moved(moment, **d).ok_or_else(|| wrong(a, b)),
        (Binary::Add, Value::Duration(d), moment) => moved(moment, **d).ok_or_else(|| wrong(a, b)),
        (Binary::Sub, moment, Value::Duration(d)) => moved(moment, d.negated()).ok_or_else(|| wrong(a, b)),
        _ => Err(wrong(a, b)),
    }
}

fn moved(moment: &Value, by: Duration) -> Option<Value> {
    Some(match moment {
        Value::Date(d) => Value::Date(d.plus(by)),
        Value::LocalTime(t) => Value::LocalTime(t.plus(by)),
        Value::Time(t) => Value::Time(t.plus(by)),
        Value::LocalDateTime(t) => Value::LocalDateTime(t.plus(by)),
        Value::DateTime(t) => Value::moment(t.plus(by)),
        _ => return None,
    })
}
