//! When checkpoints are written: as the log grows, and at the end.

use crate::receive::now;
use crate::serve::note;
use engine::{Checkpointed, Engine, EngineError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Bytes of requests that a checkpoint is written after: some seconds of reading at a start.
const GROWN: u64 = 16 << 20;
/// A checkpoint is written after so long when less has come.
const AT_LATEST: Duration = Duration::from_secs(600);
/// Less than this is read at a start sooner than a checkpoint is.
const LITTLE: u64 = 1 << 20;
/// Between two of them is at least this.
const REST: Duration = Duration::from_secs(60);
/// And so many times what the last one took: a large graph is not written all the time.
const SHARE: u32 = 20;

async fn write(engine: &Arc<Engine>) -> Result<Option<Checkpointed>, EngineError> {
    let engine = Arc::clone(engine);
    let written = tokio::task::spawn_blocking(move || engine.checkpoint(now())).await;
    written.unwrap_or_else(|e| {
        Err(EngineError::Document {
            what: "a checkpoint".to_owned(),
            why: format!("it ended in a panic: {e}"),
        })
    })
}

/// Writes checkpoints until the server stops.
pub(crate) async fn keep(engine: Arc<Engine>, mut stopped: watch::Receiver<bool>) {
    let (mut last, mut rest) = (Instant::now(), REST);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|s| *s) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let (tail, since) = (engine.tail_bytes(), last.elapsed());
        let due = tail >= GROWN || tail >= LITTLE && since >= AT_LATEST;
        if !due || since < rest {
            continue;
        }
        let begin = Instant::now();
        if let Err(e) = write(&engine).await {
            note(&e.to_string());
        }
        last = Instant::now();
        rest = REST.max(begin.elapsed() * SHARE);
    }
}

/// Writes one when the server has stopped, so that the next start need not read the log.
pub(crate) async fn last(engine: &Arc<Engine>) {
    if engine.tail_bytes() < LITTLE {
        return;
    }
    if let Err(e) = write(engine).await {
        note(&e.to_string());
    }
}
