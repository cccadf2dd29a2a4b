//! `e2egraph history`: keeping history from a data folder that no server has open.

use crate::args::{History, HistoryAt};
use crate::exit::{Exit, Wrong};
use crate::history::{self as kept, place};
use crate::out;
use ::history::{Writer, Written};
use serde_json::json;
use std::time::Instant;

/// Writes or tidies.
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
    }
    Ok(Exit::Done)
}

fn wanted(data: &std::path::Path, at: &HistoryAt) -> anyhow::Result<::history::Place> {
    place(data, at)?.ok_or_else(|| Wrong("--history off leaves nothing to do".to_owned()).into())
}
