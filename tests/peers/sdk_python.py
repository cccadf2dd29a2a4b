"""A TV app and an API gateway, both instrumented with the real OpenTelemetry SDK for Python. The app speaks OTLP/HTTP, the
gateway OTLP/gRPC. Prints the trace context of the gateway's call to the next service."""

import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

otlp_http, otlp_grpc = sys.argv[1:]

app = Resource({
    "service.name": "tvui", "e2e.app.name": "tvui", "e2e.app.platform": "tv", "service.version": "8.42.0",
    "session.id": "session-sdk-1", "device.id": "device-1", "device.manufacturer": "Acme", "device.model.identifier": "X900",
    "e2e.client.asn": 64501, "e2e.client.isp": "Example Cable", "geo.country.iso_code": "BR",
})
gateway = Resource({
    "service.name": "gateway", "service.version": "1.0.0", "service.instance.id": "gateway-py-1", "host.id": "host-py",
    "host.name": "host-py", "deployment.environment.name": "production",
})
app_spans, gateway_spans = TracerProvider(resource=app), TracerProvider(resource=gateway)
app_spans.add_span_processor(BatchSpanProcessor(HttpSpanExporter(endpoint=f"{otlp_http}/v1/traces")))
gateway_spans.add_span_processor(BatchSpanProcessor(GrpcSpanExporter(endpoint=otlp_grpc, insecure=True)))
app_logs = LoggerProvider(resource=app)
app_logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{otlp_http}/v1/logs")))
meters = MeterProvider(resource=gateway, metric_readers=[
    PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=otlp_grpc, insecure=True))])

view = app_spans.get_tracer("test").start_span("view", kind=SpanKind.INTERNAL, attributes={
    "e2e.view.name": "lolomo", "e2e.interaction.id": "interaction-1", "session.id": "session-sdk-1"})
fetch = app_spans.get_tracer("test").start_span("GET", kind=SpanKind.CLIENT, context=set_span_in_context(view))
server = gateway_spans.get_tracer("test").start_span(
    "GET /home", kind=SpanKind.SERVER, context=set_span_in_context(fetch), attributes={"http.route": "/home"})
call = gateway_spans.get_tracer("test").start_span("GET /ratings", kind=SpanKind.CLIENT, context=set_span_in_context(server))
carrier = {}
TraceContextTextMapPropagator().inject(carrier, set_span_in_context(call))
time.sleep(0.05)
for span in (call, server, fetch, view):
    span.end()
meters.get_meter("test").create_gauge("system.cpu.utilization", unit="1").set(0.31)
app_logs.get_logger("test").emit(LogRecord(
    timestamp=time.time_ns(), event_name="e2e.view.rendered", severity_number=SeverityNumber.INFO,
    attributes={"e2e.view.name": "lolomo", "e2e.interaction.id": "interaction-1", "session.id": "session-sdk-1",
                "e2e.view.ttr": 1830.0, "e2e.outcome": "ok"}))
for provider in (app_spans, gateway_spans, app_logs, meters):
    provider.shutdown()
print(carrier["traceparent"])
