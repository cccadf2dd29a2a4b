//! What `kubectl` prints, as the shapes of [`autosre::kubernetes`].
//!
//! Only sets that were recorded as text need this: a watcher gets objects.

use std::collections::{BTreeMap, BTreeSet};

use autosre::kubernetes::cluster::{
    Ask, Claim, Cluster, Container, Event, Labels, Node, Pod, Port, Probe, Quota, Route, Service,
    ServicePort, Taint, Toleration, Volume, Workload,
};

mod described;

use described::Described;

/// Fills a picture from commands and what they printed. Commands that say nothing the picture asks for are passed over.
pub(crate) fn picture(printed: &BTreeMap<String, String>, namespace: &str) -> Cluster {
    let mut cluster = Cluster { namespace: namespace.to_owned(), ..Cluster::default() };
    let mut sets: Vec<(String, Option<String>, Vec<Event>)> = Vec::new();
    let mut seen: BTreeSet<(&str, String)> = BTreeSet::new();
    for (command, text) in printed {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["kubectl", "describe", what, name, rest @ ..] => {
                let what = kind(what);
                let own = matches!(rest, [] | ["-n", _]) && rest.get(1).is_none_or(|ns| *ns == namespace);
                if !own || !seen.insert((what, (*name).to_owned())) {
                    continue;
                }
                let d = Described::parse(text);
                // an error in place of an object describes nothing
                if d.text("Name").is_empty() {
                    continue;
                }
                match what {
                    "deployment" | "statefulset" => cluster.workloads.push(workload(&d)),
                    "replicaset" => sets.push((d.text("Name"), owner(&d), events(&d))),
                    "pod" => cluster.pods.push(pod(&d)),
                    "service" => cluster.services.push(service(&d)),
                    "node" => cluster.nodes.push(node(&d)),
                    "resourcequota" => cluster.quotas.push(quota(&d)),
                    "persistentvolumeclaim" => cluster.claims.push(claim(&d)),
                    "persistentvolume" => cluster.volumes.push(volume(&d)),
                    "configmap" => cluster.routes.extend(routes(text)),
                    _ => {}
                }
            }
            ["kubectl", "get", what, rest @ ..] if matches!(rest, [] | ["-n", _]) => {
                if rest.get(1).is_some_and(|ns| *ns != namespace) {
                    continue;
                }
                let names = || {
                    text.lines()
                        .skip(1)
                        .filter_map(|l| l.split_whitespace().next())
                        .map(str::to_owned)
                        .collect()
                };
                match kind(what) {
                    "serviceaccount" => cluster.service_accounts = Some(names()),
                    "storageclass" => cluster.storage_classes = Some(names()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    join(&mut cluster, sets);
    cluster
}

/// Replica sets stand between pods and the deployments that keep them.
fn join(cluster: &mut Cluster, sets: Vec<(String, Option<String>, Vec<Event>)>) {
    let owners: BTreeMap<&String, &Option<String>> =
        sets.iter().map(|(name, owner, _)| (name, owner)).collect();
    for pod in &mut cluster.pods {
        if let Some(owner) = pod.workload.as_ref().and_then(|w| owners.get(w)) {
            pod.workload.clone_from(owner);
        }
    }
    for (_, owner, events) in &sets {
        if let Some(workload) = cluster.workloads.iter_mut().find(|w| Some(&w.name) == owner.as_ref()) {
            workload.events.extend(events.iter().cloned());
        }
    }
    for workload in &mut cluster.workloads {
        let ready =
            cluster.pods.iter().filter(|p| p.ready && p.workload.as_ref() == Some(&workload.name)).count();
        workload.ready = u32::try_from(ready).unwrap_or(u32::MAX);
    }
}

/// The kind of a resource, without its plural.
fn kind(what: &str) -> &str {
    match what {
        "networkpolicies" => "networkpolicy",
        "storageclasses" => "storageclass",
        "endpoints" | "events" => what,
        _ => what.strip_suffix('s').unwrap_or(what),
    }
}

/// The name of the object in charge: `ReplicaSet/name`.
fn owner(d: &Described) -> Option<String> {
    d.get("Controlled By")?.value.split_once('/').map(|(_, name)| name.to_owned())
}

fn workload(d: &Described) -> Workload {
    // `1 desired | 1 updated | 1 total | 0 available | 1 unavailable`
    let replicas = d.text("Replicas");
    let count = |what: &str| {
        let part = replicas.split('|').find(|p| p.trim().ends_with(what));
        part.and_then(|p| p.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let template = d.get("Pod Template").cloned().unwrap_or_default();
    Workload {
        name: d.text("Name"),
        desired: count("desired"),
        current: count(" total"),
        ready: 0,
        labels: template.get("Labels").map(labels).unwrap_or_default(),
        service_account: template.get("Service Account").map(|s| s.value.clone()),
        containers: containers(&template),
        claims: claims(&template),
        events: events(d),
    }
}

fn pod(d: &Described) -> Pod {
    let conditions: Vec<(String, String)> =
        d.get("Conditions").into_iter().flat_map(|c| &c.below).filter_map(|row| pair(&row.line)).collect();
    let condition =
        |name: &str| conditions.iter().find(|(kind, _)| kind == name).map(|(_, status)| status == "True");
    let node = d.text("Node");
    let volumes = d.get("Volumes").into_iter().flat_map(|v| &v.below);
    Pod {
        name: d.text("Name"),
        workload: owner(d),
        node: (!is_none(&node)).then(|| node.split('/').next().unwrap_or_default().to_owned()),
        phase: d.text("Status"),
        ready: condition("Ready") == Some(true),
        scheduled: condition("PodScheduled"),
        labels: d.get("Labels").map(labels).unwrap_or_default(),
        node_selector: d.get("Node-Selectors").map(labels).unwrap_or_default(),
        tolerations: d
            .get("Tolerations")
            .map(|t| lines(t).iter().map(|l| toleration(l)).collect())
            .unwrap_or_default(),
        containers: containers(d),
        claims: claims(d),
        mounts_volumes: volumes.filter(|v| !v.text("Type").starts_with("Projected")).count() > 0,
        events: events(d),
    }
}

fn claims(d: &Described) -> Vec<String> {
    let volumes = d.get("Volumes").into_iter().flat_map(|v| &v.below);
    volumes.filter_map(|v| v.get("ClaimName")).map(|c| c.value.clone()).collect()
}

fn containers(d: &Described) -> Vec<Container> {
    let all = d.get("Containers").into_iter().flat_map(|c| &c.below).filter(|c| c.get("Image").is_some());
    all.map(container).collect()
}

fn container(d: &Described) -> Container {
    let state = d.get("State");
    let last = [state, d.get("Last State")].into_iter().flatten().find(|s| s.value == "Terminated");
    let asked = |what: &str| d.get("Requests").and_then(|r| r.get(what)).and_then(|q| quantity(&q.value));
    Container {
        name: d.key.clone(),
        image: d.text("Image"),
        ports: ["Port", "Ports"]
            .iter()
            .filter_map(|k| d.get(k))
            .flat_map(|p| p.value.split(','))
            .filter_map(port)
            .collect(),
        env: d
            .get("Environment")
            .into_iter()
            .flat_map(|e| &e.below)
            .filter(|e| !e.key.is_empty() && !e.value.starts_with('<') && !e.value.starts_with('('))
            .map(|e| (e.key.clone(), e.value.clone()))
            .collect(),
        liveness: d.get("Liveness").and_then(|p| probe(&p.value)),
        readiness: d.get("Readiness").and_then(|p| probe(&p.value)),
        ready: d.text("Ready") == "True",
        waiting: state
            .filter(|s| s.value == "Waiting")
            .and_then(|s| s.get("Reason"))
            .map(|r| r.value.clone()),
        ended: last.map(|s| (s.text("Reason"), s.text("Exit Code").parse().unwrap_or(-1))),
        restarts: d.text("Restart Count").parse().unwrap_or(0),
        cpu_request: asked("cpu"),
        memory_request: asked("memory"),
    }
}

/// `8080/TCP`, `http 8080/TCP`.
fn port(text: &str) -> Option<Port> {
    let mut words = text.split_whitespace().rev();
    let (number, protocol) = words.next()?.split_once('/')?;
    let name = words.next().filter(|n| !is_none(n)).map(str::to_owned);
    Some(Port { name, number: number.parse().ok()?, protocol: protocol.to_owned() })
}

/// `grpc <pod>:5050  delay=5s timeout=1s period=10s #success=1 #failure=3`.
fn probe(text: &str) -> Option<Probe> {
    let (what, rest) = text.split_once(' ')?;
    let ask = match what {
        "http-get" => Ask::Http,
        "tcp-socket" => Ask::Tcp,
        "grpc" => Ask::Grpc,
        "exec" => Ask::Exec,
        _ => return None,
    };
    let number = |key: &str| {
        let word = rest.split_whitespace().find_map(|w| w.strip_prefix(key));
        word.and_then(|w| w.trim_end_matches('s').parse().ok()).unwrap_or(0)
    };
    // `http://:8080/path`, `<pod>:5050`, `:6379`
    let address = rest.split_whitespace().next().unwrap_or_default();
    let address = address.split_once("://").map_or(address, |(_, a)| a);
    let port = address.split('/').next().and_then(|a| a.rsplit_once(':')).and_then(|(_, p)| p.parse().ok());
    Some(Probe {
        ask,
        port,
        delay_seconds: number("delay="),
        timeout_seconds: number("timeout="),
        period_seconds: number("period="),
        failures: number("#failure="),
    })
}

/// `key=value:Effect op=Exists for 300s`.
fn toleration(text: &str) -> Toleration {
    let first = text.split_whitespace().next().unwrap_or_default();
    let (key, effect) = match first.rsplit_once(':') {
        Some((key, effect)) => (key, Some(effect)),
        None => (first, None),
    };
    let (key, value) = match key.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (key, None),
    };
    let some = |s: &str| (!s.is_empty() && !s.starts_with("op")).then(|| s.to_owned());
    Toleration { key: some(key), value: value.and_then(some), effect: effect.and_then(some) }
}

fn service(d: &Described) -> Service {
    let mut ports = Vec::new();
    for (at, line) in d.below.iter().enumerate().filter(|(_, l)| l.key == "Port") {
        let target = d
            .below
            .iter()
            .skip(at)
            .find(|l| l.key == "TargetPort")
            .map(|t| t.value.clone())
            .unwrap_or_default();
        if let Some(port) = port(&line.value) {
            ports.push(ServicePort { port, target: target.split('/').next().unwrap_or_default().to_owned() });
        }
    }
    let behind = d.below.iter().filter(|l| l.key == "Endpoints").flat_map(|l| l.value.split(','));
    Service {
        name: d.text("Name"),
        selector: d.get("Selector").map(labels).unwrap_or_default(),
        ports,
        endpoints: behind
            .map(str::trim)
            .filter(|e| !e.is_empty() && !is_none(e))
            .map(str::to_owned)
            .collect(),
    }
}

fn node(d: &Described) -> Node {
    let taints = d.get("Taints").map(lines).unwrap_or_default();
    let taints = taints.iter().filter_map(|t| {
        let (key, effect) = t.rsplit_once(':')?;
        let (key, value) = key.split_once('=').unwrap_or((key, ""));
        Some(Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() })
    });
    // type, status, heartbeat, transition, reason, message, under a head that says where each begins
    let rows = d.get("Conditions").into_iter().flat_map(|c| &c.below);
    let conditions = rows.filter_map(|row| {
        let columns = columns(&row.line);
        match columns.as_slice() {
            [kind, status, .., message] if ["True", "False", "Unknown"].contains(status) => {
                Some(((*kind).to_owned(), (*status).to_owned(), (*message).to_owned()))
            }
            _ => None,
        }
    });
    let roles = d.text("Roles");
    Node {
        name: d.text("Name"),
        labels: d.get("Labels").map(labels).unwrap_or_default(),
        taints: taints.collect(),
        cordoned: d.text("Unschedulable") == "true",
        control_plane: roles.split(',').any(|r| r == "master" || r == "control-plane"),
        conditions: conditions.collect(),
    }
}

fn quota(d: &Described) -> Quota {
    let rows = d.below.iter().filter_map(|row| {
        let words: Vec<&str> = row.line.split_whitespace().collect();
        match words.as_slice() {
            [resource, used, hard] => Some(((*resource).to_owned(), quantity(used)?, quantity(hard)?)),
            _ => None,
        }
    });
    Quota { name: d.text("Name"), resources: rows.collect() }
}

fn claim(d: &Described) -> Claim {
    Claim {
        name: d.text("Name"),
        bound: d.text("Status") == "Bound",
        volume: some(d.text("Volume")),
        class: some(d.text("StorageClass")),
        modes: modes(d),
        bytes: quantity(&d.text("Capacity")),
        events: events(d),
    }
}

fn volume(d: &Described) -> Volume {
    Volume {
        name: d.text("Name"),
        labels: d.get("Labels").map(labels).unwrap_or_default(),
        class: some(d.text("StorageClass")),
        claim: some(d.text("Claim")),
        modes: modes(d),
        bytes: quantity(&d.text("Capacity")),
        available: d.text("Status") == "Available",
    }
}

fn modes(d: &Described) -> Vec<String> {
    d.text("Access Modes").split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect()
}

/// Rows of the table under `Events`.
fn events(d: &Described) -> Vec<Event> {
    let rows = d.get("Events").into_iter().flat_map(|e| &e.below);
    rows.filter_map(|row| {
        let columns = columns(&row.line);
        let [kind, reason, age, _from, message @ ..] = columns.as_slice() else { return None };
        if *kind != "Warning" && *kind != "Normal" {
            return None;
        }
        // `21s (x15 over 104s)`
        let (last, more) = age.split_once(' ').unwrap_or((age, ""));
        let count = more.trim_start_matches("(x").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(1);
        Some(Event {
            warning: *kind == "Warning",
            reason: (*reason).to_owned(),
            age_seconds: seconds(last),
            count,
            message: message.join("  "),
        })
    })
    .collect()
}

/// `4m58s`, `3d2h`.
fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1.0,
            'm' => 60.0,
            'h' => 3_600.0,
            'd' => 86_400.0,
            _ => return None,
        };
        total += digits.parse::<f64>().ok()? * unit;
        digits.clear();
    }
    Some(total)
}

/// A Kubernetes quantity: `100m`, `64Mi`, `10`.
fn quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let times = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * times)
}

/// The routes of a gateway's configuration in a config map: a list of `id`, `uri` and path predicates, as Spring Cloud Gateway
/// reads it.
fn routes(text: &str) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(id) = line.strip_prefix("- id:") {
            routes.push(Route { name: id.trim().to_owned(), ..Route::default() });
        } else if let Some(route) = routes.last_mut() {
            if let Some(uri) = line.strip_prefix("uri:") {
                let host = uri.trim().split_once("://").map_or(uri.trim(), |(_, host)| host);
                // `${NAME:default}` is the default unless somebody sets the name
                let host = host
                    .strip_prefix("${")
                    .and_then(|h| h.split(['}']).next()?.split_once(':'))
                    .map_or(host, |(_, d)| d);
                route.to = host.split([':', '/']).next().unwrap_or_default().to_owned();
            } else if let Some(paths) = line.strip_prefix("- Path=") {
                route.paths.extend(paths.split(',').map(|p| p.trim().to_owned()));
            }
        }
    }
    routes.retain(|r| !r.to.is_empty() && !r.paths.is_empty());
    routes
}

/// Columns that two or more spaces part.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()
}

/// First two words of a row.
fn pair(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

/// A value and the lines below it.
fn lines(d: &Described) -> Vec<&str> {
    let first = (!d.value.is_empty()).then_some(d.value.as_str());
    first.into_iter().chain(d.below.iter().map(|b| b.line.as_str())).filter(|l| !is_none(l)).collect()
}

/// `a=b,c=d`, or one a line.
fn labels(d: &Described) -> Labels {
    let pairs = lines(d).into_iter().flat_map(|l| l.split(','));
    pairs.filter_map(|p| p.trim().split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn some(text: String) -> Option<String> {
    (!is_none(&text)).then_some(text)
}

fn is_none(text: &str) -> bool {
    matches!(text, "" | "<none>" | "<unset>" | "<nil>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(all: &[(&str, &str)]) -> Cluster {
        picture(&all.iter().map(|(c, t)| ((*c).to_owned(), (*t).to_owned())).collect(), "shop")
    }

    #[test]
    fn a_pod_is_kept_by_the_deployment_of_its_replica_set() {
        let cluster = printed(&[
            (
                "kubectl describe deployments cart -n shop",
                "Name:  cart\nReplicas:  2 desired | 1 updated | 1 total | 0 available\nPod Template:\n  Labels:  app=cart\n           tier=back\n  Containers:\n   server:\n    Image:  cart:1\n    Port:   7070/TCP\n    Environment:\n      STORE:  redis:6379\n",
            ),
            (
                "kubectl describe replicasets cart-1 -n shop",
                "Name:  cart-1\nControlled By:  Deployment/cart\n",
            ),
            (
                "kubectl describe pods cart-1-x -n shop",
                "Name:  cart-1-x\nNode:  one/10.0.0.1\nStatus:  Running\nControlled By:  ReplicaSet/cart-1\nContainers:\n  server:\n    Image:  cart:1\n    State:       Waiting\n      Reason:    CrashLoopBackOff\n    Last State:  Terminated\n      Reason:    Error\n      Exit Code: 1\n    Liveness:    http-get http://:8080/ok delay=5s timeout=1s period=10s #success=1 #failure=3\nConditions:\n  Type   Status\n  Ready  False\nEvents:\n  Type     Reason     Age                From     Message\n  Warning  Unhealthy  1m5s (x9 over 2m)  kubelet  Liveness probe failed: no\n",
            ),
        ]);
        let workload = cluster.workload("cart").unwrap();
        assert_eq!((workload.desired, workload.current), (2, 1));
        assert_eq!(workload.labels.len(), 2);
        assert_eq!(workload.containers[0].env, [("STORE".to_owned(), "redis:6379".to_owned())]);
        let pod = cluster.pods_of("cart").next().unwrap();
        assert_eq!(pod.node.as_deref(), Some("one"));
        let container = &pod.containers[0];
        assert_eq!(container.ended, Some(("Error".to_owned(), 1)));
        assert_eq!(container.liveness.as_ref().map(|p| (p.ask, p.port)), Some((Ask::Http, Some(8080))));
        let event = &pod.events[0];
        assert_eq!((event.count, event.age_seconds), (9, Some(65.0)));
        assert_eq!(event.message, "Liveness probe failed: no");
    }

    #[test]
    fn an_error_in_place_of_an_object_is_no_object() {
        let cluster =
            printed(&[("kubectl describe services web -n shop", "Error from server (NotFound): no\n")]);
        assert!(cluster.services.is_empty());
    }

    #[test]
    fn a_gateway_route_sends_to_the_default_of_its_variable() {
        let routes = routes(
            "  - id: cart\n    uri: lb://${CART_HOST:cart-service}\n    predicates:\n      - Path=/api/cart/**\n",
        );
        assert_eq!(routes.len(), 1);
        assert_eq!(routes[0].to, "cart-service");
        assert_eq!(routes[0].paths, ["/api/cart/**"]);
    }

    #[test]
    fn quantities_have_units() {
        assert_eq!(quantity("250m"), Some(0.25));
        assert_eq!(quantity("2Ki"), Some(2048.0));
        assert_eq!(quantity("many"), None);
    }
}
