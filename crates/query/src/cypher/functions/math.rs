//! Functions of numbers.

use super::{Accepts, Env, Fault, Function, Gives, Outcome, first, number_of, of, plain, second};
use crate::cypher::value::Value;

macro_rules! real {
    ($name:literal, $f:expr) => {
        plain($name, 1, Gives::Float, |_, args| Ok(Value::Float($f(number_of($name, first(args))?))))
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    plain("abs", 1, Gives::Same, abs),
    plain("sign", 1, Gives::Int, sign),
    real!("ceil", f64::ceil),
    real!("floor", f64::floor),
    of("round", 1, 2, Accepts::Anything, Gives::Float, round),
    real!("sqrt", f64::sqrt),
    real!("exp", f64::exp),
    real!("log", f64::ln),
    real!("log10", f64::log10),
    real!("sin", f64::sin),
    real!("cos", f64::cos),
    real!("tan", f64::tan),
    real!("cot", |x: f64| 1.0 / x.tan()),
    real!("asin", f64::asin),
    real!("acos", f64::acos),
    real!("atan", f64::atan),
    plain("atan2", 2, Gives::Float, |_, args| {
        Ok(Value::Float(number_of("atan2", first(args))?.atan2(number_of("atan2", second(args))?)))
    }),
    real!("degrees", f64::to_degrees),
    real!("radians", f64::to_radians),
    real!("haversin", |x: f64| (1.0 - x.cos()) / 2.0),
    plain("pi", 0, Gives::Float, |_, _| Ok(Value::Float(std::f64::consts::PI))),
    plain("e", 0, Gives::Float, |_, _| Ok(Value::Float(std::f64::consts::E))),
    plain("rand", 0, Gives::Float, rand),
    plain("isNaN", 1, Gives::Bool, |_, args| Ok(Value::Bool(number_of("isNaN", first(args))?.is_nan()))),
];

fn abs(_: &Env<'_>, args: &[Value]) -> Outcome {
    match first(args) {
        Value::Int(i) => {
            i.checked_abs().map(Value::Int).ok_or_else(|| Fault::range("this number is too large"))
        }
        other => Ok(Value::Float(number_of("abs", other)?.abs())),
    }
}

fn sign(_: &Env<'_>, args: &[Value]) -> Outcome {
    let x = number_of("sign", first(args))?;
    Ok(Value::Int(i64::from(x > 0.0) - i64::from(x < 0.0)))
}

fn round(_: &Env<'_>, args: &[Value]) -> Outcome {
    let x = number_of("round", first(args))?;
    let digits = match args.get(1) {
        None => 0,
        Some(v) => i32::try_from(super::int_of("round", v)?).unwrap_or(0).clamp(0, 300),
    };
    let scale = 10f64.powi(digits);
    // Halves go up, as openCypher's `round` does.
    let rounded = (x * scale + 0.5).floor() / scale;
    Ok(Value::Float(if rounded.is_finite() { rounded } else { x }))
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the caller gives the seed, so that an answer can be had again.
fn rand(env: &Env<'_>, _: &[Value]) -> Outcome {
    let state = env.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    env.random.set(state);
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let z = z ^ (z >> 31);
    Ok(Value::Float((z >> 11) as f64 / (1u64 << 53) as f64))
}
