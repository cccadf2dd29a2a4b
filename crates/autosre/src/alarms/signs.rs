//! What speaks for a component's being the cause, read off an alarm graph: signs that mean the same in any system, and signs that only
//! past failures of the same system give a meaning to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::usual::{Counted, Usual};
use super::{AlarmGraph, Complaint, Component, Direction, Resource, Role, Token};

/// Where an alarm comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A metric of its own.
    Metric,
    /// A call to it.
    CalledFor,
    /// A call that it makes.
    Calls,
    /// A span of its own.
    Within,
    /// A log.
    Log,
}

/// What an alarm says, in words that mean the same in any system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sense {
    /// A metric of this sort left its range this way.
    Metric(Resource, Direction),
    /// A call is complained about.
    Call(Role, Complaint),
    /// A log template stands out.
    Log,
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Amount {
    /// Whether there is any.
    Any,
    /// How many alarms.
    Count,
    /// Their surprise in all.
    Surprise,
    /// The surprise of the most surprising one.
    Strangest,
}

/// How a component compares with the others of the same failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rivalry {
    /// Its part of the failure's surprise.
    Part,
    /// None has more surprise.
    Most,
    /// Its surprise beyond the mean of its replicas.
    BeyondReplicas,
    /// More alarms than it uses to have, in a failure as loud as this one.
    Excess,
    /// Fewer alarms than it uses to have, in a failure as loud as this one.
    Deficit,
}

/// Where a component stands among alarmed calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It is complained about.
    Blamed,
    /// It complains about others.
    Complaining,
    /// Both: its callees may explain what is said of it.
    Between,
    /// How many complain about it.
    Callers,
    /// How many it complains about.
    Callees,
    /// The surprise of the most surprising callee that it complains about.
    WorstCallee,
    /// The surprise of the most surprising caller that complains about it.
    WorstCaller,
    /// Callers' own spans for an operation that it answers are complained about, and nobody's answering is: the way between them.
    UnansweredFor(Complaint),
    /// The same, with its answering complained about.
    AnsweredFor(Complaint),
    /// The same, with a replica's answering complained about.
    AnsweredByOthers(Complaint),
}

/// Something that may speak for or against a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// What its alarms say.
    Told(Sense, Amount),
    /// How it compares with the others.
    Against(Kind, Rivalry),
    /// Where it stands.
    Place(Place),
    /// That it is this component: what fails often fails again.
    Is(String),
    /// That it is a copy of this workload.
    CopyOf(String),
    /// That it tells this, whoever it is.
    Token(Token),
    /// That a copy of this workload tells this.
    TokenOf(String, Token),
}

impl Sign {
    /// Whether it means the same in a system that was never seen.
    pub fn travels(&self) -> bool {
        matches!(self, Sign::Told(..) | Sign::Against(..) | Sign::Place(_))
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sign::Told(sense, amount) => write!(f, "{amount:?} of {sense:?}"),
            Sign::Against(kind, rivalry) => write!(f, "{rivalry:?} in {kind:?}"),
            Sign::Place(place) => write!(f, "{place:?}"),
            Sign::Is(name) => write!(f, "failures of {name}"),
            Sign::CopyOf(name) => write!(f, "failures of copies of {name}"),
            Sign::Token(token) => write!(f, "{token}"),
            Sign::TokenOf(name, token) => write!(f, "{token}, of {name}"),
        }
    }
}

impl Token {
    fn sense(&self) -> Sense {
        match self {
            Token::Metric { metric, direction } => Sense::Metric(Resource::of(metric), *direction),
            Token::Call { role, complaint, .. } => Sense::Call(*role, *complaint),
            Token::Log { .. } => Sense::Log,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Token::Metric { .. } => Kind::Metric,
            Token::Call { role: Role::Callee, .. } => Kind::CalledFor,
            Token::Call { role: Role::Caller, .. } => Kind::Calls,
            Token::Call { role: Role::Within, .. } => Kind::Within,
            Token::Log { .. } => Kind::Log,
        }
    }
}

/// The kinds of alarms.
const KINDS: [Kind; 5] = [Kind::Metric, Kind::CalledFor, Kind::Calls, Kind::Within, Kind::Log];

/// Divisors that bring signs to sizes around one, so that one ridge fits all: counts of alarms of a sense are around five, surprises of
/// one alarm up to five nats, of a component's alarms up to thirty.
const ALARMS: f64 = 5.0;
/// See [`ALARMS`].
const NATS: f64 = 5.0;
/// See [`ALARMS`].
const NATS_IN_ALL: f64 = 10.0;
/// See [`ALARMS`]: neighbours and deviations are few.
const FEW: f64 = 3.0;

/// Every component's signs with their sizes, by place; a sign without size is not listed.
pub(super) fn signs(graph: &AlarmGraph, usual: &Usual, counted: Counted) -> Vec<Vec<(Sign, f64)>> {
    let all = graph.components();
    let figures: Vec<Figures> = all.iter().map(|c| Figures::of(c, usual, counted)).collect();
    let mut signs: Vec<Vec<(Sign, f64)>> =
        all.iter().zip(&figures).map(|(component, own)| own_signs(component, own)).collect();
    for kind in KINDS {
        rivalry(all, &figures, kind, &mut signs);
    }
    places(graph, usual, &figures, &mut signs);
    signs
}

/// Sums over a component's alarms.
#[derive(Default)]
struct Figures {
    /// Count, surprise in all, largest surprise.
    senses: BTreeMap<Sense, (f64, f64, f64)>,
    /// Count now, usual count, surprise in all.
    kinds: BTreeMap<Kind, (f64, f64, f64)>,
}

impl Figures {
    fn of(component: &Component, usual: &Usual, counted: Counted) -> Self {
        let mut figures = Self::default();
        for token in &component.told {
            let surprise = usual.surprise(&component.name, token, counted);
            let sense = figures.senses.entry(token.sense()).or_default();
            *sense = (sense.0 + 1.0, sense.1 + surprise, sense.2.max(surprise));
            let kind = figures.kinds.entry(token.kind()).or_default();
            (kind.0, kind.2) = (kind.0 + 1.0, kind.2 + surprise);
        }
        for (token, share) in usual.habits(&component.name, &component.told, counted) {
            figures.kinds.entry(token.kind()).or_default().1 += share;
        }
        figures
    }

    fn surprise(&self, kind: Kind) -> f64 {
        self.kinds.get(&kind).map_or(0.0, |k| k.2)
    }
}

fn own_signs(component: &Component, figures: &Figures) -> Vec<(Sign, f64)> {
    let mut signs =
        vec![(Sign::Is(component.name.clone()), 1.0), (Sign::CopyOf(component.workload.clone()), 1.0)];
    for (sense, (count, surprise, strangest)) in &figures.senses {
        signs.extend([
            (Sign::Told(*sense, Amount::Any), 1.0),
            (Sign::Told(*sense, Amount::Count), count / ALARMS),
            (Sign::Told(*sense, Amount::Surprise), surprise / NATS),
            (Sign::Told(*sense, Amount::Strangest), strangest / NATS),
        ]);
    }
    for token in &component.told {
        if token.kind() != Kind::Log {
            // a template's name means nothing beyond its workload
            signs.push((Sign::Token(token.clone()), 1.0));
        }
        signs.push((Sign::TokenOf(component.workload.clone(), token.clone()), 1.0));
    }
    signs
}

fn rivalry(all: &[Component], figures: &[Figures], kind: Kind, signs: &mut [Vec<(Sign, f64)>]) {
    let of = |f: &Figures| f.kinds.get(&kind).copied().unwrap_or_default();
    let total: f64 = figures.iter().map(|f| f.surprise(kind)).sum();
    let most = figures.iter().map(|f| f.surprise(kind)).fold(0.0, f64::max);
    let (now, usually) = figures.iter().map(of).fold((0.0, 0.0), |sum, f| (sum.0 + f.0, sum.1 + f.1));
    let loudness = if usually > 0.0 { now / usually } else { 0.0 };
    let mut replicas: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (component, figures) in all.iter().zip(figures) {
        let sum = replicas.entry(&component.workload).or_default();
        *sum = (sum.0 + 1.0, sum.1 + figures.surprise(kind));
    }
    for ((component, figures), signs) in all.iter().zip(figures).zip(signs) {
        let own = figures.surprise(kind);
        let mut push = |rivalry, size: f64| {
            if size != 0.0 {
                signs.push((Sign::Against(kind, rivalry), size));
            }
        };
        if total > 0.0 {
            push(Rivalry::Part, FEW * own / total);
            push(Rivalry::Most, f64::from(u8::from(own == most)));
        }
        if let Some((copies, sum)) = replicas.get(component.workload.as_str()).filter(|r| r.0 > 1.0) {
            push(Rivalry::BeyondReplicas, (own - (sum - own) / (copies - 1.0)) / NATS_IN_ALL);
        }
        let (count, usual, _) = of(figures);
        let expected = usual * loudness;
        // Pearson's residual; the one keeps what was never expected finite.
        let beyond = (count - expected) / (expected + 1.0).sqrt() / FEW;
        push(if beyond > 0.0 { Rivalry::Excess } else { Rivalry::Deficit }, beyond.abs());
    }
}

fn places(graph: &AlarmGraph, usual: &Usual, figures: &[Figures], signs: &mut [Vec<(Sign, f64)>]) {
    let all = graph.components();
    let mut callers: Vec<BTreeSet<Option<usize>>> = vec![BTreeSet::new(); all.len()];
    let mut callees = callers.clone();
    let mut answered: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for call in graph.calls().filter(|call| call.caller != call.callee) {
        if let Some(slot) = call.callee.and_then(|i| callers.get_mut(i)) {
            slot.insert(call.caller);
        }
        if let Some(slot) = call.caller.and_then(|i| callees.get_mut(i)) {
            slot.insert(call.callee);
        }
        if let Some(callee) = call.callee {
            answered.entry(&call.operation).or_default().insert(callee);
        }
    }
    let worst = |ends: &BTreeSet<Option<usize>>| {
        let surprises =
            ends.iter().flatten().filter_map(|i| figures.get(*i)).map(|f| f.surprise(Kind::Metric));
        surprises.fold(0.0, f64::max) / NATS_IN_ALL
    };
    for ((own, asked), signs) in callers.iter().zip(&callees).zip(&mut *signs) {
        let (blamed, complaining) = (!own.is_empty(), !asked.is_empty());
        for (place, size) in [
            (Place::Blamed, f64::from(u8::from(blamed))),
            (Place::Complaining, f64::from(u8::from(complaining))),
            (Place::Between, f64::from(u8::from(blamed && complaining))),
            (Place::Callers, own.len() as f64 / FEW),
            (Place::Callees, asked.len() as f64 / FEW),
            (Place::WorstCallee, worst(asked)),
            (Place::WorstCaller, worst(own)),
        ] {
            if size != 0.0 {
                signs.push((Sign::Place(place), size));
            }
        }
    }
    let mut gaps: BTreeMap<(usize, Place), f64> = BTreeMap::new();
    for call in graph.calls().filter(|call| call.caller == call.callee) {
        let servers = usual.servers(&call.operation);
        let answering = answered.get(call.operation.as_str());
        for (i, component) in all.iter().enumerate() {
            if call.caller == Some(i) || !servers.contains(component.name.as_str()) {
                continue;
            }
            let place = match answering {
                None => Place::UnansweredFor(call.complaint),
                Some(answering) if answering.contains(&i) => Place::AnsweredFor(call.complaint),
                Some(_) => Place::AnsweredByOthers(call.complaint),
            };
            *gaps.entry((i, place)).or_default() += 1.0 / servers.len() as f64;
        }
    }
    for ((i, place), size) in gaps {
        if let Some(signs) = signs.get_mut(i) {
            signs.push((Sign::Place(place), size));
        }
    }
}
