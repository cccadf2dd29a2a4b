//! Reads a whole data folder without changing anything: every record and document, and what is wrong where.

use crate::checkpoints::{self, Checkpoint, CheckpointDamage, Checkpoints};
use crate::disk::{self, Disk, DiskFile, Holder, LOCK};
use crate::documents::{DocumentError, Documents, PREFIX, file_of};
use crate::log::Torn;
use crate::record::Record;
use crate::restore::RestoreError;
use crate::scan::{Found, scan};
use crate::segment::{Damage, Met, Segment, SegmentReader, first_newer, parse_name};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a folder cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Nothing is there.
    #[error("there is no folder {}", .0.display())]
    NotThere(PathBuf),
    /// It is something else than a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// No store ever was in it.
    #[error("{} is not a data folder: it holds no log and no documents of a server", .0.display())]
    NotData(PathBuf),
    /// A server writes to it. What it has not flushed yet would look like damage.
    #[error("the data folder {} is in use by a running server ({holder}); stop it, or inspect a copy", dir.display())]
    Held {
        /// The folder.
        dir: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// This user may not read it.
    #[error("this user may not read {}: {source}; ask as the user that the server runs as", path.display())]
    NoRights {
        /// What could not be read.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A later version wrote a part of it.
    #[error(
        "{file} in {} is of the newer format version {version}, which this version of the program cannot read; ask the version that wrote it",
        dir.display()
    )]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The file in it.
        file: String,
        /// The version it says it has.
        version: char,
    },
    /// The disk failed.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl InspectError {
    fn from_io(path: &Path, source: io::Error) -> InspectError {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => InspectError::NotThere(path),
            ErrorKind::NotADirectory => InspectError::NotAFolder(path),
            ErrorKind::PermissionDenied => InspectError::NoRights { path, source },
            _ => InspectError::Io { path, source },
        }
    }
}

/// A data folder, held shared: others may inspect it too, and no server may have it meanwhile.
pub struct Inspection {
    disk: Arc<dyn Disk>,
    found: Found,
    documents: Documents,
    checkpoints: Checkpoints,
}

impl Inspection {
    /// Looks at a folder.
    ///
    /// # Errors
    /// When it is no data folder, a server has it, a later version wrote it, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Inspection, InspectError> {
        let failed = |source| InspectError::from_io(dir, source);
        let files = disk::list(dir).map_err(failed)?;
        let ours = |name: &str| {
            name == LOCK
                || parse_name(name).is_some()
                || name.starts_with(PREFIX)
                || checkpoints::parse_name(name).is_some()
        };
        if !files.iter().any(|(name, _)| ours(name)) {
            return Err(InspectError::NotData(dir.to_owned()));
        }
        let lock = hold(dir)?;
        for (name, _) in files.iter().filter(|(name, _)| ours(name)) {
            let path = dir.join(name);
            File::open(&path).map_err(|e| InspectError::from_io(&path, e))?;
        }
        let disk: Arc<dyn Disk> = Arc::new(ReadFolder { dir: dir.to_owned(), _lock: lock });
        if let Some((file, version)) = first_newer(&*disk).map_err(failed)? {
            return Err(InspectError::Newer { dir: dir.to_owned(), file, version });
        }
        Inspection::open_on(disk).map_err(failed)
    }

    /// Looks at any disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open_on(disk: Arc<dyn Disk>) -> io::Result<Inspection> {
        let found = scan(&*disk)?;
        let documents = Documents::open(disk.clone(), u64::MAX)?;
        let checkpoints = Checkpoints::open(disk.clone())?;
        Ok(Inspection { disk, found, documents, checkpoints })
    }

    /// The files of the log in order: name and bytes.
    pub fn segments(&self) -> impl Iterator<Item = (&str, u64)> {
        self.found.segments.iter().map(|s| (s.name.as_str(), s.len))
    }

    pub(crate) fn found(&self) -> &[Segment] {
        &self.found.segments
    }

    /// Files of an unfinished write, which the next start of a server removes: name and bytes.
    pub fn left_over(&self) -> &[(String, u64)] {
        &self.found.left_over
    }

    /// The files that a server needs, without what is left over and the lock: name and bytes.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let segments = self.found.segments.iter().map(|s| (s.name.clone(), s.len));
        let checkpoints = self.checkpoints.all().into_iter().map(|c| (c.file, c.bytes));
        let documents = self.documents.files();
        segments.chain(checkpoints).chain(documents).collect()
    }

    /// Copies a file to another disk and reads it there again.
    pub(crate) fn copy(
        &self,
        file: &str,
        to: &dyn Disk,
        step: usize,
        mut progress: impl FnMut(u64),
    ) -> Result<(), RestoreError> {
        let failed = |source| RestoreError::Io { file: file.to_owned(), source };
        let mut out = to.create(file).map_err(failed)?;
        let (mut here, mut there) = (vec![0; step], vec![0; step]);
        let mut at = 0;
        loop {
            let read = self.disk.read_at(file, at, &mut here).map_err(failed)?;
            if read == 0 {
                break;
            }
            out.append(&here[..read]).map_err(failed)?;
            at += read as u64;
            progress(at);
        }
        out.sync().map_err(failed)?;
        let mut checked = 0;
        while checked < at {
            let read = self.disk.read_at(file, checked, &mut here).map_err(failed)?;
            let same = to.read_at(file, checked, &mut there).map_err(failed)? == read;
            if !same || here[..read] != there[..read] || read == 0 {
                return Err(RestoreError::Unlike(file.to_owned()));
            }
            checked += read as u64;
        }
        Ok(())
    }

    /// Reads the log.
    pub fn read(&self) -> Reading<'_> {
        Reading {
            inspection: self,
            headers: self.found.headers.iter(),
            next: 0,
            reader: None,
            bytes_before: 0,
        }
    }

    /// Reads every checkpoint, the latest first.
    pub fn checkpoints(&self) -> impl Iterator<Item = FoundCheckpoint> {
        self.checkpoints.all().into_iter().map(|checkpoint| {
            let wrong = self.checkpoints.read(&checkpoint).find_map(Result::err);
            FoundCheckpoint { checkpoint, wrong }
        })
    }

    /// Reads every document.
    pub fn documents(&self) -> impl Iterator<Item = FoundDocument> {
        self.documents.lengths().into_iter().map(|(name, bytes)| {
            let wrong = self.documents.get(&name).err();
            let file = file_of(&name).unwrap_or_default();
            FoundDocument { name, file, bytes, wrong }
        })
    }
}

/// A checkpoint and how it is.
#[derive(Debug)]
pub struct FoundCheckpoint {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Why it cannot be read.
    pub wrong: Option<CheckpointDamage>,
}

/// A document and how it is.
#[derive(Debug)]
pub struct FoundDocument {
    /// Its name.
    pub name: String,
    /// The file in the data folder.
    pub file: String,
    /// The size of its content.
    pub bytes: u64,
    /// Why it cannot be read.
    pub wrong: Option<DocumentError>,
}

/// What reading a log finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A whole record.
    Record(Record),
    /// Something that was whole once.
    Damage(Damage),
    /// The unfinished write at the end, which the next start of a server cuts off.
    Torn(Torn),
}

/// Reads a log from its begin to its end. Holds one mebibyte, or one record if larger.
pub struct Reading<'a> {
    inspection: &'a Inspection,
    headers: std::slice::Iter<'a, Damage>,
    next: usize,
    reader: Option<(SegmentReader, &'a Segment)>,
    bytes_before: u64,
}

impl Reading<'_> {
    /// How many bytes are read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes_before + self.reader.as_ref().map_or(0, |(reader, _)| reader.offset())
    }

    fn begin_next(&mut self) -> Option<()> {
        let segments = &self.inspection.found.segments;
        let segment = segments.get(self.next)?;
        self.next += 1;
        // Where the last one should end nobody knows.
        let stop = segments.get(self.next).map(|s| s.first_seq);
        let reader = SegmentReader::new(self.inspection.disk.clone(), segment.clone(), stop);
        self.reader = Some((reader, segment));
        Some(())
    }
}

impl Iterator for Reading<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        if let Some(header) = self.headers.next() {
            return Some(Finding::Damage(header.clone()));
        }
        loop {
            let Some((reader, segment)) = &mut self.reader else {
                self.begin_next()?;
                continue;
            };
            match reader.next() {
                Ok(Some(Met::Record(record))) => return Some(Finding::Record(record)),
                Ok(Some(Met::Damage(damage))) => return Some(Finding::Damage(damage)),
                Ok(Some(Met::Torn)) => {
                    let (file, offset) = (segment.name.clone(), reader.offset());
                    return Some(Finding::Torn(Torn { file, offset, bytes: segment.len - offset }));
                }
                Ok(None) => {
                    self.bytes_before += segment.len;
                    self.reader = None;
                }
                Err(e) => return Some(Finding::Damage(reader.unreadable(&e))),
            }
        }
    }
}

/// Takes the lock of a folder beside other readers. A copy may have no `LOCK` file, and then nobody has it.
fn hold(dir: &Path) -> Result<Option<File>, InspectError> {
    let path = dir.join(LOCK);
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(InspectError::from_io(&path, e)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            let holder = Holder::said(&mut lock);
            Err(InspectError::Held { dir: dir.to_owned(), holder })
        }
        Err(TryLockError::Error(e)) => Err(InspectError::from_io(&path, e)),
    }
}

/// A folder of the file system in which nothing is changed.
struct ReadFolder {
    dir: PathBuf,
    _lock: Option<File>,
}

impl Disk for ReadFolder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        disk::list(&self.dir)
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        disk::read_at(&self.dir.join(name), offset, into)
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn reopen(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn nonce(&self) -> u64 {
        0
    }
}
