//! An engine on a folder, for the tests.

use crate::{Engine, EngineError, LostHashKey, Options, Started};
use ontology::Ontology;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn options(folder: &Path) -> Options {
    Options {
        data: folder.to_owned(),
        limits: graph::Limits::default(),
        keep_log: crate::KeepLog::default(),
        new_hash_key: [7; 32],
        lost_hash_key: LostHashKey::Refuse,
    }
}

pub(crate) fn open(folder: &Path) -> Result<(Engine, Started), EngineError> {
    Engine::open(&options(folder), Arc::new(Ontology::builtin()), |_| {})
}

/// Logs a request and waits until it is safe.
pub(crate) fn keep(engine: &Engine, understood: &crate::Understood) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.keep(understood)).unwrap();
}
