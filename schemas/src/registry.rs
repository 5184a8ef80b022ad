//! The schema registry, spoken to by Confluent's REST API.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id_and_type, post_schema},
    error::SRCError,
    schema_registry_common::{SchemaType, SuppliedSchema},
};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::EventSchema,
    codec::{Decoder, MisfitError},
};

/// Where the schema registry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// `http://host:port`; also taken from `SCHEMA_REGISTRY_URL`.
    pub url: String,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { url: "http://127.0.0.1:8081".to_owned() }
    }
}

/// Why the registry did not help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// It did not answer, or refused.
    #[error("asking the schema registry at {url} {doing}")]
    Refused {
        /// Where it is.
        url: String,
        /// What it was asked for.
        doing: String,
        /// What it said.
        #[source]
        source: SRCError,
    },
    /// It holds a schema that cannot be understood.
    #[error("understanding schema {id} of the registry at {url}")]
    Schema {
        /// Where it is.
        url: String,
        /// Which schema.
        id: u32,
        /// What is wrong with it.
        #[source]
        source: MisfitError,
    },
}

/// How long one question may take; who asks tries again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that remembers every answer: ids and schemas never change. Cheap to clone; clones share what they know.
///
/// Only the first question about a schema reaches the registry, and no lock is held while it is asked: two that ask at
/// once get the same answer twice.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    settings: SrSettings,
    /// By event and version.
    ids: RwLock<HashMap<(&'static str, &'static str), u32>>,
    decoders: RwLock<HashMap<u32, Arc<Decoder>>>,
}

impl Registry {
    /// A client of the registry at `config.url`; connects when first asked.
    pub fn new(config: &RegistryConfig) -> Self {
        let url = config.url.trim_end_matches('/').to_owned();
        // Only settings that this program does not use can fail here.
        let patient = SrSettings::new_builder(url.clone()).set_timeout(PATIENCE).build();
        Self {
            inner: Arc::new(Inner {
                url: without_login(&url),
                settings: patient.unwrap_or_else(|_| SrSettings::new(url)),
                ids: RwLock::default(),
                decoders: RwLock::default(),
            }),
        }
    }

    /// The id of an event's schema, which is registered under its subject if it was not yet.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry is away or refuses the schema.
    pub async fn id_of(&self, schema: &'static EventSchema) -> Result<u32, RegistryError> {
        let key = (schema.event_type, schema.version);
        if let Some(id) = self.inner.ids.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let supplied = SuppliedSchema::new(Some(schema.subject.to_owned()), SchemaType::Avro, schema.json.to_owned());
        let registered = post_schema(&self.inner.settings, schema.subject.to_owned(), supplied)
            .await
            .map_err(|source| self.refused(format!("to register {}", schema.subject), source))?;
        self.inner.ids.write().unwrap_or_else(PoisonError::into_inner).insert(key, registered.id);
        Ok(registered.id)
    }

    /// What reads the data written with schema `id`.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry is away or knows no such schema.
    pub async fn decoder(&self, id: u32) -> Result<Arc<Decoder>, RegistryError> {
        if let Some(decoder) = self.inner.decoders.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(decoder));
        }
        let found = get_schema_by_id_and_type(id, &self.inner.settings, SchemaType::Avro)
            .await
            .map_err(|source| self.refused(format!("for schema {id}"), source))?;
        let decoder = Decoder::parse(&found.schema).map(Arc::new).map_err(|source| RegistryError::Schema {
            url: self.inner.url.clone(),
            id,
            source,
        })?;
        self.inner.decoders.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&decoder));
        Ok(decoder)
    }

    fn refused(&self, doing: String, source: SRCError) -> RegistryError {
        RegistryError::Refused { url: self.inner.url.clone(), doing, source }
    }
}

/// A URL as it may be shown: without the name and password that stand in it.
fn without_login(url: &str) -> String {
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
    fn what_is_shown_of_a_url_holds_no_password() {
        assert_eq!(without_login("http://me:s3cret@registry:8081/x@y"), "http://registry:8081/x@y");
        assert_eq!(without_login("http://registry:8081/x@y"), "http://registry:8081/x@y");
        assert_eq!(without_login("registry"), "registry");
    }
}
