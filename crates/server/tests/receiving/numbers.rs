//! The receivers of numbers beside OTLP.

use crate::world::{Answer, PROTO, post, world};
use http::StatusCode;
use serde_json::json;
use server::Wire;
use server::limits::Limits;

const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const SECOND: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn written(answer: &Answer) -> Vec<&str> {
    let kinds = ["samples", "histograms", "exemplars"].iter();
    kinds
        .filter_map(|k| answer.headers.get(format!("x-prometheus-remote-write-{k}-written")))
        .map(|v| v.to_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_write_is_taken_by_its_content_type_and_answered_as_its_senders_expect() {
    let world = world(Limits::default()).await;
    let write = async |headers: &[(&str, &str)], body: Vec<u8>| {
        post(world.main, "/api/v1/write", headers, body).await
    };
    let answer = write(&[PROTO, SNAPPY], snappy(b"hello")).await;
    assert_eq!((answer.status, written(&answer).len()), (StatusCode::NO_CONTENT, 0));
    // Two series: one sample; one sample and a histogram.
    let two = [&b"\x2a\x02\x12\x00"[..], b"\x2a\x04\x12\x00\x1a\x00"].concat();
    let answer = write(&[SECOND, SNAPPY], snappy(&two)).await;
    assert_eq!((answer.status, written(&answer)), (StatusCode::NO_CONTENT, vec!["2", "1", "0"]));
    let got: Vec<Wire> = world.got().into_iter().map(|g| g.0).collect();
    assert_eq!(got, [Wire::PrometheusWrite1, Wire::PrometheusWrite2]);

    let answer = write(&[PROTO, SNAPPY], snappy(b"3 are odd")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.text().contains("3 of 10 items were set aside: 3 × too odd (field x)"),
        "{}",
        answer.text()
    );
    for (body, retry) in [("busy", (503, Some("1"))), ("disk", (503, Some("10"))), ("!", (400, None))] {
        assert_eq!(write(&[PROTO, SNAPPY], snappy(body.as_bytes())).await.retry(), retry, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_remote_write_is_refused_and_says_why() {
    let world = world(Limits { request_body_bytes: 1 << 20, ..Limits::default() }).await;
    let as_json = ("content-type", "application/json");
    for (headers, body, status, why) in [
        (&[PROTO, SNAPPY][..], b"\x05\x10hell".to_vec(), 400, "not in snappy's block format"),
        (
            &[PROTO, SNAPPY],
            b"\xff\xff\xff\xff\x0f".to_vec(),
            413,
            "more than 1048576 bytes after decompression",
        ),
        (&[PROTO, SNAPPY], b"\x80\x80\x20\x00".to_vec(), 400, "holds 524288 bytes, which cannot be"),
        (&[PROTO, SNAPPY], Vec::new(), 400, "the body is empty"),
        (&[SECOND, SNAPPY], snappy(b"\x2a\x7f"), 400, "runs past the end of its message"),
        (&[PROTO], b"hello".to_vec(), 415, "always compressed with snappy"),
        (&[PROTO, ("content-encoding", "gzip")], b"hello".to_vec(), 415, "the content encoding is `gzip`"),
        (&[as_json, SNAPPY], snappy(b"{}"), 415, "`application/json` is not known here"),
    ] {
        let answer = post(world.main, "/api/v1/write", headers, body).await;
        let text = answer.text();
        assert!(answer.status.as_u16() == status && text.contains(why), "{} {text}", answer.status);
    }
    assert_eq!((world.got().len(), world.receiver.memory_in_use()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn atlas_is_answered_as_atlas_answers() {
    let world = world(Limits::default()).await;
    let smile = ("content-type", "application/x-jackson-smile");
    let publish = async |kind, body: &'static str| post(world.main, "/api/v1/publish", &[kind], body).await;
    let as_json = ("content-type", "application/json");
    assert_eq!(
        (publish(as_json, "{}").await.status, publish(smile, "hello").await.status),
        (StatusCode::OK, StatusCode::OK)
    );
    let got: Vec<Wire> = world.got().into_iter().map(|g| g.0).collect();
    assert_eq!(got, [Wire::AtlasJson, Wire::AtlasSmile]);
    let partial = publish(as_json, "3 are odd").await;
    assert_eq!(
        (partial.status.as_u16(), partial.json()),
        (202, json!({"type": "partial", "errorCount": 3, "message": ["3 × too odd (field x)"]}))
    );
    let wrong = publish(as_json, "!").await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.json()),
        (400, json!({"type": "error", "errorCount": 0, "message": ["it makes no sense"]}))
    );
    assert_eq!(publish(as_json, "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        publish(("content-type", "text/plain"), "{}").await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(publish(as_json, "busy").await.retry(), (429, Some("1")));
    assert!(world.receiver.figures().contains(&("atlas".to_owned(), "partly_accepted", 1)));
}
