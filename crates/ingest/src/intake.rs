//! From the stream of resources, attributes and items that OTLP is to facts.

use crate::draw::Draw;
use crate::embedded;
use crate::observation::Part;
use crate::otlp::{Id, Level, LogHead, MetricHead, Point, Raw, Reading, Sink, SpanHead};
use crate::recognise::{Found, Reader, Scratch};
use crate::record::{Record, View};
use crate::resource::{Resource, Resources};
use crate::scene::{Scenes, picked, source};
use crate::survey::Surveyor;
use crate::tell::{Origin, tell};
use ontology::fact::Upward;
use ontology::mapping::Start;
use ontology::scalar::Scalar;
use ontology::{Fact, FieldId, ItemId, Reads, Side, Step, StreamId, Time};
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// A moment later than its arrival by more than this cannot be meant: clocks are wrong by minutes, time zones by half a day.
const AHEAD_SECS: i64 = 86_400;

/// Resources of one request held at once. Beyond: all are let go.
const BOUND: usize = 1024;

/// What the sources that read resources made of one.
#[derive(Debug)]
struct Bound {
    resource: Arc<Resource>,
    found: Vec<Found>,
    /// By source: whether it applied to the resource alone.
    applied: Vec<bool>,
}

/// One request being read.
pub(crate) struct Intake<'a, 'n> {
    reader: Reader<'n>,
    resources: &'n mut Resources,
    recorded: Time,
    /// The name of the source, as the mapping may ask for it.
    via: &'static str,
    pub draw: Draw,
    scenes: Scenes,
    scratch: Scratch,
    bound: Vec<Bound>,
    current: usize,
    raw: Option<&'a [u8]>,
    told: Record<'a>,
    identity: u64,
    not_utf8: u32,
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
    found: Vec<Found>,
    applied: Vec<usize>,
    /// The span whose events are being told: its id and its found things.
    span: (u64, Vec<Found>),
    points: Vec<(FieldId, Part)>,
    /// Who is told every name, when requests are looked at again for what no mapping reads.
    pub survey: Option<&'n mut Surveyor>,
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
        resources: &'n mut Resources,
        recorded: Time,
        signal: Signal,
        via: &'static str,
    ) -> Intake<'a, 'n> {
        let fields = reader.plan.fields;
        Intake {
            reader,
            resources,
            recorded,
            via,
            draw: Draw::default(),
            scenes: Scenes::default(),
            scratch: Scratch::default(),
            bound: Vec::new(),
            current: 0,
            raw: None,
            told: Record::new(fields),
            identity: 0,
            not_utf8: 0,
            scope: Vec::new(),
            scope_identity: 0,
            item: Record::new(fields),
            event: Record::new(fields),
            content: 0,
            body: None,
            signal,
            hashing: signal != Signal::Traces,
            found: Vec::new(),
            applied: Vec::new(),
            span: (0, Vec::new()),
            points: Vec::new(),
            survey: None,
        }
    }

    /// The same, telling a surveyor every name.
    pub(crate) fn surveyed(mut self, survey: Option<&'n mut Surveyor>) -> Self {
        self.scratch = Scratch::surveying(survey.is_some());
        self.survey = survey;
        self
    }

    /// Tells the surveyor what became of the record that ends here.
    fn survey(&mut self, reads: &Reads) {
        let (Some(survey), Some(incomplete)) = (self.survey.as_mut(), self.scratch.incomplete.as_mut())
        else {
            return;
        };
        survey.record(&self.reader.ontology.mapping.fields, self.via, reads, &self.found, incomplete);
        incomplete.clear();
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

    fn place(&mut self, level: Level, name: &str, field: FieldId, index: u32, scalar: Scalar<'a>) {
        // What is told under its old name gives way to the same under its new one: some sources tell both for a while.
        let old = self.reader.ontology.mapping.fields.is_old(field, name);
        let room = match level {
            Level::Resource => self.told.add(field, index, old, scalar),
            Level::Scope => {
                self.scope.push((field, index, scalar));
                true
            }
            Level::Item => self.item.add(field, index, old, scalar),
            Level::Event => self.event.add(field, index, old, scalar),
        };
        if !room {
            self.draw.refused.in_part("more values of one attribute than are kept", || name.to_owned());
        }
    }

    /// A part of the body of a log record: members of a body that is a map are fields of the record; what may be one as
    /// text waits until the record is whole.
    fn of_body(&mut self, key: &[u8], index: u32, value: Raw<'a>) {
        match (key.strip_prefix(b"body."), value) {
            (None, Raw::Text(text)) if key == b"body" && embedded::may_be(text) => self.body = Some(text),
            (None, _) => {}
            (Some(member), value) => {
                let field =
                    std::str::from_utf8(member).ok().and_then(|n| self.reader.ontology.mapping.fields.id(n));
                let Some(field) = field else { return };
                let Some(scalar) = self.scalar(value) else { return };
                // What the record says outside of its body wins, and too many values are counted under the body's own name.
                self.item.add(field, index, true, scalar);
            }
        }
    }

    /// Applies the sources that read one kind of record, adding to `found` what they recognise.
    fn recognise(&mut self, sources: &[usize], on_event: bool) {
        self.applied.clear();
        let Some(bound) = self.bound.get(self.current) else { return };
        let layers = if on_event { [Some(&self.event), Some(&self.item)] } else { [Some(&self.item), None] };
        let mut view = View {
            layers,
            resource: Some(&bound.resource.fields),
            index: 0,
            points: &self.points,
            part: Cell::new(Part::Whole),
        };
        let (o, plan) = (self.reader.ontology, self.reader.plan);
        for number in sources {
            let (Some(source), Some(fields)) = (source(o, *number), plan.sources.get(*number)) else {
                continue;
            };
            let known = fields.also_resource && bound.applied.get(*number) == Some(&true);
            let applies = if known && !view.touches(&fields.when_fields) {
                true
            } else {
                self.reader.applies(source, &view)
            };
            if !applies {
                continue;
            }
            self.applied.push(*number);
            for (place, table) in fields.tables.iter().enumerate() {
                if known && !view.touches(&table.fields) {
                    continue;
                }
                self.reader.table(
                    (*number, source, fields),
                    place,
                    &mut view,
                    &mut self.found,
                    &mut self.draw,
                    &mut self.scratch,
                );
            }
        }
    }

    /// Tells what the record that was just recognised says: presence, edges, measures, ends. The number of its scene.
    fn tell(
        &mut self,
        at: Time,
        origin: &Origin<'_>,
        on_event: bool,
        upward: Option<&mut Vec<Upward>>,
    ) -> usize {
        let number = self.scenes.number(self.reader.ontology, self.reader.plan, &self.found, &mut self.draw);
        self.scenes.tell(number, at.minute(), &mut self.draw);
        let Some(bound) = self.bound.get(self.current) else { return number };
        let layers = if on_event { [Some(&self.event), Some(&self.item)] } else { [Some(&self.item), None] };
        let mut view = View {
            layers,
            resource: Some(&bound.resource.fields),
            index: 0,
            points: &self.points,
            part: Cell::new(Part::Whole),
        };
        let scene = (number, &mut self.scenes);
        tell(&self.reader, &self.applied, &self.found, at, origin, &mut view, scene, &mut self.draw, upward);
        number
    }

    fn resource_identity(&self) -> u64 {
        self.bound.get(self.current).map_or(0, |b| b.resource.identity)
    }

    fn start_from_resource(&mut self) {
        self.found.clear();
        if let Some(b) = self.bound.get(self.current) {
            self.found.extend_from_slice(&b.found);
        }
    }

    fn bind(&mut self, resource: Arc<Resource>) {
        if let Some(known) = self.bound.iter().position(|b| Arc::ptr_eq(&b.resource, &resource)) {
            self.current = known;
            return;
        }
        for _ in 0..resource.not_utf8 {
            self.bad_text(b"an attribute of the resource");
        }
        let (o, plan) = (self.reader.ontology, self.reader.plan);
        let mut found = Vec::new();
        let mut applied = vec![false; o.mapping.sources.len()];
        let mut view = View {
            layers: [None, None],
            resource: Some(&resource.fields),
            index: 0,
            points: &[],
            part: Cell::new(Part::Whole),
        };
        for number in &plan.resource {
            let (Some(source), Some(fields)) = (source(o, *number), plan.sources.get(*number)) else {
                continue;
            };
            if !self.reader.applies(source, &view) {
                continue;
            }
            if let Some(a) = applied.get_mut(*number) {
                *a = true;
            }
            for place in 0..source.tables.len() {
                let which = (*number, source, fields);
                self.reader.table(which, place, &mut view, &mut found, &mut self.draw, &mut self.scratch);
            }
        }
        // Forgetting them costs work only: one that comes again is read again.
        if self.bound.len() >= BOUND {
            self.bound.clear();
        }
        self.current = self.bound.len();
        self.bound.push(Bound { resource, found, applied });
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

fn mixed(parts: &[u64]) -> u64 {
    let mut bytes = Vec::with_capacity(parts.len() * 8);
    parts.iter().for_each(|p| bytes.extend_from_slice(&p.to_le_bytes()));
    xxh3_64(&bytes)
}

impl<'a> Sink<'a> for Intake<'a, '_> {
    fn resource(&mut self, raw: Option<&'a [u8]>) -> bool {
        self.told.clear();
        self.raw = raw;
        self.identity = 0;
        self.not_utf8 = 0;
        self.scope.clear();
        if let Some(survey) = self.survey.as_mut() {
            survey.begin(Level::Resource);
        } else if let Some(known) = raw.and_then(|r| self.resources.get(r)) {
            self.bind(known);
            return true;
        }
        false
    }

    fn resource_done(&mut self) {
        if let Some(via) = self.reader.plan.parts.via {
            self.told.set(via, Scalar::text(self.via));
        }
        let fields = self.told.clone().into_owned();
        let resource = self.resources.keep(self.raw, fields, self.identity, self.not_utf8);
        self.bind(resource);
        if self.survey.is_some() {
            self.start_from_resource();
            self.survey(&Reads::Resource);
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
            Level::Item | Level::Event => {}
        }
        if self.signal == Signal::Logs && level == Level::Item && key.starts_with(b"body") {
            self.of_body(key, index, value);
        }
        let Ok(name) = std::str::from_utf8(key) else { return };
        let Some(field) = self.reader.ontology.mapping.fields.id(name) else { return };
        if level == Level::Resource
            && let Raw::Text(bytes) = value
            && simdutf8::basic::from_utf8(bytes).is_err()
        {
            self.not_utf8 += 1;
            return;
        }
        let Some(scalar) = self.scalar(value) else { return };
        self.place(level, name, field, index, scalar);
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
            Level::Item | Level::Event => {}
        }
        let Some(name) = std::str::from_utf8(key).ok().filter(|_| !value.is_empty()) else { return };
        let Some(field) = self.reader.ontology.mapping.fields.id(name) else { return };
        self.place(level, name, field, index, Scalar::Text(Cow::Owned(value)));
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
        let id = mixed(&[if head.shared { 5 } else { 1 }, (trace >> 64) as u64, trace as u64, span]);
        self.start_from_resource();
        let plan = self.reader.plan;
        self.recognise(&plan.span, false);
        self.survey(&Reads::Span);
        let mut upward = Vec::new();
        let origin = Origin { id, stream: StreamId(0), metric: None, now: None };
        let number = self.tell(from, &origin, false, Some(&mut upward));
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
            here: self.scenes.here(number),
            upward,
        }));
        if plan.span_event.is_empty() {
            return false;
        }
        self.span.0 = id;
        self.span.1.clone_from(&self.found);
        true
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
        let (id, found) = (self.span.0, std::mem::take(&mut self.span.1));
        self.found.clear();
        self.found.extend_from_slice(&found);
        self.span.1 = found;
        let plan = self.reader.plan;
        self.recognise(&plan.span_event, true);
        self.survey(&Reads::SpanEvent);
        if !self.applied.is_empty() {
            let id = mixed(&[2, id, time, xxh3_64(name)]);
            self.tell(at, &Origin { id, stream: StreamId(0), metric: None, now: None }, true, None);
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
        let id = mixed(&[
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
        self.start_from_resource();
        let plan = self.reader.plan;
        let before = self.found.len();
        self.recognise(&plan.log, false);
        self.survey(&Reads::Log);
        let nothing = self.found.len() == before
            && self.applied.iter().all(|a| plan.sources.get(*a).is_none_or(|s| s.also_resource));
        if nothing {
            self.draw.refused.not_mapped("log record that says nothing a source reads", || {
                format!("event `{}`", String::from_utf8_lossy(head.event_name))
            });
        }
        self.tell(at, &Origin { id, stream: StreamId(0), metric: None, now: None }, false, None);
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
            mixed(&[4, self.resource_identity(), self.scope_identity, self.content, xxh3_64(metric.name)]);
        let id = mixed(&[series, point.start, point.time, reading]);
        self.start_from_resource();
        let plan = self.reader.plan;
        self.recognise(plan.metric(name), false);
        self.survey(&Reads::Metric);
        if self.applied.is_empty() && !named {
            self.draw.refused.not_mapped("metric that no source reads", || name.to_owned());
        }
        let origin = Origin { id, stream: StreamId(series), metric: Some((metric, point)), now: None };
        self.tell(at, &origin, false, None);
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

/// Whether an edge starts at an ancestor, and where it then leads; used by [`tell`] for spans.
pub(crate) fn upward_edges(
    reader: &Reader<'_>,
    number: usize,
    rule: &ontology::mapping::EdgeRule,
    found: &[Found],
) -> Vec<Upward> {
    let Start::Parent(from) = rule.from else { return Vec::new() };
    let ends = picked(reader.ontology, number, &rule.to, found);
    ends.map(|f| Upward { from, relation: rule.relation, to: f.node }).collect()
}
