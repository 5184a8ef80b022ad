//! Statistics of opportunities.

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::NaiveDate;
use projections::opportunity_lists::{SelectionStats, SelectionTotals};

use super::{agency::AgencyNode, filter::OpportunityTextFilterInput};
use crate::{
    graphql::{cents::CentsScalar, error, read_models},
    opportunity_lists::ListStatisticsQuery,
};

/// Query of statistics of opportunities.
#[derive(Default)]
pub(in crate::graphql) struct OpportunityStatsQuery;

#[Object]
impl OpportunityStatsQuery {
    /// Number and awarded value of opportunities: in total, by department, by notice type and by day.
    async fn opportunity_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only opportunities that match.")] filter: Option<OpportunityTextFilterInput>,
    ) -> Result<OpportunityStatsNode> {
        let selection = filter.unwrap_or_default().into_selection()?;
        let lists = read_models::from_context(ctx)?.opportunity_lists().await?;
        let stats = lists.fetch_statistics(ListStatisticsQuery { selection }).await;
        let stats = stats.map_err(|error| error::list_error(&error))?;
        Ok(OpportunityStatsNode::from(SelectionStats::clone(&stats)))
    }
}

/// Statistics of the opportunities that match a filter.
#[derive(SimpleObject)]
#[graphql(name = "OpportunityStats")]
struct OpportunityStatsNode {
    /// Totals over all of them.
    total: FiguresNode,
    /// By department, most opportunities first.
    by_agency: Vec<AgencyFiguresNode>,
    /// By type of the current notice, most frequent first.
    by_type: Vec<TypeFiguresNode>,
    /// By the UTC day on which the current notice was published, oldest first.
    by_day: Vec<DayFigures>,
    /// Whether the figures are of all of them; otherwise of a part, because there are too many that no counter has.
    is_exact: bool,
}

/// Number of opportunities and their awarded value.
#[derive(SimpleObject)]
#[graphql(name = "Figures")]
struct FiguresNode {
    /// Number of opportunities.
    opportunities: u64,
    /// Number of opportunities with an award.
    awarded_opportunities: u64,
    /// Total value of the awards with a known amount.
    awarded: CentsScalar,
}

/// Figures of one department.
#[derive(SimpleObject)]
#[graphql(name = "AgencyFigures")]
struct AgencyFiguresNode {
    /// Department.
    agency: AgencyNode,
    /// Figures.
    figures: FiguresNode,
}

/// Figures of one notice type.
#[derive(SimpleObject)]
#[graphql(name = "TypeFigures")]
struct TypeFiguresNode {
    /// Notice type.
    #[graphql(name = "type")]
    notice_type: String,
    /// Figures.
    figures: FiguresNode,
}

/// Figures of one day.
#[derive(SimpleObject)]
struct DayFigures {
    /// Day in UTC.
    day: NaiveDate,
    /// Figures.
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
        let by_agency = stats.by_agency.into_iter().map(|bucket| AgencyFiguresNode {
            agency: AgencyNode { code: bucket.code, name: bucket.name },
            figures: bucket.totals.into(),
        });
        let by_type = stats
            .by_type
            .into_iter()
            .map(|bucket| TypeFiguresNode { notice_type: bucket.notice_type, figures: bucket.totals.into() });
        let by_day =
            stats.by_day.into_iter().map(|bucket| DayFigures { day: bucket.day, figures: bucket.totals.into() });
        Self {
            total: stats.total.into(),
            by_agency: by_agency.collect(),
            by_type: by_type.collect(),
            by_day: by_day.collect(),
            is_exact: !stats.is_lower_bound,
        }
    }
}
