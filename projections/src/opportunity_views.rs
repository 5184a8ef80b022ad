//! Detail views, counters and leaderboards in `Redis`.
//!
//! Each stream (an opportunity, a visit, a user's watchlist) is a versioned state, written together with the figures that
//! its events add to; so a repeated event counts once. All that is written together has one hash tag, that of a
//! [`KeyShard`]. A visit and a watchlist are about opportunities of several shards: beside the state of the whole stream,
//! each shard has a part with its own version, which guards the figures of that shard (ADR 30). Figures over many
//! opportunities are kept for each shard, and merged when they are read.
//!
//! Data that would grow without limit is bounded: visits and days expire, and `engagement` and `top` hold only
//! opportunities that were on record when they were viewed or clicked, and those that signed-in users saved. Views of
//! unknown opportunities are not counted (ADR 27).
//!
//! | key below `medhub:g1:{<shard>}:` | shard of | what it holds |
//! | --- | --- | --- |
//! | `opportunity:<id>` | the opportunity | version and state |
//! | `visit:<id>` | the visit | version, and the day of the last event; expires |
//! | `visit_part:<id>` | opportunities | the same of the events about them; expires |
//! | `watchlist:<user>` | the user | version, and the saved opportunities with their times |
//! | `watchlist_part:<user>` | opportunities | the same of the events about them |
//! | `counters:opportunities` | opportunities | counts by agency, type and status |
//! | `engagement:<opportunity>` | the opportunity | counts of `viewed`, `clicked`, `saved` |
//! | `top:<viewed, clicked, saved>` | opportunities | sorted set of opportunities |
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
