//! Responses about the visit actions of a user or on a page, cached in `Redis` for a limited time.
//!
//! The worker stores, for each user and each page, the position of the last event about it; a cached response has the
//! position for which it is valid. A response is therefore returned only while the worker has applied no later event,
//! in whatever order reads, writes and evictions happen.
//!
//! | key below `medhub:answers:` | what it holds |
//! | --- | --- |
//! | `{<tenant>}:last:<user or page>` | the position of the last event about it; expires |
//! | `{<tenant>}:kept:<query>` | a response and the position for which it is valid; expires |

mod projection;
mod redis_cache;

pub use self::{
    projection::CacheInvalidation,
    redis_cache::{CacheLookup, ResponseCache, VisitActionsQuery},
};
