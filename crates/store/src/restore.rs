//! A data folder from a copy of one: every file is checked before and after it is copied.

mod beside;

use crate::disk::{Disk as _, FolderDisk, FolderError};
use crate::inspect::{Finding, InspectError, Inspection};
use beside::Tree;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes copied at once.
const STEP: usize = 1 << 20;

/// Why a folder could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The copy cannot be read.
    #[error(transparent)]
    Copy(#[from] InspectError),
    /// The copy is not whole.
    #[error(
        "the copy is damaged in {0} places; `e2egraph store check` says where, and --damaged restores what is whole around it"
    )]
    Damaged(usize),
    /// Something is there already.
    #[error("{} is not empty: a copy is restored into a folder that is empty or not there", .0.display())]
    NotEmpty(PathBuf),
    /// The new folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The disk failed.
    #[error("cannot copy {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// What was written reads otherwise than the copy.
    #[error("{0} was copied and reads otherwise than it was; the new folder must not be used")]
    Unlike(String),
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files copied.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Damaged places in them.
    pub damaged: usize,
}

/// Copies a data folder that no server has open into a new one, with the folders in it that are named (`beside`), where they are there;
/// `progress` is told how many bytes were checked or copied, and of how many.
///
/// # Errors
/// When the copy cannot be read, is damaged (unless `damaged` says that this is known), the new folder holds something or cannot be
/// written. What was begun is removed then.
pub fn restore(
    copy: &Path,
    into: &Path,
    damaged: bool,
    beside: &[&str],
    mut progress: impl FnMut(u64, u64),
) -> Result<Restored, RestoreError> {
    let inspection = Inspection::open(copy)?;
    let files = inspection.files();
    let beside = beside.iter().map(|folder| Tree::of(copy, folder)).collect::<Result<Vec<_>, _>>()?;
    let own: u64 = files.iter().map(|f| f.1).sum();
    let all = own * 2 + beside.iter().map(Tree::bytes).sum::<u64>();
    let mut restored =
        Restored { damaged: broken(&inspection, |read| progress(read, all)), ..Restored::default() };
    if restored.damaged > 0 && !damaged {
        return Err(RestoreError::Damaged(restored.damaged));
    }
    if std::fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RestoreError::NotEmpty(into.to_owned()));
    }
    let disk = FolderDisk::open(into)?;
    let take_away = || {
        files.iter().for_each(|(begun, _)| drop(disk.remove(begun)));
        beside.iter().for_each(|tree| tree.remove(into));
    };
    for (file, bytes) in &files {
        let done = |copied| progress(own + restored.bytes + copied, all);
        if let Err(e) = inspection.copy(file, &disk, STEP, done) {
            take_away();
            return Err(e);
        }
        restored.files += 1;
        restored.bytes += bytes;
    }
    for tree in &beside {
        if let Err(e) = tree.copy(copy, into, |copied| progress(own + restored.bytes + copied, all)) {
            take_away();
            return Err(e);
        }
        restored.files += tree.files();
        restored.bytes += tree.bytes();
    }
    disk.sync_folder().map_err(|source| RestoreError::Io { file: into.display().to_string(), source })?;
    Ok(restored)
}

/// Damaged places of a folder.
fn broken(inspection: &Inspection, mut progress: impl FnMut(u64)) -> usize {
    let mut places = 0;
    let mut reading = inspection.read();
    while let Some(finding) = reading.next() {
        places += usize::from(matches!(finding, Finding::Damage(_)));
        progress(reading.bytes());
    }
    places += inspection.documents().filter(|d| d.wrong.is_some()).count();
    places + inspection.checkpoints().filter(|c| c.wrong.is_some()).count()
}
