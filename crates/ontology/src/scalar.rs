//! What a field of a raw record holds, and how it becomes the value of an attribute.

use crate::model::Type;
use crate::resolve::seconds;
use crate::time::Time;
use crate::value::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The value of a field, or of an expression over fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A moment.
    Time(Time),
    /// The record's own metric point, whatever its shape (histogram, counter): the receiver knows it, expressions only choose it.
    Point,
    /// The same as a number of tries of a ratio; whether they are what the ratio counts.
    Tries(bool),
}

impl<'a> Scalar<'a> {
    /// Borrowed text.
    pub const fn text(s: &'a str) -> Scalar<'a> {
        Scalar::Text(Cow::Borrowed(s))
    }

    /// As text; numbers are printed.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Scalar::Text(s) => Cow::Borrowed(s),
            Scalar::Int(i) => Cow::Owned(i.to_string()),
            Scalar::Float(x) => Cow::Owned(x.to_string()),
            Scalar::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Scalar::Time(t) => Cow::Owned(t.to_string()),
            Scalar::Point | Scalar::Tries(_) => Cow::Borrowed(""),
        }
    }

    /// As a number, if it is or reads as one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Scalar::Text(s) => s.trim().parse().ok(),
            Scalar::Int(i) => Some(*i as f64),
            Scalar::Float(x) => Some(*x),
            Scalar::Bool(b) => Some(f64::from(u8::from(*b))),
            Scalar::Time(_) | Scalar::Point | Scalar::Tries(_) => None,
        }
    }

    /// Whether a condition that yields this holds: anything but `false` and the empty text.
    pub fn holds(&self) -> bool {
        match self {
            Scalar::Bool(b) => *b,
            Scalar::Text(s) => !s.is_empty(),
            _ => true,
        }
    }

    /// As a moment: RFC 3339, or a number of seconds, milli-, micro- or nanoseconds since 1970 told apart by its size.
    pub fn time(&self) -> Option<Time> {
        match self {
            Scalar::Time(t) => Some(*t),
            Scalar::Int(i) => epoch(*i as f64),
            Scalar::Float(x) => epoch(*x),
            Scalar::Text(s) => Time::parse(s).ok().or_else(|| s.trim().parse().ok().and_then(epoch)),
            Scalar::Bool(_) | Scalar::Point | Scalar::Tries(_) => None,
        }
    }
}

/// 2001 in milliseconds is 1e12, and 1e11 seconds is the year 5138: sizes do not overlap for any date a source may say.
fn epoch(n: f64) -> Option<Time> {
    let nanos = match n.abs() {
        a if !a.is_finite() || a == 0.0 => return None,
        a if a < 1e11 => n * 1e9,
        a if a < 1e14 => n * 1e6,
        a if a < 1e17 => n * 1e3,
        _ => n,
    };
    (nanos > 0.0 && nanos < 9.2e18).then(|| Time::EPOCH.plus_nanos(nanos as i64))
}

impl Type {
    /// The value of an attribute of this type that a scalar says.
    ///
    /// # Errors
    /// Says what was wanted when the scalar is nothing of this type.
    pub fn value(&self, scalar: &Scalar<'_>) -> Result<Value, NotOfType> {
        let none =
            || NotOfType { wanted: self.to_string(), got: scalar.to_text().chars().take(200).collect() };
        let text = || Value::Text(Arc::from(scalar.to_text().as_ref()));
        Ok(match self {
            Type::Text | Type::Version | Type::Url | Type::Hash => match scalar {
                Scalar::Point | Scalar::Tries(_) => return Err(none()),
                _ => text(),
            },
            Type::Int => match scalar {
                Scalar::Int(i) => Value::Int(*i),
                Scalar::Text(s) => Value::Int(s.trim().parse().map_err(|_| none())?),
                Scalar::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Value::Int(*x as i64),
                _ => return Err(none()),
            },
            Type::Bytes => match scalar {
                Scalar::Int(i) => Value::Int(*i),
                Scalar::Float(x) => Value::Int(*x as i64),
                Scalar::Text(s) => Value::Int(bytes(s.trim()).ok_or_else(none)?),
                _ => return Err(none()),
            },
            Type::Float | Type::Ratio => {
                Value::Float(scalar.number().filter(|x| x.is_finite()).ok_or_else(none)?)
            }
            Type::Bool => match scalar {
                Scalar::Bool(b) => Value::Bool(*b),
                Scalar::Int(i @ (0 | 1)) => Value::Bool(*i == 1),
                Scalar::Text(s) if matches!(s.as_ref(), "true" | "false") => Value::Bool(s == "true"),
                _ => return Err(none()),
            },
            Type::Time => Value::Time(scalar.time().ok_or_else(none)?),
            Type::Duration => match scalar {
                Scalar::Text(s) => {
                    let secs = seconds(s.trim()).map(|n| n as f64);
                    Value::Float(secs.or_else(|| s.trim().parse().ok()).ok_or_else(none)?)
                }
                _ => Value::Float(scalar.number().ok_or_else(none)?),
            },
            Type::OneOf(words) => {
                let said = scalar.to_text();
                let word = words.iter().find(|w| w.eq_ignore_ascii_case(&said)).ok_or_else(none)?;
                Value::text(word)
            }
        })
    }
}

fn bytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let count: f64 = text.get(..digits)?.parse().ok()?;
    let scale: f64 = match text.get(digits..)?.trim() {
        "" | "B" | "By" => 1.0,
        "k" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "Ki" | "KiB" => 1024.0,
        "Mi" | "MiB" => 1_048_576.0,
        "Gi" | "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    Some((count * scale) as i64)
}

/// A scalar that is nothing of the type that was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is not {wanted}")]
pub struct NotOfType {
    /// The type, in words.
    pub wanted: String,
    /// What was there instead (at most 200 characters).
    pub got: String,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Text => "text",
            Type::Int => "a whole number",
            Type::Float => "a number",
            Type::Bool => "true or false",
            Type::Time => "a time",
            Type::Duration => "a length of time",
            Type::Bytes => "a size in bytes",
            Type::Ratio => "a share",
            Type::Version => "a version",
            Type::Url => "a URL",
            Type::Hash => "a hash",
            Type::OneOf(words) => return write!(f, "one of {}", words.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_any_usual_form() {
        let t = Time::parse("2026-11-24T12:05:00Z").unwrap();
        for s in [
            Scalar::Int(1_795_521_900),
            Scalar::Int(1_795_521_900_000),
            Scalar::Int(1_795_521_900_000_000_000),
            Scalar::Float(1_795_521_900.0),
            Scalar::text("2026-11-24T12:05:00Z"),
            Scalar::text("1795521900"),
        ] {
            assert_eq!(s.time(), Some(t), "{s:?}");
        }
        assert_eq!(Scalar::Int(0).time(), None);
    }

    #[test]
    fn a_value_must_be_of_the_attributes_type() {
        let status = Type::OneOf(vec!["running".into(), "done".into()]);
        assert_eq!(status.value(&Scalar::text("DONE")), Ok(Value::text("done")));
        let no = status.value(&Scalar::text("finished")).unwrap_err();
        assert_eq!(no.to_string(), "`finished` is not one of running, done");
        assert_eq!(Type::Bytes.value(&Scalar::text("2Gi")), Ok(Value::Int(2_147_483_648)));
        assert_eq!(Type::Duration.value(&Scalar::text("30d")), Ok(Value::Float(2_592_000.0)));
        assert_eq!(
            Type::Int.value(&Scalar::text("7x")).unwrap_err().to_string(),
            "`7x` is not a whole number"
        );
    }
}
