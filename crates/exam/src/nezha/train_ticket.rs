//! Train-Ticket: traces, logs and metrics of the minutes around an injection.

use std::collections::BTreeMap;
use std::path::Path;

use autosre::scene::{Channel, Kind, Series};
use autosre::trace_evidence::Side;
use serde::Deserialize;

use super::{
    DETECTED_AFTER_SECONDS, Label, MARKS, Recorded, files, for_rows, mark, nanos, number, pods, ranked,
};
use crate::{Error, Progress, Report, Set, sit};

/// The Train-Ticket part.
pub struct NezhaTrainTicket;

/// The one entry of the system: every trace starts there.
const ENTRY: &str = "ts-gateway-service";
/// Metric columns and what they are.
const METRICS: [(&str, Channel); 2] =
    [("CpuUsageRate(%)", Channel::Cpu), ("MemoryUsageRate(%)", Channel::Memory)];

#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    day: String,
    t_detect: f64,
}

/// A day's fault-free recording, ready for the cases of that day.
#[derive(Clone)]
struct Day {
    recorded: Recorded,
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
            &MARKS,
            dir,
            progress,
            |inputs, case: &Case| {
                if !days.contains_key(&case.day) {
                    days.insert(case.day.clone(), Day::read(&inputs.join("normal").join(&case.day))?);
                }
                let mut day = days[&case.day].clone();
                day.add(&inputs.join(&case.case), case.t_detect)?;
                Ok(ranked(&day.recorded.scene))
            },
            |label: &Label, answer| mark(label, answer),
        )
    }
}

impl Day {
    fn read(dir: &Path) -> Result<Self, Error> {
        let mut day = Self { recorded: Recorded::new(ENTRY), metrics: metrics(&dir.join("metric"))? };
        day.record(dir, Side::Healthy, f64::INFINITY)?;
        day.recorded.evidence.learn();
        Ok(day)
    }

    /// Adds a case's recordings up to its detection and lets them testify.
    fn add(&mut self, dir: &Path, t_detect: f64) -> Result<(), Error> {
        self.record(dir, Side::Degraded, t_detect)?;
        let Recorded { scene, evidence, .. } = &mut self.recorded;
        evidence.testify(scene);
        let onset = t_detect - DETECTED_AFTER_SECONDS;
        for (service, rows) in metrics(&dir.join("metric"))? {
            let spot = scene.add(&service, Kind::Service);
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
                scene.sample(spot, *channel, series);
            }
        }
        Ok(())
    }

    fn record(&mut self, dir: &Path, side: Side, until: f64) -> Result<(), Error> {
        let until = nanos(until);
        for file in files(&dir.join("trace"))? {
            self.recorded.spans(&file, |_, end| (end <= until).then_some(side))?;
        }
        for file in files(&dir.join("log"))? {
            self.recorded.lines(&file, side, until)?;
        }
        Ok(())
    }
}

fn metrics(dir: &Path) -> Result<Metrics, Error> {
    let mut metrics = Metrics::new();
    for (service, file) in pods(dir)? {
        let rows = metrics.entry(service).or_default();
        for_rows(&file, &["TimeStamp", METRICS[0].0, METRICS[1].0], |[time, values @ ..]| {
            if let Ok(time) = time.parse() {
                rows.push((time, values.map(number)));
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
