//! Units of measures (UCUM spelling): which are known, which belong together, and by how much they differ.

use crate::model::MeasureKind;

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A length of time.
    Time,
    /// A plain number or share.
    Number,
    /// An amount of data.
    Data,
    /// Happenings per time.
    Rate,
    /// Data per time.
    Throughput,
}

/// Unit, what it measures, and its size in the first unit of its dimension.
const UNITS: &[(&str, Dimension, f64)] = &[
    ("s", Dimension::Time, 1.0),
    ("ms", Dimension::Time, 1e-3),
    ("us", Dimension::Time, 1e-6),
    ("ns", Dimension::Time, 1e-9),
    ("min", Dimension::Time, 60.0),
    ("h", Dimension::Time, 3600.0),
    ("d", Dimension::Time, 86_400.0),
    ("1", Dimension::Number, 1.0),
    ("%", Dimension::Number, 0.01),
    ("By", Dimension::Data, 1.0),
    ("kBy", Dimension::Data, 1e3),
    ("MBy", Dimension::Data, 1e6),
    ("GBy", Dimension::Data, 1e9),
    ("KiBy", Dimension::Data, 1024.0),
    ("MiBy", Dimension::Data, 1_048_576.0),
    ("GiBy", Dimension::Data, 1_073_741_824.0),
    ("/s", Dimension::Rate, 1.0),
    ("/min", Dimension::Rate, 1.0 / 60.0),
    ("/h", Dimension::Rate, 1.0 / 3600.0),
    ("bit/s", Dimension::Throughput, 1.0),
    ("kbit/s", Dimension::Throughput, 1e3),
    ("Mbit/s", Dimension::Throughput, 1e6),
    ("By/s", Dimension::Throughput, 8.0),
];

fn find(unit: &str) -> Option<&'static (&'static str, Dimension, f64)> {
    // UCUM annotations in braces are words for people: `{request}` is `1`, `{request}/s` is `/s`.
    if let (Some(open), Some(close)) = (unit.find('{'), unit.find('}'))
        && open < close
    {
        let plain: String = unit.chars().take(open).chain(unit.chars().skip(close + 1)).collect();
        return find(if plain.is_empty() { "1" } else { &plain });
    }
    UNITS.iter().find(|(n, ..)| *n == unit)
}

/// What a unit measures; `None` for an unknown one.
pub fn dimension(unit: &str) -> Option<Dimension> {
    find(unit).map(|(_, d, _)| *d)
}

/// What a value in `from` is multiplied with to be in `to`; `None` when they do not measure the same.
/// A number without a unit (the empty text) is taken to be in the right one.
pub fn factor(from: &str, to: &str) -> Option<f64> {
    if from.is_empty() || from == to {
        return Some(1.0);
    }
    let ((_, d, a), (_, e, b)) = (find(from)?, find(to)?);
    (d == e).then(|| a / b)
}

/// Every unit, as it is spelled.
pub fn known() -> impl Iterator<Item = &'static str> {
    UNITS.iter().map(|(n, ..)| *n)
}

impl Dimension {
    /// Whether a measure of this kind can have a unit of this dimension.
    pub(crate) fn fits(self, kind: MeasureKind) -> bool {
        match kind {
            MeasureKind::Duration => self == Dimension::Time,
            MeasureKind::Ratio => self == Dimension::Number,
            MeasureKind::Rate => matches!(self, Dimension::Rate | Dimension::Throughput),
            MeasureKind::Gauge => self != Dimension::Rate,
        }
    }

    /// What to write for a measure of this kind.
    pub(crate) fn wanted(self, kind: MeasureKind) -> &'static str {
        match kind {
            MeasureKind::Duration => "write a time: ms, s, us",
            MeasureKind::Ratio => "write \"1\"",
            MeasureKind::Rate => "write it per time: \"/s\", \"/min\", \"/h\"",
            MeasureKind::Gauge => "write a level: ms, s, \"1\", By, kbit/s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_kind_convert_and_others_do_not() {
        assert_eq!(factor("s", "ms"), Some(1000.0));
        assert_eq!(factor("{request}", "1"), Some(1.0));
        assert_eq!(factor("By", "ms"), None);
        assert_eq!(dimension("parsec"), None);
    }
}
