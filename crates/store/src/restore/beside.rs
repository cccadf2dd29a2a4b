//! Folders that lie beside a store's own files, copied as they are.

use super::RestoreError;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Files of a folder and of those in it, in order, with the folders to be made for them.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Relative to where the folder is, outer ones first.
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, u64)>,
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let file = file.display().to_string();
    move |source| RestoreError::Io { file, source }
}

impl Tree {
    /// What is in a folder; nothing when it is not there.
    pub(super) fn of(root: &Path, folder: &str) -> Result<Tree, RestoreError> {
        let mut tree = Tree::default();
        let mut open = vec![PathBuf::from(folder)];
        while let Some(at) = open.pop() {
            let here = root.join(&at);
            let entries = match std::fs::read_dir(&here) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound && tree.folders.is_empty() => return Ok(tree),
                Err(e) => return Err(failed(&here)(e)),
            };
            tree.folders.push(at.clone());
            for entry in entries {
                let path = at.join(entry.map_err(failed(&here))?.file_name());
                let meta = std::fs::metadata(root.join(&path)).map_err(failed(&path))?;
                match meta.is_dir() {
                    true => open.push(path),
                    false => tree.files.push((path, meta.len())),
                }
            }
        }
        tree.folders.sort_unstable();
        tree.files.sort_unstable();
        Ok(tree)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.1).sum()
    }

    pub(super) fn files(&self) -> u64 {
        self.files.len() as u64
    }

    /// Copies it, makes it durable, and reads it again; `progress` is told how many bytes were copied.
    pub(super) fn copy(
        &self,
        from: &Path,
        into: &Path,
        mut progress: impl FnMut(u64),
    ) -> Result<(), RestoreError> {
        for folder in &self.folders {
            std::fs::create_dir(into.join(folder)).map_err(failed(folder))?;
        }
        let mut copied = 0;
        for (file, bytes) in &self.files {
            std::fs::copy(from.join(file), into.join(file)).map_err(failed(file))?;
            File::open(into.join(file)).and_then(|f| f.sync_all()).map_err(failed(file))?;
            if !same(&from.join(file), &into.join(file)).map_err(failed(file))? {
                return Err(RestoreError::Unlike(file.display().to_string()));
            }
            copied += bytes;
            progress(copied);
        }
        for folder in self.folders.iter().rev() {
            File::open(into.join(folder)).and_then(|f| f.sync_all()).map_err(failed(folder))?;
        }
        Ok(())
    }

    /// Takes away what was copied.
    pub(super) fn remove(&self, from: &Path) {
        if let Some(outermost) = self.folders.first() {
            let _ = std::fs::remove_dir_all(from.join(outermost));
        }
    }
}

/// Whether two files read alike.
fn same(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut here, mut there) = (vec![0; super::STEP], vec![0; super::STEP]);
    loop {
        let read = a.read(&mut here)?;
        let Some(part) = there.get_mut(..read.max(1)) else { return Ok(false) };
        if read == 0 {
            return Ok(b.read(part)? == 0);
        }
        match b.read_exact(part) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
        if here.get(..read) != Some(&*part) {
            return Ok(false);
        }
    }
}
