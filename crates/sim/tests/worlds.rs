//! Worlds as a receiver sees them: repeatable, readable, and wrong exactly where the sealed answer says.

mod seen;

use seen::{Seen, View, level, plan, play};
use sim::truth::{Tier, truth};
use sim::{Payload, Plan, Scenario, World};
use std::collections::BTreeMap;

/// A small check sum of a stream (FNV-1a over everything that is sent).
fn digest(plan: Plan) -> u64 {
    let eat = |hash: u64, bytes: &[u8]| {
        bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
    };
    World::new(plan).fold(0xcbf2_9ce4_8422_2325, |hash, Payload { at_ns, wire, body }| {
        let hash = eat(hash, &at_ns.to_le_bytes());
        eat(eat(hash, format!("{wire:?}").as_bytes()), &body)
    })
}

/// A quarter of the users in half the time: enough for what does not need statistics.
fn small(scenario: Scenario, seed: u64) -> Plan {
    let mut plan = plan(scenario, seed);
    plan.scale = sim::Scale { sessions_per_minute: 25.0, minutes: 60, onset_minute: 35, trace_share: 0.2 };
    plan
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_does_not() {
    let once = digest(small(Scenario::VersionCell, 7));
    assert_eq!(once, digest(small(Scenario::VersionCell, 7)));
    assert_ne!(once, digest(small(Scenario::VersionCell, 8)));
}

#[test]
fn every_scenario_is_sent_in_order_and_reads_back() {
    for scenario in Scenario::all() {
        let seen = play(small(scenario, 2));
        assert!(seen.sent_in_order, "{scenario}");
        assert!(seen.views.len() > 3_000, "{scenario}: {}", seen.views.len());
        assert!(seen.spans > 15_000 && seen.points > 20_000, "{scenario}: {} {}", seen.spans, seen.points);
        assert_eq!((seen.services.len(), seen.hosts.len()), (45, 30), "{scenario}");
    }
}

#[test]
fn spans_are_lost_and_repeated_but_almost_all_find_their_parents() {
    let seen = play(small(Scenario::Healthy, 4));
    let repeated = seen.spans - seen.distinct_spans.len();
    let share = repeated as f64 / seen.spans as f64;
    assert!((0.002..0.01).contains(&share), "{share}");
    let orphans = seen.parents.iter().filter(|p| !seen.distinct_spans.contains(*p)).count();
    let share = orphans as f64 / seen.parents.len() as f64;
    // one in a hundred was lost; those that come after the end of the world are missing too
    assert!((0.005..0.04).contains(&share), "{share}");
    let traced = seen.views.iter().filter(|v| v.traced).count() as f64 / seen.views.len() as f64;
    assert!((traced - 0.2).abs() < 0.03, "{traced}");
}

/// Onset, end and views of a world at the scale of the scoreboard.
fn world(scenario: Scenario, seed: u64) -> (Plan, i64, Seen) {
    let plan = plan(scenario, seed);
    let onset = truth(&plan).onset_ns;
    (plan, onset, play(plan))
}

/// How much slower the chosen views are than the others: ratio of geometric means, with the smaller count.
fn contrast(views: &[View], chosen: impl Fn(&View) -> bool, others: impl Fn(&View) -> bool) -> (f64, usize) {
    let ((a, n), (b, m)) = (level(views, chosen), level(views, others));
    (a / b, n.min(m))
}

fn tv_lolomo(view: &View) -> bool {
    view.app == "tvui" && view.name == "lolomo"
}

#[test]
fn only_the_new_version_in_cell_b_is_slow() {
    for seed in [1, 2] {
        let (_, _, seen) = world(Scenario::VersionCell, seed);
        let new = |v: &View| tv_lolomo(v) && v.version == "8.42.0";
        let old = |v: &View| tv_lolomo(v) && v.version == "8.41.2";
        let in_cell = |v: &View, cell: &str| v.cells.iter().any(|c| c == &format!("lolomo_rows/{cell}"));
        let (guilty, n) = contrast(&seen.views, |v| new(v) && in_cell(v, "B"), |v| new(v) && in_cell(v, "A"));
        assert!(n > 300 && guilty > 1.2, "{guilty} of {n}");
        let (cell_alone, _) =
            contrast(&seen.views, |v| old(v) && in_cell(v, "B"), |v| old(v) && in_cell(v, "A"));
        let (version_alone, _) =
            contrast(&seen.views, |v| new(v) && in_cell(v, "A"), |v| old(v) && in_cell(v, "A"));
        assert!((cell_alone - 1.0).abs() < 0.05, "{cell_alone}");
        assert!((version_alone - 1.0).abs() < 0.07, "{version_alone}");
    }
}

#[test]
fn a_deployment_slows_the_users_of_its_region_only() {
    for seed in [1, 3] {
        let (plan, onset, seen) = world(Scenario::BackendDependency, seed);
        let region = truth(&plan).causes[0].also[0].name.clone();
        let version = truth(&plan).causes[0].required[0][0].name.clone();
        let inside = |v: &View| region_of(&v.country) == region && v.name == "lolomo";
        let outside = |v: &View| region_of(&v.country) != region && v.name == "lolomo";
        let (guilty, n) = before_and_after(&seen.views, onset, inside);
        assert!(n > 300 && guilty > 1.15, "{guilty} of {n}");
        let (others, _) = before_and_after(&seen.views, onset, outside);
        assert!((others - 1.0).abs() < 0.05, "{others}");
        let placed: Vec<&(String, String, String)> =
            seen.service_versions.iter().filter(|(s, v, _)| format!("{s}/{v}") == version).collect();
        assert!(placed.len() == 1 && placed[0].2 == region, "{placed:?}");
    }
}

#[test]
fn a_network_is_slow_in_one_country_only() {
    let (plan, onset, seen) = world(Scenario::NetworkProvider, 3);
    let cause = truth(&plan).causes[0].clone();
    let (asn, country) = (cause.required[0][0].name.clone(), cause.also[0].name.clone());
    let (guilty, n) = before_and_after(&seen.views, onset, |v| v.asn == asn && v.country == country);
    assert!(n > 300 && guilty > 1.2, "{guilty} of {n}");
    let (elsewhere, _) = before_and_after(&seen.views, onset, |v| v.asn == asn && v.country != country);
    let (neighbours, _) = before_and_after(&seen.views, onset, |v| v.asn != asn && v.country == country);
    assert!((elsewhere - 1.0).abs() < 0.08 && (neighbours - 1.0).abs() < 0.08, "{elsewhere} {neighbours}");
}

#[test]
fn a_full_host_slows_its_region_and_is_the_only_full_one() {
    for seed in [1, 2] {
        let (plan, onset, seen) = world(Scenario::HostSaturation, seed);
        let host = truth(&plan).causes[0].required[0][0].name.clone();
        let full: Vec<&String> =
            seen.busiest.iter().filter(|(_, share)| **share > 0.9).map(|(name, _)| name).collect();
        assert_eq!(full, [&host]);
        let region = if host.starts_with("host-us") { "us-east-1" } else { "eu-west-1" };
        let inside = |v: &View| region_of(&v.country) == region && v.name == "lolomo";
        let (guilty, n) = before_and_after(&seen.views, onset, inside);
        assert!(n > 1_000 && guilty > 1.12, "{guilty} of {n}");
        let outside = |v: &View| region_of(&v.country) != region && v.name == "lolomo";
        let (others, _) = before_and_after(&seen.views, onset, outside);
        assert!((others - 1.0).abs() < 0.05, "{others}");
    }
}

#[test]
fn a_flag_slows_and_breaks_one_maker_where_it_is_on() {
    for seed in [1, 2] {
        let (plan, onset, seen) = world(Scenario::FeatureFlag, seed);
        let cause = truth(&plan).causes[0].clone();
        let maker = cause.also[0].name.split('/').next().unwrap().to_string();
        let flag = cause.required[0][0].name.split('/').next_back().unwrap().to_string();
        let on = |v: &View| seen.flags.get(&v.session).is_some_and(|f| f.contains(&format!("{flag}/on")));
        let off = |v: &View| seen.flags.get(&v.session).is_some_and(|f| f.contains(&format!("{flag}/off")));
        let late = |v: &View| v.at_ns > onset && v.name == "lolomo";
        let hit = |v: &View| late(v) && v.maker == maker;
        let (guilty, n) = contrast(&seen.views, |v| hit(v) && on(v), |v| hit(v) && off(v));
        assert!(n > 150 && guilty > 1.2, "{guilty} of {n}");
        let spared = |v: &View| late(v) && v.maker != maker;
        let (others, _) = contrast(&seen.views, |v| spared(v) && on(v), |v| spared(v) && off(v));
        assert!((others - 1.0).abs() < 0.06, "{others}");
        let failing = |chosen: &dyn Fn(&View) -> bool| {
            let all = seen.views.iter().filter(|v| chosen(v)).count();
            seen.views.iter().filter(|v| chosen(v) && v.outcome == "error").count() as f64 / all as f64
        };
        assert!(failing(&|v| v.maker == maker && on(v)) > 3.0 * failing(&|v| v.maker == maker && off(v)));
    }
}

#[test]
fn a_surge_makes_the_whole_slower_and_nobody_in_particular() {
    let (plan, _, seen) = world(Scenario::SurgeAndMix, 1);
    assert!(truth(&plan).healthy);
    let middle = plan.start_ns + i64::from(plan.scale.onset_minute) * 60_000_000_000;
    let (whole, n) = before_and_after(&seen.views, middle, |v| v.name == "lolomo");
    assert!(n > 4_000 && whole > 1.08, "{whole} of {n}");
    // within a stratum of country, network and device nothing moves
    let mut strata: BTreeMap<(&str, &str, &str), [Vec<f64>; 2]> = BTreeMap::new();
    for view in seen.views.iter().filter(|v| v.name == "lolomo") {
        let sides = strata.entry((&view.country, &view.asn, &view.model)).or_default();
        sides[usize::from(view.at_ns >= middle)].extend(view.ttr.map(f64::ln));
    }
    let (mut moved, mut weights) = (0.0, 0.0);
    for [before, after] in strata.values().filter(|s| s.iter().all(|side| side.len() >= 20)) {
        let mean = |side: &[f64]| side.iter().sum::<f64>() / side.len() as f64;
        let weight = 1.0 / (1.0 / before.len() as f64 + 1.0 / after.len() as f64);
        moved += weight * (mean(after) - mean(before));
        weights += weight;
    }
    let moved = moved / weights;
    assert!(moved.abs() < 0.015, "{moved}");
}

#[test]
fn a_healthy_world_stays_as_it_was() {
    let (plan, _, seen) = world(Scenario::Healthy, 1);
    let sealed = truth(&plan);
    assert!(sealed.healthy && sealed.causes.is_empty() && sealed.tier == Tier::None);
    let middle = plan.start_ns + i64::from(plan.scale.onset_minute) * 60_000_000_000;
    let (whole, _) = before_and_after(&seen.views, middle, |v| v.name == "lolomo");
    assert!((whole - 1.0).abs() < 0.03, "{whole}");
}

/// How much slower the chosen views are after a moment than before it.
fn before_and_after(views: &[View], at_ns: i64, chosen: impl Fn(&View) -> bool) -> (f64, usize) {
    contrast(views, |v| chosen(v) && v.at_ns >= at_ns, |v| chosen(v) && v.at_ns < at_ns)
}

fn region_of(country: &str) -> &'static str {
    match country {
        "US" | "CA" | "MX" | "BR" => "us-east-1",
        "GB" | "DE" | "FR" | "ES" => "eu-west-1",
        _ => "ap-south-1",
    }
}

#[test]
fn feeds_have_the_fields_their_mapping_reads() {
    let seen = play(small(Scenario::FeatureFlag, 3));
    let wanted: &[(&str, &[&str])] = &[
        (
            "catalog",
            &["/kind", "/metadata/name", "/metadata/namespace", "/metadata/annotations/tier", "/spec/owner"],
        ),
        (
            "cdevents",
            &[
                "/context/id",
                "/context/chainId",
                "/context/type",
                "/context/timestamp",
                "/subject/id",
                "/subject/content/artifactId",
                "/subject/content/environment/id",
            ],
        ),
        ("changes", &["/kind", "/id", "/at", "/by"]),
        (
            "experiments",
            &["/experiment/name", "/experiment/state", "/experiment/owner", "/cell/0/name", "/cell/1/share"],
        ),
        (
            "flags",
            &["/type", "/id", "/featureName", "/project", "/createdAt", "/preData/enabled", "/data/enabled"],
        ),
        (
            "alertmanager",
            &[
                "/version",
                "/alerts/0/fingerprint",
                "/alerts/0/startsAt",
                "/alerts/0/endsAt",
                "/alerts/0/labels/service",
            ],
        ),
    ];
    assert_eq!(seen.feeds.len(), wanted.len(), "{:?}", seen.feeds.keys());
    for (feed, pointers) in wanted {
        for document in &seen.feeds[feed] {
            for pointer in *pointers {
                assert!(document.pointer(pointer).is_some(), "{feed} {pointer} in {document}");
            }
        }
    }
    let rollout = seen.feeds["changes"].iter().find(|d| d["kind"] == "rollout").unwrap();
    for field in ["app", "version", "build", "percent", "status"] {
        assert!(rollout.get(field).is_some(), "{field}");
    }
    assert_eq!(seen.feeds["catalog"].len(), 45);
}

#[test]
fn no_payload_gives_the_answer_away() {
    let words = ["guilty", "culprit", "decoy", "scenario", "onset"];
    for payload in World::new(small(Scenario::FeatureFlag, 5)) {
        let text = String::from_utf8_lossy(&payload.body);
        assert!(words.iter().all(|w| !text.contains(w)), "{:?}", payload.wire);
    }
}

#[test]
fn truths_vary_with_the_seed_and_keep_their_kind() {
    for scenario in Scenario::all() {
        let truths: Vec<_> = (0..20).map(|seed| truth(&plan(scenario, seed))).collect();
        let mut named: Vec<_> = truths.iter().flat_map(|t| &t.causes).map(|c| &c.required).collect();
        let kinds: std::collections::BTreeSet<_> =
            truths.iter().flat_map(|t| &t.causes).map(|c| c.kind).collect();
        assert_eq!(kinds.len(), usize::from(!truths[0].healthy), "{scenario}");
        named.sort();
        named.dedup();
        match scenario {
            Scenario::Healthy | Scenario::SurgeAndMix => assert!(named.is_empty()),
            Scenario::VersionCell => assert_eq!(named.len(), 1),
            _ => assert!(named.len() > 3, "{scenario}: {}", named.len()),
        }
    }
}
