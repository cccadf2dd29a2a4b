//! Which traces a change leaves when it goes wrong.

use super::diff::{About, Edit, Reading, Turn, Weight};
use super::symptoms::Symptoms;
use super::words;

/// What a change of one kind, in one direction, breaks: beginnings of words that alarms, logs and names of metrics then have. Each
/// row is a lesson that most teams have had once.
const BREAKS: &[(About, &[Turn], &str)] = {
    use About::*;
    use Turn::*;
    &[
        (Sampling, &[More, New], "disk|no space|volume|throughput|ingest|cardinality|bytes"),
        (Tolerance, &[Less, Gone], "expired|not yet valid|skew|in the future|unauthorized|401|stale"),
        (Backoff, &[Less, Gone], "retr|storm|attempt|throttl|429|rate limit|thundering|conflict|contention"),
        (Backoff, &[More], "stale|lag|backlog|behind|delay"),
        (Retry, &[Less, Gone], "retr|attempt|conflict|transient|exhausted|gave up"),
        (Retry, &[More, New], "retr|storm|amplif|429|rate limit|throttl|duplicate|overload"),
        (Timeout, &[Less, New], "timeout|timed out|deadline|cancel|abort"),
        (Timeout, &[More, Gone], "hang|hung|stuck|pool|exhaust|thread|goroutine|in_flight|inflight|blocked"),
        (Lifetime, &[Less], "miss|hit_ratio|hit ratio|hit rate|expired|logged out|origin|read-through|evict"),
        (Lifetime, &[More, Gone], "stale|outdated|memory|heap|oom|disk|no space"),
        (Cache, &[Gone], "miss|hit_ratio|hit ratio|hit rate|quer|read-through|origin"),
        (Batch, &[Less, Gone], "throughput|throttl|capacity|batch|quer|iops|429|rate limit|rate exceeded"),
        (Batch, &[More, New], "too large|payload|oom|heap|memory|exceeds"),
        (Pool, &[Less], "pool|exhaust|acquir|starv|saturat|backlog|queue|reject|waiting for|no available"),
        (
            Pool,
            &[More, Gone],
            "too many|max_connections|connection limit|connection slots|open files|oom|throttl",
        ),
        (Rate, &[Less, New], "429|rate limit|rate_limit|too many requests|throttl|reject|shed"),
        (Rate, &[More, Gone], "overload|429|throttl|saturat|rate limit|exhaust"),
        (Memory, &[Less, New], "oom|out of memory|heap|evict|killed|gc|memory"),
        (Processor, &[Less, New], "throttl|cpu"),
        (Bound, &[Less, New], "full|overflow|reject|drop|truncat|too large|exhaust|413|429|backlog|limit"),
        (Bound, &[More, Gone], "memory|heap|oom|out of memory|rows|slow query|scan|gc|too large|payload"),
        (
            Null,
            &[Gone],
            "nil|null|undefined|nonetype|segfault|sigsegv|dereference|nullpointer|cannot read propert|panic",
        ),
        (Range, &[Gone, Less], "out of range|out of bounds|panic|overflow|division by zero|off by one"),
        (
            Cleanup,
            &[Gone],
            "leak|open files|too many|pool|exhaust|connection|memory|heap|goroutine|deadlock|descriptor",
        ),
        (Growth, &[New], "memory|heap|oom|rss|gc|leak|cardinality"),
        (Regex, &[New], "cpu|backtrack|event loop|stall|timed out|timeout"),
        (Lock, &[New, Gone, Less], "deadlock|lock|contention|blocked|serializ|race|concurrent"),
        (Loop, &[New], "quer|calls|n+1|throttl|capacity|iops|per_request|requests_per"),
        (Spawn, &[New], "goroutine|thread|memory|heap|oom|too many"),
        (Wait, &[New], "timeout|timed out|blocked|event loop|stall|deadline"),
        (
            Start,
            &[Gone],
            "not found|not registered|unregistered|uninitial|not initial|unknown|no handler|missing|no such",
        ),
        (Access, &[Gone], "401|403|unauthor|forbidden|denied|credential|signature"),
        (Filter, &[Gone], "rows|slow query|scan|quer|duplicate"),
    ]
};

/// How one says that a name is not known.
const MISSED: &str = "not found|unknown|no such|undefined|no mapping|missing|does not exist|unrecognized|invalid|cannot find|\
    no attribute|unexpected|not defined|unresolved|violates";

/// The change that explains most of what is seen, and what it explains of that.
pub(super) fn fit<'a>(reading: &'a Reading, symptoms: &Symptoms) -> Option<(&'a Edit, Vec<String>)> {
    let found = reading.edits.iter().filter_map(|edit| {
        let traces =
            if edit.about == About::Name { missed(reading, symptoms) } else { traces(edit, symptoms) };
        (!traces.is_empty()).then_some((edit, traces))
    });
    found.max_by(|a, b| worth(a.0, a.1.len()).total_cmp(&worth(b.0, b.1.len())))
}

/// What one trace of what a change would break says in nats, two, and more: odds of seven, twenty and thirty to one.
const FITS: [f64; 3] = [2.0, 3.0, 3.5];
/// What it says that a change surely changes behaviour, and that it may be a replacement, an addition or a small step.
const BEHAVIOUR: (f64, f64) = (1.0, -1.0);

pub(super) fn fits(traces: usize) -> f64 {
    FITS.get(traces.saturating_sub(1)).copied().unwrap_or(FITS[2])
}

pub(super) fn behaviour(edit: &Edit) -> f64 {
    if edit.weight == Weight::Clear { BEHAVIOUR.0 } else { BEHAVIOUR.1 }
}

fn worth(edit: &Edit, traces: usize) -> f64 {
    fits(traces) + behaviour(edit)
}

fn traces(edit: &Edit, symptoms: &Symptoms) -> Vec<String> {
    let rows = BREAKS.iter().filter(|(about, turns, _)| *about == edit.about && turns.contains(&edit.turn));
    let stems = rows.flat_map(|(_, _, stems)| stems.split('|'));
    stems.filter(|s| symptoms.texts.iter().any(|t| words::has(t, s))).map(str::to_owned).collect()
}

/// A name that was replaced, or its replacement, that somebody does not find: two traces, for name and loss are told together.
fn missed(reading: &Reading, symptoms: &Symptoms) -> Vec<String> {
    let told = reading.names.iter().find_map(|name| {
        let texts = symptoms.told.iter().filter(|text| words::has_whole(text, name));
        texts
            .flat_map(|text| MISSED.split('|').filter(|stem| words::has(text, stem)))
            .next()
            .map(|stem| (name, stem))
    });
    told.map(|(name, stem)| vec![name.clone(), stem.to_owned()]).unwrap_or_default()
}
