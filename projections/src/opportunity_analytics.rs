//! The analysts' read model in `ClickHouse`: one row for each event, opportunity, award, view, click, save and unsave,
//! figures of engagement by minute and by hour, and rows about generations of proposals.
//!
//! Tables of rows are `ReplacingMergeTree`s, keyed by the subject of a row and versioned by the stream's sequence: a
//! repeated event writes the same row, and `final` returns it once. Figures are counted from sets, so that a repeated
//! event does not change them.

mod analyst_views;
mod analytics_page;
mod analytics_scan;
mod award_row;
mod cursor;
mod engagement_row;
mod event_row;
mod experiment_report;
mod experiment_samples;
mod generation_rows;
mod migration;
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
    analytics_page::{AnalyticsItem, AnalyticsPage},
    cursor::{AnalyticsCursor, InvalidAnalyticsCursor},
    experiment_report::{ExperimentMetric, ExperimentReport, ExperimentSamples, MetricReport, VariantReport},
    experiment_samples::{GenerationSample, SectionSample, VisitSample},
    projection::AnalyticsChange,
    queries::OpportunityAnalytics,
    selection::OpportunitySelection,
    visit_actions::VisitAction,
};
pub use crate::selection_stats::{AgencyStats, DailyStats, NoticeTypeStats, SelectionStats, SelectionTotals};
