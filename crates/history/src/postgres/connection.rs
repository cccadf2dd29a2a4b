//! One connection from its first byte to its last: nothing that a client does or leaves undone holds it for longer than it is worth.

use super::frame::{Frames, Stage, refusal};
use super::session::Session;
use super::trouble::Trouble;
use super::{HANDSHAKE, Shared};
use futures::SinkExt as _;
use pgwire::api::store::PortalStore as _;
use pgwire::api::{
    ClientInfo as _, ClientPortalStore as _, DefaultClient, NoopHandler, PgWireConnectionState,
    auth::StartupHandler as _,
};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Sleep;
use tokio_util::codec::Framed;

/// How long a client may take nothing of what it is sent.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// How often a client is looked at that sent more while its statement runs.
const LOOK: Duration = Duration::from_millis(100);
/// How long a client has to read why it is sent away.
const PARTING: Duration = Duration::from_secs(1);

type Socket = Framed<Wire, PgWireMessageServerCodec<super::prepared::Prepared>>;

/// Serves a client until it goes, or has to.
pub(super) async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    handshake: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    let tcp = Arc::new(tcp);
    // Small answers must not wait for more to come; where it cannot be set they do.
    let _ = tcp.set_nodelay(true);
    // A client whose machine is gone says nothing any more.
    let keep = socket2::TcpKeepalive::new().with_time(STALL).with_interval(STALL);
    let _ = socket2::SockRef::from(tcp.as_ref()).set_tcp_keepalive(&keep);
    let session = Arc::new(Session::new(Arc::clone(&shared)));
    let codec = PgWireMessageServerCodec::new(DefaultClient::new(peer, false));
    let mut socket: Socket = Framed::new(Wire { tcp: Arc::clone(&tcp), stalled: None }, codec);
    let mut frames = Frames::default();
    let talk = async {
        let came = tokio::time::timeout(HANDSHAKE, sign_in(&tcp, &mut frames, &mut socket, &session)).await;
        match came {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                let why = format!("no client signed in within {} s", HANDSHAKE.as_secs());
                part(&tcp, &mut socket, refusal("08006", &why)).await;
                return;
            }
        }
        drop(handshake);
        shared.figures.open.fetch_add(1, Ordering::Relaxed);
        let _open = Open(&shared);
        converse(&tcp, &mut frames, &mut socket, &session, &shared).await;
    };
    let stopped = tokio::select! {
        () = talk => false,
        // A sender that is gone stops us too.
        _ = stop.wait_for(|stop| *stop) => true,
    };
    if stopped {
        let why = refusal("57P01", "the server is stopping");
        let _ = tokio::time::timeout(PARTING, part(&tcp, &mut socket, why)).await;
    }
}

/// A connection, counted while it lives.
struct Open<'s>(&'s Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.figures.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a client came in.
async fn sign_in(tcp: &TcpStream, frames: &mut Frames, socket: &mut Socket, session: &Arc<Session>) -> bool {
    loop {
        let stage = match socket.state() {
            PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup => {
                Stage::First
            }
            PgWireConnectionState::AuthenticationInProgress => Stage::Password,
            _ => return true,
        };
        let message = match frames.next(tcp, stage).await {
            Ok(Some(message)) => message,
            Ok(None) => return false,
            Err(e) => {
                part(tcp, socket, e).await;
                return false;
            }
        };
        let done = match message {
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresGss(_)) => {
                let no = PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse);
                socket.send(no).await.map_err(PgWireError::from)
            }
            PgWireFrontendMessage::SslNegotiation(_) => {
                let no = PgWireBackendMessage::SslResponse(SslResponse::Refuse);
                socket.send(no).await.map_err(PgWireError::from)
            }
            PgWireFrontendMessage::CancelRequest(wanted) => {
                session.shared().cancel(wanted.pid, wanted.secret_key.to_bytes());
                return false;
            }
            message => {
                socket.set_state(PgWireConnectionState::AwaitingStartup);
                session.on_startup(socket, message).await
            }
        };
        if let Err(e) = done {
            session.shared().figures.refused.fetch_add(1, Ordering::Relaxed);
            part(tcp, socket, e).await;
            return false;
        }
    }
}

async fn converse(
    tcp: &TcpStream,
    frames: &mut Frames,
    socket: &mut Socket,
    session: &Arc<Session>,
    shared: &Shared,
) {
    let noop = Arc::new(NoopHandler);
    loop {
        let message = match frames.next(tcp, Stage::Open(socket.protocol_version())).await {
            Ok(Some(PgWireFrontendMessage::Terminate(_)) | None) => return,
            Ok(Some(message)) => message,
            Err(e) => return part(tcp, socket, e).await,
        };
        let extended = message.is_extended_query();
        let canceled = session.cancel.notified();
        let each = || Arc::clone(session);
        let done = tokio::select! {
            done = process_message(message, socket, each(), each(), each(), Arc::clone(&noop), Arc::clone(&noop)) => done,
            () = canceled => Err(Trouble::canceled().into()),
            () = gone(tcp) => return,
        };
        let Err(error) = done else { continue };
        shared.figures.failures.fetch_add(1, Ordering::Relaxed);
        socket.portal_store().clear_portals();
        session.release_portals();
        let info = ErrorInfo::from(error);
        if info.is_fatal() {
            return part(tcp, socket, PgWireError::UserError(Box::new(info))).await;
        }
        if process_error(socket, PgWireError::UserError(Box::new(info)), extended).await.is_err() {
            return;
        }
    }
}

/// Tells a client why it is sent away, and lets it read that: what it sent and nobody read would otherwise cut the connection before.
async fn part(tcp: &TcpStream, socket: &mut Socket, why: PgWireError) {
    let told = socket.send(PgWireBackendMessage::ErrorResponse(ErrorInfo::from(why).into())).await;
    if told.is_err() || socket2::SockRef::from(tcp).shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let read = async {
        let mut bytes = [0; 4096];
        for _ in 0..256 {
            if tcp.readable().await.is_err() || matches!(tcp.try_read(&mut bytes), Ok(0)) {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PARTING, read).await;
}

/// Ends when the client has gone, as PostgreSQL's `client_connection_check_interval` looks for it.
async fn gone(tcp: &TcpStream) {
    loop {
        match tcp.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() && !ready.is_error() => tokio::time::sleep(LOOK).await,
            _ => return,
        }
    }
}

/// What is written to a client. Reading is done by [`Frames`].
struct Wire {
    tcp: Arc<TcpStream>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.tcp.poll_write_ready(cx)?.is_pending() {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
                ready!(stalled.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            match self.tcp.try_write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    self.stalled = None;
                    return Poll::Ready(done);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
