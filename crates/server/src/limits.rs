//! The limits of the receivers: each has a name, a default and a documented effect.

use crate::api::{BEHIND, EARLIER_AT_ONCE, PATHS_SECONDS, SQL_AT_ONCE, SQL_ROWS, SQL_SECONDS};
use crate::scrape::TARGETS;
use crate::serve::LARGE_READERS;
use crate::statsd::QUEUE;
use crate::syslog;
use query::paths;
use std::time::Duration;

/// One limit as people see it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Its name, as in `/metrics`; the unit is its end.
    pub name: &'static str,
    /// Its default.
    pub default: u64,
    /// What happens at the limit.
    pub effect: &'static str,
    /// Its value now.
    pub value: fn(&Limits) -> u64,
}

/// What the receivers may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body, as it comes and after decompression.
    pub request_body_bytes: u64,
    /// Bytes of all requests in memory at once.
    pub request_memory_bytes: u64,
    /// How much of a refused request is read and thrown away, so that its sender gets to read the answer.
    pub drain_bytes: u64,
    /// Connections of one port at once.
    pub connections: u64,
    /// Requests of one HTTP/2 connection at once.
    pub streams_per_connection: u64,
    /// Bytes of one request's headers.
    pub header_bytes: u64,
    /// How long a request's headers may take, and how long a connection may be idle between requests.
    pub header_seconds: u64,
    /// How long a request's body may take.
    pub body_seconds: u64,
    /// The largest object of a watched Kubernetes cluster.
    pub kubernetes_object_bytes: u64,
    /// Objects of one kind in it whose deletion is noticed even when the watch was interrupted.
    pub kubernetes_known_objects: u64,
    /// How long requests in flight may take when the server stops.
    pub shutdown_seconds: u64,
}

/// Every limit.
pub const LIMITS: [Limit; 26] = [
    // The default of the OTLP specification.
    limit(
        "request_body_bytes",
        64 << 20,
        "a larger body, as it comes or decompressed, is refused for good (413, RESOURCE_EXHAUSTED)",
        |l| l.request_body_bytes,
    ),
    // Eight of the largest at once; thousands of ordinary ones.
    limit(
        "request_memory_bytes",
        512 << 20,
        "beyond: requests are refused for now (429, UNAVAILABLE)",
        |l| l.request_memory_bytes,
    ),
    limit(
        "request_drain_bytes",
        512 << 20,
        "a refused body is read to its end up to this size, then the connection is cut",
        |l| l.drain_bytes,
    ),
    limit("connections_per_port", 2_048, "beyond: further connections wait to be accepted", |l| {
        l.connections
    }),
    limit("streams_per_connection", 256, "beyond: the HTTP/2 client holds further requests back", |l| {
        l.streams_per_connection
    }),
    limit("request_header_bytes", 64 << 10, "larger headers are refused (431)", |l| l.header_bytes),
    // Twice the usual interval between two exports of an SDK that sends every ten seconds or oftener.
    limit("request_header_seconds", 30, "a connection without a whole header in this time is closed", |l| {
        l.header_seconds
    }),
    limit(
        "request_body_seconds",
        60,
        "a body that takes longer is refused for now (408, DEADLINE_EXCEEDED)",
        |l| l.body_seconds,
    ),
    // Kubernetes itself takes no object above 1.5 MB (etcd), and its fields grow by a third as JSON.
    limit("kubernetes_object_bytes", 4 << 20, "a watch with a larger object in it is begun anew", |l| {
        l.kubernetes_object_bytes
    }),
    // More pods than Kubernetes supports in one cluster.
    limit(
        "kubernetes_known_objects",
        200_000,
        "beyond: a deletion that was missed is not noticed later",
        |l| l.kubernetes_known_objects,
    ),
    limit("shutdown_seconds", 10, "requests in flight when the server stops are given up after this", |l| {
        l.shutdown_seconds
    }),
    // Not for setting.
    limit(
        "large_body_readers",
        LARGE_READERS as u64,
        "beyond: further bodies over 256 KiB wait to be read",
        |_| LARGE_READERS as u64,
    ),
    limit("statsd_batches", QUEUE as u64, "beyond: datagrams are dropped and counted", |_| QUEUE as u64),
    limit("scrape_targets", TARGETS as u64, "more are refused when the server starts", |_| TARGETS as u64),
    limit(
        "page_events",
        BEHIND as u64,
        "of one open page; beyond: it misses the oldest events and reads the state again",
        |_| BEHIND as u64,
    ),
    limit(
        "history_graph_questions",
        EARLIER_AT_ONCE as u64,
        "that wait for a graph of earlier moments; beyond: further ones are refused for now (503)",
        |_| EARLIER_AT_ONCE as u64,
    ),
    limit(
        "paths_best",
        paths::MOST_BEST as u64,
        "ways of one answer; beyond: further ones are not looked for",
        |_| paths::MOST_BEST as u64,
    ),
    limit("paths_edges", paths::MOST_EDGES as u64, "of one way; longer ones are not looked for", |_| {
        paths::MOST_EDGES as u64
    }),
    limit(
        "paths_edges_looked_at",
        paths::MOST_LOOKED as u64,
        "for one question; beyond: the search ends, and says so",
        |_| paths::MOST_LOOKED as u64,
    ),
    limit("paths_seconds", PATHS_SECONDS, "for one question; beyond: the search ends, and says so", |_| {
        PATHS_SECONDS
    }),
    limit(
        "sql_queries",
        SQL_AT_ONCE as u64,
        "beyond: further queries in SQL are refused for now (503)",
        |_| SQL_AT_ONCE as u64,
    ),
    limit("sql_rows", SQL_ROWS as u64, "of one answer; beyond: it is cut, and says so", |_| SQL_ROWS as u64),
    limit("sql_seconds", SQL_SECONDS, "of one query in SQL; beyond: it is ended, and says so", |_| {
        SQL_SECONDS
    }),
    limit("syslog_message_bytes", syslog::MESSAGE as u64, "a longer syslog message is left out", |_| {
        syslog::MESSAGE as u64
    }),
    limit(
        "syslog_connections",
        syslog::CONNECTIONS as u64,
        "beyond: further connections wait to be accepted",
        |_| syslog::CONNECTIONS as u64,
    ),
    limit(
        "syslog_queue",
        syslog::QUEUE as u64,
        "beyond: senders over TCP wait, and datagrams are left out",
        |_| syslog::QUEUE as u64,
    ),
];

const fn limit(name: &'static str, default: u64, effect: &'static str, value: fn(&Limits) -> u64) -> Limit {
    Limit { name, default, effect, value }
}

impl Default for Limits {
    fn default() -> Limits {
        let [
            body,
            memory,
            drain,
            connections,
            streams,
            header,
            header_time,
            body_time,
            object,
            known,
            shutdown,
            ..,
        ] = LIMITS.map(|l| l.default);
        Limits {
            request_body_bytes: body,
            request_memory_bytes: memory,
            drain_bytes: drain,
            connections,
            streams_per_connection: streams,
            header_bytes: header,
            header_seconds: header_time,
            body_seconds: body_time,
            kubernetes_object_bytes: object,
            kubernetes_known_objects: known,
            shutdown_seconds: shutdown,
        }
    }
}

impl Limits {
    pub(crate) fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    pub(crate) fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_the_one_of_its_row() {
        let limits = Limits::default();
        for limit in &LIMITS {
            assert_eq!((limit.value)(&limits), limit.default, "{}", limit.name);
        }
    }
}
