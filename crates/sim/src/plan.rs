//! What fixes a world, and the form in which it speaks.

use std::fmt;
use std::str::FromStr;

/// What goes wrong, or only seems to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// TV UI 8.42.0 in cell B of an experiment renders the lolomo slowly; neither alone does.
    VersionCell,
    /// A service three hops below the gateway is slow after its deployment to one region.
    BackendDependency,
    /// One network provider is slow in one country.
    NetworkProvider,
    /// A host is saturated and so are the instances of several services on it.
    HostSaturation,
    /// A feature flag slows and breaks the devices of one maker.
    FeatureFlag,
    /// More users, and more of them with slow devices far away; nothing got slower for anyone.
    SurgeAndMix,
    /// Deployments, rollouts, experiments and flapping alerts, none of which does harm.
    Healthy,
}

impl Scenario {
    /// Every scenario, in the order of the scoreboard.
    pub fn all() -> [Scenario; 7] {
        use Scenario::*;
        [VersionCell, BackendDependency, NetworkProvider, HostSaturation, FeatureFlag, SurgeAndMix, Healthy]
    }

    /// The name used on the command line and in scores.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::VersionCell => "version_cell",
            Scenario::BackendDependency => "backend_dependency",
            Scenario::NetworkProvider => "network_provider",
            Scenario::HostSaturation => "host_saturation",
            Scenario::FeatureFlag => "feature_flag",
            Scenario::SurgeAndMix => "surge_and_mix",
            Scenario::Healthy => "healthy",
        }
    }

    /// One line for people.
    pub fn describe(self) -> &'static str {
        match self {
            Scenario::VersionCell => {
                "TV UI 8.42.0 in cell B of an experiment slows the lolomo; neither alone does"
            }
            Scenario::BackendDependency => {
                "a service three hops down is slow after its deployment to one region"
            }
            Scenario::NetworkProvider => {
                "one network provider is slow in one country; client and backend are innocent"
            }
            Scenario::HostSaturation => "one host is saturated and slows the instances of several services",
            Scenario::FeatureFlag => "a feature flag slows and breaks the devices of one maker",
            Scenario::SurgeAndMix => {
                "a traffic surge changes the audience mix; nothing got slower for anyone"
            }
            Scenario::Healthy => "changes and flapping alerts as on any day; nothing is wrong",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    /// The name, or its number on the scoreboard from 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let all = Scenario::all();
        let numbered = text.parse::<usize>().ok().and_then(|n| all.get(n.wrapping_sub(1)).copied());
        let named = all.into_iter().find(|s| s.name() == text);
        numbered.or(named).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|s| s.name()).collect();
            format!("there is no scenario `{text}`; there are: {}", names.join(", "))
        })
    }
}

/// How much there is of a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Sessions begun per minute at the mean of the day.
    pub sessions_per_minute: f64,
    /// Length of the world.
    pub minutes: u32,
    /// About when the fault sets in; moved by a few minutes with the seed.
    pub onset_minute: u32,
    /// Share of interactions whose traces are sent.
    pub trace_share: f64,
}

impl Scale {
    /// Small enough for a scoreboard of many worlds, large enough to decide each: some 27,000 interactions in two hours, of
    /// which the smallest guilty cohort has several hundred against effects of ten standard errors.
    pub const SCORE: Scale =
        Scale { sessions_per_minute: 60.0, minutes: 120, onset_minute: 70, trace_share: 0.12 };
    /// For the demo: more of everything, some 40,000 interactions.
    pub const DEMO: Scale =
        Scale { sessions_per_minute: 90.0, minutes: 120, onset_minute: 70, trace_share: 0.12 };
}

/// A world before it is played. Equal plans give equal bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// What goes wrong.
    pub scenario: Scenario,
    /// Varies places, effects, decoys and noise.
    pub seed: u64,
    /// Beginning of the healthy history, in nanoseconds since 1970.
    pub start_ns: i64,
    /// How much of it.
    pub scale: Scale,
}

/// What a payload's body is and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// `ExportTraceServiceRequest`, protobuf.
    Traces,
    /// `ExportMetricsServiceRequest`, protobuf.
    Metrics,
    /// `ExportLogsServiceRequest`, protobuf.
    Logs,
    /// One JSON document of the feed of that name: `catalog`, `cdevents`, `changes`, `experiments`, `flags`, `alertmanager`.
    Feed(&'static str),
}

/// One request as a sender would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// When it is sent, in simulated nanoseconds since 1970.
    pub at_ns: i64,
    /// What it is.
    pub wire: Wire,
    /// The body, not compressed.
    pub body: Vec<u8>,
}

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;

/// Nanoseconds of that many milliseconds.
pub(crate) fn from_ms(ms: f64) -> i64 {
    (ms * 1e6) as i64
}
