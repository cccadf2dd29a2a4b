//! The store on a real folder and with its real thread.

use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use store::{AppendError, CommitError, Disk, Faults, Keep, MemoryDisk, OpenError, Options, Store};

fn small(dir: &std::path::Path) -> Options {
    Options {
        segment_bytes: 10_000,
        max_record_bytes: 5_000,
        max_pending_bytes: 20_000,
        commit_interval: Duration::from_millis(1),
        ..Options::in_dir(dir)
    }
}

fn bodies(store: &Store, from: u64) -> Vec<String> {
    store
        .replay(from)
        .map(|r| r.map_or_else(|d| d.to_string(), |r| String::from_utf8_lossy(&r.body).into_owned()))
        .collect()
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, recovery) = Store::open(small(dir.path())).unwrap();
    assert_eq!((recovery.segments, recovery.next_seq), (0, 1));
    let tickets: Vec<_> = (0..100).map(|i| store.append(1, i, format!("body {i}")).unwrap()).collect();
    for (ticket, seq) in tickets.into_iter().zip(1..) {
        assert_eq!(ticket.wait(), Ok(seq));
    }
    assert!(store.stats().commits < 100, "records that arrive together share a flush");
    store.put_document("pinned/one", b"content").unwrap();
    store.close();

    let (store, recovery) = Store::open(small(dir.path())).unwrap();
    assert_eq!((recovery.next_seq, recovery.torn, recovery.damage.len()), (101, None, 0));
    let due: Vec<_> = (0..100).map(|i| format!("body {i}")).collect();
    assert_eq!(bodies(&store, 1), due);
    assert_eq!(bodies(&store, 98), due[97..]);
    assert_eq!(store.document("pinned/one").unwrap().unwrap(), b"content");
}

#[test]
fn a_torn_last_record_is_cut_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(small(dir.path())).unwrap();
    store.append(1, 0, "whole").unwrap().wait().unwrap();
    store.close();
    let segment = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "seg"))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let whole = bytes.len() as u64;
    let record = bytes[64..].to_vec();
    bytes.extend_from_slice(&record[..30]);
    std::fs::write(&segment, &bytes).unwrap();

    let (store, recovery) = Store::open(small(dir.path())).unwrap();
    let torn = recovery.torn.unwrap();
    assert_eq!((torn.offset, torn.bytes), (whole, 30));
    assert_eq!(
        torn.to_string(),
        format!("cut 30 bytes of an unfinished write from {} at byte {whole}", torn.file)
    );
    assert_eq!(store.append(1, 0, "next").unwrap().wait(), Ok(2));
    assert_eq!(bodies(&store, 1), ["whole", "next"]);
}

#[test]
fn a_second_store_on_one_folder_hears_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(small(dir.path())).unwrap();
    let error = Store::open(small(dir.path())).err().unwrap().to_string();
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    assert!(Store::open(small(dir.path())).is_ok());
}

#[test]
fn a_folder_that_cannot_be_one_gets_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(small(&file)).err().unwrap().to_string();
    assert!(error.contains(&file.display().to_string()) && error.contains("create the folder"), "{error}");
    // Root may write anywhere but here: the file system itself refuses.
    let error = Store::open(small(std::path::Path::new("/proc/self/e2egraph"))).err().unwrap().to_string();
    assert!(error.contains("/proc/self/e2egraph"), "{error}");
}

#[test]
fn what_is_kept_is_for_its_user_alone_whatever_the_umask_says() {
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("made/data");
    let (store, recovery) = Store::open(small(&dir)).unwrap();
    assert_eq!((mode(&dir), recovery.open_to_others), (0o700, None));
    store.append(1, 0, "body").unwrap().wait().unwrap();
    store.put_document("hash-key", b"secret").unwrap();
    store.close();
    let files = || std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files().len(), 3);
    for file in files() {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    }
    // A folder of an earlier start is taken as it is and told; the files that are ours are closed, others' are not touched.
    std::fs::set_permissions(&dir, Permissions::from_mode(0o750)).unwrap();
    let foreign = dir.join("notes");
    std::fs::write(&foreign, "").unwrap();
    std::fs::set_permissions(&foreign, Permissions::from_mode(0o644)).unwrap();
    let (_store, recovery) = Store::open(small(&dir)).unwrap();
    assert_eq!((mode(&dir), recovery.open_to_others), (0o750, Some(0o750)));
    for file in files() {
        assert_eq!(mode(&file), if file == foreign { 0o644 } else { 0o600 }, "{}", file.display());
    }
}

#[test]
fn a_log_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(small(dir.path())).unwrap();
    store.append(1, 0, "whole").unwrap().wait().unwrap();
    store.close();
    let segment = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "seg"))
        .unwrap();
    let own = std::fs::read(&segment).unwrap();
    let mut newer = own.clone();
    newer[3] = b'2';
    newer[35] = b'2';
    // A file that ends in its header would be taken for left over in this version: in a later one it may be whole.
    for bytes in [&newer[..], &newer[..64], &newer[..10]] {
        std::fs::write(&segment, bytes).unwrap();
        let refused = Store::open(small(dir.path())).err().unwrap();
        assert!(matches!(&refused, OpenError::Newer { version: '2', .. }), "{refused}");
        assert!(refused.to_string().contains("newer format version 2"), "{refused}");
        assert_eq!(std::fs::read(&segment).unwrap(), bytes);
    }
    // One flipped byte beside a whole copy of the header is damage, and harmless.
    let mut flipped = own;
    flipped[3] = b'2';
    std::fs::write(&segment, &flipped).unwrap();
    assert_eq!(bodies(&Store::open(small(dir.path())).unwrap().0, 1), ["whole"]);
}

#[test]
fn options_that_contradict_themselves_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_pending_bytes: 10, ..small(dir.path()) };
    assert!(
        matches!(Store::open(options), Err(OpenError::Options(text)) if text.contains("store_max_pending_bytes"))
    );
}

#[test]
fn retention_keeps_what_no_checkpoint_has_and_what_there_is_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(small(dir.path())).unwrap();
    for i in 0..50 {
        store.append(0, i, vec![b'x'; 1_000]).unwrap().wait().unwrap();
    }
    let first = || store.replay(1).next().unwrap().unwrap().seq;
    let all = store.stats().log_bytes;
    let keep = |from_seq, since_ns, bytes| store.retain(Keep { from_seq, since_ns, bytes }).unwrap();
    assert_eq!(keep(51, 0, all), 0, "nothing is old and there is room for all");
    assert_eq!(keep(1, 50, 0), 0, "no checkpoint has any of it");
    keep(20, i64::MAX, 0);
    let kept = first();
    assert!(kept <= 20 && kept > 10, "{kept}");
    let half = store.stats().log_bytes / 2;
    assert!(keep(51, 0, half) > 0);
    assert!(store.stats().log_bytes <= half && first() < 50);
    assert_eq!((store.first_seq(), store.next_seq()), (Some(first()), 51));
}

#[test]
fn retention_removes_whole_old_segments_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(small(dir.path())).unwrap();
    for i in 0..50 {
        store.append(0, i, vec![b'x'; 1_000]).unwrap().wait().unwrap();
    }
    let before = store.stats();
    assert!(before.segments > 3);
    let removed = store.retain(Keep::since_ns(30)).unwrap();
    assert!(removed > 0);
    let after = store.stats();
    assert_eq!(after.segments + removed as u64, before.segments);
    assert!(after.log_bytes < before.log_bytes);
    let first = store.replay(1).next().unwrap().unwrap();
    assert!(first.recorded_ns <= 30 && first.recorded_ns > 15, "{}", first.recorded_ns);
    assert_eq!(store.replay(1).last().unwrap().unwrap().seq, 50);
    store.retain(Keep::from_seq(u64::MAX)).unwrap();
    assert_eq!(store.stats().segments, 1, "the newest segment stays: it says which seq comes next");
    store.close();
    let (store, recovery) = Store::open(small(dir.path())).unwrap();
    assert_eq!(recovery.next_seq, 51);
    assert_eq!(store.append(0, 0, "x").unwrap().wait(), Ok(51));
}

#[test]
fn a_full_disk_refuses_and_space_brings_it_back() {
    let disk = MemoryDisk::new(3);
    let open = |disk: &MemoryDisk| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Store::open_on(disk, small(std::path::Path::new("memory"))).unwrap().0
    };
    let store = open(&disk);
    store.append(0, 0, "a").unwrap().wait().unwrap();
    disk.set_faults(Faults { space: 300, ..Faults::NONE });
    let error = store.append(0, 0, vec![0; 1_000]).unwrap().wait().unwrap_err();
    assert!(matches!(error, CommitError::DiskFull { .. }), "{error}");
    assert!(store.stats().last_error.unwrap().contains("disk is full"));
    store.append(0, 0, "fits").unwrap().wait().unwrap();
    disk.set_faults(Faults { fail_sync: 1.0, ..Faults::NONE });
    assert!(matches!(store.append(0, 0, "x").unwrap().wait(), Err(CommitError::Io { .. })));
    disk.set_faults(Faults::NONE);
    store.append(0, 0, "c").unwrap().wait().unwrap();
    assert_eq!(bodies(&store, 1), ["a", "fits", "c"]);
    assert_eq!(store.stats().last_error, None);
    drop(store);
    disk.crash();
    // Even a server that starts on a full disk starts, and refuses.
    disk.set_faults(Faults { space: 0, ..Faults::NONE });
    let store = open(&disk);
    assert!(matches!(store.append(0, 0, "x").unwrap().wait(), Err(CommitError::DiskFull { .. })));
    disk.set_faults(Faults::NONE);
    assert_eq!(store.append(0, 0, "d").unwrap().wait(), Ok(4));
    assert_eq!(bodies(&store, 1), ["a", "fits", "c", "d"]);
}

#[test]
fn too_much_waiting_is_refused_and_too_large_is_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    // The interval is longer than the test: nothing is flushed until the store closes.
    let options = Options { commit_interval: Duration::from_secs(600), ..small(dir.path()) };
    let (store, _) = Store::open(options).unwrap();
    let tickets: Vec<_> = (0..4).map(|_| store.append(0, 0, vec![0; 5_000]).unwrap()).collect();
    let Err(busy) = store.append(0, 0, "x") else { panic!("taken") };
    assert_eq!(busy, AppendError::Busy { pending_bytes: 20_000, limit: 20_000 });
    let Err(large) = store.append(0, 0, vec![0; 5_001]) else { panic!("taken") };
    assert!(matches!(large, AppendError::TooLarge { limit: 5_000, .. }));
    store.close();
    for ticket in tickets {
        ticket.wait().unwrap();
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_ticket_is_a_future_that_wakes_its_task() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { commit_interval: Duration::from_secs(600), ..small(dir.path()) };
    let (store, _) = Store::open(options).unwrap();
    let mut ticket = pin!(store.append(0, 0, "x").unwrap());
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    assert_eq!(ticket.as_mut().poll(&mut context), Poll::Pending);
    assert!(!flag.0.load(Ordering::SeqCst));
    store.close();
    assert!(flag.0.load(Ordering::SeqCst));
    assert_eq!(ticket.poll(&mut context), Poll::Ready(Ok(1)));
}

/// A disk on which creating a file panics.
struct Cursed(MemoryDisk);

impl Disk for Cursed {
    fn list(&self) -> std::io::Result<Vec<(String, u64)>> {
        self.0.list()
    }
    #[expect(clippy::panic, reason = "that is its purpose")]
    fn create(&self, _: &str) -> std::io::Result<Box<dyn store::DiskFile>> {
        panic!("a planned panic")
    }
    fn reopen(&self, name: &str) -> std::io::Result<Box<dyn store::DiskFile>> {
        self.0.reopen(name)
    }
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read_at(name, offset, into)
    }
    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }
    fn sync_folder(&self) -> std::io::Result<()> {
        self.0.sync_folder()
    }
    fn nonce(&self) -> u64 {
        self.0.nonce()
    }
}

#[test]
fn nobody_waits_for_a_committer_that_panicked() {
    let disk: Arc<dyn Disk> = Arc::new(Cursed(MemoryDisk::new(1)));
    let (store, _) = Store::open_on(disk, small(std::path::Path::new("memory"))).unwrap();
    let tickets: Vec<_> = (0..3).map_while(|_| store.append(0, 0, "x").ok()).collect();
    for ticket in tickets {
        assert_eq!(ticket.wait(), Err(CommitError::Closed));
    }
    let refused = (0..1_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        store.append(0, 0, "x").err()
    });
    assert_eq!(refused, Some(AppendError::Closing));
}
