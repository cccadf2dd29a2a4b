//! What every receiver does with a request: read it within limits, decompress it, hand it over, count it.

use crate::intake::{Intake, Receipt, Refusal, Wire};
use crate::limits::Limits;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a request was not taken. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{0}")]
    Malformed(String),
    #[error("the request has more than {limit} bytes{}; send smaller batches", .decompressed.then_some(" after decompression").unwrap_or_default())]
    TooLarge { limit: u64, decompressed: bool },
    #[error("{0}")]
    Media(String),
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Unwritten(String),
    #[error("the body did not arrive within {0} seconds")]
    Slow(u64),
    #[error("the request ended early: {0}")]
    Broken(String),
    #[error("{0}")]
    Unproven(String),
    #[error("the server failed on this request; nothing of it was kept")]
    Failed,
}

/// Seconds after which a sender may try again: overload passes within a few group commits, a full disk does not.
const RETRY_BUSY: u64 = 1;
const RETRY_UNWRITTEN: u64 = 10;

impl Trouble {
    /// When it may be sent again; `None` when that will not help.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Trouble::Busy(_) => Some(RETRY_BUSY),
            Trouble::Unwritten(_) => Some(RETRY_UNWRITTEN),
            _ => None,
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Trouble::Malformed(_) => "malformed",
            Trouble::TooLarge { .. } => "too_large",
            Trouble::Media(_) => "unknown_type",
            Trouble::Busy(_) => "busy",
            Trouble::Unwritten(_) => "unwritten",
            Trouble::Slow(_) => "slow",
            Trouble::Broken(_) => "broken",
            Trouble::Unproven(_) => "unproven",
            Trouble::Failed => "failed",
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Trouble {
        match refusal {
            Refusal::Malformed(why) => Trouble::Malformed(why),
            Refusal::TooLarge { limit, .. } => Trouble::TooLarge { limit, decompressed: true },
            Refusal::Busy(_) => Trouble::Busy(refusal.to_string()),
            Refusal::Unwritten(_) => Trouble::Unwritten(refusal.to_string()),
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    None,
    Gzip,
    Zstd,
    /// Snappy's block format, which says how long it becomes; only where a protocol asks for it.
    Snappy,
}

/// The codings in the words of `Accept-Encoding`.
pub(crate) const CODINGS: &str = "gzip, zstd, identity";

impl Coding {
    pub(crate) fn parse(header: Option<&[u8]>) -> Result<Coding, Trouble> {
        // Names of codings are case-insensitive (RFC 9110, 8.4.1).
        let name = header.map(|h| h.trim_ascii().to_ascii_lowercase());
        match name.as_deref() {
            None | Some(b"" | b"identity") => Ok(Coding::None),
            Some(b"gzip" | b"x-gzip") => Ok(Coding::Gzip),
            Some(b"zstd") => Ok(Coding::Zstd),
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                Err(Trouble::Media(format!("the compression `{other}` is not known; use one of {CODINGS}")))
            }
        }
    }
}

/// A share of `request_memory_bytes`, given back when dropped.
#[derive(Default)]
struct Share {
    pages: u64,
    permit: Option<OwnedSemaphorePermit>,
}

/// Memory is counted in pages, because a semaphore gives 32-bit numbers of permits.
const PAGE: u64 = 4096;

/// A body in memory, counted.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    share: Share,
}

/// What the receivers of all protocols share. Clones are handles to the same one.
#[derive(Clone)]
pub struct Receiver(Arc<Inner>);

struct Inner {
    intake: Arc<dyn Intake>,
    limits: Limits,
    memory: Arc<Semaphore>,
    pages: u64,
    /// By form and outcome. Forms are those of this program and the feeds of the ontology, so they are few.
    figures: Mutex<BTreeMap<(String, &'static str), u64>>,
}

impl Receiver {
    /// A receiver that hands what it gets to `intake`.
    pub fn new(intake: Arc<dyn Intake>, limits: Limits) -> Receiver {
        let pages = (limits.request_memory_bytes / PAGE).min(Semaphore::MAX_PERMITS as u64);
        let memory = Arc::new(Semaphore::new(usize::try_from(pages).unwrap_or(Semaphore::MAX_PERMITS)));
        Receiver(Arc::new(Inner { intake, limits, memory, pages, figures: Mutex::default() }))
    }

    /// The limits it works within.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The ontology that requests are read under now.
    pub(crate) fn ontology(&self) -> Arc<Ontology> {
        self.0.intake.ontology()
    }

    /// Bytes of requests in memory now.
    pub fn memory_in_use(&self) -> u64 {
        (self.0.pages - self.0.memory.available_permits() as u64) * PAGE
    }

    /// Requests so far: form, outcome, count; sorted.
    pub fn figures(&self) -> Vec<(String, &'static str, u64)> {
        let figures = self.0.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.iter().map(|((form, outcome), count)| (form.clone(), *outcome, *count)).collect()
    }

    /// Counts under an outcome of the caller's own.
    pub(crate) fn count_as(&self, form: &str, outcome: &'static str, count: u64) {
        let mut figures = self.0.figures.lock().unwrap_or_else(PoisonError::into_inner);
        *figures.entry((form.to_owned(), outcome)).or_default() += count;
    }

    pub(crate) fn count(&self, form: &str, outcome: &Result<Receipt, Trouble>) {
        let outcome = match outcome {
            Ok(receipt) if receipt.rejected > 0 => "partly_accepted",
            Ok(_) => "accepted",
            Err(trouble) => trouble.outcome(),
        };
        self.count_as(form, outcome, 1);
    }

    fn hold(&self, share: &mut Share, bytes: u64) -> Result<(), Trouble> {
        let more = bytes.div_ceil(PAGE).saturating_sub(share.pages);
        if more == 0 {
            return Ok(());
        }
        let permits =
            u32::try_from(more).ok().and_then(|n| self.0.memory.clone().try_acquire_many_owned(n).ok());
        let Some(permits) = permits else {
            let limit = self.0.limits.request_memory_bytes;
            return Err(Trouble::Busy(format!(
                "requests in flight fill the memory set aside for them (request_memory_bytes, {limit}); send again later"
            )));
        };
        share.pages += more;
        match &mut share.permit {
            Some(held) => held.merge(permits),
            none => *none = Some(permits),
        }
        Ok(())
    }

    /// Reads a body as it comes. Memory is counted as bytes arrive, so a sender that only announces many holds none.
    pub(crate) async fn read(&self, body: &mut Body, envelope: u64) -> Result<Held, Trouble> {
        let limits = &self.0.limits;
        let reading = tokio::time::timeout(
            limits.body_time(),
            self.read_all(body, limits.request_body_bytes + envelope),
        );
        reading.await.unwrap_or(Err(Trouble::Slow(limits.body_seconds)))
    }

    async fn read_all(&self, body: &mut Body, max: u64) -> Result<Held, Trouble> {
        let too_large = Trouble::TooLarge { limit: self.0.limits.request_body_bytes, decompressed: false };
        if body.size_hint().lower() > max {
            return Err(too_large);
        }
        let mut share = Share::default();
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| Trouble::Broken(e.to_string()))?.into_data() else { continue };
            let len = (first.len() + rest.len() + data.len()) as u64;
            if len > max {
                return Err(too_large);
            }
            self.hold(&mut share, len)?;
            if first.is_empty() && rest.is_empty() {
                // Most requests are one frame: no copy.
                first = data;
                continue;
            }
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
        Ok(Held { bytes: if rest.is_empty() { first } else { rest.freeze() }, share })
    }

    /// Counts bytes that came some other way than as a request.
    pub(crate) fn hand(&self, bytes: Bytes) -> Result<Held, Trouble> {
        let mut share = Share::default();
        self.hold(&mut share, bytes.len() as u64)?;
        Ok(Held { bytes, share })
    }

    /// Reads what is left of a refused request and throws it away: a sender that is still writing when the connection
    /// closes would see that instead of the answer.
    pub(crate) async fn drain(&self, mut body: Body, trouble: Option<&Trouble>) {
        if matches!(trouble, Some(Trouble::Slow(_) | Trouble::Broken(_))) {
            return;
        }
        let mut left = self.0.limits.drain_bytes;
        let draining = async {
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, |d| d.len() as u64));
                if left == 0 {
                    break;
                }
            }
        };
        // Whoever is slower than that does not get to read the answer.
        let _ = tokio::time::timeout(self.0.limits.body_time(), draining).await;
    }

    /// A body that was made here, counted like one that came in.
    pub(crate) fn held(&self, bytes: Bytes) -> Result<Held, Trouble> {
        let mut share = Share::default();
        self.hold(&mut share, bytes.len() as u64)?;
        Ok(Held { bytes, share })
    }

    /// Decompresses a body, on a thread of its own when that may take long.
    pub(crate) async fn unpack(&self, held: Held, coding: Coding) -> Result<Held, Trouble> {
        /// A few kilobytes can become 64 MB, but senders' usual batches stay below this and are done in microseconds.
        const INLINE: usize = 16 << 10;
        if coding == Coding::None {
            if held.bytes.len() as u64 > self.0.limits.request_body_bytes {
                return Err(Trouble::TooLarge {
                    limit: self.0.limits.request_body_bytes,
                    decompressed: false,
                });
            }
            return Ok(held);
        }
        if held.bytes.len() <= INLINE {
            return self.unpack_now(&held, coding);
        }
        let receiver = self.clone();
        let unpacking = tokio::task::spawn_blocking(move || receiver.unpack_now(&held, coding));
        unpacking.await.unwrap_or(Err(Trouble::Failed))
    }

    fn unpack_now(&self, held: &Held, coding: Coding) -> Result<Held, Trouble> {
        const STEP: u64 = 256 << 10;
        /// The zstd format asks decoders to take 8 MB; more would be memory that no limit counts.
        const ZSTD_WINDOW_LOG: u32 = 23;
        let damaged = |e: std::io::Error| match e.kind() {
            ErrorKind::UnexpectedEof => Trouble::Malformed("the compressed body ends early".to_owned()),
            _ => Trouble::Malformed(format!("the body cannot be decompressed: {e}")),
        };
        let input = &held.bytes[..];
        if coding == Coding::Snappy {
            return self.unsnap(input);
        }
        let mut reader: Box<dyn Read> = match coding {
            Coding::None | Coding::Snappy => Box::new(input),
            Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
                Box::new(decoder)
            }
        };
        let limit = self.0.limits.request_body_bytes;
        let (mut out, mut share) = (Vec::new(), Share::default());
        loop {
            let step = STEP.min(limit + 1 - out.len() as u64);
            self.hold(&mut share, (out.capacity() as u64).max(out.len() as u64 + step))?;
            let read = (&mut reader).take(step).read_to_end(&mut out).map_err(damaged)?;
            if out.len() as u64 > limit {
                return Err(Trouble::TooLarge { limit, decompressed: true });
            }
            if read == 0 {
                return Ok(Held { bytes: out.into(), share });
            }
        }
    }

    /// A snappy block says its size first: nothing is set aside for one that is too large, or that its bytes cannot become.
    fn unsnap(&self, input: &[u8]) -> Result<Held, Trouble> {
        /// The longest copy gives 64 bytes and takes 3 (format description, "Copies").
        const DENSEST: u64 = 22;
        let damaged =
            |e: snap::Error| Trouble::Malformed(format!("the body is not in snappy's block format: {e}"));
        let limit = self.0.limits.request_body_bytes;
        let size = snap::raw::decompress_len(input).map_err(damaged)? as u64;
        if size > limit {
            return Err(Trouble::TooLarge { limit, decompressed: true });
        }
        if size > (input.len() as u64 + 1) * DENSEST {
            let told = format!("the snappy block says that it holds {size} bytes, which cannot be");
            return Err(Trouble::Malformed(told));
        }
        let mut share = Share::default();
        self.hold(&mut share, size)?;
        let out = snap::raw::Decoder::new().decompress_vec(input).map_err(damaged)?;
        Ok(Held { bytes: out.into(), share })
    }

    /// Hands a request over and waits for its fate. A sender that goes away meanwhile does not stop it half way.
    pub(crate) async fn accept(&self, wire: Wire, held: Held) -> Result<Receipt, Trouble> {
        let intake = Arc::clone(&self.0.intake);
        let accepting = tokio::spawn(async move {
            let Held { bytes, share } = held;
            let outcome = intake.accept(wire, bytes, now()).await;
            drop(share);
            outcome
        });
        Ok(accepting.await.map_err(|_| Trouble::Failed)??)
    }
}

/// The clock of the receivers: when a request came in.
pub(crate) fn now() -> Time {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server is at the rim: here the moment of arrival becomes an argument"
    )]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).ok().and_then(Time::from_nanos).unwrap_or(Time::EPOCH)
}
