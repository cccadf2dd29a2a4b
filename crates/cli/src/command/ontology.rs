//! `e2egraph ontology`: check it, show it, print its schema, export it.

use super::operate::{self, Told};
use crate::args::{OntologyCommand, OntologyFormat, OntologyPart};
use crate::exit::Exit;
use crate::{out, print, rim};
use ontology::Ontology;
use ontology::export::{self, ExportError};
use serde_json::json;
use std::io::BufWriter;

/// Checks or prints.
pub async fn run(command: OntologyCommand) -> anyhow::Result<Exit> {
    match command {
        OntologyCommand::Reload { server } => operate::reload(server, Told::Briefly).await,
        OntologyCommand::ReplayRefused { server } => operate::reload(server, Told::ByReason).await,
        OntologyCommand::Check { ontology, json } => {
            let files = rim::files(&ontology)?;
            let begin = std::time::Instant::now();
            let loaded = ontology::load(&files);
            let took = begin.elapsed();
            match loaded {
                Ok(o) if json => {
                    let told = json!({"ok": true, "problems": [], "version": o.version, "seconds": took.as_secs_f64()});
                    out::line(&told.to_string())?;
                }
                Ok(o) => out::line(&format!(
                    "{} {} is sound: {} classes, {} relations, {} measures, {} rules, {} actions, {} sources, {} questions; checked in {:.0} ms",
                    o.name,
                    o.version,
                    o.classes.len(),
                    o.relations.len(),
                    o.measures.len(),
                    o.rules.rules.len(),
                    o.actions.len(),
                    o.mapping.sources.len(),
                    o.questions.len(),
                    took.as_secs_f64() * 1e3
                ))?,
                Err(problems) => {
                    if json {
                        out::line(&json!({"ok": false, "problems": problems}).to_string())?;
                    } else {
                        let many = if problems.0.len() == 1 { "problem" } else { "problems" };
                        out::line(&format!("{problems}\n{} {many}", problems.0.len()))?;
                    }
                    return Ok(Exit::Failed);
                }
            }
            Ok(Exit::Done)
        }
        OntologyCommand::Show { part, ontology, json } => {
            let o = rim::ontology(&ontology)?;
            let (columns, rows) = match part {
                OntologyPart::Classes => classes(&o),
                OntologyPart::Relations => relations(&o),
                OntologyPart::Measures => measures(&o),
                OntologyPart::Questions => questions(&o),
            };
            if json {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|r| columns.iter().zip(r).collect::<std::collections::BTreeMap<_, _>>())
                    .collect();
                out::json(&rows)?;
            } else {
                out::print(&print::table(&columns, &rows))?;
            }
            Ok(Exit::Done)
        }
        OntologyCommand::Export { format, ontology } => {
            let o = rim::ontology(&ontology)?;
            let to = || BufWriter::new(std::io::stdout().lock());
            match format {
                OntologyFormat::Owl => export::owl(&o, to()).map_err(unwritten)?,
                OntologyFormat::Shacl => export::shacl(&o, to()).map_err(unwritten)?,
                OntologyFormat::Sparql => export::sparql(&o, to()).map_err(unwritten)?,
                OntologyFormat::JsonldContext => out::json(&export::jsonld_context(&o)?)?,
                OntologyFormat::JsonSchema => out::json(&export::json_schemas(&o))?,
            }
            Ok(Exit::Done)
        }
        OntologyCommand::Schema { kind } => {
            let schema = ontology::json_schema(&kind).ok_or_else(|| {
                anyhow::anyhow!(
                    "there is no kind of file `{kind}`; there are: {}",
                    ontology::Kind::ALL.map(|(_, n)| n).join(", ")
                )
            })?;
            out::json(&schema)?;
            Ok(Exit::Done)
        }
    }
}

/// An export that could not be written tells first whether its reader has gone.
fn unwritten(error: ExportError) -> anyhow::Error {
    match error {
        ExportError::Write(e) => e.into(),
        other => other.into(),
    }
}

type Table = (Vec<String>, Vec<Vec<String>>);

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Table {
    (columns.iter().map(|c| (*c).to_owned()).collect(), rows)
}

fn class_name(o: &Ontology, id: ontology::ClassId) -> String {
    o.classes.get(id.index()).map_or_else(String::new, |c| c.name.clone())
}

fn classes(o: &Ontology) -> Table {
    let rows = o
        .classes
        .iter()
        .map(|c| {
            let attrs: Vec<&str> =
                c.attrs.iter().filter_map(|a| o.attrs.get(a.index())).map(|a| a.name.as_str()).collect();
            vec![
                c.namespace.clone(),
                c.name.clone(),
                c.is.map_or_else(String::new, |i| class_name(o, i)),
                attrs.join(" "),
            ]
        })
        .collect();
    table(&["namespace", "class", "is a", "attributes"], rows)
}

fn relations(o: &Ontology) -> Table {
    let rows = o
        .relations
        .iter()
        .map(|r| {
            let arrows: Vec<String> = r
                .arrows
                .iter()
                .map(|(a, b)| format!("{} → {}", class_name(o, *a), class_name(o, *b)))
                .collect();
            let faults: Vec<String> = r
                .faults
                .iter()
                .map(|f| {
                    let way =
                        if f.travel == ontology::model::Travel::ToSource { "to source" } else { "to target" };
                    format!("{way} {}", f.prior)
                })
                .collect();
            vec![
                r.name.clone(),
                arrows.join(", "),
                format!("{:?}", r.holds).to_lowercase(),
                faults.join(", "),
            ]
        })
        .collect();
    table(&["relation", "from → to", "holds", "trouble travels"], rows)
}

fn measures(o: &Ontology) -> Table {
    let rows = o
        .measures
        .iter()
        .map(|m| {
            let better = format!("{:?}", m.better).to_lowercase();
            vec![m.name.clone(), class_name(o, m.of), m.unit.clone(), better, m.doc.clone()]
        })
        .collect();
    table(&["measure", "of", "unit", "better", "what it is"], rows)
}

fn questions(o: &Ontology) -> Table {
    let lines = |q: &ontology::rules::Question| {
        let all = (1..).zip(&q.paths);
        all.map(|(n, p)| vec![q.name.clone(), n.to_string(), q.ask.clone(), p.text.clone()])
            .collect::<Vec<_>>()
    };
    table(&["question", "line", "it asks", "path"], o.questions.iter().flat_map(lines).collect())
}
