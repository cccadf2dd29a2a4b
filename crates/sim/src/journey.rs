//! What one user waits for: a session's views, and where the time of each goes.

use crate::audience::Person;
use crate::backend::Backend;
use crate::plan::from_ms;
use crate::prng::Rng;
use crate::script::{Fault, Script};
use crate::tables::{
    APP_START, COUNTRIES, DEVICES, EXPERIMENTS, ISPS, LOLOMO, LOLOMO_ROWS, SEARCH_BLEND, VIEWS,
};

/// How far times on a device and on the way scatter (standard deviation of the logarithm).
const CLIENT_SPREAD: f64 = 0.25;
/// Share of views that need a new connection.
const NEW_CONNECTION: f64 = 0.4;
/// Share of views that fail on the device on any day.
const USUAL_FAILURES: f64 = 0.003;
/// Share of views that users give up on.
const ABANDONED: f64 = 0.006;

/// One continuous use of an app.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) person: Person,
    pub(crate) began_ns: i64,
    /// Index in the versions of the person's app.
    pub(crate) version: usize,
    /// `(experiment, cell)` indices it is allocated to.
    pub(crate) cells: Vec<(usize, usize)>,
    /// `(flag index, on)` as evaluated at its start.
    pub(crate) flags: Vec<(usize, bool)>,
}

impl Session {
    pub(crate) fn new(id: u64, person: Person, began_ns: i64, script: &Script) -> Self {
        let version = script.app_version(person.app, person.rollout_turn, began_ns);
        let cells = (0..EXPERIMENTS.len())
            .filter(|e| *e != SEARCH_BLEND || began_ns >= script.search_blend_from_ns)
            .map(|e| (e, person.cells[e]))
            .collect();
        let flags = script
            .switchings
            .iter()
            .map(|s| (s.flag, script.flag_on(s.flag, person.flag_turn, began_ns)))
            .collect();
        Session { id, person, began_ns, version, cells, flags }
    }

    /// The views of this session with the moments they are asked for.
    pub(crate) fn views(&self, rng: &mut Rng) -> Vec<(i64, usize)> {
        let mut at = self.began_ns;
        let mut views = Vec::new();
        if rng.chance(0.6) {
            views.push((at, APP_START));
            at += from_ms(rng.around(4_000.0, 0.3));
        }
        views.push((at, LOLOMO));
        for _ in 0..rng.count(2.6) {
            at += from_ms(rng.around(35_000.0, 0.7));
            views.push((at, rng.weighted(VIEWS.iter().map(|v| v.4))));
        }
        views
    }
}

/// How a view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    Abandoned,
}

/// Where the time of one view went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rendered {
    pub(crate) view: usize,
    pub(crate) at_ns: i64,
    pub(crate) main_ms: f64,
    /// `None` when a connection was open already.
    pub(crate) connect_ms: Option<f64>,
    pub(crate) trip_ms: f64,
    pub(crate) backend_ms: f64,
    pub(crate) image_ms: f64,
    pub(crate) outcome: Outcome,
    pub(crate) backend_failed: bool,
}

impl Rendered {
    /// Work on the main thread before the request leaves.
    pub(crate) fn before_ms(&self) -> f64 {
        self.main_ms * 0.3
    }

    /// Time to render.
    pub(crate) fn ttr_ms(&self) -> f64 {
        self.main_ms + self.connect_ms.unwrap_or_default() + self.trip_ms + self.backend_ms + self.image_ms
    }
}

/// Renders one view of a session; the hops of the backend are left in `backend`.
pub(crate) fn render(
    session: &Session,
    view: usize,
    operation: usize,
    backend: &mut Backend<'_>,
) -> Rendered {
    let (script, at_ns, person) = (backend.script, backend.at_ns, &session.person);
    let (device, country, isp) = (&DEVICES[person.device], &COUNTRIES[person.country], &ISPS[person.isp]);
    let (_, _, main, image, _) = VIEWS[view];
    let slow = person.slowness;
    let on = at_ns >= script.onset_ns;

    let (mut main_factor, mut trips, mut images, mut failures) = (1.0, 1.0, 1.0, USUAL_FAILURES);
    match script.fault {
        Fault::VersionCell { factor } if guilty_cell(session) && view == LOLOMO => main_factor = factor,
        Fault::Network { isp, country, trips: t, images: i }
            if on && (isp, country) == (person.isp, person.country) =>
        {
            (trips, images) = (t, i);
        }
        Fault::Flag { maker, factor, failures: share }
            if device.maker == maker && has_switched_flag(session, script) =>
        {
            (main_factor, failures) = (factor, share);
        }
        _ => {}
    }

    let rng = &mut *backend.rng;
    let trip = rng.around(country.3 * isp.slowness * trips, CLIENT_SPREAD);
    let connect_ms = rng.chance(NEW_CONNECTION).then(|| trip * rng.range(1.9, 2.4) + 8.0);
    let main_ms = rng.around(main * device.slowness * main_factor * slow, CLIENT_SPREAD);
    let far = 0.75 + country.3 / 120.0;
    let image_ms =
        rng.around(image * isp.slowness * far * images * slow * device.slowness.sqrt(), CLIENT_SPREAD);
    let broken = rng.chance(failures);
    let abandoned = rng.chance(ABANDONED);
    let (backend_ms, backend_failed) = backend.answer(operation, country.2);
    let outcome = match (broken || backend_failed, abandoned) {
        (true, _) => Outcome::Error,
        (_, true) => Outcome::Abandoned,
        _ => Outcome::Ok,
    };
    Rendered {
        view,
        at_ns,
        main_ms,
        connect_ms,
        trip_ms: trip * 1.2,
        backend_ms,
        image_ms,
        outcome,
        backend_failed,
    }
}

/// Whether the session is in the version and cell that do not go together.
pub(crate) fn guilty_cell(session: &Session) -> bool {
    session.person.app == 0 && session.version == 2 && session.cells.contains(&(LOLOMO_ROWS, 1))
}

/// Whether the first flag of the script, the one that can be at fault, is on for the session.
fn has_switched_flag(session: &Session, script: &Script) -> bool {
    script.switchings.first().is_some_and(|s| session.flags.contains(&(s.flag, true)))
}
