//! What a record says beyond who is in it: written edges, measures, ends. In two steps, because which things it is said of is
//! the same for all records that look alike, and only the values differ.

use crate::draw::Draw;
use crate::observation::{converted, observe, tries};
use crate::otlp::{MetricHead, Point};
use crate::recognise::{Found, Reader};
use crate::record::View;
use crate::refusal::Refusals;
use crate::scene::{Scenes, picked, source};
use ontology::expr::Record as _;
use ontology::fact::Upward;
use ontology::mapping::{Aside, EdgeRule, MeasureRule, Pick, Start};
use ontology::model::{Measure, MeasureKind};
use ontology::scalar::Scalar;
use ontology::{Fact, ItemId, MeasureId, Observation, Ref, RelationId, StreamId, Time};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'p> {
    /// The same whenever the record arrives.
    pub id: u64,
    /// The same for all points of one series; of metric points only.
    pub stream: StreamId,
    /// The metric point, when it is one.
    pub metric: Option<(&'p MetricHead<'p>, &'p Point)>,
    /// When what it measures and ends was so, where that is another moment than that of its events.
    pub now: Option<Time>,
}

impl Origin<'_> {
    /// Of a record that is no metric point and tells of one moment.
    pub(crate) const fn of(id: u64) -> Self {
        Origin { id, stream: StreamId(0), metric: None, now: None }
    }
}

/// What a record says, its moment and its values left out.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Edges from ancestors; only steps of traces have some.
    pub upward: Vec<Upward>,
    /// Edges from one thing of the record to another.
    pub related: Vec<Related>,
    /// What ends.
    pub ended: Vec<Ref>,
    pub measures: Vec<Measured>,
    /// What may have no place here, which values decide: place of the source in the mapping, and of the rule in the source.
    pub asides: Vec<(usize, usize)>,
}

/// An edge that is written in a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Related {
    pub relation: RelationId,
    pub from: Ref,
    pub to: Ref,
    /// Whether one of its ends is an event, so that it holds when that happened.
    pub of_event: bool,
}

/// A measure and what it is measured on.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Place of the source in the mapping, and of the rule in the source.
    pub rule: (usize, usize),
    /// None: the record may still have a value, which is then set aside.
    pub subjects: Vec<Subject>,
}

/// What a value is measured on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub node: Ref,
    /// Its index in the record.
    pub index: u16,
    /// Half of the hash of its first key.
    pub key: u64,
}

/// What the applied sources read from a record whose things have been found, as far as values do not matter: it follows from
/// what was found and from [`crate::plan::SourcePlan::reads`].
pub(crate) fn script(
    reader: &Reader<'_>,
    applied: &[usize],
    found: &[Found],
    view: &mut View<'_, '_>,
    draw: &Draw,
) -> Script {
    let o = reader.ontology;
    let mut script = Script::default();
    for place in applied {
        let Some(source) = source(o, *place) else { continue };
        for rule in &source.edges {
            if rule.when.as_ref().is_some_and(|w| !w.holds(view, &reader.context)) {
                continue;
            }
            match &rule.from {
                Start::Parent(from) => {
                    let ends = picked(o, *place, &rule.to, found);
                    let upward = ends.map(|f| Upward { from: *from, relation: rule.relation, to: f.node });
                    script.upward.extend(upward);
                }
                Start::Here(from) => written(reader, *place, rule, from, found, &mut script.related),
            }
        }
        for (number, rule) in source.measures.iter().enumerate() {
            let on = [Pick { class: rule.of, role: None }];
            let subjects = picked(o, *place, &on, found).map(|f| subject(f, draw)).collect();
            script.measures.push(Measured { rule: (*place, number), subjects });
        }
        script.asides.extend((0..source.asides.len()).map(|number| (*place, number)));
        for closing in &source.closes {
            for f in picked(o, *place, &[closing.node], found) {
                view.index = u32::from(f.index);
                if closing.when.holds(view, &reader.context) {
                    script.ended.push(f.node);
                }
            }
            view.index = 0;
        }
    }
    script
}

fn subject(f: &Found, draw: &Draw) -> Subject {
    let key = draw.drafts.get(f.node.0 as usize).and_then(|d| d.keys.first()).map_or(0, |k| k.hash);
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one too")]
    let key = key as u64;
    Subject { node: f.node, index: f.index, key }
}

fn written(
    reader: &Reader<'_>,
    place: usize,
    rule: &EdgeRule,
    from: &[Pick],
    found: &[Found],
    related: &mut Vec<Related>,
) {
    // Tables that give a thing per element are read side by side, also where only some elements gave one.
    let repeats = |picks: &[Pick]| picked(reader.ontology, place, picks, found).any(|f| f.repeats);
    let side_by_side = repeats(from) && repeats(&rule.to);
    let event = |f: &Found| reader.plan.happened.get(f.class.index()).is_some_and(|times| !times.is_empty());
    for a in picked(reader.ontology, place, from, found) {
        for b in picked(reader.ontology, place, &rule.to, found) {
            if a.node != b.node && (!side_by_side || a.index == b.index) {
                let of_event = event(a) || event(b);
                related.push(Related { relation: rule.relation, from: a.node, to: b.node, of_event });
            }
        }
    }
}

/// Tells at once what the applied sources read from a record whose things have been found.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one record, which live in different places while it is read"
)]
pub(crate) fn tell(
    reader: &Reader<'_>,
    applied: &[usize],
    found: &[Found],
    at: Time,
    origin: &Origin<'_>,
    view: &mut View<'_, '_>,
    (number, scenes): (usize, &mut Scenes),
    draw: &mut Draw,
) {
    let mut script = script(reader, applied, found, view, draw);
    scenes.fitting(number, reader.ontology, &mut script.related, draw);
    draw.refused.repeat(scenes.refused(number));
    for r in &script.related {
        let at = origin.now.filter(|_| !r.of_event).unwrap_or(at);
        draw.relate(r.relation, r.from, r.to, at.minute());
    }
    let now = origin.now.unwrap_or(at);
    for measured in &script.measures {
        let mut samples = Vec::new();
        values(reader, measured, origin, view, &mut draw.refused, |subject, id, measure, value| {
            let subject = measured.subjects.get(subject).map(|s| s.node);
            samples.extend(subject.map(|s| (s, id, measure, value)));
        });
        for (subject, id, measure, value) in samples {
            let cohort = scenes.cohort(number, subject, draw);
            draw.facts.push(Fact::Sample { id, measure, subject, cohort, at: now, value });
        }
    }
    set_aside(reader, &script, view, &mut draw.refused);
    draw.facts.extend(script.ended.iter().map(|entity| Fact::Ended { entity: *entity, at: now }));
}

/// Counts what a record says that has no place here.
pub(crate) fn set_aside(
    reader: &Reader<'_>,
    script: &Script,
    view: &mut View<'_, '_>,
    refused: &mut Refusals,
) {
    for (place, number) in &script.asides {
        let rule = source(reader.ontology, *place).and_then(|s| s.asides.get(*number));
        rule.into_iter().for_each(|aside| check(reader, aside, view, refused));
    }
}

/// Counts one kind of such, for each element of a list.
fn check(reader: &Reader<'_>, aside: &Aside, view: &mut View<'_, '_>, refused: &mut Refusals) {
    let width = aside.fields.iter().map(|f| view.width(*f)).max().unwrap_or(0).max(1);
    for index in 0..width {
        view.index = index;
        if aside.when.holds(view, &reader.context) {
            refused.not_mapped(&aside.reason, || {
                let said = aside.fields.iter().filter_map(|f| {
                    let name = reader.ontology.mapping.fields.name(*f);
                    view.get(*f).map(|value| format!("{name}={}", value.to_text()))
                });
                said.collect::<Vec<_>>().join(" ")
            });
        }
    }
    view.index = 0;
}

/// Reads the values of a measure from a record; `each` is told which subject has which.
#[inline]
pub(crate) fn values(
    reader: &Reader<'_>,
    measured: &Measured,
    origin: &Origin<'_>,
    view: &mut View<'_, '_>,
    refused: &mut Refusals,
    mut each: impl FnMut(usize, ItemId, MeasureId, Observation),
) {
    let Some((rule, measure)) = rule(reader, measured.rule) else { return };
    if measured.subjects.is_empty() {
        if rule.value.eval(view, &reader.context).is_some() {
            let class = reader.ontology.class_name(rule.of);
            refused.in_part("measure without the thing it is measured on", || {
                format!("{} needs a {class}, and the record names none", measure.name)
            });
        }
        return;
    }
    for (place, subject) in measured.subjects.iter().enumerate() {
        view.index = u32::from(subject.index);
        let Some(value) = rule.value.eval(view, &reader.context) else { continue };
        let observed = match (&value, origin.metric) {
            (Scalar::Point, Some((metric, point))) => {
                observe(point, metric, view.part.get(), measure, origin.stream)
            }
            (Scalar::Tries(bad), Some((metric, point))) => tries(point, metric, *bad, measure, origin.stream),
            (_, Some((metric, _))) => scalar(&value, measure).and_then(|read| match read {
                Some(read) if reads_number(reader, rule) => converted(read, metric, measure).map(Some),
                read => Ok(read),
            }),
            _ => scalar(&value, measure),
        };
        match observed {
            Ok(Some(value)) => {
                // One record may tell a measure of several things, and one list may name a thing twice.
                let seed = origin.id ^ u64::from(subject.index) ^ subject.key;
                let id = ItemId(xxh3_64_with_seed(measure.original().as_bytes(), seed));
                each(place, id, rule.measure, value);
            }
            Ok(None) => {}
            Err((reason, detail)) => refused.in_part(reason, || detail),
        }
    }
    view.index = 0;
}

/// Whether a measure's value is made of the bare number of a metric.
fn reads_number(reader: &Reader<'_>, rule: &MeasureRule) -> bool {
    let mut fields = Vec::new();
    rule.value.fields(&mut fields);
    reader.plan.parts.metric_number.is_some_and(|number| fields.contains(&number))
}

fn rule<'n>(reader: &Reader<'n>, (place, number): (usize, usize)) -> Option<(&'n MeasureRule, &'n Measure)> {
    let rule = source(reader.ontology, place)?.measures.get(number)?;
    Some((rule, reader.ontology.measures.get(rule.measure.index())?))
}

/// What a plain value observes of a measure.
fn scalar(value: &Scalar<'_>, measure: &Measure) -> Result<Option<Observation>, (&'static str, String)> {
    let wrong = || ("value that a measure cannot have", format!("{}: `{}`", measure.name, value.to_text()));
    Ok(match (measure.kind, value) {
        (MeasureKind::Ratio, Scalar::Bool(b)) => Some(Observation::Flag(*b)),
        (MeasureKind::Rate, Scalar::Bool(b)) => b.then_some(Observation::Count(1)),
        (MeasureKind::Rate, Scalar::Int(i)) => {
            let count = u64::try_from(*i).map_err(|_| wrong())?;
            (count > 0).then_some(Observation::Count(count))
        }
        _ => {
            let number = value.number().filter(|n| n.is_finite()).ok_or_else(wrong)?;
            Some(Observation::One(number))
        }
    })
}
