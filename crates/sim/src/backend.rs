//! What answers: one request walked through the services, with the faults that sit there.

use crate::company::{Callee, Company, REPLICAS};
use crate::plan::SECOND;
use crate::prng::Rng;
use crate::script::{Deployment, Fault, Script};

/// How far answers of one operation scatter (standard deviation of the logarithm).
const ANSWER_SPREAD: f64 = 0.35;
/// Share of answers that fail on any day.
const USUAL_FAILURES: f64 = 0.000_2;
/// Share of failures below that a caller cannot hide behind a fallback.
const NO_FALLBACK: f64 = 0.5;
/// Time a processor gives to one request before the next; the unit of queueing.
const QUANTUM_MS: f64 = 5.0;
/// Below this share of busy processors nobody waits for one.
const QUEUES_ABOVE: f64 = 0.7;
/// Share of answers that time out on a saturated host.
const SATURATED_FAILURES: f64 = 0.008;
/// Time between the replacement of one instance and the next in a rolling deployment.
pub(crate) const ROLLING_NS: i64 = 90 * SECOND;

/// One call, seen from where it is answered. Times are milliseconds since the request reached the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    /// Index of the hop whose operation made this call; `None` at the gateway.
    pub(crate) parent: Option<usize>,
    pub(crate) what: Callee,
    /// Where it is answered; for stores and topics, where it is asked.
    pub(crate) slot: usize,
    pub(crate) start_ms: f64,
    pub(crate) ms: f64,
    /// Time on the wire between caller and callee, both ways.
    pub(crate) wire_ms: f64,
    pub(crate) failed: bool,
}

/// The services at one moment.
pub(crate) struct Backend<'a> {
    pub(crate) company: &'a Company,
    pub(crate) script: &'a Script,
    pub(crate) rng: &'a mut Rng,
    /// Cleared and filled by [`Backend::answer`]: callers before callees.
    pub(crate) hops: &'a mut Vec<Hop>,
    pub(crate) at_ns: i64,
    /// Requests as a multiple of the mean of the day.
    pub(crate) load: f64,
}

impl Backend<'_> {
    /// Answers a request at the gateway of `region`: how long it took and whether it failed.
    pub(crate) fn answer(&mut self, operation: usize, region: usize) -> (f64, bool) {
        self.hops.clear();
        self.ask(operation, None, region, 0.0)
    }

    fn ask(&mut self, operation: usize, parent: Option<usize>, region: usize, start_ms: f64) -> (f64, bool) {
        let (company, row) = (self.company, &self.company.operations[operation]);
        let replica = self.rng.below(REPLICAS);
        let slot = Company::slot(row.service, region, replica);
        let wire_ms = self.rng.around(0.8, 0.3);
        let index = self.hops.len();
        let what = Callee::Operation(operation);
        self.hops.push(Hop { parent, what, slot, start_ms, ms: 0.0, wire_ms, failed: false });

        let (extra_ms, failures) = self.trouble(slot, row.service, region, replica);
        let own_ms =
            self.rng.around(row.own_ms, ANSWER_SPREAD) * (1.0 + 0.04 * (self.load.min(1.5) - 1.0)) + extra_ms;
        let mut failed = self.rng.chance(failures);
        // a third of its own work comes before it asks others
        let mut now = start_ms + own_ms / 3.0;
        for stage in &company.operations[operation].stages {
            let mut longest = 0.0_f64;
            for callee in stage {
                let ms = match *callee {
                    Callee::Operation(next) => {
                        let (ms, callee_failed) = self.ask(next, Some(index), region, now);
                        failed |= callee_failed && self.rng.chance(NO_FALLBACK);
                        ms
                    }
                    Callee::Store(store) | Callee::Topic(store) => {
                        let ms = self.rng.around(company.stores[store].median_ms, ANSWER_SPREAD);
                        let (parent, what) = (Some(index), *callee);
                        self.hops.push(Hop {
                            parent,
                            what,
                            slot,
                            start_ms: now,
                            ms,
                            wire_ms: 0.3,
                            failed: false,
                        });
                        ms + 0.3
                    }
                };
                longest = longest.max(ms);
            }
            now += longest;
        }
        let ms = now + own_ms * 2.0 / 3.0 - start_ms;
        let hop = &mut self.hops[index];
        (hop.ms, hop.failed) = (ms, failed);
        (ms + wire_ms, failed)
    }

    /// What the place of an instance adds to each answer, and the share that fails there.
    fn trouble(&mut self, slot: usize, service: usize, region: usize, replica: usize) -> (f64, f64) {
        let (mut extra_ms, mut failures) = (0.0, USUAL_FAILURES);
        if let Fault::Deployment { extra_ms: median, failures: share, .. } = self.script.fault
            && self.script.guilty(service, region, replica, self.at_ns)
        {
            extra_ms += self.rng.around(median, 0.3);
            failures = share;
        }
        let busy = self.script.busy(self.company, self.company.host_of[slot], self.at_ns, self.load);
        if busy > QUEUES_ABOVE {
            // mean wait of a single queue, as M/M/1 has it
            extra_ms += self.rng.waiting(QUANTUM_MS * busy / (1.0 - busy));
            failures = SATURATED_FAILURES;
        }
        (extra_ms, failures)
    }
}

impl Script {
    /// Share of a host's processors in use, before measurement noise.
    pub(crate) fn busy(&self, company: &Company, host: usize, at_ns: i64, load: f64) -> f64 {
        match self.fault {
            Fault::Host { host: full, busy } if full == host && at_ns >= self.onset_ns => busy,
            _ => (company.hosts[host].usual_cpu + 0.1 * (load - 1.0)).clamp(0.05, 0.66),
        }
    }

    /// Whether that instance runs the version at fault.
    pub(crate) fn guilty(&self, service: usize, region: usize, replica: usize, at_ns: i64) -> bool {
        self.guilty_deployment().is_some_and(|d| {
            d.service == service
                && d.regions.contains(&region)
                && at_ns >= d.at_ns + replica as i64 * ROLLING_NS
        })
    }

    /// How often the instance at that place has been replaced.
    pub(crate) fn generation(&self, slot: usize, at_ns: i64) -> u64 {
        let reached = |d: &&Deployment| at_ns >= d.at_ns + (slot % REPLICAS) as i64 * ROLLING_NS;
        self.deployments_to(slot).filter(reached).count() as u64
    }

    /// The version that the instance of that generation runs.
    pub(crate) fn version_of(&self, company: &Company, slot: usize, generation: u64) -> String {
        let latest = self.deployments_to(slot).take(generation as usize).last();
        latest.map_or_else(|| company.first_version(Company::of_slot(slot).0), |d| d.version.clone())
    }

    fn deployments_to(&self, slot: usize) -> impl Iterator<Item = &Deployment> {
        let (service, region, _) = Company::of_slot(slot);
        self.deployments.iter().filter(move |d| d.service == service && d.regions.contains(&region))
    }
}
