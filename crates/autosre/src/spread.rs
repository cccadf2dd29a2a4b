//! How trouble would spread from a component if it were the cause, and the path it would take to the target.

use crate::scene::{Scene, Spot};

/// Chance that a component shows trouble of its own without the supposed cause.
const LEAK: f64 = 0.03;
/// Weight of an edge on which neither end was measured, relative to one seen carrying trouble.
const UNSEEN: f64 = 0.5;
/// Weight of an edge whose lower end shows no trouble, or shows it later than the upper end.
const CONTRADICTED: f64 = 0.1;

/// What is known about each component's trouble: `Some(true)` it shows some, `Some(false)` it was measured and shows
/// none, `None` it was not measured.
pub(crate) type Alarms = Vec<Option<bool>>;

/// Log-likelihood of the alarms if `cause` alone were broken: noisy-OR along the edges against their direction
/// (`shows`: edges through which enough comes to be seen; the others predict nothing)
/// (`P(alarm_u) = 1 − (1 − leak)·Π(1 − prior_e·P(alarm_below))`, Pearl 1988; Sherlock uses noisy-max).
pub(crate) fn likelihood(scene: &Scene, alarms: &Alarms, shows: &[bool], cause: Spot) -> f64 {
    let n = scene.components.len();
    let mut calm = vec![1.0 - LEAK; n];
    let mut troubled = vec![0.0; n];
    troubled[cause.index()] = 1.0;
    for _ in 0..16 {
        calm.fill(1.0 - LEAK);
        for (edge, _) in scene.edges.iter().zip(shows).filter(|(_, shows)| **shows) {
            calm[edge.from.index()] *= 1.0 - edge.prior * troubled[edge.to.index()];
        }
        let mut moved = false;
        for v in 0..n {
            let next = if v == cause.index() {
                1.0
            } else if calm[v] < 1.0 - LEAK {
                1.0 - calm[v]
            } else {
                0.0
            };
            moved |= (next - troubled[v]).abs() > 1e-6;
            troubled[v] = next;
        }
        if !moved {
            break;
        }
    }
    alarms
        .iter()
        .enumerate()
        .filter_map(|(v, alarm)| alarm.map(|a| (v, a)))
        .map(|(v, alarm)| {
            let p = troubled[v].clamp(LEAK, 1.0 - LEAK);
            if alarm { p.ln() } else { (1.0 - p).ln() }
        })
        .sum()
}

/// The likeliest path from the target down to `cause`, as edge indices in that order, with the product of its weights.
///
/// An edge weighs its prior; less where the lower end shows no trouble or shows it later than the upper end plus the
/// edge's delay. `carries` marks edges on which trouble was seen to flow.
pub(crate) fn path(
    scene: &Scene,
    alarms: &Alarms,
    carries: &[bool],
    cause: Spot,
) -> Option<(Vec<usize>, f64)> {
    let n = scene.components.len();
    let mut best = vec![0.0_f64; n];
    let mut via: Vec<Option<usize>> = vec![None; n];
    let mut done = vec![false; n];
    best[scene.target.component.index()] = 1.0;
    loop {
        let next = (0..n)
            .filter(|&v| !done[v] && best[v] > 0.0)
            .max_by(|&a, &b| best[a].total_cmp(&best[b]).then(b.cmp(&a)))?;
        if next == cause.index() {
            break;
        }
        done[next] = true;
        for (i, edge) in scene.edges.iter().enumerate().filter(|(_, e)| e.from.index() == next) {
            let below = edge.to.index();
            let seen = match alarms[below] {
                _ if carries.get(i).copied().unwrap_or(false) => 1.0,
                Some(true) => 1.0,
                Some(false) => CONTRADICTED,
                None => UNSEEN,
            };
            let (upper, lower) =
                (scene.component(edge.from).onset_seconds, scene.component(edge.to).onset_seconds);
            let ordered = match (upper, lower) {
                (Some(u), Some(l)) if l > u + edge.delay_seconds.max(scene.bucket_seconds) => CONTRADICTED,
                _ => 1.0,
            };
            let weight = best[next] * edge.prior * seen * ordered;
            if !done[below] && weight > best[below] {
                best[below] = weight;
                via[below] = Some(i);
            }
        }
    }
    let mut edges = Vec::new();
    let mut at = cause.index();
    while let Some(edge) = via[at] {
        edges.push(edge);
        at = scene.edges[edge].from.index();
    }
    edges.reverse();
    Some((edges, best[cause.index()]))
}
