//! Settings of the search in `Qdrant`.
//!
//! | section | key | default | meaning |
//! | --- | --- | --- | --- |
//! | `qdrant` | `url` | `http://127.0.0.1:6334` | gRPC interface; `https://` is with TLS |
//! | `qdrant` | `tls.ca_file`, `tls.certificate_file`, `tls.key_file` | none | see [`EngineTlsConfig`] |
//! | `qdrant` | `api_key` | none | key that the server asks for; a secret |
//! | `qdrant` | `collection_prefix` | `medhub_` | prefix of all collections |
//! | `qdrant` | `shard_number` | 0 | shards of a new collection; 0 is the server's default, as installed one for each of its nodes |
//! | `qdrant` | `replication_factor` | 0 | copies of each shard of a new collection; 0 is the server's default, as installed one |
//! | `qdrant` | `write_consistency_factor` | 0 | copies that have to have a write before it counts; 0 is the server's default, as installed one |
//! | `qdrant` | `timeout_ms` | 30000 | longest wait for one request |
//! | `qdrant` | `vocabulary_titles` | 200000 | most titles from which the spelling vocabulary is built, about 100 bytes of memory each; 0 disables spelling correction |

use std::{fmt, time::Duration};

use engine_security::{EngineSecret, EngineTlsConfig, setting_variable};
use qdrant_client::qdrant::{CollectionParams, CreateCollectionBuilder};
use serde::{Deserialize, Serialize};

use crate::storage::RedactedUrl;

/// Address and limits of the search in `Qdrant`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QdrantConfig {
    /// The gRPC interface.
    pub url: String,
    /// The key that the server asks for.
    #[serde(skip_serializing)]
    pub api_key: EngineSecret,
    /// Authorities and the client's certificate, with an `https` URL.
    pub tls: EngineTlsConfig,
    /// Prefix of all collections.
    pub collection_prefix: String,
    /// Shards of a new collection; 0 is the server's default.
    pub shard_number: u32,
    /// Copies of each shard of a new collection; 0 is the server's default.
    pub replication_factor: u32,
    /// Copies that have to have a write before it counts, in a new collection; 0 is the server's default.
    pub write_consistency_factor: u32,
    /// Longest wait for one request, in milliseconds.
    pub timeout_ms: u64,
    /// Most titles from which the spelling vocabulary is built; 0 disables spelling correction.
    pub vocabulary_titles: u64,
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:6334".to_owned(),
            api_key: EngineSecret::default(),
            tls: EngineTlsConfig::default(),
            collection_prefix: "medhub_".to_owned(),
            shard_number: 0,
            replication_factor: 0,
            write_consistency_factor: 0,
            timeout_ms: 30_000,
            vocabulary_titles: 200_000,
        }
    }
}

impl QdrantConfig {
    /// What is wrong with the distribution of collections. How many copies the server makes by default is not known.
    pub fn find_distribution_problem(&self) -> Option<String> {
        let copies = self.replication_factor;
        (copies > 0 && self.write_consistency_factor > copies).then(|| {
            format!(
                "{} is {}, but {} makes only {copies} of each shard, so that no write would count",
                setting_variable("qdrant.write_consistency_factor"),
                self.write_consistency_factor,
                setting_variable("qdrant.replication_factor"),
            )
        })
    }

    /// Adds the distribution over the nodes of a cluster to the settings of a new collection.
    pub(super) fn distribute(&self, mut collection: CreateCollectionBuilder) -> CreateCollectionBuilder {
        if self.shard_number > 0 {
            collection = collection.shard_number(self.shard_number);
        }
        if self.replication_factor > 0 {
            collection = collection.replication_factor(self.replication_factor);
        }
        if self.write_consistency_factor > 0 {
            collection = collection.write_consistency_factor(self.write_consistency_factor);
        }
        collection
    }

    /// How an existing collection differs from the distribution that a new one would have: it keeps the one that it was
    /// created with.
    pub(crate) fn find_distribution_differences(&self, collection: &str, params: &CollectionParams) -> Vec<String> {
        let settings = [
            ("shard_number", self.shard_number, Some(params.shard_number)),
            ("replication_factor", self.replication_factor, params.replication_factor),
            ("write_consistency_factor", self.write_consistency_factor, params.write_consistency_factor),
        ];
        let difference = |(key, wanted, found): (&str, u32, Option<u32>)| {
            let found = found.filter(|found| wanted > 0 && *found != wanted)?;
            let variable = setting_variable(&format!("qdrant.{key}"));
            Some(format!(
                "collection {collection} has a {key} of {found}, but {variable} is {wanted}: a collection keeps what it was \
                 created with; `medhub rebuild search` makes one with the settings of now"
            ))
        };
        settings.into_iter().filter_map(difference).collect()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for QdrantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("api_key", &self.api_key)
            .field("tls", &self.tls)
            .field("collection_prefix", &self.collection_prefix)
            .field("shard_number", &self.shard_number)
            .field("replication_factor", &self.replication_factor)
            .field("write_consistency_factor", &self.write_consistency_factor)
            .field("timeout_ms", &self.timeout_ms)
            .field("vocabulary_titles", &self.vocabulary_titles)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_collection_is_distributed_as_the_settings_say() {
        let distribution = |config: &QdrantConfig| {
            let request = config.distribute(CreateCollectionBuilder::new("a")).build();
            (request.shard_number, request.replication_factor, request.write_consistency_factor)
        };
        let config = QdrantConfig {
            shard_number: 6,
            replication_factor: 3,
            write_consistency_factor: 2,
            ..QdrantConfig::default()
        };
        assert_eq!(distribution(&config), (Some(6), Some(3), Some(2)));
        assert_eq!(distribution(&QdrantConfig::default()), (None, None, None));
    }

    #[test]
    fn a_collection_that_is_distributed_otherwise_is_named_with_the_setting() {
        let found = CollectionParams {
            shard_number: 1,
            replication_factor: Some(1),
            write_consistency_factor: Some(1),
            ..CollectionParams::default()
        };
        let differences = |config: QdrantConfig| config.find_distribution_differences("a", &found);
        assert_eq!(differences(QdrantConfig::default()), Vec::<String>::new());
        let same = QdrantConfig { shard_number: 1, replication_factor: 1, ..QdrantConfig::default() };
        assert_eq!(differences(same), Vec::<String>::new());
        let others = QdrantConfig { shard_number: 6, write_consistency_factor: 2, ..QdrantConfig::default() };
        let named = differences(others);
        assert!(
            matches!(&named[..], [shards, copies] if shards.contains("MEDHUB__QDRANT__SHARD_NUMBER is 6")
            && copies.contains("a write_consistency_factor of 1")),
            "{named:?}"
        );
    }

    #[test]
    fn more_acknowledgements_than_copies_are_a_problem() {
        let problem = |replication_factor, write_consistency_factor| {
            QdrantConfig { replication_factor, write_consistency_factor, ..QdrantConfig::default() }
                .find_distribution_problem()
        };
        assert_eq!([problem(0, 0), problem(0, 2), problem(2, 2)], [None, None, None]);
        for found in [problem(1, 2), problem(2, 3)] {
            assert!(found.unwrap().contains("MEDHUB__QDRANT__WRITE_CONSISTENCY_FACTOR"));
        }
    }
}
