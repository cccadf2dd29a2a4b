//! Opening a data folder: how far it is, and what was found in it that its owner should know.

use crate::out;
use crate::progress::Progress;
use engine::{Begun, Engine, Opening, Options, Started};
use ontology::Ontology;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Opens a data folder and tells what was found in it.
pub fn open(options: &Options, ontology: Arc<Ontology>) -> anyhow::Result<Engine> {
    let begin = Instant::now();
    let (mut bar, mut replaying) = (None, false);
    let opened = Engine::open(options, ontology, |opening| match opening {
        Opening::Checkpoint(read, of) => {
            let steps = |n: u64| usize::try_from(n).unwrap_or(0);
            bar.get_or_insert_with(|| Progress::new(steps(of), "bytes of the checkpoint")).at(read, "");
        }
        Opening::Replayed(n) => {
            if !std::mem::replace(&mut replaying, true)
                && let Some(read) = bar.take()
            {
                read.end();
            }
            bar.get_or_insert_with(|| Progress::new(0, "requests replayed")).at(n, "");
        }
    });
    if let Some(bar) = bar {
        bar.end();
    }
    let (engine, started) = opened?;
    tell(&started, &options.data, begin.elapsed().as_secs_f64());
    Ok(engine)
}

fn tell(started: &Started, data: &Path, seconds: f64) {
    let data = data.display();
    if let Some(mode) = started.recovery.open_to_others {
        out::note(&format!(
            "other users of this machine have rights to the data folder {data} (mode {mode:03o}), and it holds telemetry as it came; \
             take them away with `chmod 700 {data}`"
        ));
    }
    let Begun { checkpoint, passed_over, missing } = &started.begun;
    for why in passed_over {
        out::note(&format!("a checkpoint in {data} was passed over: {why}"));
    }
    if *missing > 0 {
        out::note(&format!(
            "the log in {data} begins after record {missing} and no checkpoint tells of what came before: it is not in the graph"
        ));
    }
    if started.replayed > 0 || checkpoint.is_some() {
        let with = checkpoint.map_or("", |_| "a checkpoint and ");
        out::note(&format!("{with}{} requests replayed from {data} in {seconds:.1} s", started.replayed));
    }
    if let Some(torn) = &started.recovery.torn {
        out::note(&format!(
            "cut {} bytes at offset {} of {}: a write that a crash had interrupted, or damage to the last write, which looks the same",
            torn.bytes, torn.offset, torn.file
        ));
    }
    for damage in &started.damage {
        out::note(&format!(
            "{} bytes at offset {} of {} cannot be read ({}); everything around them was",
            damage.bytes, damage.offset, damage.file, damage.reason
        ));
    }
    if let Some((count, why)) = &started.unreadable {
        out::note(&format!("{count} requests in the log cannot be read by this version: {why}"));
    }
    for unread in &started.unread {
        out::note(&format!("left aside in {data}: {} ({})", unread.document, unread.why));
    }
}
