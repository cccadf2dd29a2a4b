//! `e2egraph eval`: the methods measured on labelled failures.

use crate::args::Eval;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::{out, print};

/// The word for every set of a folder.
pub const ALL_SETS: &str = "all";

/// Runs one set, or all of a folder, and prints the figures.
pub async fn run(args: Eval) -> anyhow::Result<Exit> {
    let as_json = args.json;
    let every = args.set == ALL_SETS;
    let all = tokio::task::spawn_blocking(move || {
        let bar = Progress::new(0, "cases");
        let mut at = |done: usize, _: usize, case: &str| bar.at(done as u64, case);
        let all = if every {
            exam::run_all(&args.dir, &mut at)
        } else {
            exam::run(&args.set, &args.dir, &mut at).map(|report| exam::AllReports {
                config_hash: report.config_hash,
                sets: vec![report],
                absent: Vec::new(),
            })
        };
        bar.end();
        all
    })
    .await??;
    if as_json {
        match all.sets.first().filter(|_| !every) {
            Some(report) => out::json(report)?,
            None => out::json(&all)?,
        }
        return Ok(Exit::Done);
    }
    let columns =
        ["set", "cases", "unanswered", "figure", "value", "95 % interval", "s a case", "95 % within", "MiB"]
            .map(str::to_owned);
    let rows: Vec<Vec<String>> = all.sets.iter().flat_map(rows).collect();
    let mut text = print::table(&columns, &rows);
    if !all.absent.is_empty() {
        text += &format!("\nnot there: {}\n", all.absent.join(", "));
    }
    text += &format!("\nmethods and constants {}, the same for every set", all.config_hash);
    out::print(&text)?;
    Ok(Exit::Done)
}

/// One line for each figure; what is said of the whole set stands on the first.
fn rows(report: &exam::Report) -> Vec<Vec<String>> {
    let figures = report.metrics.iter().map(|(name, value)| {
        let interval = report.intervals.iter().find(|(known, _)| known == name);
        let interval = interval.map(|(_, [low, high])| format!("{low:.3} … {high:.3}"));
        vec![(*name).to_owned(), format!("{value:.3}"), interval.unwrap_or_default()]
    });
    let memory = report.peak_rss_bytes.map(|bytes| (bytes >> 20).to_string());
    let mut before = vec![report.set.to_owned(), report.cases.to_string(), report.abstained.to_string()];
    let mut after = vec![
        print::number(report.seconds_median),
        print::number(report.seconds_p95),
        memory.unwrap_or_default(),
    ];
    figures
        .map(|figure| {
            let empty = || vec![String::new(); 3];
            let row =
                [std::mem::replace(&mut before, empty()), figure, std::mem::replace(&mut after, empty())];
            row.concat()
        })
        .collect()
}
