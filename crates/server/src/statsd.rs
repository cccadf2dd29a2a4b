//! StatsD over UDP: datagrams are gathered for a moment and handed over together.
//!
//! UDP has no answer, so nothing here can be refused: what cannot be taken in time is dropped and counted under the outcome
//! `dropped`, by datagrams.

use crate::intake::Wire;
use crate::listen::ListenError;
use crate::receive::Receiver;
use bytes::{Bytes, BytesMut};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Bytes that are handed over at once: the largest datagram there is, and so at most two of them.
const BATCH: usize = 64 << 10;
/// How long the first line of a batch waits for company; far below the minute that anything is counted by.
const GATHER: Duration = Duration::from_millis(100);
/// Batches that wait to be kept. Beyond: they are dropped. Eight megabytes; some seconds of a disk that is slow.
pub(crate) const QUEUE: usize = 128;

/// An open port.
pub(crate) struct Lines {
    socket: UdpSocket,
}

impl Lines {
    /// Takes a UDP port.
    pub(crate) async fn open(addr: SocketAddr) -> Result<Lines, ListenError> {
        let (what, flag) = ("StatsD", "--statsd");
        let bound = UdpSocket::bind(addr).await;
        bound.map(|socket| Lines { socket }).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ListenError::InUse { addr, what, flag },
            _ => ListenError::Other { addr, what, flag, source },
        })
    }

    /// Its address.
    pub(crate) fn addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Gathers and hands over until stopped; what was gathered by then is still handed over.
    pub(crate) fn serve(self, receiver: Receiver, stopped: watch::Receiver<bool>) -> [JoinHandle<()>; 2] {
        let (queue, waiting) = mpsc::channel(QUEUE);
        [
            tokio::spawn(gather(self.socket, receiver.clone(), queue, stopped)),
            tokio::spawn(keep(receiver, waiting)),
        ]
    }
}

async fn gather(
    socket: UdpSocket,
    receiver: Receiver,
    queue: mpsc::Sender<(Bytes, u64)>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut datagram = vec![0; BATCH];
    let (mut batch, mut datagrams) = (BytesMut::new(), 0);
    let mut due: Option<Instant> = None;
    loop {
        let far = Instant::now() + Duration::from_secs(3600);
        let received = tokio::select! {
            _ = stopped.wait_for(|s| *s) => break,
            received = timeout_at(due.unwrap_or(far), socket.recv(&mut datagram)) => received,
        };
        if let Ok(Err(_)) = &received {
            // The socket has something to complain of, and may have it again at once.
            tokio::time::sleep(GATHER).await;
        }
        if let Ok(Ok(length)) = received {
            let lines = datagram.get(..length).unwrap_or_default();
            batch.extend_from_slice(lines);
            batch.extend_from_slice(b"\n");
            datagrams += 1;
            due.get_or_insert_with(|| Instant::now() + GATHER);
        }
        let full = batch.len() >= BATCH || due.is_some_and(|d| d <= Instant::now());
        if full && !batch.is_empty() {
            let lost = queue.try_send((batch.split().freeze(), datagrams)).is_err();
            if lost {
                receiver.count_as("statsd", "dropped", datagrams);
            }
            (datagrams, due) = (0, None);
        }
    }
    if !batch.is_empty() && queue.send((batch.freeze(), datagrams)).await.is_err() {
        receiver.count_as("statsd", "dropped", datagrams);
    }
}

async fn keep(receiver: Receiver, mut waiting: mpsc::Receiver<(Bytes, u64)>) {
    while let Some((lines, datagrams)) = waiting.recv().await {
        let outcome = match receiver.hand(lines) {
            Ok(held) => receiver.accept(Wire::StatsD, held).await,
            Err(trouble) => Err(trouble),
        };
        if outcome.as_ref().is_err_and(|t| t.retry_after().is_some()) {
            receiver.count_as("statsd", "dropped", datagrams);
        }
        receiver.count("statsd", &outcome);
    }
}
