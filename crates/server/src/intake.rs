//! What the receivers hand a request to, and what they are told.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ontology::{Ontology, Time};
use std::sync::Arc;

pub use engine::{Receipt, Refusal, SetAside};
pub use ingest::{Delivery, Form, Wire};

/// Takes whole, decompressed request bodies.
///
/// **Contract:** `Ok` means that the request is safe: it will be there after a crash. `Err` means that nothing of it is
/// kept. The future is run to its end even when the sender has gone.
pub trait Intake: Send + Sync + 'static {
    /// Takes one request that came in at `recorded`.
    fn accept(&self, wire: Wire, body: Bytes, recorded: Time) -> BoxFuture<'_, Result<Receipt, Refusal>>;

    /// The ontology that requests are read under now: it says which feeds there are.
    fn ontology(&self) -> Arc<Ontology>;
}
