//! ChangeRCA (FSE'24): bad canaries of Online Boutique, to the rollout in flight that is to blame.
//!
//! Rows up to two minutes after the detection are read, as the set's rule allows; steps that were finished later are not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autosre::change::{ChangeJudge, ChangeScene, Contrast, Link, Measure, Rollout, Sample};
use serde::Deserialize;

use crate::{Error, Progress, Report, Set, Standing, sit};

/// The set.
pub struct ChangeRca;

/// Seconds after the detection that the set's rule allows to be read.
const ALLOWED_SECONDS: f64 = 120.0;
/// Seconds from row to row.
const BUCKET_SECONDS: f64 = 60.0;
/// Rank of a truth that is not in the answer, by the set's rule.
const ABSENT_RANK: f64 = 10.0;

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    t_detect: f64,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_change: String,
}

#[derive(Debug, Deserialize)]
struct Changes {
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    service: String,
    release_time: f64,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    time: f64,
    complete_time: f64,
    v1: f64,
    v2: f64,
    release_pods: Vec<String>,
    delete_pods: Vec<String>,
}

impl Set for ChangeRca {
    fn name(&self) -> &'static str {
        "changerca"
    }

    fn about(&self) -> &'static str {
        "which of several canary rollouts in flight is bad"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut report = sit(
            self.name(),
            &["hr1", "hr3", "mean_rank"],
            dir,
            progress,
            |inputs, case: &Case| {
                let scene = scene(&inputs.join(&case.case), case.t_detect)?;
                let name = |i: usize| scene.rollouts.get(i).map(|r| r.component.clone()).unwrap_or_default();
                let judged = ChangeJudge.judge(&scene);
                Ok(judged.iter().filter_map(|j| j.rollout.map(|i| (name(i), j.score))).collect::<Vec<_>>())
            },
            |label: &Label, answer| {
                let standing = Standing::of(answer, |service| *service == label.root_cause_change);
                let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
                let rank = standing.map_or(ABSENT_RANK, Standing::rank);
                vec![("hr1", hit(1)), ("hr3", hit(3)), ("mean_rank", rank)]
            },
        )?;
        // a rank is no share
        report.intervals.retain(|(name, _)| *name != "mean_rank");
        Ok(report)
    }
}

/// Reads a case's folder up to the last moment allowed.
fn scene(dir: &Path, t_detect: f64) -> Result<ChangeScene, Error> {
    let now = t_detect + ALLOWED_SECONDS;
    let file = dir.join("changes.json");
    let text = std::fs::read_to_string(&file).map_err(|source| Error::Read { file: file.clone(), source })?;
    let changes: Changes =
        serde_json::from_str(&text).map_err(|e| Error::layout(&file, e.line() as u64, e.to_string()))?;
    let pods = pods(dir)?;
    let mut rollouts = Vec::new();
    for change in &changes.changes {
        rollouts.push(rollout(change, &pods, now)?);
    }
    let mut links: BTreeMap<(String, String), Vec<Sample>> = BTreeMap::new();
    for side in ["source_success.csv", "destination_success.csv"] {
        sides(&dir.join(side), now, &mut links)?;
    }
    let links = links
        .into_iter()
        .map(|((from, to), mut success)| {
            success.sort_by(|a, b| a.time.total_cmp(&b.time));
            Link { from, to, success }
        })
        .collect();
    Ok(ChangeScene { rollouts, links, noticed: t_detect, now, bucket_seconds: BUCKET_SECONDS })
}

/// One file of one pod: the pod, and the edge as seen there.
struct PodFile {
    pod: String,
    from: String,
    to: String,
    path: PathBuf,
}

fn pods(dir: &Path) -> Result<Vec<PodFile>, Error> {
    let read = |source| Error::Read { file: dir.to_owned(), source };
    let mut pods = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".csv"))
        else {
            continue;
        };
        if let [pod, from, to] = name.split('_').collect::<Vec<_>>().as_slice()
            && pod.contains('-')
        {
            let (pod, from, to) = ((*pod).to_owned(), (*from).to_owned(), (*to).to_owned());
            pods.push(PodFile { pod, from, to, path });
        }
    }
    pods.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pods)
}

fn rollout(change: &Change, pods: &[PodFile], now: f64) -> Result<Rollout, Error> {
    let done: Vec<&Step> = change.steps.iter().filter(|s| s.complete_time <= now).collect();
    let new: Vec<&String> = done.iter().flat_map(|s| &s.release_pods).collect();
    let mut contrasts: BTreeMap<(String, String, bool), Contrast> = BTreeMap::new();
    let mut heard: Vec<&str> = Vec::new();
    for file in pods.iter().filter(|f| f.pod.starts_with(&format!("{}-v", change.service))) {
        let fresh = file.pod.starts_with(&format!("{}-v2-", change.service));
        // the rows of a pod that is replaced go on with those of its successor: they end where its step begins
        let gone =
            change.steps.iter().find(|s| s.delete_pods.contains(&file.pod)).map_or(now, |s| s.time.min(now));
        let rows = rows(&file.path, if fresh { now } else { gone })?;
        if fresh && !rows.is_empty() && new.contains(&&file.pod) && !heard.contains(&file.pod.as_str()) {
            heard.push(&file.pod);
        }
        let (edge, serving) = (format!("{} to {}", file.from, file.to), file.to == change.service);
        for (i, measure) in
            [if serving { Measure::Served } else { Measure::Asked }, Measure::Latency].into_iter().enumerate()
        {
            // latency is the pod's own, the same for every edge
            if measure == Measure::Latency && !serving {
                continue;
            }
            let contrast =
                contrasts.entry((file.from.clone(), file.to.clone(), i == 1)).or_insert_with(|| Contrast {
                    measure,
                    about: edge.clone(),
                    new: Vec::new(),
                    old: Vec::new(),
                });
            let side = if fresh { &mut contrast.new } else { &mut contrast.old };
            side.extend(rows.iter().map(|r| Sample { time: r[0], value: r[1 + i], requests: None }));
        }
    }
    for contrast in contrasts.values_mut() {
        contrast.new.sort_by(|a, b| a.time.total_cmp(&b.time));
        contrast.old.sort_by(|a, b| a.time.total_cmp(&b.time));
    }
    Ok(Rollout {
        name: format!("{} v2", change.service),
        component: change.service.clone(),
        started: change.release_time,
        exposure: done.iter().map(|s| (s.complete_time, s.v2 / (s.v1 + s.v2).max(1.0))).collect(),
        copies: (!new.is_empty()).then(|| (count(new.len()), count(heard.len()))),
        contrasts: contrasts.into_values().collect(),
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Time, success as a share, latency, of every row up to `until`.
fn rows(path: &Path, until: f64) -> Result<Vec<[f64; 3]>, Error> {
    let failed = |error| Error::csv(path, error);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let place = |name: &str| {
        let found = header.iter().position(|h| h == name);
        found.ok_or_else(|| Error::layout(path, 1, format!("there is no column {name}")))
    };
    let (time, success, latency) = (place("Timestamp")?, place("SuccessRate")?, place("Latency")?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let number = |at: usize| record.get(at).and_then(|v| v.parse::<f64>().ok()).unwrap_or(f64::NAN);
        if number(time) <= until {
            rows.push([number(time), number(success) / 100.0, number(latency)]);
        }
    }
    Ok(rows)
}

/// Success by edge, one column each (`from_to`).
fn sides(path: &Path, until: f64, links: &mut BTreeMap<(String, String), Vec<Sample>>) -> Result<(), Error> {
    let failed = |error| Error::csv(path, error);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let number = |at: usize| record.get(at).and_then(|v| v.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let time = number(1);
        if time > until {
            continue;
        }
        for (at, name) in header.iter().enumerate().skip(2) {
            let Some((from, to)) = name.split_once('_') else { continue };
            let sample = Sample { time, value: number(at) / 100.0, requests: None };
            links.entry((from.to_owned(), to.to_owned())).or_default().push(sample);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTED: i64 = 1_700_000_000;

    fn pod(dir: &Path, name: &str, minutes: std::ops::RangeInclusive<i64>, success: &str) {
        let mut text = String::from("Time,Timestamp,SuccessRate,Latency,CPUUsageRate(%)\n");
        for minute in minutes {
            text += &format!("-,{},{success},2.5,40\n", DETECTED + 60 * minute);
        }
        std::fs::write(dir.join(name), text).unwrap();
    }

    /// Two rollouts in flight, with the success rates of their new copies.
    fn sat(name: &str, rate_of_cart: &str, rate_of_mail: &str) -> Report {
        let root = std::env::temp_dir().join(format!("exam-changerca-{name}-{}", std::process::id()));
        let dir = root.join("inputs/one");
        std::fs::create_dir_all(&dir).unwrap();
        let change = |service: &str| {
            let (started, ready) = (DETECTED - 150, DETECTED - 90);
            format!(
                r#"{{"service":"{service}","release_time":{started},"released_after_detect":false,"target_replica":3,"steps":[
                {{"time":{started},"complete_time":{ready},"v1":2,"v2":1,"release_pods":["{service}-v2-b"],"delete_pods":["{service}-v1-b"]}},
                {{"time":{started},"complete_time":{},"v1":0,"v2":3,"release_pods":["{service}-v2-c"],"delete_pods":["{service}-v1-a"]}}]}}"#,
                DETECTED + 900
            )
        };
        std::fs::write(
            dir.join("changes.json"),
            format!(r#"{{"changes":[{},{}]}}"#, change("cart"), change("mail")),
        )
        .unwrap();
        for (service, rate) in [("cart", rate_of_cart), ("mail", rate_of_mail)] {
            pod(&dir, &format!("{service}-v1-a_web_{service}.csv"), -20..=15, "100");
            // a replaced pod's rows go on with its successor's
            pod(&dir, &format!("{service}-v1-b_web_{service}.csv"), -20..=15, rate);
            pod(&dir, &format!("{service}-v2-b_web_{service}.csv"), -1..=15, rate);
        }
        for side in ["source", "destination"] {
            let mut text = String::from("time,timestamp,web_cart,web_mail\n");
            for minute in -20..=15 {
                let success = if (0..=2).contains(&minute) && rate_of_cart != "100" { "78" } else { "100" };
                text += &format!("-,{},{success},\n", DETECTED + 60 * minute);
            }
            std::fs::write(dir.join(format!("{side}_success.csv")), text).unwrap();
        }
        std::fs::write(
            root.join("inputs/cases.jsonl"),
            format!("{{\"case\":\"one\",\"t_detect\":{DETECTED}}}\n"),
        )
        .unwrap();
        std::fs::write(root.join("labels.jsonl"), "{\"case\":\"one\",\"root_cause_change\":\"cart\"}\n")
            .unwrap();
        let report = ChangeRca.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        report.unwrap()
    }

    #[test]
    fn the_rollout_whose_new_copy_fails_is_named_first() {
        let report = sat("cart", "33.3", "100");
        assert_eq!(report.metric("hr1"), Some(1.0), "{report:?}");
        assert_eq!(report.metric("mean_rank"), Some(1.0));
    }

    #[test]
    fn rollouts_that_look_alike_share_the_first_rank() {
        assert_eq!(sat("alike", "100", "100").metric("hr1"), Some(0.5));
    }
}
