//! What a record says beyond who is in it: written edges, measures, ends. In two steps, because which things it is said of is
//! the same for all records that look alike, and only the values differ.

use crate::draw::Draw;
use crate::observation::observe;
use crate::otlp::{MetricHead, Point};
use crate::recognise::{Found, Reader};
use crate::record::View;
use crate::refusal::Refusals;
use crate::scene::{Scenes, picked, source};
use ontology::fact::Upward;
use ontology::mapping::{EdgeRule, MeasureRule, Pick, Start};
use ontology::model::{Measure, MeasureKind};
use ontology::scalar::Scalar;
use ontology::{Fact, ItemId, MeasureId, Observation, Ref, RelationId, Time};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'p> {
    /// The same whenever the record arrives.
    pub id: u64,
    /// The metric point, when it is one.
    pub metric: Option<(&'p MetricHead<'p>, &'p Point)>,
}

/// What a record says, its moment and its values left out.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Edges from ancestors; only steps of traces have some.
    pub upward: Vec<Upward>,
    /// Edges from one thing of the record to another.
    pub related: Vec<(RelationId, Ref, Ref)>,
    /// What ends.
    pub ended: Vec<Ref>,
    pub measures: Vec<Measured>,
}

/// A measure and what it is measured on.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Place of the source in the mapping, and of the rule in the source.
    pub rule: (usize, usize),
    /// Each with its index in the record. None: the record may still have a value, which is then set aside.
    pub subjects: Vec<(Ref, u16)>,
}

/// What the applied sources read from records whose things have been found, as far as values do not matter.
pub(crate) fn script(reader: &Reader<'_>, applied: &[usize], found: &[Found], view: &View<'_, '_>) -> Script {
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
            let subjects = picked(o, *place, &on, found).map(|f| (f.node, f.index)).collect();
            script.measures.push(Measured { rule: (*place, number), subjects });
        }
        for closing in &source.closes {
            if closing.when.holds(view, &reader.context) {
                script.ended.extend(picked(o, *place, &[closing.node], found).map(|f| f.node));
            }
        }
    }
    script
}

fn written(
    reader: &Reader<'_>,
    place: usize,
    rule: &EdgeRule,
    from: &[Pick],
    found: &[Found],
    related: &mut Vec<(RelationId, Ref, Ref)>,
) {
    let count = |picks: &[Pick]| picked(reader.ontology, place, picks, found).count();
    let side_by_side = count(from) > 1 && count(&rule.to) > 1;
    for a in picked(reader.ontology, place, from, found) {
        for b in picked(reader.ontology, place, &rule.to, found) {
            if a.node != b.node && (!side_by_side || a.index == b.index) {
                related.push((rule.relation, a.node, b.node));
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
    let script = script(reader, applied, found, view);
    for (relation, from, to) in &script.related {
        draw.relate(*relation, *from, *to, at.minute());
    }
    draw.facts.extend(script.ended.iter().map(|entity| Fact::Ended { entity: *entity, at }));
    for measured in &script.measures {
        let mut samples = Vec::new();
        values(reader, measured, origin, view, &mut draw.refused, |subject, id, measure, value| {
            let subject = measured.subjects.get(subject).map(|s| s.0);
            samples.extend(subject.map(|s| (s, id, measure, value)));
        });
        for (subject, id, measure, value) in samples {
            let cohort = scenes.cohort(number, subject, draw);
            draw.facts.push(Fact::Sample { id, measure, subject, cohort, at, value });
        }
    }
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
    for (place, (_, index)) in measured.subjects.iter().enumerate() {
        view.index = u32::from(*index);
        let Some(value) = rule.value.eval(view, &reader.context) else { continue };
        let observed = match (&value, origin.metric) {
            (Scalar::Point, Some((metric, point))) => observe(point, metric, view.part.get(), measure),
            _ => scalar(&value, measure),
        };
        match observed {
            Ok(Some(value)) => {
                let seed = origin.id ^ u64::from(*index);
                let id = ItemId(xxh3_64_with_seed(measure.name.as_bytes(), seed));
                each(place, id, rule.measure, value);
            }
            Ok(None) => {}
            Err((reason, detail)) => refused.in_part(reason, || detail),
        }
    }
    view.index = 0;
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
