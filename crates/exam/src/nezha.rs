//! Nezha (FSE'23), Train-Ticket: traces, logs and metrics of the minutes around an injection, to the service that was broken.
//!
//! Spans that ended, lines that were written and metric rows that were taken after `t_detect` are not read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autosre::rank::{GraphRanker, Ranker};
use autosre::scene::{Channel, Kind, Scene, Series};
use autosre::trace_evidence::{LogRecord, Side, SpanRecord, TraceEvidence};
use serde::Deserialize;

use crate::{Error, Progress, Report, Set, Standing, sit};

/// The Train-Ticket part.
pub struct NezhaTrainTicket;

/// The one entry of the system: every trace starts there.
const ENTRY: &str = "ts-gateway-service";
/// Seconds from the minute of injection to `t_detect`.
const DETECTED_AFTER_SECONDS: f64 = 120.0;
/// Seconds from metric row to metric row.
const BUCKET_SECONDS: f64 = 60.0;
/// Metric columns and what they are.
const METRICS: [(&str, Channel); 2] =
    [("CpuUsageRate(%)", Channel::Cpu), ("MemoryUsageRate(%)", Channel::Memory)];

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    day: String,
    t_detect: f64,
}

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_service: String,
}

/// A day's fault-free recording, ready for the cases of that day.
#[derive(Clone)]
struct Day {
    scene: Scene,
    evidence: TraceEvidence,
    metrics: Metrics,
}

/// Rows (time, one value per entry of [`METRICS`]) by service.
type Metrics = BTreeMap<String, Vec<(f64, [f64; METRICS.len()])>>;

impl Set for NezhaTrainTicket {
    fn name(&self) -> &'static str {
        "nezha_tt"
    }

    fn about(&self) -> &'static str {
        "which service broke, from traces, logs and metrics"
    }

    fn run(&self, dir: &Path, progress: Progress<'_>) -> Result<Report, Error> {
        let mut days: BTreeMap<String, Day> = BTreeMap::new();
        sit(
            self.name(),
            &["ac1", "ac3", "ac5"],
            dir,
            progress,
            |inputs, case: &Case| {
                if !days.contains_key(&case.day) {
                    days.insert(case.day.clone(), Day::read(&inputs.join("normal").join(&case.day))?);
                }
                let mut day = days[&case.day].clone();
                day.add(&inputs.join(&case.case), case.t_detect)?;
                let ranking = GraphRanker.rank(&day.scene);
                let name = |spot| day.scene.component(spot).name.clone();
                Ok(ranking.candidates.iter().map(|c| (name(c.component), c.score)).collect::<Vec<_>>())
            },
            |label: &Label, answer| {
                let standing = Standing::of(answer, |service| *service == label.root_cause_service);
                let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
                vec![("ac1", hit(1)), ("ac3", hit(3)), ("ac5", hit(5))]
            },
        )
    }
}

impl Day {
    fn read(dir: &Path) -> Result<Self, Error> {
        let mut day = Self {
            scene: Scene::new(ENTRY, Kind::Service, None, BUCKET_SECONDS),
            evidence: TraceEvidence::default(),
            metrics: metrics(&dir.join("metric"))?,
        };
        day.record(dir, Side::Healthy, f64::INFINITY)?;
        Ok(day)
    }

    /// Adds a case's recordings up to its detection and lets them testify.
    fn add(&mut self, dir: &Path, t_detect: f64) -> Result<(), Error> {
        self.record(dir, Side::Degraded, t_detect)?;
        self.evidence.testify(&mut self.scene);
        let onset = t_detect - DETECTED_AFTER_SECONDS;
        for (service, rows) in metrics(&dir.join("metric"))? {
            let spot = self.scene.add(&service, Kind::Service);
            for (i, (_, channel)) in METRICS.iter().enumerate() {
                let pick = |from: f64, to: f64| {
                    rows.iter().filter(|(t, _)| (from..to).contains(t)).map(|(_, v)| v[i]).collect()
                };
                let usual = self.metrics.get(&service).map(|rows| rows.iter().map(|(_, v)| v[i]).collect());
                let series = Series {
                    healthy: usual.unwrap_or_default(),
                    lead: pick(f64::NEG_INFINITY, onset),
                    degraded: pick(onset, t_detect.next_up()),
                };
                self.scene.sample(spot, *channel, series);
            }
        }
        Ok(())
    }

    fn record(&mut self, dir: &Path, side: Side, until: f64) -> Result<(), Error> {
        let until = if until.is_finite() { (until * 1e9) as u64 } else { u64::MAX };
        for file in files(&dir.join("trace"))? {
            for_rows(
                &file,
                &[
                    "TraceID",
                    "SpanID",
                    "ParentID",
                    "PodName",
                    "OperationName",
                    "StartTimeUnixNano",
                    "EndTimeUnixNano",
                ],
                |[trace, id, parent, pod, operation, start, end]| {
                    let (Some(trace), Some(id)) = (hex(trace), hex(id)) else { return };
                    let (Ok(start), Ok(end)) = (start.parse(), end.parse()) else { return };
                    if end > until {
                        return;
                    }
                    let component = self.scene.add(service(pod), Kind::Service);
                    let (id, parent) = (id as u64, hex(parent).map(|p| p as u64));
                    self.evidence
                        .span(side, SpanRecord { trace, id, parent, component, operation, start, end });
                },
            )?;
        }
        for file in files(&dir.join("log"))? {
            for_rows(&file, &["TimeUnixNano", "TraceID", "SpanID", "Log"], |[time, trace, span, log]| {
                let (Some(trace), Some(span), Ok(time)) = (hex(trace), hex(span), time.parse()) else {
                    return;
                };
                if time > until {
                    return;
                }
                let text = serde_json::from_str::<Line<'_>>(log).map_or(Cow::Borrowed(log), |line| line.log);
                self.evidence.line(side, LogRecord { trace, span: span as u64, time, text: &text });
            })?;
        }
        Ok(())
    }
}

/// A container runtime's wrapping of a line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
}

fn hex(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

/// `<service>-<replica set>-<id>` without the last two.
fn service(pod: &str) -> &str {
    pod.rsplitn(3, '-').nth(2).unwrap_or(pod)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { file: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read)? {
        files.push(entry.map_err(read)?.path());
    }
    files.sort();
    Ok(files)
}

/// Hands the named columns of every row over.
fn for_rows<const N: usize>(
    file: &Path,
    columns: &[&str; N],
    mut row: impl FnMut([&str; N]),
) -> Result<(), Error> {
    let failed = |error| Error::csv(file, error);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(file).map_err(failed)?;
    let header = reader.headers().map_err(failed)?;
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name == *column)
            .ok_or_else(|| Error::layout(file, 1, format!("there is no column {column}")))?;
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        row(places.map(|place| record.get(place).unwrap_or_default()));
    }
    Ok(())
}

fn metrics(dir: &Path) -> Result<Metrics, Error> {
    let mut metrics = Metrics::new();
    for file in files(dir)? {
        let Some(pod) = file.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix("_metric.csv"))
        else {
            continue;
        };
        let rows = metrics.entry(service(pod).to_owned()).or_default();
        for_rows(&file, &["TimeStamp", METRICS[0].0, METRICS[1].0], |[time, values @ ..]| {
            if let Ok(time) = time.parse() {
                rows.push((time, values.map(|v| v.parse().unwrap_or(f64::NAN))));
            }
        })?;
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTED: u64 = 1_675_000_000;

    /// `n` requests through the gateway to `shop`, which asks `stock`; in the last `broken` of them `stock` writes another
    /// line than it uses to.
    fn recording(dir: &Path, from: u64, n: u64, broken: u64) {
        let mut spans = String::from(
            "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n",
        );
        let mut lines = String::from("Timestamp,TimeUnixNano,Node,PodName,Container,TraceID,SpanID,Log\n");
        for i in 0..n {
            let start = (from + i) * 1_000_000_000;
            let path = [
                ("a", "root", "ts-gateway-service", "/*", 0, 40),
                ("b", "a", "ts-gateway-service", "HTTP GET", 2, 38),
                ("c", "b", "ts-shop-service", "/shop", 3, 36),
                ("d", "c", "ts-shop-service", "HTTP GET", 5, 30),
                ("e", "d", "ts-stock-service", "/stock", 6, 28),
            ];
            for (id, parent, service, operation, begin, end) in path {
                spans += &format!(
                    "{i:032x},{id},{parent},{service}-5f-x,{operation},{},{},{}\n",
                    start + begin * 1_000_000,
                    start + end * 1_000_000,
                    (end - begin) * 1000
                );
            }
            let place = if i + broken >= n { "s.Stock#37" } else { "s.Stock#34" };
            for (place, after) in [("s.Stock#31", 7), (place, 9)] {
                lines += &format!(
                    "t,{},node,ts-stock-service-5f-x,server,{i:032x},e,\"{{\"\"log\"\":\"\"12:00:00 INFO {place} looked up {i}\\n\"\",\"\"stream\"\":\"\"stdout\"\"}}\"\n",
                    start + after * 1_000_000
                );
            }
        }
        for folder in ["trace", "log", "metric"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        std::fs::write(dir.join("trace/00_00_trace.csv"), spans).unwrap();
        std::fs::write(dir.join("log/00_00_log.csv"), lines).unwrap();
        std::fs::write(
            dir.join("metric/ts-stock-service-5f-x_metric.csv"),
            format!("Time,TimeStamp,PodName,CpuUsageRate(%),MemoryUsageRate(%)\n-,{from},ts-stock-service-5f-x,3,NaN\n"),
        )
        .unwrap();
    }

    fn sat(name: &str, broken: u64) -> Report {
        let dir = std::env::temp_dir().join(format!("exam-nezha-{name}-{}", std::process::id()));
        recording(&dir.join("inputs/normal/1970-01-01"), DETECTED - 5000, 40, 0);
        recording(&dir.join("inputs/one"), DETECTED - 60, 100, broken);
        std::fs::write(
            dir.join("inputs/cases.jsonl"),
            format!("{{\"case\":\"one\",\"day\":\"1970-01-01\",\"t_detect\":{DETECTED}}}\n"),
        )
        .unwrap();
        std::fs::write(
            dir.join("labels.jsonl"),
            "{\"case\":\"one\",\"fault\":\"return\",\"root_cause_service\":\"ts-stock-service\"}\n",
        )
        .unwrap();
        let report = NezhaTrainTicket.run(&dir, &mut |_, _, _| {});
        std::fs::remove_dir_all(&dir).unwrap();
        report.unwrap()
    }

    #[test]
    fn a_service_that_writes_another_line_is_found() {
        let report = sat("broken", 60);
        assert_eq!(report.metric("ac1"), Some(1.0), "{report:?}");
        assert_eq!(report.per_case[0].answer, ["ts-stock-service"]);
    }

    #[test]
    fn what_happens_after_the_detection_is_not_read() {
        // the last forty of a hundred seconds lie after it
        assert!(sat("later", 40).per_case[0].abstained);
    }
}
