//! Names of a test's own in engines that all tests share.

use std::collections::BTreeMap;

use uuid::Uuid;

/// One database, topic prefix, consumer-group prefix, ClickHouse database, collection prefix and key prefix.
#[derive(Debug, Clone)]
pub struct TestNamespace {
    name: String,
}

impl TestNamespace {
    /// A namespace that no other test has.
    #[expect(clippy::new_without_default, reason = "two of them are never equal")]
    pub fn new() -> Self {
        Self { name: format!("t_{}", Uuid::new_v4().simple()) }
    }

    /// The name that all others are derived from: letters, digits and an underscore.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The prefix of topic names.
    pub fn topic_prefix(&self) -> &str {
        &self.name
    }

    /// The ClickHouse database of the given generation of the read model `analytics`.
    pub fn clickhouse_database(&self, generation: u32) -> String {
        format!("{}_g{generation}", self.name)
    }

    /// The prefix of Qdrant collection names.
    pub fn collection_prefix(&self) -> String {
        format!("{}_", self.name)
    }

    /// The prefix of Redis keys.
    pub fn key_prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// The product's settings for this namespace; `admin` is the URL of any database of the server.
    ///
    /// # Errors
    /// If `admin` is no URL.
    pub fn variables(&self, admin: &str) -> Result<BTreeMap<String, String>, url::ParseError> {
        let settings = [
            ("DATABASE_URL", self.database_url(admin)?),
            ("MEDHUB__KAFKA__TOPIC_PREFIX", self.topic_prefix().to_owned()),
            ("MEDHUB__WORKER__GROUP_PREFIX", format!("{}.", self.name)),
            ("MEDHUB__CLICKHOUSE__DATABASE", self.name.clone()),
            ("MEDHUB__QDRANT__COLLECTION_PREFIX", self.collection_prefix()),
            ("MEDHUB__REDIS__KEY_PREFIX", self.key_prefix()),
        ];
        Ok(settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The URL of the namespace's Postgres database, on the same server as `admin`.
    ///
    /// # Errors
    /// If `admin` is no URL.
    pub fn database_url(&self, admin: &str) -> Result<String, url::ParseError> {
        let mut url = url::Url::parse(admin)?;
        url.set_path(&self.name);
        Ok(url.into())
    }
}

/// A name that no other test has, for a company in the product that tests share ([`crate::shared_product`]).
pub fn unique_name(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4().simple())
}
