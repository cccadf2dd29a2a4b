//! Ports: taking one, serving HTTP/1.1 and HTTP/2 on it within limits, and closing it without dropping a request.

use crate::limits::Limits;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Why a port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Someone else has it.
    #[error("cannot listen on {addr} for {what}: the port is in use; see who has it with `ss -ltnp 'sport = :{}'` and stop that, or choose another with {flag}", addr.port())]
    InUse {
        /// The address.
        addr: SocketAddr,
        /// What it was for.
        what: &'static str,
        /// The option that chooses another.
        flag: &'static str,
    },
    /// Something else is wrong with it.
    #[error("cannot listen on {addr} for {what}: {source}; choose another address with {flag}")]
    Other {
        /// The address.
        addr: SocketAddr,
        /// What it was for.
        what: &'static str,
        /// The option that chooses another.
        flag: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// An open port that is not served yet: connections wait.
pub struct Port {
    listener: TcpListener,
    open: Arc<AtomicU64>,
}

impl Port {
    /// Takes a port. `what` and `flag` are for the error.
    ///
    /// # Errors
    /// When the port is in use or the address is not ours.
    pub async fn open(addr: SocketAddr, what: &'static str, flag: &'static str) -> Result<Port, ListenError> {
        Ok(Port { listener: bind(addr, what, flag).await?, open: Arc::default() })
    }

    /// Its address; with the port that was given when port 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many connections are open, now and later.
    pub fn connections(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.open)
    }

    /// Serves until `stop` becomes true, then lets requests in flight finish.
    pub async fn serve(self, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
        let slots =
            Arc::new(Semaphore::new(usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let builder = builder(&limits);
        let mut stopped = std::pin::pin!(async move {
            // A sender that is gone stops us too.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        loop {
            let connection = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (self.listener.accept().await, slot)
            };
            let (accepted, slot) = tokio::select! {
                () = &mut stopped => break,
                connection = connection => connection,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(e) if is_of_one_connection(&e) => continue,
                Err(_) => {
                    // Out of file descriptors or memory: connections that end will free some.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (builder, router, watcher) = (builder.clone(), router.clone(), graceful.watcher());
            let header_time = limits.header_time();
            let open = Open::count(&self.open);
            tokio::spawn(async move {
                let (_slot, _open) = (slot, open);
                // Small answers must not wait for more to come; where it cannot be set they do.
                let _ = stream.set_nodelay(true);
                if tokio::time::timeout(header_time, begun(&stream)).await.is_err() {
                    return;
                }
                let service = TowerToHyperService::new(router);
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                // What can fail here is the connection: its client knows.
                let _ = watcher.watch(connection).await;
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(Duration::from_secs(limits.shutdown_seconds), graceful.shutdown()).await;
    }
}

/// Takes a port for something else than HTTP. `what` and `flag` are for the error.
///
/// # Errors
/// When the port is in use or the address is not ours.
pub async fn bind(
    addr: SocketAddr,
    what: &'static str,
    flag: &'static str,
) -> Result<TcpListener, ListenError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { addr, what, flag },
        _ => ListenError::Other { addr, what, flag, source },
    })
}

/// One connection, counted while it lives.
struct Open(Arc<AtomicU64>);

impl Open {
    fn count(all: &Arc<AtomicU64>) -> Open {
        all.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(all))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_of_one_connection(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Waits until the client has said which HTTP it speaks. Hyper waits for that without a limit of time.
async fn begun(stream: &TcpStream) {
    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut bytes = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut bytes).await {
            Ok(n) if n > 0 && n < PREFACE.len() && bytes[..n] == PREFACE[..n] => {
                // Bytes that were only peeked at keep the socket readable, so waiting for more is by time.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            _ => return,
        }
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = limits.header_bytes;
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time())
        .max_buf_size(usize::try_from(header_bytes).unwrap_or(usize::MAX).max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(limits.streams_per_connection).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        // The protocol's 64 KiB would make a sender on the same machine wait in the middle of an ordinary batch.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(limits.header_time())
        .keep_alive_timeout(limits.header_time());
    builder
}
