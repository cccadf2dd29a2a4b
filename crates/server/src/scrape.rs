//! Reads `/metrics` of others, as Prometheus does: every so often, over plain HTTP, with `job`, `instance` and `up` added.

use crate::intake::Wire;
use crate::receive::{Receiver, Trouble};
use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Targets of one server. Each holds at most one page in memory. Beyond: a Prometheus that writes here is the better tool.
pub const TARGETS: usize = 256;

/// How long an answer may take, at most; less where scrapes are closer together (Prometheus's own default).
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is wanted: OpenMetrics or the older text, never protobuf.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    job: String,
    /// Host and port.
    instance: String,
    path: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=http://{}{}", self.job, self.instance, self.path)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let wanted = "write it as JOB=URL, such as node=http://127.0.0.1:9100/metrics";
        let (job, url) = text.split_once('=').filter(|p| !p.0.is_empty()).ok_or(wanted)?;
        if job.contains(|c: char| c.is_control()) {
            return Err(wanted.to_owned());
        }
        let url: Uri = url.parse().map_err(|e| format!("`{url}` is no URL: {e}; {wanted}"))?;
        if url.scheme_str() != Some("http") {
            return Err(format!("only plain http is read; {wanted}"));
        }
        let host = url.host().filter(|h| !h.is_empty()).ok_or(wanted)?;
        if url.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err("a URL with a password is not read".to_owned());
        }
        let path = url.path_and_query().map_or("/", |p| p.as_str());
        let path = if path == "/" { "/metrics" } else { path };
        let instance = format!("{host}:{}", url.port_u16().unwrap_or(80));
        Ok(Target { job: job.to_owned(), instance, path: path.to_owned() })
    }
}

/// Reads a target again and again until stopped.
pub(crate) fn start(
    target: Target,
    every: Duration,
    receiver: Receiver,
    mut stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut due = interval(every);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut trouble: Option<String> = None;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|s| *s) => return,
                _ = due.tick() => {}
            }
            let now = tokio::select! {
                _ = stopped.wait_for(|s| *s) => return,
                now = once(&target, every.min(TIMEOUT), &receiver) => now.err(),
            };
            // Once when it begins and once when it is over; every single one is in the figures.
            if now.is_some() != trouble.is_some() {
                let state = now.as_deref().unwrap_or("answers again");
                let _ = writeln!(std::io::stderr(), "e2egraph: scraping {target}: {state}");
            }
            trouble = now;
        }
    })
}

async fn once(target: &Target, within: Duration, receiver: &Receiver) -> Result<(), String> {
    let limit = receiver.limits().request_body_bytes;
    let page = timeout(within, fetch(target, limit)).await;
    let page = page.unwrap_or_else(|_| Err(format!("no answer within {} s", within.as_secs_f64())));
    let mut why = page.as_ref().err().cloned();
    if let Ok(page) = &page {
        match hand_over(receiver, body(target, 1, page)).await {
            Ok(()) => return Ok(()),
            // The page is at fault, not the way to it: the target counts as down, as with Prometheus.
            Err(Trouble::Malformed(e)) => why = Some(e),
            Err(other) => return Err(other.to_string()),
        }
    }
    receiver.count_as("scrape", "not_read", 1);
    let down = hand_over(receiver, body(target, 0, b"")).await;
    Err(why.or_else(|| down.err().map(|e| e.to_string())).unwrap_or_default())
}

async fn hand_over(receiver: &Receiver, body: Bytes) -> Result<(), Trouble> {
    let outcome = match receiver.hand(body) {
        Ok(held) => receiver.accept(Wire::PrometheusText, held).await,
        Err(trouble) => Err(trouble),
    };
    receiver.count("scrape", &outcome);
    outcome.map(|_| ())
}

/// A page with a first line that says of whom it is, and whether it came.
fn body(target: &Target, up: u8, page: &[u8]) -> Bytes {
    let escaped = |t: &str| t.replace('\\', "\\\\").replace('"', "\\\"");
    let (job, instance) = (escaped(&target.job), escaped(&target.instance));
    let head = format!("# TARGET {{job=\"{job}\",instance=\"{instance}\"}}\nup {up}\n");
    let mut all = BytesMut::with_capacity(head.len() + page.len());
    all.extend_from_slice(head.as_bytes());
    all.extend_from_slice(page);
    all.freeze()
}

async fn fetch(target: &Target, limit: u64) -> Result<Bytes, String> {
    let said = |e: &dyn fmt::Display| e.to_string();
    let stream = TcpStream::connect(target.instance.as_str()).await.map_err(|e| said(&e))?;
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| said(&e))?;
    let request = Request::get(&target.path)
        .header(header::HOST, &target.instance)
        .header(header::ACCEPT, ACCEPT)
        .header(header::USER_AGENT, concat!("e2egraph/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|e| said(&e))?;
    let answer = async {
        let answer = client.send_request(request).await.map_err(|e| said(&e))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers {}", answer.status()));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = Limited::new(answer.into_body(), limit).collect().await.map_err(|e| said(&e))?;
        Ok(page.to_bytes())
    };
    tokio::pin!(answer);
    tokio::select! {
        // Whoever drives the connection also ends with it; the answer may be read by then.
        gone = connection => match gone {
            Ok(()) => answer.await,
            Err(e) => Err(said(&e)),
        },
        answer = &mut answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_job_and_a_plain_url() {
        let of = |text: &str| text.parse::<Target>().map(|t| t.to_string());
        assert_eq!(of("node=http://10.0.0.7:9100"), Ok("node=http://10.0.0.7:9100/metrics".to_owned()));
        assert_eq!(of("a/b=http://[::1]:1/m?x=y"), Ok("a/b=http://[::1]:1/m?x=y".to_owned()));
        assert_eq!(of("web=http://web"), Ok("web=http://web:80/metrics".to_owned()));
        for (text, why) in [
            ("http://10.0.0.7:9100", "JOB=URL"),
            ("=http://10.0.0.7:9100", "JOB=URL"),
            ("node=https://10.0.0.7", "only plain http"),
            ("node=/metrics", "only plain http"),
            ("node=http://a:b@host/", "password"),
            ("node=http:// x", "is no URL"),
        ] {
            let told = of(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn a_page_says_first_of_whom_it_is() {
        let target = Target { job: "a\"b".to_owned(), instance: "h:1".to_owned(), path: "/".to_owned() };
        assert_eq!(
            body(&target, 1, b"x 1\n"),
            "# TARGET {job=\"a\\\"b\",instance=\"h:1\"}\nup 1\nx 1\n".as_bytes()
        );
    }
}
