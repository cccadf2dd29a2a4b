//! JSON feeds: documents flattened to dotted names, one record per document or per element of the list a mapping names.

use crate::Malformed;
use crate::draw::Draw;
use crate::observation::Part;
use crate::recognise::{Found, Reader, Scratch};
use crate::record::{Record, View};
use crate::scene::Scenes;
use crate::tell::{Origin, tell};
use ontology::mapping::{Reads, Source};
use ontology::scalar::Scalar;
use ontology::{Time, Value as Known};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::Cell;
use xxhash_rust::xxh3::xxh3_64;

/// See the same limit for OTLP.
const AHEAD_SECS: i64 = 86_400;

type Object = Map<String, Value>;

/// Reads a request of a feed.
pub(crate) fn read(reader: &Reader<'_>, name: &str, body: &[u8], recorded: Time) -> Result<Draw, Malformed> {
    let body: Value = parse(body)?;
    let what = Reads::Feed(name.to_owned());
    let sources: Vec<(usize, &Source)> =
        reader.ontology.mapping.sources.iter().enumerate().filter(|(_, s)| s.reads.contains(&what)).collect();
    let mut lists: Vec<Option<&str>> = sources.iter().map(|(_, s)| s.each.as_deref()).collect();
    lists.sort_unstable();
    lists.dedup();
    let mut feed = Feed {
        reader,
        recorded,
        draw: Draw::default(),
        scenes: Scenes::default(),
        scratch: Scratch::default(),
    };
    let documents = match &body {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    for document in documents {
        let Value::Object(document) = document else {
            feed.draw.items += 1;
            feed.draw.refused.add("element that is not an object", || document.to_string());
            continue;
        };
        let document = unwrapped(document);
        let mut items = 0;
        let mut mapped = false;
        for list in &lists {
            let own: Vec<(usize, &Source)> =
                sources.iter().filter(|(_, s)| s.each.as_deref() == *list).copied().collect();
            let (count, any) = feed.document(document, *list, &own);
            items = items.max(count);
            mapped |= any;
        }
        feed.draw.items += items;
        if !mapped && items > 0 {
            feed.draw
                .refused
                .not_mapped("document that no source reads", || Value::Object(document.clone()).to_string());
        }
    }
    Ok(feed.draw)
}

/// JSON with a limit of 128 brackets inside one another.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|e| Malformed {
        message: if e.to_string().starts_with("recursion limit") {
            format!(
                "this JSON is nested more than 127 levels deep, at line {} column {}",
                e.line(),
                e.column()
            )
        } else {
            format!("this is not JSON: {e}")
        },
    })
}

/// What a CloudEvent (structured mode) carries, else the document itself.
fn unwrapped(document: &Object) -> &Object {
    match (document.contains_key("specversion"), document.get("data")) {
        (true, Some(Value::Object(data))) => data,
        _ => document,
    }
}

struct Feed<'n, 'r> {
    reader: &'r Reader<'n>,
    recorded: Time,
    draw: Draw,
    scenes: Scenes,
    scratch: Scratch,
}

impl Feed<'_, '_> {
    /// Reads one document for the sources that share a list; how many records it gave, and whether any said anything.
    fn document(
        &mut self,
        document: &Object,
        list: Option<&str>,
        sources: &[(usize, &Source)],
    ) -> (u64, bool) {
        let elements: Option<&Vec<Value>> = list.and_then(|path| {
            let mut at: Option<&Value> = None;
            for part in path.split('.') {
                at = match at {
                    None => document.get(part),
                    Some(v) => v.get(part),
                };
                at?;
            }
            at.and_then(Value::as_array)
        });
        let Some(elements) = elements else {
            return (1, self.record(document, None, list, sources));
        };
        let mut any = false;
        for element in elements {
            match element {
                Value::Object(o) => any |= self.record(document, Some(o), list, sources),
                // A list of plain values: each is the field that the list is.
                other => {
                    let mut one = Object::new();
                    one.insert(list.unwrap_or_default().to_owned(), other.clone());
                    any |= self.record(document, Some(&one), list, sources);
                }
            }
        }
        (u64::try_from(elements.len()).unwrap_or(u64::MAX), any)
    }

    fn record(
        &mut self,
        document: &Object,
        element: Option<&Object>,
        list: Option<&str>,
        sources: &[(usize, &Source)],
    ) -> bool {
        let fields = self.reader.plan.fields;
        let (mut outer, mut inner) = (Record::new(fields), Record::new(fields));
        let mut name = String::new();
        let left_out = element.and(list);
        let mut dropped = self.flatten(document, &mut name, (0, 0), left_out, &mut outer);
        if let Some(element) = element {
            dropped += self.flatten(element, &mut name, (0, 0), None, &mut inner);
        }
        if dropped > 0 {
            self.draw
                .refused
                .in_part("more values of one field than are kept", || format!("{dropped} values"));
        }
        if let Some(f) = self.reader.plan.parts.observed_at.filter(|f| !outer.has(*f)) {
            outer.set(f, Scalar::Time(self.recorded));
        }
        let mut view = View {
            layers: [Some(&inner), Some(&outer)],
            resource: None,
            index: 0,
            points: &[],
            part: Cell::new(Part::Whole),
        };
        let mut found: Vec<Found> = Vec::new();
        let mut applied = Vec::new();
        for (number, source) in sources {
            let Some(plan) = self.reader.plan.sources.get(*number) else { continue };
            if !self.reader.applies(source, &view) {
                continue;
            }
            applied.push(*number);
            for place in 0..source.tables.len() {
                let which = (*number, *source, plan);
                self.reader.table(which, place, &mut view, &mut found, &mut self.draw, &mut self.scratch);
            }
        }
        if found.is_empty() {
            return false;
        }
        let Some((first, last)) = self.happened(&found) else { return true };
        let text = element.unwrap_or(document);
        let id = serde_json::to_vec(text).map_or(0, |bytes| xxh3_64(&bytes)) ^ first.nanos().cast_unsigned();
        let number = self.scenes.number(self.reader.ontology, self.reader.plan, &found, &mut self.draw);
        for at in [first, last] {
            self.scenes.tell(number, at.minute(), &mut self.draw);
        }
        let scene = (number, &mut self.scenes);
        let origin = Origin { id, metric: None };
        tell(self.reader, &applied, &found, last, &origin, &mut view, scene, &mut self.draw);
        true
    }

    /// When what a record tells of began, and the last moment it tells of. Moments yet to come (a planned end) do not count.
    /// `None` when even the first is too far in the future to be meant.
    fn happened(&mut self, found: &[Found]) -> Option<(Time, Time)> {
        let mut times: Vec<Time> = Vec::new();
        for f in found {
            let own = self.reader.plan.happened.get(f.class.index()).map(Vec::as_slice).unwrap_or_default();
            let attrs =
                self.draw.drafts.get(f.node.0 as usize).map(|d| d.attrs.as_slice()).unwrap_or_default();
            times.extend(attrs.iter().filter(|(a, _)| own.contains(a)).filter_map(|(_, v)| match v {
                Known::Time(t) => Some(*t),
                _ => None,
            }));
        }
        let Some(first) = times.iter().min().copied() else { return Some((self.recorded, self.recorded)) };
        let limit = self.recorded.plus_secs(AHEAD_SECS);
        if first > limit {
            let recorded = self.recorded;
            self.draw.refused.add("time in the future", || format!("{first}, received {recorded}"));
            return None;
        }
        let last = times.into_iter().filter(|t| *t <= self.recorded.max(first)).max().unwrap_or(first);
        Some((first, last))
    }

    /// Adds the fields of an object under dotted names. Lists give their elements' fields at the elements' places. How many
    /// values had no room.
    fn flatten<'v>(
        &self,
        object: &'v Object,
        name: &mut String,
        (index, of): (u32, u32),
        left_out: Option<&str>,
        into: &mut Record<'v>,
    ) -> u32 {
        let mut dropped = 0;
        for (key, value) in object {
            let length = name.len();
            if length > 0 {
                name.push('.');
            }
            name.push_str(key);
            if left_out != Some(name.as_str()) {
                dropped += self.value(value, name, (index, of), left_out, into);
            }
            name.truncate(length);
        }
        dropped
    }

    fn value<'v>(
        &self,
        value: &'v Value,
        name: &mut String,
        (index, of): (u32, u32),
        left_out: Option<&str>,
        into: &mut Record<'v>,
    ) -> u32 {
        let scalar = match value {
            Value::Null => return 0,
            Value::String(s) if s.is_empty() => return 0,
            Value::String(s) => Scalar::Text(Cow::Borrowed(s)),
            Value::Bool(b) => Scalar::Bool(*b),
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i), _) => Scalar::Int(i),
                (None, Some(f)) => Scalar::Float(f),
                (None, None) => return 0,
            },
            Value::Object(o) => return self.flatten(o, name, (index, of), left_out, into),
            Value::Array(all) => {
                let places = (0..).zip(all);
                let length = u32::try_from(all.len()).unwrap_or(u32::MAX);
                return places.map(|(i, v)| self.value(v, name, (i, length), left_out, into)).sum();
            }
        };
        let Some(field) = self.reader.ontology.mapping.fields.id(name) else { return 0 };
        u32::from(!if of == 0 {
            into.add(field, 0, false, scalar)
        } else {
            into.add_listed(field, index, of, scalar)
        })
    }
}
