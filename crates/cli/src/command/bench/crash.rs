//! What survives: the store on a simulated disk on which everything fails, and the real server under `kill -9`.

mod kills;

use super::{Figure, cpu_seconds, peak_rss};
use crate::progress::Progress;
use kills::Killed;
use std::path::Path;

/// Simulated steps.
const STEPS: u64 = 1_000_000;
/// Times the real server is killed.
const KILLS: u64 = 500;

/// Both campaigns; ends with an error at the first thing lost, doubled or damaged in silence.
pub(super) fn campaigns(_: Option<&Path>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = simulated()?;
    figures.extend(killed()?);
    Ok(figures)
}

fn simulated() -> anyhow::Result<Vec<Figure>> {
    let begin = cpu_seconds()?;
    let bar = Progress::new(usize::try_from(STEPS)?, "simulated steps");
    let tally = store::campaign(1, STEPS, |n| bar.at(n, ""));
    bar.end();
    anyhow::ensure!(tally.found() == 0, "the simulated store is not sound: {tally:?}");
    let cpu = cpu_seconds()? - begin;
    let figure = |name: &str, value, unit, peer, peer_value| {
        figure(name, value, unit, (peer, peer_value), cpu, tally.steps)
    };
    Ok(vec![
        figure("crash-simulated-lost", tally.lost, "records", "acknowledged", tally.acknowledged),
        figure("crash-simulated-doubled", tally.doubled, "records", "acknowledged", tally.acknowledged),
        figure("crash-simulated-silent", tally.silent, "damages", "records hit by flipped bits", tally.hit),
        figure(
            "crash-simulated-came-back",
            tally.came_back,
            "records",
            "refused or unanswered",
            tally.refused,
        ),
        figure("crash-simulated-crashes", tally.power_cuts + tally.ends, "crashes", "steps", tally.steps),
    ])
}

fn killed() -> anyhow::Result<Vec<Figure>> {
    let begin = cpu_seconds()?;
    let killed = kills::run(KILLS)?;
    let cpu = cpu_seconds()? - begin;
    let Killed { kills, acknowledged, recovered, lost, doubled, unlike } = killed;
    anyhow::ensure!(
        lost + doubled + unlike == 0,
        "after {kills} kills {lost} of {acknowledged} acknowledged requests are lost, {doubled} are there twice, and {unlike} lines of \
         the graph differ from those of a server that was not killed"
    );
    let figure =
        |name: &str, value, unit, peer, peer_value| figure(name, value, unit, (peer, peer_value), cpu, kills);
    Ok(vec![
        figure("crash-killed-lost", lost, "requests", "acknowledged", acknowledged),
        figure("crash-killed-doubled", doubled, "requests", "recovered", recovered),
        figure("crash-killed-unlike", unlike, "lines of the graph", "recovered requests", recovered),
    ])
}

fn figure(
    name: &str,
    value: u64,
    unit: &'static str,
    peer: (&'static str, u64),
    cpu_seconds: f64,
    n: u64,
) -> Figure {
    Figure {
        name: name.to_owned(),
        value: value as f64,
        unit,
        cpu_seconds,
        peer: peer.0,
        peer_value: peer.1 as f64,
        ratio: value as f64 / peer.1.max(1) as f64,
        peak_rss_bytes: peak_rss(),
        n,
    }
}
