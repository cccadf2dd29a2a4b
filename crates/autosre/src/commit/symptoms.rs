//! What the trouble says of itself: when each measure left its range, what is written since, and who asks whom.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{any, is, is_hollow, stem, words};
use super::{CommitScene, Tone};
use crate::arith::{median, robust_deviation};

/// A measure that left its range and has not come back.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    /// Whose.
    pub(super) component: String,
    /// What.
    pub(super) metric: String,
    /// From when on, in seconds.
    pub(super) onset: f64,
    /// Where it was to be expected, and where it is.
    pub(super) before: f64,
    /// See `before`.
    pub(super) now: f64,
}

/// One sentence of the telemetry that is news.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Who says it.
    pub(super) component: String,
    /// The words, in order.
    pub(super) words: Vec<String>,
    /// The text.
    pub(super) text: String,
    /// How much it counts: a bad sentence more than a neutral one.
    pub(super) weight: f64,
    /// Whether it is about something bad.
    pub(super) bad: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Symptoms {
    /// Measures out of their range, the first first.
    pub(super) departures: Vec<Departure>,
    /// News.
    pub(super) said: Vec<Said>,
    /// When it began, in seconds; nothing when nothing tells.
    pub(super) onset: Option<f64>,
    /// When the alarm's component itself began to suffer.
    pub(super) alarmed: Option<f64>,
    /// Uncertainty of the onset, in seconds.
    pub(super) slack: f64,
    /// Where it began: components whose measures or lines were the first.
    pub(super) origins: BTreeSet<String>,
    /// Components whose spans failed without a failed one below.
    pub(super) deepest: BTreeSet<String>,
    /// Whose alarm it is.
    pub(super) sore: BTreeSet<String>,
    /// Components that suffer.
    pub(super) suffering: BTreeSet<String>,
    /// Who asks whom, as spans and complaints tell.
    pub(super) asks: BTreeSet<(String, String)>,
    /// Everyone who says anything or is measured.
    pub(super) known: BTreeSet<String>,
    strength: BTreeMap<String, f64>,
    stems: BTreeMap<String, f64>,
}

/// Share of a series, from its start, that tells what is usual.
const USUAL_SHARE: f64 = 1.0 / 3.0;
/// Samples below which a series tells nothing usual.
const FEWEST: usize = 8;
/// Spreads from which a measure has left its range (the forward check of `rank` uses the same).
const LEFT: f64 = 5.0;
/// Spreads from which a sample belongs to the departure, once there is one.
const AWAY: f64 = 3.0;
/// Spread below which no series is believed, as a share of its level: rounding and sampling alone make that much.
const SPREAD_FLOOR: f64 = 0.02;
/// Samples back in range that a departure may have: one late bucket is no recovery.
const BACK: usize = 1;
/// What the most a single word may count for: said five times over is not five symptoms.
const WORD_CAP: f64 = 2.0;

impl Symptoms {
    /// Reads the scene's telemetry.
    pub(super) fn of(scene: &CommitScene) -> Self {
        let mut all = Self::default();
        let spacing =
            median(scene.metrics.iter().flat_map(|m| m.samples.windows(2).map(|w| w[1].0 - w[0].0)));
        all.slack = spacing.unwrap_or(60.0).max(1.0);
        for metric in &scene.metrics {
            all.known.insert(metric.component.clone());
            all.departures.extend(departure(scene, metric));
        }
        all.departures.sort_by(|a, b| a.onset.total_cmp(&b.onset));
        all.spans(scene);
        all.texts(scene);
        all.place(scene);
        all.count(scene);
        all
    }

    fn spans(&mut self, scene: &CommitScene) {
        for (at, span) in scene.spans.iter().enumerate() {
            self.known.insert(span.component.clone());
            let caller = span.caller.and_then(|c| scene.spans.get(c));
            if let Some(caller) = caller.filter(|c| c.component != span.component) {
                self.asks.insert((caller.component.clone(), span.component.clone()));
            }
            if span.failed {
                self.suffering.insert(span.component.clone());
                if !scene.spans.iter().any(|s| s.failed && s.caller == Some(at)) {
                    self.deepest.insert(span.component.clone());
                }
                let text = format!("{} {}", span.operation, span.error);
                self.say(&span.component, &text, 1.0, true);
            }
        }
    }

    fn texts(&mut self, scene: &CommitScene) {
        // what was written in the quiet part is no news
        let quiet = scene.lines.iter().map(|l| l.time).fold(f64::INFINITY, f64::min);
        let first = self.departures.first().map_or(scene.now, |d| d.onset);
        let usual = quiet + (first - quiet) * 0.5;
        let shape = |text: &str| {
            words(text).into_iter().filter(|w| !w.chars().any(|c| c.is_ascii_digit())).collect::<Vec<_>>()
        };
        let old: BTreeSet<(String, Vec<String>)> = scene
            .lines
            .iter()
            .filter(|l| l.time < usual)
            .map(|l| (l.component.clone(), shape(&l.text)))
            .collect();
        let mut heard: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        let mut news: Vec<(f64, String)> = Vec::new();
        for line in &scene.lines {
            self.known.insert(line.component.clone());
            let key = (line.component.clone(), shape(&line.text));
            if old.contains(&key) {
                continue;
            }
            let bad = line.tone == Tone::Bad;
            if bad {
                news.push((line.time, line.component.clone()));
                self.suffering.insert(line.component.clone());
            }
            if heard.insert(key) {
                self.say(&line.component, &line.text, if bad { 1.0 } else { 0.5 }, bad);
            }
        }
        for pattern in &scene.patterns {
            self.known.insert(pattern.component.clone());
            let bad = pattern.tone == Tone::Bad;
            if pattern.risen > 0.0 {
                if bad {
                    self.suffering.insert(pattern.component.clone());
                }
                self.say(&pattern.component, &pattern.text, if bad { 1.5 } else { 0.5 }, bad);
            }
        }
        self.mentions();
        // the first bad news counts as an onset where no measure tells an earlier one
        news.sort_by(|a, b| a.0.total_cmp(&b.0));
        let told = news.first().map(|n| n.0);
        let left = self.departures.first().map(|d| d.onset);
        self.onset = match (told, left) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let Some(onset) = self.onset {
            let near = onset + self.slack;
            self.origins
                .extend(self.departures.iter().filter(|d| d.onset <= near).map(|d| d.component.clone()));
            self.origins.extend(news.iter().filter(|n| n.0 <= near).map(|n| n.1.clone()));
        }
    }

    /// A component that complains about another by name depends on it.
    fn mentions(&mut self) {
        let named: Vec<(String, Vec<String>)> = self.known.iter().map(|c| (c.clone(), words(c))).collect();
        for said in self.said.iter().filter(|s| s.bad) {
            for (other, name) in &named {
                let spoken = said.words.windows(name.len().max(1)).any(|w| w == name.as_slice());
                if spoken && *other != said.component {
                    self.asks.insert((said.component.clone(), other.clone()));
                }
            }
        }
    }

    fn place(&mut self, scene: &CommitScene) {
        let alarm = &scene.alarm;
        self.alarmed = self
            .departures
            .iter()
            .filter(|d| d.component == alarm.component)
            .map(|d| d.onset)
            .reduce(f64::min);
        for departure in &self.departures {
            let hurts = [
                "error*",
                "fail*",
                "latency",
                "duration",
                "5xx",
                "4xx",
                "401",
                "403",
                "timeout*",
                "unavailab*",
                "lag",
            ];
            if words(&departure.metric).iter().any(|w| any(w, &hurts)) {
                self.suffering.insert(departure.component.clone());
            }
        }
        self.known.insert(alarm.component.clone());
        self.sore.insert(alarm.component.clone());
        self.suffering.insert(alarm.component.clone());
    }

    fn say(&mut self, component: &str, text: &str, weight: f64, bad: bool) {
        self.said.push(Said {
            component: component.to_owned(),
            words: words(text),
            text: text.to_owned(),
            weight,
            bad,
        });
    }

    /// How loud each word is.
    fn count(&mut self, scene: &CommitScene) {
        let alarm = &scene.alarm;
        let names: BTreeSet<String> = self.known.iter().flat_map(|c| words(c)).collect();
        self.say(&alarm.component, &format!("{} {} {}", alarm.metric, alarm.monitor, alarm.text), 1.5, true);
        let mut loud: BTreeMap<String, f64> = BTreeMap::new();
        for said in &self.said {
            for word in said.words.iter().collect::<BTreeSet<_>>() {
                *loud.entry(word.clone()).or_default() +=
                    if said.bad { said.weight } else { 0.3 * said.weight };
            }
        }
        for departure in &self.departures {
            for word in words(&departure.metric).into_iter().collect::<BTreeSet<_>>() {
                *loud.entry(word).or_default() += 1.0;
            }
        }
        for (word, weight) in loud {
            let weight = weight.min(WORD_CAP);
            if !names.contains(&word) && !is_hollow(&word) {
                let of = self.stems.entry(stem(&word).to_owned()).or_default();
                *of = (*of + weight).min(WORD_CAP);
            }
            self.strength.insert(word, weight);
        }
    }

    /// How loud the loudest word is that a pattern names.
    pub(super) fn loudness(&self, pattern: &str) -> f64 {
        self.strength.iter().filter(|(word, _)| is(word, pattern)).map(|(_, w)| *w).fold(0.0, f64::max)
    }

    /// How loud a word is whatever its ending; names of components and hollow words are silent.
    pub(super) fn echo(&self, word: &str) -> f64 {
        self.stems.get(stem(word)).copied().unwrap_or(0.0)
    }

    /// Whether any text tells a file by its name, as stack traces do.
    pub(super) fn tells_file(&self, file: &str) -> bool {
        self.said.iter().any(|s| s.bad && s.text.to_lowercase().contains(file))
    }

    /// Calls from one component down to another; 0 when they are the same.
    pub(super) fn distance(&self, from: &str, to: &str) -> Option<usize> {
        let mut seen: BTreeSet<&str> = BTreeSet::from([from]);
        let mut front: Vec<&str> = vec![from];
        for steps in 0..8 {
            if front.contains(&to) {
                return Some(steps);
            }
            let mut next = Vec::new();
            for (caller, callee) in &self.asks {
                if front.contains(&caller.as_str()) && seen.insert(callee) {
                    next.push(callee.as_str());
                }
            }
            front = next;
        }
        None
    }
}

/// When a measure left its range for good, up to the alarm. What it was doing anyway, a steady trend included, is its range.
fn departure(scene: &CommitScene, metric: &super::Metric) -> Option<Departure> {
    let samples: Vec<(f64, f64)> =
        metric.samples.iter().copied().filter(|(t, v)| *t <= scene.now && v.is_finite()).collect();
    let usual = ((samples.len() as f64 * USUAL_SHARE) as usize).max(FEWEST);
    let (quiet, _) = samples.split_at_checked(usual).filter(|(_, rest)| rest.len() >= 2)?;
    let (early, late) = quiet.split_at(quiet.len() / 2);
    let middle =
        |part: &[(f64, f64)]| Some((median(part.iter().map(|s| s.0))?, median(part.iter().map(|s| s.1))?));
    let ((t0, v0), (t1, v1)) = (middle(early)?, middle(late)?);
    let slope = if t1 > t0 { (v1 - v0) / (t1 - t0) } else { 0.0 };
    let trended: Vec<f64> = quiet.iter().map(|(t, v)| v - slope * (t - t0)).collect();
    // a slope is believed when the halves differ by more than the scatter around it
    let scatter = robust_deviation(&trended).unwrap_or(0.0);
    let trend = (v1 - v0).abs() > AWAY * scatter && (v1 - v0).abs() > 0.0;
    let expected = |t: f64| {
        if trend { v0 + slope * (t - t0) } else { median(quiet.iter().map(|s| s.1)).unwrap_or(0.0) }
    };
    let rests: Vec<f64> = quiet.iter().map(|(t, v)| v - expected(*t)).collect();
    let level = median(quiet.iter().map(|s| s.1.abs()))?;
    let spread = robust_deviation(&rests)?.max(SPREAD_FLOOR * level).max(f64::MIN_POSITIVE);
    let z: Vec<f64> = samples.iter().map(|(t, v)| (v - expected(*t)) / spread).collect();
    let last = z.get(z.len().saturating_sub(3)..)?;
    let now = median(last.iter().copied())?;
    // nothing usual but nought: any value is far away, and one that stays is a departure
    if now.abs() < LEFT {
        return None;
    }
    let side = now.signum();
    let (mut onset, mut back) = (samples.last()?.0, 0);
    for ((time, _), z) in samples.iter().zip(&z).rev() {
        if z * side >= AWAY {
            onset = *time;
            back = 0;
        } else {
            back += 1;
            if back > BACK {
                break;
            }
        }
    }
    let (time, value) = samples.get(samples.len().saturating_sub(2)).copied()?;
    Some(Departure {
        component: metric.component.clone(),
        metric: metric.name.clone(),
        onset,
        before: expected(time),
        now: value,
    })
}
