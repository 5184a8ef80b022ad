//! Advice for connections to engines that fail because of TLS or the user, derived from the error's text, since each
//! client words these failures differently.

use api::app_context::BackingService;
use engine_kinds::EngineKind;
use engine_security::setting_variable;

/// A failure that waiting does not repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionProblem {
    /// The certificate of the server has expired, or is not valid yet.
    ExpiredCertificate,
    /// The certificate of the server is for other names.
    WrongServerName,
    /// Nobody who is trusted has signed the certificate of the server.
    UntrustedAuthority,
    /// The server does not accept the certificate of the client, or there is none.
    ClientCertificate,
    /// The server does not use TLS at this port.
    ServerWithoutTls,
    /// The server requires TLS.
    ServerRequiresTls,
    /// The server does not accept user, password or key.
    Credentials,
    /// A pooler does not know a parameter of the connection's start.
    StartParameter,
    /// The server of a setting for a cluster of Redis is not part of one.
    NotACluster,
    /// The endpoint that gives tokens for Kafka gave none.
    TokenEndpoint,
    /// The brokers do not accept the token.
    RefusedToken,
}

/// Texts of rustls, OpenSSL, the clients and the servers, in lower case. The first one that occurs counts.
const TEXTS: &[(&str, ConnectionProblem)] = {
    use ConnectionProblem::{
        ClientCertificate, Credentials, ExpiredCertificate, NotACluster, RefusedToken, ServerRequiresTls,
        ServerWithoutTls, StartParameter, TokenEndpoint, UntrustedAuthority, WrongServerName,
    };
    &[
        // First: they contain what the endpoint or the broker has answered.
        ("failed to retrieve oidc token", TokenEndpoint),
        ("failed to acquire sasl oauthbearer token", TokenEndpoint),
        ("invalid_token", RefusedToken),
        ("certificate expired", ExpiredCertificate),
        ("certificate has expired", ExpiredCertificate),
        ("certificate not valid yet", ExpiredCertificate),
        ("certificate not valid for name", WrongServerName),
        ("hostname mismatch", WrongServerName),
        ("unknownissuer", UntrustedAuthority),
        ("certificate verify failed", UntrustedAuthority),
        ("certificaterequired", ClientCertificate),
        ("certificate required", ClientCertificate),
        ("valid client certificate", ClientCertificate),
        ("alert: unknownca", ClientCertificate),
        ("alert unknown ca", ClientCertificate),
        ("badcertificate", ClientCertificate),
        ("alert bad certificate", ClientCertificate),
        ("corrupt message of type invalidcontenttype", ServerWithoutTls),
        ("wrong version number", ServerWithoutTls),
        ("does not support tls", ServerWithoutTls),
        ("connecting to a plaintext broker listener", ServerWithoutTls),
        ("no encryption", ServerRequiresTls),
        ("verify that security.protocol is correctly configured", ServerRequiresTls),
        ("incorrect security.protocol configuration", ServerRequiresTls),
        ("hangs up on a client without tls", ServerRequiresTls),
        // What clients without TLS make of an alert: over HTTP, and Redis.
        ("invalid http version parsed", ServerRequiresTls),
        ("unexpected `3`\nunexpected `21`", ServerRequiresTls),
        ("password authentication failed", Credentials),
        ("wrongpass", Credentials),
        ("noauth", Credentials),
        ("authentication_failed", Credentials),
        ("required_password", Credentials),
        ("authentication failed", Credentials),
        ("authenticationfailed", Credentials),
        ("authentication error", Credentials),
        ("authentication failure", Credentials),
        ("unauthenticated", Credentials),
        ("api key", Credentials),
        ("answers 401", Credentials),
        ("answers 403", Credentials),
        ("unsupported startup parameter", StartParameter),
        ("no nodes found for multi-node operation", NotACluster),
    ]
};

impl ConnectionProblem {
    /// The problem that an error and its causes describe; `None` for a server that is away.
    pub(crate) fn find(reason: &str) -> Option<Self> {
        let reason = reason.to_lowercase();
        TEXTS.iter().find(|(text, _)| reason.contains(text)).map(|(_, problem)| *problem)
    }

    /// What an operator can do about it.
    pub(crate) fn advice(self, service: BackingService) -> String {
        let settings = ConnectionSettings::of(service);
        match self {
            Self::ExpiredCertificate => {
                "the server's certificate has expired or is not valid yet: renew it on the server, or correct the clock of \
                 this machine"
                    .to_owned()
            }
            Self::WrongServerName => {
                format!(
                    "the server's certificate is for another name: use a name of the certificate in {}, or add this one to \
                     the certificate",
                    settings.address
                )
            }
            Self::UntrustedAuthority => {
                format!("name the authority that has signed the server's certificate in {}", settings.authorities)
            }
            Self::ClientCertificate => {
                format!(
                    "the server asks for a certificate that it trusts: correct {}, or have it signed by the server's \
                     authority",
                    settings.certificate
                )
            }
            Self::ServerWithoutTls => {
                format!("the server does not use TLS at this port: correct the port or the scheme in {}", settings.address)
            }
            Self::ServerRequiresTls => format!("the server requires TLS: {}", settings.with_tls),
            Self::Credentials => format!("the server does not accept the user: correct {}", settings.credentials),
            Self::StartParameter => format!(
                "the pooler does not know a parameter of the connection's start: remove it from {}, or add it to \
                 ignore_startup_parameters of PgBouncer",
                settings.address
            ),
            Self::NotACluster => format!(
                "no node of a Redis Cluster with slots answers there: set {} to false, or name nodes of the cluster in {}",
                setting_variable("redis.cluster"),
                settings.address
            ),
            Self::TokenEndpoint => {
                let [url, id, secret, scope, authorities] = ["endpoint_url", "client_id", "client_secret", "scope", "ca_file"]
                    .map(|key| setting_variable(&format!("kafka.sasl.oauth.{key}")));
                format!(
                    "the endpoint gives no token: correct {url}, {id}, {secret} or {scope}, or name the authority that has \
                     signed its certificate in {authorities}"
                )
            }
            Self::RefusedToken => {
                let [scope, extensions] =
                    ["scope", "extensions"].map(|key| setting_variable(&format!("kafka.sasl.oauth.{key}")));
                format!(
                    "the brokers do not accept the token, whose issuer, audience, key and time have to be those that they \
                     expect: correct {scope}, {extensions}, the client at the endpoint, or the settings of the brokers"
                )
            }
        }
    }
}

/// The settings of a service's connections, as an operator knows them.
struct ConnectionSettings {
    address: &'static str,
    authorities: String,
    certificate: String,
    credentials: String,
    with_tls: String,
}

impl ConnectionSettings {
    fn of(service: BackingService) -> Self {
        let address = service.env_variable();
        let in_section = |section: &str, scheme: &str, credentials: String| Self {
            address,
            authorities: setting_variable(&format!("{section}.tls.ca_file")),
            certificate: setting_variable(&format!("{section}.tls.certificate_file")),
            credentials,
            with_tls: format!("begin {address} with {scheme}://"),
        };
        let in_url = || format!("user and password in {address}");
        match service {
            BackingService::Engine(EngineKind::Postgres) | BackingService::Lists => Self {
                address,
                authorities: format!("sslrootcert in {address}"),
                certificate: format!("sslcert and sslkey in {address}"),
                credentials: in_url(),
                with_tls: format!("add sslmode=verify-full to {address}"),
            },
            BackingService::Engine(EngineKind::Kafka) => {
                let variable = |key: &str| setting_variable(&format!("kafka.sasl.{key}"));
                let credentials = ["username", "password", "mechanism"].map(variable).join(", ");
                let with_tls = format!("set {} to sasl_ssl or ssl", setting_variable("kafka.security_protocol"));
                Self { with_tls, ..in_section("kafka", "", credentials) }
            }
            BackingService::Engine(EngineKind::Registry) => {
                in_section("registry", "https", setting_variable("registry.login"))
            }
            BackingService::Engine(EngineKind::ClickHouse) => in_section("clickhouse", "https", in_url()),
            BackingService::Engine(EngineKind::Redis) => in_section("redis", "rediss", in_url()),
            BackingService::Engine(EngineKind::Qdrant) => {
                in_section("qdrant", "https", setting_variable("qdrant.api_key"))
            }
            BackingService::Objects => Self {
                address,
                authorities: "SSL_CERT_FILE, a PEM file with all authorities that are trusted".to_owned(),
                certificate: "the server's settings: the client has no certificate".to_owned(),
                credentials: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
                with_tls: format!("begin {address} with https://"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_tls_and_of_the_user_differ_from_a_server_that_is_away() {
        use ConnectionProblem::{
            ClientCertificate, Credentials, ExpiredCertificate, RefusedToken, TokenEndpoint, UntrustedAuthority,
        };
        for (reason, problem) in [
            ("invalid peer certificate: UnknownIssuer", Some(UntrustedAuthority)),
            (
                "invalid peer certificate: certificate expired: verification time 2 (UNIX), but ...",
                Some(ExpiredCertificate),
            ),
            ("SSL handshake failed: ... certificate verify failed: broker certificate ...", Some(UntrustedAuthority)),
            ("password authentication failed for user \"medhub\"", Some(Credentials)),
            ("received fatal alert: CertificateRequired", Some(ClientCertificate)),
            (
                "Failed to retrieve OIDC token from \"https://h/token\": SSL certificate problem: certificate has expired (-1)",
                Some(TokenEndpoint),
            ),
            ("Failed to acquire SASL OAUTHBEARER token: Expected JSON JWT ...", Some(TokenEndpoint)),
            ("SASL authentication error: {\"status\":\"invalid_token\"} (after ...)", Some(RefusedToken)),
            ("Connection refused (os error 111)", None),
            ("no answer within 3 s", None),
        ] {
            assert_eq!(ConnectionProblem::find(reason), problem, "{reason}");
        }
    }

    #[test]
    fn the_advice_names_the_variable_of_the_engine() {
        for (service, variable) in [
            (BackingService::POSTGRES, "sslrootcert in DATABASE_URL"),
            (BackingService::Lists, "sslrootcert in MEDHUB__LISTS__DATABASE_URL"),
            (BackingService::KAFKA, "MEDHUB__KAFKA__TLS__CA_FILE"),
            (BackingService::REGISTRY, "MEDHUB__REGISTRY__TLS__CA_FILE"),
            (BackingService::CLICKHOUSE, "MEDHUB__CLICKHOUSE__TLS__CA_FILE"),
            (BackingService::REDIS, "MEDHUB__REDIS__TLS__CA_FILE"),
            (BackingService::QDRANT, "MEDHUB__QDRANT__TLS__CA_FILE"),
            (BackingService::Objects, "SSL_CERT_FILE"),
        ] {
            let advice = ConnectionProblem::UntrustedAuthority.advice(service);
            assert!(advice.contains(variable), "{advice}");
        }
        assert!(ConnectionProblem::Credentials.advice(BackingService::KAFKA).contains("MEDHUB__KAFKA__SASL__PASSWORD"));
    }
}
