//! Which of the commits that went out before the trouble caused it, or none of them.
//!
//! A commit is a hypothesis only if three things hold: it was running before the trouble began, its diff changes what the
//! program does (`diff`), and that change would break what is broken (`mechanism`) or names it. A deployment's moment alone
//! accuses nobody, nor does what a commit's message says. "None of them" stands from the start, and what `outside` finds in the
//! alarms and logs speaks for it: an innocent commit that is rolled back costs time, and the trouble goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::rank::Evidence;

mod diff;
mod mechanism;
mod outside;
mod source;
mod subjects;
mod symptoms;
mod token;
mod words;

pub use outside::Outside;

use diff::Reading;
use symptoms::Symptoms;

/// A change of code.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// When it was made, in seconds.
    pub made: f64,
    /// Paths of the files that it touches.
    pub files: Vec<String>,
    /// What it does to them, where known: a unified diff, with or without file headers.
    pub diff: Option<String>,
}

/// A commit that went out.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// When, in seconds.
    pub time: f64,
    /// Where.
    pub component: String,
    /// Which, by its id.
    pub commit: String,
}

/// The alarm that asks.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    /// Whose measure.
    pub component: String,
    /// Which.
    pub metric: String,
    /// What it says.
    pub text: String,
}

/// A measured series.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Whose.
    pub component: String,
    /// What.
    pub name: String,
    /// Time in seconds and value, in order of time.
    pub samples: Vec<(f64, f64)>,
}

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Anything harmless.
    Neutral,
    /// A warning.
    Warning,
    /// An error or worse.
    Error,
}

/// A log line.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in seconds.
    pub time: f64,
    /// Who wrote it.
    pub component: String,
    /// How it is meant.
    pub tone: Tone,
    /// What it says, fields included.
    pub text: String,
}

/// A kind of log line that is written more often now, and is meant badly.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Who writes it.
    pub component: String,
    /// What it says.
    pub text: String,
}

/// Everything the judge looks at. Nothing in it is later than `now`.
#[derive(Clone, Debug, Default)]
pub struct CommitScene {
    /// Commits around the time.
    pub commits: Vec<Commit>,
    /// What went out.
    pub deployments: Vec<Deployment>,
    /// What fired.
    pub alarm: Alarm,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// What is written, in order of time.
    pub lines: Vec<Line>,
    /// What is written more often, and bad.
    pub patterns: Vec<Pattern>,
    /// What providers and the platform say of themselves.
    pub notices: Vec<String>,
    /// The moment of the question, in seconds.
    pub now: f64,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Put the former version back.
    RollBack,
    /// Put the former setting back.
    RevertSetting,
    /// What the cause outside of the code asks for.
    Outside(Option<Outside>),
}

/// One hypothesis and its weight.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which commit, by its place in the scene; nothing for "none of them".
    pub commit: Option<usize>,
    /// Chance of it.
    pub probability: f64,
    /// Sum of the evidence, in nats.
    pub score: f64,
    /// What speaks for it and against it.
    pub evidence: Vec<Evidence>,
    /// What may be done about it.
    pub remedy: Remedy,
}

/// All hypotheses, and what is known of the trouble itself.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Likeliest first; never empty.
    pub verdicts: Vec<Verdict>,
    /// The component that failed first.
    pub first: String,
    /// Who else suffers.
    pub suffering: BTreeSet<String>,
}

/// What "none of them" starts with: a change of behaviour in the alarming component that would leave one trace which is there (1 + 1
/// + 2) is not enough without a word in common, for a trace may be there by chance.
const NONE_SCORE: f64 = 4.2;
/// Where it went out: the component that alarms, one that complains or is complained of, and one that nobody speaks of.
const PLACE: [f64; 3] = [1.0, 0.5, -2.0];
/// No deployment names the commit, though a later one of a component whose files it touches may have carried it: records name
/// the head, and the rest may as well have gone out before.
const UNNAMED: f64 = -1.0;
/// What a deployment says that the trouble did not follow within this many seconds: most changes show in minutes, and those that
/// fill something up disturb a metric long before it alarms.
const OLD: (f64, f64) = (3600.0, -1.0);
/// What a word in the changed code that the trouble speaks of adds, and one that stands around the change.
const WORD: (f64, f64) = (1.0, 0.3);
/// The most that words may say: a library of the right name is still not a cause.
const WORDS_CAP: f64 = 2.5;
/// Words below which a change without a mechanism does not speak to the symptom: two rare ones in it and one around.
const WORDS_ALONE: f64 = 2.2;

/// Judges commits.
///
/// **Contract**: a pure function of the scene. "None of them" is always among the verdicts; probabilities add up to one; a commit
/// without a known diff, or with one that changes no behaviour, is never blamed.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitJudge;

impl CommitJudge {
    /// All hypotheses, likeliest first.
    pub fn judge(&self, scene: &CommitScene) -> Judgement {
        let symptoms = Symptoms::of(scene);
        let readings: Vec<Reading> =
            scene.commits.iter().map(|c| Reading::of(&c.files, c.diff.as_deref().unwrap_or(""))).collect();
        let rarity = Rarity::of(&readings);
        let mut verdicts: Vec<Verdict> = readings
            .iter()
            .enumerate()
            .filter_map(|(at, reading)| weigh(scene, &symptoms, &rarity, at, reading))
            .collect();
        let found = outside::found(scene, &symptoms);
        let kind = found.first().map(|(kind, _)| *kind);
        let mut evidence =
            vec![piece("nothing in the code", NONE_SCORE, String::from("until a change is shown to fit"))];
        evidence.extend(found.into_iter().map(|(_, evidence)| evidence));
        verdicts.push(verdict(None, evidence, Remedy::Outside(kind)));
        let top = verdicts.iter().map(|v| v.score).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = verdicts.iter().map(|v| (v.score - top).exp()).sum();
        for one in &mut verdicts {
            one.probability = (one.score - top).exp() / total;
        }
        // at equal weight "none of them" comes first
        verdicts.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.commit.cmp(&b.commit)));
        Judgement { verdicts, first: symptoms.first, suffering: symptoms.suffering }
    }
}

fn piece(channel: &'static str, llr: f64, note: String) -> Evidence {
    Evidence { channel, llr, healthy: 0.0, degraded: llr, note }
}

fn verdict(commit: Option<usize>, evidence: Vec<Evidence>, remedy: Remedy) -> Verdict {
    let score = evidence.iter().map(|e| e.llr).sum();
    Verdict { commit, probability: 0.0, score, evidence, remedy }
}

/// A commit's evidence; nothing when it was not running, changes no behaviour or does not speak to the symptom.
fn weigh(
    scene: &CommitScene,
    symptoms: &Symptoms,
    rarity: &Rarity,
    at: usize,
    reading: &Reading,
) -> Option<Verdict> {
    let commit = scene.commits.get(at)?;
    let strongest = reading.edits.iter().max_by_key(|e| e.weight)?;
    let (ways, named) = ways(scene, commit, symptoms.onset);
    let way = ways.into_iter().max_by(|a, b| {
        let at = |d: &Deployment| place(symptoms, &d.component);
        at(a).total_cmp(&at(b)).then(a.time.total_cmp(&b.time))
    })?;
    let mut evidence = Vec::new();
    let fit = mechanism::fit(reading, symptoms);
    if let Some((edit, traces)) = &fit {
        evidence.push(piece(
            "mechanism",
            mechanism::fits(traces.len()),
            format!("{}, and there is: {}", edit.note, traces.join(", ")),
        ));
    }
    let traces = fit.as_ref().map_or(&[][..], |(_, traces)| traces);
    let (llr, shared) = rarity.shared(reading, symptoms, traces);
    if fit.is_none() && llr < WORDS_ALONE {
        return None;
    }
    if llr > 0.0 {
        evidence.push(piece("words in common", llr, shared.join(", ")));
    }
    let edit = fit.as_ref().map_or(strongest, |(edit, _)| edit);
    evidence.push(piece("change of behaviour", mechanism::behaviour(edit), edit.note.clone()));
    let component = &way.component;
    evidence.push(piece("place", place(symptoms, component), format!("went out on {component}")));
    if symptoms.onset - way.time > OLD.0 {
        evidence.push(piece("time", OLD.1, String::from("it ran for more than an hour without harm")));
    }
    if !named {
        evidence.push(piece("unnamed", UNNAMED, String::from("no deployment names it")));
    }
    let remedy = if reading.settings_only { Remedy::RevertSetting } else { Remedy::RollBack };
    Some(verdict(Some(at), evidence, remedy))
}

/// The deployments that brought the commit before the onset, and whether a deployment names it.
fn ways<'a>(scene: &'a CommitScene, commit: &Commit, onset: f64) -> (Vec<&'a Deployment>, bool) {
    let before = || scene.deployments.iter().filter(|d| d.time <= onset);
    let named: Vec<&Deployment> = before().filter(|d| d.commit == commit.id).collect();
    if !named.is_empty() {
        return (named, true);
    }
    if scene.deployments.iter().any(|d| d.commit == commit.id) {
        return (Vec::new(), true); // it went out, but later
    }
    let carried = before()
        .filter(|d| d.time >= commit.made && commit.files.iter().any(|f| words::belongs(f, &d.component)))
        .collect();
    (carried, false)
}

fn place(symptoms: &Symptoms, component: &str) -> f64 {
    let [alarming, concerned, unheard] = PLACE;
    if component == symptoms.alarming || component == symptoms.first {
        alarming
    } else if symptoms.concerns(component) {
        concerned
    } else {
        unheard
    }
}

/// In how many of the commits a word is changed: what every second commit touches tells little.
struct Rarity {
    commits: f64,
    seen: BTreeMap<String, f64>,
}

impl Rarity {
    fn of(readings: &[Reading]) -> Self {
        let mut seen = BTreeMap::new();
        let mut commits = 0.0;
        for reading in readings.iter().filter(|r| !r.changed.is_empty() || !r.around.is_empty()) {
            commits += 1.0;
            for word in reading.changed.union(&reading.around) {
                *seen.entry(word.clone()).or_insert(0.0) += 1.0;
            }
        }
        Self { commits, seen }
    }

    /// 1 for a word of one commit, 0 for a word of all.
    fn worth(&self, word: &str) -> f64 {
        let seen = self.seen.get(word).copied().unwrap_or(1.0);
        if self.commits < 2.0 { 1.0 } else { (self.commits / seen).ln() / self.commits.ln() }
    }

    /// Words that a change and the trouble have in common; what was found as a trace of a mechanism counts there.
    fn shared(&self, reading: &Reading, symptoms: &Symptoms, traces: &[String]) -> (f64, Vec<String>) {
        let mut total = 0.0;
        let mut shared = Vec::new();
        for (words, worth) in [(&reading.changed, WORD.0), (&reading.around, WORD.1)] {
            for word in words.intersection(&symptoms.words) {
                let counted = worth == WORD.1 && reading.changed.contains(word);
                if counted || traces.iter().any(|trace| word.starts_with(trace.as_str())) {
                    continue;
                }
                total += worth * self.worth(word);
                shared.push(word.clone());
            }
        }
        (total.min(WORDS_CAP), shared)
    }
}

#[cfg(test)]
mod tests;
