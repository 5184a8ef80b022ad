//! How clients of Kafka connect and authenticate.
//!
//! | key in the sections `kafka` and `worker` | default | meaning |
//! | --- | --- | --- |
//! | `security_protocol` | `plaintext` | `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl` |
//! | `sasl.mechanism` | none | `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512` |
//! | `sasl.username` | none | name of the user |
//! | `sasl.password` | none | the user's password; a secret |
//! | `tls.ca_file`, `tls.certificate_file`, `tls.key_file` | none | see [`EngineTlsConfig`] |
//!
//! Workers use the settings of `kafka` unless theirs are set.

use serde::{Deserialize, Serialize};

use crate::{EngineSecret, EngineTlsConfig, setting_variable};

/// Kafka's `security.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaSecurityProtocol {
    /// Neither TLS nor a user.
    #[default]
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    /// TLS; a user only by a certificate.
    #[serde(alias = "SSL")]
    Ssl,
    /// A user without TLS: only for networks that nobody can listen to.
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// TLS and a user.
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

impl KafkaSecurityProtocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    fn has_user(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How a user proves to know the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// The password itself is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The user of Kafka.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSaslConfig {
    /// How the user proves to know the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<SaslMechanism>,
    /// Name of the user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The user's password.
    #[serde(skip_serializing)]
    pub password: EngineSecret,
}

/// How clients of Kafka connect and authenticate: the settings of one section together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KafkaSecurity<'a> {
    /// Whether there is TLS and a user.
    pub protocol: KafkaSecurityProtocol,
    /// The user.
    pub sasl: &'a KafkaSaslConfig,
    /// Authorities and the client's certificate.
    pub tls: &'a EngineTlsConfig,
}

impl KafkaSecurity<'_> {
    /// The settings of the client library; none without TLS and without a user.
    pub fn client_settings(&self) -> Vec<(&'static str, String)> {
        if self.protocol == KafkaSecurityProtocol::Plaintext {
            return vec![];
        }
        let mut settings = vec![("security.protocol", self.protocol.name().to_owned())];
        if self.protocol.has_user() {
            let mechanism = self.sasl.mechanism.map(|mechanism| ("sasl.mechanisms", mechanism.name().to_owned()));
            settings.extend(mechanism);
            settings.push(("sasl.username", self.sasl.username.clone()));
            settings.push(("sasl.password", self.sasl.password.expose().to_owned()));
        }
        if self.protocol.has_tls() {
            let files = [
                ("ssl.ca.location", &self.tls.ca_file),
                ("ssl.certificate.location", &self.tls.certificate_file),
                ("ssl.key.location", &self.tls.key_file),
            ];
            let paths = files.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?.display().to_string())));
            settings.extend(paths);
        }
        settings
    }

    /// What is wrong with the settings of the section `section`, `kafka` or `worker`.
    pub fn find_problems(&self, section: &str) -> Vec<String> {
        let variable = |key: &str| setting_variable(&format!("{section}.{key}"));
        let protocol = format!("{} is {}", variable("security_protocol"), self.protocol.name());
        let sasl = [
            ("sasl.mechanism", self.sasl.mechanism.is_some(), "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
            ("sasl.username", !self.sasl.username.is_empty(), "the name of the user"),
            ("sasl.password", !self.sasl.password.is_empty(), "the user's password"),
        ];
        let mut problems = vec![];
        for (key, is_set, value) in sasl {
            let key = variable(key);
            if self.protocol.has_user() && !is_set {
                problems.push(format!("{protocol}, but {key} is not set: set it to {value}"));
            } else if !self.protocol.has_user() && is_set {
                problems.push(format!("{key} is set, but {protocol}: set that to sasl_ssl"));
            }
        }
        if self.protocol.has_tls() {
            problems.extend(self.tls.find_problems(section));
        } else if !self.tls.is_empty() {
            let files = variable("tls");
            problems.push(format!("files of {files}__* are set, but {protocol}: set that to sasl_ssl or ssl"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scram_user() -> KafkaSaslConfig {
        KafkaSaslConfig {
            mechanism: Some(SaslMechanism::ScramSha512),
            username: "medhub".to_owned(),
            password: "s3cr3t".into(),
        }
    }

    #[test]
    fn a_complete_user_has_no_problems_and_its_password_reaches_only_the_client() {
        let (sasl, tls) = (scram_user(), EngineTlsConfig::default());
        let security = KafkaSecurity { protocol: KafkaSecurityProtocol::SaslSsl, sasl: &sasl, tls: &tls };
        assert_eq!(security.find_problems("kafka"), Vec::<String>::new());
        let settings = security.client_settings();
        assert!(settings.contains(&("security.protocol", "sasl_ssl".to_owned())));
        assert!(settings.contains(&("sasl.mechanisms", "SCRAM-SHA-512".to_owned())));
        assert!(settings.contains(&("sasl.password", "s3cr3t".to_owned())));
        assert!(!format!("{security:?}").contains("s3cr3t"));
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let (sasl, tls) = (KafkaSaslConfig::default(), EngineTlsConfig::default());
        let security = KafkaSecurity { protocol: KafkaSecurityProtocol::SaslSsl, sasl: &sasl, tls: &tls };
        let problems = security.find_problems("kafka");
        for (problem, key) in problems.iter().zip(["MECHANISM", "USERNAME", "PASSWORD"]) {
            assert!(problem.contains(&format!("MEDHUB__KAFKA__SASL__{key} is not set")), "{problem}");
        }
        assert_eq!(problems.len(), 3, "{problems:?}");
    }

    #[test]
    fn a_user_or_files_without_a_protocol_that_uses_them_are_problems() {
        let sasl = scram_user();
        let tls = EngineTlsConfig { ca_file: Some("/ca.pem".into()), ..EngineTlsConfig::default() };
        let plaintext = KafkaSecurity { protocol: KafkaSecurityProtocol::Plaintext, sasl: &sasl, tls: &tls };
        let problems = plaintext.find_problems("worker");
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("MEDHUB__WORKER__SECURITY_PROTOCOL is plaintext")));
        assert!(!problems.concat().contains("s3cr3t"), "{problems:?}");
        assert_eq!(plaintext.client_settings(), vec![]);
    }
}
