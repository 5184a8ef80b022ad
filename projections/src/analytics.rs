//! The analysts' read model in `ClickHouse`: every event as a fact, one row per opportunity, one per award.
//!
//! All tables are `ReplacingMergeTree`s keyed by what a row is about and versioned by the stream's sequence: writing
//! an event again writes the same row, and `final` shows it once.

mod award;
mod compare;
mod config;
mod cursor;
mod fact;
mod item;
mod migration;
mod opportunity;
mod projection;
mod selection;
mod stats;
mod store;

pub use self::{
    config::AnalyticsConfig,
    cursor::{Cursor, InvalidCursor},
    item::{OpportunityItem, Page},
    projection::AnalyticsChange,
    selection::Selection,
    stats::{AgencyBucket, Bucket, DayBucket, Stats, TypeBucket},
    store::Analytics,
};
