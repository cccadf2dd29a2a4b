//! OTLP over HTTP and the feeds.

use crate::world::{GZIP, JSON, PROTO, ZSTD, gzip, post, send, world};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use server::limits::Limits;
use server::{Delivery, Form, Wire};
use std::convert::Infallible;
use std::sync::Arc;

fn chunks(
    count: usize,
    size: usize,
) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>>> {
    let frames = (0..count).map(move |_| Ok(Frame::data(Bytes::from(vec![b'x'; size]))));
    StreamBody::new(futures_util::stream::iter(frames))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_every_signal_arrive_as_sent_in_every_compression() {
    let world = world(Limits::default()).await;
    let large = "x".repeat(1 << 20);
    for (path, proto, json) in [
        ("/v1/traces", Wire::TracesProto, Wire::TracesJson),
        ("/v1/metrics", Wire::MetricsProto, Wire::MetricsJson),
        ("/v1/logs", Wire::LogsProto, Wire::LogsJson),
    ] {
        for (kind, wire, empty) in [(PROTO, proto, ""), (JSON, json, "{}")] {
            for text in ["hello", large.as_str()] {
                let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
                for answer in [
                    post(world.otlp, path, &[kind], text.to_owned()).await,
                    post(world.otlp, path, &[kind, GZIP], gzip(text.as_bytes())).await,
                    post(world.otlp, path, &[kind, ZSTD], zstd).await,
                ] {
                    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, empty));
                    assert_eq!(answer.headers["content-type"], kind.1);
                }
                assert_eq!(world.got(), vec![(wire.clone(), Bytes::from(text.to_owned())); 3]);
            }
            for headers in [&[kind][..], &[kind, GZIP]] {
                let answer = post(world.otlp, path, headers, "").await;
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (StatusCode::OK, empty),
                    "an empty request"
                );
            }
        }
    }
    assert_eq!(world.receiver.memory_in_use(), 0);
    assert!(
        world.receiver.figures().contains(&("http_logs".to_owned(), "accepted", 16)),
        "{:?}",
        world.receiver.figures()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_arrives_whole() {
    let world = world(Limits::default()).await;
    let request = Request::post(format!("http://{}/v1/traces", world.otlp)).header(PROTO.0, PROTO.1);
    assert_eq!(send(request.body(chunks(100, 1_000)).unwrap()).await.status, StatusCode::OK);
    assert_eq!(world.got()[0].1.len(), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong_in_the_form_of_the_request_and_when_to_come_back() {
    let world = world(Limits::default()).await;
    let traces = async |headers: &[(&str, &str)], body: &'static str| {
        post(world.otlp, "/v1/traces", headers, body).await
    };
    let answer = traces(&[JSON], "!").await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::BAD_REQUEST, json!({"code": 3, "message": "it makes no sense"}))
    );
    let answer = traces(&[PROTO], "!").await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (StatusCode::BAD_REQUEST, &b"\x08\x03\x12\x11it makes no sense"[..])
    );
    assert_eq!(traces(&[JSON], "b").await.retry(), (429, Some("1")));
    assert_eq!(traces(&[JSON], "d").await.retry(), (503, Some("10")));
    assert_eq!(traces(&[JSON], "P").await.retry(), (500, None));
    let answer = traces(&[("content-type", "text/xml")], "<a/>").await;
    assert_eq!(answer.retry(), (415, None));
    assert!(answer.text().contains("application/x-protobuf or application/json"), "{}", answer.text());
    assert_eq!(traces(&[], "x").await.retry(), (415, None));
    let answer = traces(&[JSON, ("content-encoding", "br")], "x").await;
    assert_eq!(answer.retry(), (415, None));
    assert!(answer.text().contains("gzip, zstd"), "{}", answer.text());
    assert_eq!(post(world.otlp, "/v1/nonsense", &[JSON], "x").await.retry(), (404, None));
    assert!(world.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_told_as_partial_success() {
    let world = world(Limits::default()).await;
    let message = "3 of 10 items were set aside: 3 × too odd (field x)";
    let answer = post(world.otlp, "/v1/metrics", &[JSON], "3").await;
    let due = json!({"partialSuccess": {"rejectedDataPoints": "3", "errorMessage": message}});
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, due));
    let answer = post(world.otlp, "/v1/metrics", &[PROTO], "3").await;
    let len = u8::try_from(message.len()).unwrap();
    assert_eq!(answer.body, [&[0x0a, len + 4, 0x08, 3, 0x12, len][..], message.as_bytes()].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_200_mb_gets_an_answer_and_is_not_kept() {
    let world = world(Limits::default()).await;
    let announced = post(world.otlp, "/v1/traces", &[JSON], vec![b'x'; 200 << 20]).await;
    assert_eq!(announced.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(announced.text().contains("67108864"), "{}", announced.text());
    let request = Request::post(format!("http://{}/v1/traces", world.otlp)).header(PROTO.0, PROTO.1);
    let chunked = send(request.body(chunks(200, 1 << 20)).unwrap()).await;
    assert_eq!(chunked.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.receiver.memory_in_use(), 0);
    assert!(world.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_stopped_at_the_limit_and_damaged_compression_is_refused() {
    let world = world(Limits::default()).await;
    let zeros = vec![0; 300 << 20];
    let bombs = [(GZIP, gzip(&zeros)), (ZSTD, zstd::encode_all(&zeros[..], 1).unwrap())];
    drop(zeros);
    for (coding, bomb) in bombs {
        assert!(bomb.len() < 1 << 20);
        let answer = post(world.otlp, "/v1/traces", &[PROTO, coding], bomb.clone()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        for bad in [&bomb[..200], b"not compressed"] {
            let answer = post(world.otlp, "/v1/traces", &[JSON, coding], bad.to_vec()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        }
    }
    assert_eq!(world.receiver.memory_in_use(), 0);
    assert!(world.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_memory_set_aside_are_refused_for_now() {
    let world = world(Limits { request_memory_bytes: 1 << 20, ..Limits::default() }).await;
    let otlp = world.otlp;
    let large = |byte: u8| post(otlp, "/v1/traces", &[PROTO], vec![byte; 700 << 10]);
    let slow = tokio::spawn(large(b's'));
    world.busy_with(700 << 10).await;
    assert_eq!(large(b'x').await.retry(), (429, Some("1")));
    assert_eq!(slow.await.unwrap().status, StatusCode::OK);
    assert_eq!(large(b'x').await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_may_send_and_others_may_not() {
    let world = world(Limits::default()).await;
    let preflight = async |origin: &str| {
        let request = Request::options(format!("http://{}/v1/traces", world.otlp))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-token");
        send(request.body(Full::new(Bytes::new())).unwrap()).await
    };
    let answer = preflight("http://localhost:3000").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    assert_eq!(answer.headers["access-control-allow-headers"], "content-type,x-token");
    let answer = preflight("https://evil.example").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let answer = post(world.otlp, "/v1/traces", &[JSON, ("origin", "http://127.0.0.1:3000")], "x").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "http://127.0.0.1:3000");
    let answer = post(world.otlp, "/v1/traces", &[JSON, ("origin", "https://evil.example")], "x").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(world.got().len(), 1);
}

fn feed(name: &str) -> String {
    format!("/api/v1/feeds/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_say_what_they_took_and_what_not() {
    let world = world(Limits::default()).await;
    for known in ["cdevents", "changes", "experiments", "flags", "alertmanager", "catalog"] {
        let answer = post(world.main, &feed(known), &[JSON], "3").await;
        let refused = json!([
            {"reason": "too odd", "detail": "field x", "items": 3},
            {"reason": "in part: odd", "detail": "field y", "items": 2},
        ]);
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({"accepted": 7, "refused": refused}))
        );
        assert_eq!(world.got(), [(Wire::feed(known), Bytes::from_static(b"3"))]);
    }
    let answer = post(world.main, &feed("nonsense"), &[JSON], "{}").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("alertmanager"), "{}", answer.text());
    let answer = post(world.main, &feed("changes"), &[("content-type", "text/plain")], "{}").await;
    assert_eq!(answer.retry(), (415, None));
    assert_eq!(post(world.main, &feed("changes"), &[JSON], " ").await.retry(), (400, None));
    assert_eq!(post(world.main, &feed("changes"), &[JSON], "d").await.retry(), (503, Some("10")));
    assert_eq!(post(world.main, &feed("changes"), &[JSON], vec![b' '; 65 << 20]).await.retry(), (413, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudevent_in_binary_mode_becomes_a_structured_one() {
    let world = world(Limits::default()).await;
    let structured = ("content-type", "application/cloudevents+json");
    let answer = post(world.main, &feed("cdevents"), &[structured, GZIP], gzip(b"{}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(world.got()[0].1, "{}");
    let kind = "dev.cdevents.service.deployed.0.3.0";
    let binary = [JSON, ("ce-specversion", "1.0"), ("ce-type", kind), ("ce-subject", "caf%C3%A9")];
    let answer = post(world.main, &feed("cdevents"), &binary, r#"{"context": {}}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
    let event: serde_json::Value = serde_json::from_slice(&world.got()[0].1).unwrap();
    assert_eq!(
        event,
        json!({"specversion": "1.0", "type": kind, "subject": "café", "data": {"context": {}}})
    );
    for bad in [r#"1}, "type":{"#.to_owned(), "[".repeat(10_000)] {
        assert_eq!(post(world.main, &feed("cdevents"), &binary, bad).await.retry(), (400, None));
    }
    assert!(world.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_comes_in_many_forms_and_says_what_was_around_it() {
    let world = world(Limits::default()).await;
    let form = |kind| ("content-type", kind);
    for (kind, form_name) in [
        ("application/x-ndjson", Form::Lines),
        ("application/yaml", Form::Yaml),
        ("text/csv", Form::Csv),
        ("application/octet-stream", Form::Text),
    ] {
        let answer = post(world.main, "/api/v1/feeds/changes?from=file+a%26b", &[form(kind)], "x").await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}");
        let around = [("query.from".to_owned(), "file a&b".to_owned())].into();
        let delivery = Delivery { feed: "changes".to_owned(), form: form_name, around };
        assert_eq!(world.got()[0].0, Wire::Feed(Arc::new(delivery)));
    }
    let many = (0..33).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join("&");
    let answer = post(world.main, &format!("/api/v1/feeds/changes?{many}"), &[JSON], "x").await;
    assert_eq!(answer.retry(), (400, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_also_taken_where_its_senders_post() {
    let world = world(Limits::default()).await;
    assert_eq!(post(world.main, "/api/v2/alerts", &[JSON], "[]").await.status, StatusCode::OK);
    assert_eq!(world.got(), [(Wire::feed("alertmanager"), Bytes::from_static(b"[]"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_signed_is_not_taken_without_a_proof() {
    let world = world(Limits::default()).await;
    for (name, status) in
        [("github", 401), ("gitlab", 401), ("pagerduty", 401), ("grafana", 200), ("opsgenie", 200)]
    {
        assert_eq!(post(world.main, &feed(name), &[JSON], "3").await.status.as_u16(), status, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_send_only_the_feeds_that_are_theirs() {
    let world = world(Limits::default()).await;
    let own = [("origin", "http://localhost:3000"), ("content-type", "text/plain;charset=UTF-8")];
    let answer = post(world.otlp, "/v1/feeds/changes", &own, "{}").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:3000");
    let answer = post(world.otlp, "/v1/feeds/changes", &[("origin", "https://evil.example")], "{}").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(world.got().is_empty());
    for (name, kind, wanted) in [
        ("web-vitals", "text/plain;charset=UTF-8", Form::Json),
        ("reports", "application/reports+json", Form::Json),
        ("cmcd", "application/cmcd", Form::Text),
    ] {
        let answer =
            post(world.otlp, &format!("/v1/feeds/{name}"), &[own[0], ("content-type", kind)], "{}").await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
        let (Wire::Feed(delivery), _) = world.got().remove(0) else { panic!("{name}") };
        assert_eq!((delivery.feed.as_str(), delivery.form), (name, wanted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_of_some_feeds_add_a_path_of_their_own() {
    let world = world(Limits::default()).await;
    let answer = post(world.main, "/api/v1/feeds/unleash/client/metrics", &[JSON], "{}").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let around = [("request.path".to_owned(), "client/metrics".to_owned())].into();
    let delivery = Delivery { feed: "unleash".to_owned(), form: Form::Json, around };
    assert_eq!(world.got()[0].0, Wire::Feed(Arc::new(delivery)));
    let answer = post(world.main, "/api/v1/feeds/changes/client/metrics", &[JSON], "{}").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("there is no feed `changes/client/metrics` here"), "{}", answer.text());
    let answer = post(world.main, "/api/v1/feeds/unleash/client/metrics", &[JSON], "!").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}
