//! Pages of lists.
//!
//! A page is read by an index that has its order: from the cursor on, as many rows as the page has and one more. Where
//! several conditions leave few opportunities, all of them are read and sorted instead.

use chrono::DateTime;
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{
    OpportunityItem, OpportunityListCursor, OpportunityListRequest, OpportunityOrder, OpportunityPage, TotalCount,
    count::COUNT_LIMIT, list_entry::AwardTotals, queries::ListReader, selection::ListSelection,
};
use crate::ListEntry;

/// The newest matches that are ranked by relevance, of all words and of those in the title.
const RANKED_CANDIDATES: u32 = 300;

/// Values of one restriction that are each read by the index and then merged, at most.
const MERGED_VALUES: usize = 60;

const COLUMNS: &str = "id, sequence, title, description, solicitation_number, notice_id, notice_type, agency_code, \
                       agency_name, sub_tier, office, set_aside, naics, psc, posted_at, posted_rank, \
                       response_deadline, active, link, place_city, place_state, awards, awarded_cents";

/// How an order is sorted.
struct SortKey {
    column: &'static str,
    /// Both the column and the id are.
    is_descending: bool,
    /// Whether opportunities may have no value; they are last, in the order of their ids.
    is_nullable: bool,
}

impl SortKey {
    fn for_order(order: OpportunityOrder) -> Self {
        let (column, is_descending, is_nullable) = match order {
            OpportunityOrder::PostedNewest | OpportunityOrder::Relevance => ("posted_rank", false, false),
            OpportunityOrder::PostedOldest => ("posted_rank", true, false),
            OpportunityOrder::DeadlineSoonest => ("response_deadline", false, true),
            OpportunityOrder::DeadlineLatest => ("response_deadline", true, true),
            OpportunityOrder::AmountHighest => ("awarded_cents", true, true),
            OpportunityOrder::AmountLowest => ("awarded_cents", false, true),
        };
        Self { column, is_descending, is_nullable }
    }

    /// The order of opportunities with a value.
    fn order_by(&self) -> String {
        let direction = if self.is_descending { " desc" } else { "" };
        format!("{}{direction}, id{direction}", self.column)
    }
}

/// Which part of a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListPart {
    /// Opportunities that have the value that the list is sorted by.
    WithValue,
    /// Those that do not have it.
    WithoutValue,
}

impl ListReader<'_> {
    /// A page, and the number of opportunities in the whole list.
    pub(super) async fn fetch_page(
        &mut self,
        selection: &ListSelection,
        request: &OpportunityListRequest,
    ) -> Result<OpportunityPage, sqlx::Error> {
        let total = self.count_selection(selection).await?;
        let limit = request.limit as usize;
        let mut items = if request.order == OpportunityOrder::Relevance && selection.words.is_some() {
            self.fetch_ranked(selection, request).await?
        } else {
            self.fetch_sorted(selection, request, total).await?
        };
        // One more than the page has tells whether another page follows.
        let has_next = items.len() > limit;
        items.truncate(limit);
        Ok(OpportunityPage { items, has_next, total })
    }

    async fn fetch_sorted(
        &mut self,
        selection: &ListSelection,
        request: &OpportunityListRequest,
        total: TotalCount,
    ) -> Result<Vec<OpportunityItem>, sqlx::Error> {
        let wanted = request.limit as usize + 1;
        let table = self.client.in_schema("{schema}.opportunities");
        let key = SortKey::for_order(request.order);
        let is_after_values = request.after.as_ref().is_some_and(|cursor| key.is_nullable && cursor.key.is_none());
        let mut items = vec![];
        for part in [ListPart::WithValue, ListPart::WithoutValue] {
            let is_passed = part == ListPart::WithValue && is_after_values;
            let is_absent = part == ListPart::WithoutValue && !key.is_nullable;
            if is_passed || is_absent || items.len() >= wanted {
                continue;
            }
            // A cursor among the opportunities with a value is before all of those without.
            let after = request.after.as_ref().filter(|_| part == ListPart::WithValue || is_after_values);
            let query = PageQuery { selection, key: &key, order: request.order, part, after };
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
             select {COLUMNS}, rank from ranked"
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

/// One part of a page.
struct PageQuery<'a> {
    selection: &'a ListSelection,
    key: &'a SortKey,
    order: OpportunityOrder,
    part: ListPart,
    after: Option<&'a OpportunityListCursor>,
}

impl<'a> PageQuery<'a> {
    fn build(&self, table: &str, rows: usize, total: TotalCount) -> QueryBuilder<'a, Postgres> {
        let order_by = match self.part {
            ListPart::WithValue => self.key.order_by(),
            // The column is null in all of these rows. Postgres takes `is null` for no equality: without the column it would
            // not read an index that has it before the id in this order.
            ListPart::WithoutValue => format!("{}, id", self.key.column),
        };
        let reads_all_matches = total.exact && total.count <= COUNT_LIMIT && self.selection.has_several_conditions();
        if reads_all_matches {
            // Keeps the planner from reading a whole index in its order to find a few opportunities.
            let mut sql =
                QueryBuilder::new(format!("with matches as materialized (select {COLUMNS} from {table} where true"));
            self.selection.push_lookup_conditions(&mut sql);
            sql.push(format!(") select {COLUMNS} from matches where true"));
            self.push_part(&mut sql);
            sql.push(format!(" order by {order_by} limit {rows}"));
            return sql;
        }
        let Some((index, restriction)) = self.merged_restriction() else {
            let mut sql = QueryBuilder::new(format!("select {COLUMNS} from {table} where true"));
            self.selection.push_conditions(None, &mut sql);
            self.push_part(&mut sql);
            sql.push(format!(" order by {order_by} limit {rows}"));
            return sql;
        };
        let mut sql = QueryBuilder::new(format!("select {COLUMNS} from unnest("));
        sql.push_bind(restriction.1.to_vec());
        sql.push(format!(
            "::text[]) as merged (merged_value) cross join lateral (select {COLUMNS} from {table} where {} = merged_value",
            restriction.0
        ));
        self.selection.push_conditions(Some(index), &mut sql);
        self.push_part(&mut sql);
        sql.push(format!(" order by {order_by} limit {rows}) as page order by {order_by} limit {rows}"));
        sql
    }

    /// The restriction whose values are each read in the order of the list: an index has one value in order, and several
    /// only one after the other. None if another condition decides alone.
    fn merged_restriction(&self) -> Option<(usize, (&'static str, &'a [String]))> {
        let restrictions = &self.selection.restrictions;
        let is_decided = restrictions.iter().any(|restriction| restriction.values.len() == 1);
        if is_decided || self.selection.words.is_some() {
            return None;
        }
        let (index, fewest) =
            restrictions.iter().enumerate().min_by_key(|(_, restriction)| restriction.values.len())?;
        (fewest.values.len() <= MERGED_VALUES).then_some((index, (fewest.column(), fewest.values.as_slice())))
    }

    /// Appends the conditions of the part and of the cursor.
    fn push_part(&self, sql: &mut QueryBuilder<'a, Postgres>) {
        let column = self.key.column;
        match (self.part, self.after) {
            (ListPart::WithoutValue, cursor) => {
                sql.push(format!(" and {column} is null"));
                if let Some(cursor) = cursor {
                    sql.push(" and id > ").push_bind(cursor.id.clone());
                }
            }
            (ListPart::WithValue, None) => {
                if self.key.is_nullable {
                    sql.push(format!(" and {column} is not null"));
                }
            }
            (ListPart::WithValue, Some(cursor)) => {
                let operator = if self.key.is_descending { "<" } else { ">" };
                sql.push(format!(" and ({column}, id) {operator} ("));
                let value = cursor.key.unwrap_or(cursor.posted_micros);
                match self.order {
                    OpportunityOrder::PostedNewest | OpportunityOrder::PostedOldest | OpportunityOrder::Relevance => {
                        sql.push_bind(cursor.posted_micros.saturating_neg())
                    }
                    OpportunityOrder::DeadlineSoonest | OpportunityOrder::DeadlineLatest => {
                        // A time that does not exist cannot be in a cursor that a list returned.
                        sql.push_bind(DateTime::from_timestamp_micros(value).unwrap_or_default())
                    }
                    OpportunityOrder::AmountHighest | OpportunityOrder::AmountLowest => sql.push_bind(value),
                };
                sql.push(", ").push_bind(cursor.id.clone()).push(")");
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opportunity_lists::{counter::CounterDimension, selection::ValueRestriction};

    #[test]
    fn a_page_without_the_value_has_the_order_of_its_index() {
        let agency = ValueRestriction { dimension: CounterDimension::Agency, values: vec!["097".to_owned()] };
        let selection = ListSelection { restrictions: vec![agency], ..ListSelection::default() };
        let order = OpportunityOrder::AmountHighest;
        let cursor = OpportunityListCursor { order, key: None, posted_micros: 0, id: "097:1".to_owned() };
        let query = PageQuery {
            selection: &selection,
            key: &SortKey::for_order(order),
            order,
            part: ListPart::WithoutValue,
            after: Some(&cursor),
        };
        let sql = query.build("opportunities", 21, TotalCount { count: 5_000, exact: true });
        let (_, conditions) = sql.sql().split_once(" from ").unwrap();
        assert_eq!(
            conditions,
            "opportunities where true and agency_code = $1 and awarded_cents is null and id > $2 \
             order by awarded_cents, id limit 21"
        );
    }
}
