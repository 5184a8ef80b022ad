//! Authentication and authorization: valid and invalid tokens, API keys, changing roles, and rate limits.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp, jwk::Jwk};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, GraphqlSubscriber, ProductHandle, ProductInstance, SignedInUser, WAIT_TIMEOUT, error_code,
    output_text, shared_product,
};

const ME_QUERY: &str = "{ me { user tenant role scopes operator } }";

fn token_claims(user: &str, tenant: Option<&str>, expires_in: i64) -> Value {
    let expires = i64::try_from(get_current_timestamp()).unwrap() + expires_in;
    json!({ "sub": user, "tenant": tenant, "exp": expires })
}

fn sign_token(algorithm: Algorithm, key_id: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

/// Sends a GraphQL document over HTTP; returns status, headers and body.
async fn send_document(
    product: &ProductHandle,
    token: &str,
    document: &str,
) -> (StatusCode, reqwest::header::HeaderMap, Value) {
    let body = json!({ "query": document });
    let request = tests::new_http_client().post(format!("{}/graphql", product.http())).bearer_auth(token).json(&body);
    let response = request.send().await.unwrap();
    (response.status(), response.headers().clone(), response.json().await.unwrap())
}

#[tokio::test]
async fn valid_tokens_identify_their_user_and_invalid_ones_are_refused() {
    let provider = TestIdentityProvider::start().await;
    let mut environment = EnvironmentVariables::new();
    environment.insert("MEDHUB__AUTH__JWKS_URL".into(), provider.url.clone());
    environment.insert("MEDHUB__AUTH__ROSTER_CACHE_MS".into(), "0".into());
    environment.insert("MEDHUB__LIMITS__REFUSED_TOKENS".into(), "10000".into());
    let product = ProductInstance::start_with(environment).await;
    let secret = EncodingKey::from_secret(product.variable("MEDHUB__AUTH__HS256_SECRET").as_bytes());
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;

    let good = sign_token(Algorithm::HS256, None, &token_claims("ann", Some("acme"), 600), &secret);
    let (status, headers, answer) = send_document(&product, &good, ME_QUERY).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["data"]["me"],
        json!({ "user": "ann", "tenant": "acme", "role": "ADMIN", "scopes": [], "operator": false })
    );
    assert!(headers.contains_key("ratelimit-remaining") && headers.contains_key("x-correlation-id"), "{headers:?}");

    invalid_tokens_are_refused(&product, &secret, &good).await;
    keys_of_the_provider_are_accepted_and_rotated(&product, &provider).await;
    an_api_key_has_its_scopes_until_it_is_revoked(&product, &ann).await;
    a_changed_role_applies_at_once(&product, &ann).await;
    a_connection_ends_with_its_token(&product, &secret).await;
    a_token_is_signed_out(&product, &secret).await;
}

#[tokio::test]
async fn without_the_development_login_an_issuer_is_required() {
    let product = shared_product().await;
    let mut command = product.medhub_command(&["serve", "--role", "api"]);
    command.env("MEDHUB__AUTH__DEVELOPMENT_LOGIN", "false");
    command.env("MEDHUB__HTTP__LISTEN", "127.0.0.1:0").env("MEDHUB__GRPC__LISTEN", "127.0.0.1:0");
    let mut command = tokio::process::Command::from(command);
    let ended = tokio::time::timeout(WAIT_TIMEOUT, command.kill_on_drop(true).output()).await;
    let output = ended.expect("the process ends").unwrap();
    let text = output_text(&output);
    assert!(!output.status.success() && text.contains("auth.issuer is not set"), "{text}");
}

/// Signs out one of two tokens of the same user; operators have no token to sign out.
async fn a_token_is_signed_out(product: &ProductHandle, secret: &EncodingKey) {
    const SIGN_OUT_MUTATION: &str = "mutation { signOut }";
    let token = |seconds| sign_token(Algorithm::HS256, None, &token_claims("ann", Some("acme"), seconds), secret);
    let (signed_out, other) = (token(90), token(120));
    let payload = json!({ "authorization": format!("Bearer {signed_out}") });
    let mut connection = GraphqlSubscriber::subscribe(product.http(), payload, "{ __typename }").await.unwrap();

    assert_eq!(send_document(product, &signed_out, SIGN_OUT_MUTATION).await.2["data"], json!({ "signOut": true }));

    let (status, _, answer) = send_document(product, &signed_out, ME_QUERY).await;
    assert_eq!((status, error_code(&answer)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("signed out"), "{answer}");
    let asked_later = connection.send_document("later", "{ proposals { totalCount } }").await.unwrap();
    assert_eq!(error_code(&asked_later), "UNAUTHENTICATED", "on a connection opened before: {asked_later}");
    assert_eq!(send_document(product, &other, ME_QUERY).await.0, StatusCode::OK);
    assert_eq!(error_code(&send_document(product, product.operator_token(), SIGN_OUT_MUTATION).await.2), "FORBIDDEN");

    // The stored entry does not reveal the token, and expires when the token does.
    let mut redis = redis::Client::open(product.variable("REDIS_URL").to_owned()).unwrap().get_connection().unwrap();
    let pattern = format!("{}signed-out:*", product.variable("MEDHUB__REDIS__KEY_PREFIX"));
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut redis).unwrap();
    assert!(keys.len() == 1 && !keys[0].contains(&signed_out), "{keys:?}");
    let ttl: i64 = redis::cmd("TTL").arg(&keys[0]).query(&mut redis).unwrap();
    assert!((1..=90 + 120).contains(&ttl), "{ttl} s");
}

async fn invalid_tokens_are_refused(product: &ProductHandle, secret: &EncodingKey, good: &str) {
    let (header, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let other = EncodingKey::from_secret(b"another secret of more than 32 bytes");
    let hs = |claims: Value| sign_token(Algorithm::HS256, None, &claims, secret);
    let mut flipped = signature.to_owned().into_bytes();
    flipped[5] = if flipped[5] == b'A' { b'B' } else { b'A' };
    let mut without_expiry = token_claims("ann", Some("acme"), 60);
    without_expiry.as_object_mut().unwrap().remove("exp");
    let mut not_yet = token_claims("ann", Some("acme"), 600);
    not_yet["nbf"] = json!(get_current_timestamp() + 300);
    for (what, token) in [
        ("expired", hs(token_claims("ann", Some("acme"), -60))),
        ("without an expiry", hs(without_expiry)),
        ("not yet valid", hs(not_yet)),
        ("forged", sign_token(Algorithm::HS256, None, &token_claims("ann", Some("acme"), 60), &other)),
        ("changed", format!("{header}.{body}.{}", String::from_utf8(flipped).unwrap())),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with a signature", format!("{none}.{body}.{signature}")),
        (
            "another algorithm with the same secret",
            sign_token(Algorithm::HS384, None, &token_claims("ann", Some("acme"), 60), secret),
        ),
        ("no user", hs(json!({ "exp": get_current_timestamp() + 60 }))),
        ("an empty user", hs(token_claims("", None, 60))),
        ("an invalid tenant id", hs(token_claims("ann", Some("Acme:Other"), 60))),
        ("too long", hs(token_claims(&"a".repeat(9_000), None, 60))),
        ("not a token", "abc".to_owned()),
        ("an unknown key", "mhk_acme.01890a5d-ac96-774b-bcce-b302099a8057.".to_owned() + &"ab".repeat(32)),
        ("an incomplete key", "mhk_acme".to_owned()),
    ] {
        let (status, headers, answer) = send_document(product, &token, ME_QUERY).await;
        assert_eq!((status, error_code(&answer)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{what}: {answer}");
        assert!(headers.contains_key("www-authenticate"), "{what}");
        assert!(!answer.to_string().contains(&token[..token.len().min(40)]), "{what}: the answer contains the token");
    }
    let mut foreign =
        tests::new_http_client().post(format!("{}/graphql", product.http())).json(&json!({ "query": ME_QUERY }));
    foreign = foreign.bearer_auth(good).header("x-medhub-tenant", "other");
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "the token is for another tenant");
}

async fn keys_of_the_provider_are_accepted_and_rotated(product: &ProductHandle, provider: &TestIdentityProvider) {
    let (first, second) =
        (TestIdentityProvider::create_ec_signer("first"), TestIdentityProvider::create_ec_signer("second"));
    provider.publish_keys(&[&first]);
    let ann = token_claims("ann", Some("acme"), 600);
    let token = |key: &TokenSigner| sign_token(key.algorithm, Some(key.id), &ann, &key.key);
    // The provider had no keys when the product started: they are fetched again after a few seconds.
    tests::eventually(async || {
        let (_, _, answer) = send_document(product, &token(&first), ME_QUERY).await;
        if answer["data"]["me"]["role"] == "ADMIN" { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;

    let unknown = send_document(product, &token(&second), ME_QUERY).await;
    assert_eq!(unknown.0, StatusCode::UNAUTHORIZED, "{}", unknown.2);
    let rsa = TestIdentityProvider::create_rsa_signer("third");
    provider.publish_keys(&[&second, &rsa]);
    // An unknown key is fetched at once, but no more often than every few seconds.
    tests::eventually(async || {
        let (status, _, answer) = send_document(product, &token(&second), ME_QUERY).await;
        if status == StatusCode::OK { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    assert_eq!(send_document(product, &token(&rsa), ME_QUERY).await.2["data"]["me"]["user"], "ann");
    assert_eq!(
        send_document(product, &token(&first), ME_QUERY).await.0,
        StatusCode::UNAUTHORIZED,
        "the key was withdrawn"
    );
    // A public key is not a secret: a token signed with it as a symmetric secret is rejected.
    let public = serde_json::to_vec(&second.public).unwrap();
    let confused = sign_token(Algorithm::HS256, Some(second.id), &ann, &EncodingKey::from_secret(&public));
    assert_eq!(send_document(product, &confused, ME_QUERY).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        send_document(product, &sign_token(Algorithm::ES256, None, &ann, &second.key), ME_QUERY).await.0,
        StatusCode::UNAUTHORIZED
    );
}

async fn an_api_key_has_its_scopes_until_it_is_revoked(product: &ProductHandle, ann: &SignedInUser<'_>) {
    let issue = |name: &str, scopes: &str| {
        format!(
            "mutation {{ issueApiKey(input: {{ name: \"{name}\", scopes: [{scopes}] }}) {{ id key
            outcome {{ ... on Rejected {{ rule }} }} }} }}"
        )
    };
    let issued = ann.send_document(&issue("writer", "WRITE"), json!({})).await["data"]["issueApiKey"].clone();
    let key = issued["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned();
    let duplicate = ann.send_document(&issue("writer", "READ"), json!({})).await["data"]["issueApiKey"].clone();
    assert_eq!(
        (&duplicate["key"], &duplicate["outcome"]["rule"]),
        (&Value::Null, &json!("KEY_NAME_TAKEN")),
        "{duplicate}"
    );

    let me = send_document(product, &key, ME_QUERY).await.2["data"]["me"].clone();
    assert_eq!((&me["role"], &me["scopes"], &me["tenant"]), (&json!("SERVICE"), &json!(["WRITE"]), &json!("acme")));
    let draft = "mutation { outcome: draftProposal(input: { opportunityId: \"036:X\", title: \"By machine\" }) { __typename } }";
    assert_eq!(send_document(product, &key, draft).await.2["data"]["outcome"]["__typename"], "Accepted");
    let admin = "mutation { outcome: addCompanyMember(user: \"mallory\", role: ADMIN) { __typename } }";
    assert_eq!(error_code(&send_document(product, &key, admin).await.2), "FORBIDDEN");
    let reader = ann.send_document(&issue("ingest", "INGEST"), json!({})).await["data"]["issueApiKey"]["key"].clone();
    let only_ingest = send_document(product, reader.as_str().unwrap(), "{ proposals { totalCount } }").await.2;
    assert_eq!(error_code(&only_ingest), "FORBIDDEN");

    let listed = ann.send_document("{ company { apiKeys { id name scopes } } }", json!({})).await;
    assert!(!listed.to_string().contains(&key[key.len() - 64..]), "the secret is answered only once: {listed}");
    let revoke = "mutation($id: UUID!) { outcome: revokeApiKey(id: $id) { ... on Accepted { version } } }";
    assert!(ann.send_mutation(revoke, json!({ "id": issued["id"] })).await["version"].is_u64());
    assert_eq!(
        send_document(product, &key, ME_QUERY).await.0,
        StatusCode::UNAUTHORIZED,
        "a revoked key is refused at once"
    );
    let log = product.run_medhub(&["replay"]).await;
    assert!(
        !String::from_utf8_lossy(&log.stdout).contains(&key[key.len() - 64..]),
        "the log has only a hash of the key"
    );
}

async fn a_changed_role_applies_at_once(product: &ProductHandle, ann: &SignedInUser<'_>) {
    let bob = ann.add_member("bob", "CONTRIBUTOR", "acme").await;
    let draft = "mutation { outcome: draftProposal(input: { opportunityId: \"036:X\", title: \"x\" }) { __typename } }";
    assert_eq!(bob.send_mutation(draft, json!({})).await["__typename"], "Accepted");
    let payload = json!({ "authorization": format!("Bearer {}", bob.token) });
    let mut connection = GraphqlSubscriber::subscribe(product.http(), payload, "{ __typename }").await.unwrap();
    let demote = "mutation { outcome: changeCompanyRole(user: \"bob\", role: VIEWER) { ... on Accepted { version } } }";
    ann.send_mutation(demote, json!({})).await;
    assert_eq!(error_code(&bob.send_document(draft, json!({})).await), "FORBIDDEN", "with the same token");
    assert_eq!(
        error_code(&connection.send_document("draft", draft).await.unwrap()),
        "FORBIDDEN",
        "on the same connection"
    );
    let remove = "mutation { outcome: removeCompanyMember(user: \"bob\") { ... on Accepted { version } } }";
    ann.send_mutation(remove, json!({})).await;
    assert_eq!(error_code(&bob.send_document("{ proposals { totalCount } }", json!({})).await), "FORBIDDEN");
    let remove_last = "mutation { outcome: removeCompanyMember(user: \"ann\") { ... on Rejected { rule } } }";
    assert_eq!(ann.send_mutation(remove_last, json!({})).await["rule"], "LAST_ADMIN");
}

async fn a_connection_ends_with_its_token(product: &ProductHandle, secret: &EncodingKey) {
    let token = |user: &str, seconds: i64| {
        sign_token(Algorithm::HS256, None, &token_claims(user, Some("acme"), seconds), secret)
    };
    let changes = "subscription { proposalChanges { cursor } }";
    let begin = async || {
        let payload = json!({ "authorization": format!("Bearer {}", token("ann", 5)) });
        GraphqlSubscriber::subscribe(product.http(), payload, changes).await.unwrap()
    };
    let (mut expiring, mut renewed) = (begin().await, begin().await);
    let other_user = renewed.renew_token(&token("bob", 600)).await.unwrap();
    assert!(other_user["error"].is_string(), "the connection belongs to ann: {other_user}");
    let until = renewed.renew_token(&token("ann", 600)).await.unwrap();
    assert!(until["expiresAt"].is_string(), "{until}");

    let end = expiring.next_answer().await.unwrap_err().to_string();
    assert!(end.contains("4403") || end.contains("Library(4403)"), "clients connect again after this code: {end}");

    let answer = renewed.send_document("later", "{ me { user } }").await.unwrap();
    assert_eq!(answer["data"]["me"]["user"], "ann", "the connection continues with the new token: {answer}");
}

/// Bytes before a 2,048-bit key in PKCS #8 (RFC 5208): version, algorithm and length.
const PKCS8_HEADER: usize = 26;

/// An identity provider, which publishes the keys of its signers.
struct TestIdentityProvider {
    url: String,
    keys: Arc<Mutex<Vec<Jwk>>>,
}

/// A key that a provider signs tokens with.
struct TokenSigner {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    public: Jwk,
}

impl TestIdentityProvider {
    async fn start() -> Self {
        let keys = Arc::new(Mutex::new(Vec::<Jwk>::new()));
        let published = Arc::clone(&keys);
        let answer = async move || Json(json!({ "keys": *published.lock().unwrap() }));
        let router = Router::new().route("/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, keys }
    }

    fn publish_keys(&self, signers: &[&TokenSigner]) {
        *self.keys.lock().unwrap() = signers.iter().map(|signer| signer.public.clone()).collect();
    }

    fn create_ec_signer(id: &'static str) -> TokenSigner {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::new());
        TokenSigner::new(id, Algorithm::ES256, EncodingKey::from_ec_der(document.unwrap().as_ref()))
    }

    fn create_rsa_signer(id: &'static str) -> TokenSigner {
        use aws_lc_rs::{
            encoding::{AsDer, Pkcs8V1Der},
            rsa::{KeyPair, KeySize},
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        TokenSigner::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(&document.as_ref()[PKCS8_HEADER..]))
    }
}

impl TokenSigner {
    fn new(id: &'static str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let mut public = Jwk::from_encoding_key(&key, algorithm).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self { id, algorithm, key, public }
    }
}
