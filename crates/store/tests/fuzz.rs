//! Logs whose bytes were changed: what is read back was written, in order, and what was not is told as damage; never a panic, never
//! a record that nobody wrote.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

#[path = "../../../tests/fuzz/mod.rs"]
mod fuzz;

use std::path::Path;
use std::sync::Arc;
use store::{Disk, Finding, Inspection, MemoryDisk, Options, Record, Store};

/// Segments of one log, as they were written.
fn written() -> Vec<(String, Vec<u8>)> {
    fuzz::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
}

fn disk(files: &[(String, Vec<u8>)]) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
    for (name, bytes) in files {
        let mut file = disk.create(name).unwrap();
        file.append(bytes).unwrap();
        file.sync().unwrap();
    }
    disk.sync_folder().unwrap();
    disk
}

fn inspected(files: &[(String, Vec<u8>)]) -> (Vec<Record>, u64) {
    let inspection = Inspection::open_on(disk(files)).unwrap();
    let (mut records, mut lost) = (Vec::new(), 0);
    for finding in inspection.read() {
        match finding {
            Finding::Record(record) => records.push(record),
            Finding::Damage(damage) => lost += damage.lost.end.saturating_sub(damage.lost.start).min(1 << 20),
            Finding::Torn(_) => {}
        }
    }
    (records, lost)
}

#[test]
fn a_log_of_changed_bytes_gives_back_only_what_was_written() {
    let files = written();
    let (all, lost) = inspected(&files);
    assert!(all.len() >= 8 && lost == 0, "{} records, {lost} lost", all.len());
    let of = |seq: u64| all.iter().find(|r| r.seq == seq);
    fuzz::cases(2_000, |draw| {
        let mut files = files.clone();
        let (at, other) = (draw.below(files.len()), draw.one_of(&files).1.clone());
        fuzz::mutate(draw, &mut files[at].1, &other);
        let (found, _) = inspected(&files);
        for record in &found {
            assert_eq!(of(record.seq), Some(record), "nobody wrote this");
        }
        assert!(found.is_sorted_by(|a, b| a.seq < b.seq), "records are told once and in order");
        // A server starts on it and goes on, or says why it cannot.
        if draw.below(8) == 0
            && let Ok((store, recovery)) = Store::open_on(disk(&files), Options::in_dir("/nowhere"))
        {
            assert_eq!(store.append(1, 0, "next").unwrap().wait(), Ok(recovery.next_seq));
            let told: Vec<Record> = store.replay(1).flatten().collect();
            assert!(told.iter().all(|r| r.seq == recovery.next_seq || of(r.seq) == Some(r)));
            assert!(told.is_sorted_by(|a, b| a.seq < b.seq));
            store.close();
        }
    });
}
