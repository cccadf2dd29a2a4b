//! What happens and when: the fault of the scenario, and the decoys that any day has.

use crate::company::{Company, service_named};
use crate::plan::{MINUTE, Plan, SECOND, Scenario};
use crate::prng::Rng;
use crate::tables::{APPS, COUNTRIES, DEVICES, FLAGS, ISPS, REGIONS, SERVICES};

/// The one thing that is really wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// TV UI's newest version in cell B: factor on the main thread time of the lolomo.
    VersionCell {
        factor: f64,
    },
    /// The deployment of that index: milliseconds added to each of its service's answers where it runs, and how many fail.
    Deployment {
        index: usize,
        extra_ms: f64,
        failures: f64,
    },
    /// A network in a country: factors on round trips (and so connections) and on images.
    Network {
        isp: usize,
        country: usize,
        trips: f64,
        images: f64,
    },
    /// A host whose processors are this busy.
    Host {
        host: usize,
        busy: f64,
    },
    /// The flag on the devices of one maker: factor on main thread time, and how many renders fail.
    Flag {
        maker: &'static str,
        factor: f64,
        failures: f64,
    },
    /// More sessions, the additional ones by newcomers: additional sessions as a share of the usual ones.
    Surge {
        more: f64,
    },
}

/// A new version of a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) service: usize,
    /// Region indices it goes to.
    pub(crate) regions: Vec<usize>,
    pub(crate) at_ns: i64,
    pub(crate) version: String,
    pub(crate) before: String,
}

/// One step in bringing the newest version of an app to its users.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RolloutStep {
    pub(crate) app: usize,
    pub(crate) at_ns: i64,
    /// Share of users that have it from now on.
    pub(crate) share: f64,
}

/// A flag that is switched within the world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Switching {
    /// Index in [`FLAGS`].
    pub(crate) flag: usize,
    pub(crate) at_ns: i64,
    /// Share of users it is on for, afterwards.
    pub(crate) share: f64,
}

/// An alert that fires and ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlertPlan {
    pub(crate) rule: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) service: usize,
    pub(crate) region: usize,
    pub(crate) from_ns: i64,
    /// `None` while it still fires at the end of the world.
    pub(crate) until_ns: Option<i64>,
}

/// Everything that happens in one world.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) plan: Plan,
    pub(crate) fault: Fault,
    pub(crate) onset_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) rollouts: Vec<RolloutStep>,
    pub(crate) switchings: Vec<Switching>,
    /// When the decoy experiment starts.
    pub(crate) search_blend_from_ns: i64,
    /// A configuration change without effect: service and time.
    pub(crate) config_changes: Vec<(usize, i64)>,
    pub(crate) alerts: Vec<AlertPlan>,
}

/// Networks with fewer users than this share of all are too small to be missed on the scale of a world.
const SMALLEST_NETWORK: f64 = 0.045;

/// Services three or four hops below the gateway that the lolomo waits for.
const DEEP: &[&str] =
    &["recommender", "image-selector", "genre-index", "personal-rows", "ranker", "feature-store"];

/// Makers whose devices are common enough to carry a fault, and the app they run.
pub(crate) const MAKERS: &[(&str, usize)] = &[("Kanto", 0), ("Solara", 0), ("Veda", 0), ("Minato", 2)];

impl Script {
    pub(crate) fn new(plan: &Plan, company: &Company) -> Self {
        let label = plan.scenario.name();
        let mut rng = Rng::new(plan.seed, label);
        let start = plan.start_ns;
        let end_ns = start + i64::from(plan.scale.minutes) * MINUTE;
        let onset_ns = start
            + i64::from(plan.scale.onset_minute) * MINUTE
            + (rng.range(-5.0, 5.0) * 60.0) as i64 * SECOND;
        let mut script = Script {
            plan: *plan,
            fault: Fault::None,
            onset_ns,
            end_ns,
            deployments: Vec::new(),
            rollouts: Vec::new(),
            switchings: Vec::new(),
            search_blend_from_ns: onset_ns + (rng.range(-25.0, 15.0) * 60.0) as i64 * SECOND,
            config_changes: Vec::new(),
            alerts: Vec::new(),
        };
        script.add_fault(company, &mut rng);
        script.add_decoys(company, &mut rng);
        script.deployments.sort_by_key(|d| d.at_ns);
        if let Fault::Deployment { index, .. } = &mut script.fault {
            *index = script.deployments.iter().position(|d| d.at_ns == onset_ns).unwrap_or_default();
        }
        script.rollouts.sort_by_key(|r| r.at_ns);
        script.alerts.sort_by_key(|a| a.from_ns);
        script
    }

    fn add_fault(&mut self, company: &Company, rng: &mut Rng) {
        let onset = self.onset_ns;
        match self.plan.scenario {
            Scenario::VersionCell => self.fault = Fault::VersionCell { factor: rng.range(1.65, 1.95) },
            Scenario::BackendDependency => {
                let service = rng.pick(DEEP).and_then(|n| service_named(n)).unwrap_or_default();
                let region = rng.weighted([0.45, 0.45, 0.1].into_iter());
                let deployment = self.deployment(company, service, vec![region], onset);
                self.deployments.push(deployment);
                self.fault = Fault::Deployment {
                    index: 0,
                    extra_ms: rng.range(300.0, 420.0),
                    failures: rng.range(0.01, 0.03),
                };
                let symptoms = [("SlowRequests", "gateway"), ("SlowRequests", "lolomo")];
                for (rule, name) in symptoms {
                    self.alert(
                        rule,
                        "critical",
                        name,
                        region,
                        onset + (rng.range(5.0, 9.0) * 60.0) as i64 * SECOND,
                        None,
                    );
                }
            }
            Scenario::NetworkProvider => {
                let places: Vec<(usize, usize)> = (0..ISPS.len())
                    .flat_map(|isp| (0..COUNTRIES.len()).map(move |country| (isp, country)))
                    .filter(|(isp, country)| network_share(*isp, *country) >= SMALLEST_NETWORK)
                    .collect();
                let (isp, country) = rng.pick(&places).copied().unwrap_or_default();
                let (trips, images) = (rng.range(3.2, 4.2), rng.range(1.9, 2.4));
                self.fault = Fault::Network { isp, country, trips, images };
            }
            Scenario::HostSaturation => {
                let region = rng.weighted([0.5, 0.5].into_iter());
                let host = crowded_host(company, region, rng);
                self.fault = Fault::Host { host, busy: rng.range(0.955, 0.965) };
                let at = onset + (rng.range(6.0, 9.0) * 60.0) as i64 * SECOND;
                self.alert("SlowRequests", "critical", "gateway", region, at, None);
            }
            Scenario::FeatureFlag => {
                let maker = rng.pick(MAKERS).map_or("Kanto", |m| m.0);
                self.fault =
                    Fault::Flag { maker, factor: rng.range(1.7, 2.0), failures: rng.range(0.03, 0.06) };
            }
            Scenario::SurgeAndMix => {
                self.fault = Fault::Surge { more: rng.range(0.8, 1.2) };
                self.alert("TrafficHigh", "warning", "gateway", rng.below(2), onset + 8 * MINUTE, None);
            }
            Scenario::Healthy => {}
        }
    }

    fn add_decoys(&mut self, company: &Company, rng: &mut Rng) {
        let (start, end, onset) = (self.plan.start_ns, self.end_ns, self.onset_ns);
        let minutes = |m: f64| (m * 60.0) as i64 * SECOND;
        // deployments: some long before, three around the onset, one of them in a single region
        for turn in 0..8 {
            let service = rng.below(SERVICES.len());
            let near = turn < 3;
            let at = if near {
                onset + minutes(rng.range(-12.0, 8.0))
            } else {
                start + minutes(rng.range(6.0, 100.0))
            };
            let regions =
                if turn == 0 { vec![rng.below(REGIONS.len())] } else { (0..REGIONS.len()).collect() };
            let taken = self.deployments.iter().any(|d| d.service == service || d.at_ns == at);
            if !taken && at != onset && at < end - 5 * MINUTE {
                let deployment = self.deployment(company, service, regions, at);
                self.deployments.push(deployment);
            }
        }
        // rollouts: TV UI's at the onset when it matters, and in every world the newest version of each app arrives
        for (app, row) in APPS.iter().enumerate() {
            let first = if app == 0 && self.plan.scenario == Scenario::VersionCell {
                onset
            } else if app == 0 {
                onset + minutes(rng.range(-30.0, 5.0))
            } else {
                start + minutes(rng.range(-200.0, 90.0))
            };
            debug_assert!(!row.4.is_empty());
            for (after, share) in [(0.0, 0.12), (8.0, 0.3), (18.0, 0.5)] {
                self.rollouts.push(RolloutStep { app, at_ns: first + minutes(after), share });
            }
        }
        // flags: one is switched in every world; only in one scenario does it harm
        let flag = rng.below(FLAGS.len());
        let at = match self.plan.scenario {
            Scenario::FeatureFlag => onset,
            _ => onset + minutes(rng.range(-20.0, 12.0)),
        };
        self.switchings.push(Switching { flag, at_ns: at, share: 0.5 });
        let second = (flag + 1 + rng.below(FLAGS.len() - 1)) % FLAGS.len();
        self.switchings.push(Switching {
            flag: second,
            at_ns: start + minutes(rng.range(8.0, 40.0)),
            share: 0.3,
        });
        for _ in 0..3 {
            self.config_changes.push((rng.below(SERVICES.len()), start + minutes(rng.range(10.0, 100.0))));
        }
        self.config_changes.sort_by_key(|c| c.1);
        // two services whose alerts flap all day
        for _ in 0..2 {
            let (service, region) = (rng.below(SERVICES.len()), rng.below(REGIONS.len()));
            let mut at = start + minutes(rng.range(2.0, 15.0));
            while at < end {
                let until = at + minutes(rng.range(1.5, 5.0));
                let until_ns = (until < end).then_some(until);
                self.alert("ErrorBudgetBurn", "warning", SERVICES[service].1, region, at, until_ns);
                at = until + minutes(rng.range(6.0, 22.0));
            }
        }
    }

    fn deployment(&self, company: &Company, service: usize, regions: Vec<usize>, at_ns: i64) -> Deployment {
        let place: Vec<&str> = regions.iter().map(|r| REGIONS[*r].2).collect();
        let version = company.next_version(service);
        let id = format!("deploy-{}-{version}-{}", SERVICES[service].1, place.join("-"));
        Deployment { id, service, regions, at_ns, version, before: company.first_version(service) }
    }

    fn alert(
        &mut self,
        rule: &'static str,
        severity: &'static str,
        service: &str,
        region: usize,
        from_ns: i64,
        until_ns: Option<i64>,
    ) {
        let service = service_named(service).unwrap_or_default();
        self.alerts.push(AlertPlan { rule, severity, service, region, from_ns, until_ns });
    }

    /// Version of an app that a person with that turn has: index in the app's versions.
    pub(crate) fn app_version(&self, app: usize, turn: f64, at_ns: i64) -> usize {
        let versions = APPS[app].4.len();
        let share = self
            .rollouts
            .iter()
            .filter(|s| s.app == app && s.at_ns <= at_ns)
            .map(|s| s.share)
            .fold(0.0, f64::max);
        if turn < share {
            versions - 1
        } else if versions > 2 && turn > 0.82 {
            // those whose device cannot update; taken from the other end, so that the rollout never crosses them
            versions - 3
        } else {
            versions - 2
        }
    }

    /// Whether a flag is on for a person with that turn.
    pub(crate) fn flag_on(&self, flag: usize, turn: f64, at_ns: i64) -> bool {
        self.switchings.iter().any(|s| s.flag == flag && s.at_ns <= at_ns && turn < s.share)
    }

    /// The deployment at fault, when one is.
    pub(crate) fn guilty_deployment(&self) -> Option<&Deployment> {
        match self.fault {
            Fault::Deployment { index, .. } => self.deployments.get(index),
            _ => None,
        }
    }

    /// What someone on call would ask at the end of this world.
    pub(crate) fn question(&self) -> String {
        match self.fault {
            Fault::None | Fault::VersionCell { .. } => {
                "Why is TV UI lolomo TTR regressing in the latest version?".to_string()
            }
            Fault::Deployment { .. } | Fault::Host { .. } => "Why is lolomo TTR regressing?".to_string(),
            Fault::Network { country, .. } => format!("Why is TTR regressing in {}?", COUNTRIES[country].0),
            Fault::Flag { maker, .. } => {
                let app = DEVICES.iter().find(|d| d.maker == maker).map_or("tvui", |d| d.app);
                let app = if app == "tvui" { "TV UI" } else { app };
                format!("Why is {app} lolomo TTR regressing?")
            }
            Fault::Surge { .. } => "Why is lolomo TTR regressing?".to_string(),
        }
    }
}

/// Share of all users on that network in that country.
pub(crate) fn network_share(isp: usize, country: usize) -> f64 {
    let (code, users, ..) = COUNTRIES[country];
    // its users in India cannot be asked about: the code reads as the word "in"
    if code == "IN" {
        return 0.0;
    }
    ISPS[isp].places.iter().find(|p| p.0 == code).map_or(0.0, |p| p.1 * users)
}

/// One of the three hosts of a region on which most of what the lolomo waits for runs.
fn crowded_host(company: &Company, region: usize, rng: &mut Rng) -> usize {
    let lolomo = company.operation_named("/api/lolomo").unwrap_or_default();
    let on_path: Vec<usize> =
        company.reach(lolomo).iter().map(|(op, _)| company.operations[*op].service).collect();
    let mut hosts: Vec<(usize, usize)> = company
        .hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| host.region == region)
        .map(|(index, _)| {
            let runs = (0..Company::slots()).filter(|slot| company.host_of[*slot] == index);
            (runs.filter(|slot| on_path.contains(&Company::of_slot(*slot).0)).count(), index)
        })
        .collect();
    hosts.sort_by_key(|(count, index)| (std::cmp::Reverse(*count), *index));
    hosts.get(rng.below(3)).map_or(0, |h| h.1)
}
