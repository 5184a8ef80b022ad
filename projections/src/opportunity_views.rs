//! Detail views, counters and leaderboards in `Redis`.
//!
//! Each stream (an opportunity, a visit, a user's watchlist) is a hash of two fields: the version, which is the
//! sequence of the last applied event, and the folded state. One script compares versions, writes both fields and
//! updates the figures that the events add to, atomically; so a repeated event counts once.
//!
//! Data that would grow without limit is bounded: visits and days expire, and `engagement` and `top` hold only
//! opportunities that were on record when they were viewed or clicked, and those that signed-in users saved. Views of
//! unknown opportunities are not counted (ADR 27).
//!
//! | key below `medhub:g1:` | what it holds |
//! | --- | --- |
//! | `generation` | marker of a prepared generation; writes require it |
//! | `opportunity:<id>` | version and state |
//! | `visit:<id>` | version, and the day of the last event; expires |
//! | `watchlist:<user>` | version, and the saved opportunities with their times |
//! | `counters:opportunities` | counts by agency, type and status |
//! | `engagement:<opportunity>` | counts of `viewed`, `clicked`, `saved` |
//! | `top:<viewed, clicked, saved>` | sorted set of opportunities |
//! | `top:<viewed, clicked, saved>:<day>` | the same for one UTC day; expires |

mod config;
mod counters;
mod errors;
mod eviction;
mod figure_deltas;
mod generation_keys;
mod leaderboard;
mod opportunity_history;
mod opportunity_view;
mod projection;
mod queries;
mod redis_client;
mod retention_policy;
mod state_cache;
mod state_transition;
mod stored_rows;
mod verify;
mod view_change;
mod view_state;
mod write;

pub use self::{
    config::RedisConfig,
    counters::OpportunityCounters,
    leaderboard::{EngagementCounts, EngagementKind, LeaderboardEntry, LeaderboardPeriod, WatchlistItem},
    opportunity_history::{PointInTime, opportunity_at, opportunity_events},
    opportunity_view::{OpportunityView, OpportunityViewStatus},
    queries::OpportunityViews,
    view_change::{ViewChange, ViewEvent, VisitEngagement, WatchlistChange},
};
pub(crate) use self::{
    generation_keys::{escape_glob, scan_command},
    queries::{unavailable_error, unreadable_error},
    redis_client::connect,
};
