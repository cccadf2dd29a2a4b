//! Taking ports, slow clients, and stopping.

use crate::world::{JSON, post, send, world};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use server::limits::Limits;
use server::listen::{ListenError, Port};
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_given_up() {
    let world = world(Limits { body_seconds: 1, ..Limits::default() }).await;
    let body = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post(format!("http://{}/v1/traces", world.otlp)).header(JSON.0, JSON.1);
    assert_eq!(send(request.body(body).unwrap()).await.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_says_a_whole_header_is_closed() {
    let world = world(Limits { header_seconds: 1, ..Limits::default() }).await;
    for begin in ["", "PRI * HT", "POST /v1/traces HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(world.otlp).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "`{begin}` keeps its connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_in_flight_and_frees_the_ports() {
    let world = world(Limits::default()).await;
    let in_flight = tokio::spawn(post(world.otlp, "/v1/traces", &[JSON], "slow"));
    world.busy_with(1).await;
    world.stop.send(true).unwrap();
    assert_eq!(in_flight.await.unwrap().status, StatusCode::OK);
    for server in world.servers {
        server.await.unwrap();
    }
    assert_eq!(world.memory.0.lock().unwrap().len(), 1);
    assert!(Port::open(world.otlp, "a test", "--port").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_says_which_and_what_to_do() {
    let world = world(Limits::default()).await;
    let error = Port::open(world.grpc, "OTLP over gRPC", "--otlp-grpc").await.err().unwrap();
    assert!(matches!(error, ListenError::InUse { .. }));
    let text = error.to_string();
    for part in [world.grpc.to_string().as_str(), "OTLP over gRPC", "in use", "--otlp-grpc"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_sender_went_away_is_taken_to_its_end() {
    let world = world(Limits::default()).await;
    let mut stream = TcpStream::connect(world.otlp).await.unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(format!("{head}slow").as_bytes()).await.unwrap();
    world.busy_with(1).await;
    drop(stream);
    let taken = async {
        while world.memory.0.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), taken).await.is_ok());
}
