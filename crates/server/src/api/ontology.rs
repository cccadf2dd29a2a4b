//! The ontology as it is in force, with what was seen of it: read off the engine's ontology at each request.

use super::{Answered, Api, Now, aside, told};
use ::ontology::model::{Auto, Better, Class, Fault, Grain, Holds, KeyPart, MeasureKind, Show, Travel, Type};
use ::ontology::rules::Conclusion;
use ::ontology::{ClassId, Ontology, RelationId};
use ::query::picture::Picture;
use axum::extract::State;
use engine::Engine;
use serde_json::{Map, Value as Json, json};

/// Reasons for setting aside that are listed per way in.
const REASONS: usize = 5;

/// Classes, relations with how faults travel, measures, and the sources that give them; of each what was seen.
pub(crate) async fn ontology(State(api): State<Api>) -> Answered {
    let pictures = api.pictures.clone();
    aside(api, move |engine| {
        let picture = pictures.of(engine);
        whole(engine, &picture)
    })
    .await
}

fn whole(engine: &Engine, picture: &Picture) -> Answered {
    let o: &Ontology = &engine.ontology();
    let mut classes = Vec::new();
    for class in &o.classes {
        let mut row = class_row(o, class);
        let seen = picture.classes.iter().find(|s| s.name == class.name);
        row.extend(told(&seen)?.as_object().cloned().unwrap_or_default());
        row.insert("given_by".to_owned(), given(picture, |s| s.classes.iter().any(|c| c.name == class.name)));
        classes.push(Json::Object(row));
    }
    let mut relations = Vec::new();
    for (id, relation) in (0..).map(RelationId).zip(&o.relations) {
        let mut row = relation_row(o, id);
        let seen = picture.relations.iter().find(|s| s.name == relation.name);
        row.extend(told(&seen)?.as_object().cloned().unwrap_or_default());
        row.insert("given_by".to_owned(), given(picture, |s| s.relations.contains(&relation.name)));
        relations.push(Json::Object(row));
    }
    let measures: Vec<Json> = o.measures.iter().map(|m| measure_row(o, m, picture)).collect();
    let aspects: Vec<Json> = o
        .aspects
        .iter()
        .map(|a| {
            let name = |id: ::ontology::model::AspectId| o.aspects.get(id.index()).map(|a| a.name.as_str());
            let becomes: Vec<Json> = a
                .becomes
                .iter()
                .map(|(to, weight)| json!({ "aspect": name(*to), "weight": weight }))
                .collect();
            json!({ "name": a.name, "becomes": becomes })
        })
        .collect();
    let mut namespaces: Vec<&str> = Vec::new();
    for class in &o.classes {
        if !namespaces.contains(&class.namespace.as_str()) {
            namespaces.push(&class.namespace);
        }
    }
    Ok(Now(json!({
        "name": o.name, "version": o.version, "iri": o.iri, "as_of": picture.as_of,
        "namespaces": namespaces, "classes": classes, "relations": relations, "measures": measures,
        "aspects": aspects, "sources": told(&picture.sources)?, "inlets": inlets(engine)?,
    })))
}

fn given(picture: &Picture, gives: impl Fn(&::query::picture::SourceSeen) -> bool) -> Json {
    picture.sources.iter().filter(|s| gives(s)).map(|s| Json::from(s.name.as_str())).collect()
}

/// Each way in, with what came and what was set aside most.
fn inlets(engine: &Engine) -> Result<Vec<Json>, super::Trouble> {
    let sent = engine.sources();
    let mut rows = Vec::new();
    for inlet in engine.inlets() {
        let report = sent.iter().find(|s| s.name == inlet.name);
        let reasons = report.map(|r| r.reasons.iter().take(REASONS).cloned().collect::<Vec<_>>());
        rows.push(json!({
            "name": inlet.name, "page": inlet.page,
            "items": report.map_or(0, |r| r.items), "refused": report.map_or(0, |r| r.refused),
            "last_seen": report.and_then(|r| r.last_seen).map(|t| t.to_string()),
            "lag_seconds": report.and_then(|r| r.lag_seconds),
            "reasons": told(&reasons.unwrap_or_default())?,
        }));
    }
    Ok(rows)
}

fn object(row: Json) -> Map<String, Json> {
    match row {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn class_row(o: &Ontology, class: &Class) -> Map<String, Json> {
    let part = |p: &KeyPart| match p {
        KeyPart::Attr(a) => o.attrs.get(a.index()).map_or("", |a| a.name.as_str()),
        KeyPart::Relation(r) => o.relation_name(*r),
    };
    let keys: Vec<Vec<&str>> = class.keys.iter().map(|k| k.iter().map(part).collect()).collect();
    let attrs: Vec<Json> = class
        .attrs
        .iter()
        .filter_map(|a| o.attrs.get(a.index()))
        .map(|a| json!({ "name": a.name, "type": type_name(&a.ty), "from": o.class_name(a.class) }))
        .collect();
    object(json!({
        "name": class.name, "namespace": class.namespace, "is": class.is.map(|c| o.class_name(c)),
        "abstract": class.is_abstract, "doc": class.doc, "names": class.names, "keys": keys, "attrs": attrs,
        "grain": match class.grain { Grain::Each => "each", Grain::Sampled => "sampled" },
        "life_secs": class.life_secs,
    }))
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Text => "text",
        Type::Int => "int",
        Type::Float => "float",
        Type::Bool => "bool",
        Type::Time => "time",
        Type::Duration => "duration",
        Type::Bytes => "bytes",
        Type::Ratio => "ratio",
        Type::Version => "version",
        Type::Url => "url",
        Type::Hash => "hash",
        Type::OneOf(words) => return words.join(" | "),
    }
    .to_owned()
}

fn relation_row(o: &Ontology, id: RelationId) -> Map<String, Json> {
    let Some(relation) = o.relations.get(id.index()) else { return Map::new() };
    let arrows: Vec<[&str; 2]> =
        relation.arrows.iter().map(|(a, b)| [o.class_name(*a), o.class_name(*b)]).collect();
    let faults: Vec<Json> = relation.faults.iter().map(|f| fault_row(o, f)).collect();
    let rules: Vec<&str> = o
        .rules
        .rules
        .iter()
        .filter(|r| matches!(&r.head, Conclusion::Relation(head, ..) if *head == id))
        .map(|r| r.text.as_str())
        .collect();
    object(json!({
        "name": relation.name, "arrows": arrows, "single": relation.single,
        "holds": match relation.holds { Holds::Fixed => "fixed", Holds::While => "while", Holds::Flow => "flow" },
        "auto": match relation.auto { Auto::No => "no", Auto::Table => "table", Auto::Record => "record" },
        "is": relation.is.map(|r| o.relation_name(r)), "derived": relation.derived, "faults": faults, "rules": rules,
    }))
}

fn fault_row(o: &Ontology, fault: &Fault) -> Json {
    let aspects: Vec<&str> =
        fault.aspects.iter().filter_map(|a| o.aspects.get(a.index())).map(|a| a.name.as_str()).collect();
    json!({
        "travel": match fault.travel { Travel::ToSource => "to_source", Travel::ToTarget => "to_target" },
        "prior": fault.prior, "delay_min_secs": fault.delay_min_secs, "delay_max_secs": fault.delay_max_secs,
        "aspects": aspects,
    })
}

fn measure_row(o: &Ontology, m: &::ontology::model::Measure, picture: &Picture) -> Json {
    let of = |class: ClassId| o.class_name(class);
    let parts: Vec<&str> =
        m.parts.iter().filter_map(|p| o.measures.get(p.index())).map(|p| p.name.as_str()).collect();
    let show = match m.show {
        Show::Mean => "mean".to_owned(),
        Show::Max => "max".to_owned(),
        Show::Quantile(q) => format!("p{}", (q * 1000.0).round() / 10.0),
    };
    json!({
        "name": m.name, "of": of(m.of), "doc": m.doc, "unit": m.unit, "show": show, "parts": parts,
        "aspect": o.aspects.get(m.aspect.index()).map(|a| a.name.as_str()),
        "better": match m.better { Better::Lower => "lower", Better::Higher => "higher", Better::Steady => "steady" },
        "kind": match m.kind {
            MeasureKind::Duration => "duration", MeasureKind::Ratio => "ratio",
            MeasureKind::Rate => "rate", MeasureKind::Gauge => "gauge",
        },
        "care_change": m.care_change, "care_samples": m.care_samples,
        "count": picture.measures.iter().find(|s| s.name == m.name).map_or(0, |s| s.count),
        "given_by": given(picture, |s| s.measures.iter().any(|x| x.name == m.name)),
    })
}
