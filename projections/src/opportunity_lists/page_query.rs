//! The statement that reads a page, or a part of it.

use chrono::DateTime;
use sqlx::{Postgres, QueryBuilder};

use super::{
    OpportunityListCursor, OpportunityListRequest, OpportunityOrder, TotalCount,
    count::{COUNT_LIMIT, CounterQuery},
    selection::{ListSelection, MERGED_VALUES},
};

/// The columns of an item. A description is read only if it is requested: the server stores a long one separately.
pub(super) fn item_columns(request: &OpportunityListRequest) -> String {
    let description = if request.has_descriptions { "description" } else { "null::text as description" };
    format!(
        "id, sequence, title, {description}, solicitation_number, notice_id, notice_type, agency_code, agency_name, \
         sub_tier, office, set_aside, naics, psc, posted_at, posted_rank, response_deadline, active, link, place_city, \
         place_state, awards, awarded_cents"
    )
}

/// How an order is sorted.
pub(super) struct SortKey {
    column: &'static str,
    /// Both the column and the id are.
    is_descending: bool,
    /// Whether opportunities may have no value; they are last, in the order of their ids.
    pub(super) is_nullable: bool,
}

impl SortKey {
    pub(super) fn for_order(order: OpportunityOrder) -> Self {
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
pub(super) enum ListPart {
    /// Opportunities that have the value that the list is sorted by.
    WithValue,
    /// Opportunities without that value.
    WithoutValue,
}

/// One part of a page.
pub(super) struct PageQuery<'a> {
    /// [`item_columns`].
    pub(super) columns: &'a str,
    pub(super) selection: &'a ListSelection,
    pub(super) key: &'a SortKey,
    pub(super) order: OpportunityOrder,
    pub(super) part: ListPart,
    pub(super) after: Option<&'a OpportunityListCursor>,
}

impl<'a> PageQuery<'a> {
    /// The statement for at most this many rows. `total` is the number of selected opportunities, if it was read.
    pub(super) fn build(&self, table: &str, rows: usize, total: Option<TotalCount>) -> QueryBuilder<'a, Postgres> {
        let (columns, order_by) = (self.columns, self.order_by());
        let is_small = total.is_some_and(|total| total.exact && total.count <= COUNT_LIMIT);
        let reads_all_matches = is_small && self.selection.has_several_conditions();
        if reads_all_matches {
            // Keeps the planner from reading a whole index in its order to find a few opportunities.
            let mut sql =
                QueryBuilder::new(format!("with matches as materialized (select {columns} from {table} where true"));
            self.selection.push_lookup_conditions(&mut sql);
            sql.push(") select * from matches where true");
            self.push_part(&mut sql);
            sql.push(format!(" order by {order_by} limit {rows}"));
            return sql;
        }
        let mut sql = QueryBuilder::default();
        self.push_ordered(table, rows, &mut sql);
        sql
    }

    /// The statement for at most this many rows in the order of an index, each with the number of selected
    /// opportunities from these counters in the column `opportunities`.
    pub(super) fn build_with_total(
        &self,
        schema: &str,
        table: &str,
        rows: usize,
        counters: &'a CounterQuery,
    ) -> QueryBuilder<'a, Postgres> {
        let mut sql = QueryBuilder::new("select page.*, ");
        counters.push_total(schema, &mut sql);
        sql.push(" as opportunities from (");
        self.push_ordered(table, rows, &mut sql);
        sql.push(format!(") as page order by {}", self.order_by()));
        sql
    }

    fn order_by(&self) -> String {
        match self.part {
            ListPart::WithValue => self.key.order_by(),
            // The column is null in all of these rows. Postgres takes `is null` for no equality: without the column it would
            // not read an index that has it before the id in this order.
            ListPart::WithoutValue => format!("{}, id", self.key.column),
        }
    }

    /// Appends what reads an index in its order.
    fn push_ordered(&self, table: &str, rows: usize, sql: &mut QueryBuilder<'a, Postgres>) {
        let (columns, order_by) = (self.columns, self.order_by());
        let Some((index, (column, values))) = self.merged_restriction() else {
            sql.push(format!("select {columns} from {table} where true"));
            self.selection.push_conditions(None, sql);
            self.push_part(sql);
            sql.push(format!(" order by {order_by} limit {rows}"));
            return;
        };
        sql.push("select page.* from unnest(").push_bind(values.to_vec());
        sql.push(format!(
            "::text[]) as merged (merged_value) cross join lateral (select {columns} from {table} where {column} = merged_value"
        ));
        self.selection.push_conditions(Some(index), sql);
        self.push_part(sql);
        sql.push(format!(" order by {order_by} limit {rows}) as page order by {order_by} limit {rows}"));
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
            columns: "id",
            selection: &selection,
            key: &SortKey::for_order(order),
            order,
            part: ListPart::WithoutValue,
            after: Some(&cursor),
        };
        let sql = query.build("opportunities", 21, Some(TotalCount { count: 5_000, exact: true }));
        let (_, conditions) = sql.sql().split_once(" from ").unwrap();
        assert_eq!(
            conditions,
            "opportunities where true and agency_code = $1 and awarded_cents is null and id > $2 \
             order by awarded_cents, id limit 21"
        );
    }
}
