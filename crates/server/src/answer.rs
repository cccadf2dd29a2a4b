//! The answers of OTLP in both of its forms: partial success and `google.rpc.Status`.

use crate::intake::Receipt;
use crate::receive::Trouble;
use http::StatusCode;
use serde_json::json;
use tonic::Code;

/// The three signals of OTLP that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    fn rejected_field(self) -> &'static str {
        match self {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        }
    }
}

/// `Export…ServiceResponse` in protobuf; empty on full success, as the specification asks.
pub(crate) fn receipt_proto(receipt: &Receipt) -> Vec<u8> {
    let mut out = Vec::new();
    if receipt.rejected > 0 {
        let mut partial = Vec::new();
        put_varint_field(&mut partial, 1, receipt.rejected);
        put_bytes_field(&mut partial, 2, message(receipt).as_bytes());
        put_bytes_field(&mut out, 1, &partial);
    }
    out
}

/// The same in JSON.
pub(crate) fn receipt_json(signal: Signal, receipt: &Receipt) -> Vec<u8> {
    let answer = if receipt.rejected > 0 {
        // 64-bit integers are strings in protobuf's JSON.
        json!({"partialSuccess": {signal.rejected_field(): receipt.rejected.to_string(), "errorMessage": message(receipt)}})
    } else {
        json!({})
    };
    answer.to_string().into_bytes()
}

/// What was set aside and why, in a line.
pub(crate) fn message(receipt: &Receipt) -> String {
    const SHOWN: usize = 5;
    let mut text = format!("{} of {} items were set aside", receipt.rejected, receipt.items);
    let wrong = || receipt.reasons.iter().filter(|r| r.rejected);
    for (i, r) in wrong().take(SHOWN).enumerate() {
        text.push_str(if i == 0 { ": " } else { "; " });
        text.push_str(&format!("{} × {} ({})", r.items, r.reason, r.detail));
    }
    let further = wrong().count().saturating_sub(SHOWN);
    if further > 0 {
        text.push_str(&format!("; and {further} further reasons"));
    }
    text
}

/// `google.rpc.Status` in protobuf.
pub(crate) fn status_proto(trouble: &Trouble) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint_field(&mut out, 1, u64::from(grpc_code(trouble).unsigned_abs()));
    put_bytes_field(&mut out, 2, trouble.to_string().as_bytes());
    out
}

/// The same in JSON.
pub(crate) fn status_json(trouble: &Trouble) -> Vec<u8> {
    json!({"code": grpc_code(trouble), "message": trouble.to_string()}).to_string().into_bytes()
}

fn grpc_code(trouble: &Trouble) -> i32 {
    i32::from(code(trouble))
}

/// The code that gRPC answers with. Which of them a sender repeats is in the OTLP specification: UNAVAILABLE and
/// DEADLINE_EXCEEDED yes; RESOURCE_EXHAUSTED only with RetryInfo, so not here.
pub(crate) fn code(trouble: &Trouble) -> Code {
    match trouble {
        Trouble::Malformed(_) => Code::InvalidArgument,
        Trouble::TooLarge { .. } => Code::ResourceExhausted,
        Trouble::Media(_) => Code::Unimplemented,
        Trouble::Busy(_) | Trouble::Unwritten(_) => Code::Unavailable,
        Trouble::Slow(_) => Code::DeadlineExceeded,
        Trouble::Broken(_) => Code::Cancelled,
        Trouble::Unproven(_) => Code::Unauthenticated,
        Trouble::Failed => Code::Internal,
    }
}

/// The status that HTTP answers with. A sender repeats 429, 502, 503 and 504.
pub(crate) fn http_status(trouble: &Trouble) -> StatusCode {
    match trouble {
        Trouble::Malformed(_) | Trouble::Broken(_) => StatusCode::BAD_REQUEST,
        Trouble::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Trouble::Media(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Trouble::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        Trouble::Unwritten(_) => StatusCode::SERVICE_UNAVAILABLE,
        Trouble::Slow(_) => StatusCode::REQUEST_TIMEOUT,
        Trouble::Unproven(_) => StatusCode::UNAUTHORIZED,
        Trouble::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_varint_field(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    put_varint(out, value);
}

fn put_bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
