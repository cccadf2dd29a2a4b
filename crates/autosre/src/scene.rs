//! The scene of a failure: components, how they depend on one another, and what each showed while healthy and while degraded.
//!
//! A scene is plain data. It can be filled from five-minute metrics alone, from raw traces and logs, or from the minute
//! cells of a graph snapshot; whoever fills it says in [`Scene::missing`] what could not be had, and the rankers work
//! with the rest.

use std::collections::BTreeMap;

/// The place of a component in [`Scene::components`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot(usize);

impl Spot {
    /// Where the component stands in [`Scene::components`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// What sort of thing a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A named service, whatever runs it.
    Service,
    /// One operation of a service.
    Operation,
    /// One running copy of a service: a pod, a process, a function instance.
    Instance,
    /// A machine or a Kubernetes node.
    Host,
    /// A database, cache, queue or topic.
    Datastore,
    /// A content delivery network or one of its sites.
    Cdn,
    /// A network provider or a stretch of network.
    Network,
    /// Something of another company.
    External,
    /// A view of a client app.
    View,
    /// A client app or one version of it.
    App,
}

/// Which trouble a person feels at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// It is slow.
    Latency,
    /// It fails.
    Errors,
}

/// A quantity sampled once per bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Requests served in the bucket.
    Requests,
    /// Mean time per request, callees included; any unit, the same throughout the scene.
    Latency,
    /// Share of requests that failed, 0..1, callees' failures included.
    ErrorRatio,
    /// Mean time per request without what was spent waiting for callees.
    ExclusiveLatency,
    /// Share of requests that failed while no callee of theirs did, 0..1.
    ExclusiveErrors,
    /// Processor use, percent of its limit.
    Cpu,
    /// Memory use, percent of its limit.
    Memory,
    /// Processor use of the machine below, percent.
    HostCpu,
    /// Memory use of the machine below, percent.
    HostMemory,
    /// Use of any other bounded resource (disk, connections, threads), percent.
    Saturation,
    /// Processor time used, where no limit is known; any unit, the same throughout the series.
    CpuUsed,
    /// Memory used, where no limit is known; any unit, the same throughout the series.
    MemoryUsed,
}

impl Channel {
    /// The channels measured in percent of a limit.
    pub const RESOURCES: [Channel; 5] =
        [Channel::Cpu, Channel::Memory, Channel::HostCpu, Channel::HostMemory, Channel::Saturation];

    /// The channels that say how much of a resource is used, but not how much there is.
    pub const USED: [Channel; 2] = [Channel::CpuUsed, Channel::MemoryUsed];

    /// The words an explanation uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Requests => "requests",
            Channel::Latency => "latency",
            Channel::ErrorRatio => "error ratio",
            Channel::ExclusiveLatency => "exclusive latency",
            Channel::ExclusiveErrors => "exclusive errors",
            Channel::Cpu => "cpu",
            Channel::Memory => "memory",
            Channel::HostCpu => "host cpu",
            Channel::HostMemory => "host memory",
            Channel::Saturation => "saturation",
            Channel::CpuUsed => "cpu used",
            Channel::MemoryUsed => "memory used",
        }
    }
}

/// Samples of one channel on the scene's grid; a bucket without data is NaN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Buckets of normal operation, possibly long ago; as many for every component of the scene.
    pub healthy: Vec<f64>,
    /// The buckets right before the onset: they carry the level of today where `healthy` is old.
    pub lead: Vec<f64>,
    /// Buckets since the onset.
    pub degraded: Vec<f64>,
}

/// Evidence that needed more than samples per bucket: single traces, log records, events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Spans that call it have no child of it any more although they had one while healthy.
    SilentCallee,
    /// Traces leave their healthy course here first.
    FirstDivergence,
    /// What callers wait beyond what callees work grew: the network between them.
    NetGap,
    /// A log template is new or comes far more often.
    LogTemplate,
    /// An edge, a node or an attribute was never seen while healthy.
    Novelty,
    /// It restarted or is not ready.
    Restart,
    /// More is asked of it than ever while healthy.
    Surge,
    /// Its own part of single requests takes longer.
    SlowSpans,
    /// It asks a callee far less often per request than it used to.
    LostCalls,
}

impl Sign {
    /// The words an explanation uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Sign::SilentCallee => "silent callee",
            Sign::FirstDivergence => "first divergence",
            Sign::NetGap => "net gap",
            Sign::LogTemplate => "log template",
            Sign::Novelty => "novelty",
            Sign::Restart => "restart",
            Sign::Surge => "surge",
            Sign::SlowSpans => "slow spans",
            Sign::LostCalls => "lost calls",
        }
    }
}

/// One sign with its weight: how many nats it speaks for a fault in the component.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// What was seen.
    pub sign: Sign,
    /// Log-likelihood ratio of "fault here" against "fault elsewhere"; negative speaks against.
    pub llr: f64,
    /// The figure while healthy.
    pub healthy: f64,
    /// The same figure while degraded.
    pub degraded: f64,
    /// What the figure counts, in words.
    pub note: String,
}

/// One component and what is known of it.
#[derive(Clone, Debug)]
pub struct Component {
    /// The name a person knows.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it is part of: an instance's service, an operation's service.
    pub parent: Option<Spot>,
    /// The machine it runs on.
    pub host: Option<Spot>,
    /// Samples by channel; a channel that is absent was not measured.
    pub series: BTreeMap<Channel, Series>,
    /// Signs found in traces, logs and events.
    pub votes: Vec<Vote>,
    /// Seconds from the first degraded bucket to its own first deviation, where known; negative is earlier.
    pub onset_seconds: Option<f64>,
}

/// How one component depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The first sends requests to the second and waits, or not, for the answer.
    Calls,
    /// The first runs on the second.
    RunsOn,
    /// The first is served by the second: a service by one of its instances.
    ServedBy,
    /// Both share something that can run out.
    Shares,
}

/// A dependency: trouble travels from `to` to `from`.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The dependent end: the caller.
    pub from: Spot,
    /// The depended-on end: the callee, the host.
    pub to: Spot,
    /// How they depend.
    pub relation: Relation,
    /// Share of the callee's requests that come from this caller, where it was counted.
    pub share: Option<f64>,
    /// Share of the calls the caller waits for, where known.
    pub sync: Option<f64>,
    /// Prior chance that trouble gets through (the ontology's `fault` of the relation).
    pub prior: f64,
    /// Longest usual delay of that, in seconds.
    pub delay_seconds: f64,
    /// Requests that went along here, per bucket, where counted.
    pub requests: Option<Series>,
    /// What the dependent end waits per request beyond the work of the other, where both sides were timed; the unit of
    /// [`Channel::Latency`].
    pub gap: Option<Series>,
}

/// Who suffers.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The component where the trouble is felt.
    pub component: Spot,
    /// What is felt; `None` when only "something is wrong" is known.
    pub aspect: Option<Aspect>,
}

/// The whole scene.
#[derive(Clone, Debug)]
pub struct Scene {
    /// All components.
    pub components: Vec<Component>,
    /// All dependencies between them.
    pub edges: Vec<Edge>,
    /// Who suffers.
    pub target: Target,
    /// Length of a bucket in seconds.
    pub bucket_seconds: f64,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

/// Chance that trouble of a callee reaches its caller, until history says better: the ontology's default for `calls`.
const CALLS_PRIOR: f64 = 0.7;
/// The longest usual delay of that, in seconds: the ontology's default for `calls`.
const CALLS_DELAY_SECONDS: f64 = 10.0;

impl Scene {
    /// A scene with its suffering component and nothing else yet.
    pub fn new(target: &str, kind: Kind, aspect: Option<Aspect>, bucket_seconds: f64) -> Self {
        let mut scene = Self {
            components: Vec::new(),
            edges: Vec::new(),
            target: Target { component: Spot(0), aspect },
            bucket_seconds,
            missing: Vec::new(),
        };
        scene.target.component = scene.add(target, kind);
        scene
    }

    /// Adds a component, or gives back the one of that name.
    pub fn add(&mut self, name: &str, kind: Kind) -> Spot {
        if let Some(found) = self.find(name) {
            return found;
        }
        self.components.push(Component {
            name: name.to_owned(),
            kind,
            parent: None,
            host: None,
            series: BTreeMap::new(),
            votes: Vec::new(),
            onset_seconds: None,
        });
        Spot(self.components.len() - 1)
    }

    /// The component of that name.
    pub fn find(&self, name: &str) -> Option<Spot> {
        self.components.iter().position(|c| c.name == name).map(Spot)
    }

    /// The component at a spot.
    pub fn component(&self, spot: Spot) -> &Component {
        &self.components[spot.0]
    }

    /// The component at a spot, to be filled.
    pub fn component_mut(&mut self, spot: Spot) -> &mut Component {
        &mut self.components[spot.0]
    }

    /// All spots in order.
    pub fn spots(&self) -> impl Iterator<Item = Spot> + use<> {
        (0..self.components.len()).map(Spot)
    }

    /// Says that `from` calls `to`; `share` is the part of `to`'s requests that come from `from`, where counted.
    pub fn calls(&mut self, from: Spot, to: Spot, share: Option<f64>) -> &mut Edge {
        self.depends(from, to, Relation::Calls, share, CALLS_PRIOR, CALLS_DELAY_SECONDS)
    }

    /// Says that `from` depends on `to` in some way, with the ontology's prior and delay of that way.
    pub fn depends(
        &mut self,
        from: Spot,
        to: Spot,
        relation: Relation,
        share: Option<f64>,
        prior: f64,
        delay_seconds: f64,
    ) -> &mut Edge {
        let known = self.edges.iter().position(|e| e.from == from && e.to == to && e.relation == relation);
        let at = known.unwrap_or_else(|| {
            let (sync, requests, gap) = (None, None, None);
            self.edges.push(Edge { from, to, relation, share, sync, prior, delay_seconds, requests, gap });
            self.edges.len() - 1
        });
        &mut self.edges[at]
    }

    /// Puts samples of a channel on a component.
    pub fn sample(&mut self, spot: Spot, channel: Channel, series: Series) {
        self.components[spot.0].series.insert(channel, series);
    }

    /// Puts a sign on a component.
    pub fn vote(&mut self, spot: Spot, vote: Vote) {
        self.components[spot.0].votes.push(vote);
    }
}
