//! The seam between the log and a disk: one flat folder of append-only files, and the real folder behind it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// One flat folder of files.
///
/// **Contract:** after `DiskFile::sync` returned `Ok`, the bytes appended so far survive a crash if the file's name
/// does; a name survives after `sync_folder` returned `Ok`. Nothing else is promised: bytes that were not synced may
/// survive in part and in any order, and after a failed sync nothing appended since the last good one can be relied on,
/// even when a later sync succeeds.
pub trait Disk: Send + Sync + 'static {
    /// All files with their lengths, sorted by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// A new, empty file.
    ///
    /// # Errors
    /// When the name is taken or the disk refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// An existing file, to append to.
    ///
    /// # Errors
    /// When there is no such file or the disk refuses.
    fn reopen(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Fills `into` from `offset`; fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// When there is no such file or the disk fails.
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// When there is no such file or the disk refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// When there is no such file or the disk refuses.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names of all files durable.
    ///
    /// # Errors
    /// When the disk fails.
    fn sync_folder(&self) -> io::Result<()>;
    /// A number that a sender of records cannot guess: it marks the records of one segment, so that a body which
    /// contains something like a record is not mistaken for one when reading resumes after damage.
    fn nonce(&self) -> u64;
}

/// One file that only grows, or is cut.
pub trait DiskFile: Send {
    /// Appends all bytes. After an error an unknown part of them is there.
    ///
    /// # Errors
    /// When the disk is full or fails.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    ///
    /// # Errors
    /// When the disk fails; see the contract of [`Disk`].
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// When the disk fails.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A folder of the file system, held exclusively through its `LOCK` file for as long as this value lives.
#[derive(Debug)]
pub struct FolderDisk {
    dir: PathBuf,
    /// The rights of the folder, where it was there before and others have some.
    open_to_others: Option<u32>,
    /// Held open: the operating system gives the lock back when the process ends, however it ends.
    _lock: File,
}

pub(crate) const LOCK: &str = "LOCK";
const PROBE: &str = "tmp-probe";

/// What is kept is telemetry in clear and the key of the hashes: for the server's user alone, whatever the umask says.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The rights of anybody else.
const OTHERS: u32 = 0o077;

impl FolderDisk {
    /// Creates the folder when missing, for this user alone, locks it, and checks that it can be written.
    ///
    /// # Errors
    /// When another process holds the folder, when it cannot be written, or the disk fails.
    pub fn open(dir: &Path) -> Result<FolderDisk, FolderError> {
        make(dir).map_err(|e| FolderError::from_io(dir, "create the folder", e))?;
        let meta = std::fs::metadata(dir).map_err(|e| FolderError::from_io(dir, "look at the folder", e))?;
        let mode = meta.permissions().mode() & 0o777;
        let open_to_others = (mode & OTHERS != 0).then_some(mode);
        let path = dir.join(LOCK);
        let mut lock = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|e| FolderError::from_io(dir, "open its LOCK file", e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = Holder::said(&mut lock);
                return Err(FolderError::Held { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(FolderError::from_io(dir, "lock its LOCK file", e)),
        }
        let disk = FolderDisk { dir: dir.to_owned(), open_to_others, _lock: lock };
        disk.probe().map_err(|e| FolderError::from_io(dir, "write a file", e))?;
        // On a full disk the number is missing and the lock still holds, so that is no reason to stop.
        let _ = disk.write_holder();
        Ok(disk)
    }

    /// The `LOCK` file of a read-only folder may itself be writable; a new file is not.
    fn probe(&self) -> io::Result<()> {
        let path = self.path(PROBE);
        OpenOptions::new().create(true).write(true).truncate(true).mode(FILE_MODE).open(&path)?;
        std::fs::remove_file(&path)
    }

    /// The rights of the folder, where others have some.
    pub(crate) fn open_to_others(&self) -> Option<u32> {
        self.open_to_others
    }

    /// Takes the rights of others from the files with these names. A folder may hold what is not ours: that stays as it is.
    pub(crate) fn close_to_others(&self, ours: impl Fn(&str) -> bool) -> io::Result<()> {
        for (name, _) in self.list()?.into_iter().filter(|(name, _)| name == LOCK || ours(name)) {
            let path = self.path(&name);
            if std::fs::metadata(&path)?.permissions().mode() & OTHERS != 0 {
                std::fs::set_permissions(&path, Permissions::from_mode(FILE_MODE))?;
            }
        }
        Ok(())
    }

    fn write_holder(&self) -> io::Result<()> {
        let mut lock = &self._lock;
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        writeln!(lock, "{}", std::process::id())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Makes a folder for this user alone; the folders above it, where they are missing, get the rights that the umask gives.
fn make(dir: &Path) -> io::Result<()> {
    if let Some(above) = dir.parent() {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(dir) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made,
    }
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {} is in use by another server ({holder}) or being read by `e2egraph store`; stop that, or choose another folder", dir.display())]
    Held {
        /// The folder.
        dir: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// It cannot be written.
    #[error("the data folder {} is read-only for this user: cannot {doing}; make it writable, or choose another folder", dir.display())]
    ReadOnly {
        /// The folder.
        dir: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// Something else is wrong with it.
    #[error("cannot use the data folder {}: cannot {doing}: {source}", dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl FolderError {
    fn from_io(dir: &Path, doing: &'static str, source: io::Error) -> FolderError {
        let dir = dir.to_owned();
        match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                FolderError::ReadOnly { dir, doing }
            }
            _ => FolderError::Io { dir, doing, source },
        }
    }
}

/// The process that holds a folder, as far as it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(pub Option<u32>);

impl Holder {
    /// As its `LOCK` file says.
    pub(crate) fn said(lock: &mut File) -> Holder {
        let mut text = String::new();
        Holder(lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok()))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => write!(f, "process unknown"),
        }
    }
}

/// The files of a folder with their lengths, sorted by name.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
            files.push((name, meta.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Fills `into` from `offset` of a file; fewer bytes only at its end.
pub(crate) fn read_at(path: &Path, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while filled < into.len() {
        match file.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

impl Disk for FolderDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        list(&self.dir)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().create_new(true).append(true).mode(FILE_MODE).open(self.path(name))?;
        Ok(Box::new(FolderFile(file)))
    }

    fn reopen(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FolderFile(OpenOptions::new().append(true).open(self.path(name))?)))
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&self.path(name), offset, into)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn nonce(&self) -> u64 {
        let mut bytes = [0; 8];
        let read = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
        if read.is_err() {
            #[expect(
                clippy::disallowed_methods,
                reason = "the store is at the rim, and this number reaches no answer"
            )]
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            bytes = (now.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        }
        u64::from_le_bytes(bytes)
    }
}

struct FolderFile(File);

impl DiskFile for FolderFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // fdatasync also flushes the length, which is all the metadata that reading needs.
        self.0.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
