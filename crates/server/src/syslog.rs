//! Syslog over UDP (RFC 5426) and TCP (RFC 6587): messages are gathered for a moment and handed over as one request, each with
//! its length before it.
//!
//! Nobody answers a sender of syslog. One over TCP is made to wait while requests cannot be taken; datagrams that come
//! meanwhile are lost beyond the queue, and counted.

use crate::intake::Wire;
use crate::listen::ListenError;
use crate::receive::{Receiver, Trouble};
use bytes::{Buf as _, Bytes, BytesMut};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// Bytes of one message; the largest datagram. Longer ones are left out and counted.
pub(crate) const MESSAGE: usize = 64 << 10;
/// Connections at once. Beyond: further ones wait to be accepted.
pub(crate) const CONNECTIONS: usize = 256;
/// Pieces waiting to be handed over, each of at most one message or one read of 64 KiB.
pub(crate) const QUEUE: usize = 64;
/// A request is handed over at this size…
const GATHERED: usize = 256 << 10;
/// … or this long after its first message.
const GATHER: Duration = Duration::from_millis(50);
/// How long requests that were gathered may take when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// Both transports on one address, not served yet.
pub struct Syslog {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Syslog {
    /// Takes the address; port 0 asks for one that is free for both.
    ///
    /// # Errors
    /// When it is in use or not ours.
    pub async fn open(addr: SocketAddr) -> Result<Syslog, ListenError> {
        let (what, flag) = ("syslog", "--syslog");
        let failed = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => ListenError::InUse { addr, what, flag },
            _ => ListenError::Other { addr, what, flag, source },
        };
        let tcp = TcpListener::bind(addr).await.map_err(failed)?;
        let udp = UdpSocket::bind(tcp.local_addr().map_err(failed)?).await.map_err(failed)?;
        Ok(Syslog { udp, tcp })
    }

    /// Its address.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop` becomes true, then hands over what has come.
    pub async fn serve(self, receiver: Receiver, stop: watch::Receiver<bool>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let handing = tokio::spawn(hand_over(waiting, receiver.clone(), stop.clone()));
        tokio::join!(
            datagrams(self.udp, queue.clone(), receiver.clone(), stop.clone()),
            connections(self.tcp, queue, receiver, stop)
        );
        let _ = handing.await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone stops us too.
    let _ = stop.wait_for(|s| *s).await;
}

/// Adds a message with its length before it.
fn frame(message: &[u8], into: &mut BytesMut) {
    if !message.is_empty() {
        into.extend_from_slice(message.len().to_string().as_bytes());
        into.extend_from_slice(b" ");
        into.extend_from_slice(message);
    }
}

fn too_long() -> Trouble {
    Trouble::TooLarge { limit: MESSAGE as u64, decompressed: false }
}

async fn datagrams(
    socket: UdpSocket,
    queue: mpsc::Sender<Bytes>,
    receiver: Receiver,
    mut stop: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; MESSAGE];
    loop {
        let got = tokio::select! {
            () = stopped(&mut stop) => return,
            got = socket.recv_from(&mut buffer) => got,
        };
        // An error is of one datagram: of an answer that could not be delivered, on some systems.
        let Ok((length, _)) = got else { continue };
        let mut framed = BytesMut::with_capacity(length + 8);
        frame(buffer.get(..length).unwrap_or_default().trim_ascii_end(), &mut framed);
        if !framed.is_empty() && queue.try_send(framed.freeze()).is_err() {
            let full = "datagrams come faster than they can be kept".to_owned();
            receiver.count("syslog_udp", &Err(Trouble::Busy(full)));
        }
    }
}

async fn connections(
    listener: TcpListener,
    queue: mpsc::Sender<Bytes>,
    receiver: Receiver,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors or memory: connections that end will free some.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (queue, receiver, mut stop) = (queue.clone(), receiver.clone(), stop.clone());
        tokio::spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = stopped(&mut stop) => {}
                () = connection(stream, &queue, &receiver) => {}
            }
        });
    }
}

async fn connection(mut stream: TcpStream, queue: &mpsc::Sender<Bytes>, receiver: &Receiver) {
    let mut cutter = Cutter::default();
    loop {
        cutter.buffer.reserve(MESSAGE);
        let ended = !matches!(stream.read_buf(&mut cutter.buffer).await, Ok(n) if n > 0);
        let mut framed = BytesMut::new();
        cutter.cut(ended, &mut framed);
        for _ in 0..std::mem::take(&mut cutter.left_out) {
            receiver.count("syslog_tcp", &Err(too_long()));
        }
        if !framed.is_empty() && queue.send(framed.freeze()).await.is_err() || ended {
            return;
        }
    }
}

/// Cuts a stream into messages: those that begin with a digit say their length, others end with their line (RFC 6587, 3.4).
#[derive(Default)]
struct Cutter {
    buffer: BytesMut,
    /// Bytes of a message too long that are still to come.
    skip: usize,
    /// A line too long is being thrown away up to its end.
    skip_line: bool,
    left_out: u64,
}

impl Cutter {
    /// Takes all whole messages out of the buffer; at the end of the stream what is left is one too.
    fn cut(&mut self, ended: bool, into: &mut BytesMut) {
        loop {
            if self.skip > 0 {
                let gone = self.skip.min(self.buffer.len());
                self.buffer.advance(gone);
                self.skip -= gone;
            }
            if self.buffer.is_empty() {
                return;
            }
            if !self.skip_line && self.buffer.first().is_some_and(u8::is_ascii_digit) {
                let digits = self.buffer.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
                match self.buffer.get(digits) {
                    Some(b' ') => {
                        let text = std::str::from_utf8(self.buffer.get(..digits).unwrap_or_default());
                        let length: usize = text.ok().and_then(|t| t.parse().ok()).unwrap_or(0);
                        if length > MESSAGE {
                            self.left_out += 1;
                            self.buffer.advance(digits + 1);
                            self.skip = length;
                            continue;
                        }
                        if self.buffer.len() < digits + 1 + length && !ended {
                            return;
                        }
                        self.buffer.advance(digits + 1);
                        let message = self.buffer.split_to(length.min(self.buffer.len()));
                        frame(message.trim_ascii_end(), into);
                        continue;
                    }
                    None if !ended && digits < 8 => return,
                    // A line that begins with a digit.
                    _ => {}
                }
            }
            match self.buffer.iter().position(|b| *b == b'\n') {
                Some(end) => {
                    let line = self.buffer.split_to(end + 1);
                    if std::mem::take(&mut self.skip_line) {
                        continue;
                    }
                    if line.len() > MESSAGE {
                        self.left_out += 1;
                    } else {
                        frame(line.trim_ascii_end(), into);
                    }
                }
                None if ended => {
                    let line = std::mem::take(&mut self.buffer);
                    if !std::mem::take(&mut self.skip_line) {
                        frame(line.trim_ascii_end(), into);
                    }
                    return;
                }
                None => {
                    if self.skip_line || self.buffer.len() > MESSAGE {
                        self.left_out += u64::from(!self.skip_line);
                        self.skip_line = true;
                        self.buffer.clear();
                    }
                    return;
                }
            }
        }
    }
}

/// Hands over what was gathered. What cannot be taken now is tried again, while senders over TCP wait.
async fn hand_over(mut waiting: mpsc::Receiver<Bytes>, receiver: Receiver, mut stop: watch::Receiver<bool>) {
    while let Some(first) = waiting.recv().await {
        let mut gathered = BytesMut::from(first);
        let until = Instant::now() + GATHER;
        while gathered.len() < GATHERED {
            match timeout_at(until, waiting.recv()).await {
                Ok(Some(more)) => gathered.extend_from_slice(&more),
                Ok(None) | Err(_) => break,
            }
        }
        let gathered = gathered.freeze();
        let last = sleep(LAST);
        tokio::pin!(last);
        loop {
            let outcome = match receiver.held(gathered.clone()) {
                Ok(held) => receiver.accept(Wire::Syslog, held).await,
                Err(trouble) => Err(trouble),
            };
            receiver.count("syslog", &outcome);
            let Some(again) = outcome.err().and_then(|t| t.retry_after()) else { break };
            tokio::select! {
                () = sleep(Duration::from_secs(again)) => {}
                () = async { stopped(&mut stop).await; last.as_mut().await } => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stream is cut into when it comes in pieces of a size.
    fn cut(stream: &[u8], size: usize) -> (String, u64) {
        let (mut cutter, mut out) = (Cutter::default(), BytesMut::new());
        for piece in stream.chunks(size) {
            cutter.buffer.extend_from_slice(piece);
            cutter.cut(false, &mut out);
        }
        cutter.cut(true, &mut out);
        (String::from_utf8(out.to_vec()).unwrap(), cutter.left_out)
    }

    #[test]
    fn a_stream_is_cut_the_same_however_it_comes() {
        let stream = b"<1>one\n<2>two\r\n5 <3>a\n\n8 <4>four\n7 lines of text\n10 <5>no end";
        for size in 1..stream.len() {
            let (framed, left_out) = cut(stream, size);
            assert_eq!(
                (framed.as_str(), left_out),
                ("6 <1>one6 <2>two4 <3>a7 <4>four7 lines o6 f text9 <5>no end", 0),
                "{size}"
            );
        }
    }

    #[test]
    fn a_message_too_long_is_left_out_and_its_neighbours_are_not() {
        let long = "x".repeat(MESSAGE + 1);
        for size in [7, 4096, 1 << 20] {
            let lines = format!("<1>a\n{long}\n<2>b\n");
            assert_eq!(cut(lines.as_bytes(), size), ("4 <1>a4 <2>b".to_owned(), 1), "{size}");
            let counted = format!("4 <1>a{} {long}4 <2>b", long.len());
            assert_eq!(cut(counted.as_bytes(), size), ("4 <1>a4 <2>b".to_owned(), 1), "{size}");
        }
    }
}
