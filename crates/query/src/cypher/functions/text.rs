//! Functions of texts.

use super::{Accepts, of};
use super::{Env, Fault, Function, Gives, Outcome, first, int_of, plain, second, text_of};
use crate::cypher::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    plain("toLower", 1, Gives::Text, |_, args| mapped("toLower", args, |t| t.to_lowercase())),
    plain("toUpper", 1, Gives::Text, |_, args| mapped("toUpper", args, |t| t.to_uppercase())),
    plain("lower", 1, Gives::Text, |_, args| mapped("lower", args, |t| t.to_lowercase())),
    plain("upper", 1, Gives::Text, |_, args| mapped("upper", args, |t| t.to_uppercase())),
    plain("trim", 1, Gives::Text, |_, args| mapped("trim", args, |t| t.trim().to_owned())),
    plain("lTrim", 1, Gives::Text, |_, args| mapped("lTrim", args, |t| t.trim_start().to_owned())),
    plain("rTrim", 1, Gives::Text, |_, args| mapped("rTrim", args, |t| t.trim_end().to_owned())),
    plain("replace", 3, Gives::Text, replace),
    plain("split", 2, Gives::Texts, split),
    of("substring", 2, 3, Accepts::Anything, Gives::Text, substring),
    plain("left", 2, Gives::Text, left),
    plain("right", 2, Gives::Text, right),
];

fn mapped(name: &str, args: &[Value], map: fn(&str) -> String) -> Outcome {
    Ok(Value::text(map(text_of(name, first(args))?)))
}

fn replace(env: &Env<'_>, args: &[Value]) -> Outcome {
    let text = text_of("replace", first(args))?;
    let (old, new) =
        (text_of("replace", second(args))?, text_of("replace", args.get(2).unwrap_or(&Value::Null))?);
    if old.is_empty() {
        return Ok(Value::text(text));
    }
    let most = text.len().saturating_add(text.matches(old).count().saturating_mul(new.len()));
    if most > env.room {
        return Err(Fault::TooLarge);
    }
    Ok(Value::text(text.replace(old, new)))
}

fn split(_: &Env<'_>, args: &[Value]) -> Outcome {
    let (text, by) = (text_of("split", first(args))?, text_of("split", second(args))?);
    if by.is_empty() {
        return Ok(Value::list(text.chars().map(|c| Value::text(c.to_string())).collect()));
    }
    Ok(Value::list(text.split(by).map(Value::text).collect()))
}

fn count(name: &str, value: &Value) -> Result<usize, Fault> {
    let n = int_of(name, value)?;
    usize::try_from(n).map_err(|_| Fault::range(format!("`{name}` cannot take a negative length")))
}

fn substring(_: &Env<'_>, args: &[Value]) -> Outcome {
    let text = text_of("substring", first(args))?;
    let start = count("substring", second(args))?;
    let length = args.get(2).map_or(Ok(usize::MAX), |l| count("substring", l))?;
    Ok(Value::text(text.chars().skip(start).take(length).collect::<String>()))
}

fn left(_: &Env<'_>, args: &[Value]) -> Outcome {
    let (text, n) = (text_of("left", first(args))?, count("left", second(args))?);
    Ok(Value::text(text.chars().take(n).collect::<String>()))
}

fn right(_: &Env<'_>, args: &[Value]) -> Outcome {
    let (text, n) = (text_of("right", first(args))?, count("right", second(args))?);
    let skip = text.chars().count().saturating_sub(n);
    Ok(Value::text(text.chars().skip(skip).collect::<String>()))
}
