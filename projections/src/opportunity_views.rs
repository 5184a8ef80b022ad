//! Detail views, counters and leaderboards in `Redis`.
//!
//! Each stream (an opportunity, a visit, a user's watchlist) is a versioned state, written atomically with the figures
//! that its events change; so a repeated event counts once. Keys that are written together have the same hash tag, that
//! of a [`KeyShard`]. A visit or a watchlist concerns opportunities of several shards: besides the state of the whole
//! stream, each of these shards has a part with a version of its own, which guards the figures of that shard (ADR 30).
//! Figures over many opportunities are stored by shard, and merged when they are read.
//!
//! Data that would grow without limit is bounded: visits and daily leaderboards expire, and `engagement` and `top`
//! contain only opportunities that were on record when they were viewed or clicked, and those that signed-in users
//! saved. Views and clicks of unknown opportunities are not counted (ADR 27).
//!
//! | key below `medhub:g1:{<shard>}:` | in the shard of | what it holds |
//! | --- | --- | --- |
//! | `opportunity:<id>` | the opportunity | version and state |
//! | `visit:<id>` | the visit | version, and the day of the last event; expires |
//! | `visit_part:<id>` | opportunities | the same for the visit's events about them; expires |
//! | `watchlist:<user>` | the user | version, and the saved opportunities with their times |
//! | `watchlist_part:<user>` | opportunities | the same for the watchlist's events about them |
//! | `counters:opportunities` | opportunities | counts by agency, type and status |
//! | `engagement:<opportunity>` | the opportunity | counts of `viewed`, `clicked`, `saved` |
//! | `top:<viewed, clicked, saved>` | opportunities | sorted set of opportunities by that count |
//! | `top:<viewed, clicked, saved>:<day>` | opportunities | the same for one UTC day; expires |

mod counters;
mod engagement_kind;
mod figure_deltas;
mod key_shard;
mod leaderboard;
mod opportunity_history;
mod opportunity_view;
mod projection;
mod queries;
mod read_back;
mod retention_policy;
mod verify;
mod view_change;
mod view_state;
mod view_transition;
mod write;

pub use self::{
    counters::OpportunityCounters,
    engagement_kind::EngagementKind,
    key_shard::KeyShard,
    leaderboard::{EngagementCounts, LeaderboardEntry, LeaderboardPeriod, WatchlistItem},
    opportunity_history::{opportunity_at, opportunity_events},
    opportunity_view::{OpportunityView, OpportunityViewStatus},
    queries::OpportunityViews,
    view_change::{ViewChange, ViewEvent, VisitEngagement, WatchlistChange},
};
