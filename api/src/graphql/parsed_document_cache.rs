//! Cache of parsed documents: frontends repeat a small number of documents, and may omit the text of one that is known
//! by its hash (Apollo's "automatic persisted queries").

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{Request, parser::types::ExecutableDocument};
use lru::LruCache;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    document_parser::{self, DocumentParseError},
    query_cost::{self, MeasuredOperation, QueryCostError, QueryCostLimits},
};

/// Capacity of each cache in documents; the least recently used ones are evicted.
const CACHE_CAPACITY: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Longest document that is cached, in bytes: a longer one usually has its values inline and is not repeated.
const MAX_CACHED_DOCUMENT_BYTES: usize = 16 * 1024;

/// Maximum size of all cached texts of one cache, in bytes. The parsed documents take up to some hundred times as much
/// memory.
const MAX_CACHE_BYTES: usize = 1024 * 1024;

/// Request extension that names a document by its hash.
const PERSISTED_QUERY_EXTENSION: &str = "persistedQuery";

/// Supported version of that extension.
const PERSISTED_QUERY_VERSION: i64 = 1;

/// A parsed document and the length of its text.
struct ParsedDocument {
    document: ExecutableDocument,
    bytes: usize,
}

/// Documents by key, and the total length of their texts.
struct BoundedDocumentCache {
    documents: LruCache<String, Arc<ParsedDocument>>,
    bytes: usize,
}

/// Why a document cannot be executed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareDocumentError {
    /// The persisted query cannot be resolved.
    #[error(transparent)]
    PersistedQuery(#[from] PersistedQueryError),
    /// The document cannot be parsed.
    #[error(transparent)]
    Syntax(#[from] DocumentParseError),
    /// The document costs too much, or its operation cannot be determined.
    #[error(transparent)]
    Cost(#[from] QueryCostError),
}

/// Why a persisted query cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(super) enum PersistedQueryError {
    /// The document is not in the cache. Clients depend on this text.
    #[error("PersistedQueryNotFound")]
    NotFound,
    /// The hash does not match the text of the document.
    #[error("the hash is not the SHA-256 of the document")]
    HashMismatch,
    /// The extension is malformed or has another version.
    #[error("the extension {PERSISTED_QUERY_EXTENSION} is not {{ version: {PERSISTED_QUERY_VERSION}, sha256Hash }}")]
    Malformed,
}

/// Content of the extension.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQueryExtension {
    version: i64,
    sha256_hash: String,
}

/// Cache of parsed documents, by text and by hash. Cheap to clone; clones share the entries.
#[derive(Clone)]
pub(super) struct ParsedDocumentCache {
    by_text: Arc<Mutex<BoundedDocumentCache>>,
    by_hash: Arc<Mutex<BoundedDocumentCache>>,
}

impl Default for ParsedDocumentCache {
    fn default() -> Self {
        let empty =
            || Arc::new(Mutex::new(BoundedDocumentCache { documents: LruCache::new(CACHE_CAPACITY), bytes: 0 }));
        Self { by_text: empty(), by_hash: empty() }
    }
}

impl ParsedDocumentCache {
    /// Sets the request's parsed document and returns its cost. A document that costs too much is not cached.
    ///
    /// # Errors
    /// [`PrepareDocumentError`] if the document cannot be parsed, exceeds `limits`, or cannot be resolved by its hash.
    pub(super) fn parse_and_measure(
        &self,
        request: &mut Request,
        limits: &QueryCostLimits,
    ) -> Result<MeasuredOperation, PrepareDocumentError> {
        let extension = request
            .extensions
            .remove(PERSISTED_QUERY_EXTENSION)
            .map(async_graphql::from_value::<PersistedQueryExtension>)
            .transpose();
        let extension = extension.map_err(|_| PersistedQueryError::Malformed)?;
        if extension.as_ref().is_some_and(|extension| extension.version != PERSISTED_QUERY_VERSION) {
            return Err(PersistedQueryError::Malformed.into());
        }
        let hash = extension.map(|extension| extension.sha256_hash);
        let (parsed, is_new) = match &hash {
            Some(hash) if request.query.is_empty() => {
                (find_document(&self.by_hash, hash).ok_or(PersistedQueryError::NotFound)?, false)
            }
            Some(hash) if *hash != format!("{:x}", Sha256::digest(&request.query)) => {
                return Err(PersistedQueryError::HashMismatch.into());
            }
            _ => {
                if let Some(parsed) = find_document(&self.by_text, &request.query) {
                    (parsed, false)
                } else {
                    let document = document_parser::parse_document(&request.query)?;
                    (Arc::new(ParsedDocument { document, bytes: request.query.len() }), true)
                }
            }
        };
        let name = request.operation_name.as_deref();
        let measured = query_cost::measure_query_cost(&parsed.document, name, &request.variables, limits)?;
        if !request.query.is_empty() && parsed.bytes <= MAX_CACHED_DOCUMENT_BYTES {
            if let Some(hash) = hash {
                cache_document(&self.by_hash, hash, &parsed);
            }
            if is_new {
                cache_document(&self.by_text, request.query.clone(), &parsed);
            }
        }
        request.set_parsed_query(parsed.document.clone());
        Ok(measured)
    }
}

fn find_document(cache: &Mutex<BoundedDocumentCache>, key: &str) -> Option<Arc<ParsedDocument>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner).documents.get(key).cloned()
}

fn cache_document(cache: &Mutex<BoundedDocumentCache>, key: String, parsed: &Arc<ParsedDocument>) {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    cache.bytes += parsed.bytes;
    if let Some((_, replaced)) = cache.documents.push(key, Arc::clone(parsed)) {
        cache.bytes -= replaced.bytes;
    }
    while cache.bytes > MAX_CACHE_BYTES
        && let Some((_, oldest)) = cache.documents.pop_lru()
    {
        cache.bytes -= oldest.bytes;
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Variables, value};

    use super::*;

    fn persisted_query_request(text: &str, hash: &str, version: i64) -> Request {
        let mut request = Request::new(text).variables(Variables::default());
        request
            .extensions
            .insert(PERSISTED_QUERY_EXTENSION.to_owned(), value!({ "version": version, "sha256Hash": hash }));
        request
    }

    const LIMITS: QueryCostLimits = QueryCostLimits { complexity: 1_000, depth: 20, aliases: 2 };

    #[test]
    fn a_document_is_parsed_once_and_measured_each_time() {
        let documents = ParsedDocumentCache::default();
        let measure = |text: &str| documents.parse_and_measure(&mut Request::new(text), &LIMITS);
        let cached = || documents.by_text.lock().unwrap().documents.len();
        for _ in 0..2 {
            assert_eq!(measure("{ a: __typename b: __typename }").unwrap().cost.complexity, 2);
        }
        assert_eq!(cached(), 1);
        assert!(matches!(measure("{ a: "), Err(PrepareDocumentError::Syntax(_))));
        assert!(matches!(measure("{ a: __typename b: __typename c: __typename }"), Err(PrepareDocumentError::Cost(_))));
        measure(&format!("{{ __typename }} # {}", "x".repeat(MAX_CACHED_DOCUMENT_BYTES))).unwrap();
        assert_eq!(cached(), 1, "rejected and long documents are not cached");
    }

    #[test]
    fn the_cache_is_limited_in_bytes() {
        let documents = ParsedDocumentCache::default();
        for number in 0..200 {
            let text = format!("{{ __typename }} #{number}{}", "x".repeat(MAX_CACHED_DOCUMENT_BYTES - 100));
            documents.parse_and_measure(&mut Request::new(text), &LIMITS).unwrap();
        }
        let cache = documents.by_text.lock().unwrap();
        assert!(cache.bytes <= MAX_CACHE_BYTES, "{}", cache.bytes);
        assert_eq!(cache.bytes, cache.documents.iter().map(|(_, parsed)| parsed.bytes).sum::<usize>());
    }

    #[test]
    fn a_persisted_query_is_found_by_the_hash_of_its_text() {
        let documents = ParsedDocumentCache::default();
        let (text, hash) = ("{ __typename }", "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b");
        let persisted_query_error = |mut request: Request| match documents.parse_and_measure(&mut request, &LIMITS) {
            Err(PrepareDocumentError::PersistedQuery(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(matches!(persisted_query_error(persisted_query_request("", hash, 1)), PersistedQueryError::NotFound));
        assert!(matches!(
            persisted_query_error(persisted_query_request("{ a }", hash, 1)),
            PersistedQueryError::HashMismatch
        ));
        assert!(matches!(
            persisted_query_error(persisted_query_request(text, hash, 2)),
            PersistedQueryError::Malformed
        ));
        documents.parse_and_measure(&mut Request::new(text), &LIMITS).unwrap();
        assert!(
            matches!(persisted_query_error(persisted_query_request("", hash, 1)), PersistedQueryError::NotFound),
            "a document is stored only if the request has its hash"
        );
        documents.parse_and_measure(&mut persisted_query_request(text, hash, 1), &LIMITS).unwrap();
        let mut known = persisted_query_request("", hash, 1);
        assert_eq!(documents.parse_and_measure(&mut known, &LIMITS).unwrap().cost.complexity, 1);
        assert!(known.parsed_query().is_ok());
    }
}
