//! One company told by many: a world whose real things are named by further sources too, each in its own words, and the truth
//! about which names are one thing.
//!
//! The world is one of the scored ones, made of the same company and script; what the further sources say is added, and one team
//! that has no OTLP yet is told by Zipkin instead. `annex` holds things that are hard to keep apart.

mod annex;
mod further;
mod kubernetes;
mod real;
mod told;

pub use real::{PerClass, Reality, Scored, Shown, Telling, score};

use crate::company::Company;
use crate::plan::{Plan, Scale};
use crate::script::Script;
use crate::stream::World;

/// How much of a world is enough to meet every source and every app: some 300 sessions.
pub const SCALE: Scale = Scale { sessions_per_minute: 12.0, minutes: 24, onset_minute: 13, trace_share: 0.5 };

/// In which form a source speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// `ExportTraceServiceRequest`, protobuf.
    Traces,
    /// `ExportMetricsServiceRequest`, protobuf.
    Metrics,
    /// `ExportLogsServiceRequest`, protobuf.
    Logs,
    /// Prometheus remote write 1.0, protobuf with snappy undone.
    RemoteWrite,
    /// Zipkin v2, JSON.
    Zipkin,
    /// Loki's push request, JSON.
    Loki,
    /// Documents of a feed as JSON, with what stands around the body: `header.NAME`, `query.NAME`.
    Feed(&'static str, Vec<(&'static str, String)>),
    /// The same as YAML.
    Yaml(&'static str),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// When it is sent, in simulated nanoseconds since 1970.
    pub at_ns: i64,
    /// Its form.
    pub form: Form,
    /// The body, not compressed.
    pub body: Vec<u8>,
}

impl Letter {
    /// The source that sends it.
    pub fn source(&self) -> &'static str {
        match &self.form {
            Form::Traces | Form::Metrics | Form::Logs => "otlp",
            Form::RemoteWrite => "prometheus",
            Form::Zipkin => "zipkin",
            Form::Loki => "loki",
            Form::Feed(name, _) | Form::Yaml(name) => name,
        }
    }
}

/// Everything that is sent in a world, in order, and what is really there.
pub fn play(plan: Plan) -> (Vec<Letter>, Reality) {
    let company = Company::new(plan.seed);
    let script = Script::new(&plan, &company);
    let mut reality = Reality::default();
    further::company(&mut reality, &company, &script);
    let mut letters = Vec::new();
    for payload in World::new(plan) {
        further::retold(payload, &script, &mut reality, &mut letters);
    }
    kubernetes::told(&company, &script, &mut reality, &mut letters);
    further::told(&company, &script, &mut reality, &mut letters);
    annex::told(&company, &script, &mut reality, &mut letters);
    letters.sort_by_key(|l| l.at_ns);
    (letters, reality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scenario;
    use std::collections::BTreeSet;

    fn plan(seed: u64) -> Plan {
        let scale = Scale { sessions_per_minute: 4.0, minutes: 12, onset_minute: 7, trace_share: 0.5 };
        Plan { scenario: Scenario::BackendDependency, seed, start_ns: 1_795_500_000_000_000_000, scale }
    }

    #[test]
    fn equal_plans_give_equal_letters_and_more_than_a_dozen_sources_speak() {
        let (letters, reality) = play(plan(1));
        assert_eq!(letters, play(plan(1)).0);
        assert_ne!(letters, play(plan(2)).0);
        let sources: BTreeSet<&str> = letters.iter().map(Letter::source).collect();
        assert!(sources.len() >= 12, "{sources:?}");
        assert!(reality.len() > 500, "{}", reality.len());
        assert!(letters.is_sorted_by_key(|l| l.at_ns));
    }
}
