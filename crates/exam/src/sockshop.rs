//! Sock Shop (RCD, NeurIPS 2022): one-second metrics of a healthy and of a faulty stretch, to the service that lacks a resource.

use std::collections::BTreeMap;
use std::path::Path;

use autosre::rank::{GraphRanker, Ranker};
use autosre::scene::{Channel, Kind, Scene, Series};
use serde::Deserialize;

use crate::{Error, Progress, Report, Set, Standing, sit};

/// The set.
pub struct SockShop;

/// Seconds from row to row.
const BUCKET_SECONDS: f64 = 1.0;
/// The published figure is the mean of the hits at 1 to this.
const DEEPEST: usize = 5;

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_service: String,
}

impl Set for SockShop {
    fn name(&self) -> &'static str {
        "sockshop1"
    }

    fn about(&self) -> &'static str {
        "which service lacks a resource, from one-second metrics alone"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        sit(
            self.name(),
            &["ac1", "ac3", "avg5"],
            dir,
            progress,
            |inputs, case: &Case| {
                let folder = inputs.join(&case.case);
                let healthy = Table::read(&folder.join("normal.csv"))?;
                let degraded = Table::read(&folder.join("anomalous.csv"))?;
                let scene = scene(healthy, degraded);
                let name = |spot| scene.component(spot).name.clone();
                let ranking = GraphRanker.rank(&scene);
                Ok(ranking.candidates.iter().map(|c| (name(c.component), c.score)).collect::<Vec<_>>())
            },
            |label: &Label, answer| {
                let standing = Standing::of(answer, |service| *service == label.root_cause_service);
                let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
                let mean = (1..=DEEPEST).map(hit).sum::<f64>() / DEEPEST as f64;
                vec![("ac1", hit(1)), ("ac3", hit(3)), ("avg5", mean)]
            },
        )
    }
}

/// Nobody recorded who called whom, nor who suffered: "users" stands for them.
fn scene(mut healthy: Table, mut degraded: Table) -> Scene {
    let mut scene = Scene::new("users", Kind::App, None, BUCKET_SECONDS);
    let columns: Vec<(String, String)> = healthy.0.keys().cloned().collect();
    for column in columns {
        let (service, metric) = &column;
        let Some(channel) = channel(metric) else { continue };
        let spot = scene.add(service, Kind::Service);
        let series = Series {
            healthy: healthy.0.remove(&column).unwrap_or_default(),
            lead: Vec::new(),
            degraded: degraded.0.remove(&column).unwrap_or_default(),
        };
        scene.sample(spot, channel, series);
    }
    scene
}

/// Processor use is in percent of one core, memory in bytes: of neither is the limit known.
fn channel(metric: &str) -> Option<Channel> {
    match metric {
        "cpu" => Some(Channel::CpuUsed),
        "mem" => Some(Channel::MemoryUsed),
        "lod" => Some(Channel::Requests),
        "lat_50" => Some(Channel::Latency),
        _ => None,
    }
}

/// Values by service and metric, NaN where there is none.
struct Table(BTreeMap<(String, String), Vec<f64>>);

impl Table {
    fn read(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::csv(path, error);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(failed)?;
        let header = reader.headers().map_err(failed)?.clone();
        let names: Vec<(usize, (String, String))> = header
            .iter()
            .enumerate()
            .filter_map(|(at, name)| {
                let (service, metric) = name.split_once('_')?;
                Some((at, (service.to_owned(), metric.to_owned())))
            })
            .collect();
        if names.is_empty() {
            return Err(Error::layout(path, 1, "there is no column <service>_<metric>"));
        }
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        for record in reader.records() {
            let record = record.map_err(failed)?;
            for ((at, _), column) in names.iter().zip(&mut columns) {
                column.push(record.get(*at).and_then(|v| v.parse().ok()).unwrap_or(f64::NAN));
            }
        }
        Ok(Self(names.into_iter().map(|(_, name)| name).zip(columns).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_that_grew_most_against_itself_is_named_first() {
        let root = std::env::temp_dir().join(format!("exam-sockshop-{}", std::process::id()));
        let dir = root.join("inputs/one");
        std::fs::create_dir_all(&dir).unwrap();
        let table = |till: f64, stock: f64| {
            let mut text = String::from("time,till_cpu,till_mem,stock-db_cpu,stock-db_mem,till_lat_50\n");
            for second in 0..40 {
                let wave = f64::from(second % 4);
                text += &format!("{second},{},300000000,{},,0.1\n", till + wave, stock + wave);
            }
            text
        };
        std::fs::write(dir.join("normal.csv"), table(40.0, 5.0)).unwrap();
        std::fs::write(dir.join("anomalous.csv"), table(60.0, 90.0)).unwrap();
        std::fs::write(root.join("inputs/cases.jsonl"), "{\"case\":\"one\"}\n").unwrap();
        std::fs::write(root.join("labels.jsonl"), "{\"case\":\"one\",\"root_cause_service\":\"stock-db\"}\n")
            .unwrap();
        let report = SockShop.run(&root, &mut |_, _, _| {});
        std::fs::remove_dir_all(&root).unwrap();
        let report = report.unwrap();
        assert_eq!(report.metric("ac1"), Some(1.0), "{report:?}");
        assert_eq!(report.metric("avg5"), Some(1.0));
        assert_eq!(report.per_case[0].answer, ["stock-db", "till"]);
    }
}
