//! Moments kept by name.

use super::answers::unread;
use super::{Answered, Api, Now, Trouble, aside, moment, said};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use engine::{Engine, Pin};
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// Longest name of a snapshot.
const MAX_NAME: usize = 200;

/// A name, and a moment when it is not now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    name: Option<String>,
    at: Option<String>,
}

impl Named {
    fn name(&self) -> Result<String, Trouble> {
        let name = said("name", self.name.as_deref())?;
        if name.len() > MAX_NAME {
            return Err(Trouble::TooLarge(format!("name is longer than {MAX_NAME} bytes")));
        }
        Ok(name.to_owned())
    }
}

fn shown(pin: &Pin) -> Json {
    json!({ "name": pin.name, "label": pin.label, "at": pin.at.to_string() })
}

/// Every snapshot, by name.
pub(crate) async fn all(State(api): State<Api>) -> Answered {
    let shown = |engine: &Engine| engine.pins().iter().map(shown).collect::<Vec<_>>();
    aside(api, move |engine| Ok(Now(json!({ "snapshots": shown(engine) })))).await
}

/// Keeps a moment by name; the same name again is the new moment.
pub(crate) async fn take(State(api): State<Api>, body: Result<axum::Json<Named>, JsonRejection>) -> Answered {
    let axum::Json(named) = body.map_err(|e| unread(&e, r#"{"name": …, "at": …}"#))?;
    let (name, at) = (named.name()?, moment("at", named.at.as_deref())?);
    aside(api, move |engine| {
        let pin = engine.pin(&name, at).map_err(|e| Trouble::Ours(e.to_string()))?;
        Ok(Now(shown(&pin)))
    })
    .await
}

/// Lets a snapshot go.
pub(crate) async fn delete(
    State(api): State<Api>,
    body: Result<axum::Json<Named>, JsonRejection>,
) -> Answered {
    let axum::Json(named) = body.map_err(|e| unread(&e, r#"{"name": …}"#))?;
    let name = named.name()?;
    aside(api, move |engine| {
        if engine.unpin(&name).map_err(|e| Trouble::Ours(e.to_string()))? {
            Ok(Now(json!({ "deleted": name })))
        } else {
            let query = ::query::run::nearest(&name, engine.pins().into_iter().map(|p| p.name), 3);
            let near =
                if query.is_empty() { String::new() } else { format!("; nearest: {}", query.join(", ")) };
            Err(Trouble::Missing(format!("there is no snapshot `{name}`{near}")))
        }
    })
    .await
}
