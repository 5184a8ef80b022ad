//! Answers from the analysts' read model while the read model of lists is being built.

use projections::{
    opportunity_analytics::{self as analytics, AnalyticsCursor, OpportunityAnalytics, OpportunitySelection},
    opportunity_lists::{OpportunityItem, OpportunityListCursor, OpportunityPage, SelectionStats, TotalCount},
};

use super::OpportunityListError;

/// Returns a page in the order of both read models, the newest notice first.
pub(super) async fn fetch_page(
    analytics: &OpportunityAnalytics,
    selection: &OpportunitySelection,
    after: Option<&OpportunityListCursor>,
    first: u32,
) -> Result<OpportunityPage, OpportunityListError> {
    // In this order, cursors of both read models have the same form.
    let after: Option<AnalyticsCursor> = after.and_then(|after| after.to_string().parse().ok());
    let page = analytics.list_opportunities(selection, after.as_ref(), first).await?;
    let items = page.items.into_iter().filter_map(to_list_item).collect();
    let total = TotalCount { count: page.total, exact: true };
    Ok(OpportunityPage { items, has_next: page.has_next, total: Some(total) })
}

/// Returns figures over the selected opportunities.
pub(super) async fn fetch_statistics(
    analytics: &OpportunityAnalytics,
    selection: &OpportunitySelection,
) -> Result<SelectionStats, OpportunityListError> {
    Ok(analytics.load_stats(selection).await?)
}

/// `None` never happens: both cursors have the same form, which a test holds.
fn to_list_item(item: analytics::AnalyticsItem) -> Option<OpportunityItem> {
    let cursor = item.cursor.to_string().parse().ok()?;
    Some(item.with_cursor(cursor))
}

#[cfg(test)]
mod tests {
    use projections::{ListEntry, opportunity_lists::OpportunityOrder};

    use super::*;

    #[test]
    fn cursors_of_both_read_models_have_the_same_form() {
        let posted_at = "2026-03-03T12:17:50.808123Z".parse().unwrap();
        let item = analytics::AnalyticsItem {
            cursor: AnalyticsCursor::after(posted_at, "036:Ä~1"),
            entry: ListEntry {
                id: "036:Ä~1".to_owned(),
                sequence: 1,
                title: String::new(),
                description: None,
                solicitation_number: None,
                notice_id: String::new(),
                notice_type: String::new(),
                agency_code: String::new(),
                agency_name: String::new(),
                sub_tier: None,
                office: None,
                set_aside: None,
                naics: None,
                psc: None,
                posted_at,
                response_deadline: None,
                active: None,
                link: None,
                place_city: None,
                place_state: None,
            },
            awards: 0,
            awarded_cents: None,
        };
        let cursor = item.cursor.clone();
        let listed = to_list_item(item).unwrap();
        assert_eq!(listed.cursor.order(), OpportunityOrder::PostedNewest);
        assert_eq!(listed.cursor.to_string().parse(), Ok(cursor));
    }
}
