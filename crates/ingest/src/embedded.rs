//! JSON objects as the text of log records: their members become fields of the record, beside what it says itself.

use crate::record::Record;
use ontology::expr::Fields;
use ontology::scalar::Scalar;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Objects and lists inside one another. Deeper ones are left out and counted.
const DEPTH: usize = 8;
/// Members of one message. Further ones are left out and counted.
const MEMBERS: usize = 512;
/// Bytes of one message. A longer one is text like any other: what is looked for are lines of logs, not documents.
const BYTES: usize = 64 << 10;

/// Whether a text looks like a JSON object. Cheap: almost all log text does not.
pub(crate) fn may_be(text: &[u8]) -> bool {
    matches!(text.trim_ascii(), [b'{', .., b'}'])
}

/// Adds the members of a JSON object that the mapping names; the record's own fields win. What was left out, if anything.
/// Text that is not JSON after all is left alone.
pub(crate) fn read(text: &[u8], fields: &Fields, into: &mut Record<'_>) -> Option<String> {
    if text.len() > BYTES {
        return Some(format!("{} bytes, read are up to {BYTES}", text.len()));
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(text) else { return None };
    let mut flat = Flat { fields, into, members: 0, left_out: 0, name: String::new() };
    flat.object(&object, 0, 0);
    let Flat { left_out, .. } = flat;
    (left_out > 0).then(|| format!("{left_out} members left out; read are {MEMBERS}, {DEPTH} levels deep"))
}

struct Flat<'f, 'r, 'a> {
    fields: &'f Fields,
    into: &'r mut Record<'a>,
    members: usize,
    left_out: usize,
    name: String,
}

impl Flat<'_, '_, '_> {
    fn object(&mut self, object: &Map<String, Value>, index: u32, depth: usize) {
        for (key, value) in object {
            let length = self.name.len();
            if length > 0 {
                self.name.push('.');
            }
            self.name.push_str(key);
            self.value(value, index, depth);
            self.name.truncate(length);
        }
    }

    fn value(&mut self, value: &Value, index: u32, depth: usize) {
        self.members += 1;
        if self.members > MEMBERS || depth >= DEPTH {
            self.left_out += 1;
            return;
        }
        match value {
            Value::Object(o) => return self.object(o, index, depth + 1),
            Value::Array(all) => {
                return (0..).zip(all).for_each(|(i, v)| self.value(v, i, depth + 1));
            }
            _ => {}
        }
        let Some(field) = self.fields.id(&self.name) else { return };
        let scalar = match value {
            Value::String(s) if !s.is_empty() => Scalar::Text(Cow::Owned(s.clone())),
            Value::Bool(b) => Scalar::Bool(*b),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i), _) => Scalar::Int(i),
                (None, Some(f)) => Scalar::Float(f),
                (None, None) => return,
            },
            _ => return,
        };
        // Weak: what the record says outside of its text wins.
        if !self.into.add(field, index, true, scalar) {
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_braces_may_be_an_object() {
        assert!(may_be(b" {\"a\": 1}\n") && may_be(b"{}"));
        for text in [&b""[..], b"{", b"}{", b"plain", b"[1]", b"at {x} y"] {
            assert!(!may_be(text), "{text:?}");
        }
    }
}
