//! `GET /graph/export`: the facts of a moment in open forms, written as they are found.
//!
//! One thread walks the graph and waits for whoever reads; what is under way is a few chunks, however large the graph is.
//! When the walk fails the connection is cut, so that half an export never looks like a whole one.

use super::{Api, Said, Trouble, looked, moment, times};
use ::query::View;
use ::query::rdf::{self, Format};
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use std::io::{self, BufWriter, Write};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes handed on at once: large enough that handing on costs nothing beside writing.
const CHUNK: usize = 64 << 10;
/// Chunks under way.
const CHUNKS: usize = 8;
/// A reader that takes nothing for so long is taken to be gone, or it would keep its place for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exports at once; each keeps a thread and an epoch of the graph for as long as its reader takes.
pub(crate) const AT_ONCE: usize = 4;

/// What to export.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    at: Option<String>,
    as_known: Option<String>,
    format: Option<String>,
}

impl Api {
    /// Leave to stream.
    pub(crate) fn export_permit(&self) -> Result<OwnedSemaphorePermit, Trouble> {
        self.exports.clone().try_acquire_owned().map_err(|_| {
            Trouble::Busy(format!("{AT_ONCE} exports are being read already; try again when one has ended"))
        })
    }
}

/// Streams the facts of a moment; of now when none is said.
pub(crate) async fn export(State(api): State<Api>, Said(wanted): Said<Wanted>) -> Result<Response, Trouble> {
    let at = moment("at", wanted.at.as_deref())?;
    let known = moment("as_known", wanted.as_known.as_deref())?;
    let name = wanted.format.as_deref().filter(|f| !f.is_empty()).unwrap_or("nquads");
    let Some((format, _)) = Format::ALL.into_iter().find(|(_, n)| *n == name) else {
        let known = Format::ALL.map(|(_, n)| n).join(", ");
        return Err(Trouble::Unclear(format!("format: there is no form `{name}`; there are: {known}")));
    };
    let permit = api.export_permit()?;
    let earlier = api.earlier(known, times([at])).await?;
    let graph = looked(&api.engine, known, earlier)?.graph;
    streamed(permit, format.media_type(), move |to| {
        let mut view = View::latest(&graph);
        view.as_of = at.map_or(view.as_of, |t| t.min(view.as_of));
        rdf::write(&view, format, to).map_err(io::Error::other)
    })
}

/// An answer that is written while it is read, by a thread of its own; when writing fails the connection is cut.
pub(crate) fn streamed(
    permit: OwnedSemaphorePermit,
    media_type: &'static str,
    write: impl FnOnce(Written) -> io::Result<()> + Send + 'static,
) -> Result<Response, Trouble> {
    let (send, receive) = mpsc::channel(CHUNKS + 1);
    // A place kept free, so that a failure can be told even when the reader is behind: a body that just ends looks whole.
    let Ok(failed) = send.clone().try_reserve_owned() else {
        return Err(Trouble::Ours("the answer could not begin".to_owned()));
    };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        if let Err(e) = write(BufWriter::with_capacity(CHUNK, Chunks { to: send, runtime })) {
            failed.send(Err(e));
        }
        drop(permit);
    });
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(ReceiverStream::new(receive))).into_response())
}

/// What a streamed answer is written to.
pub(crate) type Written = BufWriter<Chunks>;

/// Hands on what is written, and waits while the reader is behind.
pub(crate) struct Chunks {
    to: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sending = self.to.send(Ok(Bytes::copy_from_slice(bytes)));
        match self.runtime.block_on(async { timeout(PATIENCE, sending).await }) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the reader of the export is gone")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the reader of the export takes nothing")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
