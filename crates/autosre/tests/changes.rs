//! Small rollouts in text, and who must be blamed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read its own scene has to stop; the lint only knows functions marked #[test]"
)]

use autosre::change::{ChangeJudge, ChangeScene, Contrast, Judged, Link, Measure, Rollout, Sample};

/// Minutes of the scene; the trouble is noticed at 10:00 after its start, 12 minutes are known.
const NOTICED: f64 = 600.0;
const NOW: f64 = 720.0;

fn samples(from: f64, to: f64, value: impl Fn(f64) -> f64) -> Vec<Sample> {
    let mut all = Vec::new();
    let mut time = from;
    while time <= to {
        all.push(Sample { time, value: value(time), requests: None });
        time += 60.0;
    }
    all
}

/// Lines: `cart rolled out at 500 to 0.25, new 0.4, old 1` (success of new and old copies since then; `new silent` when
/// nobody hears of it, no `new` where it was not compared) and `web calls cart, 1 then 0.9 from 560`.
fn scene(text: &str) -> ChangeScene {
    let mut scene = ChangeScene {
        rollouts: Vec::new(),
        links: Vec::new(),
        noticed: NOTICED,
        now: NOW,
        bucket_seconds: 60.0,
    };
    let number = |text: &str| -> f64 { text.trim().parse().expect("a number") };
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let mut parts = line.split(", ");
        let head = parts.next().expect("a head");
        if let Some((name, rest)) = head.split_once(" rolled out at ") {
            let (at, share) = rest.split_once(" to ").expect("a share");
            let (at, share) = (number(at), number(share));
            let mut rollout = Rollout {
                name: format!("{name} v2"),
                component: name.to_owned(),
                started: at - 60.0,
                exposure: vec![(at, share)],
                copies: Some((1, 1)),
                contrasts: Vec::new(),
            };
            let mut contrast = Contrast {
                measure: Measure::Served,
                about: name.to_owned(),
                new: Vec::new(),
                old: Vec::new(),
            };
            for part in parts {
                match part.split_once(' ').expect("new or old") {
                    ("new", "silent") => rollout.copies = Some((1, 0)),
                    ("new", success) => contrast.new = samples(at, NOW, |_| number(success)),
                    ("old", success) => {
                        contrast.old = samples(0.0, NOW, |t| if t < at { 1.0 } else { number(success) });
                    }
                    other => panic!("not understood: {other:?}"),
                }
            }
            rollout.contrasts.push(contrast);
            scene.rollouts.push(rollout);
        } else if let Some((from, to)) = head.split_once(" calls ") {
            let (mut now, mut since) = (1.0, f64::INFINITY);
            for part in parts {
                let (_, change) = part.split_once(" then ").expect("a change");
                let (value, time) = change.split_once(" from ").expect("a time");
                (now, since) = (number(value), number(time));
            }
            let success = samples(0.0, NOW, |t| if t < since { 1.0 } else { now });
            scene.links.push(Link { from: from.to_owned(), to: to.to_owned(), success });
        } else {
            panic!("not understood: {line}");
        }
    }
    scene
}

fn check(text: &str, expected: &str) -> Vec<Judged> {
    let scene = scene(text);
    let judged = ChangeJudge.judge(&scene);
    let first = judged[0].rollout.map_or("none", |i| scene.rollouts[i].component.as_str());
    assert_eq!(first, expected, "{judged:#?}");
    assert!((judged.iter().map(|j| j.probability).sum::<f64>() - 1.0).abs() < 1e-9);
    judged
}

#[test]
fn new_copies_that_fail_beside_old_ones_that_do_not_are_to_blame() {
    let judged = check(
        "cart rolled out at 500 to 0.2, new 0.3, old 1
         mail rolled out at 540 to 0.5, new 1, old 1
         web calls cart, 1 then 0.86 from 560
         web calls mail",
        "cart",
    );
    assert!(judged[0].probability > 0.99);
}

#[test]
fn the_same_fault_where_the_change_is_not_acquits_it() {
    check(
        "cart rolled out at 500 to 0.2, new 0.6, old 0.6
         web calls cart, 1 then 0.6 from 560",
        "none",
    );
}

#[test]
fn a_canary_that_is_not_heard_of_outweighs_one_that_is_well() {
    check(
        "price rolled out at 530 to 0.3, new silent
         mail rolled out at 540 to 0.3, new 1, old 1
         web calls order, 1 then 0.4 from 580
         order calls price
         order calls mail",
        "price",
    );
}

#[test]
fn between_equals_the_one_that_came_right_before_the_trouble_is_blamed() {
    check(
        "price rolled out at 150 to 0.3
         mail rolled out at 550 to 0.3
         web calls order, 1 then 0.4 from 580
         order calls price
         order calls mail",
        "mail",
    );
}

#[test]
fn a_rollout_that_began_after_the_trouble_is_not_blamed() {
    check(
        "cart rolled out at 700 to 0.2
         web calls cart, 1 then 0.5 from 560",
        "none",
    );
}

#[test]
fn trouble_that_no_rollout_can_reach_is_nobodys() {
    check(
        "mail rolled out at 500 to 0.3, new 1, old 1
         web calls cart, 1 then 0.5 from 560
         order calls mail",
        "none",
    );
}
