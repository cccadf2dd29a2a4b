//! A moment of a cluster as plain data: what was asked for, what came of it, and what Kubernetes said meanwhile.
//!
//! Nothing here is a wire form. Whoever fills a picture (a watcher of the API, a reader of a snapshot) leaves out what it
//! could not see: a list that is `None` was not looked at, an empty one was and holds nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Labels, or what a selector asks of them.
pub type Labels = BTreeMap<String, String>;

/// One namespace with the nodes under it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The namespace.
    pub namespace: String,
    /// What keeps pods: deployments, stateful sets.
    pub workloads: Vec<Workload>,
    /// The pods there are.
    pub pods: Vec<Pod>,
    /// The services.
    pub services: Vec<Service>,
    /// The machines.
    pub nodes: Vec<Node>,
    /// Limits on what the namespace may hold.
    pub quotas: Vec<Quota>,
    /// Claims on volumes.
    pub claims: Vec<Claim>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Names of the storage classes.
    pub storage_classes: Option<BTreeSet<String>>,
    /// Names of the service accounts.
    pub service_accounts: Option<BTreeSet<String>>,
    /// Routes by path that gateways of the namespace were configured with.
    pub routes: Vec<Route>,
    /// Who calls whom, by name of the workload; caller first.
    pub calls: Vec<(String, String)>,
    /// Lines of logs that speak of trouble.
    pub logs: Vec<Line>,
    /// Connections that were tried from inside the cluster.
    pub reached: Vec<Reached>,
    /// Processes of Kubernetes on the machines.
    pub components: Vec<Component>,
    /// What was measured of workloads and nodes, before and since the trouble.
    pub readings: Vec<Reading>,
    /// Requests of users that failed.
    pub failures: Vec<Failure>,
}

/// What keeps pods.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// How many pods were asked for.
    pub desired: u32,
    /// How many there are, whatever their state.
    pub current: u32,
    /// How many are ready.
    pub ready: u32,
    /// Labels of its pods.
    pub labels: Labels,
    /// The service account of its pods; none means the namespace's default.
    pub service_account: Option<String>,
    /// Its containers as asked for.
    pub containers: Vec<Container>,
    /// Claims that its pods mount.
    pub claims: Vec<String>,
    /// What was said of it and of its replica sets.
    pub events: Vec<Event>,
}

/// A pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The workload that keeps it, by name.
    pub workload: Option<String>,
    /// The machine it was put on.
    pub node: Option<String>,
    /// Its phase.
    pub phase: String,
    /// Whether it counts as ready.
    pub ready: bool,
    /// Whether a machine was found for it; nothing when it was not said.
    pub scheduled: Option<bool>,
    /// Its labels.
    pub labels: Labels,
    /// What it asks of a machine's labels.
    pub node_selector: Labels,
    /// Taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Claims that it mounts.
    pub claims: Vec<String>,
    /// Whether it mounts anything but what Kubernetes adds itself.
    pub mounts_volumes: bool,
    /// What was said of it.
    pub events: Vec<Event>,
}

/// A container, as asked for and as it is.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// Ports that it says it listens on.
    pub ports: Vec<Port>,
    /// Environment variables with their values, where they are known.
    pub env: Vec<(String, String)>,
    /// The probe that restarts it.
    pub liveness: Option<Probe>,
    /// The probe that takes it out of services.
    pub readiness: Option<Probe>,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it waits, in Kubernetes' word.
    pub waiting: Option<String>,
    /// How it ended last, in Kubernetes' word and as exit code.
    pub ended: Option<(String, i32)>,
    /// How often it was started again.
    pub restarts: u32,
    /// Processor asked for, in cores.
    pub cpu_request: Option<f64>,
    /// Memory asked for, in bytes.
    pub memory_request: Option<f64>,
}

/// A port of a container or a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
    /// TCP, UDP or SCTP.
    pub protocol: String,
}

/// How a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// By HTTP GET.
    Http,
    /// By opening a connection.
    Tcp,
    /// By gRPC health check.
    Grpc,
    /// By running a command.
    Exec,
}

/// A probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// How it asks.
    pub ask: Ask,
    /// The port it asks, where it names one by number.
    pub port: Option<u16>,
    /// Seconds before the first.
    pub delay_seconds: u32,
    /// Seconds it waits for an answer.
    pub timeout_seconds: u32,
    /// Seconds from one to the next.
    pub period_seconds: u32,
    /// Failures in a row that count.
    pub failures: u32,
}

/// A toleration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toleration {
    /// The taint's key; none tolerates every key.
    pub key: Option<String>,
    /// The taint's value; none tolerates every value.
    pub value: Option<String>,
    /// The taint's effect; none tolerates every effect.
    pub effect: Option<String>,
}

/// A taint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// NoSchedule, PreferNoSchedule or NoExecute.
    pub effect: String,
}

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it takes new pods.
    pub cordoned: bool,
    /// Whether the control plane runs on it: such machines are closed to pods by design.
    pub control_plane: bool,
    /// Its conditions: type, status (`True`, `False`, `Unknown`), message.
    pub conditions: Vec<(String, String, String)>,
}

/// A service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Which pods it stands for; empty when somebody else names them.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Addresses behind it.
    pub endpoints: Vec<String>,
}

/// A port of a service.
#[derive(Clone, Debug, Default)]
pub struct ServicePort {
    /// The port clients use.
    pub port: Port,
    /// The port of the pods: a number or the name of one.
    pub target: String,
}

/// A limit on what a namespace may hold.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// By resource (`requests.cpu`, `pods`, …): used and most allowed, in cores, bytes or pieces.
    pub resources: Vec<(String, f64, f64)>,
}

/// A claim on a volume.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Whether it has its volume.
    pub bound: bool,
    /// The volume that it names or has.
    pub volume: Option<String>,
    /// The storage class that it asks for; none asks for volumes without one.
    pub class: Option<String>,
    /// Ways of access that it asks for, where known.
    pub modes: Vec<String>,
    /// Bytes that it asks for, where known.
    pub bytes: Option<f64>,
    /// What was said of it.
    pub events: Vec<Event>,
}

/// A volume.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its storage class.
    pub class: Option<String>,
    /// The claim that has it, as `namespace/name`.
    pub claim: Option<String>,
    /// Ways of access that it offers.
    pub modes: Vec<String>,
    /// Its size in bytes.
    pub bytes: Option<f64>,
    /// Whether it can be claimed.
    pub available: bool,
}

/// A route of a gateway: requests with a path like this go to that service.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// What the route is called.
    pub name: String,
    /// The paths it takes.
    pub paths: Vec<String>,
    /// The service that it sends to.
    pub to: String,
}

/// What Kubernetes said once or several times.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason, one word.
    pub reason: String,
    /// Seconds since it was said last, where known.
    pub age_seconds: Option<f64>,
    /// How often it was said.
    pub count: u32,
    /// The message.
    pub message: String,
}

/// A line of a log, with how often such lines came.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The workload that wrote it.
    pub workload: String,
    /// The line.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// Whether a service answered when a connection was tried.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The service.
    pub service: String,
    /// Attempts that got through.
    pub open: u32,
    /// Attempts that did not.
    pub failed: u32,
}

/// A process of Kubernetes on a machine.
#[derive(Clone, Debug)]
pub struct Component {
    /// The machine.
    pub node: String,
    /// Which one: `kubelet`, `containerd`, `kube-proxy`, `kube-scheduler`, …
    pub name: String,
    /// Whether it runs.
    pub running: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Milliseconds a request takes at the median.
    MedianLatency,
    /// Milliseconds a request takes at a high quantile.
    TailLatency,
    /// Requests per second.
    Requests,
    /// Share of requests that succeed, 0..1.
    Success,
    /// Cores used.
    Cpu,
    /// Seconds per second for which the processor limit held it back.
    Throttled,
    /// Packets received per second.
    Received,
    /// Packets sent per second.
    Sent,
    /// TCP segments sent again per second.
    Retransmitted,
}

/// A measure of a workload or node, before the trouble and since.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The workload or node.
    pub of: String,
    /// What.
    pub measure: Measure,
    /// Samples of normal operation.
    pub before: Vec<f64>,
    /// Samples since.
    pub since: Vec<f64>,
}

/// Requests of users that failed.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// The path they asked for.
    pub path: String,
    /// The status they got.
    pub status: Option<u16>,
    /// How many.
    pub count: u64,
}

impl Cluster {
    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.name == name)
    }

    /// Pods of a workload.
    pub fn pods_of<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Pod> + 'a {
        self.pods.iter().filter(move |p| p.workload.as_deref() == Some(workload))
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.name == name)
    }

    /// The workload that a service is meant for: the one whose pods it selects, or else the one of its name.
    pub fn behind(&self, service: &Service) -> Option<&Workload> {
        let selected = || self.workloads.iter().find(|w| selects(&service.selector, &w.labels));
        self.workload(&service.name).or_else(selected)
    }
}

impl Workload {
    /// Whether pods that were asked for are missing or not ready.
    pub fn is_short(&self) -> bool {
        self.ready < self.desired
    }
}

impl Pod {
    /// The name under which its faults are told: its workload's, or else its own.
    pub fn owner(&self) -> &str {
        self.workload.as_deref().unwrap_or(&self.name)
    }
}

/// Whether a selector accepts labels; an empty one accepts nothing, as a service without selector has no pods.
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

impl Toleration {
    /// Whether it lets a pod stand a taint.
    pub fn covers(&self, taint: &Taint) -> bool {
        let agrees = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|a| a == is);
        agrees(&self.key, &taint.key)
            && agrees(&self.value, &taint.value)
            && agrees(&self.effect, &taint.effect)
    }
}
