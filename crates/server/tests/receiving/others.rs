//! Zipkin, Loki, Elasticsearch, Jaeger and syslog.

use crate::world::{GZIP, JSON, PROTO, gzip, post, send, world};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use server::Wire;
use server::limits::Limits;
use server::syslog::Syslog;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

#[tokio::test(flavor = "multi_thread")]
async fn spans_for_zipkin_arrive_in_both_forms() {
    let world = world(Limits::default()).await;
    for (kind, wire) in [(JSON, Wire::ZipkinJson), (PROTO, Wire::ZipkinProto)] {
        for answer in [
            post(world.main, "/api/v2/spans", &[kind], "hello").await,
            post(world.main, "/api/v2/spans", &[kind, GZIP], gzip(b"hello")).await,
        ] {
            assert_eq!((answer.status, answer.text().as_str()), (StatusCode::ACCEPTED, ""));
        }
        assert_eq!(world.got(), vec![(wire, Bytes::from("hello")); 2]);
    }
    for (headers, body, status, why) in [
        (&[("content-type", "text/plain")][..], "x", 415, "send application/json or"),
        (&[][..], "x", 415, "no content type"),
        (&[JSON][..], "!", 400, "it makes no sense"),
        (&[JSON, GZIP][..], "x", 400, "compressed body"),
        (&[JSON][..], "busy", 429, "queue"),
    ] {
        let answer = post(world.main, "/api/v2/spans", headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(why), "{}", answer.text());
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_for_loki_arrive_and_snappy_is_undone_within_limits() {
    let world = world(Limits { request_body_bytes: 1000, ..Limits::default() }).await;
    let path = "/loki/api/v1/push";
    let snapped = |text: &[u8]| snap::raw::Encoder::new().compress_vec(text).unwrap();
    for (headers, body, wire) in [
        (&[JSON][..], b"hello".to_vec(), Wire::LokiJson),
        (&[JSON, GZIP][..], gzip(b"hello"), Wire::LokiJson),
        (&[PROTO][..], snapped(b"hello"), Wire::LokiProto),
        (&[PROTO, ("content-encoding", "snappy")][..], snapped(b"hello"), Wire::LokiProto),
    ] {
        let answer = post(world.main, path, headers, body).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(world.got(), [(wire, Bytes::from("hello"))]);
    }
    for (headers, body, status, why) in [
        (&[PROTO][..], snapped(&[b'x'; 2000]), 413, "more than 1000 bytes after decompression"),
        (&[PROTO][..], b"\xff\xff\xff\xff\x0f".to_vec(), 413, "more than 1000 bytes"),
        (&[PROTO][..], b"\x05hello".to_vec(), 400, "snappy"),
        (&[PROTO, GZIP][..], gzip(b"hello"), 415, "not with `gzip`"),
        (&[NDJSON][..], b"x".to_vec(), 415, "not known here"),
    ] {
        let answer = post(world.main, path, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(why), "{}", answer.text());
    }
    assert!(world.got().is_empty());
    assert_eq!(world.receiver.memory_in_use(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_requests_are_answered_action_by_action() {
    let world = world(Limits::default()).await;
    let body = "{\"index\":{\"_index\":\"logs\",\"_id\":\"7\"}}\n{\"message\":\"a\"}\n{\"create\":{}}\n[1]\n{\"delete\":{\"_id\":\"1\"}}\n\
                {\"create\":{}}\n{\"@timestamp\":\"soon\"}\n";
    let answer = post(world.main, "/elasticsearch/web/_bulk", &[NDJSON], body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-elastic-product"], "Elasticsearch");
    let told = answer.json();
    assert_eq!(told["errors"], true);
    assert!(told["took"].is_u64());
    assert_eq!(
        told["items"][0],
        json!({"index": {"_index": "logs", "_id": "7", "result": "created", "status": 201}})
    );
    assert_eq!(told["items"][1]["create"]["_index"], "web");
    for (number, action, why) in [
        (1, "create", "not an object"),
        (2, "delete", "not changed or deleted"),
        (3, "create", "`@timestamp`"),
    ] {
        let item = &told["items"][number][action];
        assert_eq!(item["status"], 400);
        assert!(item["error"]["reason"].as_str().unwrap().contains(why), "{item}");
    }
    assert_eq!(world.got(), [(Wire::ElasticBulk, Bytes::from(body))]);
    let fine = post(world.main, "/elasticsearch/_bulk", &[NDJSON, GZIP], gzip(b"{\"index\":{}}\n{}\n")).await;
    assert_eq!(fine.json()["errors"], false);
    for (headers, body, status, kind) in [
        (&[NDJSON][..], "!", 400, "illegal_argument_exception"),
        (&[NDJSON][..], "busy", 429, "es_rejected_execution_exception"),
        (&[("content-type", "text/plain")][..], "x", 415, "status_exception"),
    ] {
        let answer = post(world.main, "/elasticsearch/_bulk", headers, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["type"]), (status, &json!(kind)));
        assert_eq!(answer.json()["status"], status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_elasticsearch_are_told_who_this_is_and_what_it_is_not() {
    let world = world(Limits::default()).await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", world.main));
        send(request.body(Full::new(Bytes::new())).unwrap()).await
    };
    for path in ["/elasticsearch", "/elasticsearch/"] {
        let answer = ask("GET", path).await;
        assert_eq!(answer.headers["x-elastic-product"], "Elasticsearch");
        assert!(answer.json()["version"]["number"].as_str().unwrap().starts_with("8."));
        assert_eq!(ask("HEAD", path).await.status, StatusCode::OK);
    }
    for (method, path) in [
        ("GET", "/elasticsearch/_license"),
        ("GET", "/elasticsearch/_ilm/policy/filebeat"),
        ("PUT", "/elasticsearch/_index_template/filebeat"),
        ("POST", "/elasticsearch/logs/_search"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers["x-elastic-product"], "Elasticsearch");
        assert_eq!(answer.json()["status"], 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jaeger_is_answered_on_the_port_of_otlp() {
    let world = world(Limits::default()).await;
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let path = "/jaeger.api_v2.CollectorService/PostSpans";
    let answer = post(world.otlp, path, &headers, "x").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let answer = post(world.grpc, path, &headers, Bytes::from_static(b"\0\0\0\0\x0510 of")).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, Bytes::from_static(&[0; 5])));
    assert_eq!(world.got(), [(Wire::Jaeger, Bytes::from("10 of"))]);
    let answer = post(world.grpc, path, &headers, Bytes::from_static(b"\0\0\0\0\x01!")).await;
    assert_eq!(answer.headers["grpc-status"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_comes_by_datagram_and_by_stream_and_is_handed_over_with_lengths() {
    let world = world(Limits::default()).await;
    let syslog = Syslog::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = syslog.addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(syslog.serve(world.receiver.clone(), stopped));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(b"<11>by datagram\n", addr).await.unwrap();
    let mut lines = TcpStream::connect(addr).await.unwrap();
    lines.write_all(b"<11>by line\n<11>and").await.unwrap();
    let mut counted = TcpStream::connect(addr).await.unwrap();
    counted.write_all(b"12 <11>by count").await.unwrap();
    lines.write_all(b" its end").await.unwrap();
    drop(lines);
    let mut got = String::new();
    let all = ["15 <11>by datagram", "11 <11>by line", "15 <11>and its end", "12 <11>by count"];
    let coming = async {
        while !all.iter().all(|m| got.contains(m)) {
            for (wire, bytes) in world.got() {
                assert_eq!(wire, Wire::Syslog);
                got.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), coming).await.unwrap();
    assert_eq!(got.len(), all.iter().map(|m| m.len()).sum::<usize>());
    // What has come is handed over before the end.
    counted.write_all(b"6 <11>zz").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    stop.send(true).unwrap();
    serving.await.unwrap();
    assert_eq!(world.got(), [(Wire::Syslog, Bytes::from("6 <11>zz"))]);
    assert!(Syslog::open(addr).await.is_ok());
}
