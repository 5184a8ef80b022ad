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

use super::aliases;

/// Documents of either kind that are kept, the last used ones.
const KEPT: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Longest text that is kept without being asked for, in bytes: one with its values in it hardly comes again.
const LONGEST: usize = 16 * 1024;

/// The extension of a request that names a document by its hash.
const EXTENSION: &str = "persistedQuery";

/// The version of that extension.
const VERSION: i64 = 1;

/// A document that was parsed.
struct Parsed {
    document: ExecutableDocument,
    aliases: usize,
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
    by_text: Arc<Mutex<LruCache<String, Arc<Parsed>>>>,
    by_hash: Arc<Mutex<LruCache<String, Arc<Parsed>>>>,
}

impl Default for ParsedDocuments {
    fn default() -> Self {
        let empty = || Arc::new(Mutex::new(LruCache::new(KEPT)));
        Self { by_text: empty(), by_hash: empty() }
    }
}

impl ParsedDocuments {
    /// Lets the request have its document, and tells how many aliases are in it. One that cannot be parsed is left for
    /// the schema to refuse, which says where.
    ///
    /// # Errors
    /// [`NotKnown`] when the request names it by a hash that does not help.
    pub(super) fn settle(&self, request: &mut Request) -> Result<usize, NotKnown> {
        let named = request.extensions.remove(EXTENSION).map(async_graphql::from_value::<Named>).transpose();
        let named = named.map_err(|_| NotKnown::Malformed)?;
        if named.as_ref().is_some_and(|named| named.version != VERSION) {
            return Err(NotKnown::Malformed);
        }
        let parsed = match named {
            Some(named) if request.query.is_empty() => {
                Some(find(&self.by_hash, &named.sha256_hash).ok_or(NotKnown::NotFound)?)
            }
            Some(named) => {
                if named.sha256_hash != format!("{:x}", Sha256::digest(&request.query)) {
                    return Err(NotKnown::OtherText);
                }
                let parsed = self.parse(request);
                if let Some(parsed) = &parsed {
                    keep(&self.by_hash, named.sha256_hash, Arc::clone(parsed));
                }
                parsed
            }
            None => self.parse(request),
        };
        let Some(parsed) = parsed else { return Ok(0) };
        request.set_parsed_query(parsed.document.clone());
        Ok(parsed.aliases)
    }

    fn parse(&self, request: &mut Request) -> Option<Arc<Parsed>> {
        if let Some(parsed) = find(&self.by_text, &request.query) {
            return Some(parsed);
        }
        let document = request.parsed_query().ok()?.clone();
        let parsed = Arc::new(Parsed { aliases: aliases::count(&document), document });
        if request.query.len() <= LONGEST {
            keep(&self.by_text, request.query.clone(), Arc::clone(&parsed));
        }
        Some(parsed)
    }
}

fn find(cache: &Mutex<LruCache<String, Arc<Parsed>>>, key: &str) -> Option<Arc<Parsed>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn keep(cache: &Mutex<LruCache<String, Arc<Parsed>>>, key: String, parsed: Arc<Parsed>) {
    cache.lock().unwrap_or_else(PoisonError::into_inner).put(key, parsed);
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

    #[test]
    fn a_text_is_parsed_once_and_counted_always() {
        let documents = ParsedDocuments::default();
        for _ in 0..2 {
            let mut request = Request::new("{ a: __typename b: __typename }");
            assert_eq!(documents.settle(&mut request).unwrap(), 2);
        }
        assert_eq!(documents.by_text.lock().unwrap().len(), 1);
        assert_eq!(documents.settle(&mut Request::new("{ a: ")).unwrap(), 0, "the schema says what is wrong with it");
        documents.settle(&mut Request::new(format!("{{ __typename }} # {}", "x".repeat(LONGEST)))).unwrap();
        assert_eq!(documents.by_text.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_hash_stands_for_the_text_that_it_is_of_and_no_other() {
        let documents = ParsedDocuments::default();
        let (text, hash) = ("{ __typename }", "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b");
        assert!(matches!(documents.settle(&mut named("", hash, 1)), Err(NotKnown::NotFound)));
        assert!(matches!(documents.settle(&mut named("{ a }", hash, 1)), Err(NotKnown::OtherText)));
        assert!(matches!(documents.settle(&mut named(text, hash, 2)), Err(NotKnown::Malformed)));
        documents.settle(&mut Request::new(text)).unwrap();
        assert!(
            matches!(documents.settle(&mut named("", hash, 1)), Err(NotKnown::NotFound)),
            "only if it is asked for"
        );
        documents.settle(&mut named(text, hash, 1)).unwrap();
        let mut known = named("", hash, 1);
        documents.settle(&mut known).unwrap();
        assert!(known.parsed_query().is_ok());
    }
}
