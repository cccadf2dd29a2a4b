//! The sealed answer of a world. Only the scorer reads it; nothing that answers questions may.

use crate::company::Company;
use crate::plan::{Plan, SECOND, Scenario};
use crate::script::{Fault, Script};
use crate::tables::{
    APPS, COUNTRIES, DEVICES, EXPERIMENTS, FLAGS, ISPS, IspRow, LOLOMO_ROWS, REGIONS, SERVICES,
};
use serde::Serialize;

/// Where the trouble sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The app on the user's device, and what switches it.
    Client,
    /// Between the app and us.
    Network,
    /// Services and what they stand on.
    Backend,
    /// Nowhere: nothing is wrong.
    None,
}

impl Tier {
    /// The word used in answers.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Client => "client",
            Tier::Network => "network",
            Tier::Backend => "backend",
            Tier::None => "none",
        }
    }
}

/// A thing, by class of the ontology and name; parts of a name are joined by `/`, the most specific last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entity {
    /// Class.
    pub class: String,
    /// Name.
    pub name: String,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// `interaction`, `change`, `network`, `infrastructure` or `flag`.
    pub kind: &'static str,
    /// Every group must be named; any member of a group names it (they are the same thing in other words).
    pub required: Vec<Vec<Entity>>,
    /// True of the cause and fine to name, but not asked for.
    pub also: Vec<Entity>,
}

/// What really happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// Which world it is.
    pub scenario: &'static str,
    /// Nothing is wrong, whatever it looks like.
    pub healthy: bool,
    /// Where the trouble sits.
    pub tier: Tier,
    /// When it set in, in nanoseconds since 1970; the beginning of the world when healthy.
    pub onset_ns: i64,
    /// One, or none when healthy.
    pub causes: Vec<Cause>,
}

/// The answer of the world of that plan.
pub fn truth(plan: &Plan) -> Truth {
    let company = Company::new(plan.seed);
    let script = Script::new(plan, &company);
    let (tier, cause) = match script.fault {
        Fault::None | Fault::Surge { .. } => (Tier::None, None),
        Fault::VersionCell { .. } => {
            let version = APPS[0].4.last().copied().unwrap_or_default();
            let required = vec![
                vec![entity("AppVersion", format!("{}/{version}", APPS[0].0))],
                vec![entity("Cell", format!("{}/B", EXPERIMENTS[LOLOMO_ROWS].name))],
            ];
            (
                Tier::Client,
                Some(Cause { kind: "interaction", required, also: vec![entity("View", "tvui/lolomo")] }),
            )
        }
        Fault::Deployment { .. } => (
            Tier::Backend,
            script.guilty_deployment().map(|d| {
                let name = SERVICES[d.service].1;
                let mut words =
                    vec![entity("ServiceVersion", format!("{name}/{}", d.version)), entity("Service", name)];
                words.push(entity("Deployment", d.id.clone()));
                for region in &d.regions {
                    let cluster = REGIONS[*region].1;
                    words.push(entity("Deployment", format!("{}@{cluster}", d.id)));
                }
                let also = d.regions.iter().map(|r| entity("Region", REGIONS[*r].0)).collect();
                Cause { kind: "change", required: vec![words], also }
            }),
        ),
        Fault::Network { isp, country, .. } => {
            let IspRow { asn, name, .. } = &ISPS[isp];
            let required = vec![vec![entity("Isp", asn.to_string()), entity("Isp", *name)]];
            let also = vec![entity("Place", COUNTRIES[country].0)];
            (Tier::Network, Some(Cause { kind: "network", required, also }))
        }
        Fault::Host { host, .. } => {
            let host = &company.hosts[host];
            let required = vec![vec![entity("Host", host.name.clone()), entity("Host", host.uid.clone())]];
            (Tier::Backend, Some(Cause { kind: "infrastructure", required, also: Vec::new() }))
        }
        Fault::Flag { maker, .. } => {
            let switching = script.switchings.first();
            let name = switching.map_or("", |s| FLAGS[s.flag]);
            let at = switching.map_or(0, |s| s.at_ns / SECOND);
            let words = vec![
                entity("Flag", format!("default/{name}")),
                entity("Variant", format!("default/{name}/on")),
                entity("FlagChange", format!("flag-{name}-{at}")),
            ];
            let models = DEVICES.iter().filter(|d| d.maker == maker);
            let also = models.map(|d| entity("DeviceModel", format!("{}/{}", d.maker, d.model))).collect();
            (Tier::Client, Some(Cause { kind: "flag", required: vec![words], also }))
        }
    };
    let healthy = matches!(plan.scenario, Scenario::Healthy | Scenario::SurgeAndMix);
    debug_assert_eq!(healthy, cause.is_none());
    let onset_ns = if healthy { plan.start_ns } else { script.onset_ns };
    Truth { scenario: plan.scenario.name(), healthy, tier, onset_ns, causes: cause.into_iter().collect() }
}

fn entity(class: &str, name: impl Into<String>) -> Entity {
    Entity { class: class.to_string(), name: name.into() }
}
