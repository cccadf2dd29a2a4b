// A backend service instrumented with the real OpenTelemetry SDK for Node: continues a trace, records a metric and a log.
import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [endpoint, traceparent] = process.argv.slice(2);
const resource = resourceFromAttributes({
  "service.name": "ratings",
  "service.version": "2.3.1",
  "service.instance.id": "ratings-node-1",
  "host.id": "host-node",
  "host.name": "host-node",
  "deployment.environment.name": "production",
});
const provider = new NodeTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }))],
});
provider.register();
const parent = propagation.extract(context.active(), { traceparent });
const span = trace.getTracer("test").startSpan("GET /ratings", { kind: SpanKind.SERVER, attributes: { "http.route": "/ratings" } }, parent);

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }), exportIntervalMillis: 60000 });
const meters = new MeterProvider({ resource, readers: [reader] });
meters.getMeter("test").createGauge("system.cpu.utilization", { unit: "1" }).record(0.42);

const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${endpoint}/v1/logs` }) })] });
logs.getLogger("test").emit({ body: "cache miss for title 80100172", severityText: "INFO", context: trace.setSpan(parent, span) });

setTimeout(async () => {
  span.end();
  await provider.shutdown();
  await meters.shutdown();
  await logs.shutdown();
}, 20);
