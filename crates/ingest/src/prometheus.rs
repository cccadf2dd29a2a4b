//! What the forms of Prometheus have in common: samples of labelled series, of which several make one histogram or summary.
//!
//! A classic histogram comes as one series per bucket and two more. Its parts are held until the request has been read, then put
//! together by name, labels and time. Counters grow since a time that is mostly not told; then it is left open, and the graph
//! takes a fall for a new start.

use crate::otlp::{Level, MetricHead, Point, Raw, Reading, Sink, Temporality};
use std::collections::BTreeMap;

/// The value that says that a series ended (Prometheus, `model/value`: `StaleNaN`).
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What a family of series is, as its metadata says; the numbers are those of both remote-write protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    /// `info` and `stateset`: gauges of 0 and 1.
    State,
}

impl Kind {
    pub(crate) const fn from_number(n: u64) -> Kind {
        match n {
            1 => Kind::Counter,
            2 => Kind::Gauge,
            3 => Kind::Histogram,
            4 => Kind::GaugeHistogram,
            5 => Kind::Summary,
            6 | 7 => Kind::State,
            _ => Kind::Unknown,
        }
    }
}

/// Name and value of a label.
pub(crate) type Label<'a> = (&'a [u8], &'a [u8]);

/// A series without its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series<'a> {
    pub name: &'a [u8],
    /// All labels but the name; sorted by [`Series::sort`].
    pub labels: Vec<Label<'a>>,
    pub kind: Kind,
    /// As metadata says it; empty when it does not.
    pub unit: &'a [u8],
}

impl Series<'_> {
    /// Brings the labels into order and leaves out empty ones, which mean the same as none.
    pub(crate) fn sort(&mut self) {
        self.labels.retain(|l| !l.1.is_empty());
        if !self.labels.is_sorted() {
            self.labels.sort_unstable();
        }
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub value: f64,
    /// Milliseconds since 1970.
    pub time: i64,
    /// When what it counts began; 0 when not told.
    pub start: i64,
}

/// Which part of a histogram or summary a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Bucket(f64),
    Sum,
    Count,
    Quantile,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    base: &'a [u8],
    labels: Vec<Label<'a>>,
    time: i64,
}

#[derive(Debug, Default)]
struct Parts<'a> {
    kind: Kind,
    unit: &'a [u8],
    start: i64,
    stale: bool,
    buckets: Vec<(f64, f64)>,
    /// Name of the series, and the value.
    sum: Option<(&'a [u8], f64)>,
    count: Option<(&'a [u8], f64)>,
    quantiles: u32,
}

/// Takes series and tells a sink of points.
#[derive(Debug, Default)]
pub(crate) struct Assembler<'a> {
    held: BTreeMap<Key<'a>, Parts<'a>>,
}

/// Nanoseconds from milliseconds; 0, which no item may have, for what cannot be.
pub(crate) fn nanos(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000)
}

pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// Prometheus prints infinite bounds as `+Inf`.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    match text {
        b"+Inf" | b"Inf" => Some(f64::INFINITY),
        b"-Inf" => Some(f64::NEG_INFINITY),
        b"NaN" => Some(f64::NAN),
        _ => {
            let text = std::str::from_utf8(text).ok()?;
            // Rust reads words (`infinity`) that these formats do not have.
            text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)).then(|| text.parse().ok())?
        }
    }
}

/// The unit that a name ends in, as OpenMetrics asks (1.0, "Units and Base Units"), in UCUM's spelling.
fn unit_of(name: &[u8]) -> &'static [u8] {
    const UNITS: [(&[u8], &[u8]); 7] = [
        (b"_seconds", b"s"),
        (b"_milliseconds", b"ms"),
        (b"_microseconds", b"us"),
        (b"_nanoseconds", b"ns"),
        (b"_bytes", b"By"),
        (b"_ratio", b"1"),
        (b"_percent", b"%"),
    ];
    let name = name.strip_suffix(b"_total").unwrap_or(name);
    UNITS.iter().find(|(suffix, _)| name.ends_with(suffix)).map_or(b"", |(_, unit)| *unit)
}

/// A told unit in UCUM's spelling.
fn spelled(told: &[u8]) -> Option<&'static [u8]> {
    Some(match told {
        b"seconds" | b"s" => b"s",
        b"milliseconds" | b"ms" => b"ms",
        b"microseconds" => b"us",
        b"nanoseconds" => b"ns",
        b"bytes" | b"By" => b"By",
        b"ratio" => b"1",
        b"percent" => b"%",
        _ => return None,
    })
}

fn base_and_role<'a>(series: &Series<'a>) -> Option<(&'a [u8], Role)> {
    let label = |wanted: &[u8]| series.labels.iter().find(|l| l.0 == wanted).map(|l| l.1);
    let name = series.name;
    match series.kind {
        Kind::Counter | Kind::Gauge | Kind::State => return None,
        Kind::Unknown | Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => {}
    }
    if let Some(base) = name.strip_suffix(b"_bucket") {
        let le = number(label(b"le")?).filter(|le| !le.is_nan())?;
        return Some((base, Role::Bucket(le)));
    }
    for (suffix, role) in [
        (&b"_sum"[..], Role::Sum),
        (b"_count", Role::Count),
        // OpenMetrics has names of its own for histograms of levels.
        (b"_gsum", Role::Sum),
        (b"_gcount", Role::Count),
    ] {
        if let Some(base) = name.strip_suffix(suffix) {
            return Some((base, role));
        }
    }
    label(b"quantile").map(|_| (name, Role::Quantile))
}

impl<'a> Assembler<'a> {
    /// A sample of a series, whose labels are sorted.
    pub(crate) fn sample(&mut self, series: &Series<'a>, sample: Sample, sink: &mut impl Sink<'a>) {
        let Some((base, role)) = base_and_role(series) else {
            let grows = match series.kind {
                Kind::Counter => true,
                Kind::Unknown => [&b"_total"[..], b"_bucket"].iter().any(|s| series.name.ends_with(s)),
                _ => false,
            };
            return plain(series.name, &series.labels, series.unit, grows, sample, sink);
        };
        let own: &[u8] = match role {
            Role::Bucket(_) => b"le",
            Role::Quantile => b"quantile",
            Role::Sum | Role::Count => b"",
        };
        let labels = series.labels.iter().filter(|l| l.0 != own).copied().collect();
        let parts = self.held.entry(Key { base, labels, time: sample.time }).or_default();
        if parts.kind == Kind::Unknown {
            parts.kind = series.kind;
        }
        parts.unit = series.unit;
        parts.start = sample.start;
        parts.stale |= is_stale(sample.value);
        match role {
            Role::Bucket(le) => parts.buckets.push((le, sample.value)),
            Role::Sum => parts.sum = Some((series.name, sample.value)),
            Role::Count => parts.count = Some((series.name, sample.value)),
            Role::Quantile => parts.quantiles += 1,
        }
    }

    /// Puts together what was held.
    pub(crate) fn finish(self, sink: &mut impl Sink<'a>) {
        for (key, parts) in self.held {
            assemble(&key, parts, sink);
        }
    }
}

/// A number that is a point by itself.
pub(crate) fn plain<'a>(
    name: &'a [u8],
    labels: &[Label<'a>],
    unit: &[u8],
    grows: bool,
    sample: Sample,
    sink: &mut impl Sink<'a>,
) {
    let temporality = if grows { Temporality::Cumulative } else { Temporality::None };
    let reading = Reading::Float(sample.value);
    tell(name, labels, unit, (temporality, grows), sample, is_stale(sample.value), reading, sink);
}

/// A distribution.
pub(crate) fn distribution<'a>(
    series: &Series<'a>,
    sample: Sample,
    reading: Reading,
    sink: &mut impl Sink<'a>,
) {
    let grows = (Temporality::Cumulative, true);
    let stale = is_stale(sample.value);
    tell(series.name, &series.labels, series.unit, grows, sample, stale, reading, sink);
}

#[expect(clippy::too_many_arguments, reason = "the parts of a point, from different places")]
fn tell<'a>(
    name: &'a [u8],
    labels: &[Label<'a>],
    unit: &[u8],
    (temporality, monotonic): (Temporality, bool),
    sample: Sample,
    stale: bool,
    reading: Reading,
    sink: &mut impl Sink<'a>,
) {
    sink.begin();
    for (name, value) in labels {
        sink.attribute(Level::Item, name, 0, Raw::Text(value));
    }
    let unit = spelled(unit).unwrap_or_else(|| unit_of(name));
    let head = MetricHead { name, unit, temporality, monotonic };
    let (start, time) = (nanos(sample.start), nanos(sample.time));
    sink.point(&head, &Point { start, time, flags: u32::from(stale), reading });
}

fn shown(key: &Key<'_>) -> String {
    let mut text = String::from_utf8_lossy(key.base).into_owned();
    for (i, (name, value)) in key.labels.iter().take(4).enumerate() {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        text.push_str(&format!("{}{name}={value}", if i == 0 { ": " } else { ", " }));
    }
    text
}

fn assemble<'a>(key: &Key<'a>, parts: Parts<'a>, sink: &mut impl Sink<'a>) {
    let sample = Sample { value: 0.0, time: key.time, start: parts.start };
    if parts.quantiles > 0 {
        sink.in_part("quantiles of a summary, which cannot be added up", shown(key));
    }
    if parts.kind == Kind::GaugeHistogram {
        return sink.in_part("histogram of levels, which cannot be added up over time", shown(key));
    }
    let stale = parts.stale;
    let grows = (Temporality::Cumulative, true);
    let tell = |name, reading, sink: &mut _| {
        tell(name, &key.labels, parts.unit, grows, sample, stale, reading, sink);
    };
    if parts.buckets.is_empty() {
        return match (parts.sum, parts.count) {
            (Some((_, sum)), Some((_, count))) => {
                let reading = Reading::Summary { count: whole(count), sum, quantiles: Vec::new() };
                tell(key.base, reading, sink);
            }
            // One alone is a counter that is named so.
            (Some((name, value)), None) | (None, Some((name, value))) => {
                tell(name, Reading::Float(value), sink);
            }
            (None, None) => {}
        };
    }
    let mut buckets = parts.buckets;
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
    let last = buckets.last().filter(|b| b.0 == f64::INFINITY).map(|b| b.1);
    let Some(count) = last.or(parts.count.map(|c| c.1)) else {
        let detail =
            format!("{} has neither its bucket le=+Inf nor its _count in the same request", shown(key));
        return sink.in_part("histogram of which parts are missing", detail);
    };
    if stale {
        return tell(key.base, Reading::Nothing, sink);
    }
    buckets.retain(|b| b.0 != f64::INFINITY);
    let bounds: Vec<f64> = buckets.iter().map(|b| b.0).collect();
    let mut counts = Vec::with_capacity(buckets.len() + 1);
    let mut below = 0;
    for upto in buckets.iter().map(|b| b.1).chain([count]) {
        let upto = whole(upto);
        let Some(here) = upto.checked_sub(below) else {
            let detail = format!("{} counts {upto} up to a bound, and {below} below it", shown(key));
            return sink.in_part("histogram whose buckets fall", detail);
        };
        counts.push(here);
        below = upto;
    }
    let sum = parts.sum.map(|s| s.1);
    let reading = Reading::Histogram { count: below, sum, counts, bounds, min: None, max: None };
    tell(key.base, reading, sink);
}

/// A count, which came as a floating number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first; NaN becomes 0")]
pub(crate) fn whole(count: f64) -> u64 {
    count.clamp(0.0, 9.0e15).round() as u64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Malformed;
    use crate::otlp::{LogHead, SpanHead};

    /// What a decoder told, as lines.
    #[derive(Default)]
    pub(crate) struct Told {
        pub lines: Vec<String>,
        item: Vec<String>,
    }

    impl Told {
        /// The lines, or the message of the error.
        pub(crate) fn of<'a>(read: impl FnOnce(&mut Told) -> Result<(), Malformed> + 'a) -> Vec<String> {
            let mut told = Told::default();
            match read(&mut told) {
                Ok(()) => told.lines,
                Err(e) => vec![format!("malformed: {e}")],
            }
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    impl<'a> Sink<'a> for Told {
        fn resource(&mut self, _: Option<&'a [u8]>) -> bool {
            false
        }
        fn own_text(&mut self, _: Level, _: &[u8], _: u32, _: String) {}
        fn aside(&mut self, _: &str, _: &str) {}
        fn entity(&mut self, _: &[u8]) {}
        fn entity_in_part(&mut self, _: String) {}
        fn resource_done(&mut self) {}
        fn scope(&mut self) {}
        fn begin(&mut self) {
            self.item.clear();
        }
        fn attribute(&mut self, _: Level, key: &[u8], _: u32, value: Raw<'a>) {
            let value = match value {
                Raw::Text(t) => text(t),
                other => format!("{other:?}"),
            };
            self.item.push(format!("{}={value}", text(key)));
        }
        fn span(&mut self, _: &SpanHead<'a>) -> bool {
            false
        }
        fn begin_event(&mut self) {}
        fn event(&mut self, _: &'a [u8], _: u64) {}
        fn log(&mut self, head: &LogHead<'a>) {
            let (name, item) = (text(head.event_name), self.item.join(","));
            self.lines.push(format!("log {name} {{{item}}} severity {} at {}", head.severity, head.time));
        }
        fn point(&mut self, metric: &MetricHead<'a>, point: &Point) {
            let how = match (metric.temporality, metric.monotonic) {
                (Temporality::Cumulative, true) => "grows",
                (Temporality::Delta, _) => "delta",
                _ => "level",
            };
            let reading = match &point.reading {
                Reading::Float(f) if f.is_nan() => "NaN".to_owned(),
                Reading::Float(f) => format!("{f}"),
                Reading::Histogram { count, sum, counts, bounds, .. } => {
                    format!("{count} sum {sum:?} {counts:?} at {bounds:?}")
                }
                Reading::Exponential { count, sum, scale, zeros, positive, negative, .. } => {
                    format!("{count} sum {sum:?} 2^2^-{scale} {zeros} {positive:?} {negative:?}")
                }
                Reading::Summary { count, sum, .. } => format!("{count} sum {sum}"),
                other => format!("{other:?}"),
            };
            let mut line = format!("{}{{{}}}", text(metric.name), self.item.join(","));
            line.push_str(&format!(" [{}] {how} {reading} at {}", text(metric.unit), point.time / 1_000_000));
            if point.start > 0 {
                line.push_str(&format!(" since {}", point.start / 1_000_000));
            }
            if point.flags & 1 == 1 {
                line.push_str(" ended");
            }
            self.lines.push(line);
        }
        fn in_part(&mut self, what: &'static str, detail: String) {
            self.lines.push(format!("in part: {what}: {detail}"));
        }
        fn unreadable(&mut self, detail: String) {
            self.lines.push(format!("unreadable: {detail}"));
        }
    }

    fn told(series: &[(&'static str, &[(&'static str, &'static str)], f64)]) -> Vec<String> {
        Told::of(|sink| {
            let mut all = Assembler::default();
            for (name, labels, value) in series {
                let labels = labels.iter().map(|l| (l.0.as_bytes(), l.1.as_bytes())).collect();
                let mut s = Series { name: name.as_bytes(), labels, ..Series::default() };
                s.sort();
                all.sample(&s, Sample { value: *value, time: 5, start: 0 }, sink);
            }
            all.finish(sink);
            Ok(())
        })
    }

    #[test]
    fn buckets_sum_and_count_of_equal_labels_are_one_histogram() {
        let lines = told(&[
            ("d_seconds_bucket", &[("code", "200"), ("le", "+Inf")], 7.0),
            ("d_seconds_bucket", &[("code", "200"), ("le", "0.5")], 4.0),
            ("d_seconds_bucket", &[("le", "0.5"), ("code", "500")], 1.0),
            ("d_seconds_sum", &[("code", "200")], 3.5),
            ("d_seconds_count", &[("code", "200")], 7.0),
            ("d_seconds_count", &[("code", "500")], 2.0),
        ]);
        assert_eq!(
            lines,
            [
                "d_seconds{code=200} [s] grows 7 sum Some(3.5) [4, 3] at [0.5] at 5",
                "d_seconds{code=500} [s] grows 2 sum None [1, 1] at [0.5] at 5",
            ]
        );
    }

    #[test]
    fn a_histogram_cut_in_two_by_its_sender_is_set_aside_in_part_and_falling_ones_too() {
        let lines = told(&[("d_bucket", &[("le", "1")], 4.0), ("d_bucket", &[("le", "2")], 5.0)]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("parts are missing: d has neither"), "{lines:?}");
        let lines = told(&[("d_bucket", &[("le", "1")], 4.0), ("d_bucket", &[("le", "+Inf")], 2.0)]);
        assert!(lines[0].contains("buckets fall"), "{lines:?}");
    }

    #[test]
    fn summaries_counters_and_levels_are_told_apart_by_their_names() {
        let lines = told(&[
            ("rpc_seconds", &[("quantile", "0.9")], 0.25),
            ("rpc_seconds_sum", &[], 5.0),
            ("rpc_seconds_count", &[], 20.0),
            ("jobs_count", &[], 3.0),
            ("sent_bytes_total", &[("to", "")], 8.0),
            ("free_bytes", &[], 9.0),
            ("free_bytes", &[("gone", "yes")], f64::from_bits(STALE)),
        ]);
        assert_eq!(
            lines,
            [
                "sent_bytes_total{} [By] grows 8 at 5",
                "free_bytes{} [By] level 9 at 5",
                "free_bytes{gone=yes} [By] level NaN at 5 ended",
                "jobs_count{} [] grows 3 at 5",
                "in part: quantiles of a summary, which cannot be added up: rpc_seconds",
                "rpc_seconds{} [s] grows 20 sum 5 at 5",
            ]
        );
    }
}
