//! What may be done: typed actions with their conditions, reach and proof of success.

use crate::load::Gathered;
use crate::model::{AspectId, ClassId, MeasureId, Ontology, Type};
use crate::paths::{self, Path};
use crate::premise::{self, Premise, Scope};
use crate::problems::{Report, meant};
use crate::resolve::{self, choice, length};
use crate::yaml::Word;

/// What an action needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// A node of a class.
    Node(ClassId),
    /// A value.
    Value(Type),
}

/// How far an agent may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// A person decides.
    Propose,
    /// One click.
    Approve,
    /// By itself.
    Automatic,
}

/// How much an action touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// Only what is broken.
    Narrow,
    /// More than that.
    Wide,
}

/// What must happen for an action to be called a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The measure is back at its baseline within so many seconds.
    BackToBaseline(i64),
    /// The measure stops growing within so many seconds.
    StopsGrowing(i64),
}

/// What follows when there is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Take it back.
    Undo,
    /// Call the owner.
    HandToOwner,
}

/// One action.
#[derive(Clone, Debug)]
pub struct Action {
    /// `rollback_deployment`.
    pub name: String,
    /// The class acted upon: `X` in conditions.
    pub acts_on: ClassId,
    /// The kind of change it takes back.
    pub undoes: Option<ClassId>,
    /// What the executor needs.
    pub params: Vec<(String, Param)>,
    /// How far an agent may go before a track record raises it.
    pub trust: Trust,
    /// How much it touches.
    pub reach: Breadth,
    /// All must hold before it may be proposed; variable 0 is the node acted upon.
    pub when: Vec<Premise>,
    /// The conditions as written.
    pub when_text: Vec<String>,
    /// Names of the variables in `when`.
    pub variables: Vec<String>,
    /// The path to what feels it.
    pub blast: Path,
    /// Aspects it can improve.
    pub helps: Vec<AspectId>,
    /// Aspects it may worsen.
    pub cost: Vec<AspectId>,
    /// The measure that proves it.
    pub measure: MeasureId,
    /// What the measure must do.
    pub proof: Proof,
    /// What follows without proof.
    pub otherwise: Otherwise,
    /// What it does.
    pub doc: String,
}

/// Resolves the actions.
pub(crate) fn resolve(all: &Gathered, o: &mut Ontology, report: &mut Report) {
    let mut actions = Vec::new();
    for (name, raw) in &all.actions {
        actions.extend(one(name, raw, o, report));
    }
    o.actions = actions;
}

fn one(name: &Word, raw: &crate::raw::Action, o: &Ontology, report: &mut Report) -> Option<Action> {
    let acts_on = resolve::class(o, &raw.acts_on, report);
    let undoes = raw.undoes.as_ref().and_then(|w| resolve::class(o, w, report));
    let params =
        raw.params.0.iter().filter_map(|(n, w)| Some((n.value.clone(), param(o, w, report)?))).collect();
    let trusts = [("propose", Trust::Propose), ("approve", Trust::Approve), ("automatic", Trust::Automatic)];
    let trust = choice(&raw.trust, &trusts, report);
    let reach = choice(&raw.reach, &[("narrow", Breadth::Narrow), ("wide", Breadth::Wide)], report);
    let aspects = |words: &[Word], report: &mut Report| -> Vec<AspectId> {
        words.iter().filter_map(|w| resolve::aspect(o, w, report)).collect()
    };
    let (helps, cost) = (aspects(&raw.helps, report), aspects(&raw.cost, report));
    let measure = resolve::measure(o, &raw.verify.measure, report);
    let proof = match (&raw.verify.back_to_baseline_within, &raw.verify.stops_growing_within) {
        (Some(w), None) => length(w, report).map(Proof::BackToBaseline),
        (None, Some(w)) => length(w, report).map(Proof::StopsGrowing),
        _ => {
            let hint = "give `back_to_baseline_within` or `stops_growing_within`";
            report.add(raw.verify.measure.at, &name.value, "success is judged by exactly one thing", hint);
            None
        }
    };
    let ends = [("undo", Otherwise::Undo), ("hand_to_owner", Otherwise::HandToOwner)];
    let otherwise = choice(&raw.verify.otherwise, &ends, report);
    let blast = paths::parse(&raw.blast, o, &mut Vec::new(), report);
    let acts_on = acts_on?;
    let mut scope = Scope::new(o, vec![("X", acts_on)]);
    let (mut when, mut when_texts) = (Vec::new(), Vec::new());
    for line in &raw.when {
        if let Some((premises, texts)) = premise::body(&line.value, line.at, &mut scope, report) {
            scope.check(&premises, None, &[], &texts, line, report);
            when.extend(premises);
            when_texts.extend(texts);
        }
    }
    premise::sound((&when, &when_texts), None, &scope, 1, report);
    if let Some(class) = undoes
        && let Some(change) = o.class("Change").filter(|c| !o.is_a(class, *c))
        && let Some(word) = &raw.undoes
    {
        let kinds: Vec<&str> = o.kinds_of(change).map(|c| o.class_name(c)).collect();
        let message = "only a change can be taken back";
        report.add(word.at, &word.value, message, meant(&word.value, kinds));
    }
    if let Some(m) = measure.and_then(|m| o.measures.get(m.index()))
        && !helps.contains(&m.aspect)
        && helps.len() == raw.helps.len()
        && let Some(aspect) = o.aspects.get(m.aspect.index()).map(|a| &a.name)
    {
        let word = &raw.verify.measure;
        let message = format!("this tells of {aspect}, which the action does not say it helps");
        report.add(
            word.at,
            &word.value,
            message,
            format!("add {aspect} to `helps`, or judge by another measure"),
        );
    }
    if let Some(first) = blast.as_ref().and_then(|b| b.nodes.first())
        && !o.is_a(acts_on, first.class)
    {
        let message = format!(
            "the path starts at {}, the action acts on {}",
            o.class_name(first.class),
            o.class_name(acts_on)
        );
        report.add(
            raw.blast.at,
            &raw.blast.value,
            message,
            format!("start it with `{}`", o.class_name(acts_on)),
        );
    }
    Some(Action {
        name: name.value.clone(),
        acts_on,
        undoes,
        params,
        trust: trust?,
        reach: reach?,
        when,
        when_text: raw.when.iter().map(|w| w.value.clone()).collect(),
        variables: scope.names,
        blast: blast?,
        helps,
        cost,
        measure: measure?,
        proof: proof?,
        otherwise: otherwise?,
        doc: raw.doc.clone(),
    })
}

fn param(o: &Ontology, word: &Word, report: &mut Report) -> Option<Param> {
    if let Some(class) = o.class(&word.value) {
        return Some(Param::Node(class));
    }
    let types = [
        ("string", Type::Text),
        ("int", Type::Int),
        ("float", Type::Float),
        ("bool", Type::Bool),
        ("ratio", Type::Ratio),
        ("duration", Type::Duration),
        ("version", Type::Version),
    ];
    let found = types.iter().find(|(n, _)| *n == word.value).map(|(_, t)| Param::Value(t.clone()));
    if found.is_none() {
        let known = types.iter().map(|(n, _)| *n).chain(o.classes.iter().map(|c| c.name.as_str()));
        report.unknown(word.at, &word.value, "this is neither a class nor a type", meant(&word.value, known));
    }
    found
}
