//! The web pages, embedded: each file with its type and a tag of its content, and the headers that keep a browser strict.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, map_response};
use axum::response::Response;
use axum::routing::get;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// Nothing inline, nothing from elsewhere, nothing framed.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; \
     style-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// One embedded file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Path in the address.
    pub path: &'static str,
    /// Content type.
    pub kind: &'static str,
    /// The bytes.
    pub body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const WOFF2: &str = "font/woff2";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! web {
    ($($path:literal $kind:ident),* $(,)?) => {
        &[$(Asset { path: concat!("/", $path), kind: $kind, body: include_bytes!(concat!("../web/", $path)) }),*]
    };
}

/// Every file of the pages.
pub const ASSETS: &[Asset] = web![
    "index.html" HTML,
    "base.css" CSS,
    "pages.css" CSS,
    "icon.svg" SVG,
    "app.js" JS,
    "api.js" JS,
    "format.js" JS,
    "route.js" JS,
    "pages/home.js" JS,
    "pages/investigation.js" JS,
    "pages/graph.js" JS,
    "pages/ontology.js" JS,
    "pages/sources.js" JS,
    "parts/answer.js" JS,
    "parts/chart.js" JS,
    "parts/common.js" JS,
    "parts/lanes.js" JS,
    "parts/map.js" JS,
    "parts/markdown.js" JS,
    "parts/place.js" JS,
    "parts/query.js" JS,
    "parts/timeline.js" JS,
    "parts/words.js" JS,
    "vendor/preact-htm.js" JS,
    "vendor/inter.woff2" WOFF2,
    "vendor/LICENSES.txt" TEXT,
];

impl Asset {
    /// A tag that changes with the content (FNV-1a, 64 bits: these files are ours, nobody forges a collision).
    pub fn tag(&self) -> String {
        let hash = self
            .body
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        format!("\"{hash:016x}\"")
    }

    fn answer(&self, tag: &HeaderValue, asked: &HeaderMap) -> Response {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|sent| {
            sent.to_str().is_ok_and(|s| {
                s.split(',').any(|t| {
                    t.trim() == "*" || t.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes()
                })
            })
        });
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.body) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ETAG, tag.clone());
        // Asked again every time, answered with 304: a new binary is seen at once, an old one costs no bytes.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// The pages as routes: `/` and every file under its own path.
pub fn routes() -> Router {
    let mut router = Router::new();
    for asset in ASSETS {
        let Ok(tag) = HeaderValue::from_str(&asset.tag()) else { continue };
        let serve = move |headers: HeaderMap| {
            let response = asset.answer(&tag, &headers);
            async move { response }
        };
        if asset.path == "/index.html" {
            router = router.route("/", get(serve.clone()));
        }
        router = router.route(asset.path, get(serve));
    }
    router.layer(map_response(strict))
}

/// The headers that every page and API answer carries.
pub async fn strict(mut response: Response) -> Response {
    const STRICT: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in STRICT {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses what a page of another origin makes a browser send: a `POST` whose `Origin` is not the host it is sent to.
/// Programs send no `Origin` and pass.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let foreign = !matches!(*request.method(), Method::GET | Method::HEAD)
        && text(header::ORIGIN)
            .is_some_and(|origin| origin.split_once("://").map(|o| o.1) != text(header::HOST));
    if foreign {
        let mut refused = Response::new(Body::from("{\"error\":\"this page may not ask on your behalf\"}"));
        *refused.status_mut() = StatusCode::FORBIDDEN;
        refused.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return refused;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn files(dir: &Path, under: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{under}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                files(&entry.path(), &name, found);
            } else if !name.ends_with(".md") {
                found.push(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_pages_is_embedded() {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("web"), "", &mut found);
        found.sort();
        let mut embedded: Vec<&str> = ASSETS.iter().map(|a| a.path).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, found);
    }

    #[test]
    fn pages_import_only_what_is_embedded() {
        for asset in ASSETS.iter().filter(|a| a.kind == JS && !a.path.starts_with("/vendor")) {
            let text = std::str::from_utf8(asset.body).unwrap();
            let folder = asset.path.rsplit_once('/').unwrap().0;
            for line in text.lines().filter(|l| l.starts_with("import ")) {
                let wanted = line.split('"').nth(1).unwrap();
                let path = match wanted.strip_prefix("../") {
                    Some(rest) => format!("/{rest}"),
                    None => format!("{folder}/{}", wanted.strip_prefix("./").unwrap()),
                };
                assert!(ASSETS.iter().any(|a| a.path == path), "{}: {wanted}", asset.path);
            }
        }
    }

    #[test]
    fn pages_hold_no_inline_code_and_name_no_other_host() {
        for asset in ASSETS.iter().filter(|a| !a.path.starts_with("/vendor")) {
            let text = std::str::from_utf8(asset.body).unwrap_or_default();
            for forbidden in
                ["<style", " style=\"", "javascript:", "eval(", "innerHTML", "https://", "onclick=\""]
            {
                assert!(!text.contains(forbidden), "{} contains {forbidden}", asset.path);
            }
            assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("http://"), "{}", asset.path);
        }
    }

    #[test]
    fn a_known_tag_is_answered_without_a_body() {
        let asset = ASSETS.first().unwrap();
        let tag = HeaderValue::from_str(&asset.tag()).unwrap();
        let mut asked = HeaderMap::new();
        assert_eq!(asset.answer(&tag, &asked).status(), StatusCode::OK);
        asked.insert(header::IF_NONE_MATCH, tag.clone());
        assert_eq!(asset.answer(&tag, &asked).status(), StatusCode::NOT_MODIFIED);
        asked.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(asset.answer(&tag, &asked).status(), StatusCode::OK);
    }
}
