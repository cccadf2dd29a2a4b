//! `e2egraph history`: keeping history from a data folder that no server has open, and whether it is whole.

use crate::args::{History, HistoryAt};
use crate::exit::{Exit, NotThere, Wrong};
use crate::history::{self as kept, place};
use crate::out;
use crate::progress::Progress;
use ::history::{Table, Writer, Written};
use serde_json::json;
use std::time::Instant;

/// Writes, tidies or checks.
pub async fn run(command: History) -> anyhow::Result<Exit> {
    match command {
        History::Write { data, all, json, at, ontology } => {
            let place = wanted(&data, &at)?;
            let ontology = crate::rim::ontology(&ontology)?;
            let epoch = kept::epoch_of(data, ontology, all).await?;
            let begin = Instant::now();
            let Written { rows, hours, looked_at, bytes } =
                Writer::new(place.clone()).write(&epoch, kept::now()).await?;
            let seconds = begin.elapsed().as_secs_f64();
            if json {
                out::json(
                    &json!({"place": place.label(), "rows": rows, "hours": hours, "bytes": bytes, "seconds": seconds}),
                )?;
            } else {
                out::line(&format!(
                    "{rows} rows of {hours} hours of tables written to {} in {seconds:.1} s ({bytes} bytes); {looked_at} looked at",
                    place.label()
                ))?;
            }
        }
        History::Tidy { data, json, at, ontology } => {
            let place = wanted(&data, &at)?;
            let ontology = crate::rim::ontology(&ontology)?;
            let now = kept::now();
            let tidied = kept::keep(&at).tidy(&place, &ontology, now, now).await?;
            if json {
                let (merged, dropped, deleted) = (tidied.merged, tidied.dropped, tidied.deleted);
                out::json(
                    &json!({"place": place.label(), "merged": merged, "dropped": dropped, "deleted": deleted}),
                )?;
            } else {
                out::line(&format!(
                    "{}: {} files became part of others, {} were too old, {} that nothing needs any more were deleted",
                    place.label(),
                    tidied.merged,
                    tidied.dropped,
                    tidied.deleted
                ))?;
            }
        }
        History::Check { data, json, at } => return check(&wanted(&data, &at)?, json).await,
    }
    Ok(Exit::Done)
}

async fn check(place: &::history::Place, json: bool) -> anyhow::Result<Exit> {
    let mut bar: Option<(Table, Progress)> = None;
    let tables = ::history::check(place, |table, done, of| {
        let steps = |n: u64| usize::try_from(n).unwrap_or(0);
        if bar.as_ref().is_none_or(|(of, _)| *of != table)
            && let Some((_, before)) =
                bar.replace((table, Progress::new(steps(of), &format!("bytes of {}", table.name()))))
        {
            before.end();
        }
        if let Some((_, bar)) = &bar {
            bar.at(done, "");
        }
    });
    let tables = tables.await?;
    if let Some((_, bar)) = bar {
        bar.end();
    }
    if tables.is_empty() {
        return Err(NotThere(format!("there is no history at {}", place.label())).into());
    }
    let sound = tables.iter().all(|t| t.damage.is_empty());
    if json {
        out::json(&json!({"place": place.label(), "sound": sound, "tables": tables}))?;
    } else {
        for t in &tables {
            let of = t.of.map(|(from, to)| format!(", {from} to {to}")).unwrap_or_default();
            out::line(&format!(
                "{}: {} rows in {} files of {} bytes{of}",
                t.table, t.rows, t.files, t.bytes
            ))?;
            for d in &t.damage {
                out::line(&format!("  damaged: {}: {}", d.file, d.why))?;
            }
        }
        out::line(if sound { "sound" } else { "damaged" })?;
    }
    Ok(if sound { Exit::Done } else { Exit::Failed })
}

fn wanted(data: &std::path::Path, at: &HistoryAt) -> anyhow::Result<::history::Place> {
    place(data, at)?.ok_or_else(|| Wrong("--history off leaves nothing to do".to_owned()).into())
}
