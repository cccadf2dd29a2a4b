//! `e2egraph store`: what a data folder holds and whether it is whole, without a server and without changing it; and making it
//! smaller, or again of a copy.

use crate::args::{Compact, DataFolder, Restore, Store};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::{opening, out, print, rim};
use engine::{LostHashKey, Options};
use ingest::Wire;
use ontology::Time;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use store::{Finding, Inspection, Record};

/// The folder of a data folder that holds its history.
const HISTORY: &str = "history";

/// What reading a whole folder gives.
#[derive(Debug, Default, Serialize)]
struct Report {
    sound: bool,
    segments: Vec<File>,
    log_bytes: u64,
    records: u64,
    body_bytes: u64,
    first_arrival: Option<String>,
    last_arrival: Option<String>,
    by_form: Vec<Form>,
    documents: Vec<Document>,
    document_bytes: u64,
    checkpoints: Vec<File>,
    checkpoint_bytes: u64,
    damage: Vec<Stretch>,
    torn: Option<Stretch>,
    left_over: Vec<File>,
}

#[derive(Debug, Serialize)]
struct File {
    file: String,
    bytes: u64,
}

/// What came in one form from one source.
#[derive(Debug, Serialize)]
struct Form {
    code: u8,
    form: String,
    source: String,
    records: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Document {
    name: String,
    bytes: u64,
}

/// Bytes of a file that are not whole.
#[derive(Debug, Serialize)]
struct Stretch {
    file: String,
    offset: u64,
    bytes: u64,
    records_lost: u64,
    reason: String,
}

/// Sums over records.
#[derive(Default)]
struct Sums {
    arrivals: Option<(i64, i64)>,
    by_form: BTreeMap<(u8, String, String), (u64, u64)>,
}

impl Sums {
    fn add(&mut self, record: &Record) {
        let at = record.recorded_ns;
        let (first, last) = self.arrivals.unwrap_or((at, at));
        self.arrivals = Some((first.min(at), last.max(at)));
        let (form, source) = match Wire::from_log(record.kind, &record.body) {
            Some((Wire::Feed(delivery), _)) => ("feed".to_owned(), delivery.feed.clone()),
            Some((wire, _)) => (format!("{wire:?}"), wire.source().to_owned()),
            None => ("of another version".to_owned(), "–".to_owned()),
        };
        let sum = self.by_form.entry((record.kind, form, source)).or_default();
        *sum = (sum.0 + 1, sum.1 + record.body.len() as u64);
    }
}

/// Does what is asked of a folder.
pub async fn run(command: Store) -> anyhow::Result<Exit> {
    let folder = match &command {
        Store::Check(folder) | Store::Stats(folder) => folder,
        Store::Compact(args) => return compact(args.clone()).await,
        Store::Restore(args) => return restore(args.clone()).await,
    };
    let DataFolder { dir, json } = folder.clone();
    let report = tokio::task::spawn_blocking(move || read(&dir)).await??;
    let checking = matches!(command, Store::Check(_));
    match (json, checking) {
        (true, _) => out::json(&report)?,
        (false, true) => out::print(&checked(&report))?,
        (false, false) => out::print(&counted(&report))?,
    }
    Ok(if checking && !report.sound { Exit::Failed } else { Exit::Done })
}

async fn compact(args: Compact) -> anyhow::Result<Exit> {
    let DataFolder { dir, json } = args.folder;
    // Opening makes a folder that is not there.
    Inspection::open(&dir)?;
    let ontology = Arc::new(rim::ontology(&args.ontology)?);
    let keep_log = args.keep_log.into();
    let compacted = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let options = Options {
            data: dir,
            limits: graph::Limits::default(),
            keep_log,
            new_hash_key: rim::random_key()?,
            lost_hash_key: LostHashKey::Refuse,
        };
        let engine = opening::open(&options, ontology)?;
        let before = engine.store().stats().log_bytes;
        let segments = engine.compact(rim::now())?;
        Ok((segments, before, engine.store().stats()))
    });
    let (segments, before, store::Stats { log_bytes, checkpoint_bytes, .. }) = compacted.await??;
    if json {
        out::json(&serde_json::json!({
            "log_bytes_before": before, "log_bytes": log_bytes, "segments_let_go": segments,
            "checkpoint_bytes": checkpoint_bytes,
        }))?;
    } else {
        out::print(&format!(
            "{segments} files of the log were let go ({before} bytes before, {log_bytes} now); the checkpoint has \
             {checkpoint_bytes} bytes\n"
        ))?;
    }
    Ok(Exit::Done)
}

async fn restore(args: Restore) -> anyhow::Result<Exit> {
    let Restore { copy, dir, damaged, json } = args;
    let restored = tokio::task::spawn_blocking(move || {
        let mut bar = None;
        let steps = |n: u64| usize::try_from(n).unwrap_or(0);
        let restored = store::restore(&copy, &dir, damaged, &[HISTORY], |done, of| {
            bar.get_or_insert_with(|| Progress::new(steps(of), "bytes checked and copied")).at(done, "");
        });
        if let Some(bar) = bar {
            bar.end();
        }
        restored
    });
    let store::Restored { files, bytes, damaged } = restored.await??;
    if json {
        out::json(&serde_json::json!({ "files": files, "bytes": bytes, "damaged": damaged }))?;
    } else {
        let wrong = if damaged > 0 { format!(", {damaged} places of them damaged") } else { String::new() };
        out::print(&format!("{files} files of {bytes} bytes were restored{wrong}\n"))?;
    }
    Ok(Exit::Done)
}

fn read(dir: &Path) -> anyhow::Result<Report> {
    let inspection = Inspection::open(dir)?;
    let file = |(file, bytes): (&str, u64)| File { file: file.to_owned(), bytes };
    let segments: Vec<File> = inspection.segments().map(file).collect();
    let left_over = inspection.left_over().iter().map(|(f, bytes)| file((f, *bytes))).collect();
    let log_bytes = segments.iter().map(|s| s.bytes).sum();
    let mut report = Report { segments, left_over, log_bytes, ..Report::default() };
    read_log(&inspection, &mut report);
    read_documents(&inspection, &mut report);
    read_checkpoints(&inspection, &mut report);
    report.sound = report.damage.is_empty();
    Ok(report)
}

fn read_log(inspection: &Inspection, report: &mut Report) {
    let bar = Progress::new(usize::try_from(report.log_bytes).unwrap_or(0), "bytes of the log");
    let mut sums = Sums::default();
    let mut reading = inspection.read();
    while let Some(finding) = reading.next() {
        match finding {
            Finding::Record(record) => {
                report.records += 1;
                report.body_bytes += record.body.len() as u64;
                sums.add(&record);
            }
            Finding::Damage(d) => report.damage.push(Stretch {
                records_lost: d.lost.end.saturating_sub(d.lost.start),
                file: d.file,
                offset: d.offset,
                bytes: d.bytes,
                reason: d.reason,
            }),
            Finding::Torn(torn) => {
                report.torn = Some(Stretch {
                    file: torn.file,
                    offset: torn.offset,
                    bytes: torn.bytes,
                    records_lost: 0,
                    reason: "an unfinished write".to_owned(),
                });
            }
        }
        bar.at(reading.bytes(), "");
    }
    bar.end();
    let moment = |ns| Time::EPOCH.plus_nanos(ns).to_string();
    report.first_arrival = sums.arrivals.map(|(first, _)| moment(first));
    report.last_arrival = sums.arrivals.map(|(_, last)| moment(last));
    let forms = sums.by_form.into_iter();
    report.by_form = forms
        .map(|((code, form, source), (records, bytes))| Form { code, form, source, records, bytes })
        .collect();
}

fn read_documents(inspection: &Inspection, report: &mut Report) {
    for document in inspection.documents() {
        report.document_bytes += document.bytes;
        if let Some(wrong) = document.wrong {
            report.damage.push(Stretch {
                file: document.file,
                offset: 0,
                bytes: document.bytes,
                records_lost: 0,
                reason: wrong.to_string(),
            });
        }
        report.documents.push(Document { name: document.name, bytes: document.bytes });
    }
}

fn read_checkpoints(inspection: &Inspection, report: &mut Report) {
    for found in inspection.checkpoints() {
        let file = File { file: found.checkpoint.file, bytes: found.checkpoint.bytes };
        if let Some(wrong) = found.wrong {
            report.damage.push(Stretch {
                file: file.file.clone(),
                offset: 0,
                bytes: file.bytes,
                records_lost: 0,
                reason: wrong.to_string(),
            });
        }
        report.checkpoint_bytes += file.bytes;
        report.checkpoints.push(file);
    }
}

fn summary(report: &Report) -> String {
    let mut text = format!(
        "{} records of {} bytes in {} files of the log ({} bytes), {} documents of {} bytes, {} checkpoints of {} bytes\n",
        report.records,
        report.body_bytes,
        report.segments.len(),
        report.log_bytes,
        report.documents.len(),
        report.document_bytes,
        report.checkpoints.len(),
        report.checkpoint_bytes
    );
    if let (Some(first), Some(last)) = (&report.first_arrival, &report.last_arrival) {
        let _ = writeln!(text, "arrived from {first} to {last}");
    }
    text
}

fn checked(report: &Report) -> String {
    let mut text = summary(report);
    if let Some(torn) = &report.torn {
        let Stretch { file, offset, bytes, .. } = torn;
        let _ = writeln!(
            text,
            "torn tail: {bytes} bytes at byte {offset} of {file}; the next start of a server cuts them off"
        );
    }
    for File { file, bytes } in &report.left_over {
        let _ = writeln!(text, "left over: {file} ({bytes} bytes); the next start of a server removes it");
    }
    for Stretch { file, offset, bytes, records_lost, reason } in &report.damage {
        let _ = writeln!(
            text,
            "damaged: {bytes} bytes at byte {offset} of {file}, {records_lost} records lost: {reason}"
        );
    }
    let lost: u64 = report.damage.iter().map(|d| d.records_lost).sum();
    match report.damage.len() {
        0 => text.push_str("sound\n"),
        n => {
            let _ = writeln!(text, "damaged in {n} places, {lost} records lost");
        }
    }
    text
}

fn counted(report: &Report) -> String {
    let mut text = summary(report);
    let mut table = |columns: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
            let _ = write!(text, "\n{}", print::table(&columns, &rows));
        }
    };
    let forms = report.by_form.iter();
    table(
        &["code", "form", "source", "records", "bytes"],
        forms
            .map(|f| {
                let Form { code, form, source, records, bytes } = f;
                vec![code.to_string(), form.clone(), source.clone(), records.to_string(), bytes.to_string()]
            })
            .collect(),
    );
    let files = report.segments.iter();
    table(&["file", "bytes"], files.map(|f| vec![f.file.clone(), f.bytes.to_string()]).collect());
    let checkpoints = report.checkpoints.iter();
    table(&["checkpoint", "bytes"], checkpoints.map(|c| vec![c.file.clone(), c.bytes.to_string()]).collect());
    let documents = report.documents.iter();
    table(&["document", "bytes"], documents.map(|d| vec![d.name.clone(), d.bytes.to_string()]).collect());
    if !report.sound {
        text.push_str("\nsome of it is damaged; `e2egraph store check` says where\n");
    }
    text
}
