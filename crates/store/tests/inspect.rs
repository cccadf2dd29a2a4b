//! A data folder read without changing it: what is found, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use store::{Damage, Finding, InspectError, Inspection, Options, Store, Torn};

fn filled(dir: &Path) {
    let options = Options { segment_bytes: 2_000, commit_interval: Duration::ZERO, ..Options::in_dir(dir) };
    let (store, _) = Store::open(options).unwrap();
    for i in 0..40 {
        store.append(1, 1_000 + i, format!("body {i} {}", "x".repeat(100))).unwrap().wait().unwrap();
    }
    store.put_document("pinned/one", b"content").unwrap();
    store.close();
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(p).unwrap())).collect()
}

#[derive(Default)]
struct Seen {
    seqs: Vec<u64>,
    damage: Vec<Damage>,
    torn: Vec<Torn>,
    documents: Vec<String>,
}

fn inspected(dir: &Path) -> Seen {
    let before = files(dir);
    let inspection = Inspection::open(dir).unwrap();
    let mut seen = Seen::default();
    let mut reading = inspection.read();
    while let Some(finding) = reading.next() {
        match finding {
            Finding::Record(record) => seen.seqs.push(record.seq),
            Finding::Damage(damage) => seen.damage.push(damage),
            Finding::Torn(torn) => seen.torn.push(torn),
        }
    }
    assert_eq!(reading.bytes(), inspection.segments().map(|(_, bytes)| bytes).sum::<u64>());
    seen.documents = inspection
        .documents()
        .map(|d| format!("{} {} {}", d.name, d.bytes, d.wrong.map_or("whole".to_owned(), |w| w.to_string())))
        .collect();
    assert!(files(dir) == before, "reading changed the folder");
    seen
}

fn segment(dir: &Path, place: usize) -> std::path::PathBuf {
    let names: Vec<_> = files(dir).into_keys().filter(|n| n.starts_with("log-")).collect();
    dir.join(&names[place])
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_folder_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let seen = inspected(dir.path());
    assert_eq!(seen.seqs, (1..=40).collect::<Vec<_>>());
    assert_eq!((seen.damage, seen.torn), (vec![], vec![]));
    assert_eq!(seen.documents, ["pinned/one 7 whole"]);
}

#[test]
fn every_damaged_place_is_named_and_its_neighbours_are_read() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let (first, second) = (segment(dir.path(), 0), segment(dir.path(), 1));
    flip(&first, 40);
    flip(&first, 300);
    flip(&second, 100);
    flip(&dir.path().join("doc-pinned%2fone"), 10);
    let mut last = fs::read(segment(dir.path(), 2)).unwrap();
    last.extend_from_slice(b"half a record");
    fs::write(segment(dir.path(), 2), &last).unwrap();
    let seen = inspected(dir.path());
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let places: Vec<_> =
        seen.damage.iter().map(|d| (d.file.clone(), d.offset, d.lost.clone().count())).collect();
    // The second copy of the first header; a record of 147 bytes behind one of as many; the first record of the second.
    assert_eq!(places, [(named(&first), 32, 0), (named(&first), 64 + 147, 1), (named(&second), 64, 1)]);
    assert_eq!(seen.seqs.len(), 38);
    assert_eq!(
        seen.torn.iter().map(|t| (t.offset, t.bytes)).collect::<Vec<_>>(),
        [(last.len() as u64 - 13, 13)]
    );
    assert!(seen.documents[0].contains("fails its checksum"), "{:?}", seen.documents);
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::remove_file(segment(dir.path(), 1)).unwrap();
    let seen = inspected(dir.path());
    assert_eq!(seen.damage.len(), 1);
    assert_eq!(seen.damage[0].lost.clone().count() + seen.seqs.len(), 40);
}

#[test]
fn what_is_no_data_folder_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path| Inspection::open(path).err().unwrap();
    assert!(matches!(refused(&dir.path().join("nowhere")), InspectError::NotThere(_)));
    assert!(matches!(refused(dir.path()), InspectError::NotData(_)));
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    assert!(matches!(refused(dir.path()), InspectError::NotData(_)));
    assert!(matches!(refused(&dir.path().join("notes.txt")), InspectError::NotAFolder(_)));
    assert_eq!(files(dir.path()).len(), 1, "no LOCK is left in a folder that is not ours");
}

#[test]
fn a_folder_in_use_is_refused_and_a_server_waits_for_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(Options::in_dir(dir.path())).unwrap();
    let held = Inspection::open(dir.path()).err().unwrap();
    let says = format!("in use by a running server (process {})", std::process::id());
    assert!(held.to_string().contains(&says), "{held}");
    store.close();
    let (one, two) = (Inspection::open(dir.path()).unwrap(), Inspection::open(dir.path()).unwrap());
    assert!(Store::open(Options::in_dir(dir.path())).is_err());
    drop((one, two));
    assert!(Store::open(Options::in_dir(dir.path())).is_ok());
}

#[test]
fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = segment(dir.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    (bytes[3], bytes[35]) = (b'2', b'2');
    fs::write(&path, bytes).unwrap();
    let newer = Inspection::open(dir.path()).err().unwrap();
    assert!(matches!(newer, InspectError::Newer { version: '2', .. }), "{newer}");
}
