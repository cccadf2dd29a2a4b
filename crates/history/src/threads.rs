//! Threads that statements run on: they keep processors busy for long stretches, and whoever talks to clients must not wait for that.

use std::future::Future;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Stack of each; see `sql_words`.
const STACK: usize = 32 << 20;

/// Threads of their own. What runs when nobody needs them any more is not waited for.
#[derive(Debug)]
pub struct Threads(Option<Runtime>);

impl Threads {
    /// So many.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new(count: usize) -> std::io::Result<Threads> {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(count.max(1)).thread_stack_size(STACK).thread_name("sql").enable_all();
        Ok(Threads(Some(runtime.build()?)))
    }

    /// Does something there, whoever waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(work);
        }
    }

    /// Does something there and gives what came of it; nothing when that failed. It is ended at its next step when nobody waits for it
    /// any more.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        // A set ends what is in it when it is dropped.
        let mut one = JoinSet::new();
        one.spawn_on(work, self.0.as_ref()?.handle());
        one.join_next().await?.ok()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
