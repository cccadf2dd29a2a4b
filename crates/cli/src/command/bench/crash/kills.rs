//! The real server, killed at random moments under load, beside one that nobody killed.

use crate::client::Client;
use crate::progress::Progress;
use crate::rim::Temporary;
use anyhow::Context as _;
use bytes::Bytes;
use hyper::Method;
use ontology::Time;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Finding, Inspection};
use tokio::runtime::Handle;

/// What came of it.
pub(super) struct Killed {
    pub(super) kills: u64,
    /// Requests that were answered with 200.
    pub(super) acknowledged: u64,
    /// Requests in the log at the end.
    pub(super) recovered: u64,
    /// Acknowledged ones that are not among them.
    pub(super) lost: u64,
    /// Those that are there twice.
    pub(super) doubled: u64,
    /// Lines of the exported graph, and its counts, that the twin has not, or has alone.
    pub(super) unlike: u64,
}

const SENDERS: usize = 4;
/// Requests of one sender between two kills: enough to be killed amid, few enough that a start stays quick.
const REQUESTS: usize = 3;
/// Spans of one request.
const SPANS: u64 = 2;

/// A server of our own on free ports.
struct Server {
    child: Child,
    api: String,
    otlp: String,
}

impl Server {
    /// Starts one and waits until it says where it listens.
    fn start(data: &Path) -> anyhow::Result<Server> {
        let mut child = spawn(data)?;
        let said = BufReader::new(child.stderr.take().context("the server has no standard error")?);
        let (mut api, mut notes) = (None, Vec::new());
        for line in said.lines() {
            let line = line?;
            let address = line.rsplit_once("http://").map(|(_, address)| format!("http://{address}"));
            if line.contains("web UI and API at") {
                api = address;
            } else if line.contains("OTLP/HTTP at")
                && let (Some(api), Some(otlp)) = (api.take(), address)
            {
                return Ok(Server { child, api, otlp });
            }
            notes.push(line);
        }
        let ended = child.wait()?;
        anyhow::bail!("the server did not start again ({ended}): {}", notes.join("; "))
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        end(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = end(&mut self.child);
    }
}

fn spawn(data: &Path) -> anyhow::Result<Child> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new(own);
    command.arg("serve").arg("--data").arg(data);
    for port in ["--http", "--otlp-grpc", "--otlp-http"] {
        command.args([port, "127.0.0.1:0"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().context("starting a server")
}

/// SIGKILL, as `Child::kill` sends it, and waits for the end.
fn end(child: &mut Child) -> anyhow::Result<()> {
    child.kill().context("killing the server")?;
    child.wait().context("waiting for the end of the server")?;
    Ok(())
}

/// Knuth's MMIX generator: which moments are chosen is the same in every run, what they hit is not.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Kills a server so many times and compares.
pub(super) fn run(kills: u64) -> anyhow::Result<Killed> {
    let (data, twin) = (Temporary::new()?, Temporary::new()?);
    let mut random = Random(20_261_129);
    let begin_ns = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    let serial = Arc::new(AtomicU64::new(0));
    let mut acknowledged = BTreeSet::new();
    let bar = Progress::new(usize::try_from(kills)?, "kills");
    for kill in 0..kills {
        if random.below(5) == 0 {
            // In the middle of the start.
            let mut child = spawn(&data.0)?;
            std::thread::sleep(Duration::from_millis(random.below(150)));
            end(&mut child)?;
        } else {
            let server = Server::start(&data.0)?;
            acknowledged.extend(round(
                server,
                &serial,
                begin_ns,
                Duration::from_micros(random.below(40_000)),
            )?);
        }
        bar.at(kill + 1, "");
    }
    bar.end();
    let recovered = recovered(&data.0)?;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for (serial, _) in &recovered {
        *times.entry(*serial).or_default() += 1;
    }
    let unlike = unlike(&data.0, &twin.0, &recovered, begin_ns)?;
    Ok(Killed {
        kills,
        acknowledged: acknowledged.len() as u64,
        recovered: times.len() as u64,
        lost: acknowledged.iter().filter(|serial| !times.contains_key(serial)).count() as u64,
        doubled: times.values().filter(|n| **n > 1).count() as u64,
        unlike,
    })
}

/// Senders send until the server is killed; the serials of what was answered.
fn round(
    mut server: Server,
    serial: &Arc<AtomicU64>,
    begin_ns: u64,
    until: Duration,
) -> anyhow::Result<Vec<u64>> {
    Handle::current().block_on(async {
        let client = Client::new(&server.otlp)?;
        let senders: Vec<_> =
            (0..SENDERS).map(|_| tokio::spawn(send(client.clone(), Arc::clone(serial), begin_ns))).collect();
        tokio::time::sleep(until).await;
        server.kill()?;
        let mut answered = Vec::new();
        for sender in senders {
            answered.extend(sender.await?);
        }
        Ok(answered)
    })
}

async fn send(client: Client, serial: Arc<AtomicU64>, begin_ns: u64) -> Vec<u64> {
    let mut answered = Vec::new();
    for _ in 0..REQUESTS {
        let mine = serial.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(request(mine, begin_ns).to_string());
        match client.send(Method::POST, "/v1/traces", "application/json", body).await {
            Ok((200, _)) => answered.push(mine),
            // Refused, or no answer came: it may be there or not, but not twice.
            _ => break,
        }
    }
    answered
}

/// An OTLP/JSON request that carries its serial in its trace ids.
fn request(serial: u64, begin_ns: u64) -> Json {
    let start = begin_ns + serial * 1_000_000;
    let spans: Vec<Json> = (1..=SPANS)
        .map(|i| {
            json!({
                "traceId": format!("{:016x}{i:016x}", serial + 1), "spanId": format!("{:016x}", (serial + 1) << 8 | i),
                "name": "work", "kind": 2,
                "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 5_000_000).to_string(),
                "attributes": [attribute("http.route", "/work")],
            })
        })
        .collect();
    let instance = format!("crash-{}", serial % 7);
    let resource = [
        attribute("service.name", "crash"),
        attribute("service.version", "1"),
        attribute("service.instance.id", &instance),
    ];
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}]})
}

fn attribute(key: &str, value: &str) -> Json {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Serial and body of every request in the log, in its order.
fn recovered(data: &Path) -> anyhow::Result<Vec<(u64, Bytes)>> {
    let mut requests = Vec::new();
    for finding in Inspection::open(data)?.read() {
        match finding {
            Finding::Record(record) => {
                let body: Json =
                    serde_json::from_slice(&record.body).context("a request in the log is not whole")?;
                let id = body.pointer("/resourceSpans/0/scopeSpans/0/spans/0/traceId").and_then(Json::as_str);
                let serial = id.and_then(|id| u64::from_str_radix(id.get(..16)?, 16).ok());
                requests.push((serial.context("a request in the log has no serial")? - 1, record.body));
            }
            Finding::Damage(damage) => anyhow::bail!("the log is damaged: {damage}"),
            Finding::Torn(_) => {}
        }
    }
    Ok(requests)
}

/// How much the graph after all kills differs from that of a server that took the same requests and was never killed.
fn unlike(data: &Path, twin: &Path, requests: &[(u64, Bytes)], begin_ns: u64) -> anyhow::Result<u64> {
    let (killed, unkilled) = (Server::start(data)?, Server::start(twin)?);
    Handle::current().block_on(async {
        let client = Client::new(&unkilled.otlp)?;
        let bar = Progress::new(requests.len(), "requests to the twin");
        for (_, body) in requests {
            client.post_as("/v1/traces", "application/json", body.clone()).await?;
            bar.step("");
        }
        bar.end();
        let last = requests.iter().map(|(serial, _)| serial).max().copied().unwrap_or(0);
        let at = Time::from_nanos(begin_ns + last * 1_000_000).context("the time is not one")?;
        let (one, other) = (graph(&killed, at).await?, graph(&unkilled, at).await?);
        anyhow::ensure!(one.len() > 20, "the graph is empty");
        let spans = requests.len() as u64 * SPANS;
        let counted = count(&killed, begin_ns, at).await?;
        Ok(one.symmetric_difference(&other).count() as u64 + spans.abs_diff(counted))
    })
}

/// The exported graph, by line.
async fn graph(server: &Server, at: Time) -> anyhow::Result<BTreeSet<String>> {
    let mut lines = Vec::new();
    let at = at.to_string();
    let wanted = [("format", "nquads"), ("at", at.as_str())];
    Client::new(&server.api)?.stream("/api/v1/graph/export", &wanted, &mut lines).await?;
    Ok(String::from_utf8(lines)?.lines().map(str::to_owned).collect())
}

/// How many spans a server counts.
async fn count(server: &Server, begin_ns: u64, at: Time) -> anyhow::Result<u64> {
    let minute = 60_000_000_000;
    let from = Time::from_nanos(begin_ns - minute).context("the time is not one")?;
    let to = at.plus_nanos(minute as i64);
    let text =
        format!("series operation.latency of Operation \"crash/work\" between {from} and {to} show count");
    let answer = Client::new(&server.api)?.get("/api/v1/query", &[("q", &text)]).await?;
    let value = answer.get("value").and_then(Json::as_f64).context("the count is no number")?;
    Ok(value as u64)
}
