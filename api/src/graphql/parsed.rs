//! Documents that were parsed before: frontends send few different ones, most of them again and again, and may leave out
//! the text of one that is known by its hash (Apollo's "automatic persisted queries").

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{Request, parser::types::ExecutableDocument};
use lru::LruCache;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    document_cost::{self, CostError, CostLimits, MeasuredOperation},
    document_parser::{self, DocumentError},
};

/// Documents of either kind that are kept, the last used ones.
const KEPT: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Longest text that is kept, in bytes: one with its values in it hardly comes again.
const LONGEST: usize = 16 * 1024;

/// Texts that are kept together, in bytes. Parsed, they take some hundred times as much memory at the most.
const KEPT_BYTES: usize = 1024 * 1024;

/// The extension of a request that names a document by its hash.
const EXTENSION: &str = "persistedQuery";

/// The version of that extension.
const VERSION: i64 = 1;

/// A document that was parsed.
struct Parsed {
    document: ExecutableDocument,
    bytes: usize,
}

/// Documents by a key, and how long their texts are together.
struct DocumentCache {
    documents: LruCache<String, Arc<Parsed>>,
    bytes: usize,
}

/// Why a document is not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnfitDocument {
    /// It is not found by its hash.
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DocumentError),
    /// It asks for too much.
    #[error(transparent)]
    Costly(#[from] CostError),
}

/// Why a document is not found by its hash.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKnown {
    /// Nobody sent it, or not of late. Clients know this text.
    #[error("PersistedQueryNotFound")]
    NotFound,
    /// The hash is that of another text.
    #[error("the hash is not the SHA-256 of the document")]
    OtherText,
    /// The extension is not as it should be.
    #[error("the extension {EXTENSION} is not {{ version: {VERSION}, sha256Hash }}")]
    Malformed,
}

/// What the extension says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    version: i64,
    sha256_hash: String,
}

/// Documents that were parsed before. Cheap to clone; clones know the same.
#[derive(Clone)]
pub(super) struct ParsedDocuments {
    by_text: Arc<Mutex<DocumentCache>>,
    by_hash: Arc<Mutex<DocumentCache>>,
}

impl Default for ParsedDocuments {
    fn default() -> Self {
        let empty = || Arc::new(Mutex::new(DocumentCache { documents: LruCache::new(KEPT), bytes: 0 }));
        Self { by_text: empty(), by_hash: empty() }
    }
}

impl ParsedDocuments {
    /// Lets the request have its document, and tells what it costs. What costs too much is not kept.
    ///
    /// # Errors
    /// [`UnfitDocument`] when it cannot be read, asks for more than `limits`, or is named by a hash that does not help.
    pub(super) fn settle(
        &self,
        request: &mut Request,
        limits: &CostLimits,
    ) -> Result<MeasuredOperation, UnfitDocument> {
        let named = request.extensions.remove(EXTENSION).map(async_graphql::from_value::<Named>).transpose();
        let named = named.map_err(|_| NotKnown::Malformed)?;
        if named.as_ref().is_some_and(|named| named.version != VERSION) {
            return Err(NotKnown::Malformed.into());
        }
        let hash = named.map(|named| named.sha256_hash);
        let (parsed, is_new) = match &hash {
            Some(hash) if request.query.is_empty() => (find(&self.by_hash, hash).ok_or(NotKnown::NotFound)?, false),
            Some(hash) if *hash != format!("{:x}", Sha256::digest(&request.query)) => {
                return Err(NotKnown::OtherText.into());
            }
            _ => {
                if let Some(parsed) = find(&self.by_text, &request.query) {
                    (parsed, false)
                } else {
                    let document = document_parser::parse(&request.query)?;
                    (Arc::new(Parsed { document, bytes: request.query.len() }), true)
                }
            }
        };
        let name = request.operation_name.as_deref();
        let measured = document_cost::measure(&parsed.document, name, &request.variables, limits)?;
        if !request.query.is_empty() && parsed.bytes <= LONGEST {
            if let Some(hash) = hash {
                keep(&self.by_hash, hash, &parsed);
            }
            if is_new {
                keep(&self.by_text, request.query.clone(), &parsed);
            }
        }
        request.set_parsed_query(parsed.document.clone());
        Ok(measured)
    }
}

fn find(cache: &Mutex<DocumentCache>, key: &str) -> Option<Arc<Parsed>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner).documents.get(key).cloned()
}

fn keep(cache: &Mutex<DocumentCache>, key: String, parsed: &Arc<Parsed>) {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    cache.bytes += parsed.bytes;
    if let Some((_, replaced)) = cache.documents.push(key, Arc::clone(parsed)) {
        cache.bytes -= replaced.bytes;
    }
    while cache.bytes > KEPT_BYTES
        && let Some((_, oldest)) = cache.documents.pop_lru()
    {
        cache.bytes -= oldest.bytes;
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Variables, value};

    use super::*;

    fn named(text: &str, hash: &str, version: i64) -> Request {
        let mut request = Request::new(text).variables(Variables::default());
        request.extensions.insert(EXTENSION.to_owned(), value!({ "version": version, "sha256Hash": hash }));
        request
    }

    const LIMITS: CostLimits = CostLimits { complexity: 1_000, depth: 20, aliases: 2 };

    #[test]
    fn a_text_is_parsed_once_and_measured_always() {
        let documents = ParsedDocuments::default();
        let settle = |text: &str| documents.settle(&mut Request::new(text), &LIMITS);
        let kept = || documents.by_text.lock().unwrap().documents.len();
        for _ in 0..2 {
            assert_eq!(settle("{ a: __typename b: __typename }").unwrap().cost.complexity, 2);
        }
        assert_eq!(kept(), 1);
        assert!(matches!(settle("{ a: "), Err(UnfitDocument::Unreadable(_))));
        assert!(matches!(settle("{ a: __typename b: __typename c: __typename }"), Err(UnfitDocument::Costly(_))));
        settle(&format!("{{ __typename }} # {}", "x".repeat(LONGEST))).unwrap();
        assert_eq!(kept(), 1, "what is refused, and what is long, is not kept");
    }

    #[test]
    fn documents_are_kept_within_a_bound_of_bytes() {
        let documents = ParsedDocuments::default();
        for number in 0..200 {
            let text = format!("{{ __typename }} #{number}{}", "x".repeat(LONGEST - 100));
            documents.settle(&mut Request::new(text), &LIMITS).unwrap();
        }
        let cache = documents.by_text.lock().unwrap();
        assert!(cache.bytes <= KEPT_BYTES, "{}", cache.bytes);
        assert_eq!(cache.bytes, cache.documents.iter().map(|(_, parsed)| parsed.bytes).sum::<usize>());
    }

    #[test]
    fn a_hash_stands_for_the_text_that_it_is_of_and_no_other() {
        let documents = ParsedDocuments::default();
        let (text, hash) = ("{ __typename }", "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b");
        let not_known = |mut request: Request| match documents.settle(&mut request, &LIMITS) {
            Err(UnfitDocument::NotKnown(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(matches!(not_known(named("", hash, 1)), NotKnown::NotFound));
        assert!(matches!(not_known(named("{ a }", hash, 1)), NotKnown::OtherText));
        assert!(matches!(not_known(named(text, hash, 2)), NotKnown::Malformed));
        documents.settle(&mut Request::new(text), &LIMITS).unwrap();
        assert!(matches!(not_known(named("", hash, 1)), NotKnown::NotFound), "only if it is asked for");
        documents.settle(&mut named(text, hash, 1), &LIMITS).unwrap();
        let mut known = named("", hash, 1);
        assert_eq!(documents.settle(&mut known, &LIMITS).unwrap().cost.complexity, 1);
        assert!(known.parsed_query().is_ok());
    }
}
