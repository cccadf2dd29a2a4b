//! By which names the main port may be called.
//!
//! A page can be served under a name that its owner then points at this machine (DNS rebinding): to the browser, our answers are
//! that page's own. What gives it away is the name that the browser asked for, in `Host`.

use crate::Receiver;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::net::IpAddr;

/// The names that are answered to. This machine's own (`localhost` and its loopback addresses) always are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// No others.
    #[default]
    Own,
    /// These too, in lower case and without a port.
    Listed(Vec<String>),
    /// Any name: something in front checks it.
    Any,
}

impl Hosts {
    /// Whether a port bound to `bound` answers to what a `Host` says.
    fn allow(&self, bound: IpAddr, said: &str) -> bool {
        let name = name_of(said);
        let own = |ip: IpAddr| {
            let ip = ip.to_canonical();
            // An address that stands for all of the machine's is asked for by any of them. Rebinding needs a name.
            ip.is_loopback() || ip == bound.to_canonical() || bound.is_unspecified()
        };
        match self {
            Hosts::Any => true,
            Hosts::Listed(listed) if listed.contains(&name) => true,
            _ if name == "localhost" => true,
            _ => {
                let ip = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(&name);
                ip.parse().is_ok_and(own)
            }
        }
    }
}

/// The name in a `Host`: without the port, in lower case, without the dot that ends a full name.
pub fn name_of(said: &str) -> String {
    let name = match said.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => said,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// What the check needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) hosts: Hosts,
    pub(crate) bound: IpAddr,
    pub(crate) receiver: Receiver,
}

/// Refuses requests for a name that is not answered to.
pub(crate) async fn known_host(State(door): State<Door>, request: Request, next: Next) -> Response {
    // HTTP/2 says it in the address, HTTP/1 in the header, a request to a proxy in both: all that is said must be known.
    let in_address = request.uri().authority().map(|a| HeaderValue::from_str(a.host()));
    let said: Vec<String> = in_address
        .into_iter()
        .flatten()
        .chain(request.headers().get_all(header::HOST).iter().cloned())
        .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
        .collect();
    let known = door.hosts == Hosts::Any
        || !said.is_empty() && said.iter().all(|name| door.hosts.allow(door.bound, name));
    if known {
        return next.run(request).await;
    }
    let name =
        said.first().map_or_else(|| "no name".to_owned(), |said| format!("`{}`", shown(&name_of(said))));
    let error = format!(
        "this server was called {name}, which is not a name it answers to; if it should be, start it with --allow-host NAME \
         (docs/security.md)"
    );
    door.receiver.drain(request.into_body(), None).await;
    (StatusCode::FORBIDDEN, axum::Json(json!({ "error": error }))).into_response()
}

/// As much of a name as names can have (RFC 1035, 2.3.4).
fn shown(name: &str) -> String {
    name.chars().take(255).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &Hosts, bound: &str, said: &str) -> bool {
        hosts.allow(bound.parse().unwrap(), said)
    }

    #[test]
    fn this_machine_is_called_by_its_own_names_at_any_port() {
        for said in
            ["localhost", "LocalHost:4320", "localhost.", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:4320"]
        {
            assert!(allowed(&Hosts::Own, "127.0.0.1", said), "{said}");
        }
        for said in [
            "",
            "evil.example",
            "evil.example:4320",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[::2]",
            "evil.example:[::1]",
            "0.0.0.0",
        ] {
            assert!(!allowed(&Hosts::Own, "127.0.0.1", said), "{said}");
        }
    }

    #[test]
    fn the_bound_address_and_listed_names_are_answered_to() {
        assert!(allowed(&Hosts::Own, "192.0.2.1", "192.0.2.1:4320"));
        assert!(!allowed(&Hosts::Own, "192.0.2.1", "192.0.2.2:4320"));
        assert!(allowed(&Hosts::Own, "0.0.0.0", "192.0.2.2:4320"));
        assert!(!allowed(&Hosts::Own, "0.0.0.0", "evil.example:4320"));
        let listed = Hosts::Listed(vec!["graph.example".to_owned()]);
        assert!(
            allowed(&listed, "127.0.0.1", "Graph.example:443") && allowed(&listed, "127.0.0.1", "localhost")
        );
        assert!(!allowed(&listed, "127.0.0.1", "a.graph.example"));
        assert!(allowed(&Hosts::Any, "127.0.0.1", "evil.example"));
    }
}
