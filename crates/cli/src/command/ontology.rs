//! `e2egraph ontology`: check it, show it, compare it, print its schema, export it.

use super::operate::{self, Told};
use crate::args::{OntologyCommand, OntologyFormat, OntologyFrom};
use crate::exit::{Exit, Wrong};
use crate::{out, print, rim, vocabulary};
use ontology::Ontology;
use ontology::export::{self, ExportError};
use serde_json::json;
use std::io::BufWriter;
use std::path::PathBuf;

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
                    let told = json!({"ok": true, "problems": [], "notes": o.notes, "version": o.version, "seconds": took.as_secs_f64()});
                    out::line(&told.to_string())?;
                }
                Ok(o) => out::line(&format!(
                    "{}{} {}{} is sound: {} classes, {} relations, {} measures, {} rules, {} actions, {} sources, {} questions; checked in {:.0} ms",
                    o.notes.iter().map(|n| format!("{n}\n")).collect::<String>(),
                    o.name,
                    o.version,
                    o.sites
                        .iter()
                        .map(|(name, version)| format!(" with {name} {version}"))
                        .collect::<String>(),
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
        OntologyCommand::Show { what, ontology, json } => {
            let o = rim::ontology(&ontology)?;
            let Some(sections) = vocabulary::sections(&o, &what) else {
                out::note(&vocabulary::unknown(&o, &what));
                return Ok(Exit::NotThere);
            };
            match sections.as_slice() {
                all if json => out::json(&vocabulary::json(all))?,
                [only] => out::print(&print::table(&only.columns, &only.rows))?,
                all => {
                    let texts: Vec<String> = all
                        .iter()
                        .map(|s| format!("{}\n{}", s.title, print::table(&s.columns, &s.rows)))
                        .collect();
                    out::print(&texts.join("\n"))?;
                }
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
        OntologyCommand::Diff { sides, ontology, json } => diff(&sides, &ontology, json),
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

/// Two folders, or the built-in ontology against `--ontology`.
fn diff(folders: &[PathBuf], ontology: &OntologyFrom, json: bool) -> anyhow::Result<Exit> {
    let one = |folder: &PathBuf| rim::ontology(&OntologyFrom { folders: vec![folder.clone()] });
    let (old, new) = match folders {
        [old, new] if ontology.folders.is_empty() => (one(old)?, one(new)?),
        [] if !ontology.folders.is_empty() => (Ontology::builtin(), rim::ontology(ontology)?),
        _ => {
            let form = "give two folders, or --ontology DIR to compare it with the built-in ontology";
            return Err(Wrong(form.to_owned()).into());
        }
    };
    let all = ontology::diff(&old, &new);
    let broken = all.iter().filter(|d| d.breaks.is_some()).count();
    if json {
        out::json(&json!({"breaks": broken, "differences": all}))?;
    } else if all.is_empty() {
        out::line("nothing differs")?;
    } else {
        let columns = ["kind", "name", "", "what", "breaks"].map(str::to_owned);
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|d| {
                let breaks = d.breaks.clone().unwrap_or_else(|| "nobody".to_owned());
                let change = format!("{:?}", d.change).to_lowercase();
                vec![d.kind.to_owned(), d.name.clone(), change, d.what.clone(), breaks]
            })
            .collect();
        out::print(&print::table(&columns, &rows))?;
        out::line(&format!("{} differences, {broken} of them break readers", all.len()))?;
    }
    Ok(if broken == 0 { Exit::Done } else { Exit::Failed })
}
