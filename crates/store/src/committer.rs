//! The thread that turns appended records into flushed groups, and the tickets that tell their writers.

use crate::log::{Entry, Log};
use crate::options::Options;
use crate::store::Counters;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

/// Why a record was not taken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much is waiting to be flushed: try again soon.
    #[error(
        "{pending_bytes} bytes are waiting to be written, the limit (store_max_pending_bytes) is {limit}"
    )]
    Busy {
        /// What waits.
        pending_bytes: u64,
        /// How much may wait.
        limit: u64,
    },
    /// The record will never fit.
    #[error("the record has {bytes} bytes, the limit (store_max_record_bytes) is {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest that is taken.
        limit: u64,
    },
    /// The store is closing.
    #[error("the store is closing")]
    Closing,
}

/// Why a record that was taken is not in the log. It may be sent again: nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// No space is left; the store goes on by itself when there is some again.
    #[error("the disk is full: cannot {doing} {file}")]
    DiskFull {
        /// What was tried.
        doing: &'static str,
        /// On which file of the data folder.
        file: String,
    },
    /// The disk failed; the next group tries again in a new file.
    #[error("the disk failed: cannot {doing} {file}: {message}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file of the data folder.
        file: String,
        /// What the operating system said.
        message: String,
    },
    /// The store was closed before the record was written.
    #[error("the store closed before the record was written")]
    Closed,
}

impl CommitError {
    pub(crate) fn from_io(doing: &'static str, file: &str, error: &io::Error) -> CommitError {
        let file = file.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => CommitError::DiskFull { doing, file },
            _ => CommitError::Io { doing, file, message: error.to_string() },
        }
    }
}

type Outcome = Result<u64, CommitError>;

#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    done: Condvar,
}

#[derive(Default)]
struct SlotState {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The promise that a record will be flushed, or that its writer will hear that it is not. Yields the record's seq.
///
/// Dropping a ticket does not take the record back.
#[must_use = "a record is safe only when its ticket says so"]
pub struct Ticket(Arc<Slot>);

impl Ticket {
    /// Blocks this thread until the outcome is known.
    ///
    /// # Errors
    /// When the record could not be written; see [`CommitError`].
    pub fn wait(self) -> Result<u64, CommitError> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// The committer's end of a ticket; one that is dropped unfulfilled says that the store closed.
struct Promise(Option<Arc<Slot>>);

impl Promise {
    fn fulfil(mut self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        let Some(slot) = self.0.take() else { return };
        let waker = {
            let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.outcome = Some(outcome);
            state.waker.take()
        };
        slot.done.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.settle(Err(CommitError::Closed));
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Entry, Promise)>,
    waiting_bytes: u64,
    /// Bytes of the group that is being written.
    writing_bytes: u64,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue that someone works on. When that ends, even by a panic, nobody may be left waiting.
struct Attended(Arc<Shared>);

impl Drop for Attended {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.0.lock();
            queue.closing = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(left);
    }
}

/// Hands records to the thread that writes them.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    max_record_bytes: u64,
    max_pending_bytes: u64,
}

impl Committer {
    pub(crate) fn start(
        log: Log,
        options: &Options,
        counters: Arc<Mutex<Counters>>,
    ) -> io::Result<Committer> {
        let shared = Arc::new(Shared::default());
        let (theirs, interval, group_bytes) = (shared.clone(), options.commit_interval, options.group_bytes);
        let thread = std::thread::Builder::new().name("store-commit".to_owned()).spawn(move || {
            let mut log = log;
            let theirs = Attended(theirs);
            while let Some((entries, promises)) = next_group(&theirs.0, interval, group_bytes) {
                let outcome = log.commit(&entries);
                let bytes = entries.iter().map(|e| e.body.len() as u64).sum();
                counters.lock().unwrap_or_else(PoisonError::into_inner).group(
                    &outcome,
                    entries.len(),
                    bytes,
                    log.syncs(),
                );
                drop(entries);
                theirs.0.lock().writing_bytes = 0;
                for (promise, place) in promises.into_iter().zip(0..) {
                    promise.fulfil(outcome.clone().map(|first| first + place));
                }
            }
        })?;
        Ok(Committer {
            shared,
            thread: Some(thread),
            max_record_bytes: options.max_record_bytes,
            max_pending_bytes: options.max_pending_bytes,
        })
    }

    pub(crate) fn append(&self, entry: Entry) -> Result<Ticket, AppendError> {
        let bytes = entry.body.len() as u64;
        if bytes > self.max_record_bytes {
            return Err(AppendError::TooLarge { bytes, limit: self.max_record_bytes });
        }
        let slot = Arc::new(Slot::default());
        {
            let mut queue = self.shared.lock();
            if queue.closing {
                return Err(AppendError::Closing);
            }
            let pending_bytes = queue.waiting_bytes + queue.writing_bytes;
            if pending_bytes + bytes > self.max_pending_bytes {
                return Err(AppendError::Busy { pending_bytes, limit: self.max_pending_bytes });
            }
            queue.waiting_bytes += bytes;
            queue.waiting.push_back((entry, Promise(Some(slot.clone()))));
        }
        self.shared.arrived.notify_one();
        Ok(Ticket(slot))
    }

    pub(crate) fn pending_bytes(&self) -> u64 {
        let queue = self.shared.lock();
        queue.waiting_bytes + queue.writing_bytes
    }

    /// Takes no more, writes what waits, and ends the thread.
    pub(crate) fn close(&mut self) {
        self.shared.lock().closing = true;
        self.shared.arrived.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there already failed every ticket.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a group: until it is large enough, old enough, or the store closes. `None` when closing and all is written.
fn next_group(
    shared: &Shared,
    interval: std::time::Duration,
    group_bytes: u64,
) -> Option<(Vec<Entry>, Vec<Promise>)> {
    let mut queue = shared.lock();
    while queue.waiting.is_empty() {
        if queue.closing {
            return None;
        }
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    let gathering = |queue: &mut Queue| !queue.closing && queue.waiting_bytes < group_bytes;
    let (mut queue, _) =
        shared.arrived.wait_timeout_while(queue, interval, gathering).unwrap_or_else(PoisonError::into_inner);
    let (mut entries, mut promises, mut bytes) = (Vec::new(), Vec::new(), 0);
    while bytes < group_bytes
        && let Some((entry, promise)) = queue.waiting.pop_front()
    {
        bytes += entry.body.len() as u64;
        entries.push(entry);
        promises.push(promise);
    }
    queue.waiting_bytes -= bytes;
    queue.writing_bytes = bytes;
    Some((entries, promises))
}
