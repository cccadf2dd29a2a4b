//! The way from one workload to another: names, addresses, selectors, ports, protocols, routes of gateways.

use std::collections::BTreeSet;

use super::cluster::{Cluster, Route, Service, ServicePort, Workload, selects};
use super::finding::{CONTRADICTION, Fault, Finding, HINT, STATED, SUSPECTED};
use super::{probes, words};

/// Everything between a caller and the process it wants.
pub(super) fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in &cluster.services {
        found.extend(selector(cluster, service));
        found.extend(ports(cluster, service));
    }
    for workload in &cluster.workloads {
        found.extend(addresses(cluster, workload));
        found.extend(names(cluster, workload));
    }
    for route in &cluster.routes {
        found.extend(misrouted(cluster, route));
    }
    found
}

/// A selector that accepts none of the pods of the workload that the service is meant for.
fn selector(cluster: &Cluster, service: &Service) -> Option<Finding> {
    if service.selector.is_empty()
        || cluster.pods.iter().any(|p| selects(&service.selector, &p.labels))
        || cluster.workloads.iter().any(|w| selects(&service.selector, &w.labels))
    {
        return None;
    }
    let meant = cluster.workload(&service.name).or_else(|| nearest(cluster, service))?;
    let asked: Vec<String> = service.selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let why = format!("service {} selects {}, which no pod has", service.name, asked.join(","));
    Some(Finding::workload(&meant.name, Fault::ServiceSelector, STATED, why))
}

/// The workload whose labels agree with most of a selector.
fn nearest<'a>(cluster: &'a Cluster, service: &Service) -> Option<&'a Workload> {
    let agreeing =
        |w: &Workload| service.selector.iter().filter(|(k, v)| w.labels.get(*k) == Some(v)).count();
    cluster.workloads.iter().filter(|w| agreeing(w) > 0).max_by_key(|w| agreeing(w))
}

/// Ports and protocols that the pods behind a service do not have.
fn ports(cluster: &Cluster, service: &Service) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(workload) = cluster.workloads.iter().find(|w| selects(&service.selector, &w.labels)) else {
        return found;
    };
    let (open, failed) = reached(cluster, &service.name);
    for ServicePort { port, target } in &service.ports {
        let ports: Vec<_> = workload.containers.iter().flat_map(|c| &c.ports).collect();
        if ports.is_empty() {
            continue;
        }
        let named = |p: &&&super::cluster::Port| p.name.as_deref() == Some(target.as_str());
        let number: Option<u16> = target.parse().ok();
        let listens = match number {
            Some(number) => workload.containers.iter().any(|c| probes::knows(c, number)),
            // whoever fills the picture may not see names of ports: a name that resolved shows in the endpoints
            None => ports.iter().any(|p| named(&p)) || service.endpoints.iter().any(|e| e.contains(':')),
        };
        if !listens {
            let weight = if open > 0 && failed == 0 {
                HINT
            } else if failed > 0 {
                STATED
            } else {
                CONTRADICTION
            };
            let why = format!(
                "service {} sends to port {target}, where no container of {} listens",
                service.name, workload.name
            );
            found.push(Finding::workload(&workload.name, Fault::ServicePort, weight, why));
        }
        let same: Vec<_> = ports.iter().filter(|p| Some(p.number) == number).collect();
        if !same.is_empty() && same.iter().all(|p| p.protocol != port.protocol) {
            let weight = if failed > 0 || open == 0 { STATED } else { CONTRADICTION };
            let why = format!("service {} speaks {}, its pods do not", service.name, port.protocol);
            found.push(Finding::workload(&workload.name, Fault::ServiceProtocol, weight, why));
        }
    }
    found.extend(asked_elsewhere(cluster, service, workload));
    found
}

/// Callers that were all told another port than the service has.
fn asked_elsewhere(cluster: &Cluster, service: &Service, workload: &Workload) -> Option<Finding> {
    let told: Vec<u16> = cluster
        .workloads
        .iter()
        .flat_map(|w| w.containers.iter().flat_map(|c| &c.env))
        .filter_map(|(name, value)| address(name, value))
        .filter_map(|(host, port)| (host == service.name).then_some(port).flatten())
        .collect();
    let has = |p: &u16| service.ports.iter().any(|s| s.port.number == *p);
    let [first, _, ..] = told.as_slice() else { return None };
    if told.iter().any(has) {
        return None;
    }
    let why = format!("all callers of service {} ask port {first}, which it does not have", service.name);
    Some(Finding::workload(&workload.name, Fault::ServicePort, CONTRADICTION, why))
}

/// How often connections to a service got through and did not.
fn reached(cluster: &Cluster, service: &str) -> (u32, u32) {
    let of = cluster.reached.iter().filter(|r| r.service == service);
    of.fold((0, 0), |(open, failed), r| (open + r.open, failed + r.failed))
}

/// The host and port that an environment variable names, when it names one: `host:port`, a URL, or a bare host in a variable
/// that is called so.
fn address(name: &str, value: &str) -> Option<(String, Option<u16>)> {
    let bare = value.split_once("://").map_or(value, |(_, rest)| rest);
    let bare = bare.split(['/', '?']).next()?;
    let bare = bare.rsplit_once('@').map_or(bare, |(_, host)| host);
    let (host, port) = match bare.split_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
        None => (bare, None),
    };
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let called_so =
        ["ADDR", "HOST", "ADDRESS", "HOSTNAME"].iter().any(|end| name.to_ascii_uppercase().ends_with(end));
    let host_like =
        !host.is_empty() && host.chars().all(label) && host.starts_with(|c: char| c.is_ascii_lowercase());
    (host_like && (port.is_some() || value.contains("://") || called_so)).then(|| (host.to_owned(), port))
}

/// Addresses that a workload was told and that lead nowhere.
fn addresses(cluster: &Cluster, workload: &Workload) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, value) in workload.containers.iter().flat_map(|c| &c.env) {
        let Some((host, port)) = address(name, value) else { continue };
        // the service itself, with or without the namespace; other dots lead out of the namespace
        let mut parts = host.split('.');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        if second.is_some_and(|ns| ns != cluster.namespace)
            || first == "localhost"
            || cluster.services.is_empty()
        {
            continue;
        }
        let heard = cluster.logs.iter().any(|l| l.workload == workload.name && l.text.contains(first));
        match cluster.service(first) {
            // a workload of that name without its service: the address is right, the service is missing
            None if cluster.workload(first).is_some() => {}
            None => {
                let near = cluster.services.iter().any(|s| first.contains(&s.name) || s.name.contains(first));
                // a default for something that is not in use leads nowhere either, and nobody complains
                let weight = match (heard, near) {
                    (true, _) => STATED,
                    (false, true) => CONTRADICTION,
                    (false, false) => HINT,
                };
                let why =
                    format!("{} was told {name}={value}, and there is no service {first}", workload.name);
                found.push(Finding::workload(&workload.name, Fault::Address, weight, why));
            }
            Some(service) => {
                let wrong = port.is_some_and(|p| !service.ports.iter().any(|s| s.port.number == p));
                if wrong && !service.ports.is_empty() {
                    let weight = if heard { CONTRADICTION + 1.0 } else { CONTRADICTION };
                    let why = format!(
                        "{} was told {name}={value}, a port that service {first} does not have",
                        workload.name
                    );
                    found.push(Finding::workload(&workload.name, Fault::Address, weight, why));
                }
            }
        }
    }
    found
}

/// A workload that is down because names do not resolve for it, while they do for others.
fn names(cluster: &Cluster, workload: &Workload) -> Option<Finding> {
    let unresolved = |l: &&super::cluster::Line| {
        words::says(&l.text, words::RESOLVER_SILENT) || words::says(&l.text, words::UNKNOWN_HOST)
    };
    let of = |name: &str| {
        cluster.logs.iter().filter(|l| l.workload == name).filter(unresolved).collect::<Vec<_>>()
    };
    let lines = of(&workload.name);
    let line = lines.first()?;
    // names that do not exist at all are an address's fault; start-up races pass once services are there
    if !workload.is_short() {
        return None;
    }
    let silent = lines.iter().find(|l| words::says(&l.text, words::RESOLVER_SILENT));
    let others = cluster.workloads.iter().filter(|w| w.name != workload.name && w.is_short());
    let alike =
        others.filter(|w| of(&w.name).iter().any(|l| words::says(&l.text, words::RESOLVER_SILENT))).count();
    let weight = match (silent, alike) {
        (Some(_), 0) => STATED - 1.0,
        (Some(_), _) => CONTRADICTION,
        (None, _) => SUSPECTED,
    };
    let text = silent.map_or(&line.text, |l| &l.text);
    Some(Finding::workload(&workload.name, Fault::NameResolution, weight, text.clone()))
}

/// Part of a service's name that a route must speak of, counted by how telling its words are, to be meant for that service. A
/// prefix that most services share weighs little, so a name without it is still whole.
const WHOLE: f64 = 0.8;
/// Part of the name of the service that a route sends to from which on the two agree.
const HALF: f64 = 0.5;

/// A route whose name and path speak of one service and that sends to another.
///
/// Words that many services share tell nothing, so a word counts by how few services have it (inverse document frequency).
fn misrouted(cluster: &Cluster, route: &Route) -> Option<Finding> {
    let about: BTreeSet<String> =
        route.paths.iter().map(String::as_str).chain([route.name.as_str()]).flat_map(parts).collect();
    // paths often join the words of a name: `/orderhistory/` for `order-history`
    let joined: String = route.paths.join(" ").to_ascii_lowercase().replace(['-', '_'], "");
    let likeness = |service: &str| -> f64 {
        let words: Vec<String> = parts(service).collect();
        let weigh = |word: &String| {
            let share = cluster.services.iter().filter(|s| parts(&s.name).any(|p| p == *word)).count();
            (cluster.services.len().max(1) as f64 / share.max(1) as f64).ln()
        };
        let all: f64 = words.iter().map(weigh).sum();
        let heard: f64 =
            words.iter().filter(|w| about.contains(*w) || joined.contains(w.as_str())).map(weigh).sum();
        if all > 0.0 { heard / all } else { 0.0 }
    };
    let own = likeness(&route.to);
    let best = cluster
        .services
        .iter()
        .map(|s| (likeness(&s.name), parts(&s.name).count(), s))
        .filter(|(like, _, _)| *like > own)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(b.2.name.cmp(&a.2.name)))?;
    // A name that is there but for a common prefix, against one that is mostly not there.
    if best.0 < WHOLE || own > HALF {
        return None;
    }
    let failing = cluster.failures.iter().any(|f| route.paths.iter().any(|p| takes(p, &f.path)));
    let weight = if failing { STATED } else { CONTRADICTION };
    let why = format!("route {} ({}) sends to {}", route.name, route.paths.join(", "), route.to);
    let meant = cluster.behind(best.2).map_or(best.2.name.as_str(), |w| w.name.as_str());
    Some(Finding::workload(meant, Fault::Misroute, weight, why))
}

/// Words of a name or path.
fn parts(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() > 1).map(str::to_ascii_lowercase)
}

/// Whether a path pattern (`/api/x/**`) takes a path.
fn takes(pattern: &str, path: &str) -> bool {
    let stem = pattern.trim_end_matches(['*', '/']);
    !stem.is_empty() && path.starts_with(stem)
}
