//! Finds the correlation id that the user means.

use std::time::Duration;

use anyhow::bail;
use domain::value::TenantId;
use eventstore::log::{self, CorrelatedPositions, EventSearch};
use sqlx::PgConnection;
use uuid::Uuid;

/// How long the log is searched for an event, whose id has no index.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// How many other correlation ids of a stream are listed.
const LISTED_CORRELATIONS: usize = 5;

/// What to find.
pub(super) struct TrailSearch<'a> {
    pub(super) id: &'a str,
    pub(super) tenant: Option<&'a str>,
    pub(super) limit: u32,
}

/// The correlation id that was found, and its events.
pub(super) struct FoundTrail {
    pub(super) correlation_id: String,
    pub(super) events: CorrelatedPositions,
    /// What the user should know about the choice.
    pub(super) notes: Vec<String>,
}

impl TrailSearch<'_> {
    /// Takes the id as a correlation id, then as a stream, then as an event.
    pub(super) async fn find(&self, connection: &mut PgConnection) -> anyhow::Result<FoundTrail> {
        let uuid = Uuid::parse_str(self.id).ok();
        let id = uuid.map_or_else(|| self.id.to_owned(), |uuid| uuid.to_string());
        if id.contains('\0') {
            bail!("an id has no NUL character");
        }
        if let Some(found) = self.load(connection, &id, vec![]).await? {
            return Ok(found);
        }
        if let Some(found) = self.find_by_stream(connection, &id).await? {
            return Ok(found);
        }
        let Some(event_id) = uuid else {
            bail!("no event has the correlation id {id}, and no stream has this id{}", self.explain_tenants(&id));
        };
        match log::search_event_backward(connection, event_id, SEARCH_TIME).await? {
            EventSearch::Found { correlation_id: Some(correlation_id), .. } => {
                let notes = vec![format!("event {id} has the correlation id {correlation_id}")];
                match self.load(connection, &correlation_id, notes).await? {
                    Some(found) => Ok(found),
                    None => bail!("event {id} is a visit or of another tenant: trails leave out visits"),
                }
            }
            EventSearch::Found { correlation_id: None, aggregate_type } => {
                bail!("event {id} of a {aggregate_type} has no correlation id: an early release recorded it")
            }
            EventSearch::NotFound { after } => {
                let searched = match after {
                    0 => "no event has this id".to_owned(),
                    after => format!("no event behind position {after} has this id (earlier ones were not searched)"),
                };
                bail!(
                    "no event has the correlation id {id}, no stream has this id{}, and {searched}; responses name \
                     their correlation id in the header x-correlation-id, `medhub replay` prints those of events",
                    self.explain_tenants(&id)
                )
            }
        }
    }

    async fn load(
        &self,
        connection: &mut PgConnection,
        correlation_id: &str,
        notes: Vec<String>,
    ) -> anyhow::Result<Option<FoundTrail>> {
        let events = log::find_correlated_events(connection, correlation_id, self.tenant, self.limit).await?;
        let is_found = events.total > 0;
        Ok(is_found.then(|| FoundTrail { correlation_id: correlation_id.to_owned(), events, notes }))
    }

    async fn find_by_stream(&self, connection: &mut PgConnection, id: &str) -> anyhow::Result<Option<FoundTrail>> {
        // A stream's full id, or its id within the tenant that was given.
        let tenant = self.tenant.and_then(|tenant| TenantId::try_new(tenant).ok());
        let within_tenant = tenant.map(|tenant| tenant.stream_id(id));
        for stream in std::iter::once(id.to_owned()).chain(within_tenant) {
            let correlations = log::find_stream_correlations(connection, &stream, self.tenant).await?;
            let Some((newest, others)) = correlations.split_first() else { continue };
            let mut notes = vec![format!("stream {stream} has the correlation id {}", newest.correlation_id)];
            if !others.is_empty() {
                let ids = others.iter().take(LISTED_CORRELATIONS).map(|other| other.correlation_id.as_str());
                let more = others.len().saturating_sub(LISTED_CORRELATIONS);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                notes.push(format!(
                    "of its last events, others have {}{more}; earlier changes of the stream belong to other requests",
                    ids.collect::<Vec<_>>().join(", ")
                ));
            }
            if let Some(found) = self.load(connection, &newest.correlation_id, notes).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn explain_tenants(&self, id: &str) -> String {
        match self.tenant {
            Some(tenant) => format!(" in tenant {tenant}"),
            None => format!(" (for a stream of a company, give --tenant or its full id, such as acme:{id})"),
        }
    }
}
