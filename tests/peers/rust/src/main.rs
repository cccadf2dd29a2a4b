//! Two services instrumented with the real OpenTelemetry SDK for Rust: a catalog, asked in a trace that goes on here, and the titles
//! that it asks in turn. The catalog speaks OTLP/HTTP, the titles speak OTLP/gRPC.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;

fn main() -> Result<(), Box<dyn Error>> {
    let [http, grpc, traceparent] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|given| format!("wanted: OTLP/HTTP, OTLP/gRPC, traceparent; given: {given:?}"))?;
    let catalog = resource("catalog");
    let spans = SpanExporter::builder().with_http().with_endpoint(format!("{http}/v1/traces"));
    let catalog_spans = SdkTracerProvider::builder()
        .with_resource(catalog.clone())
        .with_batch_exporter(spans.build()?)
        .build();
    let metrics = MetricExporter::builder().with_http().with_endpoint(format!("{http}/v1/metrics"));
    let meters =
        SdkMeterProvider::builder().with_resource(catalog).with_periodic_exporter(metrics.build()?).build();

    // The client of gRPC needs a runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    let titles = resource("titles");
    let spans = SpanExporter::builder().with_tonic().with_endpoint(grpc.clone());
    let titles_spans = SdkTracerProvider::builder()
        .with_resource(titles.clone())
        .with_batch_exporter(spans.build()?)
        .build();
    let lines = LogExporter::builder().with_tonic().with_endpoint(grpc);
    let logs = SdkLoggerProvider::builder().with_resource(titles).with_batch_exporter(lines.build()?).build();
    drop(entered);

    ask(&catalog_spans.tracer("test"), &titles_spans.tracer("test"), traceparent, &logs);
    meters.meter("test").f64_gauge("system.cpu.utilization").with_unit("1").build().record(0.53, &[]);
    catalog_spans.shutdown()?;
    titles_spans.shutdown()?;
    meters.shutdown()?;
    logs.shutdown()?;
    Ok(())
}

fn resource(service: &str) -> Resource {
    Resource::builder_empty()
        .with_service_name(service.to_owned())
        .with_attributes([
            KeyValue::new("service.version", "0.9.2"),
            KeyValue::new("service.instance.id", format!("{service}-rust-1")),
            KeyValue::new("host.id", format!("host-{service}")),
            KeyValue::new("host.name", format!("host-{service}")),
            KeyValue::new("deployment.environment.name", "production"),
        ])
        .build()
}

/// The catalog answers in the trace, and asks for a title on the way; the context goes from one to the other as it would in a
/// request's headers.
fn ask(catalog: &SdkTracer, titles: &SdkTracer, traceparent: String, logs: &SdkLoggerProvider) {
    let propagator = TraceContextPropagator::new();
    let parent = propagator.extract(&HashMap::from([("traceparent".to_owned(), traceparent)]));
    let asked = begin(catalog, "GET /catalog", SpanKind::Server, Some("/catalog"), &parent);
    let asking = begin(catalog, "GET", SpanKind::Client, None, &asked);
    let mut headers = HashMap::new();
    propagator.inject_context(&asking, &mut headers);
    let parent = propagator.extract(&headers);
    let answering = begin(titles, "GET /titles/{id}", SpanKind::Server, Some("/titles/{id}"), &parent);
    {
        let _within = answering.clone().attach();
        let bridge = tracing_subscriber::registry().with(OpenTelemetryTracingBridge::new(logs));
        tracing::subscriber::with_default(bridge, || tracing::error!("no title 80100172 in the store"));
    }
    std::thread::sleep(Duration::from_millis(20));
    for context in [answering, asking, asked] {
        context.span().end();
    }
}

fn begin(
    tracer: &SdkTracer,
    name: &'static str,
    kind: SpanKind,
    route: Option<&'static str>,
    parent: &Context,
) -> Context {
    let attributes = route.map(|route| KeyValue::new("http.route", route));
    let builder = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
    parent.with_span(tracer.build_with_context(builder, parent))
}
