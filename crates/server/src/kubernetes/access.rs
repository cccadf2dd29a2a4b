//! Where a cluster's API is and how to be let in: a kubeconfig file, or the service account of the pod that this runs in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a cluster cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Nothing says where the cluster is.
    #[error(
        "there is no kubeconfig: {0} does not exist, KUBECONFIG is not set, and this is no pod with a service account; name a file with --kubernetes FILE"
    )]
    Nowhere(PathBuf),
    /// A file cannot be read.
    #[error("reading {file}: {why}")]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// The kubeconfig does not say what is needed.
    #[error("{file}: {why}")]
    Config {
        /// Which.
        file: PathBuf,
        /// What is wrong and what to write instead.
        why: String,
    },
}

/// How the API is reached.
#[derive(Clone)]
pub(super) struct Access {
    /// Scheme, host, port and what stands before `/api`.
    pub(super) base: Uri,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(super) token: Token,
}

/// What is sent as the bearer.
#[derive(Clone)]
pub(super) enum Token {
    None,
    Is(String),
    /// Read before each connection: the tokens of pods last an hour.
    In(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<Named<Context>>,
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    users: Vec<Named<User>>,
}

/// An entry; the part beside its name is called as its list is.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    is: T,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde_json::Value>,
    auth_provider: Option<serde_json::Value>,
}

const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Access {
    /// The access that a file gives; without one, that of the pod, of `KUBECONFIG`, or of the home folder.
    pub(super) fn find(file: Option<&Path>) -> Result<Access, AccessError> {
        if let Some(file) = file {
            return Access::of_file(file);
        }
        let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        if let (Some(host), Some(port)) = (set("KUBERNETES_SERVICE_HOST"), set("KUBERNETES_SERVICE_PORT")) {
            return Access::of_pod(&host.to_string_lossy(), &port.to_string_lossy());
        }
        if let Some(file) = set("KUBECONFIG") {
            return Access::of_file(Path::new(&file));
        }
        let home = PathBuf::from(set("HOME").unwrap_or_default()).join(".kube/config");
        if home.exists() { Access::of_file(&home) } else { Err(AccessError::Nowhere(home)) }
    }

    fn of_pod(host: &str, port: &str) -> Result<Access, AccessError> {
        let file = Path::new(POD).join("ca.crt");
        let wrong = |why: String| AccessError::Config { file: file.clone(), why };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let base: Uri = format!("https://{host}:{port}")
            .parse()
            .map_err(|e| wrong(format!("KUBERNETES_SERVICE_HOST and _PORT give no address: {e}")))?;
        let tls = tls(&read(&file)?, None, &base, None).map_err(wrong)?;
        Ok(Access { base, tls: Some(tls), token: Token::In(Path::new(POD).join("token")) })
    }

    fn of_file(file: &Path) -> Result<Access, AccessError> {
        let wrong = |why: String| AccessError::Config { file: file.to_owned(), why };
        let text = String::from_utf8(read(file)?).map_err(|_| wrong("this is not UTF-8".to_owned()))?;
        let config: Config =
            serde_saphyr::from_str(&text).map_err(|e| wrong(format!("this is no kubeconfig: {e}")))?;
        let context = named(&config.contexts, &config.current_context, "context").map_err(wrong)?;
        let cluster = named(&config.clusters, &context.cluster, "cluster").map_err(wrong)?;
        let nobody = User::default();
        let user = match context.user.as_str() {
            "" => &nobody,
            name => named(&config.users, name, "user").map_err(wrong)?,
        };
        if user.exec.is_some() || user.auth_provider.is_some() {
            return Err(wrong(format!(
                "the user `{}` is let in by a command or a plug-in, and none is run here; write a `token` of a service account (kubectl create token), `tokenFile`, or a client certificate",
                context.user
            )));
        }
        let base: Uri = cluster
            .server
            .parse()
            .map_err(|e| wrong(format!("the server `{}` is no address: {e}", cluster.server)))?;
        // Paths stand relative to the file.
        let near = |p: &PathBuf| file.parent().unwrap_or(Path::new("")).join(p);
        let of = |data: &Option<String>, at: &Option<PathBuf>, what: &str| match (data, at) {
            (Some(data), _) => STANDARD
                .decode(data.trim())
                .map(Some)
                .map_err(|e| wrong(format!("`{what}-data` is not base64: {e}"))),
            (None, Some(at)) => read(&near(at)).map(Some),
            (None, None) => Ok(None),
        };
        let tls = match base.scheme_str() {
            Some("http") => None,
            Some("https") => {
                if cluster.insecure_skip_tls_verify {
                    return Err(wrong(
                        "`insecure-skip-tls-verify` would let anyone pose as the cluster; name its `certificate-authority` instead".to_owned(),
                    ));
                }
                let roots = of(
                    &cluster.certificate_authority_data,
                    &cluster.certificate_authority,
                    "certificate-authority",
                )?;
                let roots = roots
                    .ok_or_else(|| wrong("the cluster's `certificate-authority` is missing".to_owned()))?;
                let certificate =
                    of(&user.client_certificate_data, &user.client_certificate, "client-certificate")?;
                let key = of(&user.client_key_data, &user.client_key, "client-key")?;
                Some(
                    tls(&roots, certificate.zip(key), &base, cluster.tls_server_name.as_deref())
                        .map_err(wrong)?,
                )
            }
            _ => {
                return Err(wrong(format!(
                    "the server `{}` is neither http:// nor https://",
                    cluster.server
                )));
            }
        };
        let token = match (&user.token, &user.token_file) {
            (Some(token), _) => Token::Is(token.clone()),
            (None, Some(at)) => Token::In(near(at)),
            (None, None) => Token::None,
        };
        Ok(Access { base, tls, token })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, AccessError> {
    std::fs::read(file).map_err(|why| AccessError::File { file: file.to_owned(), why })
}

fn named<'c, T>(all: &'c [Named<T>], name: &str, what: &str) -> Result<&'c T, String> {
    let known = || all.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", ");
    match all.iter().find(|n| n.name == name) {
        Some(found) => Ok(&found.is),
        None if name.is_empty() => Err(format!("no `current-context` is set; there are: {}", known())),
        None => Err(format!("there is no {what} `{name}`; there are: {}", known())),
    }
}

/// The provider is named because a program with two of them in it has no default one.
fn tls(
    roots: &[u8],
    own: Option<(Vec<u8>, Vec<u8>)>,
    base: &Uri,
    name: Option<&str>,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots) {
        let root = root.map_err(|e| format!("the certificate authority is not PEM: {e}"))?;
        store.add(root).map_err(|e| format!("the certificate authority: {e}"))?;
    }
    if store.is_empty() {
        return Err("there is no certificate in the certificate authority's PEM".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(store);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let chain = chain.map_err(|e| format!("the client certificate is not PEM: {e}"))?;
            let key =
                PrivateKeyDer::from_pem_slice(&key).map_err(|e| format!("the client key is not PEM: {e}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("the client certificate: {e}"))?
        }
    };
    let host = name.or(base.host()).unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no name of a server"))?;
    Ok((Arc::new(config), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(config: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, config).unwrap();
        match Access::find(Some(&file)) {
            Ok(a) => format!("{} {}", a.base, if a.tls.is_some() { "tls" } else { "plain" }),
            Err(e) => e.to_string(),
        }
    }

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\nclusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        )
    }

    #[test]
    fn a_kubeconfig_says_where_the_cluster_is_or_what_is_wrong_with_it() {
        assert_eq!(
            said(&config("server: 'http://127.0.0.1:8001'", "token: t")),
            "http://127.0.0.1:8001/ plain"
        );
        for (text, wanted) in [
            (config("server: 'https://a'", "token: t"), "`certificate-authority` is missing"),
            (config("server: 'https://a', insecure-skip-tls-verify: true", ""), "pose as the cluster"),
            (config("server: 'https://a', certificate-authority-data: '%%'", ""), "is not base64"),
            (config("server: 'https://a', certificate-authority-data: 'eA=='", ""), "no certificate"),
            (config("server: 'https://a'", "exec: {command: aws}"), "kubectl create token"),
            (config("server: 'ftp://a'", ""), "neither http:// nor https://"),
            (config("server: 'http://a'", "").replace("user: u", "user: v"), "no user `v`; there are: u"),
            (config("server: 'http://a'", "").replace("current-context: c", "x: 1"), "`current-context`"),
            ("a: [".to_owned(), "this is no kubeconfig"),
        ] {
            assert!(said(&text).contains(wanted), "`{wanted}` is not in `{}`", said(&text));
        }
        let missing = Access::find(Some(Path::new("/nowhere/config"))).err().map(|e| e.to_string());
        assert!(missing.unwrap().contains("/nowhere/config"));
    }
}
