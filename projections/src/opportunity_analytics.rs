//! The analysts' read model in `ClickHouse`: every event as a fact, one row per opportunity, one per award, one per view,
//! click or save, and figures of these by minute and by hour.
//!
//! Tables of rows are `ReplacingMergeTree`s keyed by what a row is about and versioned by the stream's sequence: writing
//! an event again writes the same row, and `final` shows it once. Figures are made of sets, which take an event in again
//! without a change.

mod analyst_views;
mod award_row;
mod config;
mod cursor;
mod engagement_row;
mod errors;
mod event_row;
mod migration;
mod opportunity_item;
mod opportunity_row;
mod projection;
mod queries;
mod retention_cutoffs;
mod selection;
mod stats;
mod stored_rows;
mod verify;
mod visit_actions;
mod write;

pub use self::{
    config::AnalyticsConfig,
    cursor::{InvalidOpportunityCursor, OpportunityCursor},
    opportunity_item::{OpportunityItem, OpportunityPage},
    projection::AnalyticsChange,
    queries::OpportunityAnalytics,
    selection::OpportunitySelection,
    stats::{AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals},
    visit_actions::VisitAction,
};
