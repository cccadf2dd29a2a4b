//! Where history lies: a folder, or a bucket that speaks S3.

mod synced;

use crate::error::{HistoryError, first_line};
use crate::table::Table;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use synced::Synced;
use url::Url;

/// A bucket that does not answer is given up after this; a transfer of a part may take as long.
const ANSWER: Duration = Duration::from_secs(15);
/// A connection is given up after this.
const CONNECT: Duration = Duration::from_secs(5);
/// A request that fails is tried again so often, within [`TRIES_WITHIN`].
const TRIES: usize = 3;
const TRIES_WITHIN: Duration = Duration::from_secs(30);

/// A place for history.
#[derive(Clone)]
pub struct Place {
    label: String,
    url: Url,
    root: Arc<dyn ObjectStore>,
    /// What tables' folders stand under, from the root of the store.
    prefix: object_store::path::Path,
    folder: Option<PathBuf>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.label).finish()
    }
}

impl Place {
    /// A folder or an address such as `s3://bucket/prefix`, whose endpoint, region and keys come from the usual `AWS_…` variables.
    ///
    /// # Errors
    /// When it is neither, or the variables cannot be read.
    pub fn parse(text: &str) -> Result<Place, HistoryError> {
        match text.split_once("://") {
            Some(("s3", _)) => Place::bucket(text),
            Some(("file", path)) => Place::folder(Path::new(path)),
            Some((scheme, _)) => {
                Err(wrong(text, format!("`{scheme}://` is not known; say a folder or s3://bucket/prefix")))
            }
            None => Place::folder(Path::new(text)),
        }
    }

    /// A folder; made when something is written.
    ///
    /// # Errors
    /// When its path cannot be made whole.
    pub fn folder(path: &Path) -> Result<Place, HistoryError> {
        let label = path.display().to_string();
        let whole = std::path::absolute(path).map_err(|e| wrong(&label, e))?;
        let prefix = object_store::path::Path::from_absolute_path(&whole).map_err(|e| wrong(&label, e))?;
        let url = Url::from_directory_path(&whole).map_err(|()| wrong(&label, "it is no path".to_owned()))?;
        let root = Arc::new(Synced::default());
        Ok(Place { label, url, root, prefix, folder: Some(whole) })
    }

    fn bucket(text: &str) -> Result<Place, HistoryError> {
        let url = Url::parse(&format!("{}/", text.trim_end_matches('/'))).map_err(|e| wrong(text, e))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong(text, "it names no bucket; write it like s3://bucket/prefix".to_owned()));
        }
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: TRIES,
            retry_timeout: TRIES_WITHIN,
        };
        let client = ClientOptions::new().with_timeout(ANSWER).with_connect_timeout(CONNECT);
        // An endpoint without TLS is one that was asked for as such.
        let plain = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
            .iter()
            .any(|name| std::env::var(name).is_ok_and(|e| e.starts_with("http://")));
        let store = AmazonS3Builder::from_env()
            .with_url(url.as_str())
            .with_retry(retry)
            .with_client_options(client.with_allow_http(plain))
            .with_allow_http(plain)
            .build()
            .map_err(|e| wrong(text, e))?;
        let prefix = object_store::path::Path::from_url_path(url.path()).map_err(|e| wrong(text, e))?;
        Ok(Place { label: text.to_owned(), url, root: Arc::new(store), prefix, folder: None })
    }

    /// A place of one's own making, for tests and for disks that fail on purpose.
    #[cfg(test)]
    pub(crate) fn on(root: Arc<dyn ObjectStore>) -> Place {
        #[expect(clippy::unwrap_used, reason = "a constant")]
        let url = Url::parse("memory:///history/").unwrap();
        Place { label: "memory".to_owned(), url, root, prefix: "history".into(), folder: None }
    }

    /// As it was said.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The file of a path within a table, where it lies in a folder.
    pub(crate) fn local(&self, table: Table, path: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(table.name()).join(path))
    }

    /// Makes the folder, for its owner alone.
    pub(crate) fn make(&self) -> Result<(), HistoryError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let Some(folder) = &self.folder else { return Ok(()) };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| wrong(&self.label, e))
    }

    /// The store, with `/` at a table's folder.
    pub(crate) fn store(&self, table: Table) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.root), self.prefix.clone().join(table.name())))
    }

    /// The log of a table.
    pub(crate) fn log(&self, table: Table) -> Result<LogStoreRef, HistoryError> {
        let url = self.url.join(&format!("{}/", table.name())).map_err(|e| wrong(&self.label, e))?;
        Ok(default_logstore(self.store(table), Arc::clone(&self.root), &url, &StorageConfig::default()))
    }

    /// Whether what is written only if it is not there yet is refused when it is: without that two writers would take each other's
    /// commits away.
    ///
    /// # Errors
    /// When it is not refused, or the store does not answer.
    pub(crate) async fn check_conditional(&self, table: Table, name: &str) -> Result<(), HistoryError> {
        let (store, path) = (self.store(table), object_store::path::Path::from(format!("_probe/{name}")));
        let put = || {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            store.put_opts(&path, PutPayload::from_static(b"probe"), options)
        };
        let failed = |e: Error| HistoryError::World {
            doing: "writing",
            table: table.name(),
            place: self.label.clone(),
            why: first_line(e),
        };
        match put().await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => {}
            Err(e) => return Err(failed(e)),
        }
        let second = put().await;
        // Who may not delete may still write; the probe is a few bytes.
        let _ = store.delete(&path).await;
        match second {
            Err(Error::AlreadyExists { .. }) => Ok(()),
            Ok(_) => Err(wrong(
                &self.label,
                "it does not keep conditional writes (If-None-Match), so two writers could undo each other's commits".to_owned(),
            )),
            Err(e) => Err(failed(e)),
        }
    }
}

fn wrong(place: &str, why: impl ToString) -> HistoryError {
    HistoryError::Place { place: place.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        assert_eq!(Place::parse("some/where").unwrap().label(), "some/where");
        for wrong in ["ftp://x/y", "s3://"] {
            let error = Place::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("s3://bucket/prefix"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_that_keeps_conditional_writes_is_taken() {
        let place = Place::on(Arc::new(object_store::memory::InMemory::new()));
        place.check_conditional(Table::Flows, "a").await.unwrap();
    }
}
