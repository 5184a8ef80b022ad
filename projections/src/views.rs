//! Detail views, counters and leaderboards in `Redis`.
//!
//! Each stream (an opportunity, a visit, a user's watchlist) is a hash of two fields: the version, which is the sequence
//! of the last event taken in, and the folded state. One script compares versions, writes both and moves the figures that
//! the events add to, all or nothing; so an event counts exactly once, however often it comes.
//!
//! What has no end is bounded: visits and days expire, and `engagement` and `top` hold opportunities that were on record when
//! they were viewed or clicked, and what signed-in users saved. Views of invented opportunities are not counted (ADR 27).
//!
//! | key below `medhub:g1:` | what it holds |
//! | --- | --- |
//! | `generation` | the marker: without it nothing is written |
//! | `opportunity:<id>` | version and state |
//! | `visit:<id>` | version, and the day of the last event; expires |
//! | `watchlist:<user>` | version, and what the user saved when |
//! | `counters:opportunities` | how many, by agency, type, status |
//! | `engagement:<opportunity>` | how often `viewed`, `clicked`, `saved` |
//! | `top:<viewed, clicked, saved>` | sorted set of opportunities |
//! | `top:<viewed, clicked, saved>:<day>` | the same of one day in UTC; expires |

mod cache;
mod change;
mod config;
mod connect;
mod content;
mod counter;
mod delta;
mod eviction;
mod expected;
mod failure;
mod generation;
mod leaderboard;
mod lifetime;
mod past;
mod projection;
mod step;
mod store;
mod stream;
mod view;
mod write;

pub use self::{
    change::{Choice, Sight, ViewChange, ViewEvent},
    config::ViewsConfig,
    counter::Counters,
    leaderboard::{Engaged, Engagement, Period, Ranked, SavedOpportunity},
    past::{Moment, events_of, opportunity_at},
    store::Views,
    view::{OpportunityView, Status},
};
pub(crate) use self::{
    connect::connect,
    generation::{literal, scan},
    store::{unavailable, unreadable},
};
