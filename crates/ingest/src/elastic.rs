//! Elasticsearch's `_bulk`: an action on one line, its document on the next. Documents are log records; their objects are
//! flattened to dotted names, as ECS writes them.

use crate::Malformed;
use crate::otlp::{Id, Level, LogHead, Raw, Sink};
use crate::zipkin::kind;
use ontology::Time;
use ontology::scalar::Scalar;
use serde_json::{Map, Value};

/// Objects and lists inside one another in a document.
const DEPTH: usize = 32;

/// One action of a bulk request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkItem<'a> {
    /// `index`, `create`, `update` or `delete`.
    pub action: &'static str,
    /// The index it names; a request to one index need not.
    pub index: Option<String>,
    /// The id it names.
    pub id: Option<String>,
    /// The line of its document.
    pub document: Option<&'a [u8]>,
    /// The number of its line, from 1.
    pub line: usize,
}

const ACTIONS: [&str; 4] = ["index", "create", "update", "delete"];

impl BulkItem<'_> {
    /// Whether it adds a document: what is told here cannot be changed or deleted.
    pub fn adds(&self) -> bool {
        matches!(self.action, "index" | "create")
    }

    /// Why it is not taken, for its sender; `None` when it is.
    pub fn problem(&self) -> Option<String> {
        match document(self) {
            Line::Document(_, document) => {
                let mut read = Document { head: LogHead::EMPTY, wrong: None, name: String::new() };
                read.time(document.get("@timestamp").unwrap_or(&Value::Null));
                read.wrong
            }
            Line::Aside(_, why) | Line::Unreadable(why) => Some(why),
        }
    }
}

/// The actions of a bulk request.
///
/// # Errors
/// When a line where an action should stand is none: what follows cannot be told apart.
pub fn bulk_items(body: &[u8]) -> Result<Vec<BulkItem<'_>>, Malformed> {
    let mut items = Vec::new();
    let mut lines = (1..).zip(body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii));
    while let Some((line, text)) = lines.next() {
        if text.is_empty() {
            continue;
        }
        let wrong = |what: &str| {
            let shown: String = String::from_utf8_lossy(text.get(..80).unwrap_or(text)).into_owned();
            let expected =
                "an action, {\"index\": {…}}, {\"create\": {…}}, {\"update\": {…}} or {\"delete\": {…}}";
            Malformed {
                message: format!("line {line} of the bulk request should be {expected}: {what}: {shown}"),
            }
        };
        let action: Value =
            serde_json::from_slice(text).map_err(|e| wrong(&format!("it is not JSON ({e})")))?;
        let Some((name, meta)) = action.as_object().filter(|o| o.len() == 1).and_then(|o| o.iter().next())
        else {
            return Err(wrong("it is not an object of one member"));
        };
        let Some(action) = ACTIONS.into_iter().find(|a| a == name) else {
            return Err(wrong(&format!("`{name}` is no action")));
        };
        let text = |key: &str| meta.get(key).and_then(Value::as_str).map(str::to_owned);
        let document = if action == "delete" { None } else { lines.next().map(|(_, text)| text) };
        items.push(BulkItem { action, index: text("_index"), id: text("_id"), document, line });
    }
    Ok(items)
}

/// One action of a request with its document read.
#[derive(Debug)]
pub(crate) enum Line {
    Document(usize, Map<String, Value>),
    Aside(&'static str, String),
    Unreadable(String),
}

/// A bulk request, before anything of it is told.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Line>, Malformed> {
    let items = bulk_items(body)?;
    if items.is_empty() {
        return Err(Malformed { message: "the bulk request has no action".to_owned() });
    }
    Ok(items.iter().map(document).collect())
}

fn document(item: &BulkItem<'_>) -> Line {
    if !item.adds() {
        return Line::Aside(
            item.action,
            format!("line {}: what was told is not changed or deleted", item.line),
        );
    }
    let line = item.line + 1;
    let Some(text) = item.document.filter(|d| !d.is_empty()) else {
        return Line::Unreadable(format!(
            "line {line} should be the document of the action before it, and is empty"
        ));
    };
    match serde_json::from_slice(text) {
        Ok(Value::Object(document)) => Line::Document(line, document),
        Ok(other) => {
            Line::Unreadable(format!("the document on line {line} is {}, not an object", kind(&other)))
        }
        Err(e) => Line::Unreadable(format!("the document on line {line} is not JSON: {e}")),
    }
}

/// Tells the documents.
pub(crate) fn read<'a>(lines: &'a [Line], recorded: Time, sink: &mut impl Sink<'a>) {
    sink.resource(None);
    sink.resource_done();
    sink.scope();
    for line in lines {
        sink.begin();
        match line {
            Line::Document(number, document) => record(*number, document, recorded, sink),
            Line::Aside(action, detail) => sink.aside(&format!("bulk action `{action}`"), detail),
            Line::Unreadable(why) => sink.unreadable(why.clone()),
        }
    }
}

fn record<'a>(line: usize, document: &'a Map<String, Value>, recorded: Time, sink: &mut impl Sink<'a>) {
    // Two documents of a request may be alike; a request that is sent again is not counted again.
    sink.attribute(Level::Item, b"log.record.uid", 0, Raw::Int(i64::try_from(line).unwrap_or(0)));
    let mut read = Document { head: LogHead::EMPTY, wrong: None, name: String::new() };
    read.object(document, 0, 0, sink);
    if let Some(why) = read.wrong {
        sink.unreadable(format!("the document on line {line}: {why}"));
        return;
    }
    // A document without a time is of when it came, as Elasticsearch's own pipelines have it.
    if read.head.time == 0 {
        read.head.observed = recorded.nanos().cast_unsigned();
    }
    sink.log(&read.head);
}

struct Document<'a> {
    head: LogHead<'a>,
    wrong: Option<String>,
    name: String,
}

impl<'a> Document<'a> {
    fn object(&mut self, object: &'a Map<String, Value>, index: u32, depth: usize, sink: &mut impl Sink<'a>) {
        if depth >= DEPTH {
            self.wrong = Some(format!("`{}` is nested more than {DEPTH} levels deep", self.name));
            return;
        }
        for (key, value) in object {
            let length = self.name.len();
            if length > 0 {
                self.name.push('.');
            }
            self.name.push_str(key);
            self.value(value, index, depth + 1, sink);
            self.name.truncate(length);
        }
    }

    fn value(&mut self, value: &'a Value, index: u32, depth: usize, sink: &mut impl Sink<'a>) {
        let name = self.name.as_str();
        match (name, value) {
            ("@timestamp", value) => return self.time(value),
            ("message", Value::String(text)) => {
                return sink.attribute(Level::Item, b"body", 0, Raw::Text(text.as_bytes()));
            }
            ("log.level", Value::String(text)) => self.head.severity_text = text.as_bytes(),
            ("trace.id", Value::String(hex)) => self.head.trace = Id::from_hex::<16>(hex),
            ("span.id", Value::String(hex)) => self.head.span = Id::from_hex::<8>(hex),
            _ => {}
        }
        let raw = match value {
            Value::Null => return,
            Value::String(s) => Raw::Text(s.as_bytes()),
            Value::Bool(b) => Raw::Bool(*b),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i), _) => Raw::Int(i),
                (None, Some(f)) => Raw::Float(f),
                (None, None) => return,
            },
            Value::Object(o) => return self.object(o, index, depth, sink),
            Value::Array(all) => {
                if depth >= DEPTH {
                    self.wrong = Some(format!("`{name}` is nested more than {DEPTH} levels deep"));
                    return;
                }
                return (0..).zip(all).for_each(|(i, v)| self.value(v, i, depth + 1, sink));
            }
        };
        sink.attribute(Level::Item, name.as_bytes(), index, raw);
    }

    fn time(&mut self, value: &Value) {
        let scalar = match value {
            Value::Null => return,
            Value::String(s) => Scalar::text(s),
            Value::Number(n) => Scalar::Float(n.as_f64().unwrap_or_default()),
            _ => Scalar::Bool(false),
        };
        match scalar.time() {
            Some(at) => self.head.time = at.nanos().cast_unsigned(),
            None => {
                self.wrong =
                    Some(format!("`@timestamp` is neither RFC 3339 nor a number of milliseconds: {value}"));
            }
        }
    }
}
