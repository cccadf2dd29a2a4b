//! From the stream of resources, attributes and items that OTLP is to facts.

use crate::draw::Draw;
use crate::embedded;
use crate::memory::{Kind, Memory, Standing};
use crate::observation::Part;
use crate::otlp::{Id, Level, LogHead, MetricHead, Point, Raw, Reading, Sink, SpanHead};
use crate::recognise::Reader;
use crate::record::{Record, View};
use crate::refusal::Refusals;
use crate::resource::{Resource, Wrong};
use crate::survey::Surveyor;
use crate::tell::{Origin, set_aside, values};
use ontology::scalar::Scalar;
use ontology::{Fact, FieldId, ItemId, Minute, Reads, Side, Step, StreamId, Time};
use rustc_hash::FxHashSet;
use std::borrow::Cow;
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// A moment later than its arrival by more than this cannot be meant: clocks are wrong by minutes, time zones by half a day.
const AHEAD_SECS: i64 = 86_400;

/// One request being read.
pub(crate) struct Intake<'a, 'n> {
    reader: Reader<'n>,
    memory: &'n mut Memory,
    recorded: Time,
    /// The name of the source, as the mapping may ask for it.
    via: &'static str,
    pub draw: Draw,
    /// The number of the resource that items stand under.
    bound: usize,
    raw: Option<&'a [u8]>,
    told: Record<'a>,
    identity: u64,
    not_utf8: u32,
    /// What of the resource's references to entities was set aside.
    entities: Refusals,
    /// Whether the mapping reads anything of the entity being told.
    entity_read: bool,
    scope: Vec<(FieldId, u32, Scalar<'a>)>,
    scope_identity: u64,
    item: Record<'a>,
    event: Record<'a>,
    content: u64,
    /// The text of the log record being read, when it may be a JSON object.
    body: Option<&'a [u8]>,
    signal: Signal,
    /// Whether the identity of items is a hash of what they say.
    hashing: bool,
    /// The span whose events are being told: its id and its look.
    span: (u64, usize),
    points: Vec<(FieldId, Part)>,
    /// Who is told every name, when requests are looked at again for what no mapping reads.
    pub survey: Option<&'n mut Surveyor>,
    /// Looks told of, with the minute.
    told_of: FxHashSet<(usize, Minute)>,
}

/// What a request is a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl<'a, 'n> Intake<'a, 'n> {
    pub(crate) fn new(
        reader: Reader<'n>,
        memory: &'n mut Memory,
        recorded: Time,
        signal: Signal,
        via: &'static str,
    ) -> Intake<'a, 'n> {
        let fields = reader.plan.fields;
        memory.begin();
        Intake {
            reader,
            memory,
            recorded,
            via,
            draw: Draw::default(),
            bound: 0,
            raw: None,
            told: Record::new(fields),
            identity: 0,
            not_utf8: 0,
            entities: Refusals::verbatim(),
            entity_read: false,
            scope: Vec::new(),
            scope_identity: 0,
            item: Record::new(fields),
            event: Record::new(fields),
            content: 0,
            body: None,
            signal,
            hashing: signal != Signal::Traces,
            span: (0, 0),
            points: Vec::new(),
            survey: None,
            told_of: FxHashSet::default(),
        }
    }

    /// The same, telling a surveyor every name.
    pub(crate) fn surveyed(mut self, survey: Option<&'n mut Surveyor>) -> Self {
        self.memory.surveying(survey.is_some());
        self.survey = survey;
        self
    }

    /// Tells the surveyor what became of the record that ends here: a resource, or one with a look.
    fn survey(&mut self, reads: &Reads, look: Option<usize>) {
        let Some(survey) = self.survey.as_mut() else { return };
        let (found, incomplete) = self.memory.surveyed(look, self.bound);
        survey.record(&self.reader.ontology.mapping.fields, self.via, reads, &found, &incomplete);
    }

    /// A moment in nanoseconds: checked to be set and not in the future.
    fn moment(&mut self, nanos: u64, what: &str) -> Option<Time> {
        if nanos == 0 {
            self.draw.refused.add(&format!("{what} without time"), || "its time is 0".to_owned());
            return None;
        }
        let limit = self.recorded.plus_secs(AHEAD_SECS);
        match Time::from_nanos(nanos).filter(|t| *t <= limit) {
            Some(t) => Some(t),
            None => {
                let recorded = self.recorded;
                self.draw.refused.add("time in the future", || {
                    let told = Time::from_nanos(nanos).map_or(format!("{nanos} ns"), |t| t.to_string());
                    format!("{what} at {told}, received {recorded}")
                });
                None
            }
        }
    }

    fn part(&mut self, field: Option<FieldId>, value: Scalar<'a>) {
        if let Some(field) = field {
            self.item.set(field, value);
        }
    }

    fn text(&mut self, field: Option<FieldId>, bytes: &'a [u8]) {
        let Some(field) = field.filter(|_| !bytes.is_empty()) else { return };
        match simdutf8::basic::from_utf8(bytes) {
            Ok(t) => self.item.set(field, Scalar::Text(Cow::Borrowed(t))),
            Err(_) => self.bad_text(bytes),
        }
    }

    fn bad_text(&mut self, bytes: &[u8]) {
        self.draw.refused.in_part("text that is not UTF-8", || {
            format!("it reads about `{}`", String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes)))
        });
    }

    /// A value as it came; `None` when it is empty, or text that is not UTF-8, which is counted.
    fn scalar(&mut self, value: Raw<'a>) -> Option<Scalar<'a>> {
        Some(match value {
            Raw::Text([]) => return None,
            Raw::Text(bytes) => match simdutf8::basic::from_utf8(bytes) {
                Ok(t) => Scalar::text(t),
                Err(_) => {
                    self.bad_text(bytes);
                    return None;
                }
            },
            Raw::Int(i) => Scalar::Int(i),
            Raw::Float(f) => Scalar::Float(f),
            Raw::Bool(b) => Scalar::Bool(b),
        })
    }

    /// Gives a field its value. What is told under its old name gives way to the same under its new one: some sources tell
    /// both for a while.
    #[inline]
    fn place(
        &mut self,
        level: Level,
        key: &[u8],
        (field, old): (FieldId, bool),
        index: u32,
        scalar: Scalar<'a>,
    ) {
        let room = match level {
            Level::Resource | Level::Entity => self.told.add(field, index, old, scalar),
            Level::Scope => {
                self.scope.push((field, index, scalar));
                true
            }
            Level::Item => self.item.add(field, index, old, scalar),
            Level::Event => self.event.add(field, index, old, scalar),
        };
        if !room {
            let name = || String::from_utf8_lossy(key).into_owned();
            self.draw.refused.in_part("more values of one attribute than are kept", name);
        }
    }

    /// A part of the body of a log record: members of a body that is a map are fields of the record; what may be one as
    /// text waits until the record is whole.
    fn of_body(&mut self, key: &[u8], index: u32, value: Raw<'a>) {
        match (key.strip_prefix(b"body."), value) {
            (None, Raw::Text(text)) if key == b"body" && embedded::may_be(text) => self.body = Some(text),
            (None, _) => {}
            (Some(member), value) => {
                let Some((field, _)) = self.reader.plan.names.find(member) else { return };
                let Some(scalar) = self.scalar(value) else { return };
                // What the record says outside of its body wins, and too many values are counted under the body's own name.
                self.item.add(field, index, true, scalar);
            }
        }
    }

    /// The number of what a record looks like; `None` for an event that no source reads.
    fn look(&mut self, kind: Kind) -> Option<usize> {
        let layers = if kind == Kind::Event {
            [Some(&self.event), Some(&self.item)]
        } else {
            [Some(&self.item), None]
        };
        let span = (kind == Kind::Event).then_some(self.span.1);
        self.memory.look(&self.reader, self.bound, &Standing { kind, span }, layers, &self.points)
    }

    /// Tells what a record of a look says: presence, edges, ends, measures.
    fn tell(&mut self, number: usize, at: Time, origin: &Origin<'_>, kind: Kind) {
        let minute = at.minute();
        self.memory.mention_look(number, &mut self.draw);
        let copy = self.memory.look_at(number).map(|l| l.copy.minute.replace(minute));
        if copy.is_some_and(|before| before != Some(minute)) && self.told_of.insert((number, minute)) {
            self.memory.tell(number, minute, &mut self.draw);
        }
        let Some((look, resource)) = self.memory.look_under(number, self.bound) else { return };
        self.draw.refused.repeat(&look.refused);
        self.draw.facts.extend(look.copy.ended.iter().map(|entity| Fact::Ended { entity: *entity, at }));
        let layers = if kind == Kind::Event {
            [Some(&self.event), Some(&self.item)]
        } else {
            [Some(&self.item), None]
        };
        let mut view = View::new(layers, Some(&resource.fields), &self.points);
        let Draw { facts, refused, .. } = &mut self.draw;
        let mut subjects = look.copy.subjects.as_slice();
        for measured in &look.script.measures {
            values(&self.reader, measured, origin, &mut view, refused, |place, id, measure, value| {
                if let Some((subject, cohort)) = subjects.get(place) {
                    let (subject, cohort) = (*subject, Arc::clone(cohort));
                    facts.push(Fact::Sample { id, measure, subject, cohort, at, value });
                }
            });
            subjects = subjects.get(measured.subjects.len()..).unwrap_or_default();
        }
        set_aside(&self.reader, &look.script, &mut view, refused);
    }

    fn resource_identity(&self) -> u64 {
        self.memory.bound(self.bound).map_or(0, |b| b.resource.identity)
    }

    fn bind(&mut self, resource: Arc<Resource>) {
        let told = Arc::clone(&resource);
        let (number, new) = self.memory.bind(&self.reader, resource);
        self.bound = number;
        if new {
            for _ in 0..told.wrong.not_utf8 {
                self.bad_text(b"an attribute of the resource");
            }
            self.draw.refused.repeat(&told.wrong.entities);
            self.memory.mention_bound(number, &mut self.draw);
        }
    }

    /// The trace and span ids of an item; what is wrong with them.
    fn wrong_id(id: Id, bytes: usize, what: &str) -> Option<(String, String)> {
        match id {
            Id::Is(0) => Some((format!("{what} of only zeros"), format!("{what} 00…00"))),
            Id::Is(_) | Id::None => None,
            Id::Length(n) => {
                Some((format!("{what} of the wrong length"), format!("{n} bytes instead of {bytes}")))
            }
            Id::NotHex => {
                Some((format!("{what} that is not hexadecimal"), format!("expected {} digits", bytes * 2)))
            }
        }
    }
}

const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];

fn named(names: &'static [&'static str], number: i64) -> Scalar<'static> {
    let name = usize::try_from(number).ok().and_then(|n| names.get(n)).or(names.first());
    Scalar::text(name.copied().unwrap_or(""))
}

/// One attribute's share in the identity of what has it: added up, so that order does not matter.
fn share(key: &[u8], index: u32, value: Raw<'_>) -> u64 {
    let mut h = Xxh3Default::new();
    h.update(key);
    h.update(&[0]);
    h.update(&index.to_le_bytes());
    match value {
        Raw::Text(t) => h.update(t),
        Raw::Int(i) => h.update(&i.to_le_bytes()),
        Raw::Float(f) => h.update(&f.to_bits().to_le_bytes()),
        Raw::Bool(b) => h.update(&[u8::from(b)]),
    }
    h.digest()
}

fn mixed<const N: usize>(parts: [u64; N]) -> u64 {
    xxh3_64(parts.map(u64::to_le_bytes).as_flattened())
}

impl<'a> Sink<'a> for Intake<'a, '_> {
    fn resource(&mut self, raw: Option<&'a [u8]>) -> bool {
        self.told.clear();
        self.raw = raw;
        self.identity = 0;
        self.not_utf8 = 0;
        self.entity_read = false;
        self.scope.clear();
        if let Some(survey) = self.survey.as_mut() {
            survey.begin(Level::Resource);
        } else if let Some(known) = raw.and_then(|r| self.memory.resources.get(r)) {
            self.bind(known);
            return true;
        }
        false
    }

    fn entity(&mut self, kind: &[u8]) {
        if !std::mem::take(&mut self.entity_read) {
            let detail = || format!("entity.type={}", String::from_utf8_lossy(kind));
            self.entities.not_mapped("entity of a type that has no class here", detail);
        }
    }

    fn entity_in_part(&mut self, detail: String) {
        self.entities.in_part("reference to an entity", || detail);
    }

    fn resource_done(&mut self) {
        if let Some(via) = self.reader.plan.parts.via {
            self.told.set(via, Scalar::text(self.via));
        }
        let fields = self.told.clone().into_owned();
        let wrong = Wrong { not_utf8: self.not_utf8, entities: self.entities.take() };
        let resource = self.memory.resources.keep(self.raw, fields, self.identity, wrong);
        self.bind(resource);
        if self.survey.is_some() {
            self.survey(&Reads::Resource, None);
        }
    }

    fn scope(&mut self) {
        if let Some(survey) = self.survey.as_mut() {
            survey.begin(Level::Scope);
        }
        self.scope.clear();
        self.scope_identity = 0;
    }

    fn begin(&mut self) {
        self.item.clear();
        self.content = 0;
        self.body = None;
        if let Some(survey) = self.survey.as_mut() {
            survey.begin(Level::Item);
        }
        for (field, index, value) in &self.scope {
            self.item.add(*field, *index, true, value.clone());
        }
    }

    #[inline]
    fn attribute(&mut self, level: Level, key: &[u8], index: u32, value: Raw<'a>) {
        if let Some(survey) = self.survey.as_mut() {
            survey.told(level, key, value);
        }
        match level {
            Level::Resource => self.identity = self.identity.wrapping_add(share(key, index, value)),
            Level::Scope => self.scope_identity = self.scope_identity.wrapping_add(share(key, index, value)),
            Level::Item if self.hashing => self.content = self.content.wrapping_add(share(key, index, value)),
            Level::Item | Level::Event | Level::Entity => {}
        }
        if self.signal == Signal::Logs && level == Level::Item && key.starts_with(b"body") {
            self.of_body(key, index, value);
        }
        let Some((field, old)) = self.reader.plan.names.find(key) else { return };
        self.entity_read |= level == Level::Entity;
        if level == Level::Entity && matches!(value, Raw::Text(t) if simdutf8::basic::from_utf8(t).is_err()) {
            // Counted once, as the resource's own.
            return;
        }
        if level == Level::Resource
            && let Raw::Text(bytes) = value
            && simdutf8::basic::from_utf8(bytes).is_err()
        {
            self.not_utf8 += 1;
            return;
        }
        let Some(scalar) = self.scalar(value) else { return };
        self.place(level, key, (field, old), index, scalar);
    }

    fn own_text(&mut self, level: Level, key: &[u8], index: u32, value: String) {
        if let Some(survey) = self.survey.as_mut() {
            survey.told(level, key, Raw::Text(value.as_bytes()));
        }
        let share = share(key, index, Raw::Text(value.as_bytes()));
        match level {
            Level::Resource => self.identity = self.identity.wrapping_add(share),
            Level::Scope => self.scope_identity = self.scope_identity.wrapping_add(share),
            Level::Item if self.hashing => self.content = self.content.wrapping_add(share),
            Level::Item | Level::Event | Level::Entity => {}
        }
        let Some(known) = self.reader.plan.names.find(key).filter(|_| !value.is_empty()) else { return };
        self.entity_read |= level == Level::Entity;
        self.place(level, key, known, index, Scalar::Text(Cow::Owned(value)));
    }

    fn span(&mut self, head: &SpanHead<'a>) -> bool {
        self.draw.items += 1;
        let wrong = Self::wrong_id(head.trace, 16, "trace id")
            .or_else(|| Self::wrong_id(head.span, 8, "span id"))
            .or_else(|| {
                Self::wrong_id(head.parent, 8, "parent span id").filter(|_| head.parent != Id::Is(0))
            });
        if let Some((reason, detail)) = wrong {
            self.draw.refused.add(&reason, || detail);
            return false;
        }
        let (Id::Is(trace), Id::Is(span)) = (head.trace, head.span) else {
            let missing =
                if head.trace == Id::None { "span without trace id" } else { "span without span id" };
            self.draw.refused.add(missing, || format!("span `{}`", String::from_utf8_lossy(head.name)));
            return false;
        };
        let Some(from) = self.moment(head.start, "span") else { return false };
        let Some(to) = self.moment(head.end, "span") else { return false };
        if to < from {
            self.draw.refused.add("span that ends before it starts", || format!("from {from} to {to}"));
            return false;
        }
        #[expect(clippy::cast_possible_truncation, reason = "read from eight bytes")]
        let (span, parent) = (span as u64, if let Id::Is(p) = head.parent { p as u64 } else { 0 });
        let p = self.reader.plan.parts;
        self.part(p.via, Scalar::text(self.via));
        self.part(p.time, Scalar::Time(from));
        self.text(p.span_name, head.name);
        self.part(p.span_kind, named(&KINDS, head.kind));
        self.part(p.span_status, named(&STATUSES, head.status));
        self.part(p.span_duration, Scalar::Int(to.since(from)));
        if p.span_id.is_some() {
            self.part(p.span_id, Scalar::Text(Cow::Owned(format!("{span:016x}"))));
        }
        if p.trace_id.is_some() {
            self.part(p.trace_id, Scalar::Text(Cow::Owned(format!("{trace:032x}"))));
        }
        if p.span_parent_id.is_some() && parent != 0 {
            self.part(p.span_parent_id, Scalar::Text(Cow::Owned(format!("{parent:016x}"))));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the id")]
        let id = mixed([if head.shared { 5 } else { 1 }, (trace >> 64) as u64, trace as u64, span]);
        let Some(look) = self.look(Kind::Span) else { return false };
        self.survey(&Reads::Span, Some(look));
        self.tell(look, from, &Origin::of(id), Kind::Span);
        let Some(copy) = self.memory.look_at(look).map(|l| &l.copy) else { return false };
        self.draw.facts.push(Fact::Step(Step {
            id: ItemId(id),
            trace,
            span,
            parent: (parent != 0).then_some(parent),
            from,
            to,
            failed: head.status == 2,
            side: match head.kind {
                2 | 5 => Side::Answering,
                3 | 4 => Side::Asking,
                _ => Side::Inside,
            },
            here: Arc::clone(&copy.here),
            upward: Arc::clone(&copy.upward),
        }));
        self.span = (id, look);
        !self.reader.plan.span_event.sources.is_empty()
    }

    fn begin_event(&mut self) {
        if let Some(survey) = self.survey.as_mut() {
            survey.begin(Level::Event);
        }
        self.event.clear();
    }

    fn event(&mut self, name: &'a [u8], time: u64) {
        let p = self.reader.plan.parts;
        let limit = self.recorded.plus_secs(AHEAD_SECS);
        let Some(at) = Time::from_nanos(time).filter(|t| *t > Time::EPOCH && *t <= limit) else {
            self.draw.refused.in_part("span event without a usable time", || format!("{time} ns"));
            return;
        };
        if let (Some(field), Ok(name)) = (p.event_name, simdutf8::basic::from_utf8(name)) {
            self.event.set(field, Scalar::Text(Cow::Borrowed(name)));
        }
        if let Some(field) = p.time {
            self.event.set(field, Scalar::Time(at));
        }
        if let Some(field) = p.via {
            self.event.set(field, Scalar::text(self.via));
        }
        if let Some(look) = self.look(Kind::Event) {
            self.survey(&Reads::SpanEvent, Some(look));
            let id = mixed([2, self.span.0, time, xxh3_64(name)]);
            self.tell(look, at, &Origin::of(id), Kind::Event);
        }
    }

    fn log(&mut self, head: &LogHead<'a>) {
        self.draw.items += 1;
        let nanos = if head.time == 0 { head.observed } else { head.time };
        let Some(at) = self.moment(nanos, "log record") else { return };
        for (id, bytes, what) in [(head.trace, 16, "trace id"), (head.span, 8, "span id")] {
            if let Some((reason, detail)) = Self::wrong_id(id, bytes, what).filter(|_| id != Id::Is(0)) {
                self.draw.refused.in_part(&reason, || detail);
            }
        }
        if let Some(text) = self.body.take() {
            let fields = &self.reader.ontology.mapping.fields;
            if let Some(more) = embedded::read(text, fields, &mut self.item) {
                self.draw.refused.in_part("JSON message with more than is read of one", || more);
            }
        }
        let p = self.reader.plan.parts;
        self.part(p.via, Scalar::text(self.via));
        self.part(p.time, Scalar::Time(at));
        self.text(p.event_name, head.event_name);
        self.text(p.severity, head.severity_text);
        self.part(p.severity_number, Scalar::Int(head.severity));
        let (mut trace_id, mut span_id) = (0, 0);
        if let Id::Is(trace) = head.trace {
            trace_id = trace;
            if p.trace_id.is_some() && trace != 0 {
                self.part(p.trace_id, Scalar::Text(Cow::Owned(format!("{trace:032x}"))));
            }
        }
        if let Id::Is(span) = head.span {
            span_id = span;
            if p.span_id.is_some() && span != 0 {
                self.part(p.span_id, Scalar::Text(Cow::Owned(format!("{span:016x}"))));
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the id")]
        let id = mixed([
            3,
            self.resource_identity(),
            self.scope_identity,
            self.content,
            head.time,
            head.severity.cast_unsigned(),
            xxh3_64(head.event_name),
            (trace_id >> 64) as u64,
            trace_id as u64,
            span_id as u64,
        ]);
        let Some(look) = self.look(Kind::Log) else { return };
        self.survey(&Reads::Log, Some(look));
        if self.memory.adds_nothing(self.reader.plan, look, self.bound) {
            self.draw.refused.not_mapped("log record that says nothing a source reads", || {
                format!("event `{}`", String::from_utf8_lossy(head.event_name))
            });
        }
        self.tell(look, at, &Origin::of(id), Kind::Log);
    }

    fn point(&mut self, metric: &MetricHead<'a>, point: &Point) {
        self.draw.items += 1;
        let Some(at) = self.moment(point.time, "metric point") else { return };
        // Flag 1: the source says that there is no value.
        if point.flags & 1 == 1 {
            return;
        }
        let Ok(name) = simdutf8::basic::from_utf8(metric.name) else {
            self.draw
                .refused
                .add("metric whose name is not UTF-8", || String::from_utf8_lossy(metric.name).into_owned());
            return;
        };
        let p = self.reader.plan.parts;
        self.part(p.via, Scalar::text(self.via));
        self.part(p.time, Scalar::Time(at));
        self.text(p.metric_name, metric.name);
        self.text(p.metric_unit, metric.unit);
        match point.reading {
            Reading::Int(i) => self.part(p.metric_number, Scalar::Int(i)),
            Reading::Float(f) => self.part(p.metric_number, Scalar::Float(f)),
            _ => {}
        }
        self.points.clear();
        let fields = &self.reader.ontology.mapping.fields;
        let mut named = false;
        for (suffix, part) in [("", Part::Whole), (".count", Part::Count), (".sum", Part::Sum)] {
            let full =
                if suffix.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}{suffix}")) };
            if let Some(field) = fields.id(&full) {
                self.points.push((field, part));
                named = true;
            }
        }
        for (field, part) in
            [(p.metric_value, Part::Whole), (p.metric_count, Part::Count), (p.metric_sum, Part::Sum)]
        {
            self.points.extend(field.map(|f| (f, part)));
        }
        for (field, _) in &self.points {
            self.item.set(*field, Scalar::Point);
        }
        let reading = match &point.reading {
            Reading::Int(i) => i.cast_unsigned(),
            Reading::Float(f) => f.to_bits(),
            other => xxh3_64(format!("{other:?}").as_bytes()),
        };
        let series =
            mixed([4, self.resource_identity(), self.scope_identity, self.content, xxh3_64(metric.name)]);
        let id = mixed([series, point.start, point.time, reading]);
        let Some(look) = self.look(Kind::Point) else { return };
        self.survey(&Reads::Metric, Some(look));
        if !named && !self.memory.applies(look) {
            self.draw.refused.not_mapped("metric that no source reads", || name.to_owned());
        }
        let origin = Origin { id, stream: StreamId(series), metric: Some((metric, point)), now: None };
        self.tell(look, at, &origin, Kind::Point);
    }

    fn in_part(&mut self, what: &'static str, detail: String) {
        self.draw.refused.in_part(what, || detail);
    }

    fn unreadable(&mut self, detail: String) {
        self.draw.items += 1;
        self.draw.refused.add("item that cannot be read", || detail);
    }

    fn aside(&mut self, what: &str, detail: &str) {
        self.draw.items += 1;
        self.draw.refused.not_mapped(what, || detail.to_owned());
    }
}
