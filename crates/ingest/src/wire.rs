//! The forms in which telemetry arrives, with the numbers the log and the names URLs use.

/// A form of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// OTLP `ExportTraceServiceRequest`, protobuf.
    TracesProto,
    /// The same as OTLP/JSON.
    TracesJson,
    /// OTLP `ExportMetricsServiceRequest`, protobuf.
    MetricsProto,
    /// The same as OTLP/JSON.
    MetricsJson,
    /// OTLP `ExportLogsServiceRequest`, protobuf.
    LogsProto,
    /// The same as OTLP/JSON.
    LogsJson,
    /// Zipkin v2, a JSON list of spans.
    ZipkinJson,
    /// The same as `zipkin.proto3.ListOfSpans`.
    ZipkinProto,
    /// Jaeger's `jaeger.api_v2.PostSpansRequest`, protobuf.
    Jaeger,
    /// Loki's `logproto.PushRequest`, protobuf with snappy undone.
    LokiProto,
    /// The same as JSON.
    LokiJson,
    /// Elasticsearch's `_bulk`: lines of JSON.
    ElasticBulk,
    /// Syslog messages, each with its length in bytes before it (RFC 6587, octet counting).
    Syslog,
    /// A JSON feed for what has no OTLP form.
    Feed(Feed),
}

/// A JSON feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// CDEvents 0.4 and 0.5, bare or inside a CloudEvent.
    CdEvents,
    /// Our own form for rollouts, configuration, traffic and capacity.
    Changes,
    /// Experiments with their cells and allocation.
    Experiments,
    /// Changes of feature flags.
    Flags,
    /// Alertmanager's webhook, version 4.
    Alertmanager,
    /// Services and owners, as Backstage describes them.
    Catalog,
}

impl Feed {
    /// Every feed, in the order of their codes.
    pub const ALL: [Feed; 6] =
        [Feed::CdEvents, Feed::Changes, Feed::Experiments, Feed::Flags, Feed::Alertmanager, Feed::Catalog];

    /// Its name in URLs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Feed::CdEvents => "cdevents",
            Feed::Changes => "changes",
            Feed::Experiments => "experiments",
            Feed::Flags => "flags",
            Feed::Alertmanager => "alertmanager",
            Feed::Catalog => "catalog",
        }
    }

    /// The feed with this name.
    pub fn named(name: &str) -> Option<Feed> {
        Feed::ALL.into_iter().find(|f| f.name() == name)
    }
}

impl Wire {
    /// Every form.
    pub fn all() -> impl Iterator<Item = Wire> {
        use Wire::{LogsJson, LogsProto, MetricsJson, MetricsProto, TracesJson, TracesProto};
        let otlp = [TracesProto, TracesJson, MetricsProto, MetricsJson, LogsProto, LogsJson];
        let others = [
            Wire::ZipkinJson,
            Wire::ZipkinProto,
            Wire::Jaeger,
            Wire::LokiProto,
            Wire::LokiJson,
            Wire::ElasticBulk,
            Wire::Syslog,
        ];
        otlp.into_iter().chain(others).chain(Feed::ALL.into_iter().map(Wire::Feed))
    }

    /// The number written to the log. Never changes meaning.
    pub const fn code(self) -> u8 {
        match self {
            Wire::TracesProto => 1,
            Wire::TracesJson => 2,
            Wire::MetricsProto => 3,
            Wire::MetricsJson => 4,
            Wire::LogsProto => 5,
            Wire::LogsJson => 6,
            Wire::ZipkinJson => 16,
            Wire::ZipkinProto => 17,
            Wire::Jaeger => 18,
            Wire::LokiProto => 19,
            Wire::LokiJson => 20,
            Wire::ElasticBulk => 21,
            Wire::Syslog => 22,
            Wire::Feed(Feed::CdEvents) => 32,
            Wire::Feed(Feed::Changes) => 33,
            Wire::Feed(Feed::Experiments) => 34,
            Wire::Feed(Feed::Flags) => 35,
            Wire::Feed(Feed::Alertmanager) => 36,
            Wire::Feed(Feed::Catalog) => 37,
        }
    }

    /// The form with this number; `None` for a number of a newer version.
    pub fn from_code(code: u8) -> Option<Wire> {
        Wire::all().find(|w| w.code() == code)
    }

    /// The name of the source it counts for.
    pub const fn source(self) -> &'static str {
        match self {
            Wire::Feed(feed) => feed.name(),
            Wire::ZipkinJson | Wire::ZipkinProto => "zipkin",
            Wire::Jaeger => "jaeger",
            Wire::LokiProto | Wire::LokiJson => "loki",
            Wire::ElasticBulk => "elasticsearch",
            Wire::Syslog => "syslog",
            _ => "otlp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_form_and_every_name_to_its_feed() {
        for wire in Wire::all() {
            assert_eq!(Wire::from_code(wire.code()), Some(wire));
        }
        for feed in Feed::ALL {
            assert_eq!(Feed::named(feed.name()), Some(feed));
        }
        assert_eq!(Wire::from_code(0), None);
    }
}
