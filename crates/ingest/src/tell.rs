//! What a record says beyond who is in it: written edges, measures, ends.

use crate::draw::Draw;
use crate::intake::upward_edges;
use crate::observation::observe;
use crate::otlp::{MetricHead, Point};
use crate::recognise::{Found, Reader};
use crate::record::View;
use crate::scene::{Scenes, picked, source};
use ontology::fact::Upward;
use ontology::mapping::{EdgeRule, MeasureRule, Pick, Start};
use ontology::model::{Measure, MeasureKind};
use ontology::scalar::Scalar;
use ontology::{Fact, ItemId, Observation, Time};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'p> {
    /// The same whenever the record arrives.
    pub id: u64,
    /// The metric point, when it is one.
    pub metric: Option<(&'p MetricHead<'p>, &'p Point)>,
}

/// Tells what the applied sources read from a record whose things have been found.
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
    mut upward: Option<&mut Vec<Upward>>,
) {
    for place in applied {
        let Some(source) = source(reader.ontology, *place) else { continue };
        for rule in &source.edges {
            if rule.when.as_ref().is_some_and(|w| !w.holds(view, &reader.context)) {
                continue;
            }
            match (&rule.from, upward.as_deref_mut()) {
                (Start::Parent(_), Some(upward)) => upward.extend(upward_edges(reader, *place, rule, found)),
                // Only steps of traces have ancestors.
                (Start::Parent(_), None) => {}
                (Start::Here(from), _) => written(reader, *place, rule, from, found, at, draw),
            }
        }
        for rule in &source.measures {
            measure(reader, *place, rule, found, at, origin, view, (number, scenes), draw);
        }
        for closing in &source.closes {
            if closing.when.holds(view, &reader.context) {
                for f in picked(reader.ontology, *place, &[closing.node], found) {
                    draw.facts.push(Fact::Ended { entity: f.node, at });
                }
            }
        }
    }
}

fn written(
    reader: &Reader<'_>,
    place: usize,
    rule: &EdgeRule,
    from: &[Pick],
    found: &[Found],
    at: Time,
    draw: &mut Draw,
) {
    let count = |picks: &[Pick]| picked(reader.ontology, place, picks, found).count();
    let side_by_side = count(from) > 1 && count(&rule.to) > 1;
    for a in picked(reader.ontology, place, from, found) {
        for b in picked(reader.ontology, place, &rule.to, found) {
            if a.node != b.node && (!side_by_side || a.index == b.index) {
                draw.relate(rule.relation, a.node, b.node, at.minute());
            }
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one record, which live in different places while it is read"
)]
fn measure(
    reader: &Reader<'_>,
    place: usize,
    rule: &MeasureRule,
    found: &[Found],
    at: Time,
    origin: &Origin<'_>,
    view: &mut View<'_, '_>,
    (number, scenes): (usize, &mut Scenes),
    draw: &mut Draw,
) {
    let Some(measure) = reader.ontology.measures.get(rule.measure.index()) else { return };
    let on = [Pick { class: rule.of, role: None }];
    let mut subjects = picked(reader.ontology, place, &on, found).peekable();
    if subjects.peek().is_none() {
        view.index = 0;
        if rule.value.eval(view, &reader.context).is_some() {
            let class = reader.ontology.class_name(rule.of);
            draw.refused.in_part("measure without the thing it is measured on", || {
                format!("{} needs a {class}, and the record names none", measure.name)
            });
        }
        return;
    }
    for subject in subjects {
        view.index = u32::from(subject.index);
        let Some(value) = rule.value.eval(view, &reader.context) else { continue };
        let observed = match (&value, origin.metric) {
            (Scalar::Point, Some((metric, point))) => observe(point, metric, view.part.get(), measure),
            _ => scalar(&value, measure),
        };
        match observed {
            Ok(Some(value)) => {
                let seed = origin.id ^ u64::from(subject.index);
                let id = ItemId(xxh3_64_with_seed(measure.original().as_bytes(), seed));
                let cohort = scenes.cohort(number, subject.node, draw);
                let measure = rule.measure;
                draw.facts.push(Fact::Sample { id, measure, subject: subject.node, cohort, at, value });
            }
            Ok(None) => {}
            Err((reason, detail)) => draw.refused.in_part(reason, || detail),
        }
    }
    view.index = 0;
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
