//! OTLP over gRPC, with tonic's client as the peer.

use crate::world::{JSON, post, world};
use bytes::{Buf, BufMut, Bytes};
use http::StatusCode;
use server::Wire;
use server::limits::Limits;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Sends and receives messages as the bytes they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn call(
    addr: SocketAddr,
    service: &str,
    coding: Option<CompressionEncoding>,
    message: impl Into<Bytes>,
) -> Result<Bytes, Status> {
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    if let Some(coding) = coding {
        client = client.send_compressed(coding);
    }
    client.ready().await.unwrap();
    let path = format!("/opentelemetry.proto.collector.{service}/Export").parse().unwrap();
    client.unary(tonic::Request::new(message.into()), path, Raw).await.map(tonic::Response::into_inner)
}

const TRACES: &str = "trace.v1.TraceService";

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_every_signal_arrive_in_every_compression() {
    let world = world(Limits::default()).await;
    for (service, wire) in [
        (TRACES, Wire::TracesProto),
        ("metrics.v1.MetricsService", Wire::MetricsProto),
        ("logs.v1.LogsService", Wire::LogsProto),
    ] {
        for coding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
            for size in [5, 3 << 20] {
                assert_eq!(call(world.grpc, service, coding, vec![b'x'; size]).await.unwrap(), "");
                assert_eq!(world.got(), [(wire.clone(), Bytes::from(vec![b'x'; size]))]);
            }
        }
        assert_eq!(call(world.grpc, service, None, "").await.unwrap(), "", "an empty request");
    }
    assert!(world.got().is_empty());
    let partial = call(world.grpc, TRACES, None, "3").await.unwrap();
    assert_eq!(
        &partial[..],
        b"\x0a\x38\x08\x03\x12\x343 of 10 items were set aside: 3 \xc3\x97 too odd (field x)"
    );
    assert_eq!(world.receiver.memory_in_use(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_codes_that_otlp_asks_for() {
    let world = world(Limits::default()).await;
    let refused =
        async |coding, message: Vec<u8>| call(world.grpc, TRACES, coding, message).await.unwrap_err();
    let status = refused(None, b"!".to_vec()).await;
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "it makes no sense"));
    assert!(status.get_details_retry_info().is_none());
    for (message, seconds) in [(b"b", 1), (b"d", 10)] {
        let status = refused(None, message.to_vec()).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(seconds)));
    }
    for coding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let status = refused(coding, vec![b'x'; 70 << 20]).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.get_details_retry_info().is_none(), "or senders would repeat it");
    }
    let status = call(world.grpc, "profiles.v1development.ProfilesService", None, "x").await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(world.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_that_lie_are_refused() {
    let world = world(Limits::default()).await;
    let path = format!("/opentelemetry.proto.collector.{TRACES}/Export");
    let kind = ("content-type", "application/grpc");
    for (bytes, coding, due) in [
        (&b"\0\0\0\0"[..], "identity", "3"),
        (b"\0\0\0\0\x09short", "identity", "3"),
        (b"\0\0\0\0\x01xy", "identity", "3"),
        (b"\x02\0\0\0\x01x", "identity", "3"),
        (b"\x01\0\0\0\x01x", "identity", "3"),
        (b"\x01\0\0\0\x01x", "gzip", "3"),
        (b"\x01\0\0\0\x01x", "snappy", "12"),
    ] {
        let answer = post(world.grpc, &path, &[kind, ("grpc-encoding", coding)], bytes).await;
        assert_eq!(answer.headers["grpc-status"], due, "{bytes:?}");
    }
    assert_eq!(post(world.grpc, &path, &[JSON], "x").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(world.got().is_empty());
}
