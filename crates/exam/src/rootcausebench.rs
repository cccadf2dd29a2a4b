//! RootCauseBench (Edge Delta, v2): constructed incidents with commits, deployments, flags, alerts, logs, metrics and traces, to the commit
//! that caused them, or to none.
//!
//! The moment of the question is when the alert fired: nothing dated later is read, be it telemetry, a commit, a deployment or a flag.
//! `patterns.json` bears no times and is read as it is.

use std::collections::BTreeSet;
use std::path::Path;

use autosre::commit::{
    Alarm, Commit, CommitJudge, CommitScene, Deployment, Line, Metric, Pattern, Remedy, Span, Switch, Tone,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Lines, Progress, Report, Set, sit};

/// The set.
pub struct RootCauseBench;

/// The set's word for a cause that is no commit.
const NONE: &str = "none";

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_commit: String,
    first_failing_service: String,
    blast_radius: BTreeSet<String>,
    remediation: String,
    decoy_deploy_commits: BTreeSet<String>,
}

/// What the judge said, in the set's words.
struct Answer {
    commit: String,
    first: String,
    suffering: BTreeSet<String>,
    remedy: &'static str,
    lines: Vec<String>,
}

impl Lines for Answer {
    fn lines(&self) -> Vec<String> {
        self.lines.clone()
    }
}

impl Set for RootCauseBench {
    fn name(&self) -> &'static str {
        "rootcausebench"
    }

    fn about(&self) -> &'static str {
        "which commit caused an incident, or none, among decoys"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut report = sit(
            self.name(),
            &["pass", "reward", "decoys"],
            dir,
            progress,
            |inputs, case: &Case| answer(&inputs.join(&case.case)),
            |label: &Label, answer| {
                let right = answer.commit == label.root_cause_commit;
                let decoy = label.decoy_deploy_commits.contains(&answer.commit);
                let flag = |held: bool| f64::from(u8::from(held));
                let reward = if right {
                    1.0
                } else if decoy {
                    0.0
                } else {
                    let first = flag(answer.first == label.first_failing_service);
                    let remedy = flag(answer.remedy == label.remediation);
                    0.5 * (0.5 * first + 0.3 * jaccard(&answer.suffering, &label.blast_radius) + 0.2 * remedy)
                };
                vec![("pass", flag(right)), ("reward", reward), ("decoys", flag(decoy && !right))]
            },
        )?;
        // a reward is no share
        report.intervals.retain(|(name, _)| *name != "reward");
        Ok(report)
    }
}

fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let both = a.intersection(b).count();
    let any = a.union(b).count();
    if any == 0 { 1.0 } else { both as f64 / any as f64 }
}

fn answer(dir: &Path) -> Result<Answer, Error> {
    let scene = scene(dir)?;
    let judged = CommitJudge.judge(&scene);
    let culprit = judged.culprit().and_then(|at| scene.commits.get(at));
    let lines = judged
        .verdicts
        .iter()
        .take(5)
        .map(|v| {
            let pieces = v.evidence.iter().chain(&v.against);
            let told: Vec<String> =
                pieces.map(|e| format!("{} {:+.1} ({})", e.channel, e.llr, e.note)).collect();
            format!("{} {:.2}: {}", v.name, v.probability, told.join("; "))
        })
        .collect();
    Ok(Answer {
        commit: culprit.map_or_else(|| NONE.to_owned(), |c| c.id.clone()),
        remedy: judged.leading().map_or(NONE, |v| word(v.remedy)),
        first: judged.first,
        suffering: judged.suffering,
        lines,
    })
}

/// The set's word for a remedy.
fn word(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::RollBack => "rollback",
        Remedy::SwitchBack => "disable-flag",
        Remedy::Scale => "scale",
        Remedy::Reschedule => "reschedule",
        Remedy::RotateCertificate => "rotate-cert",
        Remedy::Failover => "failover",
        Remedy::Repair => "repair",
    }
}

#[derive(Debug, Deserialize)]
struct AlertRow {
    service: String,
    metric: String,
    fired_at: String,
    #[serde(default)]
    monitor: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Deserialize)]
struct CommitRow {
    sha: String,
    timestamp: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    files_changed: Vec<String>,
    #[serde(default)]
    diff: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DeployRow {
    timestamp: String,
    service: String,
    commit_sha: String,
}

#[derive(Debug, Deserialize)]
struct FlagRow {
    timestamp: String,
    flag: String,
    #[serde(default)]
    service: String,
}

#[derive(Debug, Deserialize)]
struct PatternRow {
    signature: String,
    service: String,
    #[serde(default)]
    delta_vs_baseline: Value,
    #[serde(default)]
    sentiment: String,
}

#[derive(Debug, Deserialize)]
struct LineRow {
    timestamp: String,
    service: String,
    #[serde(default)]
    severity_text: String,
    #[serde(default)]
    msg: String,
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct SpanRow {
    trace_id: String,
    span_id: String,
    parent_id: Option<String>,
    service: String,
    name: String,
    start: String,
    #[serde(default)]
    status: String,
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct MetricRow {
    timestamp: String,
    service: String,
    metric: String,
    value: f64,
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Error> {
    let text =
        std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|e| Error::layout(file, e.line() as u64, e.to_string()))
}

/// Reads a case's folder up to the moment the alert fired.
fn scene(dir: &Path) -> Result<CommitScene, Error> {
    let file = dir.join("alert.json");
    let alert: AlertRow = read(&file)?;
    let now = seconds(&file, &alert.fired_at)?;
    let mut scene = CommitScene {
        now,
        alarm: Alarm {
            component: alert.service,
            metric: alert.metric,
            monitor: alert.monitor,
            text: format!("{} {}", alert.summary, alert.detail),
        },
        ..CommitScene::default()
    };
    let file = dir.join("context/commits.json");
    for row in read::<Vec<CommitRow>>(&file)? {
        let made = seconds(&file, &row.timestamp)?;
        if made <= now {
            let CommitRow { sha: id, message, files_changed: files, diff, .. } = row;
            scene.commits.push(Commit { id, made, message, files, diff });
        }
    }
    let file = dir.join("context/deploys.json");
    for row in read::<Vec<DeployRow>>(&file)? {
        let time = seconds(&file, &row.timestamp)?;
        if time <= now {
            scene.deployments.push(Deployment { time, component: row.service, commit: row.commit_sha });
        }
    }
    let file = dir.join("context/flags.json");
    for row in read::<Vec<FlagRow>>(&file)? {
        let time = seconds(&file, &row.timestamp)?;
        if time <= now {
            scene.switches.push(Switch { time, flag: row.flag, component: row.service });
        }
    }
    for row in read::<Vec<PatternRow>>(&dir.join("patterns.json"))? {
        let tone = if row.sentiment == "negative" { Tone::Bad } else { Tone::Neutral };
        let risen = match &row.delta_vs_baseline {
            Value::Number(n) => n.as_f64(),
            Value::String(s) => s.trim().trim_start_matches('+').parse().ok(),
            _ => None,
        };
        scene.patterns.push(Pattern {
            component: row.service,
            tone,
            text: row.signature,
            risen: risen.unwrap_or(0.0),
        });
    }
    scene.lines = lines(&dir.join("logs.ndjson"), now)?;
    scene.spans = spans(&dir.join("traces.json"), now)?;
    scene.metrics = metrics(&dir.join("metrics.csv"), now)?;
    Ok(scene)
}

fn lines(file: &Path, now: f64) -> Result<Vec<Line>, Error> {
    let text =
        std::fs::read_to_string(file).map_err(|source| Error::Read { file: file.to_owned(), source })?;
    let mut lines = Vec::new();
    for (at, text) in text.lines().enumerate().filter(|(_, t)| !t.trim().is_empty()) {
        let row: LineRow =
            serde_json::from_str(text).map_err(|e| Error::layout(file, at as u64 + 1, e.to_string()))?;
        let time = seconds(file, &row.timestamp)?;
        if time > now {
            continue;
        }
        let severity = row.severity_text.to_uppercase();
        let bad = ["WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "PANIC"].contains(&severity.as_str());
        lines.push(Line {
            time,
            component: row.service,
            tone: if bad { Tone::Bad } else { Tone::Neutral },
            text: with_fields(&row.msg, &row.fields),
        });
    }
    lines.sort_by(|a, b| a.time.total_cmp(&b.time));
    Ok(lines)
}

/// A text and what its fields say in words; ids and numbers are left out.
fn with_fields(text: &str, fields: &serde_json::Map<String, Value>) -> String {
    let mut all = text.to_owned();
    for (name, value) in fields {
        if let Value::String(value) = value
            && !name.ends_with("_id")
        {
            all.push(' ');
            all.push_str(value);
        }
    }
    all
}

fn spans(file: &Path, now: f64) -> Result<Vec<Span>, Error> {
    let mut rows = Vec::new();
    for row in read::<Vec<SpanRow>>(file)? {
        if seconds(file, &row.start)? <= now {
            rows.push(row);
        }
    }
    let caller = |at: usize, row: &SpanRow| {
        let parent = row.parent_id.as_ref()?;
        let before = rows.get(..at)?;
        // some rows name their trace only by "same": then it is the nearest above with that id
        let same = rows.iter().position(|r| r.trace_id == row.trace_id && r.span_id == *parent);
        same.or_else(|| before.iter().rposition(|r| r.span_id == *parent)).filter(|found| *found != at)
    };
    Ok(rows
        .iter()
        .enumerate()
        .map(|(at, row)| Span {
            component: row.service.clone(),
            operation: row.name.clone(),
            caller: caller(at, row),
            failed: row.status.eq_ignore_ascii_case("error"),
            error: with_fields("", &row.fields),
        })
        .collect())
}

fn metrics(file: &Path, now: f64) -> Result<Vec<Metric>, Error> {
    let mut reader = csv::Reader::from_path(file).map_err(|e| Error::csv(file, e))?;
    let mut metrics: Vec<Metric> = Vec::new();
    for row in reader.deserialize() {
        let row: MetricRow = row.map_err(|e| Error::csv(file, e))?;
        let time = seconds(file, &row.timestamp)?;
        if time > now {
            continue;
        }
        let known = metrics.iter_mut().rev().find(|m| m.component == row.service && m.name == row.metric);
        match known {
            Some(metric) => metric.samples.push((time, row.value)),
            None => metrics.push(Metric {
                component: row.service,
                name: row.metric,
                samples: vec![(time, row.value)],
            }),
        }
    }
    for metric in &mut metrics {
        metric.samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Ok(metrics)
}

/// Unix seconds of `2026-06-20T13:40:00Z`, with or without a fraction; the set writes UTC throughout.
fn seconds(file: &Path, text: &str) -> Result<f64, Error> {
    let parse = || -> Option<f64> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let numbers = |part: &str, mark: char| {
            part.split(mark).map(|n| n.parse::<f64>().ok()).collect::<Option<Vec<f64>>>()
        };
        let (date, clock) = (numbers(date, '-')?, numbers(clock, ':')?);
        let ([year, month, day], [hour, minute, second]) = (date.as_slice(), clock.as_slice()) else {
            return None;
        };
        // days of the civil calendar from a year that begins in March (H. Hinnant, "chrono-compatible low-level date algorithms")
        let year = if *month <= 2.0 { year - 1.0 } else { *year };
        let era = (year / 400.0).floor();
        let of_era = year - era * 400.0;
        let of_year = ((153.0 * ((month + 9.0) % 12.0) + 2.0) / 5.0).floor() + day - 1.0;
        let days = era * 146_097.0 + of_era * 365.0 + (of_era / 4.0).floor() - (of_era / 100.0).floor()
            + of_year
            - 719_468.0;
        Some(days * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
    };
    parse().ok_or_else(|| Error::layout(file, 0, format!("{text:?} is no moment in UTC")))
}
