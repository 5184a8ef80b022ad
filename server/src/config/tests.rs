//! Tests of the configuration and its sources.

use projections::runtime::ConsumerConfig as WorkerConfig;

use super::*;

fn load_from_environment(variables: &[(&str, &str)]) -> Result<MedhubConfig, ConfigError> {
    MedhubConfig::load(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn load_error(variables: &[(&str, &str)]) -> String {
    load_from_environment(variables).unwrap_err().to_string()
}

#[test]
fn without_settings_the_defaults_apply() {
    let config = load_from_environment(&[]).unwrap();
    assert_eq!(config.http, HttpConfig::default());
    // Workers expect the number of partitions that the relay creates.
    let worker = WorkerConfig { partitions: Some(config.engines.kafka.partitions), ..WorkerConfig::default() };
    assert_eq!(config.engines.worker, worker);
}

#[test]
fn variables_are_parsed_as_the_type_of_their_setting() {
    let config = load_from_environment(&[
        ("MEDHUB__HTTP__LISTEN", "127.0.0.1:0"),
        ("MEDHUB__HTTP__REQUEST_TIMEOUT_MS", "250"),
        ("MEDHUB__LOG__FORMAT", "json"),
        ("MEDHUB__KAFKA__TOPIC_PREFIX", "12345"),
        ("MEDHUB__EMBEDDING__MODEL_DIR", "/models"),
    ])
    .unwrap();
    assert_eq!(config.http.request_timeout().as_millis(), 250);
    assert_eq!(config.log.format, LoggingFormat::Json);
    assert_eq!(config.engines.kafka.topic_prefix, "12345");
    assert_eq!(config.engines.embedding.model_dir, Path::new("/models"));
}

#[test]
fn the_variables_of_opentelemetry_are_settings() {
    let config = load_from_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_SERVICE_NAME", "medhub-relay"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:4318/otlp"),
        ("MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES", "true"),
    ])
    .unwrap();
    let expected = TelemetryConfig {
        endpoint: "http://collector:4318".to_owned(),
        service_name: "medhub-relay".to_owned(),
        sample_ratio: 0.25,
        logs_exporter: "none".to_owned(),
        metric_export_interval_ms: 15_000,
        metrics_endpoint: "http://metrics:4318/otlp".to_owned(),
        continue_client_traces: true,
        ..TelemetryConfig::default()
    };
    assert_eq!(config.telemetry, expected);
    assert_eq!(
        load_from_environment(&[("OTEL_TRACES_SAMPLER_ARG", "1")]).unwrap().telemetry,
        TelemetryConfig::default()
    );
}

#[test]
fn workers_use_the_brokers_and_topics_of_the_relay() {
    let config =
        load_from_environment(&[("KAFKA_BROKERS", "10.0.0.1:9092"), ("MEDHUB__KAFKA__TOPIC_PREFIX", "t")]).unwrap();
    assert_eq!(
        (config.engines.worker.brokers.as_str(), config.engines.worker.topic_prefix.as_str()),
        ("10.0.0.1:9092", "t")
    );
}

#[test]
fn the_access_key_comes_from_its_usual_variables_and_its_secret_is_never_printed() {
    let config = load_from_environment(&[
        ("MEDHUB__OBJECTS__S3__BUCKET", "files"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "12345678"),
        ("AWS_SESSION_TOKEN", "t0ken"),
    ])
    .unwrap();
    let key = &config.engines.objects.s3;
    assert_eq!((key.bucket.as_str(), key.access_key_id.expose_secret()), ("files", "AKIDEXAMPLE"));
    assert_eq!((key.secret_access_key.expose_secret(), key.session_token.expose_secret()), ("12345678", "t0ken"));
    let printed = format!("{} {:?}", config.to_masked_toml().unwrap(), config.engines.objects);
    assert!(!printed.contains("12345678") && !printed.contains("t0ken"), "{printed}");
}

#[test]
fn a_url_variable_overrides_all_sources_and_an_empty_one_counts_as_unset() {
    let redis = |url: &str| {
        let variables = [("MEDHUB__REDIS__URL", "redis://a"), ("REDIS_URL", url)];
        load_from_environment(&variables).unwrap().engines.redis.url
    };
    assert_eq!(redis("redis://b"), "redis://b");
    assert_eq!(redis(""), "redis://a");
}

#[test]
fn the_error_of_an_unknown_key_names_the_variable() {
    let key = load_error(&[("MEDHUB__LOG__FORMT", "x")]);
    assert_eq!(key, "unknown setting log.formt (environment variable MEDHUB__LOG__FORMT); known here: format, filter");
    let section = load_error(&[("MEDHUB__LGO__FORMAT", "x")]);
    assert!(section.starts_with("unknown setting lgo (environment variable MEDHUB__LGO__FORMAT);"), "{section}");
}

#[test]
fn the_error_of_an_invalid_value_names_the_key() {
    let text = load_error(&[("MEDHUB__HTTP__REQUEST_TIMEOUT_MS", "soon")]);
    assert!(text.contains("setting http.request_timeout_ms (environment variable MEDHUB__HTTP__"), "{text}");
}

#[test]
fn the_error_of_a_missing_file_names_the_file() {
    let file = Path::new("/nowhere/medhub.toml");
    let error = MedhubConfig::load(Some(file), []).unwrap_err();
    assert_eq!(error.to_string(), "reading the settings file /nowhere/medhub.toml");
}

#[test]
fn the_masked_settings_can_be_loaded_and_contain_no_password() {
    let printed = load_from_environment(&[
        ("DATABASE_URL", "postgres://medhub:s3cr3t@127.0.0.1:5432/medhub"),
        ("MEDHUB__LISTS__DATABASE_URL", "postgres://lists:a,s3cr3t@127.0.0.1:5433/lists"),
        ("CLICKHOUSE_URL", "http://me:s3cr3t@127.0.0.1:8123"),
        ("REDIS_URL", "redis://:s3cr3t@127.0.0.1:6379"),
    ])
    .unwrap()
    .to_masked_toml()
    .unwrap();
    assert!(!printed.contains("s3cr3t"), "{printed}");
    assert!(printed.contains("postgres://medhub:***@127.0.0.1:5432/medhub"), "{printed}");
    assert!(printed.contains("postgres://lists:***@127.0.0.1:5433/lists"), "{printed}");
    let loaded: MedhubConfig = toml::from_str(&printed).unwrap();
    assert_eq!(loaded.http, HttpConfig::default());
}

#[test]
fn the_operators_token_has_a_minimum_length_and_is_not_printed() {
    let short = load_error(&[("MEDHUB__ADMIN__TOKEN", "fifteen letters")]);
    assert!(short.contains("MEDHUB__ADMIN__TOKEN") && short.contains("shorter than 16 characters"), "{short}");
    assert!(!short.contains("fifteen"), "{short}");

    let config = load_from_environment(&[("MEDHUB__ADMIN__TOKEN", "correct-horse-battery")]).unwrap();
    let printed = config.to_masked_toml().unwrap();
    assert!(!printed.contains("horse") && printed.contains("***"), "{printed}");
}

#[test]
fn workers_use_the_user_of_the_relay_and_its_password_is_never_printed() {
    let config = load_from_environment(&[
        ("MEDHUB__KAFKA__SECURITY_PROTOCOL", "sasl_ssl"),
        ("MEDHUB__KAFKA__SASL__MECHANISM", "SCRAM-SHA-512"),
        ("MEDHUB__KAFKA__SASL__USERNAME", "medhub"),
        ("MEDHUB__KAFKA__SASL__PASSWORD", "12345678"),
        ("MEDHUB__QDRANT__API_KEY", "87654321"),
    ])
    .unwrap();
    let engines = &config.engines;
    assert_eq!(engines.worker.security(), engines.kafka.security());
    assert_eq!((engines.worker.sasl.password.expose(), engines.qdrant.api_key.expose()), ("12345678", "87654321"));
    let printed = format!("{} {:?}", config.to_masked_toml().unwrap(), config.engines);
    assert!(!printed.contains("12345678") && !printed.contains("87654321"), "{printed}");
}

#[test]
fn workers_get_their_tokens_where_the_relay_does_and_the_secret_is_never_printed() {
    let config = load_from_environment(&[
        ("MEDHUB__KAFKA__SECURITY_PROTOCOL", "sasl_ssl"),
        ("MEDHUB__KAFKA__SASL__MECHANISM", "OAUTHBEARER"),
        ("MEDHUB__KAFKA__SASL__OAUTH__ENDPOINT_URL", "https://login.example/token"),
        ("MEDHUB__KAFKA__SASL__OAUTH__CLIENT_ID", "medhub"),
        ("MEDHUB__KAFKA__SASL__OAUTH__CLIENT_SECRET", "12345678"),
    ])
    .unwrap();
    assert_eq!(config.engines.worker.security(), config.engines.kafka.security());
    assert_eq!(config.engines.worker.sasl.oauth.client_secret.expose(), "12345678");
    let printed = format!("{} {:?}", config.to_masked_toml().unwrap(), config.engines);
    assert!(!printed.contains("12345678") && printed.contains("https://login.example/token"), "{printed}");
}

#[test]
fn all_problems_of_connections_are_listed_at_once() {
    let text = load_error(&[
        ("MEDHUB__KAFKA__SECURITY_PROTOCOL", "sasl_ssl"),
        ("MEDHUB__KAFKA__SASL__MECHANISM", "PLAIN"),
        ("MEDHUB__REDIS__TLS__CERTIFICATE_FILE", "/absent/client.pem"),
        ("DATABASE_URL", "postgres://medhub:s3cr3t@127.0.0.1/medhub?sslmode=verify-full&sslrootcert=/absent/ca.pem"),
    ]);
    for problem in [
        "MEDHUB__KAFKA__SASL__USERNAME is not set",
        "MEDHUB__KAFKA__SASL__PASSWORD is not set",
        "REDIS_URL does not begin with rediss://",
        "MEDHUB__REDIS__TLS__KEY_FILE is not",
        "DATABASE_URL: sslrootcert: reading /absent/ca.pem",
    ] {
        assert!(text.contains(problem), "{problem}: {text}");
    }
    assert!(!text.contains("s3cr3t") && !text.contains("MEDHUB__WORKER"), "{text}");
}
