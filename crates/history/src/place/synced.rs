//! A folder in which what must not be there yet is on disk before it has its name: a commit that a crash could leave empty would damage
//! the table for good.

use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of files that are not whole yet have before a number: the file system's own store, which calls its so, lists none of them.
const STAGED: &str = "#";

/// A file system that flushes what it creates.
#[derive(Debug)]
pub(super) struct Synced {
    inner: LocalFileSystem,
    /// Tells the files apart that several programs write at the same time.
    program: u64,
    /// The same of those that this one writes.
    count: AtomicU64,
}

impl Default for Synced {
    #[expect(
        clippy::disallowed_types,
        reason = "a name for files that are gone in a moment; it reaches no table"
    )]
    fn default() -> Synced {
        let program = std::hash::RandomState::new().build_hasher().finish();
        Synced { inner: LocalFileSystem::new(), program, count: AtomicU64::new(0) }
    }
}

impl std::fmt::Display for Synced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

/// Writes a file whole and on disk, and only then gives it its name, unless something has it.
fn create(staged: &PathBuf, path: &PathBuf, payload: &PutPayload) -> io::Result<()> {
    // One that a crash left may be a commit under its other name: it is taken away, never written to.
    let _ = std::fs::remove_file(staged);
    let linked = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(staged)?;
        payload.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        std::fs::hard_link(staged, path)
    })();
    // It has its own name by now, or none.
    let _ = std::fs::remove_file(staged);
    linked?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[async_trait::async_trait]
impl ObjectStore for Synced {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !matches!(options.mode, PutMode::Create) {
            return self.inner.put_opts(at, payload, options).await;
        }
        let path = self.inner.path_to_filesystem(at)?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut name = path.clone().into_os_string();
        name.push(format!("{STAGED}{}{number:08}", self.program));
        let staged = PathBuf::from(name);
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "folder", source };
        let work = move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            create(&staged, &path, &payload)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) => Ok(PutResult { e_tag: None, version: None }),
            Ok(Err(e)) if e.kind() == ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: at.to_string(), source: Box::new(e) })
            }
            Ok(Err(e)) => Err(failed(Box::new(e))),
            Err(e) => Err(failed(Box::new(e))),
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(all)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt as _;

    #[tokio::test]
    async fn what_is_created_is_whole_once_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = (Synced::default(), folder.path().join("log/0.json"));
        let at = Path::from_absolute_path(&name).unwrap_or_else(|_| panic!("{name:?}"));
        let put = |text: &'static str| {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            store.put_opts(&at, PutPayload::from_static(text.as_bytes()), options)
        };
        put("first").await.unwrap();
        assert!(matches!(put("second").await, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "first");
        assert_eq!(std::fs::read_dir(folder.path().join("log")).unwrap().count(), 1);
    }
}
