//! Tests of the configuration and its sources.

use super::*;

fn load_from_environment(variables: &[(&str, &str)]) -> Result<MedhubConfig, ConfigError> {
    MedhubConfig::load(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn load_error(variables: &[(&str, &str)]) -> String {
    load_from_environment(variables).unwrap_err().to_string()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = load_from_environment(&[]).unwrap();
    assert_eq!(config.http, HttpConfig::default());
    // Workers expect the partitions that the relay makes.
    let worker = WorkerConfig { partitions: Some(config.kafka.partitions), ..WorkerConfig::default() };
    assert_eq!(config.worker, worker);
}

#[test]
fn variables_take_the_type_of_what_they_set() {
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
    assert_eq!(config.kafka.topic_prefix, "12345");
    assert_eq!(config.embedding.model_dir, Path::new("/models"));
}

#[test]
fn the_workers_read_the_topics_that_the_relay_writes() {
    let config =
        load_from_environment(&[("KAFKA_BROKERS", "10.0.0.1:9092"), ("MEDHUB__KAFKA__TOPIC_PREFIX", "t")]).unwrap();
    assert_eq!((config.worker.brokers.as_str(), config.worker.topic_prefix.as_str()), ("10.0.0.1:9092", "t"));
}

#[test]
fn a_url_variable_wins_over_everything_and_an_empty_one_counts_as_unset() {
    let redis = |url: &str| {
        let variables = [("MEDHUB__REDIS__URL", "redis://a"), ("REDIS_URL", url)];
        load_from_environment(&variables).unwrap().redis.url
    };
    assert_eq!(redis("redis://b"), "redis://b");
    assert_eq!(redis(""), "redis://a");
}

#[test]
fn an_unknown_key_is_named_with_its_variable() {
    let key = load_error(&[("MEDHUB__LOG__FORMT", "x")]);
    assert_eq!(key, "unknown setting log.formt (environment variable MEDHUB__LOG__FORMT); known here: format, filter");
    let section = load_error(&[("MEDHUB__LGO__FORMAT", "x")]);
    assert!(section.starts_with("unknown setting lgo (environment variable MEDHUB__LGO__FORMAT);"), "{section}");
}

#[test]
fn an_unusable_value_is_named_with_its_key() {
    let text = load_error(&[("MEDHUB__HTTP__REQUEST_TIMEOUT_MS", "soon")]);
    assert!(text.contains("setting http.request_timeout_ms (environment variable MEDHUB__HTTP__"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let file = Path::new("/nowhere/medhub.toml");
    let error = MedhubConfig::load(Some(file), []).unwrap_err();
    assert_eq!(error.to_string(), "reading the settings file /nowhere/medhub.toml");
}

#[test]
fn what_is_shown_can_be_read_back_and_holds_no_password() {
    let shown = load_from_environment(&[
        ("DATABASE_URL", "postgres://medhub:s3cr3t@127.0.0.1:5432/medhub"),
        ("CLICKHOUSE_URL", "http://me:s3cr3t@127.0.0.1:8123"),
        ("REDIS_URL", "redis://:s3cr3t@127.0.0.1:6379"),
    ])
    .unwrap()
    .to_masked_toml()
    .unwrap();
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(shown.contains("postgres://medhub:***@127.0.0.1:5432/medhub"), "{shown}");
    let read: MedhubConfig = toml::from_str(&shown).unwrap();
    assert_eq!(read.http, HttpConfig::default());
}

#[test]
fn the_operators_token_has_a_length_and_is_not_shown() {
    let short = load_error(&[("MEDHUB__ADMIN__TOKEN", "fifteen letters")]);
    assert!(short.contains("MEDHUB__ADMIN__TOKEN") && short.contains("shorter than 16 characters"), "{short}");
    assert!(!short.contains("fifteen"), "{short}");

    let config = load_from_environment(&[("MEDHUB__ADMIN__TOKEN", "correct-horse-battery")]).unwrap();
    let shown = config.to_masked_toml().unwrap();
    assert!(!shown.contains("horse") && shown.contains("***"), "{shown}");
}
