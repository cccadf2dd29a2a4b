//! What whoever runs the server may change while it runs: the ontology, and the key that personal data is hashed with.

use super::answers::unread;
use super::{Answered, Api, Now, Trouble, aside, told};
use crate::receive::now;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use engine::ApartError;
use ontology::Ontology;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Where a running server gets what it cannot make itself.
///
/// **Contract:** either may be called at any time and from any thread, and may read files. An error is told to whoever asked, and
/// nothing changes.
#[derive(Clone)]
pub struct Operator {
    /// Reads the ontology from its files again; the error lists every problem in them.
    pub ontology: Arc<dyn Fn() -> Result<Ontology, String> + Send + Sync>,
    /// A key that nobody can guess.
    pub hash_key: Arc<dyn Fn() -> Result<[u8; 32], String> + Send + Sync>,
}

/// Reads the ontology again and, if it is sound, everything in the log under it.
pub(crate) async fn reload(State(api): State<Api>) -> Answered {
    let operator = api.operator.clone();
    aside(api, move |engine| {
        let ontology = (operator.ontology)().map_err(Trouble::Unsound)?;
        Ok(Now(told(&engine.reload(Arc::new(ontology)))?))
    })
    .await
}

const PAIR: &str = r#"{"stand_in": …, "node": …}, two ids"#;

/// A record and the thing it was taken for, by their ids.
#[derive(Deserialize)]
pub(crate) struct Pair {
    stand_in: String,
    node: String,
}

impl From<ApartError> for Trouble {
    fn from(error: ApartError) -> Trouble {
        match error {
            ApartError::NotMerged(..) | ApartError::NotApart(..) => Trouble::Missing(error.to_string()),
            ApartError::TooMany => Trouble::Unclear(error.to_string()),
            ApartError::Document(e) => Trouble::Ours(e.to_string()),
        }
    }
}

/// What is kept apart.
pub(crate) async fn apart(State(api): State<Api>) -> Answered {
    aside(api, |engine| Ok(Now(json!({"apart": told(&engine.apart())?})))).await
}

/// Undoes a merge.
pub(crate) async fn split(State(api): State<Api>, body: Result<axum::Json<Pair>, JsonRejection>) -> Answered {
    let axum::Json(pair) = body.map_err(|e| unread(&e, PAIR))?;
    aside(api, move |engine| Ok(Now(told(&engine.split(&pair.stand_in, &pair.node, now())?)?))).await
}

/// Takes that back.
pub(crate) async fn rejoin(
    State(api): State<Api>,
    body: Result<axum::Json<Pair>, JsonRejection>,
) -> Answered {
    let axum::Json(pair) = body.map_err(|e| unread(&e, PAIR))?;
    aside(api, move |engine| Ok(Now(told(&engine.rejoin(&pair.stand_in, &pair.node)?)?))).await
}

/// Hashes personal data with a new key from now on.
pub(crate) async fn rotate(State(api): State<Api>) -> Answered {
    let operator = api.operator.clone();
    aside(api, move |engine| {
        let key = (operator.hash_key)().map_err(Trouble::Ours)?;
        engine.rotate_hash_key(key).map_err(|e| Trouble::Ours(e.to_string()))?;
        Ok(Now(json!({"rotated": true})))
    })
    .await
}
