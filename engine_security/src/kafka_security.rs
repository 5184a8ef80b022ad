//! How clients of Kafka connect and authenticate.
//!
//! | key in the sections `kafka` and `worker` | default | meaning |
//! | --- | --- | --- |
//! | `security_protocol` | `plaintext` | `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl` |
//! | `sasl.mechanism` | none | `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER` |
//! | `sasl.username` | none | name of the user, except for `OAUTHBEARER` |
//! | `sasl.password` | none | the user's password, except for `OAUTHBEARER`; a secret |
//! | `sasl.oauth` | none | where the tokens of `OAUTHBEARER` come from; see [`KafkaOauthConfig`] |
//! | `tls.ca_file`, `tls.certificate_file`, `tls.key_file` | none | see [`EngineTlsConfig`] |
//!
//! Workers use the settings of `kafka` unless theirs are set.

use serde::{Deserialize, Serialize};

use crate::{EngineSecret, EngineTlsConfig, KafkaOauthConfig, setting_variable};

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
    /// A user without TLS: only for networks that are safe from eavesdropping.
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

/// How a user proves who it is.
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
    /// A token of an identity provider is sent.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
    /// IAM of Amazon MSK: known, so that its refusal can say what to use instead.
    #[serde(rename = "AWS_MSK_IAM")]
    AwsMskIam,
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
            Self::AwsMskIam => "AWS_MSK_IAM",
        }
    }
}

/// The user of Kafka.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSaslConfig {
    /// How the user proves who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<SaslMechanism>,
    /// Name of the user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The user's password.
    #[serde(skip_serializing)]
    pub password: EngineSecret,
    /// Where the tokens of `OAUTHBEARER` come from.
    #[serde(skip_serializing_if = "KafkaOauthConfig::is_empty")]
    pub oauth: KafkaOauthConfig,
}

impl KafkaSaslConfig {
    /// Whether the user has a token instead of a name and a password.
    fn has_token(&self) -> bool {
        match self.mechanism {
            Some(SaslMechanism::OauthBearer) => true,
            Some(_) => false,
            // Then only the mechanism is missing.
            None => !self.oauth.is_empty(),
        }
    }

    fn client_settings(&self) -> Vec<(&'static str, String)> {
        let mechanism = self.mechanism.map(|mechanism| ("sasl.mechanisms", mechanism.name().to_owned()));
        let mut settings: Vec<_> = mechanism.into_iter().collect();
        if self.has_token() {
            settings.extend(self.oauth.client_settings());
        } else {
            settings.push(("sasl.username", self.username.clone()));
            settings.push(("sasl.password", self.password.expose().to_owned()));
        }
        settings
    }
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
            settings.extend(self.sasl.client_settings());
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
        let protocol =
            format!("{} is {}", setting_variable(&format!("{section}.security_protocol")), self.protocol.name());
        let mut problems = match self.sasl.mechanism {
            Some(SaslMechanism::AwsMskIam) => vec![describe_iam_refusal(section)],
            Some(_) | None => self.find_user_problems(section, &protocol),
        };
        if self.protocol.has_tls() {
            problems.extend(self.tls.find_problems(section));
        } else if !self.tls.is_empty() {
            let files = setting_variable(&format!("{section}.tls"));
            problems.push(format!("files of {files}__* are set, but {protocol}: set that to sasl_ssl or ssl"));
        }
        problems
    }

    /// What is missing or too much of the user; `protocol` names the protocol and its variable.
    fn find_user_problems(&self, section: &str, protocol: &str) -> Vec<String> {
        let KafkaSaslConfig { mechanism, username, password, oauth } = self.sasl;
        let (needs_user, needs_token) = (self.protocol.has_user(), self.sasl.has_token());
        let needs_password = !needs_token;
        let settings = [
            ("mechanism", mechanism.is_some(), true, Some("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")),
            ("username", !username.is_empty(), needs_password, Some("the name of the user")),
            ("password", !password.is_empty(), needs_password, Some("the user's password")),
            ("oauth.endpoint_url", !oauth.endpoint_url.is_empty(), needs_token, Some("the URL that gives tokens")),
            ("oauth.client_id", !oauth.client_id.is_empty(), needs_token, Some("the name of this client there")),
            (
                "oauth.client_secret",
                !oauth.client_secret.is_empty(),
                needs_token,
                Some("the secret of this client there"),
            ),
            ("oauth.scope", !oauth.scope.is_empty(), needs_token, None),
            ("oauth.extensions", !oauth.extensions.is_empty(), needs_token, None),
            ("oauth.ca_file", oauth.ca_file.is_some(), needs_token, None),
        ];
        let variable = |key: &str| setting_variable(&format!("{section}.sasl.{key}"));
        let mut problems = vec![];
        for (key, is_set, is_used, value) in settings {
            let key = variable(key);
            if is_set && !needs_user {
                problems.push(format!("{key} is set, but {protocol}: set that to sasl_ssl"));
            } else if let Some(value) = value
                && !is_set
                && is_used
                && needs_user
            {
                problems.push(format!("{protocol}, but {key} is not set: set it to {value}"));
            } else if is_set && !is_used {
                let (chosen, other) = (variable("mechanism"), mechanism.map_or("not set", SaslMechanism::name));
                problems
                    .push(format!("{key} is set, but {chosen} is {other}, which does not use it: correct one of them"));
            }
        }
        if needs_user && needs_token {
            problems.extend(oauth.find_problems(section));
        }
        problems
    }
}

/// Its tokens are requests that are signed with keys of AWS, which would need the keys of the machine and their renewal.
fn describe_iam_refusal(section: &str) -> String {
    let mechanism = setting_variable(&format!("{section}.sasl.mechanism"));
    format!(
        "{mechanism} is AWS_MSK_IAM, which is not supported: allow SASL/SCRAM in the cluster and set it to SCRAM-SHA-512 \
         with a secret that belongs to the cluster, or allow certificates of clients"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scram_user() -> KafkaSaslConfig {
        KafkaSaslConfig {
            mechanism: Some(SaslMechanism::ScramSha512),
            username: "medhub".to_owned(),
            password: "s3cr3t".into(),
            oauth: KafkaOauthConfig::default(),
        }
    }

    fn token_user() -> KafkaSaslConfig {
        KafkaSaslConfig {
            mechanism: Some(SaslMechanism::OauthBearer),
            oauth: KafkaOauthConfig {
                endpoint_url: "https://login.example/token".to_owned(),
                client_id: "medhub".to_owned(),
                client_secret: "s3cr3t".into(),
                ..KafkaOauthConfig::default()
            },
            ..KafkaSaslConfig::default()
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

    #[test]
    fn a_user_with_a_token_has_no_password_and_its_secret_reaches_only_the_client() {
        let (sasl, tls) = (token_user(), EngineTlsConfig::default());
        let security = KafkaSecurity { protocol: KafkaSecurityProtocol::SaslSsl, sasl: &sasl, tls: &tls };
        assert_eq!(security.find_problems("kafka"), Vec::<String>::new());
        let settings = security.client_settings();
        assert!(settings.contains(&("sasl.mechanisms", "OAUTHBEARER".to_owned())), "{settings:?}");
        assert!(settings.contains(&("sasl.oauthbearer.client.secret", "s3cr3t".to_owned())), "{settings:?}");
        assert!(settings.iter().all(|(key, _)| !["sasl.username", "sasl.password"].contains(key)), "{settings:?}");
        assert!(!format!("{security:?}").contains("s3cr3t"));

        let both = KafkaSaslConfig { username: "medhub".to_owned(), ..token_user() };
        let no_mechanism = KafkaSaslConfig { mechanism: None, ..token_user() };
        let scoped = KafkaOauthConfig { scope: "events".to_owned(), ..token_user().oauth };
        let unused = KafkaSaslConfig { oauth: scoped, ..scram_user() };
        let iam = KafkaSaslConfig { mechanism: Some(SaslMechanism::AwsMskIam), ..KafkaSaslConfig::default() };
        for (sasl, count, expected) in [
            (both, 1, "USERNAME is set, but MEDHUB__KAFKA__SASL__MECHANISM is OAUTHBEARER"),
            (no_mechanism, 1, "MECHANISM is not set"),
            (unused, 4, "OAUTH__ENDPOINT_URL is set, but MEDHUB__KAFKA__SASL__MECHANISM is SCRAM-SHA-512"),
            (iam, 1, "set it to SCRAM-SHA-512"),
        ] {
            let problems = KafkaSecurity { sasl: &sasl, ..security }.find_problems("kafka");
            assert!(problems.len() == count && problems[0].contains(expected), "{expected}: {problems:?}");
        }
    }
}
