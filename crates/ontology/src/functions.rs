//! The functions of the mapping language: small, total, and bounded in what they return.

use crate::dictionary;
use crate::expr::Context;
use crate::scalar::Scalar;
use crate::template::template;
use crate::time::Time;
use std::borrow::Cow;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Func {
    /// Keyed hash of personal data.
    Hash,
    /// Lower case.
    Lower,
    /// Nanoseconds to milliseconds.
    Millis,
    /// A time, unless it is one of the "never" values (year 1, 1970, empty).
    RealTime,
    /// A time without what is smaller than a millisecond: one source tells it, another does not.
    WholeMillis,
    /// The host of a URL.
    Host,
    /// The path of a URL.
    UrlPath,
    /// The CMCD (CTA-5004) in a URL or a line of a log.
    Cmcd,
    /// The shape of an error text or stack: what stays the same when it happens again.
    ErrorShape,
    /// The tag of an image name.
    ImageTag,
    /// The package URL of an image digest.
    ImagePurl,
    /// The version in a package URL.
    PurlVersion,
    /// A path with numbers and ids replaced by `{id}`.
    PathShape,
    /// What is left of 1: `1 - x`.
    Rest,
    /// The first UUID in a text, in its usual spelling, whether it was written with `-` or `_`.
    Uuid,
    /// Seconds to milliseconds.
    SecondsMillis,
    /// Milliseconds to seconds.
    MillisSeconds,
    /// A line of a log with what differs from one to the next replaced by `<*>`.
    Template,
    /// Of a hundred: `x / 100`.
    Percent,
    /// The name of the workload in the name of a pod: what stands before its hash and its five random characters.
    PodWorkload,
}

/// Names as written in mapping files.
pub(crate) const NAMES: &[(&str, Func)] = &[
    ("hash", Func::Hash),
    ("lower", Func::Lower),
    ("millis", Func::Millis),
    ("real_time", Func::RealTime),
    ("whole_millis", Func::WholeMillis),
    ("host", Func::Host),
    ("url_path", Func::UrlPath),
    ("cmcd", Func::Cmcd),
    ("error_shape", Func::ErrorShape),
    ("image_tag", Func::ImageTag),
    ("image_purl", Func::ImagePurl),
    ("purl_version", Func::PurlVersion),
    ("path_shape", Func::PathShape),
    ("rest", Func::Rest),
    ("uuid", Func::Uuid),
    ("seconds_millis", Func::SecondsMillis),
    ("millis_seconds", Func::MillisSeconds),
    ("template", Func::Template),
    ("percent", Func::Percent),
    ("pod_workload", Func::PodWorkload),
];

/// Functions with more than one argument, and how they are written.
pub(crate) const MORE: &[(&str, &str)] = &[
    ("split", "split('/', -1)"),
    ("member", "member('br')"),
    ("table", "table(severity)"),
    ("id", "id(a, b)"),
    ("words", "words(a, b)"),
    ("same", "same(a, b)"),
    ("tries", "tries(metric.value, code starts 5)"),
    ("before", "before(a, b)"),
    ("stem", "stem(a, b)"),
];

/// Error shapes keep this many lines of a stack: deeper frames are the framework's.
const SHAPE_LINES: usize = 4;
/// … and this many characters.
const SHAPE_CHARS: usize = 240;
/// Before 1980 is a clock that was never set, or a protocol's way to say "never".
const FIRST_REAL_SECS: i64 = 315_532_800;

/// Applies a function.
pub(crate) fn apply<'v>(f: Func, s: Scalar<'v>, cx: &Context<'v>) -> Option<Scalar<'v>> {
    Some(match f {
        Func::Hash => match s.to_text() {
            t if t.is_empty() => return None,
            t => Scalar::Text(cx.hasher.hash(&t).into()),
        },
        Func::Lower => Scalar::Text(s.to_text().to_lowercase().into()),
        Func::Millis => Scalar::Float(s.number()? / 1e6),
        Func::RealTime => Scalar::Time(s.time().filter(|t| t.secs() >= FIRST_REAL_SECS)?),
        Func::WholeMillis => Scalar::Time(Time::from_millis(s.time()?.nanos().div_euclid(1_000_000))),
        Func::Host => narrowed(s, host)?,
        Func::UrlPath => narrowed(s, url_path)?,
        Func::Cmcd => Scalar::Text(dictionary::cmcd(&s.to_text()).into_owned().into()),
        Func::ErrorShape => Scalar::Text(error_shape(&s.to_text()).into()),
        Func::ImageTag => narrowed(s, image_tag)?,
        Func::ImagePurl => Scalar::Text(image_purl(&s.to_text())?.into()),
        Func::PurlVersion => narrowed(s, purl_version)?,
        Func::PathShape => Scalar::Text(path_shape(&s.to_text()).into()),
        Func::Rest => Scalar::Float(1.0 - s.number()?),
        Func::Uuid => Scalar::Text(uuid(&s.to_text())?.into()),
        Func::SecondsMillis => Scalar::Float(s.number()? * 1e3),
        Func::MillisSeconds => Scalar::Float(s.number()? / 1e3),
        Func::Template => Scalar::Text(Some(template(&s.to_text())).filter(|t| !t.is_empty())?.into()),
        // Divided as people would: 99.9 is 0.999, not 0.9990000000000001.
        Func::Percent => Scalar::Float(s.number()? / 100.0),
        Func::PodWorkload => narrowed(s, pod_workload)?,
    })
}

/// Applies a function that picks a part of a text, without copying when the text is borrowed.
fn narrowed<'v>(s: Scalar<'v>, pick: impl for<'t> Fn(&'t str) -> Option<&'t str>) -> Option<Scalar<'v>> {
    match s {
        Scalar::Text(Cow::Borrowed(t)) => pick(t).map(Scalar::text),
        other => pick(&other.to_text()).map(|t| Scalar::Text(t.to_owned().into())),
    }
}

/// A piece between separators, from the end when negative; absent when there is no such piece or it is empty.
pub(crate) fn split<'v>(s: Scalar<'v>, sep: &str, n: i32) -> Option<Scalar<'v>> {
    let place = usize::try_from(if n < 0 { -(n + 1) } else { n }).ok()?;
    narrowed(s, |t| {
        if n < 0 { t.rsplit(sep).nth(place) } else { t.split(sep).nth(place) }.filter(|p| !p.is_empty())
    })
}

fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, r)| r);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let name =
        if host.starts_with('[') { host.split(']').next()?.get(1..)? } else { host.split(':').next()? };
    (!name.is_empty()).then_some(name)
}

/// Of a path it is the path; of a URL without one, `/`.
fn url_path(url: &str) -> Option<&str> {
    let whole = url.split(['?', '#']).next()?;
    let path = match whole.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/")),
        None => whole,
    };
    (!path.is_empty()).then_some(path)
}

fn image_tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag).filter(|t| !t.is_empty())
}

fn image_purl(digest: &str) -> Option<String> {
    let (repository, hash) = digest.split_once('@')?;
    let name = repository.rsplit('/').next()?;
    (hash.contains(':') && !name.is_empty())
        .then(|| format!("pkg:oci/{name}@{hash}?repository_url={repository}").to_lowercase())
}

fn purl_version(purl: &str) -> Option<&str> {
    let version = purl.strip_prefix("pkg:")?.rsplit_once('@')?.1;
    version.split(['?', '#']).next().filter(|v| !v.is_empty())
}

fn uuid(text: &str) -> Option<String> {
    /// Where the dashes of its 36 characters are.
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let fits = |piece: &[u8]| {
        piece.iter().enumerate().all(|(i, b)| match DASHES.contains(&i) {
            true => matches!(b, b'-' | b'_'),
            false => b.is_ascii_hexdigit(),
        })
    };
    let found = text.as_bytes().windows(36).find(|w| fits(w))?;
    Some(found.iter().map(|b| if *b == b'_' { '-' } else { char::from(b.to_ascii_lowercase()) }).collect())
}

/// What is left of a text without an ending and the separator before it.
pub(crate) fn stem<'v>(s: &Scalar<'v>, ending: &Scalar<'_>) -> Option<Scalar<'v>> {
    let (text, ending) = (s.to_text(), ending.to_text());
    let rest = text.strip_suffix(ending.as_ref()).filter(|_| !ending.is_empty())?;
    let rest = rest.strip_suffix(['-', '_', '.', '/']).filter(|r| !r.is_empty())?;
    Some(Scalar::Text(rest.to_owned().into()))
}

/// The characters of what Kubernetes makes up: no vowels, so that no words come about.
fn made_up(piece: &str) -> bool {
    piece.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

fn pod_workload(pod: &str) -> Option<&str> {
    let (set, _) = pod.rsplit_once('-').filter(|(_, r)| r.len() == 5 && made_up(r))?;
    let (workload, _) = set.rsplit_once('-').filter(|(_, h)| (6..=10).contains(&h.len()) && made_up(h))?;
    (!workload.is_empty()).then_some(workload)
}

fn is_id(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let hex = piece.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    digits == piece.len() || (hex && digits > 0 && piece.len() >= 8) || (digits >= 4 && piece.len() >= 12)
}

fn path_shape(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or("");
    let shaped: Vec<&str> =
        path.split('/').map(|p| if !p.is_empty() && is_id(p) { "{id}" } else { p }).collect();
    shaped.join("/")
}

/// Numbers, hexadecimal ids and quoted texts become `#`; the first lines count.
fn error_shape(text: &str) -> String {
    let mut shape = String::new();
    let mut kept = 0;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()).take(SHAPE_LINES) {
        if !shape.is_empty() {
            shape.push('\n');
        }
        for (i, word) in line.split_whitespace().enumerate() {
            if i > 0 {
                shape.push(' ');
            }
            let mut in_number = false;
            let quoted = word.len() > 1 && (word.starts_with('"') || word.starts_with('\''));
            let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if quoted || (!core.is_empty() && is_id(core)) || core.starts_with("0x") {
                shape.push('#');
                kept += 1;
                continue;
            }
            for c in word.chars() {
                if c.is_ascii_digit() {
                    if !in_number {
                        shape.push('#');
                    }
                    in_number = true;
                } else {
                    shape.push(c);
                    in_number = false;
                }
                kept += 1;
            }
            if kept > SHAPE_CHARS {
                return shape;
            }
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_urls_images_and_packages() {
        assert_eq!(host("https://user@cdn-7.example.net:443/a?b"), Some("cdn-7.example.net"));
        assert_eq!(host("[2001:db8::1]:80"), Some("2001:db8::1"));
        assert_eq!(url_path("https://shop.example/a/b?c=/d#e"), Some("/a/b"));
        assert_eq!(url_path("https://shop.example?c"), Some("/"));
        assert_eq!(url_path("/a?b"), Some("/a"));
        assert_eq!(url_path("?b"), None);
        assert_eq!(image_tag("registry:5000/shop/cart:1.4.2@sha256:ab"), Some("1.4.2"));
        assert_eq!(image_tag("registry:5000/shop/cart"), None);
        assert_eq!(purl_version("pkg:oci/cart@sha256:ab?tag=1"), Some("sha256:ab"));
        let purl = "pkg:oci/cart@sha256:ab?repository_url=ghcr.io/shop/cart";
        assert_eq!(image_purl("ghcr.io/Shop/cart@sha256:AB").as_deref(), Some(purl));
    }

    #[test]
    fn a_uuid_is_found_inside_the_name_of_a_control_group() {
        let slice =
            "/kubepods.slice/kubepods-pod5b0c1a2e_9f3d_4c6b_8a7e_0123456789AB.slice/cri-containerd-ab.scope";
        assert_eq!(uuid(slice).as_deref(), Some("5b0c1a2e-9f3d-4c6b-8a7e-0123456789ab"));
        assert_eq!(uuid("/system.slice/cron.service"), None);
    }

    #[test]
    fn a_workload_is_taken_out_of_the_names_made_from_it() {
        assert_eq!(pod_workload("cart-api-7d5c9f8b6d-x2x4z"), Some("cart-api"));
        for other in ["postgres-0", "cart-x2x4z", "daily-report-x2x4z", "7d5c9f8b6d-x2x4z", ""] {
            assert_eq!(pod_workload(other), None, "{other}");
        }
        let of = |a: &'static str, b: &'static str| {
            stem(&Scalar::text(a), &Scalar::text(b)).map(|s| s.to_text().into_owned())
        };
        assert_eq!(of("cart-7d5c9", "7d5c9").as_deref(), Some("cart"));
        assert_eq!(of("cart7d5c9", "7d5c9"), None);
        assert_eq!(of("cart-7d5c9", "other"), None);
        assert_eq!(of("cart", ""), None);
    }

    #[test]
    fn shapes_forget_what_differs_each_time() {
        assert_eq!(path_shape("/users/42/orders/7f3c9a1e-0b?x=1"), "/users/{id}/orders/{id}");
        assert_eq!(path_shape("/api/v2/lolomo"), "/api/v2/lolomo");
        let a = error_shape("TypeError: cannot read 'x' of row 17\n  at render (app.js:120:4)");
        let b = error_shape("TypeError: cannot read 'y' of row 3\n  at render (app.js:988:12)");
        assert_eq!(a, b);
    }
}
