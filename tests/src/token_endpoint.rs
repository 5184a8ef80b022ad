//! An endpoint that gives tokens to a client who knows its secret, as an identity provider does (OAuth 2.0, client
//! credentials).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{eventually, failure::or_fail, test_certificates::IssuedCertificate, tls_proxy::TlsProxy};

/// Who signs the tokens.
pub(crate) const ISSUER: &str = "https://login.medhub.test";

/// Whom the tokens are for, if they are asked for this scope.
pub(crate) const AUDIENCE: &str = "api://medhub kafka";

/// Name of the signing key.
const KEY_ID: &str = "first";

/// How long a token is valid: whole seconds, of which a client library that looks after its token each second uses four fifths.
const TOKEN_LIFETIME: Duration = Duration::from_secs(8);

/// What precedes the key itself in PKCS #8, for an RSA key of 2,048 bits.
const PKCS8_HEADER: usize = 26;

/// A running endpoint; it ends when it is dropped.
#[derive(Debug)]
pub struct TokenEndpoint {
    /// It speaks TLS.
    proxy: TlsProxy,
    state: Arc<EndpointState>,
    keys: PathBuf,
    task: JoinHandle<()>,
}

struct EndpointState {
    /// `Basic` credentials of the client.
    credentials: String,
    client_id: String,
    key: EncodingKey,
    /// When each token that was given expires, in seconds since 1970.
    expiries: Mutex<Vec<u64>>,
}

/// Without the key and the secret.
impl std::fmt::Debug for EndpointState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointState").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl TokenEndpoint {
    /// Starts an endpoint that knows one client. Its public key is a file in `folder`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub(crate) async fn start(folder: &Path, certificate: &IssuedCertificate, client: (&str, &str)) -> Self {
        let (id, secret) = client;
        let key = generate_key();
        let mut public = or_fail(Jwk::from_encoding_key(&key, Algorithm::RS256), "deriving the public key");
        public.common.key_id = Some(KEY_ID.to_owned());
        let keys = folder.join("token-keys.json");
        or_fail(std::fs::write(&keys, json!({ "keys": [public] }).to_string()), "writing the public key");

        let credentials = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        let expiries = Mutex::default();
        let state = Arc::new(EndpointState { credentials, client_id: id.to_owned(), key, expiries });
        let router = Router::new().route("/token", post(give_token)).with_state(Arc::clone(&state));
        let listener = or_fail(TcpListener::bind("127.0.0.1:0").await, "listening");
        let address = or_fail(listener.local_addr(), "reading an address").to_string();
        let task = tokio::spawn(async move { or_fail(axum::serve(listener, router).await, "serving tokens") });
        let proxy = or_fail(TlsProxy::start(&address, certificate, &["http/1.1"]).await, "starting a proxy");
        Self { proxy, state, keys, task }
    }

    /// Where tokens are given.
    pub fn url(&self) -> String {
        format!("https://{}/token", self.proxy.address())
    }

    /// The file with the key by which tokens can be verified, as a JSON Web Key Set.
    pub(crate) fn keys_file(&self) -> &Path {
        &self.keys
    }

    /// Waits until all tokens that have been given so far are invalid, and later ones were given.
    ///
    /// # Panics
    /// If nobody asks for one.
    pub async fn wait_for_renewal(&self) {
        let (given, last_expiry) = {
            let expiries = self.state.expiries();
            (expiries.len(), expiries.last().copied().unwrap_or_default())
        };
        eventually(async || {
            let (now, given_since) = (get_current_timestamp(), self.state.expiries().len() - given);
            anyhow::ensure!(now > last_expiry && given_since > 0, "{given_since} tokens since {given} at {now}");
            Ok(())
        })
        .await;
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl EndpointState {
    fn expiries(&self) -> MutexGuard<'_, Vec<u64>> {
        self.expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn give_token(
    State(state): State<Arc<EndpointState>>,
    headers: HeaderMap,
    form: String,
) -> (StatusCode, Json<Value>) {
    let credentials = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    if credentials != Some(state.credentials.as_str()) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })));
    }
    let form: HashMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "unsupported_grant_type" })));
    }
    let issued = get_current_timestamp();
    let expires = issued + TOKEN_LIFETIME.as_secs();
    let claims =
        json!({ "iss": ISSUER, "sub": state.client_id, "aud": form.get("scope"), "iat": issued, "exp": expires });
    let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::RS256) };
    let token = or_fail(encode(&header, &claims, &state.key), "signing a token");
    state.expiries().push(expires);
    let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs() });
    (StatusCode::OK, Json(answer))
}

fn generate_key() -> EncodingKey {
    let pair = or_fail(KeyPair::generate(KeySize::Rsa2048), "generating a key");
    let document: Pkcs8V1Der<'_> = or_fail(pair.as_der(), "encoding a key");
    EncodingKey::from_rsa_der(document.as_ref().get(PKCS8_HEADER..).unwrap_or_default())
}
