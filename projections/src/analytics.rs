//! The analysts' read model in `ClickHouse`: every event as a fact, one row per opportunity, one per award, one per view,
//! click or save, and figures of these by minute and by hour.
//!
//! Tables of rows are `ReplacingMergeTree`s keyed by what a row is about and versioned by the stream's sequence: writing
//! an event again writes the same row, and `final` shows it once. Figures are made of sets, which take an event in again
//! without a change.

mod acts;
mod award;
mod config;
mod cursor;
mod engagement;
mod expiry;
mod fact;
mod fold;
mod item;
mod migration;
mod opportunity;
mod projection;
mod publication;
mod read_back;
mod refusal;
mod selection;
mod stats;
mod store;
mod write;

pub use self::{
    acts::Act,
    config::AnalyticsConfig,
    cursor::{Cursor, InvalidCursor},
    item::{OpportunityItem, Page},
    projection::AnalyticsChange,
    selection::Selection,
    stats::{AgencyBucket, Bucket, DayBucket, Stats, TypeBucket},
    store::Analytics,
};
