//! SQL over history and the hot graph by PostgreSQL's protocol, for `psql`, drivers and dashboards: the tables, functions and bounds of
//! [`Sql`], every statement over the newest epoch, nothing that writes.
//!
//! Messages and types are pgwire's, the catalog that clients read is datafusion-pg-catalog's. What a connection may hold, and for how
//! long, is decided here.

mod catalog;
mod connection;
mod frame;
mod prepared;
mod run;
mod session;
mod settings;
mod statement;
#[cfg(test)]
mod tests;
mod trouble;
mod types;

use crate::error::{SqlError, first_line};
use crate::sql::{Bounds, Sql};
use crate::threads::Threads;
use crate::write::Epoch;
use bytes::Bytes;
use catalog::Catalog;
use pgwire::api::{ClientInfo, PidSecretKeyGenerator as _, RandomPidSecretKeyGenerator};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Clients at once.
pub(crate) const CONNECTIONS: usize = 64;
/// Clients at once that have not signed in yet.
pub(crate) const HANDSHAKES: usize = 32;
/// How long signing in may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Statements at once; each may use all processors and memory of its own.
pub(crate) const QUERIES: usize = 4;
/// How long connections may take to end when the server stops.
const ENDING: Duration = Duration::from_secs(3);

/// Bounds by name.
pub(crate) const LIMITS: [(&str, u64); 7] = [
    ("postgres_connections", CONNECTIONS as u64),
    ("postgres_handshake_seconds", HANDSHAKE.as_secs()),
    ("postgres_handshakes", HANDSHAKES as u64),
    ("postgres_held_bytes", session::HELD_BYTES as u64),
    ("postgres_message_bytes", frame::MESSAGE_BYTES as u64),
    ("postgres_queries", QUERIES as u64),
    ("postgres_stall_seconds", connection::STALL.as_secs()),
];

/// How it goes.
#[derive(Debug, Default)]
pub struct Figures {
    /// Connections that are open.
    pub open: AtomicU64,
    /// Connections that were refused, by a wrong password or because there were too many.
    pub refused: AtomicU64,
    /// Statements.
    pub statements: AtomicU64,
    /// Statements that failed or were refused.
    pub failures: AtomicU64,
}

/// What clients have to say to come in. Its text is not shown.
pub struct Password(String);

impl Password {
    /// A password.
    pub fn new(text: impl Into<String>) -> Password {
        Password(text.into())
    }

    /// Whether this is it. How long it takes does not say how much of it is right.
    fn is(&self, said: &str) -> bool {
        let (right, said) = (self.0.as_bytes(), said.as_bytes());
        let differ = right.iter().enumerate().fold(0, |d, (at, b)| d | (b ^ said.get(at).unwrap_or(&!b)));
        differ == 0 && right.len() == said.len()
    }
}

/// What a server is started with.
pub struct Postgres {
    /// The tables; as others ask them too.
    pub sql: Arc<Sql>,
    /// What statements run on; others may run there as well.
    pub threads: Arc<Threads>,
    /// The graph as it is when it is called.
    pub now: Arc<dyn Fn() -> Epoch + Send + Sync>,
    /// What one statement may use.
    pub bounds: Bounds,
    /// What clients have to say; nothing when anybody may come in.
    pub password: Option<Password>,
}

/// A number and a key that a statement can be canceled by.
type Key = (i32, Bytes);

/// What all connections have in common.
struct Shared {
    sql: Arc<Sql>,
    catalog: Catalog,
    now: Arc<dyn Fn() -> Epoch + Send + Sync>,
    bounds: Bounds,
    password: Option<Password>,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    threads: Arc<Threads>,
    keys: RandomPidSecretKeyGenerator,
    clients: Mutex<BTreeMap<Key, Arc<Notify>>>,
    figures: Arc<Figures>,
}

impl Shared {
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Notify>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register<C: ClientInfo>(&self, client: &mut C, cancel: &Arc<Notify>) -> Key {
        let (number, secret) = self.keys.generate(client);
        let key = (number, secret.to_bytes());
        client.set_pid_and_secret_key(number, secret);
        self.clients().insert(key.clone(), Arc::clone(cancel));
        key
    }

    fn unregister(&self, key: &Key) {
        self.clients().remove(key);
    }

    /// Ends the statement of a client, if one runs.
    fn cancel(&self, number: i32, secret: Bytes) {
        if let Some(client) = self.clients().get(&(number, secret)) {
            client.notify_waiters();
        }
    }
}

impl Postgres {
    /// Takes clients until `stop` becomes true, then ends their statements and tells them.
    ///
    /// # Errors
    /// When the catalog that comes with the program cannot be read.
    pub fn serve(
        self,
        listener: TcpListener,
        figures: Arc<Figures>,
        stop: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = ()> + Send + use<>, SqlError> {
        let catalog = Catalog::new().map_err(|e| SqlError::Failed(first_line(e)))?;
        let shared = Shared {
            threads: self.threads,
            sql: self.sql,
            catalog,
            now: self.now,
            bounds: self.bounds,
            password: self.password,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            turns: Arc::new(Semaphore::new(QUERIES)),
            keys: RandomPidSecretKeyGenerator::default(),
            clients: Mutex::default(),
            figures,
        };
        Ok(accept(listener, Arc::new(shared), stop))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let mut clients = JoinSet::new();
    let for_clients = stop.clone();
    let mut stopped = std::pin::pin!(async move {
        // A sender that is gone stops us too.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    loop {
        let next = async {
            let handshake = Arc::clone(&handshakes).acquire_owned().await;
            (listener.accept().await, handshake)
        };
        let (accepted, handshake) = tokio::select! {
            () = &mut stopped => break,
            next = next => next,
        };
        while clients.try_join_next().is_some() {}
        match (accepted, handshake) {
            (Ok((tcp, peer)), Ok(handshake)) => {
                let (shared, stop) = (Arc::clone(&shared), for_clients.clone());
                clients.spawn(connection::serve(tcp, peer, shared, handshake, stop));
            }
            // Of one connection, or out of file descriptors: connections that end will free some.
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    drop(listener);
    let ended = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(ENDING, ended).await;
    debug_assert!(shared.figures.open.load(Ordering::Relaxed) <= CONNECTIONS as u64);
}
