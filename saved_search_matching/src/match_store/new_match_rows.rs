//! Matches to record one by one.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use domain::watchlist::SearchId;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::match_id;
use crate::{MatchedOpportunity, MatchingError, SearchKey, SearchMatches, error::postgres_error};

/// Matches to insert, as columns.
#[derive(Default)]
pub(super) struct NewMatchRows<'a> {
    ids: HashSet<Uuid>,
    rows: Vec<(Uuid, &'a SearchMatches, &'a MatchedOpportunity)>,
}

impl<'a> NewMatchRows<'a> {
    /// Adds the match with this id.
    pub(super) fn add(&mut self, id: Uuid, found: &'a SearchMatches, opportunity: &'a MatchedOpportunity) {
        self.ids.insert(id);
        self.rows.push((id, found, opportunity));
    }

    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }

    /// Inserts the rows; returns the ids of those that another program has not inserted meanwhile.
    pub(super) async fn insert(&self, connection: &mut PgConnection) -> Result<HashSet<Uuid>, MatchingError> {
        if self.rows.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = sqlx::query(include_str!("insert.sql"))
            .bind(self.rows.iter().map(|(_, found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| opportunity.id.as_str()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, found, _)| &*found.name).collect::<Vec<_>>())
            .bind(
                self.rows.iter().map(|(_, _, opportunity)| printable(opportunity.document.title())).collect::<Vec<_>>(),
            )
            .bind(
                self.rows
                    .iter()
                    .map(|(_, _, opportunity)| printable(opportunity.document.agency_name()))
                    .collect::<Vec<_>>(),
            )
            .bind(self.rows.iter().map(|(_, found, _)| found.notify.name()).collect::<Vec<_>>())
            .bind(self.rows.iter().map(|(_, _, opportunity)| opportunity.event_id).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("recording matches of saved searches"))?;
        let inserted = rows.iter().map(|row| {
            let key = SearchKey {
                tenant_id: Arc::from(row.try_get::<&str, _>("tenant_id")?),
                user_id: Arc::from(row.try_get::<&str, _>("user_id")?),
                search_id: SearchId::new(row.try_get("search_id")?),
            };
            Ok(match_id(&key, row.try_get("opportunity_id")?))
        });
        let inserted = inserted.collect::<Result<_, sqlx::Error>>();
        inserted.map_err(postgres_error("decoding recorded matches"))
    }

    pub(super) async fn mark_announced(
        &self,
        connection: &mut PgConnection,
        announced: &BTreeSet<Uuid>,
    ) -> Result<(), MatchingError> {
        let rows: Vec<_> = self.rows.iter().filter(|(id, _, _)| announced.contains(id)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(include_str!("mark_announced.sql"))
            .bind(rows.iter().map(|(_, found, _)| &*found.key.tenant_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, found, _)| &*found.key.user_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, found, _)| found.key.search_id.uuid()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, _, opportunity)| opportunity.id.as_str()).collect::<Vec<_>>())
            .execute(connection)
            .await
            .map(drop)
            .map_err(postgres_error("marking matches as announced"))
    }
}

/// A text without control characters, since Postgres refuses some of them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_for_postgres_has_no_control_characters() {
        assert_eq!(printable("a\0b\nc"), "a b c");
    }
}
