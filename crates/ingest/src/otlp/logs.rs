//! Log records and events from protobuf.

use super::values::{any_value, attribute, request};
use super::{Id, Level, LogHead, Sink};
use crate::Malformed;
use crate::proto::Reader;

/// An `ExportLogsServiceRequest`.
pub(crate) fn read<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    request(body, sink, record)
}

fn record<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin();
    let mut head = LogHead::EMPTY;
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => head.time = wired.fixed64("LogRecord.time_unix_nano")?,
            2 => head.severity = wired.varint("LogRecord.severity_number")?.cast_signed(),
            3 => head.severity_text = wired.bytes("LogRecord.severity_text")?,
            5 => any_value(wired.bytes("LogRecord.body")?, Level::Item, b"body", 0, 0, sink)?,
            6 => attribute(wired.bytes("LogRecord.attributes")?, Level::Item, sink)?,
            9 => head.trace = Id::read::<16>(wired.bytes("LogRecord.trace_id")?),
            10 => head.span = Id::read::<8>(wired.bytes("LogRecord.span_id")?),
            11 => head.observed = wired.fixed64("LogRecord.observed_time_unix_nano")?,
            12 => head.event_name = wired.bytes("LogRecord.event_name")?,
            _ => {}
        }
    }
    sink.log(&head);
    Ok(())
}
