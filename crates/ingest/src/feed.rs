//! Feeds: documents flattened to dotted names, one record per document or per element of the list a mapping names.

use crate::draw::Draw;
use crate::observation::Part;
use crate::recognise::{Found, Reader, Scratch};
use crate::record::{Record, View};
use crate::scene::{Scenes, Told};
use crate::survey::Surveyor;
use crate::tell::{Origin, tell};
use crate::{Delivery, Malformed, documents};
use ontology::mapping::{Reads, Source};
use ontology::scalar::Scalar;
use ontology::survey::{MEMBERS, Member};
use ontology::{StreamId, Time, Value as Known};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// See the same limit for OTLP.
const AHEAD_SECS: i64 = 86_400;

/// Elements of a list that an expression may name by their place.
const PLACES: u32 = 4;

type Object = Map<String, Value>;

/// Reads a request of a feed.
pub(crate) fn read(
    reader: &Reader<'_>,
    delivery: &Delivery,
    body: &[u8],
    recorded: Time,
    survey: Option<&mut Surveyor>,
) -> Result<Draw, Malformed> {
    let said = reader.ontology.mapping.feed(&delivery.feed).unwrap_or_default();
    let mut documents: Vec<Result<Value, String>> = if said.lines && delivery.form.has_lines() {
        documents::log_lines(body).filter_map(|(_, document)| document).collect()
    } else {
        documents::read(delivery.form, body)?.into_iter().map(Ok).collect()
    };
    for map in &said.maps {
        documents.iter_mut().flatten().for_each(|d| documents::list_members(d, map));
    }
    let what = Reads::Feed(delivery.feed.clone());
    let sources: Vec<(usize, &Source)> =
        reader.ontology.mapping.sources.iter().enumerate().filter(|(_, s)| s.reads.contains(&what)).collect();
    let mut lists: Vec<Option<&str>> = sources.iter().map(|(_, s)| s.each.as_deref()).collect();
    lists.sort_unstable();
    lists.dedup();
    if lists.is_empty() {
        // No source reads this feed: every document is set aside.
        lists.push(None);
    }
    let mut feed = Feed {
        reader,
        recorded,
        delivery,
        said: &said,
        places: places(reader.ontology.mapping.fields.names()),
        draw: Draw::default(),
        scenes: Scenes::default(),
        scratch: Scratch::surveying(survey.is_some()),
        alike: BTreeMap::new(),
        what: &what,
        survey,
    };
    for document in &documents {
        let document = match document {
            Ok(Value::Object(document)) => document,
            Ok(other) => {
                feed.draw.items += 1;
                feed.draw.refused.add("element that is not an object", || other.to_string());
                continue;
            }
            Err(why) => {
                feed.draw.items += 1;
                feed.draw.refused.add("line that is not JSON", || why.clone());
                continue;
            }
        };
        let document = &Document::unwrapped(document, &said.unwrap);
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
            feed.draw.refused.not_mapped("document that no source reads", || {
                Value::Object(document.inner.clone()).to_string()
            });
        }
    }
    Ok(feed.draw)
}

/// A document, and what stands around it.
struct Document<'d> {
    inner: &'d Object,
    /// Under which name it is seen, what it is, and the field that holds the document.
    around: Vec<(&'d str, &'d Object, &'d str)>,
}

impl<'d> Document<'d> {
    /// What an envelope carries, else the document itself. Envelopes are those of the feed, and CloudEvents everywhere: their
    /// attributes are seen as `ce.NAME`.
    fn unwrapped(whole: &'d Object, wraps: &'d [(String, String)]) -> Document<'d> {
        let mut document = Document { inner: whole, around: Vec::new() };
        if whole.contains_key("specversion") {
            document.around.push(("ce", whole, "data"));
            if let Some(Value::Object(data)) = whole.get("data") {
                document.inner = data;
            }
        }
        for (field, name) in wraps {
            if let Some(Value::Object(inner)) = document.inner.get(field) {
                document.around.push((name, document.inner, field));
                document.inner = inner;
            }
        }
        document
    }
}

/// Every place of a list that an expression names (`containers.0` of `containers.0.image`).
fn places(fields: &[String]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for field in fields {
        let dots = field.match_indices('.').map(|(at, _)| at).chain([field.len()]);
        for end in dots {
            let Some(head) = field.get(..end) else { continue };
            if head.rsplit_once('.').is_some_and(|(_, last)| last.parse::<u32>().is_ok()) {
                all.insert(head.to_owned());
            }
        }
    }
    all
}

/// The fingerprint of named values, as Prometheus counts label sets: 64-bit FNV-1a over names and values in order of names,
/// each ended by a byte of ones.
fn fingerprint(of: &Object) -> String {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let sorted: BTreeMap<&String, &Value> = of.iter().collect();
    for (name, value) in sorted {
        add(name);
        match value {
            Value::String(text) => add(text),
            other => add(&other.to_string()),
        }
    }
    format!("{sum:016x}")
}

/// What a dotted path leads to.
fn within<'o>(object: &'o Object, path: &str) -> Option<&'o Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(f, r)| (f, Some(r)));
    match (object.get(first)?, rest) {
        (found, None) => Some(found),
        (Value::Object(inner), Some(rest)) => within(inner, rest),
        _ => None,
    }
}

/// Every member under its dotted name, for a survey; of a list, what its elements say.
fn members_of(object: &Object, name: &mut String, left_out: Option<&str>, to: &mut Vec<Member>) {
    for (key, value) in object {
        let length = name.len();
        if length > 0 {
            name.push('.');
        }
        name.push_str(key);
        if left_out != Some(name.as_str()) {
            list_value(value, name, left_out, to);
        }
        name.truncate(length);
    }
}

fn list_value(value: &Value, name: &mut String, left_out: Option<&str>, to: &mut Vec<Member>) {
    let text = match value {
        Value::Null => return,
        Value::Object(o) => return members_of(o, name, left_out, to),
        Value::Array(all) => return all.iter().for_each(|v| list_value(v, name, left_out, to)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if to.len() <= MEMBERS {
        to.push(Member { name: name.clone(), text });
    }
}

struct Feed<'n, 'r> {
    what: &'r Reads,
    survey: Option<&'r mut Surveyor>,
    reader: &'r Reader<'n>,
    recorded: Time,
    delivery: &'r Delivery,
    /// What the mapping says of the feed.
    said: &'r ontology::mapping::Feed,
    /// Places of lists that have fields of their own.
    places: BTreeSet<String>,
    draw: Draw,
    scenes: Scenes,
    scratch: Scratch,
    /// Of a log, how many lines were read that say the same.
    alike: BTreeMap<u64, u64>,
}

impl Feed<'_, '_> {
    /// Reads one document for the sources that share a list; how many records it gave, and whether any said anything.
    fn document(
        &mut self,
        document: &Document<'_>,
        list: Option<&str>,
        sources: &[(usize, &Source)],
    ) -> (u64, bool) {
        let elements = list.and_then(|path| within(document.inner, path)).and_then(Value::as_array);
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
        document: &Document<'_>,
        element: Option<&Object>,
        list: Option<&str>,
        sources: &[(usize, &Source)],
    ) -> bool {
        let fields = self.reader.plan.fields;
        let (mut outer, mut inner) = (Record::new(fields), Record::new(fields));
        let mut name = String::new();
        let left_out = element.and(list);
        let mut dropped = self.flatten(document.inner, &mut name, (0, 0), left_out, &mut outer);
        for (prefix, envelope, field) in &document.around {
            name.push_str(prefix);
            let held = format!("{prefix}.{field}");
            dropped += self.flatten(envelope, &mut name, (0, 0), Some(&held), &mut outer);
            name.clear();
        }
        if let Some(element) = element {
            dropped += self.flatten(element, &mut name, (0, 0), None, &mut inner);
        }
        if dropped > 0 {
            self.draw
                .refused
                .in_part("more values of one field than are kept", || format!("{dropped} values"));
        }
        for path in &self.said.digest {
            let digest = self.reader.ontology.mapping.fields.id(&format!("digest.{path}"));
            let own = element.and_then(|e| within(e, path)).or_else(|| within(document.inner, path));
            if let (Some(f), Some(Value::Object(values))) = (digest, own) {
                outer.set(f, Scalar::Text(Cow::Owned(fingerprint(values))));
            }
        }
        for (name, value) in &self.delivery.around {
            if let Some(f) = self.reader.ontology.mapping.fields.id(name).filter(|f| !outer.has(*f)) {
                outer.set(f, Scalar::Text(Cow::Borrowed(value)));
            }
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
        if let (Some(survey), Some(incomplete)) = (self.survey.as_mut(), self.scratch.incomplete.as_mut()) {
            let mut members = Vec::new();
            members_of(document.inner, &mut name, left_out, &mut members);
            if let Some(element) = element {
                members_of(element, &mut name, None, &mut members);
            }
            let fields = &self.reader.ontology.mapping.fields;
            survey.add(fields, &self.delivery.feed, self.what, &members, &found, incomplete, true);
            incomplete.clear();
        }
        if found.is_empty() {
            return false;
        }
        let said = sources.iter().filter(|(n, _)| applied.contains(n)).find_map(|(_, s)| {
            s.at.as_ref().and_then(|e| e.eval(&view, &self.reader.context)).and_then(|at| at.time())
        });
        let Some((first, last)) = self.happened(&found, said) else { return true };
        let text = element.unwrap_or(document.inner);
        let mut id =
            serde_json::to_vec(text).map_or(0, |bytes| xxh3_64(&bytes)) ^ first.nanos().cast_unsigned();
        if self.said.lines {
            id = self.line(id);
        }
        let number = self.scenes.number(self.reader.ontology, self.reader.plan, &found, &mut self.draw);
        for at in [first, last] {
            self.scenes.tell(number, at.minute(), &mut self.draw);
        }
        let parts = [(Told::Lasting, self.said.present), (Told::Events, self.said.updates)];
        for (part, _) in parts.into_iter().filter(|(_, said)| *said) {
            let when = (self.recorded, part);
            self.scenes.tell_now(number, when, self.reader.plan, &mut self.draw);
        }
        let now = self.said.present.then_some(self.recorded);
        let scene = (number, &mut self.scenes);
        let origin = Origin { id, stream: StreamId(0), metric: None, now };
        tell(self.reader, &applied, &found, last, &origin, &mut view, scene, &mut self.draw);
        true
    }

    /// The id of a line of a log. Two requests of one second may be told in the same words; a file that is sent again counts once.
    fn line(&mut self, id: u64) -> u64 {
        let before = self.alike.entry(id).or_default();
        let id = if *before == 0 { id } else { xxh3_64([id, *before].map(u64::to_le_bytes).as_flattened()) };
        *before += 1;
        id
    }

    /// When what a record tells of began, and the last moment it tells of. Moments yet to come (a planned end) do not count.
    /// `None` when even the first is too far in the future to be meant.
    fn happened(&mut self, found: &[Found], said: Option<Time>) -> Option<(Time, Time)> {
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
        if times.is_empty() {
            times.extend(said);
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
                let length = u32::try_from(all.len()).unwrap_or(u32::MAX);
                let whole = name.len();
                let mut dropped = 0;
                for (i, v) in (0..).zip(all) {
                    dropped += self.value(v, name, (i, length), left_out, into);
                    if i >= PLACES {
                        continue;
                    }
                    name.push_str(&format!(".{i}"));
                    if self.places.contains(name.as_str()) {
                        dropped += self.value(v, name, (0, 0), left_out, into);
                    }
                    name.truncate(whole);
                }
                return dropped;
            }
        };
        let Some(field) = self.reader.ontology.mapping.fields.id(name) else { return 0 };
        // What is told under its old name gives way to the same under its new one.
        let old = self.reader.ontology.mapping.fields.is_old(field, name);
        u32::from(!if of == 0 {
            into.add(field, 0, old, scalar)
        } else {
            into.add_listed(field, index, of, scalar)
        })
    }
}
