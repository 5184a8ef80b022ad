//! Figures about opportunities; from `ClickHouse`.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::NaiveDate;
use projections::opportunity_analytics::{SelectionStats, SelectionTotals};

use super::{agency::AgencyNode, filter::OpportunityTextFilterInput};
use crate::graphql::{cents::CentsScalar, error, read_models};

/// Opportunities as figures.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityStatsQuery;

#[Object]
impl OpportunityStatsQuery {
    /// How many opportunities there are and what they are worth: by department, by kind of notice, by day.
    async fn opportunity_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fit.")] filter: Option<OpportunityTextFilterInput>,
    ) -> Result<OpportunityStatsNode> {
        let selection = filter.unwrap_or_default().into_selection()?;
        let stats = read_models::from_context(ctx)?
            .analytics()
            .await?
            .load_stats(&selection)
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(OpportunityStatsNode::from(stats))
    }
}

/// Figures about the opportunities that fit a filter.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityStats")]
struct OpportunityStatsNode {
    /// All of them together.
    total: FiguresNode,
    /// By department, the one with the most opportunities first.
    by_agency: Vec<AgencyFigures>,
    /// By kind of the current notice, the most frequent first.
    by_type: Vec<TypeFigures>,
    /// By the day on which the current notice was published, in UTC, the oldest first.
    by_day: Vec<DayFigures>,
}

/// How many opportunities, and what is awarded of them.
#[derive(SimpleObject)]
#[graphql(name = "Figures")]
struct FiguresNode {
    /// How many opportunities.
    opportunities: u64,
    /// How many of them have an award.
    awarded_opportunities: u64,
    /// What their awards are worth together, where amounts are known.
    awarded: CentsScalar,
}

/// The figures of one department.
#[derive(SimpleObject)]
struct AgencyFigures {
    /// The department.
    agency: AgencyNode,
    /// Its figures.
    figures: FiguresNode,
}

/// The figures of one kind of notice.
#[derive(SimpleObject)]
struct TypeFigures {
    /// The kind of notice.
    #[graphql(name = "type")]
    notice_type: String,
    /// Its figures.
    figures: FiguresNode,
}

/// The figures of one day.
#[derive(SimpleObject)]
struct DayFigures {
    /// The day, in UTC.
    day: NaiveDate,
    /// Its figures.
    figures: FiguresNode,
}

impl From<SelectionTotals> for FiguresNode {
    fn from(bucket: SelectionTotals) -> Self {
        Self {
            opportunities: bucket.opportunities,
            awarded_opportunities: bucket.awarded,
            awarded: CentsScalar(bucket.awarded_cents),
        }
    }
}

impl From<SelectionStats> for OpportunityStatsNode {
    fn from(stats: SelectionStats) -> Self {
        let by_agency = stats.by_agency.into_iter().map(|bucket| AgencyFigures {
            agency: AgencyNode { code: bucket.code, name: bucket.name },
            figures: bucket.totals.into(),
        });
        let by_type = stats
            .by_type
            .into_iter()
            .map(|bucket| TypeFigures { notice_type: bucket.notice_type, figures: bucket.totals.into() });
        let by_day =
            stats.by_day.into_iter().map(|bucket| DayFigures { day: bucket.day, figures: bucket.totals.into() });
        Self {
            total: stats.total.into(),
            by_agency: by_agency.collect(),
            by_type: by_type.collect(),
            by_day: by_day.collect(),
        }
    }
}
