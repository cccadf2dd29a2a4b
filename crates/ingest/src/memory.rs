//! What records are recognised as, remembered by the values that recognition reads.
//!
//! Most records look like others that came before: a thousand spans of one operation on one instance differ in their ids, times
//! and durations, and recognition reads none of these. So a record is recognised once per *look*: the resource (or span) that it
//! stands under and the values of the fields that the sources applying to it read. Two tables find a look. The first, by which
//! fields are set and by what the conditions of sources compare, gives the sources that apply and the fields they read; the
//! second, by the values of these, gives the look. Keys are kept and compared, so a look is never another's.
//!
//! Things, scenes and looks live in one long picture that is drawn as records come; a batch is a copy of the part of it that its
//! records mention. What is remembered changes what a batch costs, never what it says: a property test compares.

use crate::draw::Draw;
use crate::observation::Part;
use crate::plan::{Plan, Reading};
use crate::recognise::{Found, Reader, Scratch};
use crate::record::{Record, View};
use crate::refusal::Refusals;
use crate::resource::{Resource, Resources};
use crate::scene::{Scenes, source};
use crate::tell::{Script, script};
use ontology::expr::Record as _;
use ontology::fact::Upward;
use ontology::{FieldId, Minute, Ref, Refused};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The kinds of records in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Span,
    Event,
    Log,
    Point,
}

impl Kind {
    const fn reading(self, plan: &Plan) -> &Reading {
        match self {
            Kind::Span => &plan.span,
            Kind::Event => &plan.span_event,
            Kind::Log => &plan.log,
            Kind::Point => &plan.point,
        }
    }
}

/// Values by the bytes that decide them.
#[derive(Debug)]
struct Table<T> {
    index: FxHashMap<u64, usize>,
    all: Vec<(Box<[u8]>, T)>,
}

impl<T> Table<T> {
    const fn new() -> Table<T> {
        Table { index: FxHashMap::with_hasher(rustc_hash::FxBuildHasher), all: Vec::new() }
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        let place = *self.index.get(&xxh3_64(key))?;
        self.all.get(place).filter(|(known, _)| **known == *key).map(|_| place)
    }

    /// Adds a value, to be found again by a key if there is one and its hash is free.
    fn add(&mut self, key: Option<&[u8]>, value: T) -> usize {
        let place = self.all.len();
        if let Some(key) = key {
            self.index.entry(xxh3_64(key)).or_insert(place);
        }
        self.all.push((key.unwrap_or_default().into(), value));
        place
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&T> {
        self.all.get(place).map(|(_, value)| value)
    }

    #[inline]
    fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.all.get_mut(place).map(|(_, value)| value)
    }

    fn clear(&mut self) {
        self.index.clear();
        self.all.clear();
    }
}

/// What the sources that read resources made of one.
#[derive(Debug)]
pub(crate) struct Bound {
    pub resource: Arc<Resource>,
    pub found: Vec<Found>,
    /// By source: whether it applied to the resource alone.
    applied: Vec<bool>,
    refused: Vec<Refused>,
    /// By kind of record: what the conditions of sources see of the resource, as the number of a guise.
    guises: [Option<u32>; 4],
    /// The batch that mentioned it last.
    batch: u64,
}

/// Which sources apply to a record.
#[derive(Debug)]
struct Route {
    applied: Vec<usize>,
    /// Set fields that they read.
    fields: Vec<FieldId>,
    /// Whether that includes what is different in every record, like its time.
    fleeting: bool,
}

/// What records that look alike are recognised as.
#[derive(Debug)]
pub(crate) struct Look {
    /// Things of the picture.
    pub found: Vec<Found>,
    route: usize,
    /// The number of its scene in the picture.
    pub scene: usize,
    pub script: Script,
    pub refused: Vec<Refused>,
    pub copy: Copy,
}

/// What a batch needs of a look, in its own references.
#[derive(Debug, Default)]
pub(crate) struct Copy {
    /// Which batch.
    batch: u64,
    /// The minute it was told of last.
    pub minute: Option<Minute>,
    pub here: Arc<[Ref]>,
    pub upward: Arc<[Upward]>,
    /// By measure and subject, in the order of the script.
    pub subjects: Vec<(Ref, Arc<[Ref]>)>,
    pub ended: Vec<Ref>,
}

/// A record where it stands: what [`Memory::look`] is asked for.
pub(crate) struct Standing {
    pub kind: Kind,
    /// The look of the span that an event stands in.
    pub span: Option<usize>,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub looks: usize,
    pub bytes: usize,
}

/// Everything kept between requests.
#[derive(Debug)]
pub(crate) struct Memory {
    pub resources: Resources,
    most: Most,
    /// The picture: every thing met, and every scene.
    draw: Draw,
    scenes: Scenes,
    /// By number; numbers are not used again.
    bounds: FxHashMap<usize, Bound>,
    bound_before: usize,
    by_resource: FxHashMap<u64, usize>,
    guises: Table<()>,
    routes: Table<Route>,
    looks: Table<Look>,
    /// About how much all of it weighs.
    bytes: usize,
    /// The batch being read.
    batch: u64,
    /// By thing of the picture: the batch that mentioned it last, and as what.
    mentions: Vec<(u64, Ref)>,
    scratch: Scratch,
    key: Vec<u8>,
    /// Whether every record is recognised anew, because somebody asks what was wanting.
    surveying: bool,
}

/// What a thing, a scene and a look weigh beside their texts, roughly: drafts with two keys and four attributes, a scene of ten
/// things with thirty edges.
const LOOK_BYTES: usize = 2048;

/// Resources held at once, each with all its fields: a request may have one per series of a metric.
const BOUND: usize = 4096;

impl Memory {
    pub(crate) fn new(resources: Resources, most: Most) -> Memory {
        Memory {
            resources,
            most,
            draw: picture(),
            scenes: Scenes::default(),
            bounds: FxHashMap::default(),
            bound_before: 0,
            by_resource: FxHashMap::default(),
            guises: Table::new(),
            routes: Table::new(),
            looks: Table::new(),
            bytes: 0,
            batch: 0,
            mentions: Vec::new(),
            scratch: Scratch::default(),
            key: Vec::new(),
            surveying: false,
        }
    }

    /// Whether records of the batch that begins are looked at for what their keys lack.
    pub(crate) fn surveying(&mut self, yes: bool) {
        if yes || self.surveying {
            self.scratch = Scratch::surveying(yes);
        }
        self.surveying = yes;
    }

    /// What a record was recognised as, and which keys were incomplete; without a look, its resource.
    pub(crate) fn surveyed(
        &mut self,
        look: Option<usize>,
        bound: usize,
    ) -> (Vec<Found>, Vec<(usize, usize)>) {
        let of_resource = || self.bounds.get(&bound).map(|b| b.found.clone());
        let found = match look {
            Some(look) => self.looks.get(look).map(|l| l.found.clone()),
            None => of_resource(),
        };
        let incomplete = self.scratch.incomplete.as_mut().map(std::mem::take);
        (found.unwrap_or_default(), incomplete.unwrap_or_default())
    }

    /// Begins a batch; forgets everything when there is too much. Never during a batch, which holds numbers of looks.
    pub(crate) fn begin(&mut self) {
        self.batch += 1;
        let looks = self.looks.all.len() + self.bounds.len() + self.routes.all.len();
        if looks < self.most.looks && self.bytes < self.most.bytes {
            return;
        }
        self.draw = picture();
        self.scenes = Scenes::default();
        self.bounds.clear();
        self.by_resource.clear();
        self.guises.clear();
        self.routes.clear();
        self.looks.clear();
        self.mentions = Vec::new();
        self.bytes = 0;
    }

    /// The number of what a resource is recognised as, and whether this batch did not have it before.
    pub(crate) fn bind(&mut self, reader: &Reader<'_>, resource: Arc<Resource>) -> (usize, bool) {
        let number = match self.by_resource.get(&resource.number) {
            Some(known) => *known,
            None => self.recognise_resource(reader, resource),
        };
        let new = self
            .bounds
            .get_mut(&number)
            .is_some_and(|b| std::mem::replace(&mut b.batch, self.batch) != self.batch);
        (number, new)
    }

    fn recognise_resource(&mut self, reader: &Reader<'_>, resource: Arc<Resource>) -> usize {
        let (o, plan) = (reader.ontology, reader.plan);
        let mut found = Vec::new();
        let mut applied = vec![false; o.mapping.sources.len()];
        let mut view = View::new([None, None], Some(&resource.fields), &[]);
        for number in &plan.resource {
            let (Some(source), Some(fields)) = (source(o, *number), plan.sources.get(*number)) else {
                continue;
            };
            if !reader.applies(source, &view) {
                continue;
            }
            if let Some(a) = applied.get_mut(*number) {
                *a = true;
            }
            for place in 0..source.tables.len() {
                let which = (*number, source, fields);
                reader.table(which, place, &mut view, &mut found, &mut self.draw, &mut self.scratch);
            }
        }
        // Forgetting them costs work only: one that comes again is recognised again. The looks that stood under them stay,
        // because this batch may hold their numbers.
        if self.bounds.len() >= BOUND {
            self.bounds.clear();
            self.by_resource.clear();
        }
        let number = self.bound_before;
        self.bound_before += 1;
        self.by_resource.insert(resource.number, number);
        self.bytes += LOOK_BYTES + resource.bytes;
        let refused = self.draw.refused.take();
        let bound = Bound { resource, found, applied, refused, guises: [None; 4], batch: 0 };
        self.bounds.insert(number, bound);
        number
    }

    pub(crate) fn bound(&self, number: usize) -> Option<&Bound> {
        self.bounds.get(&number)
    }

    pub(crate) fn look_at(&mut self, number: usize) -> Option<&mut Look> {
        self.looks.get_mut(number)
    }

    /// What one look needs beside what it says: the resource of its records.
    pub(crate) fn look_under(&mut self, look: usize, bound: usize) -> Option<(&mut Look, &Resource)> {
        Some((self.looks.get_mut(look)?, &self.bounds.get(&bound)?.resource))
    }

    /// Whether a record of a look says no more than its resource did.
    pub(crate) fn adds_nothing(&self, plan: &Plan, look: usize, bound: usize) -> bool {
        let (Some(look), Some(bound)) = (self.looks.get(look), self.bounds.get(&bound)) else { return false };
        let mut applied = self.routes.get(look.route).into_iter().flat_map(|r| &r.applied);
        look.found.len() == bound.found.len()
            && applied.all(|a| plan.sources.get(*a).is_none_or(|s| s.also_resource))
    }

    /// Whether any source applies to a look.
    pub(crate) fn applies(&self, look: usize) -> bool {
        self.looks.get(look).and_then(|l| self.routes.get(l.route)).is_some_and(|r| !r.applied.is_empty())
    }

    /// The number of the look of a record; `None` for an event that no source reads.
    #[inline]
    pub(crate) fn look(
        &mut self,
        reader: &Reader<'_>,
        bound: usize,
        standing: &Standing,
        layers: [Option<&Record<'_>>; 2],
        points: &[(FieldId, Part)],
    ) -> Option<usize> {
        let reading = standing.kind.reading(reader.plan);
        let guise = self.guise(bound, standing.kind, reading)?;
        let record = View::new(layers, None, points);
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.push(standing.kind as u8);
        key.extend_from_slice(&guise.to_le_bytes());
        write_conditions(reading, &record, &mut key);
        let route = match self.routes.find(&key) {
            Some(known) => known,
            None => self.route(reader, standing.kind, bound, layers, &key)?,
        };
        let Route { applied, fields, fleeting } = self.routes.get(route)?;
        let mut look = None;
        if standing.kind != Kind::Event || !applied.is_empty() {
            key.clear();
            key.extend_from_slice(&route.to_le_bytes());
            key.extend_from_slice(&standing.span.unwrap_or(bound).to_le_bytes());
            fields.iter().for_each(|f| record.write(*f, &mut key));
            let anew = *fleeting || self.surveying;
            let known = if anew { None } else { self.looks.find(&key) };
            look = known.or_else(|| self.recognise(reader, bound, standing, route, record, &key));
        }
        self.key = key;
        look
    }

    /// What conditions and recognition see of a resource.
    #[inline]
    fn guise(&mut self, bound: usize, kind: Kind, reading: &Reading) -> Option<u32> {
        let b = self.bounds.get_mut(&bound)?;
        let place = b.guises.get_mut(kind as usize)?;
        if let Some(known) = place {
            return Some(*known);
        }
        let mut key = vec![kind as u8];
        let view = View::new([Some(&b.resource.fields), None], None, &[]);
        write_conditions(reading, &view, &mut key);
        let number = match self.guises.find(&key) {
            Some(known) => known,
            None => self.guises.add(Some(&key), ()),
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        *place = Some(number);
        Some(number)
    }

    #[cold]
    fn route(
        &mut self,
        reader: &Reader<'_>,
        kind: Kind,
        bound: usize,
        layers: [Option<&Record<'_>>; 2],
        key: &[u8],
    ) -> Option<usize> {
        let (o, plan) = (reader.ontology, reader.plan);
        let reading = kind.reading(plan);
        let view = View::new(layers, Some(&self.bounds.get(&bound)?.resource.fields), &[]);
        let applies = |n: &usize| source(o, *n).is_some_and(|s| reader.applies(s, &view));
        // The name of a metric is among what the key has when any condition compares it.
        let sources = match plan.parts.metric_name.filter(|_| kind == Kind::Point) {
            Some(name) => plan.metric(&view.get(name).map(|n| n.to_text().into_owned()).unwrap_or_default()),
            None => &reading.sources,
        };
        let applied: Vec<usize> = sources.iter().copied().filter(applies).collect();
        let read = applied.iter().filter_map(|n| plan.sources.get(*n)).flat_map(|s| &s.reads).copied();
        let mut fields: Vec<FieldId> = read.filter(|f| view.near(*f)).collect();
        fields.sort_unstable();
        fields.dedup();
        let fleeting = fields.iter().any(|f| plan.parts.is_fleeting(*f));
        self.bytes += key.len() + 256;
        Some(self.routes.add(Some(key), Route { applied, fields, fleeting }))
    }

    #[cold]
    fn recognise(
        &mut self,
        reader: &Reader<'_>,
        bound: usize,
        standing: &Standing,
        route: usize,
        record: View<'_, '_>,
        key: &[u8],
    ) -> Option<usize> {
        let (o, plan) = (reader.ontology, reader.plan);
        let bound = self.bounds.get(&bound)?;
        let mut view = View { resource: Some(&bound.resource.fields), ..record };
        let Route { applied, fleeting, .. } = self.routes.get(route)?;
        let mut found = match standing.span {
            Some(span) => self.looks.get(span)?.found.clone(),
            None => bound.found.clone(),
        };
        for number in applied {
            let (Some(source), Some(fields)) = (source(o, *number), plan.sources.get(*number)) else {
                continue;
            };
            let known = fields.also_resource && bound.applied.get(*number) == Some(&true);
            for (place, table) in fields.tables.iter().enumerate() {
                if known && !view.touches(&table.fields) {
                    continue;
                }
                let which = (*number, source, fields);
                reader.table(which, place, &mut view, &mut found, &mut self.draw, &mut self.scratch);
            }
        }
        let scene = self.scenes.number(o, plan, &found, &mut self.draw);
        let mut script = script(reader, applied, &found, &mut view, &self.draw);
        self.scenes.fitting(scene, o, &mut script.related, &mut self.draw);
        self.draw.refused.repeat(self.scenes.refused(scene));
        let refused = self.draw.refused.take();
        let key = (!fleeting && !self.surveying && self.most.looks > 0).then_some(key);
        self.bytes += LOOK_BYTES + key.map_or(0, <[u8]>::len);
        Some(self.looks.add(key, Look { found, route, scene, script, refused, copy: Copy::default() }))
    }

    /// What this batch calls a thing of the picture; its first mention copies it into the batch.
    fn mention(draw: &Draw, mentions: &mut Vec<(u64, Ref)>, batch: u64, thing: Ref, into: &mut Draw) -> Ref {
        let place = thing.0 as usize;
        if mentions.len() <= place {
            mentions.resize(draw.drafts.len().max(place + 1), (0, Ref(0)));
        }
        let Some(mention) = mentions.get_mut(place) else { return thing };
        if mention.0 != batch
            && let Some(draft) = draw.drafts.get(place)
        {
            *mention = (batch, into.copy(draft.clone()));
        }
        mention.1
    }

    /// Mentions everything that a resource is recognised as, and what was set aside of it.
    pub(crate) fn mention_bound(&mut self, number: usize, into: &mut Draw) {
        let Some(bound) = self.bounds.get(&number) else { return };
        into.refused.repeat(&bound.refused);
        for f in &bound.found {
            Self::mention(&self.draw, &mut self.mentions, self.batch, f.node, into);
        }
    }

    /// Makes sure that a look can be told in this batch.
    #[inline]
    pub(crate) fn mention_look(&mut self, number: usize, into: &mut Draw) {
        if self.looks.get(number).is_some_and(|l| l.copy.batch != self.batch) {
            self.copy_look(number, into);
        }
    }

    fn copy_look(&mut self, number: usize, into: &mut Draw) {
        let Memory { draw, scenes, mentions, batch, looks, .. } = self;
        let Some(look) = looks.get_mut(number) else { return };
        for f in &look.found {
            Self::mention(draw, mentions, *batch, f.node, into);
        }
        let here: Vec<Ref> =
            scenes.here(look.scene).iter().map(|r| Self::mention(draw, mentions, *batch, *r, into)).collect();
        let here = into.list(here);
        let mut subjects = Vec::new();
        for subject in look.script.measures.iter().flat_map(|m| &m.subjects) {
            let cohort = scenes.cohort(look.scene, subject.node, draw);
            let others: Vec<Ref> =
                cohort.iter().map(|r| Self::mention(draw, mentions, *batch, *r, into)).collect();
            let subject = Self::mention(draw, mentions, *batch, subject.node, into);
            subjects.push((subject, into.list(others)));
        }
        let mut call = |r: Ref| Self::mention(draw, mentions, *batch, r, into);
        let upward = look.script.upward.iter().map(|u| Upward { to: call(u.to), ..*u }).collect();
        let ended = look.script.ended.iter().map(|r| call(*r)).collect();
        look.copy = Copy { batch: *batch, minute: None, here, upward, subjects, ended };
    }

    /// Tells that everything in a look was there and held in a minute.
    pub(crate) fn tell(&mut self, number: usize, minute: Minute, into: &mut Draw) {
        let Memory { draw, scenes, mentions, batch, looks, .. } = self;
        let Some(look) = looks.get(number) else { return };
        let mut call = |r: Ref, into: &mut Draw| Self::mention(draw, mentions, *batch, r, into);
        let (everyone, related) = scenes.all_of(look.scene);
        for r in everyone {
            let entity = call(*r, into);
            into.see(entity, minute);
        }
        let written = look.script.related.iter().map(|r| (r.relation, r.from, r.to));
        for (relation, from, to) in related.iter().copied().chain(written) {
            let (from, to) = (call(from, into), call(to, into));
            into.relate(relation, from, to, minute);
        }
    }
}

/// Refusals of the picture are taken out after each step, to be said in each batch that they belong to.
fn picture() -> Draw {
    let mut picture = Draw::default();
    picture.refused = Refusals::verbatim();
    picture
}

/// Appends what decides which sources apply: which fields are set, and what conditions ask of them.
#[inline]
fn write_conditions(reading: &Reading, view: &View<'_, '_>, key: &mut Vec<u8>) {
    for record in view.layers.iter().flatten() {
        record.fields().write_common(&reading.reads, key);
    }
    for field in reading.asked.iter().filter(|f| view.near(**f)) {
        key.push(view.holds(*field));
    }
    for field in reading.compared.iter().filter(|f| view.near(**f)) {
        view.write(*field, key);
    }
}
