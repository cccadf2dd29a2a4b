//! Messages of a client, taken from a connection one at a time: bounded, and looked at before they are decoded.
//!
//! The decoder of pgwire takes messages of up to 2 GiB, reads on where a message ends too early, and panics at the end of the buffer. So
//! nobody gives it anything but one whole message whose parts fit.

use bytes::{Buf as _, BytesMut};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::{DecodeContext, PgWireFrontendMessage, ProtocolVersion};
use std::io;
use tokio::net::TcpStream;

/// Bytes of one message. Longer texts are rare even among those that programs write.
pub(super) const MESSAGE_BYTES: usize = 1 << 20;
/// Bytes of a message before the client is known, as PostgreSQL bounds them.
const FIRST_BYTES: usize = 10_000;
/// Bytes asked of the system at once.
const CHUNK: usize = 8 << 10;

/// What a client may say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Whether it wants TLS, who it is, or whom to cancel.
    First,
    /// Its password.
    Password,
    /// Anything.
    Open(ProtocolVersion),
}

/// The bytes of a connection that are not a whole message yet.
#[derive(Default)]
pub(super) struct Frames {
    bytes: BytesMut,
}

impl Frames {
    /// The next message; none when the client is gone. May be dropped at any time: nothing is lost.
    ///
    /// # Errors
    /// When it is none, is too long, or the connection fails.
    pub(super) async fn next(
        &mut self,
        tcp: &TcpStream,
        stage: Stage,
    ) -> Result<Option<PgWireFrontendMessage>, PgWireError> {
        loop {
            if let Some(message) = self.take(stage)? {
                return Ok(Some(message));
            }
            tcp.readable().await?;
            self.bytes.reserve(CHUNK);
            match tcp.try_read_buf(&mut self.bytes) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn take(&mut self, stage: Stage) -> Result<Option<PgWireFrontendMessage>, PgWireError> {
        let head = if stage == Stage::First { 4 } else { 5 };
        let Some(mut length) = self.bytes.get(head - 4..head) else { return Ok(None) };
        let kind = self.bytes.first().copied().filter(|_| stage != Stage::First);
        if kind.is_some_and(|kind| !b"pQPBCDEHSXcdf".contains(&kind)) {
            return Err(broken("a message of no kind that this protocol has"));
        }
        let most = if matches!(stage, Stage::Open(_)) { MESSAGE_BYTES } else { FIRST_BYTES };
        let length = match usize::try_from(length.get_i32()) {
            Ok(length) if (4..=most).contains(&length) => length,
            Ok(length) if length > most => {
                return Err(refusal(
                    "54000",
                    &format!("a message of {length} bytes; at most {most} are taken"),
                ));
            }
            _ => return Err(broken("a message of less than no bytes")),
        };
        let whole = head - 4 + length;
        if self.bytes.len() < whole {
            return Ok(None);
        }
        let mut frame = self.bytes.split_to(whole);
        let body = frame.get(head..).unwrap_or_default();
        if !fits(kind, body) {
            return Err(broken("a message whose parts do not fit"));
        }
        let mut context = DecodeContext::default();
        // A request for TLS and the like are told from a first message by the decoder itself.
        context.awaiting_frontend_ssl = stage == Stage::First && is_encryption(body);
        context.awaiting_frontend_startup = stage == Stage::First;
        if let Stage::Open(version) = stage {
            context.protocol_version = version;
        }
        PgWireFrontendMessage::decode(&mut frame, &context)
    }
}

/// Whether a first message asks for TLS or GSSAPI.
fn is_encryption(body: &[u8]) -> bool {
    body.get(..2) == Some(&[0x04, 0xd2]) && matches!(body.get(2..), Some([0x16, 0x2f | 0x30]))
}

/// Whether the parts of a message fill it.
fn fits(kind: Option<u8>, body: &[u8]) -> bool {
    let mut parts = Parts(body);
    let filled = match kind {
        // A code, and at least one byte after it; a cancellation has the number of its connection and a key.
        None if is_encryption(body) => return true,
        None => match body.get(..4) {
            Some([0x04, 0xd2, 0x16, 0x2e]) => return (12..=264).contains(&body.len()),
            Some(_) => return body.len() > 4,
            None => return false,
        },
        Some(b'p' | b'Q') => parts.text(),
        Some(b'P') => parts.text().and_then(|()| parts.text()).and_then(|()| parts.each(|p| p.skip(4))),
        Some(b'B') => parts
            .text()
            .and_then(|()| parts.text())
            .and_then(|()| parts.each(|p| p.skip(2)))
            .and_then(|()| parts.each(Parts::value))
            .and_then(|()| parts.each(|p| p.skip(2))),
        Some(b'C' | b'D') => parts.skip(1).and_then(|()| parts.text()),
        Some(b'E') => parts.text().and_then(|()| parts.skip(4)),
        Some(b'H' | b'S' | b'X' | b'c') => Some(()),
        Some(b'd' | b'f') => return true,
        Some(_) => None,
    };
    filled.is_some() && parts.0.is_empty()
}

/// What is left of a message.
struct Parts<'m>(&'m [u8]);

impl Parts<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// A text and its end.
    fn text(&mut self) -> Option<()> {
        let end = self.0.iter().position(|b| *b == 0)?;
        self.skip(end + 1)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let number = self.0.first_chunk::<N>().copied()?;
        self.skip(N)?;
        Some(number)
    }

    /// A count, and that many.
    fn each(&mut self, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let count = u16::from_be_bytes(self.number()?);
        (0..count).try_for_each(|_| one(self))
    }

    /// A length and that many bytes; none for −1.
    fn value(&mut self) -> Option<()> {
        match i32::from_be_bytes(self.number()?) {
            -1 => Some(()),
            length => self.skip(usize::try_from(length).ok()?),
        }
    }
}

fn broken(why: &str) -> PgWireError {
    refusal("08P01", why)
}

/// A refusal that ends the connection.
pub(super) fn refusal(state: &str, why: &str) -> PgWireError {
    let info = ErrorInfo::new("FATAL".to_owned(), state.to_owned(), why.to_owned());
    PgWireError::UserError(Box::new(info))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(bytes: &[u8], stage: Stage) -> Result<Option<PgWireFrontendMessage>, PgWireError> {
        Frames { bytes: bytes.into() }.take(stage)
    }

    const OPEN: Stage = Stage::Open(ProtocolVersion::PROTOCOL3_0);

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn messages_are_taken_when_they_are_whole() {
        let query = message(b'Q', b"select 1\0");
        assert!(taken(&query[..8], OPEN).unwrap().is_none());
        assert!(matches!(taken(&query, OPEN).unwrap(), Some(PgWireFrontendMessage::Query(_))));
        let tls = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
        assert!(matches!(taken(&tls, Stage::First).unwrap(), Some(PgWireFrontendMessage::SslNegotiation(_))));
        let cancel = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2];
        assert!(matches!(
            taken(&cancel, Stage::First).unwrap(),
            Some(PgWireFrontendMessage::CancelRequest(_))
        ));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, stage) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Stage::First),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(), Stage::First),
            (message(b'z', b""), OPEN),
            (message(b'Q', b"no end"), OPEN),
            (message(b'B', b"\0\0\0\x01"), OPEN),
            (message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"), OPEN),
            (message(b'E', b"\0\0"), OPEN),
            (vec![b'Q', 0, 0, 0, 1], OPEN),
            (vec![b'Q', 0xff, 0xff, 0xff, 0xff], OPEN),
            (vec![b'Q', 0x7f, 0xff, 0xff, 0xff], OPEN),
        ] {
            assert!(taken(&bytes, stage).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(kind in prop::sample::select(b"pQPBCDEHSXcdf".to_vec()), body in prop::collection::vec(0u8..4, 0..40), first: bool) {
            let bytes = message(kind, &body);
            let _ = taken(if first { &bytes[1..] } else { &bytes }, if first { Stage::First } else { OPEN });
            let _ = taken(&bytes, Stage::Password);
        }
    }
}
