//! The GraphQL schema: mutations are commands, queries are read models.

mod cents;
mod condition;
mod consistency;
mod error;
mod operations;
mod opportunity;
mod page;
mod reading;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_graphql::{MergedObject, MergedSubscription, Request, Response, SDLExportOptions, Schema};
use chrono::{DateTime, NaiveDate, Utc};
use commands::caller::Caller;
use domain::value::{TenantId, UserId};

pub(crate) use self::{
    error::{refused, timed_out},
    operations::Standing,
    session::Session,
};
use self::{
    operations::{OperationsMutation, ProjectionQuery, RebuildQuery, RebuildSubscription},
    opportunity::{
        OpportunityChangesSubscription, OpportunityDetailQuery, OpportunityHistoryQuery, OpportunityListQuery,
        OpportunityMutation, OpportunitySearchQuery, OpportunitySimilarQuery, OpportunityStatsQuery,
    },
    reading::Reading,
};
use crate::{config::HttpConfig, store::Stores};

const TIME: &str = "A point in time in RFC 3339, e.g. `\"2026-03-31T17:00:00Z\"`; answers are in UTC.";
const DAY: &str = "A calendar day, e.g. `\"2026-03-31\"`.";

/// What can be read.
#[derive(MergedObject, Default)]
#[graphql(name = "Query")]
struct QueryRoot(
    OpportunityListQuery,
    OpportunityDetailQuery,
    OpportunityHistoryQuery,
    OpportunitySearchQuery,
    OpportunitySimilarQuery,
    OpportunityStatsQuery,
    ProjectionQuery,
    RebuildQuery,
);

/// What can be asked for. An answer means that the change is on record; read models follow shortly.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
struct MutationRoot(OpportunityMutation, OperationsMutation);

/// What is told as it happens.
#[derive(MergedSubscription, Default)]
#[graphql(name = "Subscription")]
struct SubscriptionRoot(OpportunityChangesSubscription, RebuildSubscription);

type Root = Schema<QueryRoot, MutationRoot, SubscriptionRoot>;

/// Runs GraphQL documents.
#[derive(Clone)]
pub struct GraphQl {
    schema: Root,
    /// `None` where nothing is there to be asked, as in tests of the schema itself.
    stores: Option<Stores>,
    max_query_bytes: usize,
    /// How long a document waits for read models that are behind its consistency token.
    patience: Duration,
}

impl GraphQl {
    /// A schema that reads and writes `stores`, within the limits of `config`.
    pub fn new(stores: &Stores, config: &HttpConfig) -> Self {
        let schema = limited(config).data(stores.opportunities.clone()).data(stores.clone()).finish();
        Self {
            schema,
            stores: Some(stores.clone()),
            max_query_bytes: config.max_query_bytes,
            patience: config.consistency_wait(),
        }
    }

    /// Runs one document for one who has this standing.
    pub(crate) async fn execute(&self, request: Request, standing: Standing) -> Response {
        match self.admit(request, standing) {
            Ok(request) => error::with_codes(self.schema.execute(request.data(standing)).await),
            Err(refusal) => *refusal,
        }
    }

    /// What every document needs, whatever way it comes.
    fn admit(&self, request: Request, standing: Standing) -> Result<Request, Box<Response>> {
        if request.query.len() > self.max_query_bytes {
            return Err(Box::new(refused(format!("the document is longer than {} bytes", self.max_query_bytes))));
        }
        // Nobody signs in yet: everything on record is public, and changes are anonymous.
        let user = UserId::ours(match standing {
            Standing::Visitor => "anonymous",
            Standing::Operator => "operator",
        });
        let mut request = request.data(Caller::new(user, TenantId::public()));
        if let Some(stores) = &self.stores {
            let reading = Reading::of(&request, stores, self.patience);
            request = request.data(reading);
        }
        Ok(request)
    }

    /// How many opportunities there are, as a caller is told.
    ///
    /// # Errors
    /// The text of the first error that a caller would get.
    pub async fn total_count(&self) -> Result<u64, String> {
        let document = Request::new("{ opportunities(first: 1) { totalCount } }");
        let answer = self.execute(document, Standing::Visitor).await;
        if let Some(error) = answer.errors.first() {
            return Err(error.message.clone());
        }
        let data = answer.data.into_json().map_err(|error| error.to_string())?;
        data["opportunities"]["totalCount"].as_u64().ok_or_else(|| "no number".to_owned())
    }
}

/// The schema in GraphQL's schema language, as it stands in `api/schema.graphql`.
pub fn sdl() -> String {
    let schema = limited(&HttpConfig::default()).finish();
    let sdl = schema.sdl_with_options(SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items());
    sdl.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned() + "\n"
}

fn limited(config: &HttpConfig) -> async_graphql::SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot> {
    Schema::build(QueryRoot::default(), MutationRoot::default(), SubscriptionRoot::default())
        .override_output_type_description::<DateTime<Utc>>(TIME)
        .override_output_type_description::<NaiveDate>(DAY)
        .limit_depth(config.max_depth)
        .limit_complexity(config.max_complexity)
        .limit_directives(8)
}
