//! The alarms of one failure on a call graph, and which component they point to.
//!
//! Where detection is someone else's (a monitoring system that pages, an anomaly detector per series), what is left to read is who
//! alarms about what: metrics of a component, calls between two, log templates. An [`AlarmGraph`] holds that as plain data; it can be filled
//! from alerts and anomalies as well as from a file. [`AlarmRanker`] ranks its components with weights learned on past failures.

use std::collections::BTreeSet;
use std::fmt;

mod rank;
mod signs;
mod usual;

pub use rank::{AlarmRanker, PastFailure, Reason, Suspect, Weights};
pub use signs::{Amount, Kind, Place, Rivalry, Sense, Sign};

/// Which way a metric left its usual range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Above it.
    Up,
    /// Below it.
    Down,
}

/// What is complained about in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Complaint {
    /// It took longer than usual.
    Slow,
    /// It failed.
    Failed,
}

/// On which end of a call that alarms a component stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Someone calls it.
    Callee,
    /// It calls someone.
    Caller,
    /// The span is its own: work within, or its side of a call whose other side is not told.
    Within,
}

/// What a metric measures, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Disks and file systems.
    Disk,
    /// Bytes and packets.
    Network,
    /// How long something takes.
    Latency,
    /// How much of it fails or succeeds.
    Errors,
    /// How much is asked.
    Traffic,
    /// Anything else.
    Other,
}

/// Words of metric names and what they stand for, in the order in which they are looked for: names say the resource before its unit
/// (`cpu_time`, `disk_read_bytes`). A word matches the beginning of a word of the name, as in `diskio`.
const WORDS: [(Resource, &[&str]); 7] = [
    (Resource::Cpu, &["cpu", "processor", "load"]),
    (Resource::Memory, &["mem", "rss", "heap", "swap", "gc"]),
    (Resource::Disk, &["disk", "fs", "filesystem", "inode", "volume", "blk"]),
    (Resource::Network, &["net", "packet", "tcp", "rx", "tx", "socket", "bandwidth"]),
    (Resource::Latency, &["latency", "duration", "delay", "rt", "p5", "p7", "p9", "response"]),
    (Resource::Errors, &["error", "fail", "success", "availability", "timeout", "exception"]),
    (Resource::Traffic, &["qps", "rps", "tps", "request", "throughput", "workload"]),
];

impl Resource {
    /// Reads a metric's name.
    pub fn of(metric: &str) -> Self {
        let name = metric.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        WORDS
            .iter()
            .find(|(_, known)| words.iter().any(|word| known.iter().any(|k| word.starts_with(k))))
            .map_or(Resource::Other, |(resource, _)| *resource)
    }
}

/// What one component has to do with one alarm; alarms that say the same of a component are one token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// One of its metrics left its range.
    Metric {
        /// The metric's name.
        metric: String,
        /// Which way.
        direction: Direction,
    },
    /// A call that it takes part in is complained about.
    Call {
        /// Its end of the call.
        role: Role,
        /// What is called, without the address of one instance.
        operation: String,
        /// What is complained about.
        complaint: Complaint,
    },
    /// A log template stands out.
    Log {
        /// The template's name within the component.
        template: String,
    },
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Metric { metric, direction } => {
                write!(f, "{metric} {}", if *direction == Direction::Up { "up" } else { "down" })
            }
            Token::Call { role, operation, complaint } => {
                let side = match role {
                    Role::Callee => "called for",
                    Role::Caller => "calls",
                    Role::Within => "within",
                };
                write!(
                    f,
                    "{side} {operation}: {}",
                    match complaint {
                        Complaint::Slow => "slow",
                        Complaint::Failed => "failed",
                    }
                )
            }
            Token::Log { template } => write!(f, "log template {template}"),
        }
    }
}

/// One component of an alarm graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// Its name, the same in every failure of a system.
    pub name: String,
    /// What it is a copy of; replicas share it.
    pub workload: String,
    /// What its alarms say of it.
    pub told: BTreeSet<Token>,
}

/// A call that alarms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlarmedCall {
    /// Who calls; nothing when it is outside the graph.
    pub caller: Option<usize>,
    /// Who is called; nothing when it is outside the graph.
    pub callee: Option<usize>,
    /// What is called, without the address of one instance.
    pub operation: String,
    /// What is complained about.
    pub complaint: Complaint,
}

/// The components of a system and what alarmed in one failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlarmGraph {
    components: Vec<Component>,
    calls: BTreeSet<AlarmedCall>,
}

impl AlarmGraph {
    /// Adds a component; its place is how alarms refer to it.
    pub fn add(&mut self, name: &str, workload: &str) -> usize {
        self.components.push(Component {
            name: name.to_owned(),
            workload: workload.to_owned(),
            told: BTreeSet::new(),
        });
        self.components.len() - 1
    }

    /// The components, by place.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The calls that alarm.
    pub fn calls(&self) -> impl Iterator<Item = &AlarmedCall> {
        self.calls.iter()
    }

    /// A metric of a component left its range.
    pub fn metric(&mut self, component: usize, metric: &str, direction: Direction) {
        self.tell(component, Token::Metric { metric: metric.to_owned(), direction });
    }

    /// A log template of a component stands out.
    pub fn log(&mut self, component: usize, template: &str) {
        self.tell(component, Token::Log { template: template.to_owned() });
    }

    /// Calls of an operation are complained about. Caller and callee may be one component: then the span is its own.
    pub fn call(
        &mut self,
        caller: Option<usize>,
        callee: Option<usize>,
        operation: &str,
        complaint: Complaint,
    ) {
        let operation = without_address(operation);
        let ends: &[(Option<usize>, Role)] = if caller == callee {
            &[(caller, Role::Within)]
        } else {
            &[(caller, Role::Caller), (callee, Role::Callee)]
        };
        for (end, role) in ends {
            if let Some(end) = end {
                self.tell(*end, Token::Call { role: *role, operation: operation.to_owned(), complaint });
            }
        }
        self.calls.insert(AlarmedCall { caller, callee, operation: operation.to_owned(), complaint });
    }

    fn tell(&mut self, component: usize, token: Token) {
        if let Some(component) = self.components.get_mut(component) {
            component.told.insert(token);
        }
    }
}

/// An operation that is a whole URL begins with its path: scheme and authority name an instance, and replicas should be heard to say
/// the same.
fn without_address(operation: &str) -> &str {
    operation
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|slash| rest.get(slash..)))
        .unwrap_or(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_known_by_the_words_of_its_name() {
        for (metric, resource) in [
            ("docker_memory_stats_total_rss", Resource::Memory),
            ("container.cpu.time", Resource::Cpu),
            ("docker_diskio_read_bytes", Resource::Disk),
            ("dest_p95", Resource::Latency),
            ("src_success_rate", Resource::Errors),
            ("net_receive", Resource::Network),
            ("http_requests_total", Resource::Traffic),
            ("threads", Resource::Other),
        ] {
            assert_eq!(Resource::of(metric), resource, "{metric}");
        }
    }

    #[test]
    fn both_ends_of_a_call_hear_of_it_and_an_address_is_no_operation() {
        let mut graph = AlarmGraph::default();
        let (shop, stock) = (graph.add("shop-0", "shop"), graph.add("stock-0", "stock"));
        graph.call(Some(shop), Some(stock), "http://10.0.0.4:80/items", Complaint::Slow);
        graph.call(None, Some(shop), "GET /", Complaint::Failed);
        graph.call(Some(7), None, "nobody", Complaint::Slow);
        let told = |i: usize| graph.components()[i].told.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(shop), ["called for GET /: failed", "calls /items: slow"]);
        assert_eq!(told(stock), ["called for /items: slow"]);
    }
}
