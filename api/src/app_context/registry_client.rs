//! Asks the schema registry what it knows, without registering anything: any registry that speaks Confluent's API.

use reqwest::{Client, StatusCode};
use schemas::{
    catalog::EventSchema,
    registry_client::{RegistryConfig, RegistryLogin},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::config::mask_url;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A client that asks and never registers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadOnlyRegistryClient {
    http: Client,
    url: Url,
    login: Option<RegistryLogin>,
}

/// Why the registry gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryLookupError {
    /// The setting is no address.
    #[error("reading registry.url")]
    Url(#[source] url::ParseError),
    /// The setting is an address of another kind.
    #[error("registry.url is no http:// address")]
    NotHttp,
    /// It did not answer, or not in JSON.
    #[error("no usable answer from {at}")]
    Http {
        /// Where it was looked for, without a password.
        at: String,
        /// What happened instead.
        #[source]
        source: reqwest::Error,
    },
    /// It refused.
    #[error("{at} answers {status}: {message}")]
    Refused {
        /// Where it is, without a password.
        at: String,
        /// The status of its answer.
        status: StatusCode,
        /// What it said.
        message: String,
    },
}

/// What the registry knows of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RegisteredSchema {
    /// The schema's id.
    pub id: u32,
    /// Its version under the subject.
    pub version: u32,
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
    /// A client of the registry at `config.url`; connects when first asked.
    ///
    /// # Errors
    /// [`RegistryLookupError`] when the setting is no address.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryLookupError> {
        let url = Url::parse(&config.url).map_err(RegistryLookupError::Url)?;
        if !["http", "https"].contains(&url.scheme()) || url.cannot_be_a_base() {
            return Err(RegistryLookupError::NotHttp);
        }
        Ok(Self { http: Client::new(), url, login: config.client_login().cloned() })
    }

    /// Whether the registry answers.
    ///
    /// # Errors
    /// [`RegistryLookupError`] saying what it said instead.
    pub async fn ping(&self) -> Result<(), RegistryLookupError> {
        self.send_request::<Vec<String>>(self.http.get(self.endpoint_url(&["subjects"]))).await.map(drop)
    }

    /// What the registry knows of an event's schema; `None` where it was never registered.
    ///
    /// # Errors
    /// [`RegistryLookupError`] saying why it did not tell.
    pub async fn find_schema(&self, schema: &EventSchema) -> Result<Option<RegisteredSchema>, RegistryLookupError> {
        match self.send_request(self.schema_request(self.endpoint_url(&["subjects", schema.subject]), schema)).await {
            Ok(known) => Ok(Some(known)),
            Err(RegistryLookupError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What speaks against registering an event's schema.
    ///
    /// # Errors
    /// [`RegistryLookupError`] saying why the registry did not tell.
    pub async fn find_objections(&self, schema: &EventSchema) -> Result<Vec<String>, RegistryLookupError> {
        let mut at = self.endpoint_url(&["compatibility", "subjects", schema.subject, "versions"]);
        at.set_query(Some("verbose=true"));
        match self.send_request(self.schema_request(at, schema)).await {
            Ok(CompatibilityAnswer { is_compatible: false, messages }) => {
                let messages = messages.unwrap_or_default();
                Ok(if messages.is_empty() { vec!["the registry does not say why".to_owned()] } else { messages })
            }
            // Where there is no subject yet, there is nothing to break.
            Ok(CompatibilityAnswer { is_compatible: true, .. })
            | Err(RegistryLookupError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(vec![]),
            Err(error) => Err(error),
        }
    }

    fn schema_request(&self, at: Url, schema: &EventSchema) -> reqwest::RequestBuilder {
        let body = json!({ "schema": schema.json, "schemaType": "AVRO" }).to_string();
        self.http.post(at).header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE).body(body)
    }

    fn endpoint_url(&self, place: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(place);
        }
        url
    }

    async fn send_request<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, RegistryLookupError> {
        let at = || mask_url(self.url.as_str());
        // The address in the error would be told with its password.
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
            Err(_) => "it does not say why in the way of Confluent's API".to_owned(),
        };
        Err(RegistryLookupError::Refused { at: at(), status, message })
    }
}
