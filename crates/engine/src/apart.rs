//! Merges undone: what sources know by a shared weaker key, and somebody said are two things.

use crate::intake::{Engine, EngineError, lock};
use crate::reload::Reloaded;
use ontology::Time;
use serde::{Deserialize, Serialize};
use store::Store;

const APART: &str = "apart";
/// Pairs kept apart. Beyond: further ones are refused; a key that needs so many exceptions is none.
pub(crate) const PAIRS: usize = 10_000;

/// Two that are not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The id of what has only the weaker key.
    pub stand_in: String,
    /// The id of what it was taken for.
    pub node: String,
    /// When this was said.
    pub since: Time,
}

/// Why a merge cannot be undone, or done again.
#[derive(Debug, thiserror::Error)]
pub enum ApartError {
    /// The two do not count as one.
    #[error("{0} does not count as {1}; `e2egraph graph merges` lists what counts as what, with ids")]
    NotMerged(String, String),
    /// Nobody said that they are two.
    #[error(
        "nobody said that {0} and {1} are two; `e2egraph graph merges` lists what counts as what, with ids"
    )]
    NotApart(String, String),
    /// There are too many.
    #[error("{PAIRS} pairs are kept apart already; mend the keys in the mapping instead")]
    TooMany,
    /// It cannot be written.
    #[error(transparent)]
    Document(#[from] EngineError),
}

pub(crate) fn read(store: &Store) -> Result<Vec<Apart>, EngineError> {
    let failed = |why: String| EngineError::Document { what: APART.to_owned(), why };
    match store.document(APART).map_err(|e| failed(e.to_string()))? {
        Some(text) => serde_json::from_slice(&text).map_err(|e| failed(e.to_string())),
        None => Ok(Vec::new()),
    }
}

/// As the graph takes them.
pub(crate) fn pairs(apart: &[Apart]) -> Vec<(u64, u64)> {
    let number = |id: &str| u64::from_str_radix(id, 16).ok();
    apart.iter().filter_map(|a| Some((number(&a.stand_in)?, number(&a.node)?))).collect()
}

impl Engine {
    /// What is kept apart, in the order in which it was said.
    pub fn apart(&self) -> Vec<Apart> {
        lock(&self.apart).clone()
    }

    /// Undoes a merge: from now on, and for all that is kept, the two are two. Reads the log again, see [`Engine::reload`].
    ///
    /// # Errors
    /// When they do not count as one, or it cannot be written.
    pub fn split(&self, stand_in: &str, node: &str, now: Time) -> Result<Reloaded, ApartError> {
        let graph = self.graph();
        let merged = graph.stand_ins(None).into_iter().any(|(s, owners)| {
            graph.own_id(s) == stand_in && owners.iter().any(|o| graph.own_id(*o) == node)
        });
        if !merged {
            return Err(ApartError::NotMerged(stand_in.to_owned(), node.to_owned()));
        }
        self.change(|apart| {
            if apart.len() >= PAIRS {
                return Err(ApartError::TooMany);
            }
            apart.push(Apart { stand_in: stand_in.to_owned(), node: node.to_owned(), since: now });
            Ok(())
        })
    }

    /// Takes that back.
    ///
    /// # Errors
    /// When nobody said so, or it cannot be written.
    pub fn rejoin(&self, stand_in: &str, node: &str) -> Result<Reloaded, ApartError> {
        self.change(|apart| {
            let before = apart.len();
            apart.retain(|a| a.stand_in != stand_in || a.node != node);
            if apart.len() == before {
                return Err(ApartError::NotApart(stand_in.to_owned(), node.to_owned()));
            }
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<Apart>) -> Result<(), ApartError>,
    ) -> Result<Reloaded, ApartError> {
        {
            let mut kept = lock(&self.apart);
            let mut new = kept.clone();
            change(&mut new)?;
            let failed = |why: String| EngineError::Document { what: APART.to_owned(), why };
            let text = serde_json::to_vec(&new).map_err(|e| failed(e.to_string()))?;
            self.store().put_document(APART, &text).map_err(|e| failed(e.to_string()))?;
            *kept = new;
        }
        Ok(self.reload(self.ontology()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{keep, open};
    use ingest::Wire;

    fn post(engine: &Engine, feed: &str, body: &str) {
        let understood =
            engine.read(Wire::feed(feed), body.to_owned().into(), Time::EPOCH.plus_secs(1_795_500_000));
        let understood = understood.unwrap();
        keep(engine, &understood);
        engine.fold(&understood);
    }

    fn services(engine: &Engine) -> Vec<String> {
        let graph = engine.graph();
        let class = graph.ontology().class("Service").unwrap();
        let mut names: Vec<String> = graph.of_class(class).into_iter().map(|n| graph.name(n)).collect();
        names.sort();
        names
    }

    #[test]
    fn a_merge_is_shown_undone_and_done_again_and_all_of_it_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, _) = open(folder.path()).unwrap();
        post(
            &engine,
            "catalog",
            r#"{"kind": "Component", "metadata": {"namespace": "shop", "name": "ratings"}}"#,
        );
        let config = r#"{"kind": "config", "id": "c1", "service": "ratings", "property": "p", "at": "2026-11-24T10:00:00Z"}"#;
        post(&engine, "changes", config);
        assert_eq!(services(&engine), ["shop/ratings"], "the change knows the service by its name only");
        let graph = engine.graph();
        let service = graph.ontology().class("Service");
        let (stand_in, owners) = graph.stand_ins(service).remove(0);
        assert_eq!(graph.key_text(stand_in), "name=ratings");
        let (a, b) = (graph.own_id(stand_in), graph.own_id(owners[0]));
        let now = Time::EPOCH.plus_secs(1_795_500_100);
        assert!(matches!(engine.split(&b, &a, now), Err(ApartError::NotMerged(..))));
        assert!(matches!(engine.rejoin(&a, &b), Err(ApartError::NotApart(..))));
        engine.split(&a, &b, now).unwrap();
        assert_eq!(services(&engine), ["ratings", "shop/ratings"]);
        assert!(matches!(engine.split(&a, &b, now), Err(ApartError::NotMerged(..))));
        drop(engine);
        let (engine, _) = open(folder.path()).unwrap();
        assert_eq!(services(&engine), ["ratings", "shop/ratings"]);
        assert_eq!(engine.apart().len(), 1);
        engine.rejoin(&a, &b).unwrap();
        assert_eq!(services(&engine), ["shop/ratings"]);
    }
}
