//! The clock of a world: plays it in steps and gives what is sent, in the order it is sent.

use crate::audience::{Crowd, visitor};
use crate::backend::{Backend, Hop};
use crate::company::{Callee, Company};
use crate::encode::{
    TraceIds, client_resource, client_spans, crash_event, error_logs, gateway_ns, scope, server_spans,
    start_events, view_event,
};
use crate::feeds::documents;
use crate::journey::{Outcome, Session, render};
use crate::outbox::{FLUSH_NS, Outbox};
use crate::plan::{MINUTE, Payload, Plan, from_ms};
use crate::prng::Rng;
use crate::readings::Readings;
use crate::script::{Fault, Script};
use crate::tables::{COUNTRIES, VIEWS};
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Share of sessions that end in a crash on any day.
const CRASHES: f64 = 0.001;

/// A world being played. Memory is bounded by what is under way: sessions of the next minutes and late items.
pub struct World {
    plan: Plan,
    company: Company,
    script: Script,
    rng: Rng,
    now_ns: i64,
    /// Operation of the gateway behind each view.
    doors: Vec<usize>,
    /// Views that sessions will ask for, by moment; the number keeps those of one moment in order.
    ahead: BTreeMap<(i64, u64), (Rc<Session>, usize, Turn)>,
    number: u64,
    feeds: VecDeque<Payload>,
    outbox: Outbox,
    readings: Readings,
    hops: Vec<Hop>,
    /// Made but sent only after the present step.
    pending: Vec<Payload>,
    ready: VecDeque<Payload>,
}

/// Where a view stands in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

impl World {
    /// The world of that plan, at its beginning.
    pub fn new(plan: Plan) -> Self {
        let company = Company::new(plan.seed);
        let script = Script::new(&plan, &company);
        let feeds = documents(&plan, &script).into();
        let doors = VIEWS.iter().map(|v| company.operation_named(v.1).unwrap_or_default()).collect();
        World {
            rng: Rng::new(plan.seed, "world"),
            now_ns: plan.start_ns,
            plan,
            company,
            script,
            doors,
            ahead: BTreeMap::new(),
            number: 0,
            feeds,
            outbox: Outbox::default(),
            readings: Readings::default(),
            hops: Vec::new(),
            pending: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// The end of the world: when the question is asked. No payload is sent later.
    pub fn end_ns(&self) -> i64 {
        self.script.end_ns
    }

    /// What someone on call would ask at the end.
    pub fn question(&self) -> String {
        self.script.question()
    }

    /// Requests as a multiple of the mean of the day: the season, and the surge if there is one.
    fn load(&self, at_ns: i64) -> f64 {
        self.season(at_ns) * (1.0 + self.newcomers(at_ns))
    }

    /// One wave a day with its top at 20 h UTC.
    fn season(&self, at_ns: i64) -> f64 {
        let hour = at_ns.rem_euclid(1440 * MINUTE) as f64 / (60 * MINUTE) as f64;
        1.0 + 0.25 * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).sin()
    }

    /// Additional sessions as a share of the usual ones; they come within ten minutes.
    fn newcomers(&self, at_ns: i64) -> f64 {
        match self.script.fault {
            Fault::Surge { more } => {
                let passed = (at_ns - self.script.onset_ns) as f64 / (10 * MINUTE) as f64;
                more * passed.clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    /// Plays one flush of the collectors.
    fn step(&mut self) {
        let (from, to) = (self.now_ns, self.now_ns + FLUSH_NS);
        self.arrivals(from);
        while let Some(entry) = self.ahead.first_entry() {
            if entry.key().0 >= to {
                break;
            }
            let at_ns = entry.key().0;
            let (session, view, turn) = entry.remove();
            self.view(&session, view, turn, at_ns);
        }
        let mut due = std::mem::take(&mut self.pending);
        while self.feeds.front().is_some_and(|p| p.at_ns < to) {
            due.extend(self.feeds.pop_front());
        }
        due.extend(self.outbox.due(to, &self.company, &self.script));
        if to.div_euclid(MINUTE) > from.div_euclid(MINUTE) {
            let minute = to.div_euclid(MINUTE) * MINUTE;
            let load = self.load(minute);
            due.extend(self.readings.due(minute, &self.company, &self.script, load, &mut self.rng));
        }
        due.sort_by_key(|p| p.at_ns);
        // collectors send a little after the flush, when feeds of the next step may already have spoken
        self.pending = due.split_off(due.partition_point(|p| p.at_ns < to));
        self.ready.extend(due);
        self.now_ns = to;
    }

    fn arrivals(&mut self, from: i64) {
        let usual = self.plan.scale.sessions_per_minute * FLUSH_NS as f64 / MINUTE as f64 * self.season(from);
        for (crowd, mean) in [(Crowd::Usual, usual), (Crowd::Newcomers, usual * self.newcomers(from))] {
            for _ in 0..self.rng.count(mean) {
                let person = visitor(self.plan.seed, crowd, &mut self.rng);
                let began = from + self.rng.below(FLUSH_NS as usize) as i64;
                let session = Rc::new(Session::new(self.rng.next(), person, began, &self.script));
                for (index, (at, view)) in session.views(&mut self.rng).into_iter().enumerate() {
                    let turn = if index == 0 { Turn::First } else { Turn::Later };
                    self.number += 1;
                    self.ahead.insert((at, self.number), (Rc::clone(&session), view, turn));
                }
            }
        }
    }

    /// A view is asked for, answered, drawn and told of.
    fn view(&mut self, session: &Session, view: usize, turn: Turn, at_ns: i64) {
        let load = self.load(at_ns);
        let mut backend = Backend {
            company: &self.company,
            script: &self.script,
            rng: &mut self.rng,
            hops: &mut self.hops,
            at_ns,
            load,
        };
        let rendered = render(session, view, self.doors[view], &mut backend);
        for hop in &self.hops {
            if let Callee::Operation(operation) = hop.what {
                self.readings.count(hop.slot, operation, hop.ms);
            }
        }
        let rng = &mut self.rng;
        let interaction = rng.next();
        let sampled = rng.chance(self.plan.scale.trace_share);
        let ids = TraceIds {
            trace: [rng.next().to_be_bytes(), rng.next().to_be_bytes()].concat(),
            view: rng.next().to_be_bytes().to_vec(),
            fetch: rng.next().to_be_bytes().to_vec(),
        };
        let region = COUNTRIES[session.person.country].2;
        let done_ns = at_ns + from_ms(rendered.ttr_ms());

        let mut records = match turn {
            Turn::First => start_events(session),
            Turn::Later => Vec::new(),
        };
        records.push(view_event(session, &rendered, interaction, sampled.then_some(&ids)));
        let broken = rendered.outcome == Outcome::Error && !rendered.backend_failed;
        if (broken && rng.chance(0.3)) || (turn == Turn::First && rng.chance(CRASHES)) {
            let kind = if broken { "CompositorError" } else { "OutOfMemoryError" };
            records.push(crash_event(session, done_ns, kind));
        }
        let resource = Some(client_resource(session));
        let scope_logs = vec![ScopeLogs {
            scope: Some(scope("e2e-client")),
            log_records: records,
            ..ScopeLogs::default()
        }];
        let logs = ResourceLogs { resource: resource.clone(), scope_logs, ..ResourceLogs::default() };
        self.outbox.client_logs(region, done_ns, logs, rng);

        if !sampled {
            return;
        }
        let spans = client_spans(session, &rendered, interaction, &ids);
        let scope_spans =
            vec![ScopeSpans { scope: Some(scope("e2e-client")), spans, ..ScopeSpans::default() }];
        let spans = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        self.outbox.client_spans(region, done_ns, spans, rng);
        let spans = server_spans(&self.company, &self.hops, gateway_ns(&rendered), &ids);
        for (slot, record) in error_logs(&self.hops, &spans) {
            let from = (slot, self.script.generation(slot, at_ns));
            self.outbox.log(from, record, rng);
        }
        for (slot, span) in spans {
            let from = (slot, self.script.generation(slot, at_ns));
            self.outbox.span(from, span, rng);
        }
    }
}

impl Iterator for World {
    type Item = Payload;

    fn next(&mut self) -> Option<Payload> {
        while self.ready.is_empty() && self.now_ns < self.script.end_ns {
            self.step();
        }
        let end = self.script.end_ns;
        self.ready.pop_front().filter(|p| p.at_ns <= end)
    }
}
