//! What stands: services with their operations, two instances of each per region, and the hosts they share.

use crate::prng::{Rng, identity, mix};
use crate::tables::{OPERATIONS, REGIONS, SERVICES, STORE_SYSTEMS};

/// Instances of a service in one region.
pub(crate) const REPLICAS: usize = 2;
/// Hosts in one region: nine instances on each.
pub(crate) const HOSTS: usize = 10;
/// Zones of a region, which hosts take in turn.
const ZONES: &[&str] = &["a", "b", "c"];

/// What a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callee {
    Operation(usize),
    /// System, name and median milliseconds of one access.
    Store(usize),
    Topic(usize),
}

/// A datastore or topic.
pub(crate) struct Store {
    pub(crate) system: &'static str,
    pub(crate) name: &'static str,
    pub(crate) median_ms: f64,
}

/// One thing a service can be asked.
pub(crate) struct Operation {
    pub(crate) service: usize,
    /// Route of an HTTP operation, method of the others.
    pub(crate) name: String,
    pub(crate) own_ms: f64,
    pub(crate) stages: Vec<Vec<Callee>>,
}

/// A machine; the number counts over all regions.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) region: usize,
    pub(crate) zone: String,
    /// Share of its processors in use on an average day.
    pub(crate) usual_cpu: f64,
}

/// Everything that stands.
pub(crate) struct Company {
    pub(crate) seed: u64,
    pub(crate) operations: Vec<Operation>,
    pub(crate) stores: Vec<Store>,
    pub(crate) hosts: Vec<Host>,
    /// Host of each instance place, see [`Company::slot`].
    pub(crate) host_of: Vec<usize>,
}

impl Company {
    pub(crate) fn new(seed: u64) -> Self {
        let mut stores = Vec::new();
        let mut callee = |text: &'static str| -> Option<Callee> {
            let (owner, name) = text.split_once(':')?;
            let median = STORE_SYSTEMS.iter().find(|(system, _)| *system == owner);
            match median {
                Some((system, median_ms)) => {
                    let known = stores.iter().position(|s: &Store| s.system == *system && s.name == name);
                    let index = known.unwrap_or_else(|| {
                        stores.push(Store { system, name, median_ms: *median_ms });
                        stores.len() - 1
                    });
                    Some(if *system == "kafka" { Callee::Topic(index) } else { Callee::Store(index) })
                }
                None => OPERATIONS.iter().position(|o| o.0 == owner && o.1 == name).map(Callee::Operation),
            }
        };
        let operations = OPERATIONS
            .iter()
            .map(|(service, name, own_ms, stages)| Operation {
                service: service_named(service).unwrap_or_default(),
                name: if name.starts_with('/') { (*name).to_string() } else { format!("{service}/{name}") },
                own_ms: *own_ms,
                stages: stages.iter().map(|s| s.iter().filter_map(|c| callee(c)).collect()).collect(),
            })
            .collect();

        let mut rng = Rng::new(seed, "hosts");
        let hosts: Vec<Host> = (0..REGIONS.len() * HOSTS)
            .map(|number| {
                let region = number / HOSTS;
                let (cloud, _, short) = REGIONS[region];
                Host {
                    name: format!("host-{short}-{:02}", number % HOSTS),
                    uid: uuid(identity(seed, "node", number as u64)),
                    region,
                    zone: format!("{cloud}{}", ZONES[number % ZONES.len()]),
                    usual_cpu: rng.range(0.32, 0.52),
                }
            })
            .collect();
        let host_of = place(&mut Rng::new(seed, "placement"));
        Company { seed, operations, stores, hosts, host_of }
    }

    /// The place of an instance, whoever fills it at the moment.
    pub(crate) fn slot(service: usize, region: usize, replica: usize) -> usize {
        (service * REGIONS.len() + region) * REPLICAS + replica
    }

    /// Service, region and replica of a place.
    pub(crate) fn of_slot(slot: usize) -> (usize, usize, usize) {
        let group = slot / REPLICAS;
        (group / REGIONS.len(), group % REGIONS.len(), slot % REPLICAS)
    }

    /// How many places there are.
    pub(crate) fn slots() -> usize {
        SERVICES.len() * REGIONS.len() * REPLICAS
    }

    /// The operation with that name.
    pub(crate) fn operation_named(&self, name: &str) -> Option<usize> {
        self.operations.iter().position(|o| o.name == name)
    }

    /// The version of a service before anything is deployed in this world.
    pub(crate) fn first_version(&self, service: usize) -> String {
        let id = self.first_minor(service);
        format!("2.{id}.{}", mix(id ^ self.seed) % 9)
    }

    /// The version that is deployed next.
    pub(crate) fn next_version(&self, service: usize) -> String {
        format!("2.{}.0", self.first_minor(service) + 1)
    }

    fn first_minor(&self, service: usize) -> u64 {
        1 + identity(self.seed, "version", service as u64) % 40
    }

    /// Every operation that `operation` leads to, itself included, with how many calls it is away.
    pub(crate) fn reach(&self, operation: usize) -> Vec<(usize, usize)> {
        let mut found = vec![(operation, 0)];
        let mut next = 0;
        while let Some(&(at, depth)) = found.get(next) {
            next += 1;
            for callee in self.operations[at].stages.iter().flatten() {
                if let Callee::Operation(to) = *callee
                    && !found.iter().any(|f| f.0 == to)
                {
                    found.push((to, depth + 1));
                }
            }
        }
        found
    }
}

/// Spreads the instances over the hosts of their region: even numbers, replicas of one service on different hosts.
fn place(rng: &mut Rng) -> Vec<usize> {
    let mut host_of = vec![0; Company::slots()];
    for region in 0..REGIONS.len() {
        let mut order: Vec<usize> = (0..SERVICES.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i + 1));
        }
        for (turn, service) in order.into_iter().enumerate() {
            let first = turn % HOSTS;
            let apart = 1 + (turn / HOSTS * 2 + turn % 3) % (HOSTS - 1);
            host_of[Company::slot(service, region, 0)] = region * HOSTS + first;
            host_of[Company::slot(service, region, 1)] = region * HOSTS + (first + apart) % HOSTS;
        }
    }
    host_of
}

/// Index of the service in [`SERVICES`].
pub(crate) fn service_named(name: &str) -> Option<usize> {
    SERVICES.iter().position(|s| s.1 == name)
}

/// Whether the service speaks HTTP; the others speak gRPC.
pub(crate) fn speaks_http(service: usize) -> bool {
    SERVICES[service].1 == "gateway"
}

/// An id in the form of a version 4 UUID.
pub(crate) fn uuid(id: u64) -> String {
    let other = mix(id);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        id >> 32,
        id >> 16 & 0xffff,
        id >> 4 & 0xfff,
        other >> 52,
        other & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_in_the_tables_names_something_that_exists() {
        let company = Company::new(1);
        for (row, operation) in OPERATIONS.iter().zip(&company.operations) {
            assert!(service_named(row.0).is_some(), "{}", row.0);
            let calls: usize = row.3.iter().map(|s| s.len()).sum();
            assert_eq!(calls, operation.stages.iter().map(Vec::len).sum::<usize>(), "{}:{}", row.0, row.1);
        }
    }

    #[test]
    fn every_service_has_an_operation_and_the_lolomo_goes_five_deep() {
        let company = Company::new(1);
        for (index, service) in SERVICES.iter().enumerate() {
            assert!(company.operations.iter().any(|o| o.service == index), "{}", service.1);
        }
        let lolomo = company.operation_named("/api/lolomo").unwrap();
        assert!(company.reach(lolomo).iter().any(|(_, depth)| *depth >= 4));
    }

    #[test]
    fn replicas_of_one_service_never_share_a_host() {
        for seed in 0..20 {
            let company = Company::new(seed);
            for group in company.host_of.chunks(REPLICAS) {
                assert_ne!(group[0], group[1]);
            }
        }
    }
}
