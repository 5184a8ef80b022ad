//! Answers about what somebody did, or what was done on a page, kept in `Redis` for a while and never beyond their time.
//!
//! Its worker notes for each user and each page the position of the last event about them; an answer is kept with the
//! position that it is good for. So an answer is given again only while nothing newer has come by the worker, whatever
//! order reading, writing and forgetting happen in.
//!
//! | key below `medhub:answers:` | what it holds |
//! | --- | --- |
//! | `last:<tenant>:<user or page>` | the position of the last event about it; expires |
//! | `kept:<tenant>:<question>` | an answer and the position that it is good for; expires |

mod projection;
mod redis_cache;

pub use self::{
    projection::CacheInvalidation,
    redis_cache::{CacheLookup, ResponseCache, VisitActionsQuery},
};
