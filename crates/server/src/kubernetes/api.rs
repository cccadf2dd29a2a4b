//! Asks the API of a cluster: one request, one connection.

use super::access::{Access, Token};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer's head, or a page of a list, may take.
const ANSWER: Duration = Duration::from_secs(60);

/// All objects of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collection {
    /// Path of the API group and version.
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
}

/// Why an answer, or watching a kind, ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the API has no {0}")]
    Absent(&'static str),
    /// The API does not know who asks.
    #[error("{0}")]
    Stranger(String),
    /// Who asks has no right to see it.
    #[error("{0}")]
    Forbidden(String),
    #[error("what was to be followed is no longer known there (410 Gone)")]
    Gone,
    #[error("{0}")]
    Broken(String),
}

impl Access {
    /// A whole answer of at most `most` bytes.
    pub(super) async fn page(&self, collection: &Collection, query: &str, most: u64) -> Result<Value, Ended> {
        let body = self.ask(collection, query).await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let body = http_body_util::Limited::new(body, most).collect();
        let whole = timeout(ANSWER, body).await;
        let whole = whole
            .map_err(|_| Ended::Broken(format!("a list took more than {} seconds", ANSWER.as_secs())))?;
        let whole = whole.map_err(|e| Ended::Broken(format!("a list broke off: {e}")))?.to_bytes();
        serde_json::from_slice(&whole).map_err(|e| Ended::Broken(format!("a list is not JSON: {e}")))
    }

    /// An answer whose body is still to come.
    pub(super) async fn ask(&self, collection: &Collection, query: &str) -> Result<Incoming, Ended> {
        let answer = timeout(ANSWER, self.request(collection, query)).await;
        let answer =
            answer.map_err(|_| Ended::Broken(format!("no answer within {} seconds", ANSWER.as_secs())))??;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = http_body_util::Limited::new(answer.into_body(), 64 << 10).collect();
        let body =
            timeout(ANSWER, body).await.ok().and_then(Result::ok).map(|b| b.to_bytes()).unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&body).ok();
        let message = message.as_ref().and_then(|m| m.get("message")?.as_str()).unwrap_or_default();
        Err(match status {
            StatusCode::NOT_FOUND => Ended::Absent(collection.plural),
            StatusCode::GONE => Ended::Gone,
            StatusCode::UNAUTHORIZED => Ended::Stranger(format!(
                "not let in (401): {message}; it needs a token or a client certificate, see docs/sources/kubernetes.md"
            )),
            StatusCode::FORBIDDEN => Ended::Forbidden(format!(
                "not let in (403): {message}; it needs the verbs list and watch, see docs/sources/kubernetes.md"
            )),
            _ => Ended::Broken(format!("the API answered {}: {message}", status.as_u16())),
        })
    }

    async fn request(&self, collection: &Collection, query: &str) -> Result<http::Response<Incoming>, Ended> {
        let base = &self.base;
        let host = base.host().unwrap_or_default();
        let port = base.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let address = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((address, port)).await;
        let stream = stream.map_err(|e| Ended::Broken(format!("no connection to {host}:{port}: {e}")))?;
        let path = format!(
            "{}/{}/{}?{query}",
            base.path().trim_end_matches('/'),
            collection.group,
            collection.plural
        );
        let mut request = Request::get(path)
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("e2egraph/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|e| Ended::Broken(e.to_string()))?;
        let token = match &self.token {
            Token::None => None,
            Token::Is(token) => Some(token.clone()),
            Token::In(file) => Some(
                tokio::fs::read_to_string(file)
                    .await
                    .map_err(|e| Ended::Stranger(format!("reading the token in {}: {e}", file.display())))?,
            ),
        };
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| Ended::Stranger("the token is no header value".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        match &self.tls {
            None => send(stream, request).await,
            Some((config, name)) => {
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await;
                send(stream.map_err(|e| Ended::Broken(format!("TLS with {host}:{port}: {e}")))?, request)
                    .await
            }
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<http::Response<Incoming>, Ended> {
    let broken = |e: hyper::Error| Ended::Broken(format!("the connection broke off: {e}"));
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends when the answer's body is dropped; how, the body says.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(broken)
}

/// A value of a query, percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_to_go_on_with_is_encoded() {
        assert_eq!(encoded("eyJ2+/=="), "eyJ2%2B%2F%3D%3D");
    }
}
