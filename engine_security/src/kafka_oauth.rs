//! The source of the tokens that authenticate clients of Kafka (SASL `OAUTHBEARER`). The client library fetches them
//! with the grant of client credentials, and renews each when four fifths of its time have passed.
//!
//! | key in `sasl.oauth` of the sections `kafka` and `worker` | default | meaning |
//! | --- | --- | --- |
//! | `endpoint_url` | none | URL of the identity provider that gives tokens, `https://`; `http://` on this machine only |
//! | `client_id` | none | name of this client there |
//! | `client_secret` | none | its secret; a secret |
//! | `scope` | none | scopes that the token is asked for, separated by spaces |
//! | `extensions` | none | what brokers are told beside the token, `key=value` separated by commas, such as `logicalCluster=lkc-1,identityPoolId=pool-1` |
//! | `ca_file` | the system's | PEM file of the authorities that may have signed the certificate of the endpoint |

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded::byte_serialize};

use crate::{EngineSecret, EngineTlsConfig, setting_variable};

/// Where tokens come from. The module has a table of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaOauthConfig {
    /// URL that gives tokens.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint_url: String,
    /// Name of this client at the endpoint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// Its secret.
    #[serde(skip_serializing)]
    pub client_secret: EngineSecret,
    /// Scopes of the tokens.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Extensions that are sent to brokers with the token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub extensions: String,
    /// Authorities that may have signed the endpoint's certificate; the system's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl KafkaOauthConfig {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The settings of the client library.
    pub(crate) fn client_settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("sasl.oauthbearer.method", "oidc".to_owned()),
            ("sasl.oauthbearer.token.endpoint.url", self.endpoint_url.clone()),
            ("sasl.oauthbearer.client.id", self.client_id.clone()),
            ("sasl.oauthbearer.client.secret", self.client_secret.expose().to_owned()),
        ];
        if !self.scope.is_empty() {
            // The library puts it into the form as it is.
            settings.push(("sasl.oauthbearer.scope", byte_serialize(self.scope.as_bytes()).collect()));
        }
        if !self.extensions.is_empty() {
            settings.push(("sasl.oauthbearer.extensions", self.extensions.clone()));
        }
        settings.extend(self.ca_file.as_ref().map(|path| ("https.ca.location", path.display().to_string())));
        settings
    }

    /// What is wrong with those settings of the section `section` that are set.
    pub(crate) fn find_problems(&self, section: &str) -> Vec<String> {
        let variable = |key: &str| setting_variable(&format!("{section}.sasl.oauth.{key}"));
        let mut problems = vec![];
        let url = Url::parse(&self.endpoint_url);
        if !self.endpoint_url.is_empty() && !url.is_ok_and(|url| is_endpoint(&url)) {
            let (url, id, secret) = (variable("endpoint_url"), variable("client_id"), variable("client_secret"));
            problems.push(format!(
                "{url} is not a URL with https (or with http on this machine); name and secret belong to {id} and {secret}"
            ));
        }
        if !self.extensions.is_empty() && !self.extensions.split(',').all(is_extension) {
            let extensions = variable("extensions");
            problems.push(format!(
                "{extensions} is not key=value, several separated by commas, with keys of letters but not auth"
            ));
        }
        // The same file as one of an engine.
        let authorities = EngineTlsConfig { ca_file: self.ca_file.clone(), ..EngineTlsConfig::default() };
        problems.extend(authorities.find_authority_problem(&variable("ca_file")));
        problems
    }
}

/// The secret is sent there: without TLS only to this machine, where a proxy may add it.
fn is_endpoint(url: &Url) -> bool {
    let names_client = !url.username().is_empty() || url.password().is_some();
    let is_private = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    };
    is_private && !names_client
}

fn is_extension(extension: &str) -> bool {
    extension.split_once('=').is_some_and(|(key, value)| {
        let has_letters = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
        // The token itself is sent under that key.
        has_letters && key != "auth" && !value.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth(endpoint_url: &str, extensions: &str) -> KafkaOauthConfig {
        KafkaOauthConfig {
            endpoint_url: endpoint_url.to_owned(),
            client_id: "medhub".to_owned(),
            client_secret: "s3cr3t".into(),
            scope: "api://kafka/.default events:read".to_owned(),
            extensions: extensions.to_owned(),
            ca_file: None,
        }
    }

    #[test]
    fn the_client_library_gets_what_a_form_can_hold() {
        let settings = oauth("https://login.example/token", "logicalCluster=lkc-1").client_settings();
        let scope = "api%3A%2F%2Fkafka%2F.default+events%3Aread".to_owned();
        assert!(settings.contains(&("sasl.oauthbearer.scope", scope)), "{settings:?}");
        assert!(settings.contains(&("sasl.oauthbearer.extensions", "logicalCluster=lkc-1".to_owned())));
        assert!(!settings.iter().any(|(key, _)| *key == "https.ca.location"), "{settings:?}");
    }

    #[test]
    fn what_cannot_work_is_named_without_the_secret() {
        let fine = oauth("http://127.0.0.1:1/token", "logicalCluster=lkc-1,identityPoolId=pool-1");
        assert_eq!(fine.find_problems("kafka"), Vec::<String>::new());
        for url in [
            "login.example/token",
            "ftp://login.example",
            "http://login.example/token",
            "https://medhub:s3cr3t@login.example/token",
        ] {
            let problems = oauth(url, "").find_problems("kafka");
            assert!(matches!(&problems[..], [one] if one.contains("MEDHUB__KAFKA__SASL__OAUTH__ENDPOINT_URL is not")));
            assert!(!problems[0].contains("s3cr3t"), "{problems:?}");
        }
        for extensions in ["logicalCluster", "a=1,", "a-b=1", "a=", "auth=1"] {
            let problems = oauth("https://login.example/token", extensions).find_problems("worker");
            assert!(matches!(&problems[..], [one] if one.contains("MEDHUB__WORKER__SASL__OAUTH__EXTENSIONS is not")));
        }
        let absent = KafkaOauthConfig { ca_file: Some("/absent/ca.pem".into()), ..fine };
        let problems = absent.find_problems("kafka");
        assert!(
            matches!(&problems[..], [one] if one.contains("OAUTH__CA_FILE: reading /absent/ca.pem")),
            "{problems:?}"
        );
    }
}
