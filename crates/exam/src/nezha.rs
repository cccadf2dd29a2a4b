//! Nezha (FSE'23): faults injected into two systems, told from traces, logs and metrics to the service that was broken.
//!
//! What both systems' recordings have in common is read here. Spans that ended, lines that were written and metric rows that
//! were taken after `t_detect` are not read.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use autosre::rank::{GraphRanker, Ranker};
use autosre::scene::{Kind, Scene, Spot};
use autosre::trace_evidence::{LogRecord, Side, SpanRecord, TraceEvidence};
use serde::Deserialize;

use crate::{Error, Standing};

mod boutique;
mod train_ticket;

pub use boutique::NezhaOnlineBoutique;
pub use train_ticket::NezhaTrainTicket;

/// The marks of both systems.
const MARKS: [&str; 3] = ["ac1", "ac3", "ac5"];
/// Seconds from the minute of injection to `t_detect`.
const DETECTED_AFTER_SECONDS: f64 = 120.0;
/// Seconds from metric row to metric row.
const BUCKET_SECONDS: f64 = 60.0;

#[derive(Debug, Deserialize)]
struct Label {
    root_cause_service: String,
}

/// The services of a scene by the ranker's score.
fn ranked(scene: &Scene) -> Vec<(String, f64)> {
    let name = |spot| scene.component(spot).name.clone();
    GraphRanker.rank(scene).candidates.iter().map(|c| (name(c.component), c.score)).collect()
}

fn mark(label: &Label, answer: &[(String, f64)]) -> Vec<(&'static str, f64)> {
    let standing = Standing::of(answer, |service| *service == label.root_cause_service);
    let hit = |k| standing.map_or(0.0, |s| s.hit_at(k));
    MARKS.into_iter().zip([1, 3, 5].map(hit)).collect()
}

/// A scene and what traces and logs add to it.
#[derive(Clone)]
struct Recorded {
    scene: Scene,
    evidence: TraceEvidence,
    /// Where the last span's component stands: spans of one component come in rows.
    last: Option<(String, Spot)>,
}

impl Recorded {
    fn new(entry: &str) -> Self {
        Self {
            scene: Scene::new(entry, Kind::Service, None, BUCKET_SECONDS),
            evidence: TraceEvidence::default(),
            last: None,
        }
    }

    fn spot(&mut self, pod: &str) -> Spot {
        if let Some((name, spot)) = &self.last
            && name == pod
        {
            return *spot;
        }
        let spot = self.scene.add(service(pod), Kind::Service);
        self.last = Some((pod.to_owned(), spot));
        spot
    }

    /// Takes the spans of a file on the side that `side` gives them by start and end, in nanoseconds.
    fn spans(&mut self, file: &Path, side: impl Fn(u64, u64) -> Option<Side>) -> Result<(), Error> {
        const COLUMNS: [&str; 7] = [
            "TraceID",
            "SpanID",
            "ParentID",
            "PodName",
            "OperationName",
            "StartTimeUnixNano",
            "EndTimeUnixNano",
        ];
        for_rows(file, &COLUMNS, |[trace, id, parent, pod, operation, start, end]| {
            let (Ok(start), Ok(end)) = (start.parse(), end.parse()) else { return };
            let Some(side) = side(start, end) else { return };
            let (Some(trace), Some(id)) = (hex(trace), hex(id)) else { return };
            let component = self.spot(pod);
            let (id, parent) = (id as u64, hex(parent).map(|p| p as u64));
            self.evidence.span(side, SpanRecord { trace, id, parent, component, operation, start, end });
        })
    }

    /// Takes the log lines of a file that were written up to a moment, in nanoseconds.
    fn lines(&mut self, file: &Path, side: Side, until: u64) -> Result<(), Error> {
        for_rows(file, &["TimeUnixNano", "TraceID", "SpanID", "Log"], |[time, trace, span, log]| {
            let Some(time) = time.parse().ok().filter(|time| *time <= until) else { return };
            let (Some(trace), Some(span)) = (hex(trace), hex(span)) else { return };
            let text = serde_json::from_str::<Line<'_>>(log).map_or(Cow::Borrowed(log), |line| line.log);
            self.evidence.line(side, LogRecord { trace, span: span as u64, time, text: &text });
        })
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

/// A number of a cell; NaN for none.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// Seconds of a moment to the nanoseconds of spans; moments without end stay so.
fn nanos(seconds: f64) -> u64 {
    if seconds.is_finite() { (seconds * 1e9) as u64 } else { u64::MAX }
}

/// The files of a folder in order of name; none when there is no such folder.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { file: dir.to_owned(), source };
    let mut files = Vec::new();
    if !dir.is_dir() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(dir).map_err(read)? {
        files.push(entry.map_err(read)?.path());
    }
    files.sort();
    Ok(files)
}

/// The metric files of a folder with the service of each.
fn pods(dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let of = |file: PathBuf| {
        let pod = file.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix("_metric.csv"))?;
        Some((service(pod).to_owned(), file))
    };
    Ok(files(dir)?.into_iter().filter_map(of).collect())
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
