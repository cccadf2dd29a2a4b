//! From a metric point to an observation: temporality, buckets and units.
//!
//! What can be added up over time and over components becomes a fact; what cannot is said to be so. Growing counters and
//! growing histograms become readings, and the graph takes differences. Quantiles of a summary cannot be added up at all; its
//! count and its sum are counters and remain mappable as `<metric>.count` and `<metric>.sum`.

use crate::otlp::{MetricHead, Point, Reading, Temporality};
use ontology::model::{Measure, MeasureKind};
use ontology::unit::{self, Dimension};
use ontology::{Observation, StreamId, Time};

/// Which part of a point a mapping asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The number, or the distribution.
    Whole,
    /// How many values a distribution has.
    Count,
    /// Their sum.
    Sum,
}

/// Why a point gives no observation: a reason to count and a detail to show.
pub(crate) type Why = (&'static str, String);

/// The observation of a measure that a part of a point is. `None` when the point holds nothing.
pub(crate) fn observe(
    point: &Point,
    metric: &MetricHead<'_>,
    part: Part,
    measure: &Measure,
    stream: StreamId,
) -> Result<Option<Observation>, Why> {
    let told = std::str::from_utf8(metric.unit).unwrap_or_default();
    let cumulative = metric.temporality == Temporality::Cumulative;
    let level = matches!(measure.kind, MeasureKind::Gauge | MeasureKind::Ratio);
    let number_read = matches!(point.reading, Reading::Int(_) | Reading::Float(_));
    // How many values a distribution has is a number, whatever they are in.
    let told = match part {
        Part::Count => "1",
        Part::Whole if measure.kind == MeasureKind::Rate && !number_read => "1",
        Part::Whole | Part::Sum => told,
    };
    let factor = if measure.kind == MeasureKind::Rate {
        per_time(told, &measure.unit)
    } else if cumulative && metric.monotonic && level && number_read {
        speed(told, &measure.unit)
    } else {
        unit::factor(told, &measure.unit)
    };
    let scale = factor.ok_or_else(|| unfit(metric, measure))?;
    match (&point.reading, part) {
        (Reading::Nothing, _) => Ok(None),
        (Reading::Int(i), _) => number(*i as f64, scale, cumulative, point, metric, measure, stream),
        (Reading::Float(f), _) => number(*f, scale, cumulative, point, metric, measure, stream),
        (Reading::Histogram { count, .. } | Reading::Exponential { count, .. }, Part::Count) => {
            Ok(Some(counted(*count, cumulative, point, stream)))
        }
        (Reading::Summary { count, .. }, Part::Count) => Ok(Some(counted(*count, true, point, stream))),
        (Reading::Histogram { sum, .. } | Reading::Exponential { sum, .. }, Part::Sum) => match sum {
            Some(sum) => {
                let metric = MetricHead { monotonic: true, ..*metric };
                number(*sum, scale, cumulative, point, &metric, measure, stream)
            }
            None => Ok(None),
        },
        (Reading::Summary { sum, .. }, Part::Sum) => {
            number(*sum, scale, true, point, &MetricHead { monotonic: true, ..*metric }, measure, stream)
        }
        (Reading::Histogram { count, .. } | Reading::Exponential { count, .. }, Part::Whole)
            if measure.kind == MeasureKind::Rate =>
        {
            Ok(Some(counted(*count, cumulative, point, stream)))
        }
        (Reading::Summary { count, .. }, Part::Whole) if measure.kind == MeasureKind::Rate => {
            Ok(Some(counted(*count, true, point, stream)))
        }
        (Reading::Summary { .. }, Part::Whole) => Err((
            "summary whose quantiles cannot be added up",
            format!("metric {}: map its .count and .sum instead", String::from_utf8_lossy(metric.name)),
        )),
        (Reading::Histogram { count, sum, counts, bounds, min, max }, Part::Whole) => {
            let extremes = if cumulative { (None, None) } else { (*min, *max) };
            let read = explicit(*count, *sum, counts, bounds, extremes, scale)?;
            Ok(read.map(|r| if cumulative { growing(r, point, stream) } else { r }))
        }
        (
            Reading::Exponential { sum, scale: steps, zeros, positive, negative, min, max, .. },
            Part::Whole,
        ) => {
            let extremes = if cumulative { (None, None) } else { (*min, *max) };
            let read = exponential(*sum, *steps, *zeros, positive, negative, extremes, scale)?;
            Ok(read.map(|r| if cumulative { growing(r, point, stream) } else { r }))
        }
    }
}

/// Why a metric is not taken for a measure.
fn unfit(metric: &MetricHead<'_>, measure: &Measure) -> Why {
    let [name, told] = [metric.name, metric.unit].map(String::from_utf8_lossy);
    let detail = format!("metric {name} is in `{told}`, {} is in `{}`", measure.name, measure.unit);
    ("unit that does not fit the measure", detail)
}

/// What a number that is counted over time is multiplied with: requests become requests per time, bytes a throughput.
fn per_time(told: &str, wanted: &str) -> Option<f64> {
    match (unit::dimension(told), unit::dimension(wanted)) {
        _ if told.is_empty() => Some(1.0),
        (Some(Dimension::Number), Some(Dimension::Rate)) => unit::factor(told, "1"),
        (Some(Dimension::Data), _) => speed(told, wanted),
        _ => unit::factor(told, wanted),
    }
}

/// A number of a metric that is read without regard to its unit, in the unit of the measure.
pub(crate) fn converted(
    observation: Observation,
    metric: &MetricHead<'_>,
    measure: &Measure,
) -> Result<Observation, Why> {
    let told = std::str::from_utf8(metric.unit).unwrap_or_default();
    match observation {
        Observation::One(value) => {
            let factor = unit::factor(told, &measure.unit).ok_or_else(|| unfit(metric, measure))?;
            Ok(Observation::One(value * factor))
        }
        Observation::Count(_) if per_time(told, &measure.unit).is_none() => Err(unfit(metric, measure)),
        other => Ok(other),
    }
}

/// What a reading of a counter is multiplied with so that its growth in a second is in `wanted`: seconds of work per second are
/// a plain number, bytes per second a throughput.
fn speed(told: &str, wanted: &str) -> Option<f64> {
    match unit::dimension(told) {
        _ if told.is_empty() => Some(1.0),
        Some(Dimension::Time) => unit::factor(told, "s").zip(unit::factor("1", wanted)).map(|(a, b)| a * b),
        Some(Dimension::Data) => {
            unit::factor(told, "By").zip(unit::factor("By/s", wanted)).map(|(a, b)| a * b)
        }
        _ => unit::factor(told, wanted),
    }
}

/// A distribution as one reading of many. Its buckets must be the same each time, so the extremes, which move, have no say.
fn growing(read: Observation, point: &Point, stream: StreamId) -> Observation {
    match read {
        Observation::Many { values, sum } => {
            Observation::Growing { stream, start: since(point), values, sum }
        }
        other => other,
    }
}

/// The observation of a ratio that a point is: as many tries as it counts, all of them bad or none.
pub(crate) fn tries(
    point: &Point,
    metric: &MetricHead<'_>,
    bad: bool,
    measure: &Measure,
    stream: StreamId,
) -> Result<Option<Observation>, Why> {
    if measure.kind != MeasureKind::Ratio {
        return Err((
            "tries of a measure that is no ratio",
            format!("{} is a {:?}; only ratios count tries", measure.name, measure.kind),
        ));
    }
    // Shares are of what can be counted or added up: things, time, data.
    let told = std::str::from_utf8(metric.unit).unwrap_or_default();
    let amount = matches!(unit::dimension(told), Some(Dimension::Number | Dimension::Time | Dimension::Data));
    let number_read = matches!(point.reading, Reading::Int(_) | Reading::Float(_));
    if number_read && !told.is_empty() && !amount {
        return Err(unfit(metric, measure));
    }
    let cumulative = metric.temporality == Temporality::Cumulative;
    let (count, grows) = match &point.reading {
        Reading::Nothing => return Ok(None),
        Reading::Int(i) if *i < 0 => return Err(negative(i)),
        Reading::Int(i) => (*i as f64, cumulative && metric.monotonic),
        Reading::Float(f) if !f.is_finite() => return Err(not_finite()),
        Reading::Float(f) if *f < 0.0 => return Err(negative(f)),
        Reading::Float(f) => (f.min(9.0e15), cumulative && metric.monotonic),
        Reading::Histogram { count, .. } | Reading::Exponential { count, .. } => (*count as f64, cumulative),
        Reading::Summary { count, .. } => (*count as f64, true),
    };
    Ok(Some(if grows {
        Observation::GrowingTries { stream, start: since(point), count, bad }
    } else {
        Observation::Tries { count, bad: if bad { count } else { 0.0 } }
    }))
}

fn negative(value: &dyn std::fmt::Display) -> Why {
    ("negative number of tries", format!("{value} things cannot have been tried"))
}

fn counted(count: u64, cumulative: bool, point: &Point, stream: StreamId) -> Observation {
    if cumulative {
        Observation::Cumulative { stream, start: since(point), value: count as f64 }
    } else {
        Observation::Count(count)
    }
}

fn since(point: &Point) -> Time {
    Time::from_nanos(point.start).unwrap_or(Time::EPOCH)
}

fn number(
    value: f64,
    scale: f64,
    cumulative: bool,
    point: &Point,
    metric: &MetricHead<'_>,
    measure: &Measure,
    stream: StreamId,
) -> Result<Option<Observation>, Why> {
    let value = value * scale;
    if !value.is_finite() {
        return Err(not_finite());
    }
    Ok(Some(if cumulative && metric.monotonic {
        Observation::Cumulative { stream, start: since(point), value }
    } else if measure.kind == MeasureKind::Rate && metric.temporality == Temporality::Delta && value >= 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
        let count = value.clamp(0.0, 9.0e15).round() as u64;
        Observation::Count(count)
    } else {
        Observation::One(value)
    }))
}

fn not_finite() -> Why {
    ("number that is not finite", "NaN and infinity cannot be added up".to_owned())
}

type Extremes = (Option<f64>, Option<f64>);

fn explicit(
    count: u64,
    sum: Option<f64>,
    counts: &[u64],
    bounds: &[f64],
    (min, max): Extremes,
    scale: f64,
) -> Result<Option<Observation>, Why> {
    let sum = sum.filter(|s| s.is_finite()).map(|s| s * scale);
    if counts.is_empty() {
        // Only count and sum: all of them at the mean.
        let (true, Some(total)) = (count > 0, sum) else { return Ok(None) };
        return Ok(Some(Observation::Many { values: vec![(total / count as f64, count)], sum }));
    }
    if counts.len() != bounds.len() + 1 || !bounds.is_sorted_by(|a, b| a < b) {
        return Err((
            "histogram whose buckets do not fit its bounds",
            format!("{} counts and {} bounds", counts.len(), bounds.len()),
        ));
    }
    let mut values = Vec::new();
    for (i, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let below = i.checked_sub(1).and_then(|i| bounds.get(i)).copied();
        let above = bounds.get(i).copied();
        // The open ends: as far as the source says, else from zero, else the bound itself.
        let low = below.or(min).unwrap_or_else(|| above.map_or(0.0, |a| a.min(0.0)));
        let high = above.or(max).unwrap_or(low);
        let low = min.map_or(low, |m| low.max(m));
        let high = max.map_or(high, |m| high.min(m)).max(low);
        values.push(((low + high) / 2.0 * scale, *n));
    }
    finish(values, sum)
}

fn exponential(
    sum: Option<f64>,
    steps: i32,
    zeros: u64,
    positive: &(i32, Vec<u64>),
    negative: &(i32, Vec<u64>),
    (min, max): Extremes,
    scale: f64,
) -> Result<Option<Observation>, Why> {
    // Bucket i holds (base^i, base^(i+1)]; the value with the least relative error inside is 2·base^(i+1)/(base+1)
    // (Masson, Rim, Lee: DDSketch, 2019).
    let step = (-f64::from(steps)).exp2();
    let base = step.exp2();
    let middle = |i: f64| (i * step).exp2() * (2.0 * base / (1.0 + base));
    let clip = |v: f64| {
        let v = min.map_or(v, |m| v.max(m));
        max.map_or(v, |m| v.min(m))
    };
    let mut values = Vec::new();
    for (place, n) in negative.1.iter().enumerate().rev().filter(|(_, n)| **n > 0) {
        values.push((clip(-middle(f64::from(negative.0) + place as f64)) * scale, *n));
    }
    if zeros > 0 {
        values.push((0.0, zeros));
    }
    for (place, n) in positive.1.iter().enumerate().filter(|(_, n)| **n > 0) {
        values.push((clip(middle(f64::from(positive.0) + place as f64)) * scale, *n));
    }
    finish(values, sum.filter(|s| s.is_finite()).map(|s| s * scale))
}

fn finish(values: Vec<(f64, u64)>, sum: Option<f64>) -> Result<Option<Observation>, Why> {
    if values.iter().any(|(v, _)| !v.is_finite()) {
        return Err(not_finite());
    }
    Ok((!values.is_empty()).then_some(Observation::Many { values, sum }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(9);
    use ontology::model::{AspectId, Better, ClassId, Show};

    fn measure(kind: MeasureKind, unit: &str) -> Measure {
        Measure {
            name: "m".to_owned(),
            of: ClassId(0),
            aspect: AspectId(0),
            better: Better::Lower,
            kind,
            unit: unit.to_owned(),
            show: Show::Mean,
            care_change: 0.1,
            care_samples: 1,
            parts: vec![],
            doc: String::new(),
            was: vec![],
        }
    }

    fn head(unit: &'static str, temporality: Temporality, monotonic: bool) -> MetricHead<'static> {
        MetricHead { name: b"metric", unit: unit.as_bytes(), temporality, monotonic }
    }

    fn point(reading: Reading) -> Point {
        Point { start: 5, time: 10, flags: 0, reading }
    }

    fn histogram(counts: Vec<u64>, bounds: Vec<f64>) -> Reading {
        Reading::Histogram {
            count: counts.iter().sum(),
            sum: Some(1.0),
            counts,
            bounds,
            min: None,
            max: Some(4.0),
        }
    }

    #[test]
    fn buckets_become_values_in_the_unit_of_the_measure() {
        let p = point(histogram(vec![1, 2, 0, 1], vec![0.5, 1.0, 2.0]));
        let ms = measure(MeasureKind::Duration, "ms");
        let got = observe(&p, &head("s", Temporality::Delta, false), Part::Whole, &ms, STREAM);
        let values = vec![(250.0, 1), (750.0, 2), (3000.0, 1)];
        assert_eq!(got, Ok(Some(Observation::Many { values, sum: Some(1000.0) })));
    }

    #[test]
    fn a_cumulative_histogram_is_a_reading_with_the_same_values_each_time() {
        let p = point(histogram(vec![1, 2], vec![0.5]));
        let cumulative = head("s", Temporality::Cumulative, false);
        let ms = measure(MeasureKind::Duration, "ms");
        let start = Time::from_nanos(5).unwrap();
        let values = vec![(250.0, 1), (500.0, 2)];
        let whole = Observation::Growing { stream: STREAM, start, values, sum: Some(1000.0) };
        assert_eq!(observe(&p, &cumulative, Part::Whole, &ms, STREAM), Ok(Some(whole)));
        let rate = measure(MeasureKind::Rate, "/s");
        let read = |value| Ok(Some(Observation::Cumulative { stream: STREAM, start, value }));
        assert_eq!(observe(&p, &cumulative, Part::Count, &rate, STREAM), read(3.0));
        assert_eq!(observe(&p, &cumulative, Part::Sum, &ms, STREAM), read(1000.0));
    }

    #[test]
    fn exponential_buckets_stay_within_their_relative_error() {
        let p = point(Reading::Exponential {
            count: 4,
            sum: None,
            scale: 1,
            zeros: 1,
            positive: (2, vec![3]),
            negative: (0, vec![]),
            min: None,
            max: None,
        });
        let ms = measure(MeasureKind::Duration, "ms");
        let got = observe(&p, &head("ms", Temporality::Delta, false), Part::Whole, &ms, STREAM);
        let Ok(Some(Observation::Many { values, .. })) = got else { panic!("{got:?}") };
        // Bucket 2 of scale 1 is (2, 2.83].
        assert!(
            values[0] == (0.0, 1) && values[1].1 == 3 && (2.0..2.83).contains(&values[1].0),
            "{values:?}"
        );
    }

    #[test]
    fn a_unit_of_another_kind_is_refused() {
        let p = point(Reading::Int(5));
        let ms = measure(MeasureKind::Duration, "ms");
        assert!(
            observe(&p, &head("By", Temporality::None, false), Part::Whole, &ms, STREAM)
                .unwrap_err()
                .1
                .contains("`By`")
        );
        let share = measure(MeasureKind::Ratio, "1");
        let got = observe(&p, &head("%", Temporality::None, false), Part::Whole, &share, STREAM);
        assert_eq!(got, Ok(Some(Observation::One(0.05))));
    }

    #[test]
    fn what_is_counted_over_time_must_be_countable() {
        let p = point(Reading::Int(5));
        let delta = |unit| head(unit, Temporality::Delta, true);
        let read = |unit, wanted: &str| {
            observe(&p, &delta(unit), Part::Whole, &measure(MeasureKind::Rate, wanted), STREAM)
        };
        for unit in ["", "1", "{request}"] {
            assert_eq!(read(unit, "/s"), Ok(Some(Observation::Count(5))), "{unit}");
        }
        assert_eq!(read("kBy", "kbit/s"), Ok(Some(Observation::Count(40))));
        for (unit, wanted) in [("ms", "/s"), ("By", "/min"), ("Cel", "/s"), ("s", "By/s"), ("1", "By/s")] {
            assert_eq!(read(unit, wanted).unwrap_err().0, "unit that does not fit the measure", "{unit}");
        }
        // The count of a distribution has no unit; the measure must still be a number.
        let seconds = point(histogram(vec![1, 2], vec![0.5]));
        let count = |kind, unit: &str| {
            observe(
                &seconds,
                &head("s", Temporality::Delta, false),
                Part::Count,
                &measure(kind, unit),
                STREAM,
            )
        };
        assert_eq!(count(MeasureKind::Rate, "/s"), Ok(Some(Observation::Count(3))));
        assert_eq!(count(MeasureKind::Gauge, "1"), Ok(Some(Observation::Count(3))));
        assert!(count(MeasureKind::Duration, "ms").is_err());
    }

    #[test]
    fn a_share_is_of_what_can_be_added_up() {
        let share = measure(MeasureKind::Ratio, "1");
        let read = |unit| {
            tries(&point(Reading::Int(5)), &head(unit, Temporality::Delta, true), true, &share, STREAM)
        };
        for unit in ["", "{request}", "s", "By"] {
            assert!(read(unit).is_ok(), "{unit}");
        }
        for unit in ["/s", "By/s", "Cel"] {
            assert_eq!(read(unit).unwrap_err().0, "unit that does not fit the measure", "{unit}");
        }
    }

    #[test]
    fn a_bare_number_of_a_metric_is_converted_too() {
        let ms = measure(MeasureKind::Duration, "ms");
        let read = |unit| converted(Observation::One(2.0), &head(unit, Temporality::None, false), &ms);
        assert_eq!(read("s"), Ok(Observation::One(2000.0)));
        assert_eq!(read(""), Ok(Observation::One(2.0)));
        assert!(read("By").is_err());
    }

    #[test]
    fn a_counter_of_one_outcome_is_tries_of_a_ratio_and_of_nothing_else() {
        let share = measure(MeasureKind::Ratio, "1");
        let growing = head("", Temporality::Cumulative, true);
        let start = Time::from_nanos(5).unwrap();
        let got = tries(&point(Reading::Float(7.0)), &growing, true, &share, STREAM);
        assert_eq!(got, Ok(Some(Observation::GrowingTries { stream: STREAM, start, count: 7.0, bad: true })));
        let level = head("", Temporality::None, false);
        let got = tries(&point(Reading::Int(3)), &level, true, &share, STREAM);
        assert_eq!(got, Ok(Some(Observation::Tries { count: 3.0, bad: 3.0 })));
        let got = tries(&point(Reading::Float(0.25)), &level, false, &share, STREAM);
        assert_eq!(got, Ok(Some(Observation::Tries { count: 0.25, bad: 0.0 })));
        assert!(tries(&point(Reading::Int(-3)), &level, true, &share, STREAM).is_err());
        assert!(tries(&point(Reading::Float(f64::NAN)), &level, true, &share, STREAM).is_err());
        assert!(
            tries(&point(Reading::Int(3)), &level, true, &measure(MeasureKind::Rate, "/s"), STREAM).is_err()
        );
    }

    #[test]
    fn a_counter_asked_for_as_a_level_is_told_by_its_speed() {
        let (p, busy) = (point(Reading::Float(1500.0)), measure(MeasureKind::Gauge, "1"));
        let read = |unit, m: &Measure| {
            observe(&p, &head(unit, Temporality::Cumulative, true), Part::Whole, m, STREAM).map(|o| match o {
                Some(Observation::Cumulative { value, .. }) => value,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(read("ms", &busy), Ok(1.5));
        assert_eq!(read("By", &measure(MeasureKind::Gauge, "kbit/s")), Ok(12.0));
        assert!(read("By", &measure(MeasureKind::Gauge, "By")).is_err());
    }

    #[test]
    fn hostile_scales_and_bounds_are_refused() {
        let extreme = |scale| Reading::Exponential {
            count: 1,
            sum: None,
            scale,
            zeros: 0,
            positive: (i32::MAX, vec![1]),
            negative: (0, vec![]),
            min: None,
            max: None,
        };
        let ms = measure(MeasureKind::Duration, "ms");
        let delta = head("ms", Temporality::Delta, false);
        assert!(observe(&point(extreme(i32::MIN)), &delta, Part::Whole, &ms, STREAM).is_err());
        let unsorted = histogram(vec![1, 1, 1], vec![2.0, f64::NAN]);
        assert!(observe(&point(unsorted), &delta, Part::Whole, &ms, STREAM).is_err());
    }
}
