//! Functions of lists.

use super::{Accepts, Env, Fault, Function, Gives, Outcome, first, of, plain, second, seeing_nulls};
use crate::cypher::error::Kind;
use crate::cypher::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    of("size", 1, 1, Accepts::Sized, Gives::Int, size),
    plain("head", 1, Gives::Item, |_, args| ends("head", args, |l| l.first())),
    plain("last", 1, Gives::Item, |_, args| ends("last", args, |l| l.last())),
    plain("tail", 1, Gives::Same, tail),
    plain("reverse", 1, Gives::Same, reverse),
    of("range", 2, 3, Accepts::Anything, Gives::Ints, range),
    seeing_nulls("coalesce", 1, usize::MAX, Gives::Any, coalesce),
    plain("isEmpty", 1, Gives::Bool, is_empty),
];

fn size(_: &Env<'_>, args: &[Value]) -> Outcome {
    let size = match first(args) {
        Value::List(l) => l.len(),
        Value::Text(t) => t.chars().count(),
        other => return Err(Fault::of("size", other)),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn ends(name: &str, args: &[Value], pick: fn(&[Value]) -> Option<&Value>) -> Outcome {
    match first(args) {
        Value::List(l) => Ok(pick(l).cloned().unwrap_or(Value::Null)),
        other => Err(Fault::of(name, other)),
    }
}

fn tail(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::List(l) => Ok(Value::list(l.get(1..).unwrap_or_default().to_vec())),
        other => Err(Fault::of("tail", other)),
    }
}

fn reverse(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::List(l) => Ok(Value::list(l.iter().rev().cloned().collect())),
        Value::Text(t) => Ok(Value::text(t.chars().rev().collect::<String>())),
        other => Err(Fault::of("reverse", other)),
    }
}

fn range(env: &Env<'_>, args: &[Value]) -> Outcome {
    let mut bounds = [0, 0, 1];
    for (bound, value) in bounds.iter_mut().zip(args) {
        *bound = match value {
            Value::Int(i) => *i,
            other => {
                let message = format!("`range` takes integers, this is {}", other.kind());
                return Err(Fault::Wrong(Kind::ArgumentError, "InvalidArgumentType", message));
            }
        };
    }
    let [start, end, step] = bounds.map(i128::from);
    if step == 0 {
        return Err(Fault::range("the step of `range` cannot be 0"));
    }
    let count = ((end - start) / step + 1).max(0);
    let backwards = (end - start).signum() == -step.signum();
    if backwards {
        return Ok(Value::list(Vec::new()));
    }
    let count = usize::try_from(count).map_err(|_| Fault::TooLarge)?;
    if count.saturating_mul(size_of::<Value>()) > env.room {
        return Err(Fault::TooLarge);
    }
    let item = |i: usize| i64::try_from(start + step * i as i128).unwrap_or(i64::MAX);
    Ok(Value::list((0..count).map(|i| Value::Int(item(i))).collect()))
}

fn coalesce(_: &Env<'_>, args: &[Value]) -> Outcome {
    Ok(args.iter().find(|v| !v.is_null()).cloned().unwrap_or(Value::Null))
}

fn is_empty(_: &Env<'_>, args: &[Value]) -> Outcome {
    debug_assert!(second(args).is_null());
    match first(args) {
        Value::List(l) => Ok(Value::Bool(l.is_empty())),
        Value::Text(t) => Ok(Value::Bool(t.is_empty())),
        Value::Map(m) => Ok(Value::Bool(m.is_empty())),
        other => Err(Fault::of("isEmpty", other)),
    }
}
