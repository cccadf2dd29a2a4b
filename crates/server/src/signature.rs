//! Whether a signed feed was sent by someone who knows its secret.

use crate::receive::Trouble;
use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use ontology::mapping::{Proof, Signed, SignedPart};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The secrets of signed feeds. Clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<String, Secret>>);

/// What is known of a feed's sender.
#[derive(Clone)]
pub enum Secret {
    /// Both sides know this.
    Known(Vec<u8>),
    /// It is taken without a proof, which somebody decided.
    Unsigned,
}

impl Secrets {
    /// Secrets by feed.
    pub fn new(by_feed: impl IntoIterator<Item = (String, Secret)>) -> Secrets {
        Secrets(Arc::new(by_feed.into_iter().collect()))
    }
}

/// Checks the proof of a request, over its body as it was sent and whatever else its sender signs.
///
/// # Errors
/// When there is no secret to check with, no proof, or a wrong one.
pub(crate) fn check(
    feed: &str,
    signed: &Signed,
    secrets: &Secrets,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Trouble> {
    let secret = match secrets.0.get(feed) {
        Some(Secret::Known(secret)) => secret,
        Some(Secret::Unsigned) => return Ok(()),
        None if signed.optional => return Ok(()),
        None => {
            return Err(Trouble::Unproven(format!(
                "what {feed} sends is signed, and no secret is set to check it with; start the server with --feed-secret {feed}=FILE"
            )));
        }
    };
    let header = &signed.header;
    let Some(proof) = headers.get(header) else {
        return Err(Trouble::Unproven(format!("the header {header}, which proves the sender, is missing")));
    };
    let mut text = Vec::with_capacity(signed.over.len());
    for part in &signed.over {
        text.push(match part {
            SignedPart::Text(text) => text.as_bytes(),
            SignedPart::Body => body,
            SignedPart::Header(name) => headers
                .get(name)
                .ok_or_else(|| Trouble::Unproven(format!("the header {name}, which is signed, is missing")))?
                .as_bytes(),
        });
    }
    // A sender that changes its secret sends several proofs for a while.
    let proofs = proof.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let right = proofs
        .filter_map(|p| p.strip_prefix(signed.prefix.as_bytes()))
        .any(|p| holds(signed.by, secret, p, &text));
    if right {
        Ok(())
    } else {
        Err(Trouble::Unproven(format!(
            "the proof in the header {header} is wrong: another secret, or another body"
        )))
    }
}

/// Compares in constant time, so that nobody learns a proof byte by byte.
fn holds(by: Proof, secret: &[u8], proof: &[u8], signed: &[&[u8]]) -> bool {
    let new = || Hmac::<Sha256>::new_from_slice(secret).ok();
    let mac = |text: &[u8]| new().map(|m| m.chain_update(text));
    match by {
        Proof::HmacSha256 => {
            let Some(bytes) = unhex(proof) else { return false };
            let whole = new().map(|m| signed.iter().fold(m, |m, part| m.chain_update(part)));
            whole.is_some_and(|m| m.verify_slice(&bytes).is_ok())
        }
        Proof::Token => {
            let given = mac(proof).map(|m| m.finalize().into_bytes());
            given.zip(mac(secret)).is_some_and(|(given, own)| own.verify_slice(&given).is_ok())
        }
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok().filter(|t| t.len().is_multiple_of(2) && t.is_ascii())?;
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn said(by: Proof, secret: Option<Secret>, proof: Option<&str>) -> String {
        told(by, secret, proof, false)
    }

    fn told(by: Proof, secret: Option<Secret>, proof: Option<&str>, optional: bool) -> String {
        let over = vec![SignedPart::Body];
        let signed = Signed { header: "x-sig".into(), by, prefix: "sha256=".into(), over, optional };
        let secrets = Secrets::new(secret.map(|s| ("github".to_owned(), s)));
        let mut headers = HeaderMap::new();
        if let Some(p) = proof {
            headers.insert("x-sig", HeaderValue::from_str(p).unwrap());
        }
        // The example of GitHub's documentation.
        match check("github", &signed, &secrets, &headers, b"Hello, World!") {
            Ok(()) => "taken".to_owned(),
            Err(t) => t.to_string(),
        }
    }

    #[test]
    fn only_who_knows_the_secret_may_send() {
        let known = || Some(Secret::Known(b"It's a Secret to Everybody".to_vec()));
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(said(Proof::HmacSha256, known(), Some(right)), "taken");
        assert_eq!(said(Proof::HmacSha256, known(), Some(&format!("sha256=00, {right}"))), "taken");
        assert_eq!(said(Proof::HmacSha256, Some(Secret::Unsigned), None), "taken");
        for wrong in [&right.replace("757", "758"), &right[7..], "sha256=", "sha256=zz", "sha256=7"] {
            assert!(said(Proof::HmacSha256, known(), Some(wrong)).contains("wrong"), "{wrong}");
        }
        assert!(said(Proof::HmacSha256, known(), None).contains("missing"));
        assert!(said(Proof::HmacSha256, None, Some(right)).contains("--feed-secret github=FILE"));
        assert_eq!(told(Proof::HmacSha256, None, None, true), "taken");
        assert!(told(Proof::HmacSha256, known(), None, true).contains("missing"));
        assert_eq!(said(Proof::Token, known(), Some("sha256=It's a Secret to Everybody")), "taken");
        assert!(said(Proof::Token, known(), Some("sha256=It's a Secret")).contains("wrong"));
    }

    /// As Statsig signs its event webhooks, by what the built-in mapping says of them. The proof is that of
    /// `printf 'v0:TIME:BODY' | openssl dgst -sha256 -hmac SECRET`.
    #[test]
    fn a_proof_over_the_time_and_the_body_needs_both_as_they_were_sent() {
        let ontology = ontology::Ontology::builtin();
        let signed = ontology.mapping.feed("statsig").and_then(|f| f.signed).unwrap();
        let secrets = |secret: Option<Secret>| Secrets::new(secret.map(|s| ("statsig".to_owned(), s)));
        let known = || secrets(Some(Secret::Known(b"webhook-secret".to_vec())));
        let right = "v0=fcee84af02257af02dcc20ebbcdd0be98c6591ad8b2b8f6380bfc6993098ecbe";
        let said = |secrets: &Secrets, proof: &str, time: Option<&str>, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("X-Statsig-Signature", HeaderValue::from_str(proof).unwrap());
            if let Some(time) = time {
                headers.insert("X-Statsig-Request-Timestamp", HeaderValue::from_str(time).unwrap());
            }
            check("statsig", &signed, secrets, &headers, body.as_bytes())
                .err()
                .map_or(String::new(), |t| t.to_string())
        };
        let (time, body) = (Some("1795521900125"), r#"{"data":[]}"#);
        assert_eq!(said(&known(), right, time, body), "");
        assert!(said(&known(), right, Some("1795521900126"), body).contains("wrong"));
        assert!(said(&known(), right, time, r#"{"data":[1]}"#).contains("wrong"));
        assert!(said(&known(), &right[3..], time, body).contains("wrong"));
        assert!(said(&known(), right, None, body).contains("x-statsig-request-timestamp"));
        assert_eq!(said(&secrets(None), "", time, body), "", "as long as no secret is set");
    }
}
