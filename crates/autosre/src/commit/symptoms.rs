//! What is wrong, since when and where.

use std::collections::{BTreeMap, BTreeSet};

use super::{CommitScene, Metric, Tone, words};
use crate::arith::{median, robust_deviation};

/// What the trouble looks like from outside.
pub(super) struct Symptoms {
    /// When it began, in seconds.
    pub onset: f64,
    /// The component whose alarm it is.
    pub alarming: String,
    /// The component that failed first.
    pub first: String,
    /// Components with a metric that is not as usual.
    moved: BTreeSet<String>,
    /// Who else suffers.
    pub suffering: BTreeSet<String>,
    /// The alarm, bad patterns and names of disturbed metrics, in lower case and without names of components.
    pub texts: Vec<String>,
    /// The same and every bad line.
    pub told: Vec<String>,
    /// Words of all these.
    pub words: BTreeSet<String>,
    /// The alarm and bad patterns, as they are.
    raw: String,
}

/// Standard deviations from the usual that are a disturbance: of a hundred calm samples not one is.
const DEVIATIONS: f64 = 5.0;
/// Share of the usual value below which a move is none, however calm the series was.
const LEAST_MOVE: f64 = 0.1;
/// The part of the series that stands for "usual": trouble that alarms has mostly begun lately.
const USUAL_SHARE: f64 = 1.0 / 3.0;
/// Names of components shorter than this are words, too, and stay in the texts.
const SHORT_NAME: usize = 5;

/// When a series left its usual range for good; nothing if it is within it.
pub(super) fn disturbed(metric: &Metric) -> Option<f64> {
    let usual = usual(metric)?;
    let mut since = None;
    let mut calm = 0;
    for (time, value) in metric.samples.iter().rev() {
        calm = if (value - usual.0).abs() <= usual.1 { calm + 1 } else { 0 };
        match calm {
            0 => since = Some(*time),
            1 if since.is_some() => {} // one sample may fall back by chance
            _ => break,
        }
    }
    since
}

/// Middle and half width of the usual range.
fn usual(metric: &Metric) -> Option<(f64, f64)> {
    let values: Vec<f64> = metric.samples.iter().map(|s| s.1).collect();
    let calm = values.get(..(values.len() as f64 * USUAL_SHARE).ceil() as usize)?;
    let middle = median(calm.iter().copied())?;
    Some((middle, (DEVIATIONS * robust_deviation(calm).unwrap_or(0.0)).max(LEAST_MOVE * middle.abs())))
}

/// The last value over the usual one; nothing where that is zero.
pub(super) fn growth(metric: &Metric) -> Option<f64> {
    let (middle, _) = usual(metric)?;
    let last = metric.samples.last()?.1;
    (middle > 0.0).then_some(last / middle)
}

impl Symptoms {
    pub(super) fn of(scene: &CommitScene) -> Self {
        let alarm = &scene.alarm;
        let moved: Vec<(&Metric, f64)> =
            scene.metrics.iter().filter_map(|m| disturbed(m).map(|since| (m, since))).collect();
        let mut since: BTreeMap<&str, f64> = BTreeMap::new();
        let errors = scene.lines.iter().filter(|l| l.tone == Tone::Error);
        for (component, time) in errors.map(|l| (l.component.as_str(), l.time)) {
            let known = since.entry(component).or_insert(time);
            *known = known.min(time);
        }
        // a bucket's time may be its beginning: what went out within it may have come first
        let own = moved.iter().find(|(m, _)| m.component == alarm.component && m.name == alarm.metric);
        let onset = own
            .map(|(metric, since)| since + step(metric))
            .or_else(|| since.values().copied().reduce(f64::min))
            .unwrap_or(scene.now);
        let own_since = own.map(|(_, t)| *t).into_iter().chain(since.get(alarm.component.as_str()).copied());
        let own_since = own_since.fold(f64::INFINITY, f64::min);
        let first = since
            .iter()
            .filter(|(_, time)| **time < own_since && own_since.is_finite())
            .min_by(|a, b| a.1.total_cmp(b.1))
            .map_or(alarm.component.clone(), |(component, _)| (*component).to_owned());
        let bad = scene.patterns.iter().map(|p| p.component.as_str());
        let suffering = bad
            .chain(since.keys().copied())
            .chain(moved.iter().filter(|(m, _)| pains(&m.name)).map(|(m, _)| m.component.as_str()))
            .filter(|c| *c != first)
            .map(str::to_owned)
            .collect();
        let spoken: Vec<&str> = [alarm.text.as_str(), alarm.metric.as_str()]
            .into_iter()
            .chain(scene.patterns.iter().map(|p| p.text.as_str()))
            .collect();
        let names: BTreeSet<String> = scene
            .deployments
            .iter()
            .map(|d| &d.component)
            .chain(scene.metrics.iter().map(|m| &m.component))
            .chain(scene.lines.iter().map(|l| &l.component))
            .filter(|c| c.len() >= SHORT_NAME)
            .map(|c| c.to_lowercase())
            .collect();
        let plain = |text: &str| {
            names.iter().fold(text.to_lowercase(), |text, name| text.replace(name.as_str(), " "))
        };
        let texts: Vec<String> =
            spoken.iter().copied().chain(moved.iter().map(|(m, _)| m.name.as_str())).map(plain).collect();
        let mut told = texts.clone();
        told.extend(scene.lines.iter().filter(|l| l.tone != Tone::Neutral).map(|l| plain(&l.text)));
        let words = told.iter().flat_map(|t| words::of(t)).collect();
        Self {
            onset,
            alarming: alarm.component.clone(),
            first,
            suffering,
            moved: moved.iter().map(|(m, _)| m.component.clone()).collect(),
            texts,
            told,
            words,
            raw: spoken.join("\n"),
        }
    }

    /// Whether anything bad is told by or of a component.
    pub(super) fn concerns(&self, component: &str) -> bool {
        self.suffering.contains(component) || self.moved.contains(component) || self.raw.contains(component)
    }
}

/// Seconds from sample to sample.
fn step(metric: &Metric) -> f64 {
    median(metric.samples.windows(2).filter_map(|w| Some(w.get(1)?.0 - w.first()?.0))).unwrap_or(0.0)
}

/// Whether a metric's rise hurts somebody.
fn pains(name: &str) -> bool {
    ["error", "5xx", "4xx", "duration", "latency", "fail", "lag", "age"].iter().any(|w| name.contains(w))
}
