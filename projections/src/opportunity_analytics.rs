//! The analysts' read model in `ClickHouse`: one row per event, per opportunity, per award, and per view, click or
//! save, and figures of these by minute and by hour.
//!
//! Tables of rows are `ReplacingMergeTree`s keyed by a row's subject and versioned by the stream's sequence: a repeated
//! event writes the same row, and `final` returns it once. Figures are aggregated from sets, so that a repeated event
//! does not change them.

mod analyst_views;
mod award_row;
mod cursor;
mod engagement_row;
mod event_row;
mod migration;
mod opportunity_item;
mod opportunity_row;
mod projection;
mod queries;
mod read_back;
mod retention_cutoffs;
mod selection;
mod stats;
mod verify;
mod visit_actions;
mod write;

pub use self::{
    cursor::{InvalidOpportunityCursor, OpportunityCursor},
    opportunity_item::{OpportunityItem, OpportunityPage},
    projection::AnalyticsChange,
    queries::OpportunityAnalytics,
    selection::OpportunitySelection,
    stats::{AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals},
    visit_actions::VisitAction,
};
