//! A data folder made of a copy.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use store::{Inspection, Options, RestoreError, Store, restore};

fn filled(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let (store, _) = Store::open(Options { segment_bytes: 4_000, ..Options::in_dir(dir) }).unwrap();
    for i in 0..30 {
        store.append(1, i, vec![b'x'; 500]).unwrap().wait().unwrap();
    }
    store.put_document("pinned/one", b"content").unwrap();
    store.put_checkpoint(12, [Ok::<_, Infallible>(vec![7; 300])].into_iter()).unwrap();
    store.close();
    fs::write(dir.join("tmp-left"), b"left over").unwrap();
    files(dir)
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(p).unwrap()))
        .collect();
    all.retain(|(name, _)| name != "LOCK" && !name.starts_with("tmp-"));
    all.sort();
    all
}

#[test]
fn a_copy_is_restored_byte_by_byte_without_what_was_left_over() {
    let (copy, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = filled(copy.path());
    let mut last = (0, 1);
    let restored = restore(copy.path(), new.path(), false, &[], |done, of| {
        assert!(done >= last.0 && done <= of);
        last = (done, of);
    });
    let restored = restored.unwrap();
    assert_eq!((restored.files, restored.damaged), (written.len() as u64, 0));
    assert_eq!(last.0, last.1, "progress ends at the end");
    assert_eq!(files(new.path()), written);
    let (store, recovery) = Store::open(Options::in_dir(new.path())).unwrap();
    assert_eq!((recovery.next_seq, store.checkpoints().len()), (31, 1));
}

#[test]
fn a_damaged_copy_is_restored_only_by_who_knows_it() {
    let (copy, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = filled(copy.path());
    let (segment, mut bytes) = written.iter().find(|f| f.0.ends_with(".seg")).cloned().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(copy.path().join(segment), bytes).unwrap();
    let refused = restore(copy.path(), new.path(), false, &[], |_, _| {});
    assert!(matches!(refused, Err(RestoreError::Damaged(1))), "{refused:?}");
    assert!(files(new.path()).is_empty());
    assert_eq!(restore(copy.path(), new.path(), true, &[], |_, _| {}).unwrap().damaged, 1);
    assert_eq!(files(new.path()), files(copy.path()));
}

#[test]
fn what_is_in_use_or_holds_something_is_left_alone() {
    let (copy, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(copy.path());
    fs::write(new.path().join("notes.txt"), b"mine").unwrap();
    let refused = restore(copy.path(), new.path(), false, &[], |_, _| {});
    assert!(matches!(refused, Err(RestoreError::NotEmpty(_))));
    assert_eq!(fs::read(new.path().join("notes.txt")).unwrap(), b"mine");
    let (store, _) = Store::open(Options::in_dir(copy.path())).unwrap();
    let into = new.path().join("deeper");
    assert!(matches!(restore(copy.path(), &into, false, &[], |_, _| {}), Err(RestoreError::Copy(_))));
    assert!(!into.exists());
    drop(store);
    assert!(restore(copy.path(), &into, false, &[], |_, _| {}).is_ok());
    assert!(Inspection::open(&into).is_ok());
    assert!(matches!(
        restore(&new.path().join("nowhere"), &into, false, &[], |_, _| {}),
        Err(RestoreError::Copy(_))
    ));
}

#[test]
fn folders_beside_are_copied_when_they_are_named() {
    let (copy, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = filled(copy.path());
    let day = copy.path().join("history/flows/day=2027-01-15");
    fs::create_dir_all(&day).unwrap();
    fs::create_dir_all(copy.path().join("history/flows/_delta_log")).unwrap();
    let rows: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(day.join("08-whole.parquet"), &rows).unwrap();
    fs::write(day.join("09-empty.parquet"), b"").unwrap();
    let mut last = (0, 1);
    let restored = restore(copy.path(), new.path(), false, &["history", "not there"], |done, of| {
        assert!(done >= last.0 && done <= of);
        last = (done, of);
    });
    assert_eq!(restored.unwrap().files, written.len() as u64 + 2);
    assert_eq!(last.0, last.1, "progress ends at the end");
    let day = new.path().join("history/flows/day=2027-01-15");
    assert!(fs::read(day.join("08-whole.parquet")).unwrap() == rows);
    assert_eq!(fs::read(day.join("09-empty.parquet")).unwrap(), b"");
    assert!(new.path().join("history/flows/_delta_log").is_dir() && !new.path().join("not there").exists());
    let bare = tempfile::tempdir().unwrap();
    restore(copy.path(), bare.path(), false, &[], |_, _| {}).unwrap();
    assert!(!bare.path().join("history").exists());
}
