//! A client of the schema registry over Confluent's REST API.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use engine_security::{EngineTlsConfig, TlsFileError};
use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id_and_type, post_schema},
    error::SRCError,
    schema_registry_common::{SchemaType, SuppliedSchema},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::{
    catalog::EventSchema,
    codec::{EventDecoder, SchemaMismatchError},
};

/// The address of the schema registry and the credentials for it. The login is a secret and is not serialized.
///
/// | variable | default | meaning |
/// | --- | --- | --- |
/// | `MEDHUB__REGISTRY__URL` | `http://127.0.0.1:8081` | the address; also `SCHEMA_REGISTRY_URL`; may contain a login |
/// | `MEDHUB__REGISTRY__LOGIN` | none | `name:password`: the role `registry` requires it of clients that register schemas; the relay, the workers and `medhub migrate` send it unless the address contains a login |
/// | `MEDHUB__REGISTRY__TLS__CA_FILE`, `_CERTIFICATE_FILE`, `_KEY_FILE` | the system's authorities | see [`EngineTlsConfig`]; for an address that begins with `https://` |
/// | `MEDHUB__REGISTRY__PRIVATE` | `false` | whether the role `registry` also requires the login of clients that only read |
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// `http://host:port` or `https://host:port`; also taken from `SCHEMA_REGISTRY_URL`.
    pub url: String,
    /// The login for registering schemas; `None` if the address contains it or none is required.
    #[serde(skip_serializing)]
    pub login: Option<RegistryLogin>,
    /// Whether the role `registry` also requires the login of clients that only read.
    pub private: bool,
    /// Authorities and the client's certificate, for a URL that begins with `https://`.
    pub tls: EngineTlsConfig,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:8081".to_owned(), login: None, private: false, tls: EngineTlsConfig::default() }
    }
}

impl RegistryConfig {
    /// The beginning of every HTTP client of the registry: with the files of `tls`, if there are any.
    ///
    /// # Errors
    /// [`TlsFileError`] when a file cannot be used.
    pub fn http_client_builder(&self) -> Result<reqwest::ClientBuilder, TlsFileError> {
        let builder = reqwest::Client::builder();
        if self.tls.is_empty() { Ok(builder) } else { Ok(builder.tls_backend_preconfigured(self.tls.client_config()?)) }
    }

    /// The login that clients send; `None` if the address contains one.
    pub fn client_login(&self) -> Option<&RegistryLogin> {
        self.login.as_ref().filter(|_| strip_login(&self.url) == self.url)
    }
}

/// Name and password for the registry.
#[derive(Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct RegistryLogin {
    name: String,
    password: SecretString,
}

/// A login that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the login is not of the form name:password with a password of at least {MIN_PASSWORD_LENGTH} characters")]
pub struct InvalidLogin;

/// Minimum length of a password in characters; a shorter one could be guessed.
const MIN_PASSWORD_LENGTH: usize = 12;

impl TryFrom<SecretString> for RegistryLogin {
    type Error = InvalidLogin;

    fn try_from(login: SecretString) -> Result<Self, InvalidLogin> {
        let (name, password) = login.expose_secret().split_once(':').ok_or(InvalidLogin)?;
        if name.is_empty() || password.chars().count() < MIN_PASSWORD_LENGTH {
            return Err(InvalidLogin);
        }
        Ok(Self { name: name.to_owned(), password: password.into() })
    }
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.name)
    }
}

impl RegistryLogin {
    /// Whether name and password match; the time does not depend on where the password differs.
    pub fn matches(&self, name: &str, password: &str) -> bool {
        let is_password = self.password.expose_secret().as_bytes().ct_eq(password.as_bytes());
        name == self.name && is_password.into()
    }

    /// The user name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password; only requests to the registry may contain it.
    pub fn password(&self) -> &SecretString {
        &self.password
    }
}

/// Why a client of the registry cannot be created. Without the named authority the login could go to another server, so
/// that there is no client then.
#[derive(Debug, thiserror::Error)]
pub enum RegistryClientSetupError {
    /// A file of `registry.tls` cannot be used.
    #[error("reading the files of registry.tls")]
    Tls(#[source] TlsFileError),
    /// The HTTP client cannot be created.
    #[error("setting up the HTTP client")]
    Client(#[source] SRCError),
}

/// Why a request to the registry failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryClientError {
    /// The registry is unavailable or rejected the request.
    #[error("asking the schema registry at {url} {request}")]
    Rejected {
        /// The registry's address.
        url: String,
        /// The request, e.g. `for schema 7`.
        request: String,
        /// The client's error.
        #[source]
        source: SRCError,
    },
    /// The registry returned a schema that cannot be parsed.
    #[error("parsing schema {id} of the registry at {url}")]
    Schema {
        /// The registry's address.
        url: String,
        /// The schema's id.
        id: u32,
        /// Why it cannot be parsed.
        #[source]
        source: SchemaMismatchError,
    },
}

/// Timeout of one request; callers retry.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that caches every response: ids and schemas never change. Cheap to clone; clones share the cache.
///
/// Only the first look-up of a schema sends a request, and no lock is held meanwhile: two concurrent look-ups may both
/// send one and get the same response.
#[derive(Clone)]
pub struct SchemaRegistryClient {
    inner: Arc<RegistryClientState>,
}

struct RegistryClientState {
    url: String,
    settings: SrSettings,
    /// Schema ids by event type and version.
    ids: RwLock<HashMap<(&'static str, &'static str), u32>>,
    decoders: RwLock<HashMap<u32, Arc<EventDecoder>>>,
}

impl SchemaRegistryClient {
    /// Creates a client of the registry at `config.url`; the first request connects.
    ///
    /// # Errors
    /// [`RegistryClientSetupError`] when a file of `config.tls` cannot be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryClientSetupError> {
        let url = config.url.trim_end_matches('/').to_owned();
        let mut settings = SrSettings::new_builder(url.clone());
        if let Some(login) = config.client_login() {
            settings.set_basic_authorization(login.name(), Some(login.password().expose_secret()));
        }
        settings.set_timeout(REQUEST_TIMEOUT);
        let http = config.http_client_builder().map_err(RegistryClientSetupError::Tls)?;
        let settings = settings.build_with(http).map_err(RegistryClientSetupError::Client)?;
        Ok(Self {
            inner: Arc::new(RegistryClientState {
                url: strip_login(&url),
                settings,
                ids: RwLock::default(),
                decoders: RwLock::default(),
            }),
        })
    }

    /// Returns the id of an event's schema; registers the schema under its subject if needed.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the registry is unavailable or rejects the schema.
    pub async fn resolve_schema_id(&self, schema: &'static EventSchema) -> Result<u32, RegistryClientError> {
        let key = (schema.event_type, schema.version);
        if let Some(id) = self.inner.ids.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let supplied = SuppliedSchema::new(Some(schema.subject.to_owned()), SchemaType::Avro, schema.json.to_owned());
        let registered = post_schema(&self.inner.settings, schema.subject.to_owned(), supplied)
            .await
            .map_err(|source| self.refused_error(format!("to register {}", schema.subject), source))?;
        self.inner.ids.write().unwrap_or_else(PoisonError::into_inner).insert(key, registered.id);
        Ok(registered.id)
    }

    /// Returns the decoder of data written with schema `id`.
    ///
    /// # Errors
    /// [`RegistryClientError`] when the registry is unavailable or has no such schema.
    pub async fn load_decoder(&self, id: u32) -> Result<Arc<EventDecoder>, RegistryClientError> {
        if let Some(decoder) = self.inner.decoders.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(decoder));
        }
        let found = get_schema_by_id_and_type(id, &self.inner.settings, SchemaType::Avro)
            .await
            .map_err(|source| self.refused_error(format!("for schema {id}"), source))?;
        let decoder = EventDecoder::parse(&found.schema)
            .map(Arc::new)
            .map_err(|source| RegistryClientError::Schema { url: self.inner.url.clone(), id, source })?;
        self.inner.decoders.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&decoder));
        Ok(decoder)
    }

    fn refused_error(&self, request: String, source: SRCError) -> RegistryClientError {
        RegistryClientError::Rejected { url: self.inner.url.clone(), request, source }
    }
}

/// Removes name and password from a URL, so that it may be logged.
fn strip_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((login, _)) => format!("{scheme}://{}", &rest[login.len() + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_parsed_matched_and_not_shown() {
        let parse = |text: &str| RegistryLogin::try_from(SecretString::from(text));
        let login = parse("medhub:with:colons:inside").unwrap();
        assert!(login.matches("medhub", "with:colons:inside"));
        assert!(!login.matches("medhub", "with:colons") && !login.matches("other", "with:colons:inside"));
        assert!(!format!("{login:?}").contains("colons"));
        for bad in ["medhub", "medhub:short", ":a-long-password"] {
            assert_eq!(parse(bad).unwrap_err(), InvalidLogin, "{bad}");
        }
        let config = RegistryConfig { login: Some(login), ..RegistryConfig::default() };
        assert!(config.client_login().is_some());
        let with_url_login = RegistryConfig { url: "http://me:s3cret@registry:8081".to_owned(), ..config };
        assert!(with_url_login.client_login().is_none(), "the address contains a login");
    }

    #[test]
    fn there_is_no_client_without_the_named_authority() {
        let tls = EngineTlsConfig { ca_file: Some("/absent/ca.pem".into()), ..EngineTlsConfig::default() };
        let config = RegistryConfig { url: "https://127.0.0.1:1".to_owned(), tls, ..RegistryConfig::default() };
        assert!(matches!(SchemaRegistryClient::new(&config), Err(RegistryClientSetupError::Tls(_))));
    }

    #[test]
    fn strip_login_removes_name_and_password_of_a_url() {
        assert_eq!(strip_login("http://me:s3cret@registry:8081/x@y"), "http://registry:8081/x@y");
        assert_eq!(strip_login("http://registry:8081/x@y"), "http://registry:8081/x@y");
        assert_eq!(strip_login("registry"), "registry");
    }
}
