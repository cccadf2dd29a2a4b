//! Small named documents, each replaced as a whole: pinned snapshots, investigations.

use crate::disk::Disk;
use crate::record::four;
use crate::scan::UNFINISHED;
use crate::segment::newer;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a document could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The name cannot be one.
    #[error("`{0}` cannot name a document: a name has 1 to 80 bytes")]
    Name(String),
    /// It will never fit.
    #[error("the document `{name}` has {bytes} bytes, the limit (store_max_document_bytes) is {limit}")]
    TooLarge {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
        /// The largest that is taken.
        limit: u64,
    },
    /// Its checksum does not agree.
    #[error(
        "the document `{name}` is damaged: {file} fails its checksum; remove it or restore it from a copy"
    )]
    Damaged {
        /// Its name.
        name: String,
        /// The file in the data folder.
        file: String,
    },
    /// A later version wrote it.
    #[error(
        "the document `{name}` ({file}) is of the newer format version {version}, which this version of the program cannot read; \
         start the version that wrote it, or restore the data folder from a copy made before"
    )]
    Newer {
        /// Its name.
        name: String,
        /// The file in the data folder.
        file: String,
        /// The version it says it has.
        version: char,
    },
    /// No space is left.
    #[error("the disk is full: cannot keep the document `{name}`")]
    DiskFull {
        /// Its name.
        name: String,
    },
    /// The disk failed.
    #[error("cannot {doing} the document `{name}`: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Its name.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// In every version a document begins with these four bytes; the last is the version.
const MAGIC: [u8; 4] = *b"E2D1";
const HEADER: usize = 8;
pub(crate) const PREFIX: &str = "doc-";

/// A file name holds 255 bytes and a name's byte becomes at most three.
const MAX_NAME: usize = 80;

/// The documents of one folder: name and length of each in memory, content on disk.
pub(crate) struct Documents {
    disk: Arc<dyn Disk>,
    max_bytes: u64,
    /// Held while a document is written, so that two writers of one name do not share a temporary file.
    known: Mutex<BTreeMap<String, u64>>,
}

impl Documents {
    pub(crate) fn open(disk: Arc<dyn Disk>, max_bytes: u64) -> io::Result<Documents> {
        let files = disk.list()?;
        let known = files
            .into_iter()
            .filter_map(|(file, len)| {
                Some((unescape(file.strip_prefix(PREFIX)?)?, len.saturating_sub(HEADER as u64)))
            })
            .collect();
        Ok(Documents { disk, max_bytes, known: Mutex::new(known) })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) -> Result<(), DocumentError> {
        let file = file_of(name)?;
        let bytes = content.len() as u64;
        if bytes > self.max_bytes {
            return Err(DocumentError::TooLarge { name: name.to_owned(), bytes, limit: self.max_bytes });
        }
        let mut known = self.lock();
        let unfinished = format!("{UNFINISHED}{file}");
        let renamed = self.write(&unfinished, content).and_then(|()| self.disk.rename(&unfinished, &file));
        renamed.map_err(|e| {
            let _ = self.disk.remove(&unfinished);
            failed("keep", name, e)
        })?;
        // From here on it is read, even if a crash may still bring back the old one.
        known.insert(name.to_owned(), bytes);
        self.disk.sync_folder().map_err(|e| failed("keep", name, e))
    }

    fn write(&self, file: &str, content: &[u8]) -> io::Result<()> {
        // Left over from a failure whose clean-up failed too.
        let _ = self.disk.remove(file);
        let mut whole = Vec::with_capacity(HEADER + content.len());
        whole.extend_from_slice(&MAGIC);
        whole.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        whole.extend_from_slice(content);
        let mut out = self.disk.create(file)?;
        out.append(&whole)?;
        out.sync()
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, DocumentError> {
        let file = file_of(name)?;
        let known = self.lock();
        let Some(&len) = known.get(name) else { return Ok(None) };
        // Zeroed where the file is shorter than it was: the checksum tells.
        let mut whole = vec![0; HEADER + usize::try_from(len).unwrap_or(0)];
        let filled = self.disk.read_at(&file, 0, &mut whole).map_err(|e| failed("read", name, e))?;
        if let Some(version) = newer(&whole[..filled.min(HEADER)], MAGIC) {
            return Err(DocumentError::Newer { name: name.to_owned(), file, version });
        }
        let content = whole.split_off(HEADER);
        let good = filled == HEADER + content.len()
            && whole[..4] == MAGIC
            && crc32fast::hash(&content) == u32::from_le_bytes(four(&whole[4..]));
        if good { Ok(Some(content)) } else { Err(DocumentError::Damaged { name: name.to_owned(), file }) }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Names and lengths, sorted.
    pub(crate) fn lengths(&self) -> Vec<(String, u64)> {
        self.lock().iter().map(|(name, bytes)| (name.clone(), *bytes)).collect()
    }

    /// Files and their lengths.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let file = |(name, bytes): (&String, &u64)| Some((file_of(name).ok()?, bytes + HEADER as u64));
        self.lock().iter().filter_map(file).collect()
    }

    pub(crate) fn count_and_bytes(&self) -> (u64, u64) {
        let known = self.lock();
        (known.len() as u64, known.values().sum())
    }

    pub(crate) fn remove(&self, name: &str) -> Result<bool, DocumentError> {
        let file = file_of(name)?;
        let mut known = self.lock();
        let was_there = known.contains_key(name);
        if was_there {
            match self.disk.remove(&file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed("remove", name, e)),
                _ => known.remove(name),
            };
        }
        // Also where there is none: an earlier call may have removed it and failed here.
        self.disk.sync_folder().map_err(|e| failed("remove", name, e))?;
        Ok(was_there)
    }
}

fn failed(doing: &'static str, name: &str, source: io::Error) -> DocumentError {
    let name = name.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DocumentError::DiskFull { name },
        _ => DocumentError::Io { doing, name, source },
    }
}

/// The file of a document: letters, digits, `-`, `_` and `.` as they are, every other byte as `%xx`.
pub(crate) fn file_of(name: &str) -> Result<String, DocumentError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(DocumentError::Name(name.chars().take(MAX_NAME).collect()));
    }
    let mut file = PREFIX.to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => file.push(char::from(byte)),
            _ => file.push_str(&format!("%{byte:02x}")),
        }
    }
    Ok(file)
}

fn unescape(file: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_disk::{Faults, MemoryDisk};

    #[test]
    fn a_name_becomes_a_file_name_and_back() {
        for name in ["a", "regression/8.42 × B", "..", "%41", "日本"] {
            let file = file_of(name).unwrap();
            assert!(file.is_ascii() && !file.contains('/'), "{file}");
            assert_eq!(unescape(file.strip_prefix(PREFIX).unwrap()).as_deref(), Some(name));
        }
        assert!(file_of("").is_err());
        assert!(file_of(&"x".repeat(81)).is_err());
    }

    #[test]
    fn a_document_of_a_newer_version_is_refused_and_not_called_damaged() {
        let disk = MemoryDisk::new(1);
        let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
        documents.put("a", b"one").unwrap();
        // `1` is 0x31, `3` is 0x33.
        disk.flip_bit("doc-a", 3 * 8 + 1);
        let refused = documents.get("a").unwrap_err();
        assert!(matches!(&refused, DocumentError::Newer { version: '3', .. }), "{refused}");
        assert!(refused.to_string().contains("doc-a") && refused.to_string().contains("newer"), "{refused}");
        // Nor is it one because its first bytes are anything else.
        disk.flip_bit("doc-a", 0);
        assert!(matches!(documents.get("a"), Err(DocumentError::Damaged { .. })));
    }

    #[test]
    fn a_document_is_replaced_whole_and_survives_a_crash() {
        let disk = MemoryDisk::new(1);
        let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
        documents.put("a b", b"one").unwrap();
        documents.put("a b", b"two").unwrap();
        documents.put("gone", b"x").unwrap();
        assert!(documents.remove("gone").unwrap());
        assert!(!documents.remove("gone").unwrap());
        assert!(matches!(documents.put("a b", &[0; 101]), Err(DocumentError::TooLarge { .. })));
        disk.set_faults(Faults { fail_sync: 1.0, ..Faults::NONE });
        assert!(documents.put("a b", b"three").is_err());
        disk.set_faults(Faults::NONE);
        disk.crash();
        let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
        assert_eq!(documents.names(), ["a b"]);
        assert_eq!(documents.get("a b").unwrap().unwrap(), b"two");
        assert_eq!(documents.get("gone").unwrap(), None);
        disk.flip_bit("doc-a%20b", 70);
        assert!(documents.get("a b").unwrap_err().to_string().contains("doc-a%20b"));
    }
    #[test]
    fn a_document_whose_name_could_not_be_synced_is_read_as_it_is() {
        let disk = MemoryDisk::new(1);
        let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
        documents.put("a", b"one").unwrap();
        // Made, written, synced and renamed; then the folder is not synced.
        disk.power_off_after(4);
        assert!(documents.put("a", b"another").is_err());
        disk.end_process();
        assert_eq!(documents.get("a").unwrap().unwrap(), b"another");
    }

    #[test]
    fn a_document_that_is_said_to_be_gone_does_not_come_back() {
        for seed in 0..20 {
            let disk = MemoryDisk::new(seed);
            let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
            documents.put("a", b"one").unwrap();
            disk.power_off_after(1);
            assert!(documents.remove("a").is_err());
            disk.end_process();
            assert!(!documents.remove("a").unwrap());
            disk.crash();
            let documents = Documents::open(Arc::new(disk.clone()), 100).unwrap();
            assert_eq!(documents.get("a").unwrap(), None, "seed {seed}");
        }
    }
}
