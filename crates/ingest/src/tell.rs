//! What a record says beyond who is in it: written edges, measures, ends.

use crate::draw::Draw;
use crate::intake::upward_edges;
use crate::observation::{observe, tries};
use crate::otlp::{MetricHead, Point};
use crate::recognise::{Found, Reader};
use crate::record::View;
use crate::scene::{Scenes, picked, source};
use ontology::expr::Record as _;
use ontology::fact::Upward;
use ontology::mapping::{Aside, EdgeRule, MeasureRule, Pick, Start};
use ontology::model::{Measure, MeasureKind};
use ontology::scalar::Scalar;
use ontology::{Fact, ItemId, Observation, StreamId, Time};
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
                (Start::Here(from), _) => {
                    written(reader, *place, rule, from, (found, view), (at, origin.now), draw)
                }
            }
        }
        let now = origin.now.unwrap_or(at);
        for rule in &source.measures {
            measure(reader, *place, rule, found, now, origin, view, (number, scenes), draw);
        }
        for aside in &source.asides {
            set_aside(reader, aside, view, draw);
        }
        for closing in &source.closes {
            for f in picked(reader.ontology, *place, &[closing.node], found) {
                view.index = u32::from(f.index);
                if closing.when.holds(view, &reader.context) {
                    draw.facts.push(Fact::Ended { entity: f.node, at: now });
                }
            }
            view.index = 0;
        }
    }
}

/// Counts what a record says that has no place here, for each element of a list.
fn set_aside(reader: &Reader<'_>, aside: &Aside, view: &mut View<'_, '_>, draw: &mut Draw) {
    let width = aside.fields.iter().map(|f| view.width(*f)).max().unwrap_or(0).max(1);
    for index in 0..width {
        view.index = index;
        if aside.when.holds(view, &reader.context) {
            draw.refused.not_mapped(&aside.reason, || {
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

fn written(
    reader: &Reader<'_>,
    place: usize,
    rule: &EdgeRule,
    from: &[Pick],
    (found, view): (&[Found], &View<'_, '_>),
    (at, now): (Time, Option<Time>),
    draw: &mut Draw,
) {
    // Tables that give a thing per element are read side by side, also where only some elements gave one.
    let repeats = |picks: &[Pick]| {
        let first = picked(reader.ontology, place, picks, found).next();
        let source = first.and_then(|f| reader.plan.sources.get(usize::from(f.source)).map(|s| (f, s)));
        let table = source.and_then(|(f, s)| s.tables.get(usize::from(f.table)));
        table.is_some_and(|t| t.repeats.iter().any(|field| view.width(*field) > 1))
    };
    let side_by_side = repeats(from) && repeats(&rule.to);
    let event = |f: &Found| reader.plan.happened.get(f.class.index()).is_some_and(|times| !times.is_empty());
    for a in picked(reader.ontology, place, from, found) {
        for b in picked(reader.ontology, place, &rule.to, found) {
            if a.node != b.node && (!side_by_side || a.index == b.index) {
                let at = now.filter(|_| !event(a) && !event(b)).unwrap_or(at);
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
            (Scalar::Point, Some((metric, point))) => {
                observe(point, metric, view.part.get(), measure, origin.stream)
            }
            (Scalar::Tries(bad), Some((metric, point))) => tries(point, metric, *bad, measure, origin.stream),
            _ => scalar(&value, measure),
        };
        match observed {
            Ok(Some(value)) => {
                // One record may tell a measure of several things, and one list may name a thing twice.
                let key = draw
                    .drafts
                    .get(subject.node.0 as usize)
                    .and_then(|d| d.keys.first())
                    .map_or(0, |k| k.hash);
                #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one too")]
                let seed = origin.id ^ u64::from(subject.index) ^ key as u64;
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
