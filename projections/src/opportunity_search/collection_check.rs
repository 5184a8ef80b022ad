//! Compares the collections with those that a rebuild would create.

use qdrant_client::qdrant::{CollectionParams, vectors_config::Config};

use super::{OpportunitySearch, point::DENSE};
use crate::{QueryError, storage::StorageProblem};

impl OpportunitySearch {
    /// Compares the collections of this generation with the settings and the embedding model. Those that do not exist yet
    /// do not differ.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects a request.
    pub async fn find_collection_differences(&self) -> Result<Vec<StorageProblem>, QueryError> {
        let mut differences = vec![];
        for collection in [self.collection(), self.tenant_collection()] {
            if !self.qdrant().run_request(self.client().collection_exists(collection)).await? {
                continue;
            }
            let info = self.qdrant().run_request(self.client().collection_info(collection)).await?;
            let Some(params) = info.and_then(|info| info.config?.params) else { continue };
            differences.extend(find_vector_difference(collection, &params, self.embedder().dimension()));
            let distribution = self.qdrant().config().find_distribution_differences(collection, &params);
            differences.extend(distribution.into_iter().map(|text| StorageProblem { text, harmful: false }));
        }
        Ok(differences)
    }
}

fn find_vector_difference(collection: &str, params: &CollectionParams, wanted: usize) -> Option<StorageProblem> {
    let found = match params.vectors_config.as_ref().and_then(|vectors| vectors.config.as_ref()) {
        Some(Config::ParamsMap(by_name)) => by_name.map.get(DENSE).map(|vector| vector.size),
        Some(Config::Params(_)) | None => None,
    };
    let found = match found {
        Some(size) if size == wanted as u64 => return None,
        Some(size) => format!("vectors of {size} dimensions"),
        None => format!("no vectors with the name {DENSE}"),
    };
    let text = format!(
        "collection {collection} has {found}, but the embedding model makes vectors of {wanted} dimensions: nothing is found \
         and nothing can be written until `medhub rebuild search` has filled another one"
    );
    Some(StorageProblem { text, harmful: true })
}
