//! Numbers as Prometheus, Atlas and StatsD send them, and what the mapping makes of them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes the helpers of an integration test for code outside of tests"
)]

use ingest::{Limits, Normaliser, Options, Wire, describe};
use ontology::{Batch, Ontology, Time};
use std::sync::{Arc, LazyLock};

static ONTOLOGY: LazyLock<Arc<Ontology>> = LazyLock::new(|| Arc::new(Ontology::builtin()));
const NOW: i64 = 1_795_521_900;

fn read(wire: Wire, body: &[u8]) -> Batch {
    let options = Options { hash_key: [7; 32], limits: Limits::default() };
    let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
    normaliser.normalise(&wire, body, Time::from_secs(NOW)).unwrap()
}

/// Asserts that every one of these stands in a line of what a body says, beside all of the others in its list.
fn says(wire: Wire, body: &str, lines: &[&[&str]]) -> Batch {
    let batch = read(wire, body.as_bytes());
    let text = describe(&batch, &ONTOLOGY);
    for wanted in lines {
        let found = text.lines().any(|line| wanted.iter().all(|w| line.contains(w)));
        assert!(found, "{wanted:?} is not in\n{text}");
    }
    batch
}

fn scraped(body: &str, lines: &[&[&str]]) -> Batch {
    says(Wire::PrometheusText, body, lines)
}

/// Requests recorded from Prometheus 2.42 (1.0) and 3.5.3 (2.0, with metadata in its WAL), which scraped one page of a few metrics.
#[test]
fn what_a_real_prometheus_wrote_says_the_same_in_both_versions() {
    let recorded = [
        (Wire::PrometheusWrite1, &include_bytes!("recorded/remote_write_1.snappy")[..]),
        (Wire::PrometheusWrite2, include_bytes!("recorded/remote_write_2.snappy")),
    ];
    for (wire, body) in recorded {
        let body = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let options = Options { hash_key: [7; 32], limits: Limits::default() };
        let mut normaliser = Normaliser::new(Arc::clone(&ONTOLOGY), options);
        let batch = normaliser.normalise(&wire, &body, Time::from_secs(NOW + 86_400)).unwrap();
        let text = describe(&batch, &ONTOLOGY);
        for wanted in [
            "operation.reported_latency = [(50.0, 5), (550.0, 3), (1000.0, 1)] sum Some(4500.0) since",
            "on Operation(/cart) by [Instance(127.0.0.1:",
            "instance.memory = 250000000 on Instance(127.0.0.1:",
            "instance.unreachable = false on Instance(127.0.0.1:",
            "draft Cluster(eu)",
            "namespace: shop, name: cart",
            "refused 1 × in part: quantiles of a summary",
            "not mapped: metric that no source reads: jobs_total",
            "not mapped: metric that no source reads: rpc_seconds",
        ] {
            assert!(text.contains(wanted), "{wire:?}: `{wanted}` is not in\n{text}");
        }
        assert!(!text.contains("cannot be read"), "{text}");
        if wire == Wire::PrometheusWrite2 {
            let written = ingest::written(&body).unwrap();
            assert_eq!((written.samples > 10, written.histograms), (true, 0));
        }
    }
}

#[test]
fn a_node_exporter_is_a_host_under_pressure() {
    let batch = scraped(
        "node_cpu_seconds_total{instance=\"10.0.0.7:9100\",job=\"node\",cpu=\"0\",mode=\"idle\"} 1000.7\n\
         node_cpu_seconds_total{instance=\"10.0.0.7:9100\",job=\"node\",cpu=\"0\",mode=\"user\"} 300\n\
         node_pressure_memory_waiting_seconds_total{instance=\"10.0.0.7:9100\"} 7.5\n\
         node_load1{instance=\"10.0.0.8:9100\",nodename=\"worker-8\",cluster=\"eu\"} 3\n\
         node_filefd_allocated{instance=\"10.0.0.7:9100\"} 3\n",
        &[
            &["host.pressure = 1000.7× since", "on Host(10.0.0.7)"],
            &["host.pressure = 300× bad since", "on Host(10.0.0.7)"],
            &["host.stalled = 7.5 since", "on Host(10.0.0.7)"],
            &["host.load = 3 on Host(worker-8)"],
            &["Host(worker-8) -in_cluster-> Cluster(eu)"],
            &["refused 1 × not mapped: metric that no source reads: node_filefd_allocated"],
        ],
    );
    assert_eq!(batch.source, "prometheus");
}

#[test]
fn requests_of_a_service_are_told_by_frameworks_in_their_own_names() {
    scraped(
        "# TYPE http_server_request_duration_seconds histogram\n\
         http_server_request_duration_seconds_bucket{job=\"shop/cart\",instance=\"c1\",http_route=\"/cart\",le=\"0.1\"} 8\n\
         http_server_request_duration_seconds_bucket{job=\"shop/cart\",instance=\"c1\",http_route=\"/cart\",le=\"+Inf\"} 9\n\
         http_server_request_duration_seconds_sum{job=\"shop/cart\",instance=\"c1\",http_route=\"/cart\"} 1\n\
         http_server_request_duration_seconds_count{job=\"shop/cart\",instance=\"c1\",http_route=\"/cart\"} 9\n\
         http_requests_total{job=\"web\",handler=\"/home\",code=\"503\"} 4\n\
         grpc_server_handled_total{job=\"rates\",grpc_service=\"Rates\",grpc_method=\"Get\",grpc_code=\"Unavailable\"} 2\n\
         grpc_server_handled_total{job=\"rates\",grpc_service=\"Rates\",grpc_method=\"Get\",grpc_code=\"NotFound\"} 3\n\
         up{job=\"shop/cart\",instance=\"c1\"} 0\n",
        &[
            &[
                "operation.reported_latency = [(50.0, 8), (100.0, 1)] sum Some(1000.0) since",
                "on Operation(/cart)",
            ],
            &["draft Service", "namespace: shop, name: cart"],
            &["operation.reported_errors = 4× bad since", "on Operation(web /home)"],
            &["operation.reported_errors = 2× bad since", "on Operation(rates Rates/Get)"],
            &["operation.reported_errors = 3× since", "on Operation(rates Rates/Get)"],
            &["instance.unreachable = true on Instance(c1)"],
        ],
    );
}

#[test]
fn kubernetes_is_known_by_uids_wherever_they_stand() {
    let uid = "5b0c1a2e-9f3d-4c6b-8a7e-0123456789ab";
    let slice =
        "/kubepods.slice/kubepods-pod5b0c1a2e_9f3d_4c6b_8a7e_0123456789ab.slice/cri-containerd-ab.scope";
    scraped(
        &format!(
            "kube_pod_container_status_restarts_total{{namespace=\"shop\",pod=\"cart-x\",uid=\"{uid}\",container=\"app\"}} 3\n\
             kube_pod_container_info{{namespace=\"shop\",pod=\"cart-x\",uid=\"{uid}\",container=\"app\",node=\"n1\"}} 1\n\
             container_cpu_usage_seconds_total{{id=\"{slice}\",namespace=\"shop\",pod=\"cart-x\",container=\"app\"}} 12.5\n\
             container_memory_working_set_bytes{{id=\"/docker/1\",namespace=\"shop\",pod=\"cart-x\",container=\"app\"}} 2e8\n\
             container_memory_working_set_bytes{{id=\"{slice}\",namespace=\"shop\",pod=\"cart-x\",container=\"POD\"}} 1\n\
             kube_deployment_status_replicas_available{{namespace=\"shop\",deployment=\"cart\"}} 2\n\
             kube_deployment_status_replicas_unavailable{{namespace=\"shop\",deployment=\"cart\"}} 1\n"
        ),
        &[
            &["instance.restarts = 3 since", &format!("on Instance({uid} app)")],
            &["instance.cpu = 12.5 since", &format!("on Instance({uid} app)")],
            &[&format!("Instance({uid} app) -runs_on-> Host(n1)")],
            &["instance.memory = 200000000 on Instance(shop cart-x app)"],
            &["workload.unready = 0 of 2 on Workload(shop Deployment cart)"],
            &["workload.unready = 1 of 1 on Workload(shop Deployment cart)"],
        ],
    );
}

#[test]
fn span_metrics_and_service_graphs_say_who_needs_whom() {
    let batch = scraped(
        "traces_service_graph_request_total{client=\"gateway\",server=\"cart\"} 5\n\
         traces_service_graph_request_total{client=\"user\",server=\"gateway\"} 5\n\
         calls_total{service_name=\"cart\",span_name=\"GET /cart\",span_kind=\"SPAN_KIND_SERVER\",status_code=\"STATUS_CODE_ERROR\"} 2\n\
         calls_total{service_name=\"cart\",span_name=\"select\",span_kind=\"SPAN_KIND_CLIENT\"} 2\n\
         istio_requests_total{reporter=\"destination\",source_canonical_service=\"web\",destination_canonical_service=\"rates\",response_code=\"503\"} 6\n",
        &[
            &["Service(gateway) -depends_on-> Service(cart)"],
            &["Service(web) -depends_on-> Service(rates)"],
            &["operation.reported_errors = 2× bad since", "on Operation(cart GET /cart)"],
            &["operation.reported_errors = 6× bad since", "on Operation(rates all)"],
        ],
    );
    let text = describe(&batch, &ONTOLOGY);
    assert!(!text.contains("Service(user)") && !text.contains("select)"), "{text}");
}

#[test]
fn what_comes_over_another_wire_is_not_taken_for_prometheus() {
    let batch = read(Wire::StatsD, b"node_load1:3|g|#instance:h:1\nup:0|g|#job:x,instance:y");
    let text = describe(&batch, &ONTOLOGY);
    assert!(batch.facts.is_empty() && text.contains("refused 1 × not mapped"), "{text}");
}

#[test]
fn statsd_is_whose_tags_say_so_and_equal_lines_count_twice() {
    let body = "web.request.duration:120|ms|#service:cart,host:h1,endpoint:/cart,status:500,version:1.4\n\
        web.request.duration:120|ms|#service:cart,host:h1,endpoint:/cart,status:500,version:1.4\n\
        web.requests:3|c|@0.5|#service:cart,endpoint:/cart\n\
        _sc|cart.up|2|h:h1|#service:cart|m:gone\n\
        _e{4,3}:oops|bad|t:error|k:k1|#service:cart\n\
        plain:1|c";
    let batch = says(
        Wire::StatsD,
        body,
        &[
            &["operation.reported_latency = [(120.0, 1)]", "on Operation(/cart)"],
            &["operation.reported_errors = 1 of 1 on Operation(/cart)"],
            &["operation.rate = 6× on Operation(/cart)"],
            &["draft ServiceVersion", "version: 1.4"],
            &["Instance(h1/cart) -runs_on-> Host(h1)"],
            &["instance.unreachable = true on Instance(h1/cart)"],
            &["Alert(k1", "-about-> Service(cart)"],
            &["refused 1 × not mapped: metric that no source reads: plain"],
        ],
    );
    let latencies = describe(&batch, &ONTOLOGY);
    assert_eq!(latencies.lines().filter(|l| l.contains("reported_latency = [(120.0, 1)]")).count(), 2);
}

#[test]
fn spectator_tells_of_calls_on_both_sides() {
    let body = r#"{"tags": {"nf.app": "cart", "nf.node": "i-1", "nf.asg": "cart-v001", "nf.region": "eu-west-1", "nf.zone": "eu-west-1a"},
        "metrics": [
        {"tags": {"name": "ipc.server.call", "statistic": "count", "atlas.dstype": "rate", "ipc.endpoint": "/cart", "ipc.result": "failure", "ipc.client.app": "web"}, "timestamp": 1795521840000, "value": 0.5},
        {"tags": {"name": "ipc.server.call", "statistic": "totalTime", "atlas.dstype": "rate", "ipc.endpoint": "/cart", "ipc.result": "failure", "ipc.client.app": "web"}, "timestamp": 1795521840000, "value": 0.05},
        {"tags": {"name": "ipc.client.call", "statistic": "count", "atlas.dstype": "rate", "ipc.server.app": "rates"}, "timestamp": 1795521840000, "value": 1},
        {"tags": {"name": "cgroup.mem.used", "statistic": "gauge", "atlas.dstype": "gauge"}, "timestamp": 1795521840000, "value": 1000}]}"#;
    says(
        Wire::AtlasJson,
        body,
        &[
            &["operation.reported_latency = [(100.0, 30)] sum Some(3000.0) on Operation(/cart)"],
            &["operation.reported_errors = 30 of 30 on Operation(/cart)"],
            &["Service(web) -depends_on-> Service(cart)"],
            &["Service(cart) -depends_on-> Service(rates)"],
            &["instance.memory = 1000 on Instance(i-1)"],
            &["Instance(i-1) -in_workload-> Workload(ServerGroup cart-v001)"],
        ],
    );
}
