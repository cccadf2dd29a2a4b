//! `bench normalise`: requests to facts, beside receiving the same bytes over loopback and discarding them.
//!
//! Both are measured in turns in one run, by the processor time of the one thread that does the work. What is received is read
//! with as little HTTP as a receiver can do with: head, length, body, answer.

use super::bench::{Figure, peak_rss};
use crate::world;
use anyhow::Context as _;
use ingest::{Normaliser, Wire};
use ontology::{Ontology, Time};
use rustix::time::{ClockId, clock_gettime};
use sim::World;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// Turns of each measurement; the middle one counts.
const ROUNDS: usize = 7;
/// Requests that a gateway puts into one.
const GATEWAY: usize = 20;
/// Later than anything recorded.
const RECORDED: i64 = 1_800_000_000;

/// Requests of one kind.
struct Shape {
    name: String,
    requests: Vec<(Wire, Vec<u8>, Time)>,
}

/// Measures every shape in a folder of `*.otlp.ld.zst` files, or the requests of a simulated world.
pub(crate) fn normalise(dir: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let shapes = match dir {
        Some(dir) => shapes(dir)?,
        None => vec![Shape { name: "simulated_world".to_owned(), requests: simulated() }],
    };
    let ontology = Arc::new(Ontology::builtin());
    let mut figures = Vec::new();
    for shape in shapes {
        figures.extend(measure(&shape, &ontology).with_context(|| format!("measuring {}", shape.name))?);
    }
    Ok(figures)
}

/// The requests of a simulated world.
pub(crate) fn simulated() -> Vec<(Wire, Vec<u8>, Time)> {
    let played = World::new(super::bench::PLAN);
    played.map(|p| (world::wire(p.wire), p.body, Time::EPOCH.plus_nanos(p.at_ns))).collect()
}

fn shapes(dir: &Path) -> anyhow::Result<Vec<Shape>> {
    let list = std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))?;
    let mut paths = list.map(|f| Ok(f?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut shapes = Vec::new();
    for path in paths {
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some((name, rest)) = file.split_once(".otlp.ld") else { continue };
        let wire = match name.rsplit('_').next() {
            Some("traces") => Wire::TracesProto,
            Some("metrics") => Wire::MetricsProto,
            Some("logs") => Wire::LogsProto,
            _ => continue,
        };
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let bytes = if rest == ".zst" { zstd::decode_all(bytes.as_slice())? } else { bytes };
        let bodies = messages(&bytes).with_context(|| format!("taking {} apart", path.display()))?;
        let recorded = Time::from_secs(RECORDED);
        if name == "backend_traces" {
            // Protobuf joins messages that are written one after the other.
            let joined = bodies.chunks(GATEWAY).map(|some| (wire.clone(), some.concat(), recorded));
            shapes.push(Shape { name: "gateway_traces".to_owned(), requests: joined.collect() });
        }
        let requests = bodies.iter().map(|b| (wire.clone(), b.to_vec(), recorded)).collect();
        shapes.push(Shape { name: name.to_owned(), requests });
    }
    anyhow::ensure!(
        !shapes.is_empty(),
        "{} holds no request: files are named NAME_traces.otlp.ld, _metrics or _logs, with or without .zst, and hold \
         requests in protobuf, each after its length as a varint",
        dir.display()
    );
    Ok(shapes)
}

/// Messages with their lengths before them.
fn messages(mut bytes: &[u8]) -> anyhow::Result<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (mut length, mut shift) = (0_usize, 0);
        while let Some((b, rest)) = bytes.split_first() {
            bytes = rest;
            length |= usize::from(b & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if *b < 0x80 {
                break;
            }
        }
        let (one, rest) = bytes.split_at_checked(length).context("a length runs past the end")?;
        all.push(one);
        bytes = rest;
    }
    Ok(all)
}

/// Processor time of this thread so far, in seconds.
fn cpu() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn measure(shape: &Shape, ontology: &Arc<Ontology>) -> anyhow::Result<Vec<Figure>> {
    let options = ingest::Options { hash_key: [7; 32], limits: ingest::Limits::default() };
    let new = || Normaliser::new(Arc::clone(ontology), options);
    let mut kept = new();
    let (mut first, mut again, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    let (items, _) = pass(&mut kept, shape)?;
    for _ in 0..ROUNDS {
        floor.push(receive(shape)?);
        again.push(pass(&mut kept, shape)?.1);
        first.push(pass(&mut new(), shape)?.1);
    }
    let floor = middle(floor);
    let figure = |name: &str, rounds: Vec<f64>| {
        let cpu_seconds = rounds.iter().sum();
        let seconds = middle(rounds);
        Figure {
            name: format!("normalise.{}{name}", shape.name),
            value: items as f64 / seconds,
            unit: "items/CPU-s",
            cpu_seconds,
            peer: "receive over loopback and discard",
            peer_value: items as f64 / floor,
            ratio: floor / seconds,
            peak_rss_bytes: peak_rss(),
            n: items,
        }
    };
    Ok(vec![figure("", again), figure(".first_met", first)])
}

/// Normalises every request; items and seconds. Each body is copied to one buffer first, as receiving does, which leaves it in
/// the nearer caches; that copy is part of the floor and not counted here. Letting the facts go counts.
fn pass(normaliser: &mut Normaliser, shape: &Shape) -> anyhow::Result<(u64, f64)> {
    let (mut items, mut seconds) = (0, 0.0);
    let mut received = Vec::new();
    for (wire, body, recorded) in &shape.requests {
        received.clear();
        received.extend_from_slice(body);
        let begin = cpu();
        items += black_box(normaliser.normalise(wire, &received, *recorded)?).items;
        seconds += cpu() - begin;
    }
    Ok((items, seconds))
}

/// Receives every request over loopback and discards it: seconds of the receiving thread.
fn receive(shape: &Shape) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening on loopback")?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let mut answer = [0; ANSWER.len()];
            for (_, body, _) in &shape.requests {
                let head = format!(
                    "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes())?;
                stream.write_all(body)?;
                stream.read_exact(&mut answer)?;
            }
            Ok(())
        });
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let begin = cpu();
        let mut buffer = vec![0; 1 << 16];
        for _ in &shape.requests {
            discard(&mut stream, &mut buffer)?;
        }
        let used = cpu() - begin;
        sender.join().map_err(|_| anyhow::anyhow!("the sender stopped"))??;
        Ok(used)
    })
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Reads one request to its end and answers it.
fn discard(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut filled = 0;
    let (head, length) = loop {
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
        anyhow::ensure!(read > 0, "the sender went away");
        filled += read;
        let told = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = told.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = std::str::from_utf8(told.get(..end).unwrap_or_default())?;
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length: ")).context("no length")?;
            break (end + 4, length.parse::<usize>()?);
        }
    };
    let whole = head + length;
    if buffer.len() < whole {
        buffer.resize(whole, 0);
    }
    stream.read_exact(buffer.get_mut(filled..whole).unwrap_or_default())?;
    black_box(&buffer);
    stream.write_all(ANSWER)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_received_whole_and_taken_apart_as_written() {
        let body = vec![7; 300_000];
        let requests =
            vec![(Wire::TracesProto, Vec::new(), Time::EPOCH), (Wire::TracesProto, body, Time::EPOCH)];
        assert!(receive(&Shape { name: "two".to_owned(), requests }).unwrap() > 0.0);
        let mut bytes = vec![3, 1, 2, 3, 0, 0x80, 0x01];
        bytes.extend([9; 128]);
        assert_eq!(messages(&bytes).unwrap(), [&[1_u8, 2, 3][..], &[], &[9; 128]]);
        assert!(messages(&[5, 1]).is_err());
    }
}
