//! Which of the commits that were deployed before the trouble is its cause, or none of them.
//!
//! Every commit that went out is a hypothesis, and so is every kind of cause that is no commit ([`Outside`]). What is weighed is what a
//! reviewer called at night would look at: when it went out and when it began, where it went out and where it began, what the diff does
//! (`diff`) and whether what that would break is what is broken (`mechanism`), and which words both sides use. The message of a commit
//! counts for next to nothing: it says what somebody meant.
//!
//! Blaming an innocent commit costs more than naming none: somebody rolls it back, and the trouble goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::rank::Evidence;

mod diff;
mod mechanism;
mod outside;
mod quantity;
mod symptoms;
mod words;

pub use outside::Outside;

use diff::{Reading, Role, Step};
use symptoms::Symptoms;

/// A change of code.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Its hash, or whatever it is called by.
    pub id: String,
    /// When it was made, in seconds.
    pub made: f64,
    /// What its author says.
    pub message: String,
    /// Paths of the files that it touches.
    pub files: Vec<String>,
    /// What it does to them, when that is known: lines with `+`, `-` and space, headers with `@@`.
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

/// A flag that was switched.
#[derive(Clone, Debug)]
pub struct Switch {
    /// When, in seconds.
    pub time: f64,
    /// Which.
    pub flag: String,
    /// For whom.
    pub component: String,
}

/// The alarm that started it.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    /// Whose measure.
    pub component: String,
    /// Which.
    pub metric: String,
    /// The rule that fired.
    pub monitor: String,
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

/// Whether a text tells of something bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A warning or worse.
    Bad,
    /// Anything else.
    Neutral,
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

/// A kind of log line and how much more often it is written now.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Who writes it.
    pub component: String,
    /// How it is meant.
    pub tone: Tone,
    /// What it says.
    pub text: String,
    /// Lines more than usual; negative for fewer.
    pub risen: f64,
}

/// A step of a trace.
#[derive(Clone, Debug)]
pub struct Span {
    /// Who did it.
    pub component: String,
    /// What was done.
    pub operation: String,
    /// The span that asked for it, by its place in the scene.
    pub caller: Option<usize>,
    /// Whether it failed.
    pub failed: bool,
    /// What it says about that.
    pub error: String,
}

/// Everything the judge looks at. Nothing in it is later than `now`.
#[derive(Clone, Debug, Default)]
pub struct CommitScene {
    /// Commits that may be to blame, and others around them.
    pub commits: Vec<Commit>,
    /// What went out.
    pub deployments: Vec<Deployment>,
    /// What was switched.
    pub switches: Vec<Switch>,
    /// What fired.
    pub alarm: Alarm,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// What is written.
    pub lines: Vec<Line>,
    /// What is written more or less often.
    pub patterns: Vec<Pattern>,
    /// What was asked of whom.
    pub spans: Vec<Span>,
    /// The moment of the question, in seconds.
    pub now: f64,
}

/// Who or what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// A commit, by its place in the scene.
    Commit(usize),
    /// A flag, by the place of its switch in the scene.
    Switch(usize),
    /// Something outside of the code; nothing when no kind of it stands out.
    Outside(Option<Outside>),
}

/// What may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Put the former version back.
    RollBack,
    /// Switch the flag back.
    SwitchBack,
    /// Add capacity, or turn some of the demand away.
    Scale,
    /// Move the work to another machine.
    Reschedule,
    /// Issue and install a new certificate.
    RotateCertificate,
    /// Go to another provider or region.
    Failover,
    /// Repair what is broken outside of the code.
    Repair,
}

/// One hypothesis and its weight.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Who or what.
    pub suspect: Suspect,
    /// In words.
    pub name: String,
    /// Chance of it.
    pub probability: f64,
    /// Prior and evidence, in nats.
    pub score: f64,
    /// What speaks for it, strongest first.
    pub evidence: Vec<Evidence>,
    /// What speaks against it, strongest first.
    pub against: Vec<Evidence>,
    /// What may be done about it.
    pub remedy: Remedy,
}

/// All hypotheses and what is known of the trouble itself.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Likeliest first; never empty.
    pub verdicts: Vec<Verdict>,
    /// Where it hurts first.
    pub first: String,
    /// Who else suffers.
    pub suffering: BTreeSet<String>,
}

impl Judgement {
    /// The commit to blame; nothing when no commit is likelier than that it is none of them.
    pub fn culprit(&self) -> Option<usize> {
        let none: f64 = self
            .verdicts
            .iter()
            .filter(|v| !matches!(v.suspect, Suspect::Commit(_)))
            .map(|v| v.probability)
            .sum();
        self.verdicts.iter().find_map(|v| match v.suspect {
            Suspect::Commit(at) if v.probability > none => Some(at),
            _ => None,
        })
    }

    /// What may be done, and about what: the verdict that [`Self::culprit`] stands for.
    pub fn leading(&self) -> Option<&Verdict> {
        let culprit = self.culprit();
        self.verdicts.iter().find(|v| match (culprit, v.suspect) {
            (Some(at), Suspect::Commit(this)) => at == this,
            (None, Suspect::Commit(_)) => false,
            (None, _) => true,
            _ => false,
        })
    }
}

/// Share of outages that a change of a live system caused (Google SRE book, ch. 1: roughly 70 %). It is split evenly among what went out.
const BY_CHANGE: f64 = 0.7;
/// Share of those that a flag caused and no commit.
const BY_SWITCH: f64 = 0.1;
/// A change usually shows within this many minutes (as in `experts::changes`).
const LAG_MINUTES: f64 = 12.0;
/// Minutes over which an innocent change could as well have fallen (as in `experts::changes`).
const WINDOW_MINUTES: f64 = 120.0;
/// Share of faults that do not show at once: they wait for load, age or data. Of those that a reviewer sees must wait, most do.
const LATENT: (f64, f64) = (0.25, 0.6);
/// What a change that went out after the trouble began has against it (as in `change`).
const TOO_LATE: f64 = -8.0;
/// The same, when only other components' measures began before it: they may have troubles of their own.
const RATHER_LATE: f64 = -4.0;
/// What a commit has against it that no deployment names, though one that came after it may have carried it: records name the head, and
/// all but the head ride along unnamed.
const UNNAMED: f64 = -3.0;
/// Where it went out and where it hurts: in the very place, one call away or below, above, unheard of, and nowhere near.
const PLACE: [f64; 5] = [1.0, 0.2, -0.5, -0.7, -2.0];
/// A change that cannot run: documents, tests, comments, another environment. One in fifty is mislabelled.
const IDLE: f64 = -4.0;
/// A change that looks, tells or counts differently, or moves code around and leaves nothing out.
const HARMLESS: f64 = -2.0;
/// A change that nobody can read.
const UNREAD: f64 = -1.5;
/// A change that only adds, with nothing that a reviewer would fear: it is mostly not called yet.
const ADDED: f64 = -1.0;
/// A library's next patch, next minor and next major version.
const LIBRARY: [f64; 3] = [-1.5, -0.7, 0.3];
/// A mechanism that is shown: without any of its traces, and what all of its traces add. Odds of one to two, and of twenty to one.
const SHOWN: f64 = -0.7;
/// See [`SHOWN`].
const CAME_TRUE: f64 = 3.7;
/// The most that words in common may say, and what a change without any has against it: words are shared by accident.
const WORDS: (f64, f64) = (1.2, -0.4);
/// A file of the change that a failing line tells by name.
const TOLD: f64 = 1.5;
/// Share of a word's worth when it stands around the change, and when only the message has it.
const AROUND: (f64, f64) = (0.4, 0.15);

/// Judges commits.
///
/// **Contract**: a pure function of the scene. Every commit that may have gone out before the trouble is judged, and so is what is no commit;
/// probabilities add up to one. What is not known speaks for nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitJudge;

/// How a commit came to where it runs.
struct Way<'a> {
    component: &'a str,
    time: f64,
    named: bool,
    /// The flag that brought it to life later, with its moment.
    woken: Option<(&'a str, f64)>,
}

impl CommitJudge {
    /// All hypotheses, likeliest first.
    pub fn judge(&self, scene: &CommitScene) -> Judgement {
        let symptoms = Symptoms::of(scene);
        let rarity = Rarity::of(scene);
        let ways: Vec<(usize, Vec<Way<'_>>)> = scene
            .commits
            .iter()
            .enumerate()
            .map(|(at, commit)| (at, ways(scene, commit)))
            .filter(|(_, ways)| !ways.is_empty())
            .collect();
        let named = ways.iter().filter(|(_, ways)| ways.iter().any(|w| w.named)).count().max(1);
        let mut verdicts = Vec::new();
        for (at, ways) in &ways {
            let Some(commit) = scene.commits.get(*at) else { continue };
            let reading = Reading::of(&commit.files, commit.diff.as_deref());
            let prior = (BY_CHANGE / named as f64).ln();
            let mut pieces = vec![harm(&reading, &symptoms), speech(commit, &reading, &symptoms, &rarity)];
            pieces.extend(told(&reading, &symptoms));
            let late = mechanism::found(&reading, &symptoms).iter().any(|f| f.late && f.plain * f.seen > 0.5);
            let best = ways
                .iter()
                .map(|way| {
                    vec![timing(way, &symptoms, late), place(way, &symptoms)]
                        .into_iter()
                        .chain(unnamed(way))
                        .collect::<Vec<_>>()
                })
                .max_by(|a, b| sum(a).total_cmp(&sum(b)));
            pieces.extend(best.unwrap_or_default());
            let name = format!("commit {}", commit.id);
            verdicts.push(verdict(Suspect::Commit(*at), name, prior, pieces, Remedy::RollBack));
        }
        verdicts.extend(switches(scene, &symptoms, &rarity));
        verdicts.extend(outsides(scene, &symptoms));
        let top = verdicts.iter().map(|v| v.score).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = verdicts.iter().map(|v| (v.score - top).exp()).sum();
        for one in &mut verdicts {
            one.probability = (one.score - top).exp() / total;
        }
        verdicts.sort_by(|a, b| b.score.total_cmp(&a.score));
        let first = scene.alarm.component.clone();
        let mut suffering = symptoms.suffering.clone();
        suffering.remove(&first);
        // those who watch machines are not among those who suffer
        suffering.retain(|c| !c.starts_with("kube"));
        Judgement { verdicts, first, suffering }
    }
}

fn sum(pieces: &[Evidence]) -> f64 {
    pieces.iter().map(|e| e.llr).sum()
}

fn verdict(suspect: Suspect, name: String, prior: f64, pieces: Vec<Evidence>, remedy: Remedy) -> Verdict {
    let score = prior + sum(&pieces);
    let (mut evidence, mut against): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|e| e.llr >= 0.0);
    evidence.sort_by(|a, b| b.llr.total_cmp(&a.llr));
    against.sort_by(|a, b| a.llr.total_cmp(&b.llr));
    Verdict { suspect, name, probability: 0.0, score, evidence, against, remedy }
}

fn piece(channel: &'static str, llr: f64, healthy: f64, degraded: f64, note: impl Into<String>) -> Evidence {
    Evidence { channel, llr, healthy, degraded, note: note.into() }
}

/// How a commit may have come to run: named by a deployment, or unnamed in the first one after it of each component.
fn ways<'a>(scene: &'a CommitScene, commit: &Commit) -> Vec<Way<'a>> {
    let by_name: Vec<&Deployment> =
        scene.deployments.iter().filter(|d| d.commit == commit.id && d.time <= scene.now).collect();
    let named = !by_name.is_empty();
    let mut first: BTreeMap<&str, &Deployment> = BTreeMap::new();
    for one in scene.deployments.iter().filter(|d| d.time >= commit.made && d.time <= scene.now) {
        let known = first.entry(&one.component).or_insert(one);
        if one.time < known.time {
            *known = one;
        }
    }
    let carried: Vec<&Deployment> = if named { by_name } else { first.into_values().collect() };
    let flags = |d: &Deployment| {
        let text = commit.diff.as_deref().unwrap_or_default();
        let of = |s: &&Switch| {
            s.time >= d.time && s.time <= scene.now && !s.flag.is_empty() && text.contains(s.flag.as_str())
        };
        scene.switches.iter().filter(of).map(|s| (s.flag.as_str(), s.time)).next()
    };
    carried
        .into_iter()
        .map(|d| Way { component: &d.component, time: d.time, named, woken: flags(d) })
        .collect()
}

/// Trouble follows its cause, and mostly soon.
fn timing(way: &Way<'_>, symptoms: &Symptoms, late: bool) -> Evidence {
    let start = way.woken.map_or(way.time, |(_, time)| time);
    let Some(onset) = symptoms.onset else {
        return piece("timing", 0.0, 0.0, 0.0, "nothing tells when it began");
    };
    let lag = (onset - start) / 60.0;
    if onset + symptoms.slack < start {
        let own = symptoms.alarmed.is_some_and(|alarmed| alarmed + symptoms.slack < start);
        let llr = if own || symptoms.alarmed.is_none() { TOO_LATE } else { RATHER_LATE };
        return piece("timing", llr, 0.0, lag, "minutes from going out to the trouble: it went out later");
    }
    let latent = if late { LATENT.1 } else { LATENT.0 };
    let soon = (1.0 - latent) * WINDOW_MINUTES / LAG_MINUTES * (-lag.max(0.0) / LAG_MINUTES).exp();
    let note = match way.woken {
        Some((flag, _)) => format!("minutes from switching {flag}, which it brought, to the trouble"),
        None => "minutes from going out to the trouble".to_owned(),
    };
    piece("timing", (soon + latent).ln(), 0.0, lag, note)
}

fn unnamed(way: &Way<'_>) -> Option<Evidence> {
    (!way.named).then(|| {
        piece("deployment", UNNAMED, 1.0, 0.0, "no deployment names it; one that came later may carry it")
    })
}

/// Where it went out against where it hurts.
fn place(way: &Way<'_>, symptoms: &Symptoms) -> Evidence {
    let here = way.component;
    let focus: BTreeSet<&String> =
        symptoms.origins.iter().chain(&symptoms.deepest).chain(&symptoms.sore).collect();
    let [same, near, above, unheard, far] = PLACE;
    let below = |f: &&String| symptoms.distance(f, here).is_some();
    let over = |f: &&String| symptoms.distance(here, f).is_some();
    let (llr, note) = if focus.iter().any(|f| *f == here) {
        (same, "it went out where it hurts first")
    } else if focus.iter().any(|f| symptoms.distance(here, f) == Some(1))
        || focus.iter().copied().any(|f| below(&f))
    {
        (near, "it went out next to or below where it hurts first")
    } else if symptoms.suffering.contains(here) || focus.iter().copied().any(|f| over(&f)) {
        (above, "it went out above where it hurts first")
    } else if !symptoms.known.contains(here) {
        (unheard, "nothing is heard of where it went out")
    } else {
        (far, "it went out where nothing hurts")
    };
    piece("place", llr, 0.0, 0.0, format!("{here}: {note}"))
}

/// What the diff does, and whether what that would break is broken.
fn harm(reading: &Reading, symptoms: &Symptoms) -> Evidence {
    let channel = "diff";
    let runs = |r: &Role| matches!(r, Role::Running | Role::Libraries | Role::Look);
    if !reading.roles.is_empty() && !reading.roles.iter().any(runs) {
        return piece(channel, IDLE, 0.0, 0.0, "only documents, tests, tools or another environment");
    }
    if reading.roles.iter().all(|r| *r == Role::Look) && !reading.roles.is_empty() {
        return piece(channel, HARMLESS, 0.0, 0.0, "only how it looks");
    }
    if !reading.shown {
        return piece(channel, UNREAD, 0.0, 0.0, "the diff is not known");
    }
    if !reading.touched {
        return piece(channel, IDLE, 0.0, 0.0, "only comments or spaces");
    }
    if let Some(step) = reading.library {
        let [patch, minor, major] = LIBRARY;
        let (llr, note) = match step {
            Step::Patch => (patch, "a library's next patch"),
            Step::Minor => (minor, "a library's next minor version"),
            Step::Major => (major, "a library's next major version"),
        };
        return piece(channel, llr, 0.0, 0.0, note);
    }
    if reading.only_says {
        return piece(channel, HARMLESS, 0.0, 0.0, "only what is logged, counted or said");
    }
    let base = if reading.is_preserving() {
        (HARMLESS, "code is moved and nothing left out")
    } else if !reading.takes {
        (ADDED, "it only adds")
    } else {
        (0.0, "behaviour may differ")
    };
    let worth = |f: &mechanism::Found| f.plain * (SHOWN + CAME_TRUE * f.seen) + (1.0 - f.plain) * base.0;
    let found = mechanism::found(reading, symptoms);
    let best = found.iter().max_by(|a, b| worth(a).total_cmp(&worth(b)));
    match best.filter(|_| !reading.is_preserving()) {
        Some(f) => piece(
            channel,
            worth(f),
            f.plain,
            f.seen,
            format!("{}; how plain, and how much of what follows is seen", f.name),
        ),
        None => piece(channel, base.0, 0.0, 0.0, base.1),
    }
}

/// Words that the change and the trouble have in common, the rarer among the commits the better.
fn speech(commit: &Commit, reading: &Reading, symptoms: &Symptoms, rarity: &Rarity) -> Evidence {
    let said: BTreeSet<String> = words::words(&commit.message).into_iter().collect();
    let mut common: Vec<(f64, &str)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (share, of) in [(1.0, &reading.changed), (AROUND.0, &reading.around), (AROUND.1, &said)] {
        for word in of {
            let echo = symptoms.echo(word);
            if echo > 0.0 && seen.insert(words::stem(word)) {
                common.push((share * echo.min(1.0) * rarity.of_word(word), word));
            }
        }
    }
    common.sort_by(|a, b| b.0.total_cmp(&a.0));
    let overlap: f64 = common.iter().map(|c| c.0).sum();
    let (most, least) = WORDS;
    // the second word adds less than the first: they come from one sentence
    let llr = least + (most - least) * (1.0 - (-overlap / 1.5).exp());
    let top: Vec<&str> = common.iter().take(5).map(|c| c.1).collect();
    piece("words in common", llr, 0.0, overlap, top.join(", "))
}

fn told(reading: &Reading, symptoms: &Symptoms) -> Option<Evidence> {
    let file = reading.files.iter().find(|f| symptoms.tells_file(f))?;
    Some(piece("file in a stack", TOLD, 0.0, 1.0, format!("a failing line tells {file}")))
}

/// Flags that were switched: hypotheses of their own, when what they are called is what hurts.
fn switches(scene: &CommitScene, symptoms: &Symptoms, rarity: &Rarity) -> Vec<Verdict> {
    let count = scene.switches.len().max(1) as f64;
    let prior = (BY_CHANGE * BY_SWITCH / count).ln();
    scene
        .switches
        .iter()
        .enumerate()
        .filter(|(_, s)| s.time <= scene.now)
        .map(|(at, switch)| {
            let way = Way { component: &switch.component, time: switch.time, named: true, woken: None };
            let commit = Commit { message: switch.flag.clone(), ..Commit::default() };
            let reading =
                Reading { changed: words::words(&switch.flag).into_iter().collect(), ..Reading::default() };
            let pieces = vec![
                timing(&way, symptoms, false),
                place(&way, symptoms),
                speech(&commit, &reading, symptoms, rarity),
            ];
            verdict(Suspect::Switch(at), format!("flag {}", switch.flag), prior, pieces, Remedy::SwitchBack)
        })
        .collect()
}

/// What is no commit: each kind that anything speaks for, and the unknown.
fn outsides(scene: &CommitScene, symptoms: &Symptoms) -> Vec<Verdict> {
    let prior = 1.0 - BY_CHANGE;
    let sighted = outside::sighted(scene, symptoms);
    let mut verdicts = vec![verdict(
        Suspect::Outside(None),
        "none of the changes".to_owned(),
        prior.ln(),
        Vec::new(),
        Remedy::Repair,
    )];
    // each kind is a small part of the prior, but what is sighted speaks only once: the plainest takes the place of the unknown
    if let Some(best) = sighted.first() {
        verdicts = vec![verdict(
            Suspect::Outside(Some(best.kind)),
            best.name.to_owned(),
            prior.ln(),
            best.evidence.clone(),
            best.remedy,
        )];
    }
    verdicts
}

/// How rare each word is among the commits.
struct Rarity {
    of: f64,
    seen: BTreeMap<String, usize>,
}

impl Rarity {
    fn of(scene: &CommitScene) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for commit in &scene.commits {
            let text = format!(
                "{} {} {}",
                commit.message,
                commit.files.join(" "),
                commit.diff.as_deref().unwrap_or_default()
            );
            for word in words::words(&text).iter().map(|w| words::stem(w).to_owned()).collect::<BTreeSet<_>>()
            {
                *seen.entry(word).or_default() += 1;
            }
        }
        Self { of: scene.commits.len() as f64, seen }
    }

    /// Inverse document frequency as a share of the most there is.
    fn of_word(&self, word: &str) -> f64 {
        let seen = self.seen.get(words::stem(word)).copied().unwrap_or(0) as f64;
        (((self.of + 1.0) / (seen + 0.5)).ln() / ((self.of + 1.0) / 0.5).ln()).clamp(0.0, 1.0)
    }
}
