//! Loki's push requests: streams of log lines under labels. Labels are the resource, structured metadata is attributes of
//! the record, the line is its body.

use crate::Malformed;
use crate::jaeger::{nanos, seconds};
use crate::otlp::{Id, Level, LogHead, Raw, Sink};
use crate::proto::Reader;
use crate::zipkin::kind;
use serde_json::Value;
use std::borrow::Cow;

/// Labels of one stream (Loki's own limit is 15).
const LABELS: usize = 256;

/// The JSON form.
pub(crate) fn json<'a>(body: &'a Value, sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let wrong = |what: String| Malformed { message: format!("this is not a push request of Loki: {what}") };
    let streams = match body.get("streams") {
        Some(Value::Array(streams)) => streams,
        Some(other) => return Err(wrong(format!("`streams` is {}, not a list", kind(other)))),
        None => return Err(wrong("it has no `streams`; write {\"streams\": [{\"stream\": {…}, \"values\": [[\"<ns>\", \"<line>\"]]}]}".to_owned())),
    };
    for (i, stream) in streams.iter().enumerate() {
        let labels = match stream.get("stream") {
            Some(Value::Object(labels)) => Some(labels),
            None | Some(Value::Null) => None,
            Some(other) => {
                return Err(wrong(format!("`streams[{i}].stream` is {}, not an object", kind(other))));
            }
        };
        sink.resource(None);
        for (key, value) in labels.into_iter().flatten() {
            if let Value::String(value) = value {
                sink.attribute(Level::Resource, key.as_bytes(), 0, Raw::Text(value.as_bytes()));
            }
        }
        sink.resource_done();
        sink.scope();
        let values = match stream.get("values") {
            Some(Value::Array(values)) => values.as_slice(),
            None | Some(Value::Null) => &[],
            Some(other) => {
                return Err(wrong(format!("`streams[{i}].values` is {}, not a list", kind(other))));
            }
        };
        for (j, value) in values.iter().enumerate() {
            sink.begin();
            if let Err(why) = line(value, sink) {
                sink.unreadable(format!("`streams[{i}].values[{j}]` {why}"));
            }
        }
    }
    Ok(())
}

fn line<'a>(value: &'a Value, sink: &mut impl Sink<'a>) -> Result<(), String> {
    let expected = "is not [\"<nanoseconds>\", \"<line>\", {metadata}]";
    let Some([at, Value::String(text), more @ ..]) = value.as_array().map(Vec::as_slice) else {
        return Err(format!("{expected}: it is {}", kind(value)));
    };
    let at = match at {
        Value::String(s) => s.parse().ok(),
        Value::Number(n) => n.as_u64(),
        _ => None,
    };
    let Some(time) = at else {
        return Err(format!("{expected}: its time is not a whole number of nanoseconds"));
    };
    sink.attribute(Level::Item, b"body", 0, Raw::Text(text.as_bytes()));
    let mut head = LogHead { time, ..LogHead::EMPTY };
    if let Some(Value::Object(metadata)) = more.first() {
        for (key, value) in metadata {
            match value {
                Value::String(value) => metadatum(key.as_bytes(), value.as_bytes(), &mut head, sink),
                Value::Number(n) => sink.own_text(Level::Item, key.as_bytes(), 0, n.to_string()),
                Value::Bool(b) => sink.attribute(Level::Item, key.as_bytes(), 0, Raw::Bool(*b)),
                _ => {}
            }
        }
    }
    sink.log(&head);
    Ok(())
}

/// One pair of structured metadata; Loki's own OTLP endpoint writes the ids of traces and spans under these names.
fn metadatum<'a>(key: &[u8], value: &'a [u8], head: &mut LogHead<'a>, sink: &mut impl Sink<'a>) {
    let hex = || std::str::from_utf8(value).unwrap_or_default();
    match key {
        b"trace_id" => head.trace = Id::from_hex::<16>(hex()),
        b"span_id" => head.span = Id::from_hex::<8>(hex()),
        _ => sink.attribute(Level::Item, key, 0, Raw::Text(value)),
    }
}

/// A `logproto.PushRequest`.
pub(crate) fn proto<'a>(body: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let mut r = Reader::new(body);
    while let Some((number, wired)) = r.next()? {
        if number == 1 {
            stream(wired.bytes("PushRequest.streams")?, sink)?;
        }
    }
    Ok(())
}

fn stream<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    let (mut labels, mut entries): (&[u8], _) = (&[], Vec::new());
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => labels = wired.bytes("StreamAdapter.labels")?,
            2 => entries.push(wired.bytes("StreamAdapter.entries")?),
            _ => {}
        }
    }
    let text = std::str::from_utf8(labels)
        .map_err(|_| Malformed { message: "the labels of a stream are not UTF-8".to_owned() })?;
    sink.resource(None);
    for (key, value) in parse_labels(text)? {
        match value {
            Cow::Borrowed(value) => {
                sink.attribute(Level::Resource, key.as_bytes(), 0, Raw::Text(value.as_bytes()))
            }
            Cow::Owned(value) => sink.own_text(Level::Resource, key.as_bytes(), 0, value),
        }
    }
    sink.resource_done();
    sink.scope();
    for bytes in entries {
        entry(bytes, sink)?;
    }
    Ok(())
}

fn entry<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Malformed> {
    sink.begin();
    let mut head = LogHead::EMPTY;
    let mut at = (0, 0);
    let mut r = Reader::new(bytes);
    while let Some((number, wired)) = r.next()? {
        match number {
            1 => at = seconds(wired.bytes("EntryAdapter.timestamp")?)?,
            2 => sink.attribute(Level::Item, b"body", 0, Raw::Text(wired.bytes("EntryAdapter.line")?)),
            3 => {
                let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
                let mut pair = Reader::new(wired.bytes("EntryAdapter.structuredMetadata")?);
                while let Some((number, wired)) = pair.next()? {
                    match number {
                        1 => key = wired.bytes("LabelPairAdapter.name")?,
                        2 => value = wired.bytes("LabelPairAdapter.value")?,
                        _ => {}
                    }
                }
                metadatum(key, value, &mut head, sink);
            }
            _ => {}
        }
    }
    match nanos(at) {
        Some(time) => {
            head.time = time;
            sink.log(&head);
        }
        None => sink.unreadable("a line has a time that is negative or beyond the year 2500".to_owned()),
    }
    Ok(())
}

/// `{a="b", c="d\"e"}`: names, and values in Go's quotes (`"` with escapes, or backquotes without).
fn parse_labels(text: &str) -> Result<Vec<(&str, Cow<'_, str>)>, Malformed> {
    let wrong = |at: &str, what: &str| {
        let shown: String = at.chars().take(40).collect();
        Malformed {
            message: format!("the labels of a stream are not {{name=\"value\", …}}: {what} at `{shown}`"),
        }
    };
    let mut rest = text.trim();
    let Some(inner) = rest.strip_prefix('{').and_then(|r| r.strip_suffix('}')) else {
        return Err(wrong(rest, "they are not in braces"));
    };
    rest = inner.trim();
    let mut labels = Vec::new();
    while !rest.is_empty() {
        if labels.len() >= LABELS {
            return Err(wrong(rest, "there are more than 256 of them"));
        }
        let Some((name, after)) = rest.split_once('=') else { return Err(wrong(rest, "`=` is missing")) };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:".contains(&b)) {
            return Err(wrong(rest, "this is not a label's name"));
        }
        let (value, after) =
            quoted(after.trim_start()).ok_or_else(|| wrong(after, "a quoted value is missing"))?;
        labels.push((name, value));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return Err(wrong(after, "`,` is missing")),
        };
    }
    Ok(labels)
}

/// A text in Go's quotes, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.split_once('`').map(|(value, rest)| (Cow::Borrowed(value), rest));
    }
    let inner = text.strip_prefix('"')?;
    let end = inner.find(['"', '\\'])?;
    let (plain, rest) = inner.split_at_checked(end)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(plain), rest));
    }
    let mut value = plain.to_owned();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), rest.get(at + 1..)?)),
            '\\' => {
                let escaped = chars.next()?.1;
                let digits = match escaped {
                    'n' => {
                        value.push('\n');
                        0
                    }
                    't' => {
                        value.push('\t');
                        0
                    }
                    'r' => {
                        value.push('\r');
                        0
                    }
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    other => {
                        value.push(other);
                        0
                    }
                };
                if digits > 0 {
                    let mut code = 0;
                    for _ in 0..digits {
                        code = code * 16 + chars.next()?.1.to_digit(16)?;
                    }
                    value.push(char::from_u32(code)?);
                }
            }
            c => value.push(c),
        }
    }
    None
}
