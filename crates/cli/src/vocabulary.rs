//! The ontology in tables: all of one kind, or all that concerns one thing.

use ontology::diff::{arrows, faults, length, path};
use ontology::mapping::{Source, Start};
use ontology::model::{Class, Grain, KeyPart, Measure, Relation, Travel};
use ontology::{AttrId, ClassId, MeasureId, Ontology, RelationId};
use serde_json::{Value as Json, json};

/// One table with its title.
pub struct Section {
    /// What it shows.
    pub title: String,
    /// Titles of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

fn section(title: impl Into<String>, columns: &[&str], rows: Vec<Vec<String>>) -> Section {
    Section { title: title.into(), columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows }
}

/// Sections as JSON: one is its rows, several are named by their titles.
pub fn json(all: &[Section]) -> Json {
    let rows = |s: &Section| {
        let row = |r: &Vec<String>| -> Json {
            s.columns
                .iter()
                .zip(r)
                .map(|(c, v)| (c.clone(), json!(v)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        Json::Array(s.rows.iter().map(row).collect())
    };
    match all {
        [only] => rows(only),
        many => many.iter().map(|s| (s.title.clone(), rows(s))).collect::<serde_json::Map<_, _>>().into(),
    }
}

type Lists = fn(&Ontology) -> Section;

/// What can be listed whole.
const KINDS: &[(&str, Lists)] = &[
    ("classes", classes),
    ("relations", relations),
    ("measures", measures),
    ("rules", rules),
    ("actions", actions),
    ("sources", sources),
    ("questions", questions),
    ("words", words),
];

/// What there is to show of a kind or of one thing; nothing when there is no such thing.
pub fn sections(o: &Ontology, what: &str) -> Option<Vec<Section>> {
    if let Some((_, all)) = KINDS.iter().find(|(name, _)| *name == what) {
        return Some(vec![all(o)]);
    }
    if let Some(id) = o.class(what) {
        return Some(class(o, id));
    }
    if let Some(id) = o.relation(what) {
        return Some(relation(o, id));
    }
    if let Some(id) = o.measure(what) {
        return Some(measure(o, id));
    }
    if let Some(s) = o.mapping.sources.iter().find(|s| s.name == what || s.was.iter().any(|w| w == what)) {
        return Some(source(o, s));
    }
    let only = |mut s: Section| {
        s.rows.retain(|r| r.first().is_some_and(|n| n == what));
        (!s.rows.is_empty()).then(|| {
            let rows = s.rows.iter().flat_map(|r| s.columns.iter().zip(r));
            vec![section("about", &["", "is"], rows.map(|(c, v)| vec![c.clone(), v.clone()]).collect())]
        })
    };
    only(rules(o)).or_else(|| only(actions(o))).or_else(|| only(questions(o)))
}

/// What to say of a name that is not there.
pub fn unknown(o: &Ontology, what: &str) -> String {
    let names = KINDS.iter().map(|(n, _)| (*n).to_owned());
    let names = names.chain(o.classes.iter().map(|c| c.name.clone()));
    let names = names.chain(o.relations.iter().map(|r| r.name.clone()));
    let names = names.chain(o.measures.iter().map(|m| m.name.clone()));
    let names = names.chain(o.mapping.sources.iter().map(|s| s.name.clone()));
    let names = names.chain(o.rules.rules.iter().map(|r| r.name.clone()));
    let names = names.chain(o.actions.iter().map(|a| a.name.clone()));
    let near = query::run::nearest(what, names, 3);
    let kinds: Vec<&str> = KINDS.iter().map(|(n, _)| *n).collect();
    match near.as_slice() {
        [] => format!("nothing is called `{what}`; show one of: {}", kinds.join(", ")),
        near => format!("nothing is called `{what}`; nearest: {}", near.join(", ")),
    }
}

fn attr_name(o: &Ontology, id: AttrId) -> String {
    o.attrs.get(id.index()).map_or_else(String::new, |a| a.name.clone())
}

fn named(o: &Ontology, id: Option<ClassId>) -> String {
    id.map_or_else(String::new, |c| o.class_name(c).to_owned())
}

fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn joined(all: impl IntoIterator<Item = String>) -> String {
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn classes(o: &Ontology) -> Section {
    let row = |c: &Class| {
        let attrs = c.attrs.iter().map(|a| attr_name(o, *a)).collect::<Vec<_>>().join(" ");
        vec![c.namespace.clone(), c.name.clone(), named(o, c.is), attrs]
    };
    let columns = ["namespace", "class", "is a", "attributes"];
    section("classes", &columns, o.classes.iter().map(row).collect())
}

fn relations(o: &Ontology) -> Section {
    let row = |r: &Relation| {
        let card = if r.single { "n..1" } else { "n..m" }.to_owned();
        vec![r.name.clone(), arrows(o, r).join(", "), card, lower(r.holds), faults(o, r).join(", ")]
    };
    let columns = ["relation", "from -> to", "card", "holds", "trouble travels"];
    section("relations", &columns, o.relations.iter().map(row).collect())
}

fn measures(o: &Ontology) -> Section {
    let row = |m: &Measure| {
        vec![m.name.clone(), named(o, Some(m.of)), m.unit.clone(), lower(m.better), m.doc.clone()]
    };
    let columns = ["measure", "of", "unit", "better", "what it is"];
    section("measures", &columns, o.measures.iter().map(row).collect())
}

fn rules(o: &Ontology) -> Section {
    let rows =
        o.rules.rules.iter().map(|r| vec![r.name.clone(), lower(r.keep), r.text.clone(), r.doc.clone()]);
    section("rules", &["rule", "keep", "says", "what it is"], rows.collect())
}

fn actions(o: &Ontology) -> Section {
    let rows = o.actions.iter().map(|a| {
        let helps = a.helps.iter().filter_map(|h| o.aspects.get(h.index())).map(|h| h.name.clone());
        let measure = o.measures.get(a.measure.index()).map_or_else(String::new, |m| m.name.clone());
        vec![
            a.name.clone(),
            named(o, Some(a.acts_on)),
            lower(a.trust),
            joined(helps),
            a.when_text.join("; "),
            path(o, &a.blast),
            measure,
        ]
    });
    let columns = ["action", "acts on", "trust", "helps", "when", "felt by", "proved by"];
    section("actions", &columns, rows.collect())
}

fn reads(s: &Source) -> String {
    joined(s.reads.iter().map(|r| match r {
        ontology::Reads::Feed(name) => format!("feed {name}"),
        other => lower(other),
    }))
}

fn told(o: &Ontology, s: &Source) -> String {
    joined(s.measures.iter().filter_map(|m| o.measures.get(m.measure.index())).map(|m| m.name.clone()))
}

fn sources(o: &Ontology) -> Section {
    let rows = o.mapping.sources.iter().map(|s| {
        let mut named: Vec<String> = s.tables.iter().map(|t| o.class_name(t.class).to_owned()).collect();
        named.dedup();
        vec![s.name.clone(), reads(s), named.join(" "), told(o, s)]
    });
    section("sources", &["source", "reads", "names", "measures"], rows.collect())
}

fn questions(o: &Ontology) -> Section {
    let rows = o.questions.iter().map(|q| {
        let paths: Vec<String> = q.paths.iter().map(|p| path(o, p)).collect();
        vec![q.name.clone(), q.ask.clone(), paths.join("; ")]
    });
    section("questions", &["question", "asks", "by way of"], rows.collect())
}

fn words(o: &Ontology) -> Section {
    let row = |p: &ontology::lexicon::Phrase| {
        let from = if p.written { "lexicon" } else { "name" };
        vec![p.text.clone(), p.meaning.in_words(o), from.to_owned()]
    };
    section("words", &["phrase", "means", "from"], o.lexicon.phrases.iter().map(row).collect())
}

fn keys(o: &Ontology, c: &Class) -> Vec<String> {
    let part = |p: &KeyPart| match p {
        KeyPart::Attr(a) => attr_name(o, *a),
        KeyPart::Relation(r) => o.relation_name(*r).to_owned(),
    };
    c.keys.iter().map(|k| joined(k.iter().map(part))).collect()
}

/// Phrases that mean something of which this is told.
fn said(o: &Ontology, fits: impl Fn(&ontology::lexicon::Meaning) -> bool) -> String {
    joined(o.lexicon.phrases.iter().filter(|p| fits(&p.meaning)).map(|p| p.text.clone()))
}

fn about(pairs: Vec<(&str, String)>) -> Section {
    let rows = pairs.into_iter().filter(|(_, v)| !v.is_empty());
    section("about", &["", "is"], rows.map(|(k, v)| vec![k.to_owned(), v]).collect())
}

fn class(o: &Ontology, id: ClassId) -> Vec<Section> {
    let Some(c) = o.classes.get(id.index()) else { return Vec::new() };
    let above = std::iter::successors(c.is, |up| o.classes.get(up.index()).and_then(|c| c.is));
    let below = o.kinds_of(id).filter(|k| *k != id).map(|k| o.class_name(k).to_owned());
    let phrases = said(o, |m| matches!(m, ontology::lexicon::Meaning::Thing { class, .. } if *class == id));
    let near =
        if c.near_secs > 0 { format!("the same within {}", length(c.near_secs)) } else { String::new() };
    let all = vec![
        ("class", c.name.clone()),
        ("doc", c.doc.clone()),
        ("was", c.was.join(", ")),
        ("namespace", c.namespace.clone()),
        ("is a", joined(above.map(|up| o.class_name(up).to_owned()))),
        ("kinds", joined(below)),
        ("keys", keys(o, c).iter().map(|k| format!("[{k}]")).collect::<Vec<_>>().join(" or ")),
        ("near", near),
        ("kept", if c.grain == Grain::Each { "each" } else { "sampled" }.to_owned()),
        ("gone after", if c.is_abstract { String::new() } else { length(c.life_secs) }),
        ("words", phrases),
    ];
    let attrs = c.attrs.iter().filter_map(|a| o.attrs.get(a.index()));
    let attrs = attrs.map(|a| {
        let from = if a.class == id { String::new() } else { o.class_name(a.class).to_owned() };
        vec![a.name.clone(), a.ty.to_string(), from, a.was.join(", "), a.doc.clone()]
    });
    let (mut related, mut trouble) = (Vec::new(), Vec::new());
    for r in &o.relations {
        for (domain, range) in &r.arrows {
            let ends = [(o.is_a(id, *domain), *range, true), (o.is_a(id, *range), *domain, false)];
            for (_, other, out) in ends.into_iter().filter(|(here, ..)| *here) {
                let other = o.class_name(other).to_owned();
                let way = if out { format!("{} ->", r.name) } else { format!("<- {}", r.name) };
                related.push(vec![way, other.clone(), lower(r.holds)]);
                for (f, text) in r.faults.iter().zip(faults(o, r)) {
                    let comes = (f.travel == Travel::ToSource) == out;
                    let text = text.trim_start_matches(['<', '-', '>', ' ']).to_owned();
                    let way = if comes { "from" } else { "to" }.to_owned();
                    trouble.push(vec![way, other.clone(), r.name.clone(), text]);
                }
            }
        }
    }
    trouble.sort();
    let carried = o.measures.iter().filter(|m| o.is_a(id, m.of));
    let carried = carried.map(|m| vec![m.name.clone(), m.unit.clone(), lower(m.better), m.doc.clone()]);
    let mapped = o.mapping.sources.iter().flat_map(|s| s.tables.iter().map(move |t| (s, t)));
    let mapped = mapped.filter(|(_, t)| t.class == id).map(|(s, t)| {
        let attrs = t.attrs.iter().map(|(a, _)| attr_name(o, *a)).collect::<Vec<_>>().join(" ");
        vec![s.name.clone(), reads(s), attrs]
    });
    vec![
        about(all),
        section("attributes", &["attribute", "is", "of", "was", "what it is"], attrs.collect()),
        section("relations", &["relation", "other end", "holds"], related),
        section("trouble comes and goes", &["", "class", "by", "chance, delay, aspects"], trouble),
        section("measures", &["measure", "unit", "better", "what it is"], carried.collect()),
        section("told by", &["source", "reads", "attributes"], mapped.collect()),
    ]
    .into_iter()
    .filter(|s| !s.rows.is_empty())
    .collect()
}

fn relation(o: &Ontology, id: RelationId) -> Vec<Section> {
    let Some(r) = o.relations.get(id.index()) else { return Vec::new() };
    let cases = (0..).map(RelationId).zip(&o.relations).filter(|(other, r)| r.is == Some(id) && *other != id);
    let all = vec![
        ("relation", r.name.clone()),
        ("doc", r.doc.clone()),
        ("was", r.was.join(", ")),
        ("from -> to", arrows(o, r).join(", ")),
        ("card", if r.single { "n..1" } else { "n..m" }.to_owned()),
        ("holds", lower(r.holds)),
        (
            "implied by",
            if lower(r.auto) == "no" { String::new() } else { format!("both ends in one {}", lower(r.auto)) },
        ),
        ("is a", r.is.map_or_else(String::new, |up| o.relation_name(up).to_owned())),
        ("cases", joined(cases.map(|(_, c)| c.name.clone()))),
        ("drawn by rules", if r.derived { "yes" } else { "" }.to_owned()),
    ];
    let trouble = r.faults.iter().zip(faults(o, r)).map(|(f, text)| {
        let way = if f.travel == Travel::ToSource { "target to source" } else { "source to target" };
        vec![way.to_owned(), text.trim_start_matches(['<', '-', '>', ' ']).to_owned()]
    });
    let keyed = o.classes.iter().filter(|c| c.keys.iter().flatten().any(|p| *p == KeyPart::Relation(id)));
    let keyed = keyed.map(|c| vec![c.name.clone(), keys(o, c).join(" or ")]);
    let mut told = Vec::new();
    for s in &o.mapping.sources {
        let edges = s.edges.iter().filter(|e| e.relation == id);
        told.extend(edges.map(|e| {
            let above = matches!(e.from, Start::Parent(_));
            let how = if above { "an earlier step of the trace" } else { "written" };
            vec![s.name.clone(), how.to_owned(), e.text.clone()]
        }));
        told.extend(s.auto.iter().filter(|a| a.relation == id).map(|a| {
            let class = |i: usize| s.tables.get(i).map_or("", |t| o.class_name(t.class));
            vec![s.name.clone(), "both named".to_owned(), format!("{} -> {}", class(a.from), class(a.to))]
        }));
    }
    let mention = |r: &&ontology::rules::Rule| {
        let name = o.relation_name(id);
        let mut words = r.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|w| w == name || o.relation(w) == Some(id))
    };
    let rules =
        o.rules.rules.iter().filter(mention).map(|r| vec![r.name.clone(), lower(r.keep), r.text.clone()]);
    vec![
        about(all),
        section("trouble travels", &["way", "chance, delay, aspects"], trouble.collect()),
        section("part of keys", &["class", "keys"], keyed.collect()),
        section("told by", &["source", "how", "edge"], told),
        section("rules", &["rule", "keep", "says"], rules.collect()),
    ]
    .into_iter()
    .filter(|s| !s.rows.is_empty())
    .collect()
}

fn measure(o: &Ontology, id: MeasureId) -> Vec<Section> {
    let Some(m) = o.measures.get(id.index()) else { return Vec::new() };
    let name = |m: &MeasureId| o.measures.get(m.index()).map_or_else(String::new, |m| m.name.clone());
    let phrases = said(o, |meaning| match meaning {
        ontology::lexicon::Meaning::Measure(other) => *other == id,
        ontology::lexicon::Meaning::MeasureOn(all) => all.iter().any(|(_, other)| *other == id),
        _ => false,
    });
    let all = vec![
        ("measure", m.name.clone()),
        ("doc", m.doc.clone()),
        ("was", m.was.join(", ")),
        ("of", named(o, Some(m.of))),
        ("kind", lower(m.kind)),
        ("unit", m.unit.clone()),
        ("better", lower(m.better)),
        ("shown as", lower(m.show)),
        ("a bad value is", o.aspects.get(m.aspect.index()).map_or_else(String::new, |a| a.name.clone())),
        ("worth noticing", format!("a change of {} in {} samples", m.care_change, m.care_samples)),
        ("parts", joined(m.parts.iter().map(name))),
        ("words", phrases),
    ];
    let told = o.mapping.sources.iter().filter(|s| s.measures.iter().any(|r| r.measure == id));
    let told = told.map(|s| vec![s.name.clone(), reads(s)]);
    let proves = o.actions.iter().filter(|a| a.measure == id).map(|a| vec![a.name.clone(), a.doc.clone()]);
    vec![
        about(all),
        section("told by", &["source", "reads"], told.collect()),
        section("proves", &["action", "what it does"], proves.collect()),
    ]
    .into_iter()
    .filter(|s| !s.rows.is_empty())
    .collect()
}

fn source(o: &Ontology, s: &Source) -> Vec<Section> {
    let all = vec![
        ("source", s.name.clone()),
        ("was", s.was.join(", ")),
        ("reads", reads(s)),
        ("each", s.each.clone().unwrap_or_default()),
        ("trusted", format!("place {} of {}", usize::from(s.rank) + 1, o.mapping.trust.len() + 1)),
        ("measures", told(o, s)),
    ];
    let tables = s.tables.iter().map(|t| {
        let role = t.role.and_then(|r| o.mapping.roles.get(usize::from(r.0))).map_or("", String::as_str);
        let fields: Vec<&str> = t.fields.iter().map(|f| o.mapping.fields.name(*f)).collect();
        let attrs: Vec<String> = t.attrs.iter().map(|(a, _)| attr_name(o, *a)).collect();
        vec![o.class_name(t.class).to_owned(), role.to_owned(), attrs.join(" "), fields.join(" ")]
    });
    let written = s.edges.iter().map(|e| vec![e.text.clone()]);
    let implied = s.auto.iter().map(|a| {
        let class = |i: usize| s.tables.get(i).map_or("", |t| o.class_name(t.class));
        vec![format!("{} -{}-> {}", class(a.from), o.relation_name(a.relation), class(a.to))]
    });
    vec![
        about(all),
        section("names", &["class", "role", "attributes", "fields"], tables.collect()),
        section("edges", &["edge"], written.chain(implied).collect()),
    ]
    .into_iter()
    .filter(|s| !s.rows.is_empty())
    .collect()
}
