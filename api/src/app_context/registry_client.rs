//! A read-only client of the schema registry. Works with any registry that implements Confluent's API.

use engine_security::TlsFileError;
use reqwest::{Client, StatusCode};
use schemas::{
    catalog::EventSchema,
    registry_client::{RegistryConfig, RegistryLogin},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::config::mask_url;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A client that looks up schemas and never registers any. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadOnlyRegistryClient {
    http: Client,
    url: Url,
    login: Option<RegistryLogin>,
}

/// Why a lookup in the registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryLookupError {
    /// `registry.url` is not a URL.
    #[error("reading registry.url")]
    Url(#[source] url::ParseError),
    /// `registry.url` is not an HTTP URL.
    #[error("registry.url is not an http:// or https:// URL")]
    NotHttp,
    /// A file of `registry.tls` cannot be used.
    #[error("reading the files of registry.tls")]
    Tls(#[source] TlsFileError),
    /// The HTTP client cannot be created.
    #[error("setting up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The request failed, or the response is not the expected JSON.
    #[error("no usable answer from {at}")]
    Http {
        /// URL of the registry, without a password.
        at: String,
        /// The HTTP error, without its URL.
        #[source]
        source: reqwest::Error,
    },
    /// The registry responded with an error status.
    #[error("{at} answers {status}: {message}")]
    Rejected {
        /// URL of the registry, without a password.
        at: String,
        /// Status of the response.
        status: StatusCode,
        /// Confluent's error code and message.
        message: String,
    },
}

/// A schema as it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RegisteredSchema {
    /// Global id of the schema.
    pub id: u32,
    /// Version within the subject.
    pub version: u32,
}

/// A schema in the registry's list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedSchema {
    /// The subject that it is a version of.
    pub subject: String,
    /// The schema as JSON, which may be formatted otherwise than it was when it was registered.
    pub schema: String,
}

impl ListedSchema {
    /// Whether this is an event schema, registered under its subject.
    pub fn is_equal_to(&self, schema: &EventSchema) -> bool {
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        self.subject == schema.subject
            && (self.schema == schema.json
                || parse(&self.schema).is_some_and(|listed| parse(schema.json).is_some_and(|own| listed == own)))
    }
}

#[derive(Deserialize)]
struct RegistryErrorAnswer {
    error_code: u32,
    message: String,
}

#[derive(Deserialize)]
struct CompatibilityAnswer {
    is_compatible: bool,
    #[serde(default)]
    messages: Option<Vec<String>>,
}

impl ReadOnlyRegistryClient {
    /// Creates a client of the registry at `config.url`; it connects on first use.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when `config.url` is not an HTTP URL, or a file of `config.tls` cannot be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryLookupError> {
        let url = Url::parse(&config.url).map_err(RegistryLookupError::Url)?;
        if !["http", "https"].contains(&url.scheme()) || url.cannot_be_a_base() {
            return Err(RegistryLookupError::NotHttp);
        }
        let http = config.http_client_builder().map_err(RegistryLookupError::Tls)?;
        let http = http.build().map_err(RegistryLookupError::Client)?;
        Ok(Self { http, url, login: config.client_login().cloned() })
    }

    /// Checks that the registry answers.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when it does not, or with an error.
    pub async fn ping(&self) -> Result<(), RegistryLookupError> {
        self.send_request::<Vec<String>>(self.http.get(self.endpoint_url(&["subjects"]))).await.map(drop)
    }

    /// Lists the registered schemas whose subjects begin with `prefix`; a registry may list only the first ones.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when the registry does not answer, or has no such list.
    pub async fn list_schemas(&self, prefix: &str) -> Result<Vec<ListedSchema>, RegistryLookupError> {
        let mut at = self.endpoint_url(&["schemas"]);
        at.query_pairs_mut().append_pair("subjectPrefix", prefix);
        self.send_request(self.http.get(at)).await
    }

    /// Looks up an event schema; `None` if it is not registered.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when the lookup fails.
    pub async fn find_schema(&self, schema: &EventSchema) -> Result<Option<RegisteredSchema>, RegistryLookupError> {
        match self.send_request(self.schema_request(self.endpoint_url(&["subjects", schema.subject]), schema)).await {
            Ok(known) => Ok(Some(known)),
            Err(RegistryLookupError::Rejected { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns why the registry would refuse an event schema; empty if it can be registered.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when the check fails.
    pub async fn find_objections(&self, schema: &EventSchema) -> Result<Vec<String>, RegistryLookupError> {
        let mut at = self.endpoint_url(&["compatibility", "subjects", schema.subject, "versions"]);
        at.set_query(Some("verbose=true"));
        match self.send_request(self.schema_request(at, schema)).await {
            Ok(CompatibilityAnswer { is_compatible: false, messages }) => {
                let messages = messages.unwrap_or_default();
                Ok(if messages.is_empty() { vec!["the registry gives no reason".to_owned()] } else { messages })
            }
            // A new subject has no versions to be incompatible with.
            Ok(CompatibilityAnswer { is_compatible: true, .. })
            | Err(RegistryLookupError::Rejected { status: StatusCode::NOT_FOUND, .. }) => Ok(vec![]),
            Err(error) => Err(error),
        }
    }

    fn schema_request(&self, at: Url, schema: &EventSchema) -> reqwest::RequestBuilder {
        let body = json!({ "schema": schema.json, "schemaType": "AVRO" }).to_string();
        self.http.post(at).header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE).body(body)
    }

    fn endpoint_url(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    async fn send_request<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, RegistryLookupError> {
        let at = || mask_url(self.url.as_str());
        // The URL in the error may contain a password.
        let failed = |source: reqwest::Error| RegistryLookupError::Http { at: at(), source: source.without_url() };
        let request = match &self.login {
            Some(login) => request.basic_auth(login.name(), Some(login.password().expose_secret())),
            None => request,
        };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(failed);
        }
        let message = match answer.json::<RegistryErrorAnswer>().await {
            Ok(refusal) => format!("{} {}", refusal.error_code, refusal.message),
            Err(_) => "the response is not in the format of Confluent's API".to_owned(),
        };
        Err(RegistryLookupError::Rejected { at: at(), status, message })
    }
}

#[cfg(test)]
mod tests {
    use schemas::catalog;

    use super::*;

    #[test]
    fn a_listed_schema_equals_that_of_its_event_in_any_formatting() {
        let [own, other] = [0, 1].map(|number| &catalog::all_schemas()[number]);
        let compact = serde_json::from_str::<Value>(own.json).unwrap().to_string();
        let listed = |subject: &str, schema: &str| ListedSchema { subject: subject.into(), schema: schema.into() };
        for (listed, is_equal) in [
            (listed(own.subject, own.json), true),
            (listed(own.subject, &compact), true),
            (listed(own.subject, other.json), false),
            (listed("another.subject", own.json), false),
            (listed(own.subject, "no JSON"), false),
        ] {
            assert_eq!(listed.is_equal_to(own), is_equal, "{listed:?}");
        }
    }
}
