//! RootCauseBench (Edge Delta, v2): constructed incidents with commits, deployments, flags, alerts, logs, metrics and traces, to the commit
//! that caused them, or to none.
//!
//! The moment of the question is when the alert fired: of what bears a time, nothing later is read. `patterns.json` bears none and is
//! read as it is; flags are not read.

use std::collections::BTreeSet;
use std::path::Path;

use autosre::commit::{
    Alarm, Commit, CommitJudge, CommitScene, Deployment, Line, Metric, Outside, Pattern, Remedy, Tone,
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
    let name = |at: Option<usize>| at.and_then(|at| scene.commits.get(at)).map_or(NONE, |c| c.id.as_str());
    let lines = judged.verdicts.iter().map(|v| {
        let told: Vec<String> =
            v.evidence.iter().map(|e| format!("{} {:+.1} ({})", e.channel, e.llr, e.note)).collect();
        format!("{} {:.2}: {}", name(v.commit), v.probability, told.join("; "))
    });
    let best = judged.verdicts.first();
    Ok(Answer {
        commit: name(best.and_then(|v| v.commit)).to_owned(),
        remedy: best.map_or(NONE, |v| word(v.remedy)),
        lines: lines.collect(),
        first: judged.first,
        suffering: judged.suffering,
    })
}

/// The set's word for a remedy.
fn word(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::RollBack => "rollback",
        Remedy::RevertSetting => "config-revert",
        Remedy::Outside(Some(Outside::Certificate)) => "rotate-cert",
        Remedy::Outside(Some(Outside::Data)) => "purge-bad-data",
        Remedy::Outside(Some(Outside::Machine)) => "reschedule",
        Remedy::Outside(Some(Outside::Surge | Outside::Quota)) => "scale",
        Remedy::Outside(Some(Outside::Network | Outside::Provider) | None) => "escalate-upstream",
    }
}

#[derive(Debug, Deserialize)]
struct AlertRow {
    service: String,
    metric: String,
    fired_at: String,
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
struct FeedRows {
    #[serde(default)]
    events: Vec<FeedRow>,
}

#[derive(Debug, Deserialize)]
struct FeedRow {
    timestamp: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    detail: String,
}

#[derive(Debug, Deserialize)]
struct SpanRow {
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
            text: format!("{} {}", alert.summary, alert.detail),
        },
        ..CommitScene::default()
    };
    let file = dir.join("context/commits.json");
    for row in read::<Vec<CommitRow>>(&file)? {
        let made = seconds(&file, &row.timestamp)?;
        if made <= now {
            let CommitRow { sha: id, files_changed: files, diff, .. } = row;
            scene.commits.push(Commit { id, made, files, diff });
        }
    }
    let file = dir.join("context/deploys.json");
    for row in read::<Vec<DeployRow>>(&file)? {
        let time = seconds(&file, &row.timestamp)?;
        if time <= now {
            scene.deployments.push(Deployment { time, component: row.service, commit: row.commit_sha });
        }
    }
    for row in read::<Vec<PatternRow>>(&dir.join("patterns.json"))? {
        let risen = match &row.delta_vs_baseline {
            Value::Number(n) => n.as_f64(),
            Value::String(s) => s.trim().trim_start_matches('+').parse().ok(),
            _ => None,
        };
        if row.sentiment == "negative" && risen.is_some_and(|risen| risen > 0.0) {
            scene.patterns.push(Pattern { component: row.service, text: row.signature });
        }
    }
    scene.lines = lines(&dir.join("logs.ndjson"), now)?;
    scene.lines.extend(failures(&dir.join("traces.json"), now)?);
    scene.lines.sort_by(|a, b| a.time.total_cmp(&b.time));
    scene.notices = notices(&dir.join("status_feed.json"), now)?;
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
        let tone = match row.severity_text.to_uppercase().as_str() {
            "WARN" | "WARNING" => Tone::Warning,
            "ERROR" | "FATAL" | "CRITICAL" | "PANIC" => Tone::Error,
            _ => Tone::Neutral,
        };
        lines.push(Line { time, component: row.service, tone, text: with_fields(&row.msg, &row.fields) });
    }
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

/// Steps of traces that failed, as lines: what was asked and what came of it.
fn failures(file: &Path, now: f64) -> Result<Vec<Line>, Error> {
    let mut lines = Vec::new();
    for row in read::<Vec<SpanRow>>(file)? {
        let time = seconds(file, &row.start)?;
        if time <= now && row.status.eq_ignore_ascii_case("error") {
            let text = with_fields(&row.name, &row.fields);
            lines.push(Line { time, component: row.service, tone: Tone::Warning, text });
        }
    }
    Ok(lines)
}

/// What the platform said of itself; most cases have no such file.
fn notices(file: &Path, now: f64) -> Result<Vec<String>, Error> {
    let mut notices = Vec::new();
    if file.exists() {
        for row in read::<FeedRows>(file)?.events {
            if seconds(file, &row.timestamp)? <= now {
                notices.push(format!("{} {}", row.status, row.detail));
            }
        }
    }
    Ok(notices)
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITS: &str = r#"[
        {"sha": "c0ffee", "timestamp": "2026-03-01T09:40:00Z", "files_changed": ["services/till/pool.yaml"],
         "diff": "@@ services/till/pool.yaml @@\n-  pool_size: 40\n+  pool_size: 4\n"},
        {"sha": "decade", "timestamp": "2026-03-01T09:50:00Z", "files_changed": ["services/till/print.go"],
         "diff": "@@ services/till/print.go @@\n-\tlog.Info(\"pool\")\n+\tlog.Debug(\"pool\")\n"}]"#;
    const DEPLOYS: &str = r#"[
        {"timestamp": "2026-03-01T09:45:00Z", "service": "till", "commit_sha": "c0ffee", "version": "1"},
        {"timestamp": "2026-03-01T09:55:00Z", "service": "till", "commit_sha": "decade", "version": "2"}]"#;
    const LABEL: &str = r#"{"case": "one", "root_cause_commit": "c0ffee", "first_failing_service": "till", "blast_radius": ["door"],
        "remediation": "config-revert", "decoy_deploy_commits": ["decade"]}"#;

    #[test]
    fn a_smaller_pool_is_blamed_for_an_empty_one_and_nothing_after_the_alarm_is_read() {
        let root = std::env::temp_dir().join(format!("exam-rootcausebench-{}", std::process::id()));
        let dir = root.join("inputs/one");
        std::fs::create_dir_all(dir.join("context")).unwrap();
        let mut metrics = String::from("timestamp,service,metric,value\n");
        for minute in 0..60 {
            let value = if minute < 50 { 0.01 } else { 0.7 };
            metrics += &format!("2026-03-01T09:{minute:02}:00Z,till,error_ratio,{value}\n");
        }
        metrics += "2026-03-01T10:05:00Z,till,error_ratio,0.01\n";
        let files = [
            (
                "alert.json",
                r#"{"service": "till", "metric": "error_ratio", "fired_at": "2026-03-01T10:00:00Z",
                    "summary": "till errors above 5%"}"#,
            ),
            ("metrics.csv", metrics.as_str()),
            (
                "logs.ndjson",
                r#"{"timestamp": "2026-03-01T09:51:00Z", "service": "till", "severity_text": "ERROR", "msg": "pool exhausted"}"#,
            ),
            (
                "traces.json",
                r#"[{"service": "door", "name": "GET /pay", "start": "2026-03-01T09:52:00.5Z", "status": "ERROR"}]"#,
            ),
            (
                "patterns.json",
                r#"[{"signature": "pool exhausted: no connection", "service": "till", "delta_vs_baseline": "+9", "sentiment": "negative"},
                    {"signature": "till is slow", "service": "door", "delta_vs_baseline": 4, "sentiment": "negative"}]"#,
            ),
            ("context/commits.json", COMMITS),
            ("context/deploys.json", DEPLOYS),
        ];
        for (name, text) in files {
            std::fs::write(dir.join(name), text).unwrap();
        }
        std::fs::write(root.join("inputs/cases.jsonl"), "{\"case\":\"one\"}\n").unwrap();
        std::fs::write(root.join("labels.jsonl"), LABEL.replace('\n', " ")).unwrap();
        let report = RootCauseBench.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        let report = report.unwrap();
        assert_eq!((report.metric("pass"), report.metric("decoys")), (Some(1.0), Some(0.0)), "{report:?}");
        let answer = answer_of(&report);
        assert!(answer.contains("mechanism") && answer.contains("pool_size goes from 40 to 4"), "{answer}");
    }

    fn answer_of(report: &Report) -> String {
        report.per_case.iter().flat_map(|c| c.answer.clone()).collect()
    }

    #[test]
    fn a_moment_that_is_not_in_utc_is_refused() {
        let file = Path::new("x");
        assert_eq!(seconds(file, "1970-01-02T00:00:01.5Z").ok(), Some(86_401.5));
        assert!(seconds(file, "2026-03-01T10:00:00+01:00").is_err());
    }
}
