//! The schema registry, spoken to by Confluent's REST API.

use std::{collections::HashMap, sync::Arc};

use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id_and_type, post_schema},
    error::SRCError,
    schema_registry_common::{SchemaType, SuppliedSchema},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

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

/// A client that remembers every id it was told. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    url: String,
    settings: Arc<SrSettings>,
    ids: Arc<Mutex<HashMap<&'static str, HashMap<&'static str, u32>>>>,
    decoders: Arc<Mutex<HashMap<u32, Arc<Decoder>>>>,
}

impl Registry {
    /// A client of the registry at `config.url`; connects when first asked.
    pub fn new(config: &RegistryConfig) -> Self {
        Self {
            url: config.url.clone(),
            settings: Arc::new(SrSettings::new(config.url.clone())),
            ids: Arc::default(),
            decoders: Arc::default(),
        }
    }

    /// The id of an event's schema, which is registered under its subject if it was not yet.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry is away or refuses the schema.
    pub async fn id_of(&self, schema: &'static EventSchema) -> Result<u32, RegistryError> {
        let mut ids = self.ids.lock().await;
        if let Some(id) = ids.get(schema.event_type).and_then(|versions| versions.get(schema.version)) {
            return Ok(*id);
        }
        let supplied = SuppliedSchema::new(Some(schema.subject.to_owned()), SchemaType::Avro, schema.json.to_owned());
        let registered = post_schema(&self.settings, schema.subject.to_owned(), supplied)
            .await
            .map_err(|source| self.refused(format!("to register {}", schema.subject), source))?;
        ids.entry(schema.event_type).or_default().insert(schema.version, registered.id);
        Ok(registered.id)
    }

    /// What reads the data written with schema `id`.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry is away or knows no such schema.
    pub async fn decoder(&self, id: u32) -> Result<Arc<Decoder>, RegistryError> {
        let mut decoders = self.decoders.lock().await;
        if let Some(decoder) = decoders.get(&id) {
            return Ok(Arc::clone(decoder));
        }
        let found = get_schema_by_id_and_type(id, &self.settings, SchemaType::Avro)
            .await
            .map_err(|source| self.refused(format!("for schema {id}"), source))?;
        let decoder = Decoder::parse(&found.schema).map(Arc::new).map_err(|source| RegistryError::Schema {
            url: self.url.clone(),
            id,
            source,
        })?;
        decoders.insert(id, Arc::clone(&decoder));
        Ok(decoder)
    }

    fn refused(&self, doing: String, source: SRCError) -> RegistryError {
        RegistryError::Refused { url: self.url.clone(), doing, source }
    }
}
