//! What Netflix's Spectator publishes to Atlas: measurements with tags, as JSON or as Smile.
//!
//! A meter comes as several measurements that differ in `statistic`; those of one moment are put together. `atlas.dstype` says
//! what a value is: a `rate` per second over a step, a `sum` over it, or a `gauge`. A step is a minute unless `step` says its
//! milliseconds; the payload of Atlas itself has no place for it (Spectator's `atlas.step` has this default).

use crate::Malformed;
use crate::otlp::{Level, MetricHead, Point, Raw, Reading, Sink, Temporality};
use crate::prometheus::{nanos, whole};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// Atlas's own default step.
const STEP_MS: i64 = 60_000;

/// Bytes of a Smile body. Beyond: it is refused. A name that was said before takes a byte or two there and a text here.
const SMILE_BYTES: usize = 8 << 20;

/// What is published.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    metrics: Vec<Measurement>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Measurement {
    tags: BTreeMap<String, String>,
    timestamp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    #[serde(deserialize_with = "value", serialize_with = "said")]
    value: f64,
}

/// A number as [`value`] reads it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn said<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
    match *value {
        v if v.is_nan() => s.serialize_str("NaN"),
        f64::INFINITY => s.serialize_str("Infinity"),
        f64::NEG_INFINITY => s.serialize_str("-Infinity"),
        v => s.serialize_f64(v),
    }
}

/// A number; JSON has no other way to say that there is none, or no bound to it, than a text (the words are those of Jackson).
fn value<'de, D: serde::Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Number(f64),
        Text(String),
    }
    match Said::deserialize(d)? {
        Said::Number(n) => Ok(n),
        Said::Text(t) if t == "NaN" => Ok(f64::NAN),
        Said::Text(t) if t == "Infinity" => Ok(f64::INFINITY),
        Said::Text(t) if t == "-Infinity" => Ok(f64::NEG_INFINITY),
        Said::Text(t) => Err(serde::de::Error::custom(format!("`{t}` is no number"))),
    }
}

/// Takes a JSON body apart.
pub(crate) fn parse_json(body: &[u8]) -> Result<Payload, Malformed> {
    if body.trim_ascii_start().starts_with(b"[") {
        let message = "a JSON array, such as Atlas's aggregator takes, is not read here; \
            publish {\"tags\": {…}, \"metrics\": […]}, as Spectator does to /api/v1/publish";
        return Err(Malformed { message: message.to_owned() });
    }
    serde_json::from_slice(body).map_err(|e| {
        let message =
            format!("this is not what Spectator publishes, {{\"tags\": {{…}}, \"metrics\": […]}}: {e}");
        Malformed { message }
    })
}

/// Takes a Smile body apart.
pub(crate) fn parse_smile(body: &[u8]) -> Result<Payload, Malformed> {
    if body.len() > SMILE_BYTES {
        let message = format!("a body of {} bytes; send at most {SMILE_BYTES} as Smile", body.len());
        return Err(Malformed { message });
    }
    serde_smile::from_slice(body).map_err(|e| {
        let message = format!("this is not what Spectator publishes, as Smile: {e}");
        Malformed { message }
    })
}

/// What a meter is known by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    name: &'a str,
    /// Without the name, the statistic and the percentile.
    tags: Vec<(&'a str, &'a str)>,
    time: i64,
    /// In nanoseconds or in the meter's own unit; only with percentiles.
    step: i64,
}

/// The measurements of one meter at one moment.
#[derive(Debug, Default)]
struct Meter {
    /// How many in the step.
    count: Option<f64>,
    /// Their sum in the step, and its unit.
    total: Option<(f64, &'static str)>,
    max: Option<f64>,
    /// Bucket to how many; whether buckets are of nanoseconds.
    buckets: BTreeMap<usize, f64>,
    times: bool,
}

/// Tells what was published.
pub(crate) fn tell<'a>(payload: &'a Payload, sink: &mut impl Sink<'a>) {
    sink.resource(None);
    for (key, value) in &payload.tags {
        sink.attribute(Level::Resource, key.as_bytes(), 0, Raw::Text(value.as_bytes()));
    }
    sink.resource_done();
    sink.scope();
    let mut meters: BTreeMap<Key<'a>, Meter> = BTreeMap::new();
    for m in &payload.metrics {
        let Some(name) = m.tags.get("name").map(String::as_str).filter(|n| !n.is_empty()) else {
            sink.begin();
            sink.unreadable(format!("a measurement without the tag `name`, of {} ms", m.timestamp));
            continue;
        };
        if m.value.is_nan() {
            // So that a step without anything does not end a line of Atlas.
            continue;
        }
        let step = m.step.or(m.start.map(|s| m.timestamp.saturating_sub(s))).filter(|s| *s > 0);
        let step = step.unwrap_or(STEP_MS);
        let own = ["name", "statistic", "percentile", "atlas.dstype"];
        let tags = m.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|t| !own.contains(&t.0));
        let key = Key { name, tags: tags.collect(), time: m.timestamp, step };
        let in_step = match m.tags.get("atlas.dstype").map(String::as_str) {
            Some("rate") => Some(m.value * step as f64 / 1000.0),
            Some("sum") => Some(m.value),
            _ => None,
        };
        match (m.tags.get("statistic").map(String::as_str), in_step) {
            (Some("count"), Some(n)) => *meters.entry(key).or_default().count.get_or_insert_default() += n,
            (Some("totalTime"), Some(s)) => meters.entry(key).or_default().total = Some((s, "s")),
            (Some("totalAmount"), Some(s)) => meters.entry(key).or_default().total = Some((s, "")),
            (Some("max"), _) => meters.entry(key).or_default().max = Some(m.value),
            (Some("totalOfSquares"), _) => {}
            (Some("percentile"), Some(n)) => match m.tags.get("percentile").and_then(|p| bucket(p)) {
                Some((place, times)) => {
                    let meter = meters.entry(key).or_default();
                    *meter.buckets.entry(place).or_default() += n;
                    meter.times = times;
                }
                None => {
                    let told = m.tags.get("percentile").map_or("", String::as_str);
                    sink.begin();
                    sink.unreadable(format!(
                        "{name}: the percentile `{told}` is no bucket of Spectator, such as T00A3 or D00A3"
                    ));
                }
            },
            (_, Some(n)) => counter(&key, n, sink),
            (_, None) => level(&key, m.tags.get("statistic"), m.value, sink),
        }
    }
    for (key, meter) in meters {
        put_together(&key, meter, sink);
    }
}

fn begin<'a>(key: &Key<'a>, sink: &mut impl Sink<'a>) {
    sink.begin();
    for (name, value) in &key.tags {
        sink.attribute(Level::Item, name.as_bytes(), 0, Raw::Text(value.as_bytes()));
    }
}

fn point<'a>(
    key: &Key<'a>,
    unit: &'static str,
    (temporality, monotonic): (Temporality, bool),
    reading: Reading,
    sink: &mut impl Sink<'a>,
) {
    let head = MetricHead { name: key.name.as_bytes(), unit: unit.as_bytes(), temporality, monotonic };
    let (time, start) = (nanos(key.time), nanos(key.time.saturating_sub(key.step)));
    sink.point(&head, &Point { start, time, flags: 0, reading });
}

fn counter<'a>(key: &Key<'a>, count: f64, sink: &mut impl Sink<'a>) {
    begin(key, sink);
    point(key, "", (Temporality::Delta, true), Reading::Float(count), sink);
}

fn level<'a>(key: &Key<'a>, statistic: Option<&'a String>, value: f64, sink: &mut impl Sink<'a>) {
    begin(key, sink);
    if let Some(statistic) = statistic {
        sink.attribute(Level::Item, b"statistic", 0, Raw::Text(statistic.as_bytes()));
    }
    point(key, "", (Temporality::None, false), Reading::Float(value), sink);
}

fn put_together<'a>(key: &Key<'a>, meter: Meter, sink: &mut impl Sink<'a>) {
    let count = whole(meter.count.unwrap_or_default());
    let sum = meter.total.map(|t| t.0);
    let unit = match meter.total {
        Some((_, unit)) => unit,
        None if meter.times => "s",
        None => "",
    };
    let delta = (Temporality::Delta, false);
    if let (Some((first, _)), Some((last, _))) =
        (meter.buckets.first_key_value(), meter.buckets.last_key_value())
    {
        // Bucket i holds what is at least bound i-1 and less than bound i.
        let edge = |i: usize| bound(i) / if meter.times { 1e9 } else { 1.0 };
        let from = first.saturating_sub(1);
        let bounds: Vec<f64> = (from..=*last).map(edge).collect();
        let mut counts = vec![0; bounds.len() + 1];
        for (place, n) in &meter.buckets {
            if let Some(c) = counts.get_mut(place - from) {
                *c += whole(*n);
            }
        }
        let all = counts.iter().sum();
        let reading = Reading::Histogram { count: all, sum, counts, bounds, min: None, max: meter.max };
        begin(key, sink);
        return point(key, unit, delta, reading, sink);
    }
    match (meter.count, meter.total) {
        (Some(_), Some(_)) => {
            let (counts, bounds) = (Vec::new(), Vec::new());
            let reading = Reading::Histogram { count, sum, counts, bounds, min: None, max: meter.max };
            begin(key, sink);
            point(key, unit, delta, reading, sink);
        }
        (Some(n), None) => counter(key, n, sink),
        (None, Some((sum, unit))) => {
            begin(key, sink);
            point(key, unit, (Temporality::Delta, true), Reading::Float(sum), sink);
        }
        (None, None) => {
            if let Some(max) = meter.max {
                begin(key, sink);
                sink.attribute(Level::Item, b"statistic", 0, Raw::Text(b"max"));
                point(key, "", (Temporality::None, false), Reading::Float(max), sink);
            }
        }
    }
}

/// Buckets of Spectator's `PercentileBuckets`: four of every power of four are cut into nine, the first ones into ones.
const BUCKETS: usize = 276;

/// A bucket as its tag says it, and whether it is one of nanoseconds.
fn bucket(tag: &str) -> Option<(usize, bool)> {
    let (times, hex) = match tag.split_at_checked(1)? {
        ("T", hex) => (true, hex),
        ("D", hex) => (false, hex),
        _ => return None,
    };
    let plain = hex.len() == 4 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let place = usize::from_str_radix(hex, 16).ok().filter(|p| plain && *p < BUCKETS)?;
    Some((place, times))
}

/// The upper bound of a bucket.
fn bound(place: usize) -> f64 {
    match place {
        // 1, 2, 3, then 4 to 14 in ones.
        0..=13 => (place + 1) as f64,
        _ if place >= BUCKETS - 1 => i64::MAX as f64,
        _ => {
            // Nine from each power of four on, a third of it apart.
            let (power, ninth) = ((place - 14) / 9 + 2, (place - 14) % 9);
            let base = 1_u64 << (2 * power).min(62);
            (base + (base / 3) * ninth as u64) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::tests::Told;
    use serde_json::{Value, json};

    fn told(payload: &Value) -> Vec<String> {
        let text = payload.to_string();
        let read = parse_json(text.as_bytes()).unwrap();
        let mut sink = Told::default();
        tell(&read, &mut sink);
        // The same as Smile.
        let smile = serde_smile::to_vec(payload).unwrap();
        let again = parse_smile(&smile).unwrap();
        let mut twin = Told::default();
        tell(&again, &mut twin);
        assert_eq!(sink.lines, twin.lines);
        sink.lines
    }

    fn one(tags: Value, value: f64) -> Value {
        json!({"tags": tags, "timestamp": 120_000, "value": value})
    }

    #[test]
    fn rates_become_counts_over_a_step_and_gauges_stay() {
        let lines = told(&json!({"tags": {"nf.app": "api"}, "metrics": [
            one(json!({"name": "server.requestCount", "statistic": "count", "atlas.dstype": "rate", "status": "2xx"}), 2.5),
            one(json!({"name": "jvm.threads", "statistic": "gauge", "atlas.dstype": "gauge"}), 40.0),
            one(json!({"name": "done", "atlas.dstype": "sum"}), 7.0),
            {"tags": {"name": "short", "statistic": "count", "atlas.dstype": "rate"}, "timestamp": 120_000, "step": 5000, "value": 2.0},
            {"tags": {"name": "none", "atlas.dstype": "rate"}, "timestamp": 120_000, "value": "NaN"},
        ]}));
        assert_eq!(
            lines,
            [
                "jvm.threads{statistic=gauge} [] level 40 at 120000 since 60000",
                "done{} [] delta 7 at 120000 since 60000",
                "server.requestCount{status=2xx} [] delta 150 at 120000 since 60000",
                "short{} [] delta 10 at 120000 since 115000",
            ]
        );
    }

    #[test]
    fn the_statistics_of_a_timer_are_one_distribution() {
        let m = |statistic: &str, kind: &str, value: f64| {
            one(
                json!({"name": "ipc.server.call", "id": "a", "statistic": statistic, "atlas.dstype": kind}),
                value,
            )
        };
        let lines = told(&json!({"metrics": [
            m("count", "rate", 2.0), m("totalTime", "rate", 0.5), m("totalOfSquares", "rate", 9.0), m("max", "gauge", 0.9),
        ]}));
        assert_eq!(
            lines,
            ["ipc.server.call{id=a} [s] delta 120 sum Some(30.0) [] at [] at 120000 since 60000"]
        );
    }

    #[test]
    fn percentile_buckets_are_a_histogram_with_spectators_bounds() {
        let m = |bucket: &str, value: f64| {
            one(
                json!({"name": "d", "statistic": "percentile", "percentile": bucket, "atlas.dstype": "rate"}),
                value,
            )
        };
        let lines =
            told(&json!({"metrics": [m("D0010", 1.0), m("D000F", 0.5), m("Q0001", 1.0), m("T0FFF", 1.0)]}));
        assert_eq!(
            lines,
            [
                "unreadable: d: the percentile `Q0001` is no bucket of Spectator, such as T00A3 or D00A3",
                "unreadable: d: the percentile `T0FFF` is no bucket of Spectator, such as T00A3 or D00A3",
                "d{} [] delta 90 sum None [0, 30, 60, 0] at [16.0, 21.0, 26.0] at 120000 since 60000",
            ]
        );
    }

    #[test]
    fn the_bounds_are_those_that_the_rule_of_spectator_makes() {
        // The loop of PercentileBuckets.java, as it stands there.
        let mut rule: Vec<f64> = vec![1.0, 2.0, 3.0];
        let mut exp = 2;
        while exp < 62 {
            let (mut current, delta) = (1_u64 << exp, (1_u64 << exp) / 3);
            let next = (current << 2) - delta;
            while current < next {
                rule.push(current as f64);
                current += delta;
            }
            exp += 2;
        }
        rule.push(i64::MAX as f64);
        assert_eq!(rule.len(), BUCKETS);
        let ours: Vec<f64> = (0..BUCKETS).map(bound).collect();
        assert_eq!(rule, ours);
    }

    #[test]
    fn what_is_something_else_is_refused_by_name() {
        for (body, why) in [
            ("[1, 2]", "a JSON array, such as Atlas's aggregator takes"),
            ("{\"metrics\": [{\"tags\": {}, \"timestamp\": 1}]}", "missing field `value`"),
            ("{\"metrics\": [], \"more\": 1}", "unknown field `more`"),
            ("{\"metrics\": [{\"tags\": {}, \"timestamp\": 1, \"value\": \"x\"}]}", "`x` is no number"),
        ] {
            let message = parse_json(body.as_bytes()).unwrap_err().message;
            assert!(message.contains("Spectator") && message.contains(why), "{message}");
        }
        assert!(
            told(&json!({"metrics": [one(json!({"a": "b"}), 1.0)]}))[0].contains("without the tag `name`")
        );
        assert!(parse_smile(b"hello").unwrap_err().message.contains("as Smile"));
        // Deep nesting and endless back references end in an error.
        let mut deep = b":)\n\x00".to_vec();
        deep.extend(std::iter::repeat_n(0xf8, 100_000));
        assert!(parse_smile(&deep).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_smile_comes_is_read_or_refused(tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let body = [&b":)\n\x01"[..], &tail].concat();
            if let Ok(payload) = parse_smile(&body) {
                tell(&payload, &mut Told::default());
            }
        }
    }
}
