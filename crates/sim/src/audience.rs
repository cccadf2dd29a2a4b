//! Who watches: people with a country, a network, an app and a device, fixed by who they are.

use crate::prng::{Rng, identity, mix};
use crate::tables::{APPS, COUNTRIES, DEVICES, EXPERIMENTS, ISPS, IspRow};

/// People who may turn up; many more than sessions, so that sessions are nearly independent.
const PEOPLE: u64 = 60_000;

/// How unlike one another people of the same kind are (standard deviation of the logarithm of their times).
const PERSONAL_SPREAD: f64 = 0.16;

/// One user with one device. Indices go into the tables of the same name.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) country: usize,
    pub(crate) isp: usize,
    pub(crate) app: usize,
    pub(crate) device: usize,
    /// Where in `[0, 1)` they stand in the order in which a new app version reaches people.
    pub(crate) rollout_turn: f64,
    /// The same for a flag that is on for some.
    pub(crate) flag_turn: f64,
    /// Cell in each experiment, in the order of [`EXPERIMENTS`].
    pub(crate) cells: Vec<usize>,
    /// Factor on everything they wait for.
    pub(crate) slowness: f64,
}

/// Whom a draw prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// The usual audience.
    Usual,
    /// Newcomers: slow devices, far countries.
    Newcomers,
}

/// Draws the next visitor.
pub(crate) fn visitor(seed: u64, crowd: Crowd, rng: &mut Rng) -> Person {
    let number = rng.next() % PEOPLE;
    match crowd {
        Crowd::Usual => person(identity(seed, "person", number), crowd),
        Crowd::Newcomers => person(identity(seed, "newcomer", number), crowd),
    }
}

/// The person with that identity; always the same one.
fn person(id: u64, crowd: Crowd) -> Person {
    let mut rng = Rng::from_identity(id);
    let newcomers = crowd == Crowd::Newcomers;
    let country = rng.weighted(COUNTRIES.iter().map(|c| {
        let far = c.3 > 50.0;
        if newcomers && far { c.1 * 8.0 } else { c.1 }
    }));
    let code = COUNTRIES[country].0;
    let share = |isp: &IspRow| isp.places.iter().find(|p| p.0 == code).map_or(0.0, |p| p.1);
    let isp = rng.weighted(ISPS.iter().map(share));
    let app = rng.weighted(APPS.iter().map(|a| a.2));
    let device = rng.weighted(DEVICES.iter().map(|d| {
        let slow = d.slowness > 1.1;
        if d.app != APPS[app].0 {
            0.0
        } else if newcomers && slow {
            d.share * 6.0
        } else {
            d.share
        }
    }));
    let cells = (0..EXPERIMENTS.len())
        .map(|e| {
            let mut cell = Rng::from_identity(mix(id ^ identity(0, EXPERIMENTS[e].name, e as u64)));
            cell.weighted(EXPERIMENTS[e].cells.iter().map(|c| c.1))
        })
        .collect();
    let (rollout_turn, flag_turn) = (rng.unit(), rng.unit());
    let slowness = rng.around(1.0, PERSONAL_SPREAD);
    Person { id, country, isp, app, device, rollout_turn, flag_turn, cells, slowness }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(crowd: Crowd) -> Vec<Person> {
        let mut rng = Rng::new(3, "test");
        (0..20_000).map(|_| visitor(3, crowd, &mut rng)).collect()
    }

    fn share(people: &[Person], test: impl Fn(&Person) -> bool) -> f64 {
        people.iter().filter(|p| test(p)).count() as f64 / people.len() as f64
    }

    #[test]
    fn the_usual_audience_has_the_shares_of_the_tables() {
        let people = crowd(Crowd::Usual);
        for (index, country) in COUNTRIES.iter().enumerate() {
            assert!((share(&people, |p| p.country == index) - country.1).abs() < 0.015, "{}", country.0);
        }
        for (index, app) in APPS.iter().enumerate() {
            assert!((share(&people, |p| p.app == index) - app.2).abs() < 0.015, "{}", app.0);
        }
    }

    #[test]
    fn everyone_has_a_network_of_their_country_and_a_device_of_their_app() {
        for person in crowd(Crowd::Usual) {
            assert!(ISPS[person.isp].places.iter().any(|c| c.0 == COUNTRIES[person.country].0));
            assert_eq!(DEVICES[person.device].app, APPS[person.app].0);
        }
    }

    #[test]
    fn cells_are_independent_of_rollout_turns() {
        let people = crowd(Crowd::Usual);
        let early_b = share(&people, |p| p.rollout_turn < 0.5 && p.cells[0] == 1);
        assert!((early_b - 0.25).abs() < 0.015, "{early_b}");
    }

    #[test]
    fn newcomers_have_slower_devices_and_live_farther_away() {
        let (usual, new) = (crowd(Crowd::Usual), crowd(Crowd::Newcomers));
        let slow = |p: &Person| DEVICES[p.device].slowness > 1.1;
        let far = |p: &Person| COUNTRIES[p.country].3 > 50.0;
        assert!(share(&new, slow) > 1.5 * share(&usual, slow));
        assert!(share(&new, far) > 1.5 * share(&usual, far));
    }
}
