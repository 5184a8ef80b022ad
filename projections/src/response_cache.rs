//! Validity of cached responses, and the responses about the visit actions of a user or on a page, in `Redis` for a
//! limited time.
//!
//! The worker stores, for each user, each page and all opportunities together, the position of the last event about it;
//! a cached response has the position that it is valid for. A response is therefore returned only while the worker has
//! applied no later event, in any order of reads, writes and evictions. Lists of opportunities are cached by the
//! processes that answer them, and are valid by the position that is stored here.
//!
//! | key below `medhub:answers:` | what it holds |
//! | --- | --- |
//! | `{<tenant>}:last:<user or page>` | the position of the last event about it; expires |
//! | `{public}:last:opportunities` | the position of the last event about an opportunity; expires |
//! | `{<tenant>}:kept:<query>` | a response and the position for which it is valid; expires |

mod projection;
mod redis_cache;

pub use self::{
    projection::{CacheInvalidation, CacheSubject},
    redis_cache::{CacheLookup, ResponseCache, VisitActionsQuery},
};
