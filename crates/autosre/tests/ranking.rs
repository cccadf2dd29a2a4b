//! Small scenes in text, and the answer they must lead to.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read its own scene has to stop; the lint only knows functions marked #[test]"
)]

use autosre::rank::{GraphRanker, Ranker, Ranking};
use autosre::scene::{Aspect, Channel, Kind, Relation, Scene, Series, Sign, Vote};

/// Healthy buckets of a text scene.
const HEALTHY: usize = 60;

/// Reads a scene. First line: who suffers and from what. Then
/// `a calls b`, `a runs on b`, or `a: channel before -> after, …`, or `a sign silent callee 4.0`.
/// Healthy buckets wobble by two percent around `before`, each component in its own rhythm.
fn scene(text: &str) -> Scene {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first: Vec<&str> = lines.next().expect("a target").split_whitespace().collect();
    let aspect = match first[2] {
        "latency" => Some(Aspect::Latency),
        "errors" => Some(Aspect::Errors),
        _ => None,
    };
    let mut scene = Scene::new(first[0], Kind::Service, aspect, 60.0);
    for (n, line) in lines.enumerate() {
        if let Some((a, b)) = line.split_once(" calls ") {
            let (a, b) = (scene.add(a, Kind::Service), scene.add(b, Kind::Service));
            scene.calls(a, b, None);
        } else if let Some((a, b)) = line.split_once(" runs on ") {
            let (a, b) = (scene.add(a, Kind::Service), scene.add(b, Kind::Host));
            scene.depends(a, b, Relation::RunsOn, None, 0.6, 60.0);
        } else if let Some((a, llr)) = line.split_once(" sign silent callee ") {
            let a = scene.add(a, Kind::Service);
            let llr = llr.parse().expect("a number");
            scene.vote(
                a,
                Vote { sign: Sign::SilentCallee, llr, healthy: 1.0, degraded: 0.0, note: String::new() },
            );
        } else if let Some((a, channels)) = line.split_once(": ") {
            let spot = scene.add(a, Kind::Service);
            for (m, part) in channels.split(", ").enumerate() {
                let (name, change) = part.split_once(' ').expect("a channel and a change");
                let (before, after) = change.split_once(" -> ").expect("before -> after");
                let (before, after): (f64, f64) =
                    (before.parse().expect("number"), after.parse().expect("number"));
                let channel = match name {
                    "requests" => Channel::Requests,
                    "latency" => Channel::Latency,
                    "errors" => Channel::ErrorRatio,
                    "cpu" => Channel::Cpu,
                    other => panic!("no channel {other}"),
                };
                let wobble = |i: usize| before * (1.0 + 0.02 * ((i * (7 + n + 3 * m)) as f64).sin());
                let series = Series {
                    healthy: (0..HEALTHY).map(wobble).collect(),
                    lead: vec![before; 2],
                    degraded: vec![after; 3],
                };
                scene.sample(spot, channel, series);
            }
        } else {
            panic!("not understood: {line}");
        }
    }
    scene
}

/// Ranks a text scene and compares `cause, path` of the first candidate, or "nothing wrong", or "unknown".
fn check(text: &str, expected: &str) -> Ranking {
    let scene = scene(text);
    let ranking = GraphRanker.rank(&scene);
    let name = |spot| scene.component(spot).name.as_str();
    let answer = match ranking.candidates.first() {
        None if !ranking.gate.lets_through() => "nothing wrong".to_owned(),
        None => "unknown".to_owned(),
        Some(first) => {
            let mut path = vec![name(scene.target.component)];
            path.extend(first.path.iter().map(|hop| name(hop.to)));
            format!("{} via {}", name(first.component), path.join(" > "))
        }
    };
    assert_eq!(answer, expected, "{ranking:#?}");
    let total: f64 = ranking.unknown + ranking.candidates.iter().map(|c| c.probability).sum::<f64>();
    assert!((total - 1.0).abs() < 1e-9);
    ranking
}

#[test]
fn a_slow_database_explains_its_callers_away() {
    let ranking = check(
        "web suffers latency
         web calls api
         api calls db
         api calls cache
         web: requests 100 -> 100, latency 50 -> 110
         api: requests 100 -> 100, latency 30 -> 90
         db: requests 100 -> 100, latency 5 -> 65
         cache: requests 100 -> 100, latency 1 -> 1",
        "db via web > api > db",
    );
    assert!(ranking.candidates[0].probability > 0.8);
    assert!(ranking.candidates[0].part.expect("measured") > 0.9);
}

#[test]
fn a_slow_bystander_whose_time_does_not_arrive_is_not_blamed() {
    check(
        "web suffers latency
         web calls api
         web calls mail
         web: requests 100 -> 100, latency 50 -> 80
         api: requests 100 -> 100, latency 20 -> 50
         mail: requests 1 -> 1, latency 500 -> 2000",
        "api via web > api",
    );
}

#[test]
fn the_one_who_suffers_may_be_the_cause() {
    check(
        "web suffers latency
         web calls api
         web: requests 100 -> 100, latency 50 -> 90
         api: requests 100 -> 100, latency 20 -> 20",
        "web via web",
    );
}

#[test]
fn four_failures_where_there_never_was_one_outweigh_the_usual_scatter() {
    check(
        "web suffers errors
         web calls list
         web calls search
         web: requests 500 -> 500, errors 0.002 -> 0.02
         list: requests 140 -> 140, errors 0 -> 0.06
         search: requests 800 -> 800, errors 0.001 -> 0.001",
        "list via web > list",
    );
}

#[test]
fn nothing_is_blamed_when_healthy_times_look_the_same() {
    check(
        "web suffers latency
         web calls api
         web: requests 100 -> 101, latency 50 -> 50.4
         api: requests 100 -> 101, latency 20 -> 20.1",
        "nothing wrong",
    );
}

#[test]
fn signs_decide_where_totals_were_not_measured() {
    let ranking = check(
        "web suffers somehow
         web calls api
         api calls users
         api calls orders
         users sign silent callee 4.0",
        "users via web > api > users",
    );
    assert_eq!(ranking.missing, ["latency of web", "error ratio of web"]);
}

#[test]
fn a_full_processor_is_found_below_the_service_that_runs_on_it() {
    check(
        "web suffers somehow
         web calls api
         api runs on node1
         node1: cpu 30 -> 97",
        "node1 via web > api > node1",
    );
}

#[test]
fn a_host_takes_its_services_with_it_and_is_named_instead_of_any_of_them() {
    let ranking = check(
        "web suffers latency
         web calls api
         web calls search
         web calls login
         api runs on node1
         search runs on node1
         login runs on node2
         web: requests 100 -> 100, latency 90 -> 150
         api: requests 100 -> 100, latency 30 -> 60
         search: requests 100 -> 100, latency 30 -> 60
         login: requests 100 -> 100, latency 20 -> 20
         node1: cpu 40 -> 98
         node2: cpu 40 -> 41",
        "node1 via web > api > node1",
    );
    assert!(ranking.candidates[0].evidence.iter().any(|e| e.channel == "shared fate"));
}

#[test]
fn without_any_evidence_the_cause_stays_unknown() {
    let ranking = check("web suffers somehow\nweb calls api", "unknown");
    assert!((ranking.unknown - 1.0).abs() < 1e-9);
}
