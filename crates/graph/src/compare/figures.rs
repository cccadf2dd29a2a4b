//! Figures of both sides, minute by minute, and measures whose figures differ.

use super::{Change, Half, Kind, MeasureChange, ranked, rarity};
use crate::delta::Terms;
use crate::series::Series;
use crate::stat::Sums;
use crate::topology::NodeId;
use ontology::model::MeasureKind;
use ontology::{MeasureId, Minute};
use std::collections::BTreeMap;

/// Sums by minute, ascending.
pub(super) type Minutes = Vec<(Minute, Sums)>;

/// Relative changes below this are noise of the sketch and of the clock, whatever the spread of a quiet series says.
const FLOOR: f64 = 0.01;

/// By measure and subject's key, the series of both sides.
type Subjects<'a> = BTreeMap<(usize, u64), [(Option<NodeId>, Vec<&'a Series>); 2]>;

fn put<'a>(all: &mut Subjects<'a>, side: usize, half: Half<'a>, measure: impl Fn(MeasureId) -> usize) {
    let (from, to) = (half.during.from.minute(), half.during.to.minute());
    for s in &half.graph.series {
        if half.keeps(s.cohort) && !s.between(from, to).is_empty() {
            let subject = half.graph.resolve(s.subject);
            let both = all.entry((measure(s.measure), half.graph.order(subject))).or_default();
            if let Some((node, series)) = both.get_mut(side) {
                *node = Some(subject);
                series.push(s.as_ref());
            }
        }
    }
}

/// Sums by minute of some series.
fn by_minute(half: Half<'_>, series: &[&Series]) -> Minutes {
    let mut minutes: BTreeMap<Minute, Sums> = BTreeMap::new();
    for s in series {
        for (minute, stat) in s.between(half.during.from.minute(), half.during.to.minute()) {
            minutes.entry(*minute).or_default().merge(&stat.sums());
        }
    }
    minutes.into_iter().collect()
}

pub(super) fn measures(
    before: Half<'_>,
    after: Half<'_>,
    terms: &Terms,
    at_least: f64,
) -> Vec<MeasureChange> {
    let mut subjects = Subjects::new();
    put(&mut subjects, 0, before, |m| m.index());
    put(&mut subjects, 1, after, |m| terms.measure(m));
    let mut of_measure: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    let mut rows: Vec<((usize, u64), MeasureChange)> = Vec::new();
    for (key, [(was, a), (is, b)]) in subjects {
        let series = a.first().or(b.first());
        let Some(measure) = series.map(|s| s.measure) else { continue };
        let o = if a.is_empty() { after.graph.ontology() } else { before.graph.ontology() };
        let counted = of_measure.entry(key.0).or_default();
        let both = was.is_some() && is.is_some();
        counted.0 += if both { 2 } else { 1 };
        counted.1 += usize::from(!both);
        let (kind, change) = if both {
            let kind = o.measures.get(measure.index()).map_or(MeasureKind::Gauge, |m| m.kind);
            let (a, b) = (by_minute(before, &a), by_minute(after, &b));
            let change = compare((before, &a), (after, &b), kind);
            let Some(change) = change.filter(|c| c.surprise > 0.0 && c.surprise >= at_least) else {
                continue;
            };
            (Kind::Changed, Some(change))
        } else {
            (if is.is_none() { Kind::Removed } else { Kind::Added }, None)
        };
        let surprise = change.map_or(0.0, |c| c.surprise);
        rows.push((key, MeasureChange { measure, before: was, after: is, kind, change, surprise }));
    }
    for (key, row) in rows.iter_mut().filter(|r| r.1.kind != Kind::Changed) {
        row.surprise = rarity(of_measure.get(&key.0).copied().unwrap_or((1, 1)));
    }
    rows.retain(|(_, r)| r.surprise >= at_least);
    ranked(rows, |r| r.surprise)
}

/// The change of figures, when both sides have some.
pub(super) fn compare(
    (before, a): (Half<'_>, &Minutes),
    (after, b): (Half<'_>, &Minutes),
    kind: MeasureKind,
) -> Option<Change> {
    let total = |minutes: &Minutes| {
        minutes.iter().fold(Sums::default(), |mut sum, (_, s)| {
            sum.merge(s);
            sum
        })
    };
    let (all_a, all_b) = (total(a), total(b));
    if all_a.count == 0 || all_b.count == 0 {
        return None;
    }
    let spread = |value: &dyn Fn(&Sums) -> f64| {
        let n = a.len().max(1) as f64;
        let mean = a.iter().map(|(_, s)| value(s)).sum::<f64>() / n;
        let squares: f64 = a.iter().map(|(_, s)| (value(s) - mean).powi(2)).sum();
        (squares / (a.len().max(2) - 1) as f64).sqrt()
    };
    let over = |change: f64, spread: f64| {
        change.abs() / (spread * (1.0 / a.len() as f64 + 1.0 / b.len() as f64).sqrt()).max(FLOOR)
    };
    let valued = kind != MeasureKind::Rate && all_a.valued && all_b.valued;
    let value = if valued {
        over(all_b.log_mean()? - all_a.log_mean()?, spread(&|s| s.log_mean().unwrap_or(0.0)))
    } else {
        0.0
    };
    let bad = over(all_b.ratio()? - all_a.ratio()?, spread(&|s| s.ratio().unwrap_or(0.0)));
    let (rate_a, rate_b) = (all_a.count as f64 / before.minutes(), all_b.count as f64 / after.minutes());
    let rate = over((rate_b / rate_a).ln(), spread(&|s| (s.count as f64).ln()));
    let typical = |s: &Sums| if valued { s.log_mean().map(f64::exp) } else { None };
    Some(Change {
        rate_before: rate_a,
        rate_after: rate_b,
        before: typical(&all_a),
        after: typical(&all_b),
        bad_before: all_a.ratio(),
        bad_after: all_b.ratio(),
        surprise: value.max(bad).max(rate),
    })
}
