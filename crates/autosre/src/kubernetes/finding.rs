//! What a check found: an object, the kind of its fault, how much the evidence weighs, and the line that shows it.

/// What a fault is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A workload, with the service in front of it.
    Workload(String),
    /// A machine.
    Node(String),
    /// The namespace itself.
    Namespace(String),
}

/// A resource that can be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Processor.
    Cpu,
    /// Memory.
    Memory,
    /// Pods.
    Pods,
    /// Services.
    Services,
    /// Volumes.
    Storage,
}

/// Which of two probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The one that restarts a container.
    Liveness,
    /// The one that takes a pod out of services.
    Readiness,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A quota of the namespace is used up.
    QuotaExceeded(Resource),
    /// The service account of the pods does not exist.
    ServiceAccountMissing,
    /// No machine has as much as the pod asks for.
    TooLarge(Resource),
    /// No machine has the labels that the pod's node selector asks for.
    NodeSelector,
    /// No machine satisfies the pod's node affinity.
    NodeAffinity,
    /// The pod's anti-affinity leaves no machine.
    AntiAffinity,
    /// The machines meant for the pod have a taint that it does not tolerate.
    Taint,
    /// The machines meant for the pod are closed to new pods.
    Cordoned,
    /// The claim asks for a storage class that no volume has.
    ClaimClass,
    /// The claim asks for a way of access that no volume offers.
    ClaimAccess,
    /// The claim asks for more than any volume has.
    ClaimSize,
    /// The claim asks for labels that no volume has.
    ClaimSelector,
    /// The volume belongs to another claim.
    VolumeTaken,
    /// The image does not exist under that name.
    ImageReference,
    /// The name of the registry does not resolve.
    RegistryUnresolved,
    /// The registry asks for credentials that the pod does not have.
    PullSecret,
    /// A secret or configuration that the pod needs does not exist.
    ConfigMissing,
    /// The process may not use a volume it has mounted.
    VolumePermission,
    /// A container used more memory than it may.
    OutOfMemory,
    /// A probe asks a port where nobody listens.
    ProbePort(Which),
    /// A probe speaks another protocol than the container.
    ProbeProtocol(Which),
    /// A probe is less patient than the container needs.
    ProbeTiming(Which),
    /// The process ends by itself, for a reason that is not known.
    Crashes,
    /// No pods were asked for.
    ScaledToZero,
    /// A service selects pods that do not exist, although its workload has some.
    ServiceSelector,
    /// A service sends to a port that its pods do not listen on.
    ServicePort,
    /// A service speaks another transport protocol than its pods.
    ServiceProtocol,
    /// A workload was told an address that does not exist.
    Address,
    /// A workload cannot resolve names that others can.
    NameResolution,
    /// A gateway sends requests for one service to another.
    Misroute,
    /// Two containers of a pod want the same port.
    PortConflict,
    /// A database refuses the credentials.
    Credentials,
    /// A database has no connections left.
    Connections,
    /// A database takes no writes.
    ReadOnly,
    /// A workload uses up its processor.
    CpuOverload,
    /// The network of a workload is slow.
    NetworkDelay,
    /// The network of a machine is slow.
    NodeNetworkDelay,
    /// The network of a machine loses packets.
    NodeNetworkLoss,
    /// A machine's container runtime is down.
    RuntimeDown,
    /// A machine's kubelet is down.
    KubeletDown,
    /// A machine's proxy for services is down.
    ProxyDown,
    /// The scheduler is down.
    SchedulerDown,
}

/// Nats of what Kubernetes itself states as the cause, its effect being there too. The four weights are steps of about
/// twenty to one in odds: an order to rank by, not measured likelihoods.
pub const STATED: f64 = 9.0;
/// Nats of a contradiction between objects whose effect is seen as well.
pub const CONTRADICTION: f64 = 6.0;
/// Nats of what would explain the symptoms, as other faults would.
pub const SUSPECTED: f64 = 3.0;
/// Nats of what is worth a mention.
pub const HINT: f64 = 0.5;

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What the fault is in.
    pub object: Object,
    /// The kind of fault.
    pub fault: Fault,
    /// Weight in nats against "nothing is wrong there".
    pub weight: f64,
    /// The line that shows it.
    pub evidence: String,
    /// What would explain it when something is wrong there.
    pub explained_by: Vec<Object>,
}

impl Finding {
    /// A finding on a workload.
    pub fn workload(name: &str, fault: Fault, weight: f64, evidence: impl Into<String>) -> Self {
        Self::on(Object::Workload(name.to_owned()), fault, weight, evidence)
    }

    /// A finding on any object.
    pub fn on(object: Object, fault: Fault, weight: f64, evidence: impl Into<String>) -> Self {
        Self { object, fault, weight, evidence: evidence.into(), explained_by: Vec::new() }
    }

    /// With what would explain it.
    #[must_use]
    pub fn unless(mut self, causes: impl IntoIterator<Item = Object>) -> Self {
        self.explained_by.extend(causes);
        self
    }
}
