//! Questions to history: a cohort group-by over ten million interactions, through our tables and through plain DataFusion over the same
//! files in the same run.

use super::{Figure, cpu_seconds, peak_rss};
use crate::rim::Temporary;
use ::history::{Bounds, Place, Sql, bench};
use anyhow::Context as _;
use ontology::Ontology;
use std::path::Path;
use std::time::Duration;

const ROWS: u64 = 10_000_000;
/// Of each, in turn; the median counts.
const RUNS: usize = 7;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures; a folder that is named keeps the table, for peers (bench/peers/history.py).
pub fn group_by(dir: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let temporary = dir.is_none().then(Temporary::new).transpose()?;
    let folder = dir.or(temporary.as_ref().map(|t| t.0.as_path())).context("no folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bounds = Bounds { time: Duration::from_secs(600), ..Bounds::default() };
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let place = Place::folder(folder)?;
        bench::make(&place, &Ontology::builtin(), ROWS).await?;
        let sql = Sql::new(Some(place));
        let mut said = None;
        for _ in 0..=RUNS {
            let begin = cpu_seconds()?;
            let told = sql.ask(bench::QUESTION, None, &bounds).await?;
            let between = cpu_seconds()?;
            let same = bench::plain(folder, bench::QUESTION, &bounds).await?;
            anyhow::ensure!(told.rows == same.rows, "the two do not say the same");
            ours.push(between - begin);
            plain.push(cpu_seconds()? - between);
            said = Some(told);
        }
        anyhow::ensure!(said.is_some_and(|s| !s.rows.is_empty()), "there are no rows");
        anyhow::Ok(())
    })?;
    // The first of each reads the files from the disk.
    let used: f64 = ours.iter().sum();
    let (ours, plain) = (median(ours.split_off(1)), median(plain.split_off(1)));
    Ok(vec![Figure {
        name: "history".to_owned(),
        value: ours,
        unit: "CPU-s/group-by",
        cpu_seconds: used,
        peer: "plain DataFusion",
        peer_value: plain,
        ratio: ours / plain,
        peak_rss_bytes: peak_rss(),
        n: ROWS,
    }])
}
