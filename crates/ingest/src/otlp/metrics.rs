//! Metric points from protobuf.

use super::values::{attribute, request};
use super::{Level, MetricHead, Point, Reading, Sink, Temporality};
use crate::Malformed;
use crate::proto::{Reader, Wired};

/// An `ExportMetricsServiceRequest`.
pub(crate) fn read<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    request(body, sink, metric)
}

/// Which message the points of a metric are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Histogram,
    Exponential,
    Summary,
}

fn metric<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut head = MetricHead { name: &[], unit: &[], temporality: Temporality::None, monotonic: false };
    let mut data: Option<(Kind, &'a [u8])> = None;
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => head.name = wired.bytes("Metric.name")?,
            3 => head.unit = wired.bytes("Metric.unit")?,
            5 | 7 => data = Some((Kind::Number, wired.bytes("Metric.data")?)),
            9 => data = Some((Kind::Histogram, wired.bytes("Metric.histogram")?)),
            10 => data = Some((Kind::Exponential, wired.bytes("Metric.exponential_histogram")?)),
            11 => data = Some((Kind::Summary, wired.bytes("Metric.summary")?)),
            _ => {}
        }
    }
    let Some((kind, data)) = data else {
        sink.begin();
        sink.unreadable(format!("metric {} has no data", String::from_utf8_lossy(head.name)));
        return Ok(());
    };
    let mut r = Reader::new(data);
    while let Some((number, wired)) = r.next()? {
        match (number, wired) {
            (2, Wired::Varint(n)) => head.temporality = Temporality::from_number(n.cast_signed()),
            (3, Wired::Varint(n)) => head.monotonic = n != 0,
            _ => {}
        }
    }
    let mut r = Reader::new(data);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            let bytes = wired.bytes("data_points")?;
            sink.begin();
            let point = match kind {
                Kind::Number => number_point(bytes, sink)?,
                Kind::Histogram => histogram(bytes, sink)?,
                Kind::Exponential => exponential(bytes, sink)?,
                Kind::Summary => summary(bytes, sink)?,
            };
            sink.point(&head, &point);
        }
    }
    Ok(())
}

fn flags(wired: Wired<'_>) -> Result<u32, Malformed> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "protobuf keeps the low 32 bits of an overlong uint32"
    )]
    wired.varint("flags").map(|v| v as u32)
}

fn number_point<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<Point, Malformed> {
    let mut p = Point { start: 0, time: 0, flags: 0, reading: Reading::Nothing };
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => p.start = wired.fixed64("start_time_unix_nano")?,
            3 => p.time = wired.fixed64("time_unix_nano")?,
            4 => p.reading = Reading::Float(wired.double("as_double")?),
            6 => p.reading = Reading::Int(wired.fixed64("as_int")?.cast_signed()),
            7 => attribute(wired.bytes("attributes")?, Level::Item, sink)?,
            8 => p.flags = flags(wired)?,
            _ => {}
        }
    }
    Ok(p)
}

fn histogram<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<Point, Malformed> {
    let mut p = Point { start: 0, time: 0, flags: 0, reading: Reading::Nothing };
    let (mut count, mut sum, mut min, mut max) = (0, None, None, None);
    let (mut counts, mut bounds) = (Vec::new(), Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => p.start = wired.fixed64("start_time_unix_nano")?,
            3 => p.time = wired.fixed64("time_unix_nano")?,
            4 => count = wired.fixed64("count")?,
            5 => sum = Some(wired.double("sum")?),
            6 => wired.words("bucket_counts", &mut counts)?,
            7 => wired.words("explicit_bounds", &mut bounds)?,
            9 => attribute(wired.bytes("attributes")?, Level::Item, sink)?,
            10 => p.flags = flags(wired)?,
            11 => min = Some(wired.double("min")?),
            12 => max = Some(wired.double("max")?),
            _ => {}
        }
    }
    let bounds = bounds.into_iter().map(f64::from_bits).collect();
    p.reading = Reading::Histogram { count, sum, counts, bounds, min, max };
    Ok(p)
}

fn exponential<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<Point, Malformed> {
    let mut p = Point { start: 0, time: 0, flags: 0, reading: Reading::Nothing };
    let (mut count, mut sum, mut min, mut max) = (0, None, None, None);
    let (mut scale, mut zeros) = (0, 0);
    let (mut positive, mut negative) = ((0, Vec::new()), (0, Vec::new()));
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => attribute(wired.bytes("attributes")?, Level::Item, sink)?,
            2 => p.start = wired.fixed64("start_time_unix_nano")?,
            3 => p.time = wired.fixed64("time_unix_nano")?,
            4 => count = wired.fixed64("count")?,
            5 => sum = Some(wired.double("sum")?),
            6 => scale = wired.sint32("scale")?,
            7 => zeros = wired.fixed64("zero_count")?,
            8 => positive = buckets(wired.bytes("positive")?)?,
            9 => negative = buckets(wired.bytes("negative")?)?,
            10 => p.flags = flags(wired)?,
            12 => min = Some(wired.double("min")?),
            13 => max = Some(wired.double("max")?),
            _ => {}
        }
    }
    p.reading = Reading::Exponential { count, sum, scale, zeros, positive, negative, min, max };
    Ok(p)
}

fn buckets(bytes: &[u8]) -> Result<(i32, Vec<u64>), Malformed> {
    let (mut offset, mut counts) = (0, Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => offset = wired.sint32("offset")?,
            2 => wired.varints("bucket_counts", &mut counts)?,
            _ => {}
        }
    }
    Ok((offset, counts))
}

fn summary<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<Point, Malformed> {
    let mut p = Point { start: 0, time: 0, flags: 0, reading: Reading::Nothing };
    let (mut count, mut sum, mut quantiles) = (0, 0.0, Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            2 => p.start = wired.fixed64("start_time_unix_nano")?,
            3 => p.time = wired.fixed64("time_unix_nano")?,
            4 => count = wired.fixed64("count")?,
            5 => sum = wired.double("sum")?,
            6 => {
                let (mut quantile, mut value) = (0.0, 0.0);
                let mut q = Reader::new(wired.bytes("quantile_values")?);
                while let Some((number, wired)) = q.next()? {
                    match number {
                        1 => quantile = wired.double("quantile")?,
                        2 => value = wired.double("value")?,
                        _ => {}
                    }
                }
                quantiles.push((quantile, value));
            }
            7 => attribute(wired.bytes("attributes")?, Level::Item, sink)?,
            8 => p.flags = flags(wired)?,
            _ => {}
        }
    }
    p.reading = Reading::Summary { count, sum, quantiles };
    Ok(p)
}
