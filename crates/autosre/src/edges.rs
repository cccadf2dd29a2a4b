//! Callees that are asked less than their caller's requests would have them: the caller's requests end before they get there.
//!
//! A handler that returns early or throws leaves its mark in what it no longer asks, long before anyone counts its errors.
//! The callee below is blameless: it never hears of the request. (The same on single traces is a missing event of
//! [`crate::divergence`]; this needs counts only.)

use crate::scene::{Channel, Edge, Scene, Sign, Spot, Vote};

/// Weight of a nat: calls of one minute are no independent witnesses (as for the divergences of traces).
const WEIGHT: f64 = 0.25;
/// The most all lost calls of a component may say, in nats. A caller may also give up because a callee failed it, so this
/// alone must not outweigh a fault seen below.
const CAP: f64 = 4.0;
/// Calls below this share of the usual are lost, not just fewer: users' ways through a system differ from hour to hour.
const LOST_BELOW: f64 = 0.7;

/// Votes for the components whose requests no longer lead to the calls they used to make.
pub(crate) fn lost_calls(scene: &Scene) -> Vec<(Spot, Vote)> {
    let mut votes: Vec<(Spot, Vote)> = Vec::new();
    for edge in &scene.edges {
        let Some(vote) = lost(scene, edge) else { continue };
        match votes.iter_mut().find(|(spot, _)| *spot == edge.from) {
            Some((_, known)) if known.llr >= vote.llr => {}
            Some((_, known)) => *known = vote,
            None => votes.push((edge.from, vote)),
        }
    }
    votes
}

fn lost(scene: &Scene, edge: &Edge) -> Option<Vote> {
    let calls = edge.requests.as_ref()?;
    let requests = scene.component(edge.from).series.get(&Channel::Requests)?;
    let pairs = |made: &[f64], asked: &[f64]| -> Vec<(f64, f64)> {
        let both = made.iter().copied().zip(asked.iter().copied());
        both.filter(|(made, asked)| made.is_finite() && *asked > 0.0).collect()
    };
    let healthy = pairs(&calls.healthy, &requests.healthy);
    let (made, asked) = healthy.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    if made <= 0.0 || asked <= 0.0 {
        return None;
    }
    let per_request = made / asked;
    // how much wider than Poisson calls scatter around the requests while healthy
    let scatter = healthy
        .iter()
        .map(|(made, asked)| (made - per_request * asked).powi(2) / (per_request * asked))
        .sum::<f64>()
        / (healthy.len() as f64 - 1.0).max(1.0);
    // the onset may lie in any of the degraded buckets
    let now = pairs(&calls.degraded, &requests.degraded);
    let weigh = |since: usize| {
        let (made, asked) = now.iter().skip(since).fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let expected = per_request * asked;
        let less = if made < LOST_BELOW * expected {
            expected - made + if made > 0.0 { made * (made / expected).ln() } else { 0.0 }
        } else {
            0.0
        };
        (less / scatter.max(1.0), made / asked)
    };
    let (weight, today) = (0..now.len()).map(weigh).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let llr = (WEIGHT * weight).min(CAP);
    (llr > 0.0).then(|| Vote {
        sign: Sign::LostCalls,
        llr,
        healthy: per_request,
        degraded: today,
        note: format!("calls of {} per request", scene.component(edge.to).name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Kind, Series};

    fn series(healthy: f64, degraded: f64) -> Series {
        Series {
            healthy: vec![healthy, healthy + 2.0, healthy - 2.0],
            lead: Vec::new(),
            degraded: vec![degraded; 2],
        }
    }

    /// A shop that asks its stock once per request, and what it asks and is asked since the onset.
    fn votes(asked: f64, made: f64) -> Vec<(Spot, Vote)> {
        let mut scene = Scene::new("shop", Kind::Service, None, 60.0);
        let (shop, stock) = (scene.target.component, scene.add("stock", Kind::Service));
        scene.sample(shop, Channel::Requests, series(100.0, asked));
        scene.calls(shop, stock, None);
        for edge in &mut scene.edges {
            edge.requests = Some(series(100.0, made));
        }
        let votes = lost_calls(&scene);
        assert!(votes.iter().all(|(spot, _)| *spot == shop), "the callee is blameless");
        votes
    }

    #[test]
    fn a_caller_that_no_longer_asks_is_named_and_one_that_is_asked_less_is_not() {
        let lost = votes(100.0, 20.0);
        let llr: Vec<f64> = lost.iter().map(|(_, vote)| vote.llr).collect();
        assert!(matches!(llr.as_slice(), [llr] if *llr > 1.0 && *llr <= CAP), "{llr:?}");
        assert!(votes(20.0, 20.0).is_empty());
        assert!(votes(100.0, 80.0).is_empty(), "ways through a system differ");
    }
}
