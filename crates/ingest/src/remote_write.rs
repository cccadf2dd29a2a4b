//! Prometheus remote write, 1.0 and 2.0, from protobuf in one pass over the bytes.
//!
//! Field numbers are those of `prometheus/prompb/remote.proto` and `prometheus/prompb/io/prometheus/write/v2/types.proto`.

use crate::Malformed;
use crate::otlp::{Reading, Sink};
use crate::prometheus::{Assembler, Kind, Sample, Series, distribution, is_stale, nanos, whole};
use crate::proto::{Reader, Wired};
use rustc_hash::FxHashMap;

/// Buckets between the lowest and the highest of a native histogram that has something; Prometheus itself keeps 160 by default.
/// Beyond: it cannot be read.
const BUCKETS: usize = 4096;

/// The schema of a native histogram that has bounds of its own.
const CUSTOM: i32 = -53;

/// How many of what a request of 2.0 holds: what its sender wants confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples of numbers.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// A mistake, with its place before it.
fn placed(place: &str, number: usize, e: &Malformed) -> Malformed {
    Malformed { message: format!("{place} {number}: {}", e.message) }
}

/// A `prometheus.WriteRequest`.
pub(crate) fn read_1<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut kinds: FxHashMap<&[u8], (Kind, &'a [u8])> = FxHashMap::default();
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        if number == 3 {
            let (name, kind, unit) = metadata_1(wired.bytes("WriteRequest.metadata")?)?;
            kinds.insert(name, (kind, unit));
        }
    }
    sink.resource(None);
    sink.resource_done();
    sink.scope();
    let mut all = Assembler::default();
    let mut series = Series::default();
    let (mut r, mut place) = (Reader::new(body), 0);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            let bytes = wired.bytes("WriteRequest.timeseries")?;
            series_1(bytes, &kinds, &mut series, &mut all, sink)
                .map_err(|e| placed("timeseries", place, &e))?;
            place += 1;
        }
    }
    all.finish(sink);
    Ok(())
}

fn metadata_1(bytes: &[u8]) -> Result<(&[u8], Kind, &[u8]), Malformed> {
    let (mut name, mut kind, mut unit) = (&[][..], Kind::Unknown, &[][..]);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => kind = Kind::from_number(wired.varint("MetricMetadata.type")?),
            2 => name = wired.bytes("MetricMetadata.metric_family_name")?,
            5 => unit = wired.bytes("MetricMetadata.unit")?,
            _ => {}
        }
    }
    Ok((name, kind, unit))
}

fn series_1<'a>(
    bytes: &'a [u8],
    kinds: &FxHashMap<&[u8], (Kind, &'a [u8])>,
    series: &mut Series<'a>,
    all: &mut Assembler<'a>,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    *series = Series { labels: std::mem::take(&mut series.labels), ..Series::default() };
    series.labels.clear();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        if number != 1 {
            continue;
        }
        let (mut name, mut value) = (&[][..], &[][..]);
        let mut label = Reader::new(wired.bytes("TimeSeries.labels")?);
        while let Some((number, wired)) = label.next()? {
            match number {
                1 => name = wired.bytes("Label.name")?,
                2 => value = wired.bytes("Label.value")?,
                _ => {}
            }
        }
        labelled(series, name, value);
    }
    if series.name.is_empty() {
        nameless(series, sink);
        return Ok(());
    }
    series.sort();
    if !kinds.is_empty() {
        for suffix in [&b""[..], b"_bucket", b"_count", b"_sum", b"_total"] {
            if let Some(known) = series.name.strip_suffix(suffix).and_then(|base| kinds.get(base)) {
                (series.kind, series.unit) = *known;
                break;
            }
        }
    }
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => all.sample(series, sample(wired.bytes("TimeSeries.samples")?, 0)?, sink),
            4 => native(wired.bytes("TimeSeries.histograms")?, 0, series, sink)?,
            _ => {}
        }
    }
    Ok(())
}

fn labelled<'a>(series: &mut Series<'a>, name: &'a [u8], value: &'a [u8]) {
    if name == b"__name__" {
        series.name = value;
    } else {
        series.labels.push((name, value));
    }
}

fn nameless<'a>(series: &Series<'_>, sink: &mut impl Sink<'a>) {
    let first = series.labels.first().map(|l| (String::from_utf8_lossy(l.0), String::from_utf8_lossy(l.1)));
    let shown = first.map(|(n, v)| format!(" ({n}={v} …)")).unwrap_or_default();
    sink.begin();
    sink.unreadable(format!("series{shown} without the label __name__, which says what it is"));
}

/// An `io.prometheus.write.v2.Request`.
pub(crate) fn read_2<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let symbols = symbols(body)?;
    sink.resource(None);
    sink.resource_done();
    sink.scope();
    let mut all = Assembler::default();
    let (mut series, mut refs) = (Series::default(), Vec::new());
    let (mut r, mut place) = (Reader::new(body), 0);
    while let Some((number, wired)) = r.next()? {
        if number == 5 {
            let bytes = wired.bytes("Request.timeseries")?;
            series_2(bytes, &symbols, &mut refs, &mut series, &mut all, sink)
                .map_err(|e| placed("timeseries", place, &e))?;
            place += 1;
        }
    }
    all.finish(sink);
    Ok(())
}

fn symbols(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut symbols = Vec::new();
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        match number {
            4 => symbols.push(wired.bytes("Request.symbols")?),
            1 => {
                let message = "this is a prometheus.WriteRequest (remote write 1.0), announced as 2.0: \
                    send it with the content type application/x-protobuf";
                return Err(Malformed { message: message.to_owned() });
            }
            _ => {}
        }
    }
    Ok(symbols)
}

fn symbol<'a>(symbols: &[&'a [u8]], number: u64, what: &str) -> Result<&'a [u8], Malformed> {
    let found = usize::try_from(number).ok().and_then(|n| symbols.get(n)).copied();
    found.ok_or_else(|| {
        let of = symbols.len();
        Malformed { message: format!("{what} is symbol {number}, and the request has {of} symbols") }
    })
}

fn series_2<'a>(
    bytes: &'a [u8],
    symbols: &[&'a [u8]],
    refs: &mut Vec<u64>,
    series: &mut Series<'a>,
    all: &mut Assembler<'a>,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    *series = Series { labels: std::mem::take(&mut series.labels), ..Series::default() };
    series.labels.clear();
    refs.clear();
    let mut created = 0;
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => wired.varints("TimeSeries.labels_refs", refs)?,
            5 => {
                let mut m = Reader::new(wired.bytes("TimeSeries.metadata")?);
                while let Some((number, wired)) = m.next()? {
                    match number {
                        1 => series.kind = Kind::from_number(wired.varint("Metadata.type")?),
                        4 => {
                            let unit = wired.varint("Metadata.unit_ref")?;
                            series.unit = symbol(symbols, unit, "its unit")?;
                        }
                        _ => {}
                    }
                }
            }
            6 => created = wired.varint("TimeSeries.created_timestamp")?.cast_signed(),
            _ => {}
        }
    }
    let mut pairs = refs.chunks_exact(2);
    for pair in &mut pairs {
        let [name, value] = pair else { continue };
        let name = symbol(symbols, *name, "the name of a label")?;
        labelled(series, name, symbol(symbols, *value, "the value of a label")?);
    }
    if !pairs.remainder().is_empty() {
        let message = format!("labels_refs has {} numbers, and names and values come in pairs", refs.len());
        return Err(Malformed { message });
    }
    if series.name.is_empty() {
        nameless(series, sink);
        return Ok(());
    }
    series.sort();
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => all.sample(series, sample(wired.bytes("TimeSeries.samples")?, created)?, sink),
            3 => native(wired.bytes("TimeSeries.histograms")?, created, series, sink)?,
            _ => {}
        }
    }
    Ok(())
}

/// What a request of 2.0 holds.
///
/// # Errors
/// When it cannot be read.
pub fn written(body: &[u8]) -> Result<Written, Malformed> {
    let mut written = Written::default();
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        if number != 5 {
            continue;
        }
        let mut series = Reader::new(wired.bytes("Request.timeseries")?);
        while let Some((number, _)) = series.next()? {
            match number {
                2 => written.samples += 1,
                3 => written.histograms += 1,
                4 => written.exemplars += 1,
                _ => {}
            }
        }
    }
    Ok(written)
}

fn sample(bytes: &[u8], created: i64) -> Result<Sample, Malformed> {
    let mut s = Sample { value: 0.0, time: 0, start: created };
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => s.value = wired.double("Sample.value")?,
            2 => s.time = wired.varint("Sample.timestamp")?.cast_signed(),
            3 => s.start = wired.varint("Sample.start_timestamp")?.cast_signed(),
            _ => {}
        }
    }
    Ok(s)
}

/// A native histogram, as it is wired.
#[derive(Default)]
struct Native {
    count: u64,
    sum: Option<f64>,
    schema: i32,
    zeros: u64,
    negative: Sparse,
    positive: Sparse,
    /// The reset hint says that it is a level.
    level: bool,
    bounds: Vec<u64>,
}

/// Buckets of one side: runs of them, and their counts as differences or as they are.
#[derive(Default)]
struct Sparse {
    spans: Vec<(i32, u64)>,
    deltas: Vec<u64>,
    counts: Vec<u64>,
}

fn native<'a>(
    bytes: &[u8],
    created: i64,
    series: &Series<'a>,
    sink: &mut impl Sink<'a>,
) -> Result<(), Malformed> {
    let mut h = Native::default();
    let mut at = Sample { value: 0.0, time: 0, start: created };
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => h.count = wired.varint("Histogram.count_int")?,
            2 => h.count = whole(wired.double("Histogram.count_float")?),
            3 => h.sum = Some(wired.double("Histogram.sum")?),
            4 => h.schema = wired.sint32("Histogram.schema")?,
            6 => h.zeros = wired.varint("Histogram.zero_count_int")?,
            7 => h.zeros = whole(wired.double("Histogram.zero_count_float")?),
            8 => h.negative.spans.push(span(wired)?),
            9 => wired.varints("Histogram.negative_deltas", &mut h.negative.deltas)?,
            10 => wired.words("Histogram.negative_counts", &mut h.negative.counts)?,
            11 => h.positive.spans.push(span(wired)?),
            12 => wired.varints("Histogram.positive_deltas", &mut h.positive.deltas)?,
            13 => wired.words("Histogram.positive_counts", &mut h.positive.counts)?,
            14 => h.level = wired.varint("Histogram.reset_hint")? == 3,
            15 => at.time = wired.varint("Histogram.timestamp")?.cast_signed(),
            16 => wired.words("Histogram.custom_values", &mut h.bounds)?,
            17 => at.start = wired.varint("Histogram.start_timestamp")?.cast_signed(),
            _ => {}
        }
    }
    let name = || String::from_utf8_lossy(series.name).into_owned();
    if h.level {
        sink.begin();
        sink.in_part("histogram of levels, which cannot be added up over time", name());
        return Ok(());
    }
    if h.sum.is_some_and(is_stale) {
        at.value = h.sum.unwrap_or_default();
        distribution(series, at, Reading::Nothing, sink);
        return Ok(());
    }
    match h.reading() {
        Ok(reading) => distribution(series, at, reading, sink),
        Err(why) => {
            sink.begin();
            sink.unreadable(format!(
                "native histogram {} at {} ms: {why}",
                name(),
                nanos(at.time) / 1_000_000
            ));
        }
    }
    Ok(())
}

fn span(wired: Wired<'_>) -> Result<(i32, u64), Malformed> {
    let (mut offset, mut length) = (0, 0);
    let mut r = Reader::new(wired.bytes("Histogram.spans")?);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => offset = wired.sint32("BucketSpan.offset")?,
            2 => length = wired.varint("BucketSpan.length")?,
            _ => {}
        }
    }
    Ok((offset, length))
}

impl Native {
    fn reading(&self) -> Result<Reading, String> {
        let (first, counts) = self.positive.dense()?;
        let (count, sum) = (self.count, self.sum);
        if self.schema == CUSTOM {
            let bounds: Vec<f64> = self.bounds.iter().map(|b| f64::from_bits(*b)).collect();
            let before = usize::try_from(first).map_err(|_| format!("its buckets begin at {first}"))?;
            let fits = before + counts.len() <= bounds.len() + 1;
            if !fits {
                return Err(format!("{} buckets and {} bounds", before + counts.len(), bounds.len()));
            }
            let mut all = vec![0; before];
            all.extend(counts);
            all.resize(bounds.len() + 1, 0);
            return Ok(Reading::Histogram { count, sum, counts: all, bounds, min: None, max: None });
        }
        if !(-4..=8).contains(&self.schema) {
            return Err(format!("its schema is {}, and there are -4 to 8 and {CUSTOM}", self.schema));
        }
        let (low, lows) = self.negative.dense()?;
        // Bucket i of Prometheus ends at base^i, that of OpenTelemetry begins there.
        Ok(Reading::Exponential {
            count,
            sum,
            scale: self.schema,
            zeros: self.zeros,
            positive: (first.saturating_sub(1), counts),
            negative: (low.saturating_sub(1), lows),
            min: None,
            max: None,
        })
    }
}

impl Sparse {
    /// The index of the first bucket, and the counts from there on.
    fn dense(&self) -> Result<(i32, Vec<u64>), String> {
        let told: u64 = self.spans.iter().fold(0, |n, s| n.saturating_add(s.1));
        let given = self.deltas.len().max(self.counts.len());
        if u64::try_from(given).ok() != Some(told) {
            return Err(format!("its spans have {told} buckets, and {given} are counted"));
        }
        let mut counts = Vec::new();
        let mut before: i64 = 0;
        let mut deltas = self.deltas.iter();
        let mut floats = self.counts.iter();
        for (i, (offset, length)) in self.spans.iter().enumerate() {
            if i > 0 {
                let gap =
                    usize::try_from(*offset).map_err(|_| format!("a span begins {offset} buckets on"))?;
                if counts.len().saturating_add(gap) > BUCKETS {
                    return Err(format!("more than {BUCKETS} buckets from the first to the last"));
                }
                counts.resize(counts.len() + gap, 0);
            }
            for _ in 0..*length {
                let count = if let Some(word) = floats.next() {
                    whole(f64::from_bits(*word))
                } else {
                    let delta = deltas.next().copied().unwrap_or_default();
                    before = before.wrapping_add((delta >> 1).cast_signed() ^ -(delta & 1).cast_signed());
                    u64::try_from(before).map_err(|_| format!("a bucket has {before} values"))?
                };
                if counts.len() >= BUCKETS {
                    return Err(format!("more than {BUCKETS} buckets"));
                }
                counts.push(count);
            }
        }
        Ok((self.spans.first().map_or(0, |s| s.0), counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::tests::Told;
    use proptest::prelude::*;

    fn varint(out: &mut Vec<u8>, mut v: u64) {
        while v >= 0x80 {
            out.push(v as u8 | 0x80);
            v >>= 7;
        }
        out.push(v as u8);
    }

    fn number(field: u8, v: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(&mut out, u64::from(field) << 3);
        varint(&mut out, v);
        out
    }

    fn zigzag(field: u8, v: i64) -> Vec<u8> {
        number(field, (v << 1 ^ v >> 63).cast_unsigned())
    }

    fn double(field: u8, v: f64) -> Vec<u8> {
        let mut out = vec![field << 3 | 1];
        out.extend(v.to_bits().to_le_bytes());
        out
    }

    fn bytes(field: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let all = parts.concat();
        varint(&mut out, u64::from(field) << 3 | 2);
        varint(&mut out, all.len() as u64);
        out.extend(all);
        out
    }

    fn text(field: u8, t: &str) -> Vec<u8> {
        bytes(field, &[t.as_bytes().to_vec()])
    }

    fn packed(field: u8, all: &[i64], zigzags: bool) -> Vec<u8> {
        let mut inner = Vec::new();
        all.iter()
            .for_each(|v| varint(&mut inner, if zigzags { v << 1 ^ v >> 63 } else { *v }.cast_unsigned()));
        bytes(field, &[inner])
    }

    fn point(v: f64, at: u64) -> Vec<u8> {
        [double(1, v), number(2, at)].concat()
    }

    fn series(labels: &[(&str, &str)], more: &[Vec<u8>]) -> Vec<u8> {
        let mut parts: Vec<_> = labels.iter().map(|(n, v)| bytes(1, &[text(1, n), text(2, v)])).collect();
        parts.extend_from_slice(more);
        bytes(1, &parts)
    }

    #[expect(clippy::needless_pass_by_value, reason = "bodies are made where they are read")]
    fn first(body: Vec<u8>) -> Vec<String> {
        Told::of(|sink| read_1(&body, sink))
    }

    #[test]
    fn series_of_1_0_are_counters_by_metadata_or_by_their_names() {
        let body = [
            series(&[("__name__", "http_requests_total"), ("code", "200")], &[bytes(2, &[point(3.0, 7)])]),
            series(&[("__name__", "odd_counter")], &[bytes(2, &[point(4.0, 7)]), bytes(2, &[point(5.0, 8)])]),
            series(&[("job", "x")], &[bytes(2, &[point(4.0, 7)])]),
            bytes(3, &[number(1, 1), text(2, "odd_counter"), text(5, "bytes")]),
        ]
        .concat();
        assert_eq!(
            Told::of(|sink| read_1(&body, sink)),
            [
                "http_requests_total{code=200} [] grows 3 at 7",
                "odd_counter{} [By] grows 4 at 7",
                "odd_counter{} [By] grows 5 at 8",
                "unreadable: series (job=x …) without the label __name__, which says what it is",
            ]
        );
    }

    fn spans(field: u8, all: &[(i64, u64)]) -> Vec<u8> {
        all.iter().flat_map(|(o, n)| bytes(field, &[zigzag(1, *o), number(2, *n)])).collect()
    }

    #[test]
    fn native_histograms_keep_their_buckets_across_gaps() {
        // Schema 0: bucket 1 is (1, 2], bucket 4 is (8, 16].
        let h = [
            number(1, 9),
            double(3, 40.5),
            zigzag(4, 0),
            number(6, 1),
            spans(11, &[(1, 2), (1, 1)]),
            packed(12, &[3, -1, 1], true),
            number(15, 9000),
        ];
        let lines = first(series(&[("__name__", "d_seconds")], &[bytes(4, &h)]));
        assert_eq!(
            lines,
            ["d_seconds{} [s] grows 9 sum Some(40.5) 2^2^-0 1 (0, [3, 2, 0, 3]) (-1, []) at 9000"]
        );
    }

    #[test]
    fn histograms_that_cannot_be_are_set_aside_and_leave_their_neighbours() {
        let with = |parts: &[Vec<u8>]| first(series(&[("__name__", "d")], &[bytes(4, parts)])).join("\n");
        let wide = with(&[spans(11, &[(0, 1), (i64::from(i32::MAX), 1)]), packed(12, &[1, 1], true)]);
        assert!(wide.contains("more than 4096 buckets"), "{wide}");
        let many = with(&[spans(11, &[(0, u64::MAX), (0, u64::MAX)]), packed(12, &[1], true)]);
        assert!(many.contains("spans have") && many.contains("1 are counted"), "{many}");
        assert!(with(&[spans(11, &[(0, 1)]), packed(12, &[-1], true)]).contains("has -1 values"));
        assert!(with(&[zigzag(4, 9)]).contains("schema is 9"));
        assert!(with(&[number(14, 3)]).contains("in part: histogram of levels"));
        assert!(with(&[double(3, f64::from_bits(0x7ff0_0000_0000_0002))]).contains("ended"));
        let own = [zigzag(4, -53), number(1, 3), spans(11, &[(1, 1)]), packed(12, &[3], true)];
        let own = with(
            &[
                own.to_vec(),
                vec![bytes(16, &[1.0_f64.to_le_bytes().to_vec(), 2.0_f64.to_le_bytes().to_vec()])],
            ]
            .concat(),
        );
        assert_eq!(own, "d{} [] grows 3 sum None [0, 3, 0] at [1.0, 2.0] at 0");
    }

    fn second(symbols: &[&str], all: &[Vec<u8>]) -> Vec<u8> {
        let mut parts: Vec<_> = symbols.iter().map(|s| text(4, s)).collect();
        parts.extend(all.iter().map(|s| bytes(5, std::slice::from_ref(s))));
        parts.concat()
    }

    #[test]
    fn series_of_2_0_take_their_words_from_the_symbols_and_their_kind_from_metadata() {
        let symbols = ["", "__name__", "odd", "code", "200", "seconds"];
        let one = [
            packed(1, &[1, 2, 3, 4], false),
            bytes(2, &[point(3.0, 7000)]),
            bytes(4, &[double(2, 1.0)]),
            bytes(5, &[number(1, 1), number(4, 5)]),
            number(6, 1000),
        ]
        .concat();
        let body = second(&symbols, &[one]);
        assert_eq!(Told::of(|sink| read_2(&body, sink)), ["odd{code=200} [s] grows 3 at 7000 since 1000"]);
        assert_eq!(written(&body).unwrap(), Written { samples: 1, histograms: 0, exemplars: 1 });
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let told = |body: Vec<u8>| Told::of(|sink| read_2(&body, sink)).join("\n");
        let good = packed(1, &[1, 2], false);
        let bad = told(second(&["", "__name__", "up"], &[good.clone(), packed(1, &[1, 9], false)]));
        assert!(
            bad.contains("timeseries 1: the value of a label is symbol 9, and the request has 3"),
            "{bad}"
        );
        let odd = told(second(&["", "__name__"], &[packed(1, &[1], false)]));
        assert!(odd.contains("come in pairs"), "{odd}");
        let older = told(series(&[("__name__", "up")], &[]));
        assert!(older.contains("remote write 1.0"), "{older}");
        let cut = [series(&[("__name__", "up")], &[bytes(2, &[point(1.0, 7)])]), vec![0x0a, 0x7f]].concat();
        assert!(first(cut)[0].contains("a length of 127 runs past the end"));
        let short = first(series(&[("__name__", "up")], &[vec![0x12, 0x02, 0x09, 0x00]]));
        assert!(short[0].contains("timeseries 0: this is not the protobuf"), "{short:?}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            at in any::<proptest::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..6), cut in any::<bool>(),
        ) {
            let h = [number(1, 9), zigzag(4, 0), spans(11, &[(1, 2), (1, 1)]), packed(12, &[3, -1, 1], true)].concat();
            let samples = [bytes(2, &[point(3.0, 7)])];
            let one = [
                series(&[("__name__", "a_bucket"), ("le", "1")], &samples),
                series(&[("__name__", "d")], &[bytes(4, std::slice::from_ref(&h))]),
            ]
            .concat();
            let inside = [packed(1, &[1, 2], false), samples[0].clone(), bytes(3, &[h]), number(6, 1)].concat();
            let two = second(&["", "__name__", "a_bucket"], &[inside]);
            for mut body in [one, two] {
                let at = at.index(body.len());
                let end = if cut { body.len() } else { (at + with.len()).min(body.len()) };
                body.splice(at..end, with.iter().copied());
                let _ = read_1(&body, &mut Told::default());
                let _ = read_2(&body, &mut Told::default());
                let _ = written(&body);
            }
        }
    }
}
