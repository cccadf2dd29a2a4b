//! What components that share a machine, a version or anything else that can run out suffer together.

use crate::rank::Evidence;
use crate::scene::{Relation, Scene, Spot};

/// The smallest part of the loss that is worth naming, as for a single component.
const NAMED_PART: f64 = 0.02;
/// Own change, in healthy spreads, from which a dependent counts as troubled, and below which as calm.
const TROUBLED_SPREADS: f64 = 3.0;
/// Fewest troubled dependents that point below them by themselves; one alone is likelier its own cause.
const TOGETHER: u32 = 2;

/// What dependents say of the thing below them.
pub(crate) struct Dependents<'a> {
    /// The part of the target's loss that each component adds itself.
    pub(crate) part: &'a [f64],
    /// Own change of each component in healthy spreads.
    pub(crate) z: &'a [f64],
    /// Whether each was measured.
    pub(crate) measured: &'a [bool],
}

/// Evidence that `below` takes several dependents with it: the loss they add together, less those that are well although
/// they depend on it just as much (`Σ ln(1 − prior)` over the calm ones).
pub(crate) fn shared_fate(scene: &Scene, below: Spot, dependents: &Dependents<'_>) -> Option<Evidence> {
    let (mut together, mut troubled, mut calm, mut doubt) = (0.0, 0_u32, 0_u32, 0.0);
    for edge in scene.edges.iter().filter(|e| e.to == below && e.relation != Relation::Calls) {
        let v = edge.from.index();
        if !dependents.measured[v] {
            continue;
        }
        if dependents.z[v] >= TROUBLED_SPREADS {
            troubled += 1;
            together += dependents.part[v];
        } else {
            calm += 1;
            doubt += (1.0 - edge.prior.min(0.99)).ln();
        }
    }
    if troubled < TOGETHER || together <= 0.0 {
        return None;
    }
    let together = together.min(1.0);
    Some(Evidence {
        channel: "shared fate",
        llr: (together / NAMED_PART).ln() + doubt,
        healthy: f64::from(calm),
        degraded: f64::from(troubled),
        note: format!(
            "dependents that are well, and that are troubled; the latter add {:.0} % of the loss together",
            100.0 * together
        ),
    })
}
