//! `/healthz`, and `/metrics` in the Prometheus text format (version 0.0.4).

use crate::Receiver;
use crate::history::History;
use crate::limits::LIMITS;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use engine::Engine;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
struct Figures {
    engine: Arc<Engine>,
    receiver: Receiver,
    connections: Connections,
    history: Option<Arc<dyn History>>,
}

/// Open connections by port.
pub(crate) type Connections = [(&'static str, Arc<AtomicU64>); 3];

/// The two pages.
pub(crate) fn routes(
    engine: Arc<Engine>,
    receiver: Receiver,
    connections: Connections,
    history: Option<Arc<dyn History>>,
) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(Figures { engine, receiver, connections, history })
}

async fn metrics(State(f): State<Figures>) -> Response {
    // Beside the threads that answer others: the graph's figures wait for whoever folds.
    match tokio::task::spawn_blocking(move || text(&f)).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn text(f: &Figures) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, rows: Vec<(String, f64)>| {
        let _ = writeln!(out, "# HELP e2egraph_{name} {help}\n# TYPE e2egraph_{name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(out, "e2egraph_{name}{labels} {value}");
        }
    };
    let label = |pairs: &[(&str, &str)]| {
        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}=\"{}\"", escape(v))).collect();
        format!("{{{}}}", pairs.join(","))
    };
    let requests = f.receiver.figures();
    let rows = requests
        .iter()
        .map(|(form, outcome, n)| (label(&[("form", form), ("outcome", outcome)]), *n as f64))
        .collect();
    family("requests_total", "counter", "Requests by form and outcome.", rows);
    let sources = f.engine.sources();
    let by = |value: fn(&engine::SourceReport) -> f64| {
        sources.iter().map(|s| (label(&[("source", &s.name)]), value(s))).collect::<Vec<_>>()
    };
    family("items_total", "counter", "Items received.", by(|s| s.items as f64));
    family("facts_total", "counter", "Facts folded.", by(|s| s.facts as f64));
    family(
        "repeated_total",
        "counter",
        "Counted facts that repeated earlier ones.",
        by(|s| s.repeated as f64),
    );
    family("refused_total", "counter", "Items set aside.", by(|s| s.refused as f64));
    let totals = f.engine.totals();
    let size = f.engine.graph().size();
    family(
        "graph_size",
        "gauge",
        "What the graph holds.",
        size.iter().map(|(what, n)| (label(&[("what", what)]), *n as f64)).collect(),
    );
    family(
        "joined_total",
        "counter",
        "Calls joined from trace steps.",
        vec![(String::new(), totals.joined as f64)],
    );
    family("steps_total", "counter", "Trace steps seen.", vec![(String::new(), totals.steps as f64)]);
    let let_go = [
        // The names are those of `e2egraph_limit`, so that the two can be joined.
        ("graph_sampled_nodes", totals.sampled_let_go),
        ("graph_open_traces", totals.traces_let_go),
        ("graph_nodes", totals.left_out),
        ("graph_open_nodes", totals.open_left_out),
        ("graph_series", totals.cohorts_folded),
        ("graph_flow_bytes", totals.flows_let_go),
    ];
    let rows = let_go.iter().map(|(what, n)| (label(&[("limit", what)]), *n as f64)).collect();
    family("beyond_limit_total", "counter", "What a limit of the graph left out or let go.", rows);
    let store = f.engine.store().stats();
    family(
        "store_pending_bytes",
        "gauge",
        "Bytes handed over and not yet on disk.",
        vec![(String::new(), store.pending_bytes as f64)],
    );
    let one = |n: f64| vec![(String::new(), n)];
    family("store_log_bytes", "gauge", "Bytes of the log on disk.", one(store.log_bytes as f64));
    family(
        "store_checkpoint_bytes",
        "gauge",
        "Bytes of the checkpoints on disk.",
        one(store.checkpoint_bytes as f64),
    );
    family(
        "store_tail_bytes",
        "gauge",
        "Bytes of requests that no checkpoint has: what a start would have to read from the log.",
        one(f.engine.tail_bytes() as f64),
    );
    let limits = f.engine.limits();
    let receiving = f.receiver.limits();
    let mut values: Vec<(String, f64)> =
        limits.iter().map(|l| (label(&[("limit", &l.name)]), l.value as f64)).collect();
    values.extend(LIMITS.iter().map(|l| (label(&[("limit", l.name)]), (l.value)(receiving) as f64)));
    values.push((label(&[("limit", "graph_exports_at_once")]), crate::api::EXPORTS_AT_ONCE as f64));
    let of_history = f.history.iter().flat_map(|h| h.limits());
    values.extend(of_history.map(|(name, value)| (label(&[("limit", name)]), value as f64)));
    family("limit", "gauge", "Every bound by name.", values);
    let mut used: Vec<(String, f64)> = limits
        .iter()
        .filter_map(|l| Some((label(&[("limit", &l.name)]), l.measured.then_some(l.used)? as f64)))
        .collect();
    let open: Vec<(&str, u64)> =
        f.connections.iter().map(|(port, n)| (*port, n.load(Ordering::Relaxed))).collect();
    let fullest = open.iter().map(|o| o.1).max().unwrap_or(0);
    used.push((label(&[("limit", "connections_per_port")]), fullest as f64));
    used.push((label(&[("limit", "request_memory_bytes")]), f.receiver.memory_in_use() as f64));
    family("limit_used", "gauge", "How much of a bound is used, where that can be said.", used);
    let open = open.iter().map(|(port, n)| (label(&[("port", port)]), *n as f64)).collect();
    for figure in f.history.iter().flat_map(|h| h.figures()) {
        let rows = figure.value.map(|v| (String::new(), v)).into_iter().collect();
        family(figure.name, figure.kind, figure.help, rows);
    }
    family("connections", "gauge", "Open connections by port.", open);
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
