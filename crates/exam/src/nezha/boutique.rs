//! Online Boutique: metrics of whole days and edges, traces of some of the minutes around an injection, no logs.
//!
//! Faults follow each other closely. What was recorded before a case's injection is its healthy side; the buckets of it in
//! which users suffered are left out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use autosre::calm::calm;
use autosre::scene::{Channel, Kind, Scene, Series};
use autosre::trace_evidence::Side;
use serde::Deserialize;

use super::{
    BUCKET_SECONDS, DETECTED_AFTER_SECONDS, Label, MARKS, Recorded, files, for_rows, mark, nanos, number,
    pods, ranked,
};
use crate::{Error, Progress, Report, Set, read_lines, sit};

/// The Online Boutique part.
pub struct NezhaOnlineBoutique;

/// The one entry of the system: every trace starts there, and `front_service.csv` tells of it.
const ENTRY: &str = "frontend";
/// Columns of a pod's metrics.
const POD: [&str; 6] = [
    "CpuUsageRate(%)",
    "MemoryUsageRate(%)",
    "PodWorkload(Ops)",
    "PodServerLatencyP90(s)",
    "PodServerLatencyP95(s)",
    "PodServerLatencyP99(s)",
];
/// Columns of what users got.
const FRONT: [&str; 5] =
    ["SuccessRate(%)", "LatencyP50(s)", "LatencyP90(s)", "LatencyP95(s)", "LatencyP99(s)"];
/// Files of earlier traces that are read where a case has none from before its injection: two minutes of all requests hold
/// every path that users take.
const EARLIER_FILES: usize = 2;

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    day: String,
    t_detect: f64,
}

/// A day's metrics, one value per bucket.
struct Day {
    /// The moment of each bucket in seconds.
    times: Vec<f64>,
    front: Vec<[f64; FRONT.len()]>,
    pods: BTreeMap<String, Vec<[f64; POD.len()]>>,
    /// Median seconds of a call by caller and callee, as the caller and as the callee times it.
    waited: BTreeMap<(String, String), Vec<f64>>,
    worked: BTreeMap<(String, String), Vec<f64>>,
    calls: BTreeSet<(String, String)>,
}

impl Set for NezhaOnlineBoutique {
    fn name(&self) -> &'static str {
        "nezha_ob"
    }

    fn about(&self) -> &'static str {
        "which service broke, from metrics of services and edges and some traces"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut days: BTreeMap<String, Day> = BTreeMap::new();
        let mut recordings: Option<Vec<(f64, PathBuf)>> = None;
        sit(
            self.name(),
            &MARKS,
            dir,
            progress,
            |inputs, case: &Case| {
                let day = match days.entry(case.day.clone()) {
                    std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::btree_map::Entry::Vacant(unread) => {
                        unread.insert(Day::read(&inputs.join(&case.day).join("metric"))?)
                    }
                };
                let mut recorded = Recorded::new(ENTRY);
                let known = match &mut recordings {
                    Some(known) => known,
                    unread => unread.insert(traces(inputs)?),
                };
                traced(&mut recorded, known, inputs, case)?;
                day.put(&mut recorded.scene, case.t_detect);
                Ok(ranked(&recorded.scene))
            },
            |label: &Label, answer| mark(label, answer),
        )
    }
}

/// Every file of traces with the second its minute begins.
fn traces(inputs: &Path) -> Result<Vec<(f64, PathBuf)>, Error> {
    let mut known = Vec::new();
    for (_, case) in read_lines::<Case>(&inputs.join("cases.jsonl"))? {
        for file in files(&inputs.join(&case.case).join("trace"))? {
            let minute = file.file_name().and_then(|n| n.to_str()).and_then(|name| {
                let (hour, rest) = name.split_once('_')?;
                let (minute, _) = rest.split_once('_')?;
                moment(&format!("{} {hour}:{minute}:00", case.day))
            });
            if let Some(minute) = minute {
                known.push((minute, file));
            }
        }
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    Ok(known)
}

/// Takes a case's traces, and as their healthy side what ended before its injection: spans of the case itself, the day's
/// fault-free minute, and where there is neither, what was recorded last.
fn traced(
    recorded: &mut Recorded,
    known: &[(f64, PathBuf)],
    inputs: &Path,
    case: &Case,
) -> Result<(), Error> {
    let onset = case.t_detect - DETECTED_AFTER_SECONDS;
    let (before, until) = (nanos(onset), nanos(case.t_detect));
    let healthy = Cell::new(0_u64);
    let side = |start: u64, end: u64| {
        if end < before {
            healthy.set(healthy.get() + 1);
            return Some(Side::Healthy);
        }
        (start >= before && end <= until).then_some(Side::Degraded)
    };
    for file in files(&inputs.join(&case.case).join("trace"))? {
        recorded.spans(&file, side)?;
    }
    let earlier = |start: u64, end: u64| side(start, end).filter(|side| *side == Side::Healthy);
    for file in files(&inputs.join(&case.day).join("normal_trace"))? {
        recorded.spans(&file, earlier)?;
    }
    if healthy.get() == 0 {
        let last = known.iter().rev().filter(|(minute, _)| *minute < onset).take(EARLIER_FILES);
        for (_, file) in last {
            recorded.spans(file, earlier)?;
        }
    }
    let Recorded { scene, evidence, .. } = recorded;
    evidence.testify(scene);
    Ok(())
}

impl Day {
    fn read(dir: &Path) -> Result<Self, Error> {
        let mut day = Self {
            times: Vec::new(),
            front: Vec::new(),
            pods: BTreeMap::new(),
            waited: BTreeMap::new(),
            worked: BTreeMap::new(),
            calls: BTreeSet::new(),
        };
        let [success, p50, p90, p95, p99] = FRONT;
        for_rows(
            &dir.join("front_service.csv"),
            &["Time", success, p50, p90, p95, p99],
            |[time, row @ ..]| {
                if let Some(time) = moment(time) {
                    day.times.push(time);
                    day.front.push(row.map(number));
                }
            },
        )?;
        let [cpu, memory, load, p90, p95, p99] = POD;
        for (service, file) in pods(dir)? {
            let mut rows = vec![[f64::NAN; POD.len()]; day.times.len()];
            for_rows(&file, &["Time", cpu, memory, load, p90, p95, p99], |[time, row @ ..]| {
                if let Some(at) = day.bucket(time).and_then(|at| rows.get_mut(at)) {
                    *at = row.map(number);
                }
            })?;
            day.pods.insert(service, rows);
        }
        day.waited = edges(&dir.join("source_50.csv"), &day)?;
        day.worked = edges(&dir.join("destination_50.csv"), &day)?;
        for_rows(&dir.join("dependency.csv"), &["Source", "Target"], |[from, to]| {
            day.calls.insert((from.to_owned(), to.to_owned()));
        })?;
        // targets that are no service are machines
        day.calls.retain(|(from, to)| day.pods.contains_key(from) && day.pods.contains_key(to));
        Ok(day)
    }

    /// The bucket of a row's time: rows of one minute are taken within a second of one another.
    fn bucket(&self, time: &str) -> Option<usize> {
        let place = (moment(time)? - self.times.first()?) / BUCKET_SECONDS;
        (place > -0.5).then(|| place.round() as usize)
    }

    /// Puts a case's metrics on a scene.
    fn put(&self, scene: &mut Scene, t_detect: f64) {
        let onset = t_detect - DETECTED_AFTER_SECONDS;
        let before = self.times.partition_point(|t| *t < onset);
        let until = self.times.partition_point(|t| *t <= t_detect);
        let front = self.front.get(..until).unwrap_or_default();
        let failing: Vec<f64> = front.iter().map(|[success, ..]| 1.0 - success / 100.0).collect();
        let slow: Vec<f64> =
            front.iter().map(|[_, p50, p90, p95, p99]| 1e3 * mean([*p50, *p90, *p95, *p99])).collect();
        let well = calm(&[failing.get(..before).unwrap_or_default(), slow.get(..before).unwrap_or_default()]);
        let series = |values: &[f64]| Series {
            healthy: values.iter().zip(&well).filter(|(_, well)| **well).map(|(v, _)| *v).collect(),
            lead: Vec::new(),
            degraded: values.get(before..until).unwrap_or_default().to_vec(),
        };
        let entry = scene.target.component;
        scene.sample(entry, Channel::ErrorRatio, series(&failing));
        scene.sample(entry, Channel::Latency, series(&slow));
        for (service, rows) in &self.pods {
            let spot = scene.add(service, Kind::Service);
            let rows = rows.get(..until).unwrap_or_default();
            let column = |i: usize| rows.iter().map(|row| row[i]).collect::<Vec<f64>>();
            scene.sample(spot, Channel::Cpu, series(&column(0)));
            scene.sample(spot, Channel::Memory, series(&column(1)));
            let requests: Vec<f64> = column(2).iter().map(|ops| ops * BUCKET_SECONDS).collect();
            scene.sample(spot, Channel::Requests, series(&requests));
            if spot == entry {
                continue;
            }
            let into = |edges: &BTreeMap<(String, String), Vec<f64>>, at: usize| {
                let of = edges.iter().filter(|((_, to), _)| to == service).filter_map(|(_, v)| v.get(at));
                let (sum, n) =
                    of.filter(|v| v.is_finite()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
                sum / n
            };
            // as callers feel it: the work and what comes on top between the two
            let felt: Vec<f64> = rows
                .iter()
                .enumerate()
                .map(|(at, [_, _, _, p90, p95, p99])| {
                    let (worked, waited) = (into(&self.worked, at), into(&self.waited, at));
                    1e3 * (mean([worked, *p90, *p95, *p99]) + waited - worked)
                })
                .collect();
            scene.sample(spot, Channel::Latency, series(&felt));
        }
        for (from, to) in &self.calls {
            let callers = self.calls.iter().filter(|(_, callee)| callee == to).count();
            let (Some(caller), Some(callee)) = (scene.find(from), scene.find(to)) else { continue };
            let requests = scene.component(callee).series.get(&Channel::Requests).cloned();
            let edge = scene.calls(caller, callee, None);
            // what only one asks of a service is what that one asks
            edge.requests = requests.filter(|_| callers == 1);
            let key = (from.clone(), to.clone());
            if let (Some(waited), Some(worked)) = (self.waited.get(&key), self.worked.get(&key)) {
                let gap: Vec<f64> = waited
                    .iter()
                    .zip(worked)
                    .take(until)
                    .map(|(waited, worked)| 1e3 * (waited - worked))
                    .collect();
                edge.gap = Some(series(&gap));
            }
        }
    }
}

/// Columns `from_to` of a file by bucket.
fn edges(file: &Path, day: &Day) -> Result<BTreeMap<(String, String), Vec<f64>>, Error> {
    let failed = |error| Error::csv(file, error);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let mut edges = BTreeMap::new();
    let mut names = Vec::new();
    for (at, name) in header.iter().enumerate() {
        if let Some((from, to)) = name.split_once('_') {
            names.push((at, (from.to_owned(), to.to_owned())));
        }
    }
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let Some(bucket) = record.get(0).and_then(|time| day.bucket(time)) else { continue };
        for (at, edge) in &names {
            let values: &mut Vec<f64> =
                edges.entry(edge.clone()).or_insert_with(|| vec![f64::NAN; day.times.len()]);
            if let Some(value) = values.get_mut(bucket) {
                *value = record.get(*at).map_or(f64::NAN, number);
            }
        }
    }
    Ok(edges)
}

/// The mean of a quantity of which four quantiles (.5, .9, .95, .99) are known, by trapezoids.
fn mean([p50, p90, p95, p99]: [f64; 4]) -> f64 {
    0.5 * 0.5 * p50
        + 0.4 * 0.5 * (p50 + p90)
        + 0.05 * 0.5 * (p90 + p95)
        + 0.04 * 0.5 * (p95 + p99)
        + 0.01 * p99
}

/// Seconds of `2022-08-22 03:51:19…`, UTC. The numeric column of this set is not the time.
fn moment(text: &str) -> Option<f64> {
    let field = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    // days from the civil date, with the year beginning in March (Hinnant)
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
        - 1
        - 719_468;
    Some((86_400 * days + 3_600 * hour + 60 * minute + second) as f64)
}
