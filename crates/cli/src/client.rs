//! Talking to a running server over HTTP, with errors that say what to do.

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io::Write;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No server answers: exit code 5.
#[derive(Debug)]
pub struct NoServer {
    /// Where one was looked for.
    pub at: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no server answers at {} ({}); start one with `e2egraph serve` or `e2egraph demo`, or say where it is with --server",
            self.at, self.why
        )
    }
}

impl std::error::Error for NoServer {}

/// The server said no: its status and message.
#[derive(Debug)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// What it said.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// Longest a question may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server's address.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    patience: Duration,
}

impl Client {
    /// From `http://host:port`.
    pub fn new(url: &str) -> anyhow::Result<Client> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("`{url}` is not an address this can talk to; write it like http://127.0.0.1:4320");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() {
            bail!("`{url}` names no host; write it like http://127.0.0.1:4320");
        }
        // `[::1]` has colons and no port.
        let with_port = authority.contains(':') && !authority.ends_with(']');
        let authority = if with_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Client { authority, patience: PATIENCE })
    }

    /// Waits up to so many seconds for an answer.
    pub fn patient(self, seconds: u64) -> Client {
        Client { patience: Duration::from_secs(seconds), ..self }
    }

    /// GET with query parameters; the answer as JSON.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<serde_json::Value> {
        json(self.send(Method::GET, &with_query(path, query), "application/json", Bytes::new()).await?)
    }

    /// POST of JSON; the answer as JSON.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
        json(self.send(Method::POST, path, "application/json", Bytes::from(serde_json::to_vec(body)?)).await?)
    }

    /// POST of a body in a form of its own; the answer as JSON.
    pub async fn post_as(
        &self,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<serde_json::Value> {
        json(self.send(Method::POST, path, content_type, body).await?)
    }

    /// GET with query parameters; the body is written as it comes.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        to: &mut impl Write,
    ) -> anyhow::Result<()> {
        let path = with_query(path, query);
        let late = |_| anyhow!("the server at {} said nothing for {} s", self.authority, PATIENCE.as_secs());
        let (answer, driver) =
            timeout(PATIENCE, self.begin(Method::GET, &path, "application/json", Bytes::new()))
                .await
                .map_err(late)??;
        let (status, mut body) = (answer.status().as_u16(), answer.into_body());
        if status >= 400 {
            let body = timeout(PATIENCE, body.collect()).await.map_err(late)??.to_bytes();
            return json((status, body)).map(|_| ());
        }
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(late)? {
            let frame = frame.with_context(|| {
                format!("reading {path} from {}: the answer is not whole", self.authority)
            })?;
            if let Some(data) = frame.data_ref() {
                to.write_all(data).context("writing to standard output")?;
            }
        }
        driver.abort();
        to.flush().context("writing to standard output")
    }

    /// One request; status and body.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<(u16, Bytes)> {
        match timeout(self.patience, self.exchange(method, path, content_type, body)).await {
            Ok(done) => done,
            Err(_) => {
                bail!("the server at {} did not answer within {} s", self.authority, self.patience.as_secs())
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<(u16, Bytes)> {
        let (answer, driver) = self.begin(method, path, content_type, body).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok((status, body))
    }

    /// Sends a request; the head of the answer, and the task that brings the rest.
    async fn begin(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>)> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .map_err(|e| NoServer { at: format!("http://{}", self.authority), why: e.to_string() })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("content-type", content_type)
            .body(Full::new(body))?;
        let answer =
            sender.send_request(request).await.with_context(|| format!("talking to {}", self.authority))?;
        Ok((answer, driver))
    }
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn json((status, body): (u16, Bytes)) -> anyhow::Result<serde_json::Value> {
    if status >= 400 {
        let said: Option<String> = serde_json::from_slice::<serde_json::Value>(&body).ok().and_then(|v| {
            v.get("error").or_else(|| v.get("message")).and_then(|m| m.as_str().map(str::to_owned))
        });
        let message = said.unwrap_or_else(|| String::from_utf8_lossy(&body).chars().take(500).collect());
        return Err(Refused { status, message }.into());
    }
    serde_json::from_slice(&body).context("the server's answer is not JSON")
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_host_and_port() {
        assert_eq!(Client::new("http://localhost/x").unwrap().authority, "localhost:80");
        assert_eq!(Client::new("http://127.0.0.1:4320").unwrap().authority, "127.0.0.1:4320");
        assert_eq!(Client::new("http://[::1]").unwrap().authority, "[::1]:80");
        assert!(Client::new("127.0.0.1:4320").unwrap_err().to_string().contains("write it like"));
    }

    #[test]
    fn what_is_not_unreserved_is_encoded() {
        assert_eq!(encode("a b/\"ü"), "a%20b%2F%22%C3%BC");
    }
}
