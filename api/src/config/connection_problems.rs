//! What is wrong with the settings of connections to engines: every problem at once, each with its variable. Nothing is
//! connected to.

use engine_kinds::EngineKind;
use engine_security::{PostgresTlsVariables, find_postgres_url_problems, setting_variable};
use secrecy::ExposeSecret as _;

use super::EngineConfig;

impl EngineConfig {
    /// Checks the settings of TLS and of the users of all engines, with the variables that Postgres' client reads. Empty
    /// if none of them is wrong.
    pub fn find_connection_problems(&self, variables: &PostgresTlsVariables) -> Vec<String> {
        let event_store = EngineKind::Postgres.variable();
        let mut problems = find_postgres_url_problems(self.postgres.url.expose_secret(), event_store, variables);
        if let Some(url) = &self.lists.database_url {
            let mut of_lists = find_postgres_url_problems(url, &setting_variable("lists.database_url"), variables);
            // Both may have the same problem with a variable.
            of_lists.retain(|problem| !problems.contains(problem));
            problems.append(&mut of_lists);
        }
        let kafka = self.kafka.security();
        problems.extend(kafka.find_problems("kafka"));
        // Unless they are set, workers have the settings of `kafka`, whose problems are reported once.
        if self.worker.security() != kafka {
            problems.extend(self.worker.security().find_problems("worker"));
        }
        let with_files = [
            (EngineKind::Registry, "registry", &self.registry.url, &self.registry.tls, "https"),
            (EngineKind::ClickHouse, "clickhouse", &self.clickhouse.url, &self.clickhouse.tls, "https"),
            (EngineKind::Qdrant, "qdrant", &self.qdrant.url, &self.qdrant.tls, "https"),
            (EngineKind::Redis, "redis", &self.redis.url, &self.redis.tls, "rediss"),
        ];
        for (engine, section, url, tls, scheme) in with_files {
            problems.extend(tls.find_scheme_problem(section, url, engine.variable(), scheme));
            problems.extend(tls.find_problems(section));
        }
        problems.extend(self.qdrant.find_distribution_problem());
        problems.extend(self.clickhouse.find_cluster_setting_problems());
        problems.extend(self.redis.find_address_problem(EngineKind::Redis.variable()));
        if !self.qdrant.api_key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            // Its client would put a key that is no header into its errors.
            let variable = setting_variable("qdrant.api_key");
            problems.push(format!("{variable} has characters that a key cannot have, such as spaces or line breaks"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use engine_security::{EngineTlsConfig, KafkaSecurityProtocol};

    use super::*;

    #[test]
    fn the_defaults_have_no_problems() {
        assert_eq!(
            EngineConfig::default().find_connection_problems(&PostgresTlsVariables::default()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn nodes_of_a_cluster_need_its_setting() {
        let mut config = EngineConfig::default();
        config.redis.url = "redis://:s3cret@h:1,i:2".to_owned();
        let problems = config.find_connection_problems(&PostgresTlsVariables::default());
        assert!(matches!(&problems[..], [problem] if problem.starts_with("REDIS_URL: ")), "{problems:?}");
        assert!(!problems[0].contains("s3cret") && problems[0].contains("MEDHUB__REDIS__CLUSTER"), "{problems:?}");
        config.redis.cluster = true;
        let problems = config.find_connection_problems(&PostgresTlsVariables::default());
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn the_problems_of_all_engines_are_found_at_once() {
        let mut config = EngineConfig::default();
        let absent = EngineTlsConfig { ca_file: Some("/absent/ca.pem".into()), ..EngineTlsConfig::default() };
        config.postgres.url = "postgres://h/db?sslmode=verify-full&sslrootcert=/absent/ca.pem".to_owned().into();
        config.lists.database_url = Some("postgres://h/db?sslmode=none".to_owned());
        config.kafka.security_protocol = KafkaSecurityProtocol::SaslSsl;
        config.worker.tls = absent.clone();
        config.registry.tls = absent.clone();
        config.clickhouse.tls = absent.clone();
        config.qdrant.tls = absent.clone();
        config.redis.tls = absent;
        config.clickhouse.insert_quorum = 2;
        config.qdrant.api_key = "a\nb".into();
        let problems = config.find_connection_problems(&PostgresTlsVariables::default());
        for expected in [
            "DATABASE_URL: sslrootcert",
            "MEDHUB__LISTS__DATABASE_URL: sslmode=none",
            "MEDHUB__KAFKA__SASL__MECHANISM is not set",
            "MEDHUB__KAFKA__SASL__USERNAME is not set",
            "MEDHUB__KAFKA__SASL__PASSWORD is not set",
            "files of MEDHUB__WORKER__TLS__* are set",
            "SCHEMA_REGISTRY_URL does not begin with https://",
            "MEDHUB__REGISTRY__TLS__CA_FILE: reading /absent/ca.pem",
            "CLICKHOUSE_URL does not begin with https://",
            "QDRANT_URL does not begin with https://",
            "MEDHUB__QDRANT__TLS__CA_FILE: reading /absent/ca.pem",
            "REDIS_URL does not begin with rediss://",
            "MEDHUB__CLICKHOUSE__INSERT_QUORUM is set and MEDHUB__CLICKHOUSE__CLUSTER is not",
            "MEDHUB__QDRANT__API_KEY has characters",
        ] {
            let found = problems.iter().filter(|problem| problem.contains(expected)).count();
            assert_eq!(found, 1, "{expected}: {problems:?}");
        }
    }
}
