//! Reads the hashes of a generation back, for verify.

use std::collections::{BTreeMap, HashSet};

use redis::RedisResult;

use super::versioned_state_store::VersionedStateStore;
use crate::QueryError;

/// The fields of a hash; the server's error where the key is of another type.
pub type HashFields = Result<BTreeMap<String, String>, String>;

impl<S: Send> VersionedStateStore<S> {
    /// The hashes of the generation whose names `selects`, each with its name after the generation's prefix. Keys that
    /// are removed or expire meanwhile are left out.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn scan_hashes(
        &self,
        selects: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<Vec<(String, HashFields)>, QueryError> {
        let (mut hashes, mut scan, mut seen) = (vec![], self.scan_generation(), HashSet::new());
        while let Some(keys) = scan.next_page(|name| selects(name).then(|| name.to_owned())).await? {
            let (mut names, mut pipeline) = (vec![], redis::pipe());
            for (key, name) in keys {
                // The server may name a key twice.
                if seen.insert(key.clone()) {
                    pipeline.hgetall(key);
                    names.push(name);
                }
            }
            let answers: Vec<RedisResult<BTreeMap<Vec<u8>, Vec<u8>>>> = self.client().run_commands(pipeline).await?;
            for (name, answer) in names.into_iter().zip(answers) {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let to_fields = |stored: BTreeMap<Vec<u8>, Vec<u8>>| -> BTreeMap<_, _> {
                    stored.into_iter().map(|(field, value)| (text(field), text(value))).collect()
                };
                let fields = answer.map(to_fields).map_err(|error| error.to_string());
                if fields.as_ref().map_or(true, |fields| !fields.is_empty()) {
                    hashes.push((name, fields));
                }
            }
        }
        Ok(hashes)
    }
}
