//! The stream of events: one listener at the engine, any number of pages behind it.

use super::Api;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use engine::Engine;
use futures_util::Stream;
use futures_util::stream::unfold;
use ontology::Time;
use serde_json::json;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use tokio::sync::broadcast;

/// Events a page may be behind. Beyond: it misses the oldest, and reads the state again at the next.
pub(crate) const BEHIND: usize = 64;

/// What happened, as the stream says it: name and data.
type Said = (&'static str, String);

/// Where pages listen.
#[derive(Clone)]
pub(crate) struct Events(broadcast::Sender<Said>);

impl Events {
    /// Listens at the engine for as long as it lives.
    pub(crate) fn of(engine: &Arc<Engine>) -> Events {
        let (send, _) = broadcast::channel(BEHIND);
        let events = Events(send.clone());
        let engine = Arc::downgrade(engine);
        // A thread of its own, because the engine tells through a blocking channel.
        std::thread::spawn(move || relay(&engine, &send));
        events
    }
}

fn relay(engine: &Weak<Engine>, send: &broadcast::Sender<Said>) {
    // The engine lets go of a listener that is far behind; then we listen anew.
    while let Some(listener) = engine.upgrade().map(|e| e.listen()) {
        while let Ok(event) = listener.recv() {
            // Nobody may be listening.
            let _ = send.send(said(&event));
        }
    }
}

fn said(event: &engine::Event) -> Said {
    match event {
        engine::Event::Regression { id, open } => {
            ("regression", json!({ "id": id, "open": open }).to_string())
        }
        engine::Event::Investigation { id, headline } => {
            ("investigation", json!({ "id": id, "headline": headline }).to_string())
        }
        engine::Event::Tick { as_of } => tick(*as_of),
    }
}

fn tick(as_of: Time) -> Said {
    ("tick", json!({ "as_of": as_of.to_string() }).to_string())
}

/// The stream: first how far time has come, then everything as it happens.
pub(crate) async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Beside the threads that answer others: an epoch waits for whoever folds.
    let engine = Arc::clone(&api.engine);
    let first = tokio::task::spawn_blocking(move || tick(query::View::latest(&engine.graph()).as_of)).await;
    let stream = unfold((first.ok(), api.events.0.subscribe()), |(first, mut heard)| async move {
        let (name, data) = match first {
            Some(said) => said,
            None => loop {
                match heard.recv().await {
                    Ok(said) => break said,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            },
        };
        Some((Ok(Event::default().event(name).data(data)), (None, heard)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
