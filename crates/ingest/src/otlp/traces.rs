//! Spans from protobuf.

use super::values::{attribute, request};
use super::{Id, Level, Sink, SpanHead};
use crate::Malformed;
use crate::proto::Reader;

/// An `ExportTraceServiceRequest`.
pub(crate) fn read<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    request(body, sink, span)
}

fn span<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin();
    let mut head = SpanHead::EMPTY;
    let mut has_events = false;
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => head.trace = Id::read::<16>(wired.bytes("Span.trace_id")?),
            2 => head.span = Id::read::<8>(wired.bytes("Span.span_id")?),
            4 => head.parent = Id::read::<8>(wired.bytes("Span.parent_span_id")?),
            5 => head.name = wired.bytes("Span.name")?,
            6 => head.kind = wired.varint("Span.kind")?.cast_signed(),
            7 => head.start = wired.fixed64("Span.start_time_unix_nano")?,
            8 => head.end = wired.fixed64("Span.end_time_unix_nano")?,
            9 => attribute(wired.bytes("Span.attributes")?, Level::Item, sink)?,
            11 => has_events = true,
            15 => status(wired.bytes("Span.status")?, &mut head)?,
            _ => {}
        }
    }
    if sink.span(&head) && has_events {
        let mut r = Reader::new(bytes);
        while let Some((number, wired)) = r.next()? {
            if number == 11 {
                event(wired.bytes("Span.events")?, sink)?;
            }
        }
    }
    Ok(())
}

fn status(bytes: &[u8], head: &mut SpanHead<'_>) -> Result<(), Malformed> {
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        if number == 3 {
            head.status = wired.varint("Status.code")?.cast_signed();
        }
    }
    Ok(())
}

fn event<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin_event();
    let (mut name, mut time): (&[u8], u64) = (&[], 0);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => time = wired.fixed64("Event.time_unix_nano")?,
            2 => name = wired.bytes("Event.name")?,
            3 => attribute(wired.bytes("Event.attributes")?, Level::Event, sink)?,
            _ => {}
        }
    }
    sink.event(name, time);
    Ok(())
}
