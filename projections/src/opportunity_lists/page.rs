//! Pages of lists.
//!
//! A page is read by an index that has its order: from the cursor on, as many rows as the page has and one more. Where
//! several conditions leave few opportunities, all of them are read and sorted instead.
//!
//! | what is requested | how it is read |
//! | --- | --- |
//! | everything, or what has the values of one restriction | one statement, with the number of the whole list if it is requested |
//! | the end of those with a deadline or an amount, and the first of those without | a transaction of two statements |
//! | several conditions, times, words, industries by the beginning of their code | a transaction: what is selected decides the plan |

use sqlx::{QueryBuilder, Row as _, postgres::PgRow};

use super::{
    OpportunityItem, OpportunityListCursor, OpportunityListRequest, OpportunityLists, OpportunityOrder,
    OpportunityPage, TotalCount,
    count::{CounterQuery, read_count},
    list_entry::AwardTotals,
    page_query::{ListPart, PageQuery, SortKey, item_columns},
    queries::ListReader,
    selection::ListSelection,
};
use crate::ListEntry;

/// The newest matches that are ranked by relevance, of all words and of those in the title.
const RANKED_CANDIDATES: u32 = 300;

impl OpportunityLists {
    /// A page by one statement. `None` if it needs several statements, or depends on what is selected.
    pub(super) async fn fetch_page_by_statement(
        &self,
        request: &OpportunityListRequest,
    ) -> Result<Option<OpportunityPage>, sqlx::Error> {
        let selection = ListSelection::without_lookup(&request.criteria, request.text.as_deref());
        let Some(selection) = selection.filter(ListSelection::is_indexed_in_every_order) else { return Ok(None) };
        let counters = if request.has_total {
            let counters = selection.counted_selection().filters.and_then(CounterQuery::for_total);
            if counters.is_none() {
                return Ok(None);
            }
            counters
        } else {
            None
        };
        let (columns, key) = (item_columns(request), SortKey::for_order(request.order));
        let part = if is_after_values(request, &key) { ListPart::WithoutValue } else { ListPart::WithValue };
        let query = PageQuery {
            columns: &columns,
            selection: &selection,
            key: &key,
            order: request.order,
            part,
            after: request.after.as_ref(),
        };
        let (table, wanted) = (self.client.in_schema("{schema}.opportunities"), request.wanted_rows());
        let mut sql = match &counters {
            Some(counters) => query.build_with_total(self.client.schema(), &table, wanted, counters),
            None => query.build(&table, wanted, None),
        };
        let Some(rows) = self.client.fetch_statement(&mut sql).await? else { return Ok(None) };
        // Those without the value follow, as the same state of the list has them.
        let is_continued = part == ListPart::WithValue && key.is_nullable && rows.len() < wanted;
        // No row has the number.
        let is_without_total = counters.is_some() && rows.is_empty();
        if is_continued || is_without_total {
            return Ok(None);
        }
        let total = match rows.first().filter(|_| counters.is_some()) {
            Some(row) => Some(TotalCount { count: read_count(row)?, exact: true }),
            None => None,
        };
        let items = rows.iter().map(|row| read_item(row, request.order, None)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(request.build_page(items, total)))
    }
}

/// Whether the cursor of a request is among the opportunities without the value.
fn is_after_values(request: &OpportunityListRequest, key: &SortKey) -> bool {
    request.after.as_ref().is_some_and(|cursor| key.is_nullable && cursor.key.is_none())
}

impl ListReader<'_> {
    /// A page, and the number of opportunities in the whole list if it is requested.
    pub(super) async fn fetch_page(
        &mut self,
        selection: &ListSelection,
        request: &OpportunityListRequest,
    ) -> Result<OpportunityPage, sqlx::Error> {
        let is_ranked = request.order == OpportunityOrder::Relevance && selection.words.is_some();
        // How many opportunities several conditions leave decides how the page is read.
        let is_counted = request.has_total || (selection.has_several_conditions() && !is_ranked);
        let total = if is_counted { Some(self.count_selection(selection).await?) } else { None };
        let items = if is_ranked {
            self.fetch_ranked(selection, request).await?
        } else {
            self.fetch_sorted(selection, request, total).await?
        };
        Ok(request.build_page(items, total.filter(|_| request.has_total)))
    }

    async fn fetch_sorted(
        &mut self,
        selection: &ListSelection,
        request: &OpportunityListRequest,
        total: Option<TotalCount>,
    ) -> Result<Vec<OpportunityItem>, sqlx::Error> {
        let wanted = request.wanted_rows();
        let table = self.client.in_schema("{schema}.opportunities");
        let key = SortKey::for_order(request.order);
        let (columns, is_after_values) = (item_columns(request), is_after_values(request, &key));
        let mut items = vec![];
        for part in [ListPart::WithValue, ListPart::WithoutValue] {
            let is_passed = part == ListPart::WithValue && is_after_values;
            let is_absent = part == ListPart::WithoutValue && !key.is_nullable;
            if is_passed || is_absent || items.len() >= wanted {
                continue;
            }
            // A cursor among the opportunities with a value is before all of those without.
            let after = request.after.as_ref().filter(|_| part == ListPart::WithValue || is_after_values);
            let query = PageQuery { columns: &columns, selection, key: &key, order: request.order, part, after };
            let mut sql = query.build(&table, wanted - items.len(), total);
            let rows = sql.build().fetch_all(&mut *self.transaction).await?;
            for row in &rows {
                items.push(read_item(row, request.order, None)?);
            }
        }
        Ok(items)
    }

    /// The best of the newest matches.
    async fn fetch_ranked(
        &mut self,
        selection: &ListSelection,
        request: &OpportunityListRequest,
    ) -> Result<Vec<OpportunityItem>, sqlx::Error> {
        let table = self.client.in_schema("{schema}.opportunities");
        let in_title = ListSelection { words: selection.title_words.clone(), ..selection.clone() };
        let mut sql = QueryBuilder::new(format!("with candidates as ((select id from {table} where true"));
        selection.push_conditions(None, &mut sql);
        sql.push(format!(
            " order by posted_rank, id limit {RANKED_CANDIDATES}) union (select id from {table} where true"
        ));
        in_title.push_conditions(None, &mut sql);
        sql.push(format!(
            " order by posted_rank, id limit {RANKED_CANDIDATES})), \
             ranked as (select opportunities.*, -(ts_rank(terms, "
        ));
        sql.push_bind(selection.words.as_deref());
        sql.push(format!(
            "::tsquery) * 1000000)::bigint as rank from candidates join {table} as opportunities using (id)) \
             select {}, rank from ranked",
            item_columns(request)
        ));
        if let Some(cursor) = &request.after {
            sql.push(" where (rank, posted_rank, id) > (").push_bind(cursor.key.unwrap_or_default());
            sql.push(", ").push_bind(cursor.posted_micros.saturating_neg());
            sql.push(", ").push_bind(cursor.id.clone()).push(")");
        }
        sql.push(format!(" order by rank, posted_rank, id limit {}", request.limit.saturating_add(1)));
        let rows = sql.build().fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| read_item(row, request.order, Some(row.try_get("rank")?))).collect()
    }
}

fn read_item(row: &PgRow, order: OpportunityOrder, rank: Option<i64>) -> Result<OpportunityItem, sqlx::Error> {
    let (entry, awards) = (ListEntry::from_row(row)?, AwardTotals::from_row(row)?);
    let posted_micros = entry.posted_at.timestamp_micros();
    let key = match order {
        OpportunityOrder::PostedNewest | OpportunityOrder::PostedOldest => Some(posted_micros),
        OpportunityOrder::DeadlineSoonest | OpportunityOrder::DeadlineLatest => {
            entry.response_deadline.map(|deadline| deadline.timestamp_micros())
        }
        OpportunityOrder::AmountHighest | OpportunityOrder::AmountLowest => awards.cents,
        OpportunityOrder::Relevance => rank,
    };
    let cursor = OpportunityListCursor { order, key, posted_micros, id: entry.id.clone() };
    Ok(entry.into_item(cursor, awards))
}
