//! Engines over TLS and with users: everything works with the right certificates and passwords, and each wrong one is named
//! with what to do.

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tests::{
    CertificateAuthority, EnvironmentVariables, PASSWORD, ProductHandle, SecuredEngines, authorities, output_text,
};

const DISCOVER: &str = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
    ... on OpportunityAccepted { id consistencyToken } } }";

const ENGINES: [&str; 6] = ["postgres", "registry", "kafka", "clickhouse", "qdrant", "redis"];

/// What `medhub doctor` says of each engine: whether it answers, the reason and the advice.
async fn diagnose(engines: &SecuredEngines, changes: EnvironmentVariables) -> Value {
    let output = engines.with_settings(changes).run_medhub(&["doctor", "--json"]).await;
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output_text(&output)));
    assert!(!output_text(&output).contains(PASSWORD), "a password is printed: {}", output_text(&output));
    report
}

/// The reason and the advice of an engine that must not answer.
fn find_failure(report: &Value, engine: &str) -> String {
    let engines = report["engines"].as_array().unwrap();
    let diagnosis = engines.iter().find(|diagnosis| diagnosis["engine"] == engine).unwrap();
    assert_eq!(diagnosis["answers"], false, "{engine}: {report}");
    format!("{} / {}", diagnosis["reason"], diagnosis["advice"])
}

#[tokio::test]
async fn everything_works_over_tls_and_each_wrong_certificate_or_password_is_named() {
    let engines = SecuredEngines::start().await;
    engines.migrate().await;
    let folder = tempfile::tempdir().unwrap();
    tokio::join!(
        a_command_reaches_every_read_model(&engines),
        a_wrong_authority_is_named_for_every_engine(&engines, folder.path()),
        a_wrong_password_is_named(&engines),
        a_token_that_is_not_given_or_not_accepted_is_named(&engines, folder.path()),
        a_client_without_tls_is_told_so(&engines),
        a_start_names_what_waiting_does_not_repair(&engines),
    );
    an_expired_certificate_is_named_for_every_engine(&engines).await;
}

/// The product's clients of Kafka have tokens, and get new ones while it runs.
async fn a_command_reaches_every_read_model(engines: &SecuredEngines) {
    let running = engines.start_product(engines.token_settings()).await;
    let product = &running.product;
    discover_and_read(product, 1).await;
    engines.token_endpoint().wait_for_renewal().await;
    discover_and_read(product, 2).await;
    // ClickHouse, too.
    let verified = product.run_medhub(&["verify"]).await;
    assert!(verified.status.success(), "{}", output_text(&verified));

    let report = diagnose(engines, EnvironmentVariables::new()).await;
    let answering: Vec<_> =
        report["engines"].as_array().unwrap().iter().filter(|engine| engine["answers"] == true).collect();
    assert_eq!(answering.len(), ENGINES.len() + 2, "with lists and objects: {report}");
    // The connections are what they should be.
    let mut connection = PgConnection::connect(&engines.variables()["DATABASE_URL"]).await.unwrap();
    let tls: (bool, Option<String>) =
        sqlx::query_as("select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert!(tls.0 && tls.1.as_deref().is_some_and(|name| name.contains("CN=medhub_tls")), "{tls:?}");
    connection.close().await.unwrap();
}

/// Discovers the opportunity of this number, and reads it from the read models.
async fn discover_and_read(product: &ProductHandle, number: u64) {
    let input = json!({ "noticeId": format!("tls-{number}"), "solicitationNumber": format!("TLS-{number}"),
        "title": "Patient lift", "type": "Solicitation", "postedAt": "2026-03-03T12:00:00Z",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF" });
    let discovered = product.send_graphql(DISCOVER, json!({ "input": input })).await;
    let accepted = &discovered["data"]["discoverOpportunity"];
    let token = accepted["consistencyToken"].as_str().unwrap_or_else(|| panic!("{discovered}"));
    let read = "query($id: String!) { opportunity(id: $id) { version } opportunities(first: 1) { totalCount }
        searchOpportunities(query: \"patient lift\") { id } }";
    let answer = product.send_graphql_since(token, read, json!({ "id": accepted["id"] })).await;
    assert_eq!(answer["data"]["opportunity"]["version"], 1, "{answer}");
    assert_eq!(answer["data"]["opportunities"]["totalCount"], number, "{answer}");
    let hits = answer["data"]["searchOpportunities"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert!(hits.iter().any(|hit| hit["id"] == accepted["id"]), "{answer}");
}

async fn a_wrong_authority_is_named_for_every_engine(engines: &SecuredEngines, folder: &std::path::Path) {
    let stranger = CertificateAuthority::new(folder, "stranger");
    let mut changes = authorities(stranger.file());
    let right = engines.authority().file().display().to_string();
    let database = engines.variables()["DATABASE_URL"].clone();
    let encoded = |path: &str| url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
    let wrong = database.replace(&encoded(&right), &encoded(&stranger.file().display().to_string()));
    assert_ne!(wrong, database);
    changes.insert("DATABASE_URL".to_owned(), wrong);
    let report = diagnose(engines, changes).await;
    for engine in ENGINES {
        let failure = find_failure(&report, engine);
        assert!(failure.contains("name the authority that has signed"), "{engine}: {failure}");
        let setting = match engine {
            "postgres" => "sslrootcert in DATABASE_URL".to_owned(),
            other => format!("MEDHUB__{}__TLS__CA_FILE", other.to_uppercase()),
        };
        assert!(failure.contains(&setting), "{engine}: {failure}");
    }
}

/// ClickHouse and Qdrant are not among them: their local fronts ask for no user.
async fn a_wrong_password_is_named(engines: &SecuredEngines) {
    let with_wrong_password = |variable: &str| {
        (variable.to_owned(), engines.variables()[variable].replace(PASSWORD, "incorrect-horse-battery"))
    };
    let variables = ["DATABASE_URL", "REDIS_URL", "MEDHUB__REGISTRY__LOGIN", "MEDHUB__KAFKA__SASL__PASSWORD"];
    let report = diagnose(engines, variables.map(with_wrong_password).into()).await;
    for (engine, setting) in [
        ("postgres", "user and password in DATABASE_URL"),
        ("redis", "user and password in REDIS_URL"),
        ("registry", "MEDHUB__REGISTRY__LOGIN"),
        ("kafka", "MEDHUB__KAFKA__SASL__PASSWORD"),
    ] {
        let failure = find_failure(&report, engine);
        assert!(failure.contains("does not accept the user") && failure.contains(setting), "{engine}: {failure}");
    }
    // Another mechanism, with the same user.
    let plain = [("MEDHUB__KAFKA__SASL__MECHANISM".to_owned(), "PLAIN".to_owned())];
    let report = diagnose(engines, plain.into()).await;
    let kafka = report["engines"].as_array().unwrap().iter().find(|engine| engine["engine"] == "kafka").unwrap();
    assert_eq!(kafka["answers"], true, "{report}");
}

/// By the endpoint, for a wrong secret and a wrong authority, and by the broker, for another audience.
async fn a_token_that_is_not_given_or_not_accepted_is_named(engines: &SecuredEngines, folder: &std::path::Path) {
    let with = |key: &str, value: &str| {
        let mut settings = engines.token_settings();
        settings.insert(format!("MEDHUB__KAFKA__SASL__OAUTH__{key}"), value.to_owned());
        settings
    };
    let report = diagnose(engines, with("CLIENT_SECRET", "incorrect-horse-battery")).await;
    let failure = find_failure(&report, "kafka");
    let endpoint = engines.token_endpoint().url();
    for expected in
        [endpoint.as_str(), "invalid_client", "gives no token: correct", "MEDHUB__KAFKA__SASL__OAUTH__CLIENT_SECRET"]
    {
        assert!(failure.contains(expected) && !failure.contains("incorrect-horse"), "{expected}: {failure}");
    }

    let report = diagnose(engines, with("SCOPE", "api://another")).await;
    let failure = find_failure(&report, "kafka");
    assert!(failure.contains("the brokers do not accept the token") && failure.contains("OAUTH__SCOPE"), "{failure}");

    let stranger = CertificateAuthority::new(folder, "stranger-to-the-endpoint");
    let mut changes = with("CA_FILE", &stranger.file().display().to_string());
    changes.insert("MEDHUB__SERVE__STARTUP_TIMEOUT_MS".to_owned(), "500".to_owned());
    let output = engines.with_settings(changes).run_medhub(&["serve", "--role", "all"]).await;
    let text = output_text(&output);
    assert!(!output.status.success() && text.contains("did not answer"), "{text}");
    assert!(text.contains("signed its certificate in MEDHUB__KAFKA__SASL__OAUTH__CA_FILE"), "{text}");
}

async fn a_client_without_tls_is_told_so(engines: &SecuredEngines) {
    let mut database = url::Url::parse(&engines.variables()["DATABASE_URL"]).unwrap();
    database.set_query(Some("sslmode=disable"));
    let mut changes: EnvironmentVariables = engines
        .variables()
        .keys()
        .filter(|name| name.contains("__TLS__"))
        .map(|name| (name.clone(), String::new()))
        .collect();
    changes.extend(
        ["MECHANISM", "USERNAME", "PASSWORD"].map(|key| (format!("MEDHUB__KAFKA__SASL__{key}"), String::new())),
    );
    changes.insert("MEDHUB__KAFKA__SECURITY_PROTOCOL".to_owned(), "plaintext".to_owned());
    changes.insert("DATABASE_URL".to_owned(), database.into());
    for (variable, with_tls, without) in [
        ("SCHEMA_REGISTRY_URL", "https", "http"),
        ("CLICKHOUSE_URL", "https", "http"),
        ("QDRANT_URL", "https", "http"),
        ("REDIS_URL", "rediss", "redis"),
    ] {
        changes.insert(variable.to_owned(), engines.variables()[variable].replace(with_tls, without));
    }
    let report = diagnose(engines, changes).await;
    // Qdrant's client says of an alert no more than that it is no answer.
    for engine in ENGINES.into_iter().filter(|engine| *engine != "qdrant") {
        let failure = find_failure(&report, engine);
        assert!(failure.contains("the server requires TLS"), "{engine}: {failure}");
    }
}

async fn a_start_names_what_waiting_does_not_repair(engines: &SecuredEngines) {
    let changes = [
        ("MEDHUB__KAFKA__SASL__PASSWORD".to_owned(), "incorrect-horse-battery".to_owned()),
        ("MEDHUB__SERVE__STARTUP_TIMEOUT_MS".to_owned(), "500".to_owned()),
    ];
    let output = engines.with_settings(changes.into()).run_medhub(&["serve", "--role", "all"]).await;
    let text = output_text(&output);
    // A slow machine may name others beside it, which half a second is too short for.
    assert!(!output.status.success() && text.contains("Kafka") && text.contains("did not answer"), "{text}");
    assert!(text.contains("correct MEDHUB__KAFKA__SASL__USERNAME") && !text.contains("incorrect-horse"), "{text}");

    let half = [
        ("MEDHUB__KAFKA__SASL__PASSWORD".to_owned(), String::new()),
        ("MEDHUB__KAFKA__TLS__KEY_FILE".to_owned(), String::new()),
        ("MEDHUB__REDIS__TLS__CA_FILE".to_owned(), "/absent/ca.pem".to_owned()),
    ];
    let output = engines.with_settings(half.into()).run_medhub(&["serve", "--role", "all"]).await;
    let text = output_text(&output);
    for problem in [
        "MEDHUB__KAFKA__SASL__PASSWORD is not set",
        "MEDHUB__KAFKA__TLS__KEY_FILE is not",
        "MEDHUB__REDIS__TLS__CA_FILE: reading /absent/ca.pem",
    ] {
        assert!(!output.status.success() && text.contains(problem), "{problem}: {text}");
    }
}

async fn an_expired_certificate_is_named_for_every_engine(engines: &SecuredEngines) {
    let (proxies, changes) = engines.start_expired_proxies().await;
    engines.expire_postgres().await;
    let report = diagnose(engines, changes).await;
    for engine in ENGINES {
        let failure = find_failure(&report, engine);
        assert!(failure.contains("has expired or is not valid yet: renew it"), "{engine}: {failure}");
    }
    drop(proxies);
}
