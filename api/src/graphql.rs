//! The GraphQL schema: mutations are commands, queries are read models.

mod aliases;
mod cents;
mod company;
mod condition;
mod consistency;
mod document;
mod error;
mod follow;
mod inbox;
mod input;
mod loader;
mod operations;
mod opportunity;
mod outcome;
mod page;
mod parsed;
mod past;
mod proposal;
mod reading;
mod resource;
mod search;
mod session;
mod task;
#[cfg(test)]
mod tests;
mod watchlist;

use std::time::Duration;

use async_graphql::{
    MergedObject, MergedSubscription, Request, Response, SDLExportOptions, Schema, SchemaBuilder,
    dataloader::DataLoader,
};
use chrono::{DateTime, NaiveDate, Utc};

use self::{
    company::{CompanyMutation, CompanyQuery},
    document::{DocumentMutation, DocumentQuery},
    inbox::{NotificationMutation, NotificationQuery, NotificationSubscription},
    loader::OpportunityLoader,
    operations::{OperationsMutation, ProjectionQuery, RebuildQuery, RebuildSubscription},
    opportunity::{
        OpportunityChangesSubscription, OpportunityDashboardSubscription, OpportunityDetailQuery,
        OpportunityHistoryQuery, OpportunityListQuery, OpportunityMutation, OpportunityRecommendedQuery,
        OpportunitySearchQuery, OpportunitySimilarQuery, OpportunityStatsQuery,
    },
    parsed::ParsedDocuments,
    proposal::{ProposalChangesSubscription, ProposalHistoryQuery, ProposalMutation, ProposalQuery},
    reading::Reading,
    resource::{ResourceMutation, ResourceQuery},
    search::WorkspaceSearchQuery,
    task::{TaskMutation, TaskQuery},
    watchlist::{WatchlistMutation, WatchlistQuery},
};
pub(crate) use self::{
    error::{refused, refused_with, timed_out},
    session::Session,
};
use crate::{
    config::HttpConfig,
    identity::{Authenticator, Identity},
    store::Stores,
};

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
    OpportunityRecommendedQuery,
    OpportunityStatsQuery,
    WorkspaceSearchQuery,
    ProposalQuery,
    ProposalHistoryQuery,
    ResourceQuery,
    DocumentQuery,
    TaskQuery,
    CompanyQuery,
    WatchlistQuery,
    NotificationQuery,
    ProjectionQuery,
    RebuildQuery,
);

/// What can be asked for. An answer means that the change is on record; read models follow shortly.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
struct MutationRoot(
    OpportunityMutation,
    ProposalMutation,
    ResourceMutation,
    DocumentMutation,
    TaskMutation,
    CompanyMutation,
    WatchlistMutation,
    NotificationMutation,
    OperationsMutation,
);

/// What is told as it happens.
#[derive(MergedSubscription, Default)]
#[graphql(name = "Subscription")]
struct SubscriptionRoot(
    OpportunityChangesSubscription,
    OpportunityDashboardSubscription,
    ProposalChangesSubscription,
    NotificationSubscription,
    RebuildSubscription,
);

type Root = Schema<QueryRoot, MutationRoot, SubscriptionRoot>;
type Builder = SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot>;

/// Runs GraphQL documents.
#[derive(Clone)]
pub struct GraphQl {
    schema: Root,
    /// `None` where nothing is there to be asked, as in tests of the schema itself.
    stores: Option<Stores>,
    max_query_bytes: usize,
    max_aliases: usize,
    parsed: ParsedDocuments,
    /// How long a document waits for read models that are behind its consistency token.
    patience: Duration,
}

impl GraphQl {
    /// A schema that reads and writes `stores`, within the limits of `config`.
    pub fn new(stores: &Stores, config: &HttpConfig) -> Self {
        Self::of(limited(config), stores, config)
    }

    /// The same for those who sign in: companies change what they may.
    pub fn with_identity(stores: &Stores, config: &HttpConfig, authenticator: &Authenticator) -> Self {
        Self::of(limited(config).data(authenticator.clone()), stores, config)
    }

    fn of(schema: Builder, stores: &Stores, config: &HttpConfig) -> Self {
        Self {
            schema: schema.data(stores.opportunities.clone()).data(stores.clone()).finish(),
            stores: Some(stores.clone()),
            max_query_bytes: config.max_query_bytes,
            max_aliases: config.max_aliases,
            parsed: ParsedDocuments::default(),
            patience: config.consistency_wait(),
        }
    }

    /// Runs one document for somebody.
    pub(crate) async fn execute(&self, request: Request, identity: &Identity) -> Response {
        match self.admit(request, identity) {
            Ok(request) => error::with_codes(self.schema.execute(request).await),
            Err(refusal) => *refusal,
        }
    }

    /// What every document needs, whatever way it comes.
    fn admit(&self, mut request: Request, identity: &Identity) -> Result<Request, Box<Response>> {
        if request.query.len() > self.max_query_bytes {
            return Err(Box::new(refused(format!("the document is longer than {} bytes", self.max_query_bytes))));
        }
        let aliases = self.parsed.settle(&mut request).map_err(|error| Box::new(error::not_known(&error)))?;
        if aliases > self.max_aliases {
            return Err(Box::new(refused(format!("the document has more than {} aliases", self.max_aliases))));
        }
        let mut request = request.data(identity.sender.caller.clone()).data(identity.clone());
        if let Some(stores) = &self.stores {
            let reading = Reading::of(&request, stores, self.patience);
            let loader = OpportunityLoader(reading.views_now().clone());
            request = request.data(DataLoader::new(loader, tokio::spawn)).data(reading);
        }
        Ok(request)
    }

    /// How many opportunities there are, as a caller is told.
    ///
    /// # Errors
    /// The text of the first error that a caller would get.
    pub async fn total_count(&self) -> Result<u64, String> {
        let document = Request::new("{ opportunities(first: 1) { totalCount } }");
        let answer = self.execute(document, &Identity::anonymous()).await;
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

fn limited(config: &HttpConfig) -> Builder {
    Schema::build(QueryRoot::default(), MutationRoot::default(), SubscriptionRoot::default())
        .override_output_type_description::<DateTime<Utc>>(TIME)
        .override_output_type_description::<NaiveDate>(DAY)
        .limit_depth(config.max_depth)
        .limit_complexity(config.max_complexity)
        .limit_directives(8)
}
