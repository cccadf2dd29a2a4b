//! Which part of the target's trouble each component adds itself, after what its callees explain is taken away.
//!
//! For a component `v` with `R` requests and time (or failure share) `q` per request, `ΔT_v = Σ R·(q − q0)` over the
//! buckets in which the target suffers. A caller's change is explained by that subset of callees whose changes add up to
//! it best; the remainder is its own. `φ_v = own_v · flow_v / ΔT_target` is then the part of the user's loss that `v`
//! adds. (Explaining away as in Sherlock, SIGCOMM'07, and CIRCA, KDD'22, but additive in total time, which needs no
//! fitting; measured on PetShop before it was adopted.)

use crate::arith::{known, median, robust_deviation};
use crate::scene::{Aspect, Channel, Relation, Scene, Series};

/// Which buckets of the scene are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View {
    /// The degraded ones, with their lead.
    Degraded,
    /// A stretch of the healthy ones, as if it were degraded: the lead starts at this bucket.
    Healthy(usize),
}

/// Buckets a callee must add to a caller's change, as a part of it, before the subset search looks at it.
const NOTICED_PART: f64 = 0.02;
/// The subset search is exhaustive over this many callees, those with the largest change; the rest stay at their prior.
const SEARCHED_CALLEES: usize = 10;
/// Cost of an overshoot relative to a shortfall: callees that are waited for side by side, and the same requests seen
/// under two names, add up to more than the caller waits; too little explained has no such excuse.
const OVERSHOOT: f64 = 0.3;
/// Cost of deciding against the prior of an edge, in units of the caller's deviation (notes on methods §4.4).
const AGAINST_PRIOR: f64 = 3.0;
/// Log Bayes factor beyond which a callee that varies more than its caller is taken to be asynchronous.
const ASYNCHRONOUS: f64 = 10.0;
/// Share of the worst bucket's loss from which a bucket counts as one in which the target suffers.
const SUFFERING_PART: f64 = 0.3;
/// Spreads of the upper end from which trouble that comes through an edge would be seen there.
const SHOWS_SPREADS: f64 = 5.0;
/// Relative change of time below which nothing is news, whatever the spread: the ontology's usual `care` of 5 %.
const CARE: f64 = 0.05;

/// The quantity per request in the lead and in the stretch, and the requests of the stretch where counted.
struct Rows<'s> {
    lead: &'s [f64],
    stretch: &'s [f64],
    requests: Option<&'s [f64]>,
}

/// What is fixed for a scene and an aspect, whatever stretch is looked at.
pub(crate) struct Ground<'s> {
    scene: &'s Scene,
    aspect: Aspect,
    /// Healthy level of the quantity per request, by component.
    level: Vec<f64>,
    /// Spread of `ΔT` over healthy stretches, by component.
    pub(crate) spread: Vec<f64>,
    /// Callees of each component: edge index, callee, share of the callee's requests that come from here.
    callees: Vec<Vec<(usize, usize, f64)>>,
    /// Healthy failures per request and their overdispersion, by component, where countable.
    rates: Vec<Option<(f64, f64)>>,
    /// Whether a call edge is believed synchronous before looking at the stretch.
    waits: Vec<bool>,
    lead: usize,
    length: usize,
}

/// What a stretch looks like.
pub(crate) struct Flow {
    /// Change of the total, by component.
    pub(crate) change: Vec<f64>,
    /// The part of the target's loss the component adds itself, 0..1.
    pub(crate) part: Vec<f64>,
    /// Own change in units of the healthy spread.
    pub(crate) z: Vec<f64>,
    /// The target's change in units of its healthy spread.
    pub(crate) target_z: f64,
    /// Edges that carry the trouble.
    pub(crate) carries: Vec<bool>,
    /// Edges through which enough trouble comes, or would come, to show at the upper end.
    pub(crate) shows: Vec<bool>,
}

fn quantity(aspect: Aspect) -> Channel {
    match aspect {
        Aspect::Latency => Channel::Latency,
        Aspect::Errors => Channel::ErrorRatio,
    }
}

impl<'s> Ground<'s> {
    /// Reads the healthy side of a scene; `None` when the target was not measured in this aspect.
    pub(crate) fn new(scene: &'s Scene, aspect: Aspect) -> Option<Self> {
        let target = scene.component(scene.target.component).series.get(&quantity(aspect))?;
        let (lead, length) = (target.lead.len(), target.degraded.len());
        if length == 0 {
            return None;
        }
        let level = scene
            .components
            .iter()
            .map(|c| {
                let series = c.series.get(&quantity(aspect));
                series
                    .and_then(|s| median(known(&s.healthy)).or_else(|| median(known(&s.lead))))
                    .unwrap_or(0.0)
            })
            .collect();
        let mut ground = Self {
            scene,
            aspect,
            level,
            spread: Vec::new(),
            callees: shares(scene),
            rates: Vec::new(),
            waits: Vec::new(),
            lead,
            length,
        };
        if aspect == Aspect::Errors {
            ground.rates = (0..scene.components.len()).map(|v| ground.healthy_rate(v)).collect();
        }
        ground.waits = ground.believed_synchronous();
        ground.spread = (0..scene.components.len()).map(|v| ground.healthy_spread(v)).collect();
        Some(ground)
    }

    /// Starts of all stretches of healthy buckets as long as lead and degraded together, at most `limit`, evenly spread.
    pub(crate) fn stretches(&self, limit: usize) -> Vec<usize> {
        let target = self.scene.target.component.index();
        let buckets = self.series(target, quantity(self.aspect)).map_or(0, |s| s.healthy.len());
        let whole = self.lead + self.length;
        if buckets < whole {
            return Vec::new();
        }
        let starts = buckets - whole + 1;
        let step = starts.div_ceil(limit.max(1)).max(1);
        (0..starts).step_by(step).collect()
    }

    /// The component that suffers.
    pub(crate) fn target(&self) -> usize {
        self.scene.target.component.index()
    }

    /// Whether the component was measured in this aspect while degraded.
    pub(crate) fn measured(&self, v: usize) -> bool {
        self.series(v, quantity(self.aspect)).is_some_and(|s| known(&s.degraded).next().is_some())
    }

    /// Level per request before, and in the buckets in which the target suffers.
    pub(crate) fn levels(&self, v: usize) -> (f64, f64) {
        let rows = self.suffering(View::Degraded);
        let series = self.series(v, quantity(self.aspect));
        let before = series
            .and_then(|s| median(known(&s.lead).chain(std::iter::once(self.level[v]))))
            .unwrap_or(f64::NAN);
        let now = series.and_then(|s| {
            median(s.degraded.iter().zip(&rows).filter(|(_, counts)| **counts).map(|(q, _)| *q))
        });
        (before, now.unwrap_or(f64::NAN))
    }

    fn series(&self, v: usize, channel: Channel) -> Option<&'s Series> {
        self.scene.components[v].series.get(&channel)
    }

    /// What was measured of a component in a stretch.
    fn rows(&self, v: usize, view: View) -> Option<Rows<'s>> {
        let q = self.series(v, quantity(self.aspect))?;
        let r = self.series(v, Channel::Requests);
        match view {
            View::Degraded => {
                Some(Rows { lead: &q.lead, stretch: &q.degraded, requests: r.map(|r| r.degraded.as_slice()) })
            }
            View::Healthy(start) => {
                let middle = start + self.lead;
                let end = middle + self.length;
                let lead = q.healthy.get(start..middle)?;
                let stretch = q.healthy.get(middle..end)?;
                Some(Rows { lead, stretch, requests: r.and_then(|r| r.healthy.get(middle..end)) })
            }
        }
    }

    /// `R·(q − q0)` per bucket of the stretch; nothing measured adds nothing.
    fn losses(&self, v: usize, view: View) -> Option<Vec<f64>> {
        let Rows { lead, stretch, requests } = self.rows(v, view)?;
        // the level of today where there is one: healthy buckets may be months old (PetShop: four). The old median takes
        // part in the vote so that one bad bucket before the onset does not set the level.
        let level = median(known(lead).chain(std::iter::once(self.level[v]))).unwrap_or(self.level[v]);
        Some(
            stretch
                .iter()
                .enumerate()
                .map(|(i, &q)| {
                    let r = requests.and_then(|r| r.get(i).copied()).unwrap_or(1.0);
                    if q.is_finite() && r.is_finite() { r * (q - level) } else { 0.0 }
                })
                .collect(),
        )
    }

    /// The buckets in which the target suffers.
    fn suffering(&self, view: View) -> Vec<bool> {
        let losses = self.losses(self.scene.target.component.index(), view).unwrap_or_default();
        let worst = losses.iter().copied().fold(0.0, f64::max);
        losses.iter().map(|&l| worst > 0.0 && l >= SUFFERING_PART * worst).collect()
    }

    fn change(&self, v: usize, view: View, rows: &[bool]) -> f64 {
        let losses = self.losses(v, view).unwrap_or_default();
        losses.iter().zip(rows).filter(|(_, counts)| **counts).map(|(l, _)| l).sum()
    }

    /// Spread of the change over healthy stretches, never below what a person would care about nor, for failures, below
    /// what counting alone does.
    fn healthy_spread(&self, v: usize) -> f64 {
        let all = vec![true; self.length];
        let changes: Vec<f64> =
            self.stretches(128).into_iter().map(|start| self.change(v, View::Healthy(start), &all)).collect();
        let requests = self.series(v, Channel::Requests);
        let usual = requests.and_then(|r| median(known(&r.degraded).chain(known(&r.healthy)))).unwrap_or(1.0);
        let total = usual * self.length as f64;
        let floor = match self.aspect {
            Aspect::Latency => CARE * total * self.level[v],
            // one failure more or less is never news
            Aspect::Errors => (total * self.level[v] + 1.0).sqrt(),
        };
        let seen = if changes.len() >= 8 {
            robust_deviation(&changes)
        } else {
            self.series(v, quantity(self.aspect))
                .and_then(|s| robust_deviation(&s.healthy))
                .map(|d| d * usual * (self.length as f64).sqrt())
        };
        seen.unwrap_or(0.0).max(floor).max(f64::MIN_POSITIVE)
    }

    /// A callee whose total varies far more than its caller's, while healthy, is not waited for.
    fn believed_synchronous(&self) -> Vec<bool> {
        let mut waits = vec![true; self.scene.edges.len()];
        for (caller, callees) in self.callees.iter().enumerate() {
            let Some(mine) = self.healthy_totals(caller) else { continue };
            for &(edge, callee, share) in callees {
                if let Some(sync) = self.scene.edges[edge].sync {
                    waits[edge] = sync >= 0.5;
                    continue;
                }
                let Some(theirs) = self.healthy_totals(callee) else { continue };
                let rest: Vec<f64> = mine.iter().zip(&theirs).map(|(m, t)| m - share * t).collect();
                let (Some(whole), Some(left)) = (robust_deviation(&mine), robust_deviation(&rest)) else {
                    continue;
                };
                let n = known(&rest).count() as f64;
                // both models normal with their own spread: ln BF = n·ln(s_rest/s_whole)
                waits[edge] = !(whole > 0.0 && n * (left / whole).ln() > ASYNCHRONOUS && left > 1.5 * whole);
            }
        }
        waits
    }

    fn healthy_totals(&self, v: usize) -> Option<Vec<f64>> {
        let q = self.series(v, quantity(self.aspect))?;
        let r = self.series(v, Channel::Requests)?;
        let totals: Vec<f64> =
            q.healthy.iter().zip(&r.healthy).map(|(q, r)| if *r == 0.0 { 0.0 } else { q * r }).collect();
        (known(&totals).count() >= 16).then_some(totals)
    }

    /// Explains a stretch.
    pub(crate) fn explain(&self, view: View) -> Flow {
        let n = self.scene.components.len();
        let target = self.scene.target.component.index();
        let rows = self.suffering(view);
        let change: Vec<f64> = (0..n).map(|v| self.change(v, view, &rows)).collect();
        let mut own = change.clone();
        let mut carries = vec![0.0; self.scene.edges.len()];
        for caller in 0..n {
            if change[caller] <= 0.0 {
                continue;
            }
            let chosen = self.explaining_callees(caller, &change);
            let explained: f64 = chosen.iter().map(|&(_, callee, share)| share * change[callee]).sum();
            own[caller] = (change[caller] - explained).max(0.0);
            for (edge, _, share) in chosen {
                carries[edge] = share * (change[caller] / explained).min(1.0);
            }
        }
        let reach = self.reach(target, &carries);
        let loss = change[target];
        let part = (0..n)
            .map(|v| if loss > 0.0 { (own[v].max(0.0) * reach[v] / loss).min(1.0) } else { 0.0 })
            .collect();
        let z = (0..n).map(|v| self.deviation(v, view, &rows, own[v])).collect();
        let target_z = self.deviation(target, view, &rows, loss);
        let mut shows = vec![true; self.scene.edges.len()];
        for (caller, callees) in self.callees.iter().enumerate() {
            for &(edge, callee, share) in callees {
                shows[edge] = share * change[callee] >= SHOWS_SPREADS * self.spread[caller];
            }
        }
        let carries = carries.into_iter().map(|c| c > 0.0).collect();
        Flow { target_z, part, z, change, carries, shows }
    }

    /// A change in units of what healthy times do. Failures are counts: a signed root of the Poisson log-likelihood ratio
    /// against the healthy rate, shrunk by half a failure and widened by the healthy overdispersion, says more of four
    /// failures where there never was one than four spreads do.
    fn deviation(&self, v: usize, view: View, rows: &[bool], change: f64) -> f64 {
        let plain = change / self.spread[v];
        let (Aspect::Errors, Some((rate, dispersion))) = (self.aspect, self.rates.get(v).copied().flatten())
        else {
            return plain;
        };
        let Some(Rows { requests: Some(requests), .. }) = self.rows(v, view) else { return plain };
        let asked: f64 =
            requests.iter().zip(rows).filter(|(r, counts)| **counts && r.is_finite()).map(|(r, _)| r).sum();
        let (usual, seen) = (rate * asked, rate * asked + change);
        if usual <= 0.0 || change <= 0.0 {
            return plain.min(0.0);
        }
        (2.0 * (seen * (seen / usual).ln() - change)).max(0.0).sqrt() / dispersion.sqrt()
    }

    /// Healthy failures per request and how much wider than Poisson they scatter.
    fn healthy_rate(&self, v: usize) -> Option<(f64, f64)> {
        let ratios = &self.series(v, quantity(self.aspect))?.healthy;
        let requests = &self.series(v, Channel::Requests)?.healthy;
        let counts: Vec<(f64, f64)> = ratios
            .iter()
            .zip(requests)
            .filter(|(q, r)| q.is_finite() && r.is_finite() && **r > 0.0)
            .map(|(q, r)| (q * r, *r))
            .collect();
        if counts.len() < 16 {
            return None;
        }
        // an old fault among the healthy buckets must not hide a new one: the worst twentieth is cut to the rest's level
        let mut sorted: Vec<f64> = counts.iter().map(|(x, _)| *x).collect();
        sorted.sort_by(f64::total_cmp);
        let cap = sorted[(sorted.len() * 19) / 20 - 1];
        let n = counts.len() as f64;
        let asked: f64 = counts.iter().map(|(_, r)| r).sum();
        let failed: f64 = counts.iter().map(|(x, _)| x.min(cap)).sum();
        let mean = failed / n;
        let variance = counts.iter().map(|(x, _)| (x.min(cap) - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let dispersion = if mean > 0.0 { (variance / mean).max(1.0) } else { 1.0 };
        Some(((failed + 0.5) / asked, dispersion))
    }

    /// The callees that together explain a caller's change best.
    fn explaining_callees(&self, caller: usize, change: &[f64]) -> Vec<(usize, usize, f64)> {
        let whole = change[caller];
        let scale = self.spread[caller].max(0.1 * whole);
        let mut noticed: Vec<(usize, usize, f64)> = self.callees[caller]
            .iter()
            .copied()
            .filter(|&(_, callee, share)| callee != caller && share * change[callee] > NOTICED_PART * whole)
            .collect();
        noticed.sort_by(|a, b| (b.2 * change[b.1]).total_cmp(&(a.2 * change[a.1])).then(a.0.cmp(&b.0)));
        noticed.truncate(SEARCHED_CALLEES);
        let mut best = (f64::INFINITY, 0usize);
        for subset in 0..(1usize << noticed.len()) {
            let mut rest = whole;
            let mut cost = 0.0;
            for (i, &(edge, callee, share)) in noticed.iter().enumerate() {
                let taken = subset >> i & 1 == 1;
                if taken {
                    rest -= share * change[callee];
                }
                if taken != self.waits[edge] {
                    cost += AGAINST_PRIOR;
                }
            }
            cost += if rest < 0.0 { -OVERSHOOT * rest } else { rest } / scale;
            if cost < best.0 {
                best = (cost, subset);
            }
        }
        noticed.into_iter().enumerate().filter(|(i, _)| best.1 >> i & 1 == 1).map(|(_, c)| c).collect()
    }

    /// Share of each component's change that arrives at the target along the edges that carry trouble.
    fn reach(&self, target: usize, carries: &[f64]) -> Vec<f64> {
        let n = self.scene.components.len();
        let mut reach = vec![0.0; n];
        reach[target] = 1.0;
        // as many rounds as the longest path; call graphs are shallow and shares only shrink, so cycles die out
        for _ in 0..n.min(32) {
            let mut next = vec![0.0; n];
            next[target] = 1.0;
            for (caller, callees) in self.callees.iter().enumerate() {
                for &(edge, callee, _) in callees {
                    if callee != target {
                        next[callee] += carries[edge] * reach[caller];
                    }
                }
            }
            next.iter_mut().for_each(|r| *r = r.min(1.0));
            if next.iter().zip(&reach).all(|(a, b)| (a - b).abs() < 1e-9) {
                break;
            }
            reach = next;
        }
        reach
    }
}

/// Callees of every component with the share of their requests that come from it: counted where the edge says so,
/// else in proportion to the requests of all callers.
fn shares(scene: &Scene) -> Vec<Vec<(usize, usize, f64)>> {
    let usual: Vec<f64> = scene
        .components
        .iter()
        .map(|c| {
            c.series
                .get(&Channel::Requests)
                .and_then(|s| median(known(&s.degraded).chain(known(&s.lead))))
                .unwrap_or(1.0)
        })
        .collect();
    let mut of_callee = vec![0.0; scene.components.len()];
    for edge in &scene.edges {
        if edge.share.is_none() {
            of_callee[edge.to.index()] += usual[edge.from.index()];
        }
    }
    let mut callees = vec![Vec::new(); scene.components.len()];
    for (i, edge) in scene.edges.iter().enumerate() {
        if edge.relation != Relation::Calls {
            continue;
        }
        let (from, to) = (edge.from.index(), edge.to.index());
        let share = edge.share.unwrap_or(if of_callee[to] > 0.0 { usual[from] / of_callee[to] } else { 0.0 });
        callees[from].push((i, to, share.clamp(0.0, 1.0)));
    }
    callees
}
