//! Phrases by which runtimes, libraries and Kubernetes itself tell why something failed, whatever the application.

/// Whether any of the phrases is in a text, without regard to case.
pub(super) fn says(text: &str, phrases: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    phrases.iter().any(|p| text.contains(p))
}

/// A name does not exist, as resolvers say it (Go, glibc, Java, Node.js, .NET).
pub(super) const UNKNOWN_HOST: &[&str] = &[
    "no such host",
    "unknownhostexception",
    "name or service not known",
    "name does not resolve",
    "getaddrinfo enotfound",
    "nodename nor servname",
    "no such host is known",
];
/// The resolver itself does not answer.
pub(super) const RESOLVER_SILENT: &[&str] = &[
    "temporary failure in name resolution",
    "eai_again",
    "server misbehaving",
    ":53: i/o timeout",
    "servfail",
];
/// Somebody answered that nobody listens.
pub(super) const REFUSED: &[&str] = &["connection refused", "econnrefused", "failed to connect service"];
/// The answer was in another protocol.
pub(super) const MALFORMED: &[&str] = &[
    "malformed http",
    "transport connection broken",
    "error reading server preface",
    "frame too large",
    "does not implement the grpc health",
    "unimplemented",
    "server gave http response to https client",
    "first record does not look like a tls handshake",
];
/// An image is not there under that name.
pub(super) const NO_SUCH_IMAGE: &[&str] = &[
    "not found",
    "manifest unknown",
    "name unknown",
    "repository does not exist",
    "invalidimagename",
    "couldn't parse image",
    "invalid reference format",
];
/// A registry wants to know who asks.
pub(super) const UNAUTHORISED: &[&str] = &[
    "unauthorized",
    "forbidden",
    "failed to authorize",
    "authentication required",
    "no basic auth credentials",
    "pull access denied",
    "denied:",
];
/// The operating system says that a file may not be used.
pub(super) const NO_PERMISSION: &[&str] =
    &["permission denied", "eacces", "operation not permitted", "access denied on"];
/// A container ran out of memory.
pub(super) const NO_MEMORY: &[&str] = &["oom-killed", "oomkilled", "oom killed", "out of memory: kill"];
/// A port is taken.
pub(super) const PORT_TAKEN: &[&str] = &["address already in use", "eaddrinuse", "port is already in use"];
/// A database does not accept the credentials (MySQL, PostgreSQL, MongoDB, Redis).
pub(super) const BAD_CREDENTIALS: &[&str] = &[
    "access denied for user",
    "password authentication failed",
    "authentication failed",
    "wrongpass",
    "noauth authentication required",
];
/// A database has no connections left.
pub(super) const NO_CONNECTIONS: &[&str] =
    &["too many connections", "remaining connection slots are reserved", "max number of clients reached"];
/// A database takes no writes.
pub(super) const NO_WRITES: &[&str] = &[
    "--read-only option",
    "read-only transaction",
    "super-read-only",
    "readonly you can't write against a read only",
];
