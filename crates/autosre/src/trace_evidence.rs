//! Evidence from raw traces and logs: what single requests did differently from healthy ones, and where first.
//!
//! Both sides of the comparison are filled span by span and line by line; [`TraceEvidence::testify`] then puts signs and
//! call edges on a scene. Needs no metrics and no error status.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::divergence;
use crate::gaps;
use crate::scene::{Scene, Spot};
use crate::template::TemplateMiner;

/// Which side of the comparison a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Recorded while all was well.
    Healthy,
    /// Recorded since the trouble began.
    Degraded,
}

/// One span as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct SpanRecord<'a> {
    /// The trace it belongs to.
    pub trace: u128,
    /// Its own id within the trace.
    pub id: u64,
    /// Its parent, unless it is a root.
    pub parent: Option<u64>,
    /// Who did the work.
    pub component: Spot,
    /// What was done.
    pub operation: &'a str,
    /// Start, nanoseconds of any one clock.
    pub start: u64,
    /// End, nanoseconds of the same clock.
    pub end: u64,
}

/// One log line that belongs to a span.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// The trace it belongs to.
    pub trace: u128,
    /// The span it was written in.
    pub span: u64,
    /// When, nanoseconds of the clock of the spans.
    pub time: u64,
    /// The line itself.
    pub text: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    id: u64,
    parent: Option<u64>,
    pub(crate) component: Spot,
    pub(crate) operation: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn nanos(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64
    }
}

#[derive(Clone, Copy, Debug)]
struct Line {
    trace: u128,
    span: u64,
    time: u64,
    template: u32,
}

/// Spans of one side, with who is whose child and which lines were written in which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    pub(crate) spans: Vec<Span>,
    lines: Vec<Line>,
    pub(crate) parent: Vec<Option<usize>>,
    pub(crate) children: Vec<Vec<usize>>,
    /// Time and template of the lines of each span, in order of time.
    pub(crate) written: Vec<Vec<(u64, u32)>>,
    /// On whose behalf each span works: the nearest ancestor of another component.
    pub(crate) asker: Vec<Option<Spot>>,
}

impl Recording {
    fn link(&mut self) {
        self.spans.sort_by_key(|s| (s.trace, s.start, s.id));
        self.spans.dedup_by_key(|s| (s.trace, s.id));
        let places: FxHashMap<(u128, u64), usize> =
            self.spans.iter().enumerate().map(|(i, s)| ((s.trace, s.id), i)).collect();
        self.parent = self
            .spans
            .iter()
            .enumerate()
            .map(|(i, s)| s.parent.and_then(|p| places.get(&(s.trace, p)).copied()).filter(|p| *p != i))
            .collect();
        self.asker = (0..self.spans.len()).map(|i| self.asker_of(i)).collect();
        self.children = vec![Vec::new(); self.spans.len()];
        for (i, parent) in self.parent.iter().enumerate() {
            if let Some(parent) = parent {
                self.children[*parent].push(i);
            }
        }
        self.written = vec![Vec::new(); self.spans.len()];
        for line in &self.lines {
            if let Some(&at) = places.get(&(line.trace, line.span)) {
                self.written[at].push((line.time, line.template));
            }
        }
        self.written.iter_mut().for_each(|lines| lines.sort_unstable());
    }

    fn asker_of(&self, span: usize) -> Option<Spot> {
        let mut at = span;
        // a trace is no deeper than it has spans; a cycle of parents (broken ids) ends here too
        for _ in 0..self.spans.len() {
            at = self.parent[at]?;
            if self.spans[at].component != self.spans[span].component {
                return Some(self.spans[at].component);
            }
        }
        None
    }

    /// The first child that is another component's: what a client span waited for.
    pub(crate) fn served_by(&self, span: usize) -> Option<usize> {
        self.children[span].iter().copied().find(|&c| self.spans[c].component != self.spans[span].component)
    }

    pub(crate) fn traces(&self) -> usize {
        let mut last = None;
        self.spans.iter().filter(|s| last.replace(s.trace) != Some(s.trace)).count()
    }
}

/// Collects both sides of a comparison.
#[derive(Clone, Debug, Default)]
pub struct TraceEvidence {
    /// By component, then by name.
    operations: Vec<FxHashMap<String, u32>>,
    names: Vec<(Spot, String)>,
    templates: TemplateMiner,
    healthy: Arc<Recording>,
    learned: Option<Arc<Learned>>,
    degraded: Recording,
}

/// What the healthy side says, whatever it will be compared with.
#[derive(Debug)]
struct Learned {
    known: divergence::Known,
    times: gaps::Times,
}

impl TraceEvidence {
    /// Takes a span.
    pub fn span(&mut self, side: Side, record: SpanRecord<'_>) {
        let operation = self.operation(record.component, record.operation);
        self.side(side).spans.push(Span {
            trace: record.trace,
            id: record.id,
            parent: record.parent,
            component: record.component,
            operation,
            start: record.start,
            end: record.end,
        });
    }

    /// Takes a log line.
    pub fn line(&mut self, side: Side, record: LogRecord<'_>) {
        let template = self.templates.template(record.text);
        let LogRecord { trace, span, time, .. } = record;
        self.side(side).lines.push(Line { trace, span, time, template });
    }

    fn side(&mut self, side: Side) -> &mut Recording {
        match side {
            Side::Healthy => {
                self.learned = None;
                Arc::make_mut(&mut self.healthy)
            }
            Side::Degraded => &mut self.degraded,
        }
    }

    fn operation(&mut self, component: Spot, name: &str) -> u32 {
        if self.operations.len() <= component.index() {
            self.operations.resize_with(component.index() + 1, FxHashMap::default);
        }
        let known = &mut self.operations[component.index()];
        if let Some(&number) = known.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        known.insert(name.to_owned(), number);
        self.names.push((component, name.to_owned()));
        number
    }

    /// Learns what the healthy side says. Clones share it, so that what healthy times were like is learnt once for many
    /// questions; without it [`Self::testify`] does it.
    pub fn learn(&mut self) -> &mut Self {
        if self.learned.is_none() {
            let healthy = Arc::make_mut(&mut self.healthy);
            healthy.link();
            let (known, times) = (divergence::Known::of(healthy), gaps::Times::of(healthy));
            self.learned = Some(Arc::new(Learned { known, times }));
        }
        self
    }

    /// Puts call edges, counted shares and signs on the scene.
    pub fn testify(&mut self, scene: &mut Scene) {
        self.learn();
        self.degraded.link();
        for (from, to, share) in self.calls() {
            scene.calls(from, to, Some(share));
        }
        let words = Words { names: &self.names, templates: &self.templates };
        let Some(learned) = &self.learned else { return };
        divergence::testify(scene, &learned.known, &self.degraded, &words);
        gaps::testify(scene, &learned.times, &self.degraded, &words);
    }

    /// Who calls whom on either side, with the share of the callee's requests that come from the caller.
    fn calls(&self) -> Vec<(Spot, Spot, f64)> {
        let mut counts: BTreeMap<(Spot, Spot), f64> = BTreeMap::new();
        let mut served: BTreeMap<Spot, f64> = BTreeMap::new();
        for recording in [self.healthy.as_ref(), &self.degraded] {
            for (i, parent) in recording.parent.iter().enumerate() {
                let callee = recording.spans[i].component;
                let caller = parent.map(|p| recording.spans[p].component);
                if caller == Some(callee) {
                    continue;
                }
                *served.entry(callee).or_default() += 1.0;
                if let Some(caller) = caller {
                    *counts.entry((caller, callee)).or_default() += 1.0;
                }
            }
        }
        counts
            .into_iter()
            .map(|((caller, callee), n)| (caller, callee, n / served.get(&callee).copied().unwrap_or(n)))
            .collect()
    }
}

/// Numbers back to words, for notes.
pub(crate) struct Words<'a> {
    names: &'a [(Spot, String)],
    templates: &'a TemplateMiner,
}

impl Words<'_> {
    pub(crate) fn operation(&self, operation: u32) -> &str {
        self.names.get(operation as usize).map_or("", |(_, name)| name)
    }

    pub(crate) fn is_severe(&self, template: u32) -> bool {
        self.templates.is_severe(template)
    }

    pub(crate) fn template(&self, template: u32) -> &str {
        self.templates.text(template)
    }
}
