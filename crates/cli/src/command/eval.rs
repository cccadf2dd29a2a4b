//! `e2egraph eval`: the methods measured on labelled failures.

use crate::args::Eval;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::{out, print};

/// Runs one set and prints its figures.
pub async fn run(args: Eval) -> anyhow::Result<Exit> {
    let as_json = args.json;
    let report = tokio::task::spawn_blocking(move || {
        let bar = Progress::new(0, "cases");
        let report = exam::run(&args.set, &args.dir, &mut |done, _, case| bar.at(done as u64, case));
        bar.end();
        report
    })
    .await??;
    if as_json {
        out::json(&report)?;
        return Ok(Exit::Done);
    }
    let title = format!("{}: {} cases, {} without an answer", report.set, report.cases, report.abstained);
    let mut rows: Vec<Vec<String>> = report
        .metrics
        .iter()
        .map(|(name, value)| {
            let interval = report
                .intervals
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, [low, high])| format!("{low:.3} … {high:.3}"));
            vec![(*name).to_owned(), format!("{value:.3}"), interval.unwrap_or_default()]
        })
        .collect();
    rows.push(vec![
        "seconds a case".to_owned(),
        print::number(report.seconds_median),
        format!("95 % within {}", print::number(report.seconds_p95)),
    ]);
    if let Some(bytes) = report.peak_rss_bytes {
        rows.push(vec!["peak memory".to_owned(), format!("{} MiB", bytes >> 20), String::new()]);
    }
    let columns = ["figure", "value", "95 % interval"].map(str::to_owned);
    out::print(&format!("{title}\n{}", print::table(&columns, &rows)))?;
    Ok(Exit::Done)
}
