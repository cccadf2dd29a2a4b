//! PetShop (CLeaR 2024): a call graph and five-minute metrics, to the node that was broken.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use autosre::rank::{GraphRanker, Ranker};
use autosre::scene::{Aspect, Channel, Kind, Scene, Series};
use serde::Deserialize;

use crate::{Error, Progress, Report, Set, Standing, sit};

/// The set.
pub struct PetShop;

/// Rows before the alarm in every case file.
const LEAD_ROWS: usize = 2;
/// Rows of a case file from the alarm on.
const CASE_ROWS: usize = 3;
/// Seconds from row to row.
const BUCKET_SECONDS: f64 = 300.0;

#[derive(Debug, Deserialize)]
struct Case {
    file: PathBuf,
    scenario: String,
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    node: String,
    metric: Metric,
    timestamp: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Metric {
    Latency,
    Availability,
}

/// From the set's unit to the scene's.
type Unit = fn(f64) -> f64;

impl Metric {
    fn aspect(self) -> Aspect {
        match self {
            Metric::Latency => Aspect::Latency,
            Metric::Availability => Aspect::Errors,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause: RootCause,
}

#[derive(Debug, Deserialize)]
struct RootCause {
    node: String,
}

impl Set for PetShop {
    fn name(&self) -> &'static str {
        "petshop"
    }

    fn about(&self) -> &'static str {
        "which node of a call graph broke, from five-minute metrics"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut normal: BTreeMap<String, (CallGraph, Table)> = BTreeMap::new();
        let mut targets: BTreeMap<String, String> = BTreeMap::new();
        let mut report = sit(
            self.name(),
            &["top1", "top3"],
            dir,
            progress,
            |inputs, case: &Case| {
                if !normal.contains_key(&case.scenario) {
                    let folder = inputs.join(&case.scenario);
                    let graph = CallGraph::read(&folder.join("graph.csv"))?;
                    let healthy = Table::read(&folder.join("noissue_metrics.csv"))?;
                    normal.insert(case.scenario.clone(), (graph, healthy));
                    targets.insert(case.scenario.clone(), case.target.node.clone());
                }
                let (graph, healthy) = &normal[&case.scenario];
                let table = Table::read(&inputs.join(&case.file))?;
                let Target { node, metric, timestamp } = &case.target;
                Ok(ranked(&scene(graph, healthy, &table, node, metric.aspect(), *timestamp)))
            },
            |label: &Label, answer: &Vec<(String, f64)>| {
                let standing = Standing::of(answer, |node| *node == label.root_cause.node);
                let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
                vec![("top1", hit(1)), ("top3", hit(3))]
            },
        )?;
        let (silent, windows) = normal
            .iter()
            .map(|(scenario, (graph, healthy))| silence(graph, healthy, &targets[scenario]))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if windows > 0 {
            report.metrics.push(("specificity", f64::from(silent) / f64::from(windows)));
            report
                .intervals
                .push(("specificity", crate::share_interval(f64::from(silent), windows as usize)));
        }
        Ok(report)
    }
}

fn ranked(scene: &Scene) -> Vec<(String, f64)> {
    let name = |spot| scene.component(spot).name.clone();
    GraphRanker.rank(scene).candidates.iter().map(|c| (name(c.component), c.score)).collect()
}

/// How many windows of normal operation get an empty answer, of how many: every stretch as long as a case, in both
/// metrics, against the rest of normal operation.
fn silence(graph: &CallGraph, healthy: &Table, target: &str) -> (u32, u32) {
    let (mut silent, mut windows) = (0, 0);
    let rows = LEAD_ROWS + CASE_ROWS;
    for start in (0..(healthy.rows.len() + 1).saturating_sub(rows)).step_by(rows) {
        let window = start..start + rows;
        let (case, rest) = (healthy.only(window.clone()), healthy.without(&window));
        for aspect in [Aspect::Latency, Aspect::Errors] {
            let scene = scene(graph, &rest, &case, target, aspect, case.times[LEAD_ROWS]);
            silent += u32::from(ranked(&scene).is_empty());
            windows += 1;
        }
    }
    (silent, windows)
}

/// Columns (component, metric, statistic) and rows (time, values; NaN where empty).
#[derive(Clone, Debug, Default)]
struct Table {
    columns: BTreeMap<(String, String, String), usize>,
    times: Vec<f64>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    /// Reads the three header rows, skips what has no time, and takes the rest.
    fn read(path: &Path) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_path(path)
            .map_err(|e| Error::csv(path, e))?;
        let mut header: Vec<Vec<String>> = Vec::new();
        let mut table = Self::default();
        for record in reader.records() {
            let record = record.map_err(|e| Error::csv(path, e))?;
            if header.len() < 3 {
                header.push(record.iter().map(str::to_owned).collect());
                continue;
            }
            let Some(time) = record.get(0).and_then(|t| t.parse().ok()) else { continue };
            table.times.push(time);
            table.rows.push(record.iter().skip(1).map(|v| v.parse().unwrap_or(f64::NAN)).collect());
        }
        if let [components, metrics, statistics] = header.as_slice() {
            for (i, ((c, m), s)) in components.iter().zip(metrics).zip(statistics).enumerate().skip(1) {
                table.columns.insert((c.clone(), m.clone(), s.clone()), i - 1);
            }
        }
        Ok(table)
    }

    /// The rows of this table in two: those inside the stretch and those outside.
    fn without(&self, stretch: &Range<usize>) -> Self {
        let keep = |i: &usize| !stretch.contains(i);
        Self {
            columns: self.columns.clone(),
            times: (0..self.times.len()).filter(keep).map(|i| self.times[i]).collect(),
            rows: (0..self.rows.len()).filter(keep).map(|i| self.rows[i].clone()).collect(),
        }
    }

    fn only(&self, stretch: Range<usize>) -> Self {
        Self {
            columns: self.columns.clone(),
            times: self.times[stretch.clone()].to_vec(),
            rows: self.rows[stretch].to_vec(),
        }
    }

    fn column(&self, component: &str, metric: &str, statistic: &str) -> Option<Vec<f64>> {
        let key = (component.to_owned(), metric.to_owned(), statistic.to_owned());
        let at = *self.columns.get(&key)?;
        Some(self.rows.iter().map(|r| r.get(at).copied().unwrap_or(f64::NAN)).collect())
    }
}

/// Who calls whom.
#[derive(Clone, Debug, Default)]
struct CallGraph {
    names: Vec<String>,
    calls: Vec<(usize, usize)>,
}

impl CallGraph {
    /// Reads a square adjacency matrix: the row calls the column.
    fn read(path: &Path) -> Result<Self, Error> {
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(|e| Error::csv(path, e))?;
        let names: Vec<String> =
            reader.headers().map_err(|e| Error::csv(path, e))?.iter().skip(1).map(str::to_owned).collect();
        let mut calls = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| Error::csv(path, e))?;
            let Some(caller) = record.get(0).and_then(|n| names.iter().position(|m| m == n)) else {
                continue;
            };
            for (callee, cell) in record.iter().skip(1).enumerate() {
                if cell.parse::<f64>().is_ok_and(|x| x != 0.0) {
                    calls.push((caller, callee));
                }
            }
        }
        Ok(Self { names, calls })
    }
}

/// Rows before `onset` are the lead, the rest is degraded: upstream looks from the third row on, which is the first
/// that ends after the alarm.
fn scene(
    graph: &CallGraph,
    healthy: &Table,
    case: &Table,
    target: &str,
    aspect: Aspect,
    onset: f64,
) -> Scene {
    let mut scene = Scene::new(target, Kind::Service, Some(aspect), BUCKET_SECONDS);
    let split = case.times.iter().filter(|t| **t < onset).count();
    for name in &graph.names {
        scene.add(name, Kind::Service);
    }
    for &(caller, callee) in &graph.calls {
        let (caller, callee) =
            (scene.add(&graph.names[caller], Kind::Service), scene.add(&graph.names[callee], Kind::Service));
        scene.calls(caller, callee, None);
    }
    let metrics: [(Channel, &str, &str, Unit); 3] = [
        (Channel::Requests, "requests", "Sum", |r| r),
        (Channel::Latency, "latency", "Average", |s| s),
        (Channel::ErrorRatio, "availability", "Average", |percent| 1.0 - percent / 100.0),
    ];
    for name in &graph.names {
        let Some(spot) = scene.find(name) else { continue };
        for (channel, metric, statistic, convert) in metrics {
            let Some(now) = case.column(name, metric, statistic) else { continue };
            let before =
                healthy.column(name, metric, statistic).unwrap_or_else(|| vec![f64::NAN; healthy.rows.len()]);
            let (lead, degraded) = now.split_at(split.min(now.len()));
            let converted = |values: &[f64]| values.iter().copied().map(convert).collect();
            let series =
                Series { healthy: converted(&before), lead: converted(lead), degraded: converted(degraded) };
            scene.sample(spot, channel, series);
        }
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three nodes, `front` calls `search` calls `table`; columns are requests, latency and availability of each.
    fn table(rows: impl Iterator<Item = [f64; 9]>) -> String {
        let mut text = String::new();
        let nodes = ["front", "search", "the \"table\", prod"];
        let quoted = |n: &str| format!("\"{}\"", n.replace('"', "\"\""));
        for (label, cells) in [
            ("microservice", nodes.iter().map(|n| quoted(n)).flat_map(|n| vec![n; 3]).collect::<Vec<_>>()),
            (
                "metric",
                ["requests", "latency", "availability"].repeat(3).iter().map(|m| (*m).to_owned()).collect(),
            ),
            ("statistic", ["Sum", "Average", "Average"].repeat(3).iter().map(|m| (*m).to_owned()).collect()),
            ("unix_timestamp", vec![String::new(); 9]),
        ] {
            text += &format!("{label},{}\n", cells.join(","));
        }
        for (i, row) in rows.enumerate() {
            // an empty cell now and then, as the set has them
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(j, v)| if (i * 9 + j) % 97 == 96 { String::new() } else { v.to_string() })
                .collect();
            text += &format!("{}.0,{}\n", 1_000_000 + 300 * i, cells.join(","));
        }
        text
    }

    fn usual(i: usize) -> [f64; 9] {
        let wobble = |k: usize| 1.0 + 0.02 * ((i * k) as f64).sin();
        [480.0, 0.09 * wobble(3), 100.0, 780.0, 0.006 * wobble(5), 100.0, 800.0, 0.003 * wobble(7), 100.0]
    }

    #[test]
    fn a_slow_table_is_found_and_normal_operation_stays_silent() {
        let dir = std::env::temp_dir().join(format!("exam-petshop-{}", std::process::id()));
        let folder = dir.join("inputs/quiet");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("graph.csv"),
            ",front,search,\"the \"\"table\"\", prod\"\nfront,0,1,0\nsearch,0,0,1\n\"the \"\"table\"\", prod\",0,0,0\n",
        )
        .unwrap();
        std::fs::write(folder.join("noissue_metrics.csv"), table((0..200).map(usual))).unwrap();
        let slow = |i: usize| {
            let mut row = usual(i);
            if i >= 2 {
                row[1] += 0.06;
                row[4] += 0.04;
                row[7] += 0.04;
            }
            row
        };
        std::fs::write(folder.join("one.csv"), table((0..5).map(slow))).unwrap();
        std::fs::write(
            dir.join("inputs/cases.jsonl"),
            "{\"case\":\"one\",\"file\":\"quiet/one.csv\",\"scenario\":\"quiet\",\"target\":{\"agg\":\"Average\",\"metric\":\"latency\",\"node\":\"front\",\"timestamp\":1000590}}\n",
        )
        .unwrap();
        std::fs::write(
            dir.join("labels.jsonl"),
            "{\"case\":\"one\",\"how\":\"-\",\"root_cause\":{\"metric\":null,\"node\":\"the \\\"table\\\", prod\"}}\n",
        )
        .unwrap();
        let report = PetShop.run(&dir, &mut |_, _, _| {});
        std::fs::remove_dir_all(&dir).unwrap();
        let report = report.unwrap();
        assert_eq!(report.metric("top1"), Some(1.0), "{report:?}");
        assert!(report.metric("specificity").unwrap() > 0.95);
    }
}
