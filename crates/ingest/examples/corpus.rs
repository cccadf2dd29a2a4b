//! Runs a folder of real OTLP through the normaliser: items, facts, what was refused and why, CPU time, and whether the
//! OTLP/JSON twins say the same as the protobuf. `cargo run --release -p ingest --example corpus -- DIR`. With `DIGEST` set
//! also a hash of everything said, to compare versions by; with `SHOW` set what the first request of each file says.

use ingest::{Limits, Normaliser, Options, Wire, describe};
use ontology::{Ontology, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Failure = Box<dyn std::error::Error>;

/// CPU nanoseconds this process has used.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Messages with their lengths before them.
fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (mut length, mut shift) = (0_usize, 0);
        while let Some((b, rest)) = bytes.split_first() {
            bytes = rest;
            length |= usize::from(b & 0x7f) << shift;
            shift += 7;
            if *b < 0x80 {
                break;
            }
        }
        let (one, rest) = bytes.split_at(length.min(bytes.len()));
        all.push(one);
        bytes = rest;
    }
    all
}

fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).ok_or("name the folder of *.otlp.ld.zst files")?;
    let ontology = Arc::new(Ontology::builtin());
    let new =
        || Normaliser::new(Arc::clone(&ontology), Options { hash_key: [7; 32], limits: Limits::default() });
    let recorded = Time::from_secs(1_800_000_000);
    let mut files: Vec<_> = std::fs::read_dir(&dir)?.filter_map(|f| f.ok().map(|f| f.path())).collect();
    files.sort();
    for path in files {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let wire = match &name {
            n if n.contains("_traces.otlp.ld") => Wire::TracesProto,
            n if n.contains("_metrics.otlp.ld") => Wire::MetricsProto,
            n if n.contains("_logs.otlp.ld") => Wire::LogsProto,
            n if n.contains("_traces.sample") => {
                twins(
                    &path,
                    &Path::new(&dir).join(n.replace(".sample.otlp.jsonl", ".otlp.ld")),
                    &new,
                    recorded,
                    &ontology,
                )?;
                continue;
            }
            _ => continue,
        };
        let body = zstd::decode_all(std::fs::File::open(&path)?)?;
        let requests = messages(&body);
        let mut normaliser = new();
        let (mut items, mut facts, mut drafts) = (0, 0, 0);
        let mut refused: BTreeMap<String, (u64, String)> = BTreeMap::new();
        let start = cpu();
        for request in &requests {
            let batch = normaliser.normalise(&wire, request, recorded)?;
            items += batch.items;
            facts += batch.facts.len();
            drafts += batch.drafts.len();
            for r in batch.refused {
                refused.entry(r.reason).or_insert((0, r.detail)).0 += r.items;
            }
        }
        let ns = cpu().saturating_sub(start) / items.max(1);
        println!(
            "{name}: {} requests, {items} items, {facts} facts, {drafts} drafts, {ns} ns CPU per item",
            requests.len()
        );
        // The same again, when everything has been met before.
        let mut rounds = Vec::new();
        let mut received = Vec::new();
        for _ in 0..5 {
            let start = cpu();
            for request in &requests {
                // As receiving does, which leaves the bytes near.
                received.clear();
                received.extend_from_slice(request);
                normaliser.normalise(&wire, &received, recorded)?;
            }
            rounds.push(cpu().saturating_sub(start) / items.max(1));
        }
        rounds.sort_unstable();
        println!("    again: {} ns CPU per item", rounds.get(2).copied().unwrap_or(0));
        for (reason, (count, detail)) in refused {
            println!("    {count} × {reason}: {detail}");
        }
        if std::env::var_os("DIGEST").is_some() {
            let mut normaliser = new();
            let mut all = xxhash_rust::xxh3::Xxh3Default::new();
            for request in &requests {
                all.update(describe(&normaliser.normalise(&wire, request, recorded)?, &ontology).as_bytes());
            }
            println!("    everything said: {:016x}", all.digest());
        }
        if let (Some(_), Some(first)) = (std::env::var_os("SHOW"), requests.first()) {
            println!("{}", describe(&new().normalise(&wire, first, recorded)?, &ontology));
        }
    }
    Ok(())
}

/// Each line of JSON must say what the message at its place says.
fn twins(
    json: &Path,
    proto: &Path,
    new: &dyn Fn() -> Normaliser,
    recorded: Time,
    ontology: &Ontology,
) -> Result<(), Failure> {
    let text = zstd::decode_all(std::fs::File::open(json)?)?;
    let body = zstd::decode_all(std::fs::File::open(proto)?)?;
    let (mut a, mut b) = (new(), new());
    let (mut same, mut items, mut ns) = (0, 0, 0);
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
    for (line, message) in lines.iter().zip(messages(&body)) {
        let start = cpu();
        let one = a.normalise(&Wire::TracesJson, line, recorded)?;
        ns += cpu().saturating_sub(start);
        items += one.items;
        let two = b.normalise(&Wire::TracesProto, message, recorded)?;
        same += usize::from(describe(&one, ontology) == describe(&two, ontology));
    }
    let name = json.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    println!(
        "{name}: {same} of {} requests say the same as their protobuf twin, {} ns CPU per item",
        lines.len(),
        ns / items.max(1)
    );
    Ok(())
}
