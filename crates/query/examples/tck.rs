//! The scoreboard of the openCypher compatibility kit: `cargo run --release -p query --example tck -- DIR [--json]
//! [--failures]`, where DIR holds the kit's feature files.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../tests/support/mod.rs"]
mod support;

use serde_json::json;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|a| a == flag);
    let Some(dir) = args.iter().find(|a| !a.starts_with("--")) else {
        eprintln!("usage: tck DIR [--json] [--failures]");
        return ExitCode::from(2);
    };
    let score = match support::run_folder(std::path::Path::new(dir)) {
        Ok(score) => score,
        Err(e) => {
            eprintln!("{dir}: {e}");
            return ExitCode::from(2);
        }
    };
    let (passed, failed) = (score.passed(), score.failed());
    if has("--json") {
        let features: serde_json::Map<String, serde_json::Value> = score
            .per_feature
            .iter()
            .map(|(f, (p, n))| (f.clone(), json!({"passed": p, "failed": n, "total": p + n})))
            .collect();
        let mut out = json!({
            "passed": passed,
            "failed": failed,
            "total": passed + failed,
            "left_out_because_they_write": score.left_out,
            "errors_due": score.errors.0,
            "errors_with_the_very_detail": score.errors.1,
            "per_feature": features,
        });
        if has("--failures") {
            let failures =
                score.failures.iter().map(|(f, s, why)| json!({"feature": f, "scenario": s, "why": why}));
            out["failures"] = failures.collect();
        }
        println!("{out:#}");
        return ExitCode::SUCCESS;
    }
    if has("--failures") {
        for (feature, scenario, why) in &score.failures {
            println!("{feature}: {scenario}\n  {why}");
        }
    }
    for (feature, (passed, failed)) in &score.per_feature {
        println!("{passed:5} of {:5}  {feature}", passed + failed);
    }
    let share = passed as f64 * 100.0 / (passed + failed).max(1) as f64;
    println!("{passed:5} of {:5}  ({share:.2} %), {} that write left out", passed + failed, score.left_out);
    println!("errors that were due: {}, with the very detail: {}", score.errors.0, score.errors.1);
    ExitCode::SUCCESS
}
