//! Replaces personal data in a request by keyed hashes, before the request is kept anywhere.
//!
//! Which attributes are personal stands in the mapping: those that an expression hashes, and those under `personal`. The value
//! of such an attribute becomes `hashed:` and its hash, which the hasher later takes for the hash itself; so what is read from
//! the log says the same as what came, and nobody needs the key to read it again.

mod symbols;

use crate::hash::{Keyed, MARK};
use crate::proto::{Reader, Wired};
use crate::wire::{Form, Wire};
use crate::{Delivery, atlas, documents, syslog};
use aho_corasick::{AhoCorasick, MatchKind};
use ontology::Ontology;
use ontology::expr::Hasher as _;
use rustc_hash::FxHashSet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How deep messages are looked into. No protocol here nests deeper, and what is deeper is refused when it is read.
const DEPTH: usize = 100;

/// Finds and replaces personal data.
#[derive(Debug)]
pub struct Scrub {
    /// What is personal in telemetry.
    telemetry: Names,
    /// The same as Prometheus has it, which writes `session.id` as `session_id` too.
    series: Names,
    /// What is personal in feeds of which more is said.
    feeds: BTreeMap<String, Names>,
    /// … and in all others.
    feed: Names,
    /// Feeds that are logs.
    logs: BTreeSet<String>,
    hasher: Keyed,
}

/// Names of personal attributes, and what finds them.
#[derive(Debug)]
struct Names {
    all: FxHashSet<Box<str>>,
    /// Finds whole names.
    whole: Option<AhoCorasick>,
    /// Finds what every nested way of writing a name begins with.
    begin: Option<AhoCorasick>,
}

impl Names {
    fn new<'n>(names: impl IntoIterator<Item = &'n String>) -> Names {
        let mut sorted: Vec<&str> = names.into_iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut begins: Vec<&str> = sorted.iter().map(|n| n.split('.').next().unwrap_or(n)).collect();
        begins.dedup();
        let find =
            |texts: &[&str]| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts).ok();
        Names { whole: find(&sorted), begin: find(&begins), all: sorted.into_iter().map(Box::from).collect() }
    }

    /// Whether some name may be in a body, in one piece or nested.
    fn may_be_in(&self, body: &[u8]) -> bool {
        self.begin.as_ref().is_some_and(|b| b.is_match(body))
    }

    /// Whether a dotted path ends in a name.
    fn holds(&self, path: &str) -> bool {
        let ends = path.match_indices('.').filter_map(|(i, _)| path.get(i + 1..));
        std::iter::once(path).chain(ends).any(|name| self.all.contains(name))
    }
}

/// How a protocol writes an attribute in protobuf: field 1 is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Field 2 is a message that holds one of several kinds of value (OTLP).
    Any,
    /// Field 2 is a text.
    Pair,
    /// Field 2 says which of the fields from 3 on holds the value: text 3, truth 4, whole 5, number 6, bytes 7 (Jaeger).
    Typed,
}

impl Scrub {
    /// Compiles what the mapping calls personal. At most `most` hashes are remembered.
    pub fn new(ontology: &Ontology, key: [u8; 32], most: usize) -> Scrub {
        let mapping = &ontology.mapping;
        let telemetry: Vec<&String> = mapping.hashed.iter().chain(&mapping.personal).collect();
        let labels: Vec<String> = telemetry.iter().map(|name| name.replace('.', "_")).collect();
        let more = mapping.feeds.iter().filter(|(_, feed)| !feed.personal.is_empty());
        Scrub {
            series: Names::new(telemetry.iter().copied().chain(&labels)),
            telemetry: Names::new(telemetry),
            feeds: more
                .map(|(name, feed)| (name.clone(), Names::new(mapping.hashed.iter().chain(&feed.personal))))
                .collect(),
            feed: Names::new(&mapping.hashed),
            logs: mapping.feeds.iter().filter(|(_, f)| f.lines).map(|(name, _)| name.clone()).collect(),
            hasher: Keyed::new(key, most),
        }
    }

    /// The request without personal data; `None` when there is none in it, or when it cannot be read at all.
    pub fn scrub(&self, wire: &Wire, body: &[u8]) -> Option<(Wire, Vec<u8>)> {
        let names = match wire {
            Wire::Feed(delivery) => self.feeds.get(&delivery.feed).unwrap_or(&self.feed),
            Wire::PrometheusWrite1 | Wire::PrometheusWrite2 | Wire::PrometheusText => &self.series,
            _ => &self.telemetry,
        };
        // Senders of feeds put texts with names and values into their documents: request lines, CMCD.
        let embedded = matches!(wire, Wire::Feed(_));
        let lines = matches!(wire, Wire::Feed(d) if d.form.has_lines() && self.logs.contains(&d.feed));
        Scrubbing { names, hasher: &self.hasher, embedded, lines }.request(wire, body)
    }
}

/// One request being scrubbed.
#[derive(Clone, Copy)]
struct Scrubbing<'s> {
    names: &'s Names,
    hasher: &'s Keyed,
    /// Whether texts in documents are looked into.
    embedded: bool,
    /// Whether each line is a document by itself, or a text that is none.
    lines: bool,
}

impl Scrubbing<'_> {
    fn request(self, wire: &Wire, body: &[u8]) -> Option<(Wire, Vec<u8>)> {
        match wire {
            Wire::TracesProto | Wire::MetricsProto | Wire::LogsProto => {
                Some((wire.clone(), self.message(body, Shape::Any)?))
            }
            Wire::TracesJson | Wire::MetricsJson | Wire::LogsJson => Some((wire.clone(), self.json(body)?)),
            // Field 1 is a label's name, field 2 its value.
            Wire::PrometheusWrite1 => Some((wire.clone(), self.message(body, Shape::Pair)?)),
            Wire::PrometheusWrite2 => Some((wire.clone(), self.symbols(body)?)),
            Wire::AtlasJson => Some((wire.clone(), self.json(body)?)),
            // Smile refers back to texts that came before, so what is changed is kept as JSON.
            Wire::AtlasSmile => {
                let payload = self.names.may_be_in(body).then(|| atlas::parse_smile(body).ok())??;
                Some((Wire::AtlasJson, self.json(&serde_json::to_vec(&payload).ok()?)?))
            }
            Wire::ZipkinJson | Wire::LokiJson => Some((wire.clone(), self.json(body)?)),
            Wire::ZipkinProto | Wire::LokiProto => Some((wire.clone(), self.message(body, Shape::Pair)?)),
            Wire::Jaeger => Some((wire.clone(), self.message(body, Shape::Typed)?)),
            Wire::ElasticBulk => Some((wire.clone(), self.documents(Form::Lines, body)?)),
            Wire::Syslog => Some((wire.clone(), self.frames(body)?)),
            Wire::PrometheusText | Wire::StatsD => {
                let text = std::str::from_utf8(body).ok().and_then(|t| self.text(t))?;
                Some((wire.clone(), text.into_bytes()))
            }
            Wire::Feed(delivery) => self.feed(delivery, body),
        }
    }

    fn feed(self, delivery: &Delivery, body: &[u8]) -> Option<(Wire, Vec<u8>)> {
        let mut around = delivery.around.clone();
        let mut changed = false;
        for (name, value) in &mut around {
            let name = name.split_once('.').map_or(name.as_str(), |(_, rest)| rest);
            if self.names.all.contains(name) {
                *value = self.marked(value);
                changed = true;
            } else if let Some(text) = self.text(value) {
                *value = text;
                changed = true;
            }
        }
        let (form, whole) = match delivery.form {
            form if self.lines => (form, self.log_lines(body)),
            Form::Json => (Form::Json, self.json(body)),
            Form::Text => {
                let text = std::str::from_utf8(body).ok().and_then(|t| self.text(t));
                (Form::Text, text.map(String::into_bytes))
            }
            form => {
                // What reads the same from YAML or a table is written as JSON, one document a line.
                let lines = self.documents(form, body);
                (if lines.is_some() { Form::Lines } else { form }, lines)
            }
        };
        changed |= whole.is_some();
        let delivery = Delivery { feed: delivery.feed.clone(), form, around };
        changed.then(|| (Wire::Feed(Arc::new(delivery)), whole.unwrap_or_else(|| body.to_vec())))
    }

    /// What stands for a personal text.
    fn marked(self, text: &str) -> String {
        format!("{MARK}{}", self.hasher.hash(text))
    }

    // JSON

    fn json(self, body: &[u8]) -> Option<Vec<u8>> {
        if !self.names.may_be_in(body) {
            return None;
        }
        let mut value: Value = serde_json::from_slice(body).ok()?;
        self.value(&mut value, &mut String::new()).then(|| serde_json::to_vec(&value).unwrap_or_default())
    }

    fn documents(self, form: Form, body: &[u8]) -> Option<Vec<u8>> {
        if !self.names.may_be_in(body) {
            return None;
        }
        let mut all = documents::read(form, body).ok()?;
        let mut changed = false;
        for document in &mut all {
            changed |= self.value(document, &mut String::new());
        }
        let line = |d: &Value| serde_json::to_vec(d).unwrap_or_default();
        changed.then(|| all.iter().map(line).collect::<Vec<_>>().join(&b'\n'))
    }

    fn log_lines(self, body: &[u8]) -> Option<Vec<u8>> {
        if !self.names.may_be_in(body) {
            return None;
        }
        let mut changed = false;
        let line = |(line, document): (&[u8], Option<Result<Value, String>>)| {
            let new = match document {
                None => None,
                Some(Ok(mut value)) => self
                    .value(&mut value, &mut String::new())
                    .then(|| serde_json::to_vec(&value).unwrap_or_default()),
                Some(Err(_)) => self.text(&String::from_utf8_lossy(line)).map(String::into_bytes),
            };
            changed |= new.is_some();
            new.unwrap_or_else(|| line.to_vec())
        };
        let lines: Vec<Vec<u8>> = documents::log_lines(body).map(line).collect();
        changed.then(|| lines.join(&b'\n'))
    }

    /// Replaces what is personal below a value at a dotted path; whether anything was.
    fn value(self, value: &mut Value, path: &mut String) -> bool {
        match value {
            Value::Object(object) => {
                // OTLP's form of an attribute.
                if let (Some(Value::String(key)), Some(_)) = (object.get("key"), object.get("value"))
                    && self.names.all.contains(key.as_str())
                {
                    return object.get_mut("value").is_some_and(|v| self.every(v));
                }
                let mut changed = false;
                for (key, below) in object {
                    let length = path.len();
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    changed |= self.value(below, path);
                    path.truncate(length);
                }
                changed
            }
            Value::Array(all) => {
                let mut changed = false;
                for v in all {
                    changed |= self.value(v, path);
                }
                changed
            }
            Value::String(_) | Value::Number(_) if self.names.holds(path) => self.every(value),
            Value::String(text) => {
                let new = if self.embedded { self.text(text) } else { None };
                let changed = new.is_some();
                new.into_iter().for_each(|new| *text = new);
                changed
            }
            Value::Number(_) => false,
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Replaces every text and number below a value.
    fn every(self, value: &mut Value) -> bool {
        match value {
            Value::String(s) if s.is_empty() => false,
            Value::String(s) => {
                let new = self.marked(s);
                let changed = new != *s;
                *s = new;
                changed
            }
            Value::Number(n) => {
                *value = Value::String(self.marked(&n.to_string()));
                true
            }
            Value::Array(all) => {
                let mut changed = false;
                for v in all {
                    changed |= self.every(v);
                }
                changed
            }
            Value::Object(all) => {
                // `intValue` and `doubleValue` of OTLP would not be numbers any more.
                let keys: Vec<String> = all.keys().cloned().collect();
                let mut changed = false;
                for key in keys {
                    let Some(mut below) = all.remove(&key) else { continue };
                    let number = matches!(key.as_str(), "intValue" | "doubleValue" | "bytesValue");
                    changed |= self.every(&mut below);
                    all.insert(if number { "stringValue".to_owned() } else { key }, below);
                }
                changed
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Messages of syslog, each with its length before it.
    fn frames(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(body.len());
        let (mut rest, mut changed) = (body, false);
        while !rest.is_empty() {
            let (message, after) = syslog::frame(rest, body.len() - rest.len()).ok()?;
            let new = std::str::from_utf8(message).ok().and_then(|t| self.text(t));
            changed |= new.is_some();
            let message = new.as_deref().map_or(message, str::as_bytes);
            out.extend_from_slice(format!("{} ", message.len()).as_bytes());
            out.extend_from_slice(message);
            rest = after;
        }
        changed.then_some(out)
    }

    // Text

    /// Replaces values that follow a personal name: `name=value`, `name: "value"`, also percent-encoded.
    fn text(self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for found in self.names.whole.as_ref()?.find_iter(text) {
            let before = text.get(..found.start()).and_then(|t| t.chars().next_back());
            if found.start() < done || before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
                continue;
            }
            let Some((start, end)) = text.get(found.end()..).and_then(follows) else { continue };
            let (start, end) = (found.end() + start, found.end() + end);
            let Some(value) = text.get(start..end).filter(|v| !v.is_empty()) else { continue };
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(&self.marked(value));
            done = end;
        }
        (done > 0).then(|| out + text.get(done..).unwrap_or_default())
    }

    // Protobuf

    fn message(self, body: &[u8], shape: Shape) -> Option<Vec<u8>> {
        let whole = self.names.whole.as_ref()?;
        let hits: Vec<usize> = whole.find_iter(body).map(|m| m.start()).collect();
        if hits.is_empty() {
            return None;
        }
        self.rewritten(body, 0, &hits, shape, DEPTH).filter(|new| new != body)
    }

    /// A message that begins `at` bytes into the body; `None` when it is no message, but text that happens to hold a name.
    fn rewritten(
        self,
        message: &[u8],
        at: usize,
        hits: &[usize],
        shape: Shape,
        depth: usize,
    ) -> Option<Vec<u8>> {
        let depth = depth.checked_sub(1)?;
        if self.is_personal(message)? {
            return self.attribute(message, shape, depth);
        }
        let mut out = Vec::with_capacity(message.len() + 32);
        let mut reader = Reader::new(message);
        let mut copied = 0;
        loop {
            let tag = message.len() - reader.left();
            let Some((number, value)) = reader.next().ok()? else { break };
            let Wired::Bytes(below) = value else { continue };
            let end = message.len() - reader.left();
            let start = end - below.len();
            let first = hits.partition_point(|h| *h < at + start);
            if hits.get(first).is_none_or(|h| *h >= at + end) {
                continue;
            }
            let Some(new) = self.rewritten(below, at + start, hits, shape, depth).filter(|n| n != below)
            else {
                continue;
            };
            out.extend_from_slice(message.get(copied..tag)?);
            put_bytes(&mut out, number, &new);
            copied = end;
        }
        out.extend_from_slice(message.get(copied..)?);
        Some(out)
    }

    /// Whether a message is an attribute with a personal name; `None` when it is no message.
    fn is_personal(self, message: &[u8]) -> Option<bool> {
        let mut reader = Reader::new(message);
        let mut personal = false;
        while let Some((number, value)) = reader.next().ok()? {
            if let (1, Wired::Bytes(name)) = (number, value) {
                personal |= std::str::from_utf8(name).is_ok_and(|n| self.names.all.contains(n));
            }
        }
        Some(personal)
    }

    fn attribute(self, message: &[u8], shape: Shape, depth: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(message.len() + 48);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next().ok()? {
            match (number, value) {
                (1, Wired::Bytes(name)) => put_bytes(&mut out, 1, name),
                (2, Wired::Bytes(any)) if shape == Shape::Any => {
                    put_bytes(&mut out, 2, &self.any(any, depth)?)
                }
                (3, Wired::Bytes(text)) if shape == Shape::Typed => {
                    put_bytes(&mut out, 3, self.marked(&String::from_utf8_lossy(text)).as_bytes());
                }
                // A number becomes a text; 0, which says so, is not written.
                (5, Wired::Varint(i)) if shape == Shape::Typed => {
                    put_bytes(&mut out, 3, self.marked(&i.cast_signed().to_string()).as_bytes());
                }
                // No text is no value, and stays none.
                (2, Wired::Bytes([])) => put_bytes(&mut out, 2, &[]),
                (2, Wired::Bytes(text)) => {
                    put_bytes(&mut out, 2, self.marked(&String::from_utf8_lossy(text)).as_bytes());
                }
                // Nothing else is defined in an attribute; what might be personal is not kept.
                _ => {}
            }
        }
        Some(out)
    }

    /// OTLP's AnyValue: string 1, bool 2, int 3, double 4, array 5, map 6, bytes 7.
    fn any(self, any: &[u8], depth: usize) -> Option<Vec<u8>> {
        let depth = depth.checked_sub(1)?;
        let mut out = Vec::with_capacity(any.len() + 48);
        let mut reader = Reader::new(any);
        let text = |out: &mut Vec<u8>, t: &str| {
            if t.is_empty() { put_bytes(out, 1, b"") } else { put_bytes(out, 1, self.marked(t).as_bytes()) }
        };
        while let Some((number, value)) = reader.next().ok()? {
            match (number, value) {
                (1, Wired::Bytes(s)) => text(&mut out, &String::from_utf8_lossy(s)),
                (3, Wired::Varint(i)) => text(&mut out, &i.cast_signed().to_string()),
                (4, Wired::Fixed64(bits)) => text(&mut out, &f64::from_bits(bits).to_string()),
                (7, Wired::Bytes(b)) => text(&mut out, &String::from_utf8_lossy(b)),
                (5 | 6, Wired::Bytes(list)) => {
                    let mut inner = Vec::with_capacity(list.len() + 48);
                    let mut items = Reader::new(list);
                    while let Some((field, item)) = items.next().ok()? {
                        let (1, Wired::Bytes(item)) = (field, item) else { continue };
                        let new = if number == 5 {
                            self.any(item, depth)?
                        } else {
                            self.attribute(item, Shape::Any, depth)?
                        };
                        put_bytes(&mut inner, 1, &new);
                    }
                    put_bytes(&mut out, number, &inner);
                }
                (2, Wired::Varint(b)) => {
                    put_varint(&mut out, 2 << 3);
                    put_varint(&mut out, b);
                }
                _ => {}
            }
        }
        Some(out)
    }
}

/// Where the value begins and ends that follows a name; `None` when none does.
fn follows(rest: &str) -> Option<(usize, usize)> {
    let skip = |at: usize, any: &[&str]| {
        let rest = rest.get(at..).unwrap_or_default();
        any.iter().find(|p| rest.starts_with(**p)).map_or(at, |p| at + p.len())
    };
    let quotes = ["\\\"", "\"", "'", "%22"];
    let at = skip(0, &quotes);
    let after = skip(skip(at, &[" "]), &["=", ":", "%3D", "%3d", "%3A", "%3a"]);
    if after == skip(at, &[" "]) {
        return None;
    }
    let spaced = skip(after, &[" "]);
    let start = skip(spaced, &quotes);
    let value = rest.get(start..)?;
    let end = if start > spaced {
        let quote = rest.get(spaced..start)?;
        value.find(quote).unwrap_or(value.len())
    } else {
        let delimiter = |c: char| c.is_whitespace() || ",;|&)]}\"'".contains(c);
        let encoded = ["%2C", "%2c", "%26"].iter().filter_map(|d| value.find(d));
        encoded.chain(value.find(delimiter)).min().unwrap_or(value.len())
    };
    Some((start, start + end))
}

fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field << 3 | 2));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    fn scrub() -> Scrub {
        Scrub::new(&Ontology::builtin(), [7; 32], 16)
    }

    fn any(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn attribute(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
    }

    fn text(t: &str) -> Any {
        Any::StringValue(t.to_owned())
    }

    /// A request with every kind of value under a personal name, and texts that look like one and are none.
    fn request(personal: bool) -> ExportLogsServiceRequest {
        let mut attributes = vec![
            attribute("http.route", text("/home")),
            attribute("note", text("\n\nsession.id is not an attribute here")),
            attribute("more", text("session.id")),
        ];
        if personal {
            let list = ArrayValue { values: vec![any(text("secret-5")), any(Any::IntValue(616_161))] };
            let map = KeyValueList { values: vec![attribute("session.id", text("secret-6"))] };
            attributes.extend([
                attribute("session.id", text("secret-1")),
                attribute("client.address", text("secret-2")),
                attribute("enduser.id", Any::IntValue(717_171)),
                attribute("user.id", Any::ArrayValue(list)),
                attribute("entity.id", Any::KvlistValue(map)),
            ]);
        }
        let record = LogRecord { attributes, time_unix_nano: 1, ..LogRecord::default() };
        let scope = ScopeLogs { log_records: vec![record; 3], ..ScopeLogs::default() };
        let mut resource =
            Resource { attributes: vec![attribute("service.name", text("s"))], ..Resource::default() };
        if personal {
            resource.attributes.push(attribute("device.id", text("secret-3")));
        }
        let logs =
            ResourceLogs { resource: Some(resource), scope_logs: vec![scope], ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![logs] }
    }

    const SECRETS: [&str; 4] = ["secret", "616161", "717171", "10.1.2.3"];

    fn clean(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn what_is_personal_in_protobuf_is_hashed_and_nothing_else_changes() {
        let scrub = scrub();
        assert_eq!(scrub.scrub(&Wire::LogsProto, &request(false).encode_to_vec()), None);
        let (_, new) = scrub.scrub(&Wire::LogsProto, &request(true).encode_to_vec()).unwrap();
        clean(&new);
        let mut new = ExportLogsServiceRequest::decode(new.as_slice()).unwrap();
        let found = new.clone();
        for (got, wanted) in new.resource_logs.iter_mut().zip(request(false).resource_logs) {
            got.resource.as_mut().unwrap().attributes.truncate(1);
            for record in &mut got.scope_logs[0].log_records {
                record.attributes.truncate(3);
            }
            assert_eq!(*got, wanted);
        }
        let record = &found.resource_logs[0].scope_logs[0].log_records[0];
        let hashed = |s: &str| text(&format!("{MARK}{}", scrub.hasher.hash(s)));
        let wanted = [
            attribute("session.id", hashed("secret-1")),
            attribute("client.address", hashed("secret-2")),
            attribute("enduser.id", hashed("717171")),
        ];
        assert_eq!(record.attributes[3..6], wanted);
        // Scrubbing again changes nothing: what stands for a personal text is its own hash.
        assert_eq!(scrub.scrub(&Wire::LogsProto, &found.encode_to_vec()), None);
    }

    #[test]
    fn the_same_holds_for_json() {
        let body = serde_json::to_vec(&request(true)).unwrap();
        let (_, new) = scrub().scrub(&Wire::LogsJson, &body).unwrap();
        clean(&new);
        let (_, proto) = scrub().scrub(&Wire::LogsProto, &request(true).encode_to_vec()).unwrap();
        let (json, proto): (ExportLogsServiceRequest, _) = (
            serde_json::from_slice(&new).unwrap(),
            ExportLogsServiceRequest::decode(proto.as_slice()).unwrap(),
        );
        assert_eq!(json, proto);
        assert_eq!(scrub().scrub(&Wire::LogsJson, &new), None);
    }

    fn feed(form: Form, body: &str) -> Option<String> {
        let around = [("query.session.id", "secret-9"), ("query.q", "session.id=secret-8&x=1")];
        let around = around.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        let wire = Wire::Feed(Arc::new(Delivery { feed: "changes".to_owned(), form, around }));
        let (wire, new) = scrub().scrub(&wire, body.as_bytes())?;
        clean(&wire.logged(&new));
        Some(String::from_utf8(new).unwrap())
    }

    #[test]
    fn feeds_are_scrubbed_in_every_form() {
        let hash = |s: &str| format!("{MARK}{}", scrub().hasher.hash(s));
        let (one, two) = (hash("secret-1"), hash("717171"));
        let nested =
            feed(Form::Json, r#"[{"a": {"session": {"id": "secret-1"}}, "user.id": 717171, "n": 1.5}]"#);
        assert_eq!(
            nested.unwrap(),
            format!(r#"[{{"a":{{"session":{{"id":"{one}"}}}},"n":1.5,"user.id":"{two}"}}]"#)
        );
        let yaml = feed(Form::Yaml, "session: {id: secret-1}\n---\nb: 1\n").unwrap();
        assert_eq!(yaml, format!("{{\"session\":{{\"id\":\"{one}\"}}}}\n{{\"b\":1}}"));
        let csv = feed(Form::Csv, "session.id,b\nsecret-1,2\n").unwrap();
        assert_eq!(csv, format!(r#"{{"b":"2","session.id":"{one}"}}"#));
        for (written, around) in [
            (r#"session.id="secret-1" x"#, r#"session.id="{}" x"#),
            ("session.id=secret-1,x", "session.id={},x"),
            (r#"{\"session.id\": \"secret-1\"}"#, r#"{\"session.id\": \"{}\"}"#),
            ("?session.id%3D%22secret-1%22%2Cx", "?session.id%3D%22{}%22%2Cx"),
            ("xsession.id=no session.id", "xsession.id=no session.id"),
        ] {
            assert_eq!(feed(Form::Text, written).unwrap(), around.replace("{}", &one));
        }
    }

    #[test]
    fn lines_of_a_log_are_scrubbed_one_by_one() {
        let body = "{\"user.name\": \"secret-1\", \"uri\": \"/a\"}\n\nnot JSON, user.name: \"secret-2\"\n{\"uri\": \"/b\"}\n{\"user.name\": \"secret-3\", \"ur";
        for form in [Form::Lines, Form::Text] {
            let around = BTreeMap::from([("query.service".to_owned(), "edge".to_owned())]);
            let wire = Wire::Feed(Arc::new(Delivery { feed: "access-log".to_owned(), form, around }));
            let (same, new) = scrub().scrub(&wire, body.as_bytes()).unwrap();
            let [one, two, three] = ["secret-1", "secret-2", "secret-3"].map(|s| scrub().hasher.hash(s));
            let wanted = format!(
                "{{\"uri\":\"/a\",\"user.name\":\"{MARK}{one}\"}}\n\nnot JSON, user.name: \"{MARK}{two}\"\n{{\"uri\": \"/b\"}}\n{{\"user.name\": \"{MARK}{three}\", \"ur"
            );
            assert_eq!((same, String::from_utf8(new).unwrap()), (wire, wanted));
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_at_random_never_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cut in 0_usize..400) {
            let scrub = scrub();
            let mut whole = request(true).encode_to_vec();
            whole.splice(cut.min(whole.len()).., body.iter().copied());
            for wire in Wire::plain() {
                let _ = scrub.scrub(&wire, &body);
                let _ = scrub.scrub(&wire, &whole);
            }
            let _ = scrub.scrub(&Wire::feed("changes"), &body);
            let log = Delivery { feed: "access-log".to_owned(), form: Form::Lines, around: BTreeMap::new() };
            let _ = scrub.scrub(&Wire::Feed(Arc::new(log)), &body);
        }
    }
}
