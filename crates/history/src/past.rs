//! Earlier moments as graphs: what the tables tell of some hours, and of whatever was there before and still is, put together so that it
//! is read like the hot graph.
//!
//! Traffic, measures and sessions are read of the hours asked for and the one before; things, events and relations of all earlier hours
//! as well, nearest first, because what was said once stays true.

mod load;
#[cfg(test)]
mod tests;

use crate::chart::Chart;
use crate::delta::Log;
use crate::error::{HistoryError, SqlError};
use crate::hour::Hour;
use crate::place::Place;
use crate::rows;
use crate::sql::{Bounds, Sql};
use crate::table::Table;
use crate::write::{Epoch, SETTLED};
use graph::Graph;
use load::{Loading, Step};
use ontology::{Ontology, Stretch, Time};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Graphs of earlier moments that are kept for who asks again.
pub(crate) const KEPT: usize = 2;
/// Rows of one.
pub(crate) const ROWS: u64 = 5_000_000;
/// Bytes of these rows.
pub(crate) const BYTES: u64 = 2 << 30;
/// Hours of traffic and measures of one.
pub(crate) const HOURS: u64 = 48;
/// Seconds that making one may take.
pub(crate) const SECONDS: u64 = 30;
/// Hours before those asked for that are read like these: what is asked of a moment is summed over minutes before it.
const BEFORE: i64 = 1;
/// Hours before these in which a session may have begun that is still there.
const SESSION: i64 = 24;
/// Hours of the first step back; each further one is twice as long.
const FIRST_STEP: i64 = 24;
/// Threads that read.
const THREADS: usize = 2;

/// How much may be read for one graph.
#[derive(Clone, Copy, Debug)]
pub struct PastBounds {
    /// Rows. Beyond: what is furthest back is left out, and the answer says so.
    pub rows: u64,
    /// Bytes of these. Beyond: the same.
    pub bytes: u64,
    /// Hours between the first and the last that are asked for. Beyond: it is refused.
    pub hours: u64,
    /// How long. Beyond: it is ended.
    pub time: Duration,
}

impl Default for PastBounds {
    fn default() -> PastBounds {
        PastBounds { rows: ROWS, bytes: BYTES, hours: HOURS, time: Duration::from_secs(SECONDS) }
    }
}

/// A bound at which something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// There are more rows.
    Rows,
    /// There are more bytes.
    Bytes,
}

/// A graph of earlier moments.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The graph.
    pub graph: Graph,
    /// The hours whose traffic, measures and sessions are in it.
    pub of: Vec<Stretch>,
    /// From when on things, events and relations are in it.
    pub since: Time,
    /// Rows that were read.
    pub rows: u64,
    /// Why there is not more.
    pub cut: Option<Cut>,
}

impl Earlier {
    /// Where it comes from, for whoever reads an answer made of it.
    pub fn note(&self) -> String {
        let hours: Vec<String> = self.of.iter().map(|s| format!("{} to {}", s.from, s.to)).collect();
        let read = format!("Read from history: {}.", hours.join(", "));
        let bound = match self.cut {
            None => return read,
            Some(Cut::Rows) => "history_graph_rows",
            Some(Cut::Bytes) => "history_graph_bytes",
        };
        format!(
            "{read} Not all of it: {bound} was reached; of things and relations, what was told before {} is missing.",
            self.since
        )
    }
}

/// Which graph it is: its hours, and the versions of the tables and of the ontology it was made of.
type Key = (Vec<Hours>, u64, Vec<Option<u64>>);

/// From one hour to before another.
type Hours = (Hour, Hour);

/// Makes graphs of earlier moments, one at a time, and keeps the last few.
#[derive(Default)]
pub struct Pasts {
    sql: Sql,
    kept: Mutex<VecDeque<(Key, Arc<Earlier>)>>,
}

impl Pasts {
    /// Of history at a place, or of graphs alone.
    pub fn new(place: Option<Place>) -> Pasts {
        Pasts { sql: Sql::new(place), kept: Mutex::default() }
    }

    /// The graph of some moments and stretches. Hours that history does not have are read from the epoch.
    ///
    /// # Errors
    /// [`SqlError::Unknown`] when nothing is kept that is as old, the others as those of a query.
    pub async fn of(
        &self,
        asked: &[Stretch],
        ontology: &Arc<Ontology>,
        epoch: Option<&Epoch>,
        bounds: &PastBounds,
    ) -> Result<Arc<Earlier>, SqlError> {
        let seconds = bounds.time.as_secs_f64();
        match tokio::time::timeout(bounds.time, self.found(asked, ontology, epoch, bounds)).await {
            Ok(found) => found,
            Err(_) => Err(SqlError::Late(seconds)),
        }
    }

    /// The last moment that the tables tell of: the end of their last hour.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn last(&self) -> Result<Option<Time>, SqlError> {
        let mut last = None;
        for table in Table::ALL {
            last = last.max(self.sql.log(table).await?.and_then(|l| l.hours().keys().next_back().copied()));
        }
        Ok(last.map(|hour| hour.end().start()))
    }

    async fn found(
        &self,
        asked: &[Stretch],
        ontology: &Arc<Ontology>,
        epoch: Option<&Epoch>,
        bounds: &PastBounds,
    ) -> Result<Arc<Earlier>, SqlError> {
        let last = asked.iter().map(|s| s.to).max().unwrap_or(Time::EPOCH);
        // While one is made, others wait: memory is for one.
        let mut kept = self.kept.lock().await;
        let mut versions = Vec::new();
        let (mut first, mut end): (Option<Hour>, Option<Hour>) = (None, None);
        for table in Table::ALL {
            let log = self.sql.log(table).await?;
            versions.push(log.as_ref().and_then(|l| l.version()));
            first = log.as_ref().and_then(|l| begin(l)).into_iter().chain(first).min();
            end = end.max(log.as_ref().and_then(|l| l.hours().keys().next_back().copied()));
        }
        let known = |windows: &Vec<Hours>, kept: &VecDeque<(Key, Arc<Earlier>)>| {
            let key = (windows.clone(), ontology.fingerprint, versions.clone());
            (kept.iter().find(|(k, _)| *k == key).map(|(_, found)| Arc::clone(found)), key)
        };
        // How far the graph reaches is looked for only where it matters: that is to look at all of it.
        if let Ok(windows) = windows(asked, bounds)
            && let (Some(found), _) = known(&windows, &kept)
        {
            return Ok(found);
        }
        if let Some(epoch) = epoch {
            let chart = Chart::new(ontology);
            for (from, to) in Table::ALL.into_iter().filter_map(|t| rows::extent(&epoch.graph, &chart, t)) {
                (first, end) = (first.into_iter().chain([from]).min(), end.max(Some(to)));
            }
        }
        let (Some(first), Some(end)) = (first, end) else {
            return Err(SqlError::Unknown(format!("nothing is kept of {last}: there is no history yet")));
        };
        if Hour::at(last) < first {
            let begin = first.first().start();
            return Err(SqlError::Unknown(format!(
                "nothing is kept of {last}: history and the graph begin at {begin}"
            )));
        }
        let kept_of = Stretch { from: first.first().start(), to: end.end().start() };
        let windows = windows(&within(asked, kept_of), bounds)?;
        let Some(to) = windows.last().map(|w| w.1) else {
            return Err(SqlError::Wrong("no moment was asked for".to_owned()));
        };
        let (found, key) = known(&windows, &kept);
        if let Some(found) = found {
            return Ok(found);
        }
        let made = Arc::new(self.made((&windows, first), ontology, epoch, bounds).await?);
        // Hours that are not over are others a minute later; those that are show in the tables' versions when late facts change them.
        let settled = to.first().plus(SETTLED).start();
        let over = epoch.is_none_or(|e| e.graph.latest().is_some_and(|latest| latest >= settled));
        if over {
            kept.retain(|(k, _)| k.0 != windows);
            kept.truncate(KEPT - 1);
            kept.push_front((key, Arc::clone(&made)));
        }
        Ok(made)
    }

    async fn made(
        &self,
        (windows, first): (&[Hours], Hour),
        ontology: &Arc<Ontology>,
        epoch: Option<&Epoch>,
        bounds: &PastBounds,
    ) -> Result<Earlier, SqlError> {
        let mut loading = Loading::new(ontology, bounds);
        let Some((from, to)) = windows.last().copied() else {
            return Err(SqlError::Wrong("no moment was asked for".to_owned()));
        };
        let lasting = [Step::Entities, Step::Events, Step::Relations];
        let mut since = to;
        for step in lasting {
            self.read(&mut loading, step, (from, to), epoch).await?;
        }
        for step in [Step::Flows, Step::Measures, Step::Interactions] {
            for window in windows.iter().rev() {
                self.read(&mut loading, step, *window, epoch).await?;
            }
        }
        if loading.cut.is_none() {
            since = from;
        }
        let mut hours = FIRST_STEP;
        while loading.cut.is_none() && since > first {
            let back = Hour(since.0.saturating_sub(hours)).max(first);
            for step in lasting {
                self.read(&mut loading, step, (back, since), epoch).await?;
            }
            if loading.cut.is_none() {
                since = back;
            }
            hours = hours.saturating_mul(2);
        }
        let (rows, cut) = (loading.rows, loading.cut);
        let end = to.first().start().plus_nanos(-1);
        let latest = epoch.and_then(|e| e.graph.latest()).map_or(end, |l| l.min(end));
        let graph = loading.finish(latest);
        let of =
            windows.iter().map(|(from, to)| Stretch { from: from.first().start(), to: to.first().start() });
        let of = of.collect();
        Ok(Earlier { graph, of, since: since.first().start(), rows, cut })
    }

    /// Reads some hours of a table.
    async fn read(
        &self,
        loading: &mut Loading,
        step: Step,
        (from, to): (Hour, Hour),
        epoch: Option<&Epoch>,
    ) -> Result<(), SqlError> {
        if loading.cut.is_some() {
            return Ok(());
        }
        let moment = |hour: Hour| format!("timestamp '{}'", hour.first().start());
        let (begun, still) = match step {
            Step::Interactions => (Hour(from.0 - SESSION), format!(" and seen_to >= {}", moment(from))),
            _ => (from, String::new()),
        };
        let text = format!(
            "select {} from {} where time >= {} and time < {}{still}",
            step.columns(),
            step.table().name(),
            moment(begun),
            moment(to)
        );
        let bounds = Bounds { threads: THREADS, ..Bounds::default() };
        self.sql.each(&text, epoch, &bounds, |batch| loading.take(step, batch)).await
    }
}

/// What of some moments and stretches anything is kept of; moments are left as they are.
fn within(asked: &[Stretch], kept: Stretch) -> Vec<Stretch> {
    let cut = |s: &Stretch| {
        let from = s.from.clamp(kept.from, kept.to.max(kept.from));
        Stretch { from, to: s.to.min(kept.to).max(from) }
    };
    asked.iter().map(|s| if s.from == s.to { *s } else { cut(s) }).collect()
}

/// The hours that are read for some moments and stretches, ascending, none twice.
fn windows(asked: &[Stretch], bounds: &PastBounds) -> Result<Vec<Hours>, SqlError> {
    let of = |s: &Stretch| {
        // A stretch ends before its last moment.
        let last = if s.to > s.from { s.to.plus_nanos(-1) } else { s.to };
        (Hour(Hour::at(s.from).0 - BEFORE), Hour(Hour::at(last).0 + 1))
    };
    let mut windows: Vec<Hours> = asked.iter().map(of).collect();
    windows.sort_unstable();
    windows.dedup_by(|next, before| {
        let touch = next.0 <= before.1;
        if touch {
            before.1 = before.1.max(next.1);
        }
        touch
    });
    let hours: i64 = windows.iter().map(|(from, to)| to.0.saturating_sub(from.0 + BEFORE)).sum();
    if hours > i64::try_from(bounds.hours).unwrap_or(i64::MAX) {
        return Err(SqlError::Wrong(format!(
            "{hours} hours are asked of history at once, {} can be (history_graph_hours); SQL takes any number",
            bounds.hours
        )));
    }
    Ok(windows)
}

/// The first hour of a table.
fn begin(log: &Log) -> Option<Hour> {
    log.hours().keys().next().copied()
}

impl From<arrow::error::ArrowError> for SqlError {
    fn from(e: arrow::error::ArrowError) -> SqlError {
        SqlError::Failed(crate::error::first_line(e))
    }
}

impl SqlError {
    pub(crate) fn column(table: Table, name: &str) -> SqlError {
        SqlError::History(HistoryError::rows(
            table,
            format!("there is no column {name} of the type that is ours"),
        ))
    }
}
