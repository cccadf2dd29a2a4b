//! Sits one set without the whole program around it: `cargo run --release -p exam --example sit -- SET DIR [wrong]`.
//! Prints the report without its cases; with `wrong`, also every case that lost marks.

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [set, dir, more @ ..] = args.as_slice() else {
        eprintln!("usage: sit SET DIR [wrong]");
        std::process::exit(2);
    };
    match exam::run(set, Path::new(dir), &mut |_, _, _| {}) {
        Ok(mut report) => {
            let cases = std::mem::take(&mut report.per_case);
            println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
            for case in cases.iter().filter(|c| !more.is_empty() && c.metrics.values().any(|m| *m < 1.0)) {
                println!(
                    "{}: {:?} {:?}",
                    case.case,
                    case.metrics,
                    case.answer.get(..6).unwrap_or(&case.answer)
                );
            }
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
