//! What another version of an ontology adds, removes, renames and changes, and whom that breaks.
//!
//! Readers are queries and words (they name things), stored facts (they are read again from the log at each start, and go by
//! keys) and dashboards (they show a measure in its unit). What they rely on may gain but not lose.

use crate::lexicon::Meaning;
use crate::mapping::Source;
use crate::model::{Class, ClassId, Grain, KeyPart, Measure, Ontology, Relation, Travel, Type};
use crate::paths::{Path, Repeat};
use serde::Serialize;
use std::collections::BTreeSet;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name; the old one still leads to it.
    Renamed,
    /// It is told differently.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `class`, `attribute`, `relation`, `measure`, `source`, `rule`, `action`, `question` or `phrase`.
    pub kind: &'static str,
    /// Its name before; for what is new, its name now.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// What exactly: `unit: ms → s`.
    pub what: String,
    /// Whom that breaks and why; nothing when it breaks nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaks: Option<String>,
}

const QUERIES: &str = "queries and words that name it find nothing";
const FACTS: &str = "stored facts: things get other ids, so what was kept by their old ids leads nowhere";

struct Differ<'a> {
    old: &'a Ontology,
    new: &'a Ontology,
    found: Vec<Difference>,
}

/// Compares two ontologies. What was renamed with `was` is compared with what it is now.
pub fn diff(old: &Ontology, new: &Ontology) -> Vec<Difference> {
    let mut d = Differ { old, new, found: Vec::new() };
    d.classes();
    d.relations();
    d.measures();
    d.sources();
    d.rules();
    d.the_rest();
    d.found
}

fn list<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<T> = all.into_iter().collect();
    all.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

impl Differ<'_> {
    fn note(&mut self, kind: &'static str, name: &str, change: Change, what: String, breaks: Option<String>) {
        self.found.push(Difference { kind, name: name.to_owned(), change, what, breaks });
    }

    fn changed(
        &mut self,
        kind: &'static str,
        name: &str,
        what: &str,
        sides: [String; 2],
        breaks: Option<&str>,
    ) {
        let [before, after] = sides;
        if before != after {
            let shown = |s: String| if s.is_empty() { "nothing".to_owned() } else { s };
            let what = format!("{what}: {} → {}", shown(before), shown(after));
            self.note(kind, name, Change::Changed, what, breaks.map(str::to_owned));
        }
    }

    fn renamed(&mut self, kind: &'static str, name: &str, now: &str) {
        if name != now {
            self.note(kind, name, Change::Renamed, format!("is now {now}"), None);
        }
    }

    fn added<'n>(&mut self, kind: &'static str, names: impl Iterator<Item = (&'n str, String)>) {
        for (name, what) in names {
            self.note(kind, name, Change::Added, what, None);
        }
    }

    fn classes(&mut self) {
        let (old, new) = (self.old, self.new);
        let mut kept = BTreeSet::new();
        for (id, class) in (0..).map(ClassId).zip(&old.classes) {
            let name = class.name.as_str();
            let Some(now) = new.class(name) else {
                let why = format!("{QUERIES}, and stored facts of it are not read again");
                self.note("class", name, Change::Removed, String::new(), Some(why));
                continue;
            };
            kept.insert(now);
            let Some(other) = new.classes.get(now.index()) else { continue };
            self.renamed("class", name, &other.name);
            self.class(id, class, now, other);
        }
        let fresh = (0..).map(ClassId).zip(&new.classes).filter(|(id, _)| !kept.contains(id));
        self.added("class", fresh.map(|(_, c)| (c.name.as_str(), c.doc.clone())));
    }

    fn class(&mut self, id: ClassId, class: &Class, now: ClassId, other: &Class) {
        let (old, new) = (self.old, self.new);
        let name = class.name.as_str();
        let ids = [class.original().to_owned(), other.original().to_owned()];
        self.changed("class", name, "name its keys are made from", ids, Some(FACTS));
        let lost = (0..).map(ClassId).zip(&old.classes).filter(|(up, c)| {
            let gone = new.class(&c.name).is_none_or(|up| !new.is_a(now, up));
            *up != id && old.is_a(id, *up) && gone
        });
        let lost = list(lost.map(|(_, c)| c.name.as_str()));
        let above = [class, other].map(|c| c.is);
        let above = [
            above[0].map(|c| self.now(old.class_name(c))).unwrap_or_default(),
            above[1].map(|c| new.class_name(c).to_owned()).unwrap_or_default(),
        ];
        let why = format!("queries for {lost} no longer find it");
        self.changed("class", name, "is", above, (!lost.is_empty()).then_some(&why));
        self.keys(name, class, other);
        let grains =
            [class, other].map(|c| if c.grain == Grain::Each { "each" } else { "sampled" }.to_owned());
        let fewer = other.grain == Grain::Sampled;
        let why = "queries: its nodes are let go after a while";
        self.changed("class", name, "grain", grains, fewer.then_some(why));
        let lives = [class, other].map(|c| format!("{} s", c.life_secs));
        self.changed("class", name, "life", lives, None);
        let nears = [class, other].map(|c| format!("{} s", c.near_secs));
        self.changed("class", name, "near", nears, None);
        for attr in class.attrs.iter().filter_map(|a| old.attrs.get(a.index())).filter(|a| a.class == id) {
            let full = format!("{name}.{}", attr.name);
            match new.attr(now, &attr.name).and_then(|a| new.attrs.get(a.index())) {
                None => {
                    self.note("attribute", &full, Change::Removed, String::new(), Some(QUERIES.to_owned()))
                }
                Some(a) => {
                    self.renamed("attribute", &full, &format!("{name}.{}", a.name));
                    let why = narrower(&attr.ty, &a.ty);
                    self.changed("attribute", &full, "type", [attr.ty.to_string(), a.ty.to_string()], why);
                }
            }
        }
        let fresh = other.attrs.iter().filter_map(|a| new.attrs.get(a.index())).filter(|a| {
            let before = std::iter::once(&a.name).chain(&a.was).any(|n| old.attr(id, n).is_some());
            a.class == now && !before
        });
        let fresh: Vec<(String, String)> =
            fresh.map(|a| (format!("{name}.{}", a.name), a.ty.to_string())).collect();
        self.added("attribute", fresh.iter().map(|(n, t)| (n.as_str(), t.clone())));
    }

    /// The name that something of the old ontology has in the new one.
    fn now(&self, name: &str) -> String {
        self.new.renamed(name).map_or(name, |(_, now)| now).to_owned()
    }

    fn keys(&mut self, name: &str, class: &Class, other: &Class) {
        let shown = |o: &Ontology, key: &[KeyPart]| {
            let part = |p: &KeyPart| match p {
                // Keys are made from values; what an attribute is called does not matter.
                KeyPart::Attr(a) => o.attrs.get(a.index()).map_or(String::new(), |a| first(&a.was, &a.name)),
                KeyPart::Relation(r) => {
                    o.relations.get(r.index()).map_or(String::new(), |r| first(&r.was, &r.name))
                }
            };
            format!("[{}]", list(key.iter().map(part)))
        };
        let before: Vec<String> = class.keys.iter().map(|k| shown(self.old, k)).collect();
        let after: Vec<String> = other.keys.iter().map(|k| shown(self.new, k)).collect();
        let only_more = after.starts_with(&before) && !before.is_empty();
        let why = if other.is_abstract && !class.is_abstract {
            "queries: it has no nodes of its own any more"
        } else {
            FACTS
        };
        let breaks = !only_more && !class.is_abstract;
        self.changed("class", name, "key", [list(&before), list(&after)], breaks.then_some(why));
    }

    fn relations(&mut self) {
        let (old, new) = (self.old, self.new);
        let mut kept = BTreeSet::new();
        for relation in &old.relations {
            let name = relation.name.as_str();
            let Some(now) = new.relation(name) else {
                self.note("relation", name, Change::Removed, String::new(), Some(QUERIES.to_owned()));
                continue;
            };
            kept.insert(now.index());
            let Some(other) = new.relations.get(now.index()) else { continue };
            self.renamed("relation", name, &other.name);
            self.relation(name, relation, other);
        }
        let fresh = new.relations.iter().enumerate().filter(|(i, _)| !kept.contains(i));
        self.added("relation", fresh.map(|(_, r)| (r.name.as_str(), arrows(new, r).join(", "))));
    }

    fn relation(&mut self, name: &str, relation: &Relation, other: &Relation) {
        let (old, new) = (self.old, self.new);
        let before: Vec<String> = {
            let side = |c: ClassId| self.now(old.class_name(c));
            relation.arrows.iter().map(|(d, r)| format!("{} -> {}", side(*d), side(*r))).collect()
        };
        let lost: Vec<&String> = before
            .iter()
            .zip(&relation.arrows)
            .filter(|(_, (d, r))| {
                let ends = new.class(old.class_name(*d)).zip(new.class(old.class_name(*r)));
                let general = |(d, r): (ClassId, ClassId)| {
                    other.arrows.iter().any(|(gd, gr)| new.is_a(d, *gd) && new.is_a(r, *gr))
                };
                !ends.is_some_and(general)
            })
            .map(|(a, _)| a)
            .collect();
        let why = format!("queries and stored facts: it no longer leads {}", list(&lost));
        let after = arrows(new, other);
        self.changed(
            "relation",
            name,
            "arrow",
            [list(&before), list(&after)],
            (!lost.is_empty()).then_some(&why),
        );
        let cards = [relation, other].map(|r| if r.single { "n..1" } else { "n..m" }.to_owned());
        let why = if other.single {
            "queries: of several targets only the last holds"
        } else {
            "queries that rely on one target at a time meet several"
        };
        self.changed("relation", name, "card", cards, Some(why));
        let holds = [relation, other].map(|r| format!("{:?}", r.holds).to_lowercase());
        let why = "queries: what held at a moment is answered otherwise";
        self.changed("relation", name, "time", holds, Some(why));
        let autos = [relation, other].map(|r| format!("{:?}", r.auto).to_lowercase());
        self.changed("relation", name, "auto", autos, None);
        let general = [
            relation.is.map(|r| self.now(old.relation_name(r))).unwrap_or_default(),
            other.is.map(|r| new.relation_name(r).to_owned()).unwrap_or_default(),
        ];
        let why = format!("queries for {} no longer follow it", general[0]);
        let lost = !general[0].is_empty();
        self.changed("relation", name, "is", general, lost.then_some(&why));
        let faults = [faults(old, relation).join(", "), faults(new, other).join(", ")];
        self.changed("relation", name, "fault", faults, None);
    }

    fn measures(&mut self) {
        let (old, new) = (self.old, self.new);
        let mut kept = BTreeSet::new();
        for measure in &old.measures {
            let name = measure.name.as_str();
            let Some(now) = new.measure(name) else {
                let why = format!("{QUERIES}, and dashboards are empty");
                self.note("measure", name, Change::Removed, String::new(), Some(why));
                continue;
            };
            kept.insert(now.index());
            let Some(other) = new.measures.get(now.index()) else { continue };
            self.renamed("measure", name, &other.name);
            self.measure(name, measure, other);
        }
        let fresh = new.measures.iter().enumerate().filter(|(i, _)| !kept.contains(i));
        self.added("measure", fresh.map(|(_, m)| (m.name.as_str(), m.doc.clone())));
    }

    fn measure(&mut self, name: &str, measure: &Measure, other: &Measure) {
        let (old, new) = (self.old, self.new);
        let of = [self.now(old.class_name(measure.of)), new.class_name(other.of).to_owned()];
        let wider = new.class(old.class_name(measure.of)).is_some_and(|c| new.is_a(c, other.of));
        let why = "queries and dashboards that read it on its old class are empty";
        self.changed("measure", name, "of", of, (!wider).then_some(why));
        let both = [measure, other];
        let why = "dashboards and thresholds read other numbers";
        self.changed("measure", name, "unit", both.map(|m| m.unit.clone()), Some(why));
        let kinds = both.map(|m| format!("{:?}", m.kind).to_lowercase());
        self.changed("measure", name, "kind", kinds, Some("dashboards: it is kept and summed otherwise"));
        let why = "dashboards show another statistic";
        self.changed("measure", name, "show", both.map(|m| format!("{:?}", m.show)), Some(why));
        let why = "what was called worse is now called better";
        let betters = both.map(|m| format!("{:?}", m.better).to_lowercase());
        self.changed("measure", name, "better", betters, Some(why));
        let aspect =
            |o: &Ontology, m: &Measure| o.aspects.get(m.aspect.index()).map_or("", |a| &a.name).to_owned();
        self.changed("measure", name, "aspect", [aspect(old, measure), aspect(new, other)], None);
        let cares = both.map(|m| format!("{} of {} samples", m.care_change, m.care_samples));
        self.changed("measure", name, "care", cares, None);
        let parts = |o: &Ontology, m: &Measure| {
            list(m.parts.iter().filter_map(|p| o.measures.get(p.index())).map(|m| first(&m.was, &m.name)))
        };
        self.changed("measure", name, "parts", [parts(old, measure), parts(new, other)], None);
    }

    fn sources(&mut self) {
        let (old, new) = (self.old, self.new);
        let of_name = |o: &Ontology, name: &str| {
            let all = &o.mapping.sources;
            let fits = |s: &&Source| s.name == name || s.was.iter().any(|w| w == name);
            all.iter().position(|s| s.name == name).or_else(|| all.iter().position(|s| fits(&s)))
        };
        let mut kept = BTreeSet::new();
        for source in &old.mapping.sources {
            let Some(now) = of_name(new, &source.name) else {
                let why = "stored facts: records that it read are not understood any more";
                self.note("source", &source.name, Change::Removed, String::new(), Some(why.to_owned()));
                continue;
            };
            kept.insert(now);
            let Some(other) = new.mapping.sources.get(now) else { continue };
            self.renamed("source", &source.name, &other.name);
            let reads =
                [source, other].map(|s| list(s.reads.iter().map(|r| format!("{r:?}").to_lowercase())));
            let lost = source.reads.iter().any(|r| !other.reads.contains(r));
            let why = "stored facts: some records that it read are not understood any more";
            self.changed("source", &source.name, "reads", reads, lost.then_some(why));
            let of = |o: &Ontology, s: &Source, now: bool| -> Vec<String> {
                let names = s.tables.iter().map(|t| o.class_name(t.class).to_owned());
                let mut all: Vec<String> = names.map(|n| if now { n } else { self.now(&n) }).collect();
                all.sort();
                all.dedup();
                all
            };
            let (before, after) = (of(old, source, false), of(new, other, true));
            let lost = before.iter().any(|c| !after.contains(c));
            let why = "stored facts: things it named are not recognised any more";
            let sides = [list(&before), list(&after)];
            self.changed("source", &source.name, "classes", sides, lost.then_some(why));
        }
        let fresh = new.mapping.sources.iter().enumerate().filter(|(i, _)| !kept.contains(i));
        self.added("source", fresh.map(|(_, s)| (s.name.as_str(), String::new())));
    }

    fn rules(&mut self) {
        let (old, new) = (self.old, self.new);
        for rule in &old.rules.rules {
            match new.rules.rules.iter().find(|r| r.name == rule.name) {
                None => {
                    let why = "queries: what it concluded is not there any more";
                    self.note("rule", &rule.name, Change::Removed, rule.text.clone(), Some(why.to_owned()));
                }
                Some(other) => {
                    let texts = [rule, other].map(|r| r.text.clone());
                    self.changed("rule", &rule.name, "rule", texts, None);
                    let keeps = [rule, other].map(|r| format!("{:?}", r.keep).to_lowercase());
                    let why = "queries that walk its edges find none; ask with `follows`";
                    let lost = other.keep == crate::rules::Keep::Asked;
                    self.changed("rule", &rule.name, "keep", keeps, lost.then_some(why));
                }
            }
        }
        let there = |r: &&crate::rules::Rule| !old.rules.rules.iter().any(|o| o.name == r.name);
        self.added("rule", new.rules.rules.iter().filter(there).map(|r| (r.name.as_str(), r.text.clone())));
    }

    fn the_rest(&mut self) {
        let (old, new) = (self.old, self.new);
        for action in &old.actions {
            match new.actions.iter().find(|a| a.name == action.name) {
                None => {
                    let why = "who proposes it by name is refused";
                    self.note("action", &action.name, Change::Removed, String::new(), Some(why.to_owned()));
                }
                Some(other) => {
                    let on =
                        [self.now(old.class_name(action.acts_on)), new.class_name(other.acts_on).to_owned()];
                    self.changed(
                        "action",
                        &action.name,
                        "acts_on",
                        on,
                        Some("who proposes it names another thing"),
                    );
                    let trusts = [action, other].map(|a| format!("{:?}", a.trust).to_lowercase());
                    self.changed("action", &action.name, "trust", trusts, None);
                }
            }
        }
        let there = |a: &&crate::actions::Action| !old.actions.iter().any(|o| o.name == a.name);
        self.added("action", new.actions.iter().filter(there).map(|a| (a.name.as_str(), a.doc.clone())));
        for question in &old.questions {
            match new.questions.iter().find(|q| q.name == question.name) {
                None => self.note("question", &question.name, Change::Removed, question.ask.clone(), None),
                Some(other) => {
                    let asks = [question, other].map(|q| q.ask.clone());
                    self.changed("question", &question.name, "ask", asks, None);
                }
            }
        }
        let there = |q: &&crate::rules::Question| !old.questions.iter().any(|o| o.name == q.name);
        self.added("question", new.questions.iter().filter(there).map(|q| (q.name.as_str(), q.ask.clone())));
        let words = |o: &Ontology| {
            let written = o.lexicon.phrases.iter().filter(|p| p.written);
            written.map(|p| (p.text.clone(), p.meaning.in_words(o))).collect::<Vec<_>>()
        };
        let (before, after) = (words(old), words(new));
        for (text, meaning) in &before {
            match after.iter().find(|(t, _)| t == text) {
                None => {
                    let why = "questions that say it are not understood";
                    self.note("phrase", text, Change::Removed, meaning.clone(), Some(why.to_owned()));
                }
                Some((_, other)) if old.lexicon.meanings(text).len() == new.lexicon.meanings(text).len() => {
                    let now = |w: &str| {
                        let bare = w.trim_end_matches(',');
                        format!("{}{}", self.now(bare), w.get(bare.len()..).unwrap_or(""))
                    };
                    let same_words = meaning.split(' ').map(now).collect::<Vec<_>>().join(" ");
                    let why = "questions that say it mean something else";
                    self.changed("phrase", text, "meaning", [same_words, other.clone()], Some(why));
                }
                Some(_) => {}
            }
        }
        let there = |(t, _): &&(String, String)| !before.iter().any(|(b, _)| b == t);
        self.added("phrase", after.iter().filter(there).map(|(t, m)| (t.as_str(), m.clone())));
    }
}

fn first(was: &[String], name: &str) -> String {
    was.first().map_or(name, String::as_str).to_owned()
}

/// Why a value of the new type does not do where one of the old did; nothing when it does.
fn narrower(old: &Type, new: &Type) -> Option<&'static str> {
    const SET_ASIDE: &str = "stored facts: values that are nothing of this type are set aside";
    match (old, new) {
        (Type::OneOf(before), Type::OneOf(after)) => before
            .iter()
            .any(|w| !after.contains(w))
            .then_some("stored facts: values that are gone are set aside"),
        (Type::OneOf(_) | Type::Version | Type::Url, Type::Text) | (Type::Int, Type::Float) => None,
        _ => Some(SET_ASIDE),
    }
}

/// The arrows of a relation as they are written.
pub fn arrows(o: &Ontology, r: &Relation) -> Vec<String> {
    r.arrows.iter().map(|(d, r)| format!("{} -> {}", o.class_name(*d), o.class_name(*r))).collect()
}

/// How trouble travels along a relation, as it is written.
pub fn faults(o: &Ontology, r: &Relation) -> Vec<String> {
    let one = |f: &crate::model::Fault| {
        let way = if f.travel == Travel::ToSource { "<-" } else { "->" };
        let names = f.aspects.iter().filter_map(|a| o.aspects.get(a.index())).map(|a| a.name.as_str());
        let names: Vec<&str> = names.collect();
        let delay = match (f.delay_min_secs, f.delay_max_secs) {
            (a, b) if a == b => length(a),
            (a, b) => format!("{}..{}", length(a), length(b)),
        };
        format!("{way} {} {delay} {}", f.prior, names.join(","))
    };
    r.faults.iter().map(one).collect()
}

/// A length of time as it is written: `90s`, `5m`, `2h`, `3d`.
pub fn length(secs: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(n, _)| secs != 0 && secs % n == 0);
    whole.map_or_else(|| format!("{secs}s"), |(n, unit)| format!("{}{unit}", secs / n))
}

/// A path as it is written.
pub fn path(o: &Ontology, path: &Path) -> String {
    let mut out = String::new();
    for (i, node) in path.nodes.iter().enumerate() {
        if let Some(hop) = i.checked_sub(1).and_then(|i| path.hops.get(i)) {
            let repeat = match hop.repeat {
                Repeat::Once => "",
                Repeat::OneOrMore => "+",
                Repeat::AnyNumber => "*",
            };
            let name = o.relation_name(hop.relation);
            out.push_str(&if hop.back {
                format!(" <-{name}{repeat}- ")
            } else {
                format!(" -{name}{repeat}-> ")
            });
        }
        if let Some(name) = &node.name {
            out.push_str(name);
            out.push(':');
        }
        out.push_str(o.class_name(node.class));
        if let Some(only) = &node.only {
            out.push_str(&format!("[{only}]"));
        }
    }
    out
}

impl Meaning {
    /// What it means, in the names of the ontology.
    pub fn in_words(&self, o: &Ontology) -> String {
        let pairs = |all: &crate::lexicon::Wanted| {
            let attr = |a: &crate::AttrId| o.attrs.get(a.index()).map_or("", |a| a.name.as_str());
            all.iter().map(|(a, v)| format!(" {} = {v}", attr(a))).collect::<String>()
        };
        let measure = |m: &crate::MeasureId| o.measures.get(m.index()).map_or("", |m| m.name.as_str());
        match self {
            Meaning::Thing { class, only, by } if by.is_empty() => {
                format!("class {}{}", o.class_name(*class), pairs(only))
            }
            Meaning::Thing { class, by, .. } => format!("the {} with{}", o.class_name(*class), pairs(by)),
            Meaning::Measure(m) => format!("measure {}", measure(m)),
            Meaning::MeasureOn(all) => {
                list(all.iter().map(|(c, m)| format!("measure {} on {}", measure(m), o.class_name(*c))))
            }
            Meaning::Move(m) => {
                let aspect = m.aspect.and_then(|a| o.aspects.get(a.index())).map_or("", |a| a.name.as_str());
                let direction = m.direction.map_or(String::new(), |d| format!("{d:?}").to_lowercase());
                format!("look for {} {aspect} {direction}", o.class_name(m.find)).trim_end().to_owned()
            }
            Meaning::Pick(p) => {
                let class = p.class.map_or("", |c| o.class_name(c));
                let take = p.take.map_or(String::new(), |t| format!(" {t:?}").to_lowercase());
                let order = p.order.as_ref().map_or(String::new(), |n| format!(" by {n}"));
                let after = p
                    .after
                    .as_ref()
                    .map_or(String::new(), |a| format!("after {}", Meaning::Pick((**a).clone()).in_words(o)));
                format!("choose {class}{}{take}{order}{after}", pairs(&p.only))
            }
            Meaning::Intent { answer, walk } => {
                format!("answer {} by {}", o.class_name(*answer), format!("{walk:?}").to_lowercase())
            }
        }
    }
}
