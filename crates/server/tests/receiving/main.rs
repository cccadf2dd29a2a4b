//! The receivers on real ports, spoken to by real HTTP and gRPC clients.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod grpc;
mod http_ports;
mod numbers;
mod others;
mod ports;
mod world;
