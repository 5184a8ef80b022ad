//! The GraphQL schema: mutations are commands, queries are read models.

mod cents;
mod command_dispatch;
mod company;
mod consistency_token;
mod document;
mod document_cost;
mod document_parser;
mod error;
mod feed_subscription;
mod history;
mod inbox;
mod input_validation;
mod opportunity;
mod opportunity_loader;
mod pagination;
mod parsed_document_cache;
mod precondition;
mod prepared_document;
mod projection;
mod proposal;
mod read_models;
mod resource;
mod session;
mod task;
#[cfg(test)]
mod tests;
mod watchlist;
mod workspace_search;

use std::time::Duration;

use async_graphql::{
    MergedObject, MergedSubscription, Pos, Request, Response, SDLExportOptions, Schema, SchemaBuilder,
    dataloader::DataLoader,
};
use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::Semaphore;

pub use self::document_cost::DocumentCost;
use self::{
    company::{CompanyMutation, CompanyQuery},
    document::{DocumentMutation, DocumentQuery},
    document_cost::CostLimits,
    document_parser::MAX_NESTING,
    inbox::{NotificationMutation, NotificationQuery, NotificationSubscription},
    opportunity::{
        OpportunityChangesSubscription, OpportunityDashboardSubscription, OpportunityDetailQuery,
        OpportunityHistoryQuery, OpportunityListQuery, OpportunityMutation, OpportunityRecommendedQuery,
        OpportunitySearchQuery, OpportunitySimilarQuery, OpportunityStatsQuery,
    },
    opportunity_loader::OpportunityLoader,
    parsed_document_cache::ParsedDocumentCache,
    projection::{ProjectionMutation, ProjectionQuery, RebuildQuery, RebuildSubscription},
    proposal::{ProposalChangesSubscription, ProposalHistoryQuery, ProposalMutation, ProposalQuery},
    read_models::RequestReadModels,
    resource::{ResourceMutation, ResourceQuery},
    task::{TaskMutation, TaskQuery},
    watchlist::{WatchlistMutation, WatchlistQuery},
    workspace_search::WorkspaceSearchQuery,
};
pub(crate) use self::{
    error::{error_response, invalid_query_response, is_request_error, is_unknown_hash, timeout_response},
    prepared_document::PreparedDocument,
    session::GraphQlSession,
};
use crate::{
    app_context::AppContext,
    auth::{Authenticator, Principal},
    config::HttpConfig,
};

const TIME_DESCRIPTION: &str = "A point in time in RFC 3339, e.g. `\"2026-03-31T17:00:00Z\"`; answers are in UTC.";
const DAY_DESCRIPTION: &str = "A calendar day, e.g. `\"2026-03-31\"`.";

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
    ProjectionMutation,
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

type ApiSchema = Schema<QueryRoot, MutationRoot, SubscriptionRoot>;
type ApiSchemaBuilder = SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot>;

/// Runs GraphQL documents.
#[derive(Clone)]
pub struct GraphQl {
    schema: ApiSchema,
    /// `None` where nothing is there to be asked, as in tests of the schema itself.
    stores: Option<AppContext>,
    max_query_bytes: usize,
    limits: CostLimits,
    document_cache: ParsedDocumentCache,
    /// How long a document waits for read models that are behind its consistency token.
    consistency_timeout: Duration,
}

impl GraphQl {
    /// A schema that reads and writes `stores`, within the limits of `config`.
    pub fn new(stores: &AppContext, config: &HttpConfig) -> Self {
        Self::from_builder(schema_builder(), stores, config)
    }

    /// The same for those who sign in: companies change what they may.
    pub fn with_identity(stores: &AppContext, config: &HttpConfig, authenticator: &Authenticator) -> Self {
        Self::from_builder(schema_builder().data(authenticator.clone()), stores, config)
    }

    fn from_builder(schema: ApiSchemaBuilder, stores: &AppContext, config: &HttpConfig) -> Self {
        Self {
            schema: schema.data(stores.opportunities.clone()).data(stores.clone()).finish(),
            stores: Some(stores.clone()),
            max_query_bytes: config.max_query_bytes,
            limits: cost_limits(config),
            document_cache: ParsedDocumentCache::default(),
            consistency_timeout: config.consistency_wait(),
        }
    }

    /// Reads and measures a document, in a time that its length bounds; nothing of it is run yet. What it costs can be
    /// charged before it is.
    ///
    /// # Errors
    /// What the caller is answered when the document cannot be read, is not known by its hash, or asks for too much.
    pub(crate) fn prepare(&self, mut request: Request) -> Result<PreparedDocument, Box<Response>> {
        if request.query.len() > self.max_query_bytes {
            return Err(Box::new(invalid_query_response(format!(
                "the document is longer than {} bytes",
                self.max_query_bytes
            ))));
        }
        // Tools send an empty name where they know none.
        request.operation_name = request.operation_name.filter(|name| !name.is_empty());
        let measured = self.document_cache.parse_and_measure(&mut request, &self.limits);
        let measured = measured.map_err(|unfit| Box::new(error::prepare_error_response(&unfit)))?;
        Ok(PreparedDocument::new(request, measured))
    }

    /// Runs one document for somebody.
    pub(crate) async fn run(&self, document: PreparedDocument, identity: &Principal) -> Response {
        let is_introspection = document.cost().is_introspection;
        let request = self.build_request(document, identity);
        let answer = if is_introspection {
            execute_introspection(&self.schema, request).await
        } else {
            self.schema.execute(request).await
        };
        error::add_error_codes(answer)
    }

    /// Runs one document for somebody, and goes on where it is a subscription.
    pub(crate) fn run_stream(&self, document: PreparedDocument, identity: &Principal) -> BoxStream<'static, Response> {
        self.schema.execute_stream(self.build_request(document, identity)).map(error::add_error_codes).boxed()
    }

    /// [`Self::prepare_document`] and [`Self::run`].
    pub(crate) async fn execute(&self, request: Request, identity: &Principal) -> Response {
        match self.prepare(request) {
            Ok(document) => self.run(document, identity).await,
            Err(refusal) => *refusal,
        }
    }

    /// The request with what resolvers need.
    fn build_request(&self, document: PreparedDocument, identity: &Principal) -> Request {
        let request = document.into_request().data(identity.sender.caller.clone()).data(identity.clone());
        let Some(stores) = &self.stores else { return request };
        let reading = RequestReadModels::from_request(&request, stores, self.consistency_timeout);
        let loader = OpportunityLoader(reading.unsynced_opportunity_views().clone());
        request.data(DataLoader::new(loader, tokio::spawn)).data(reading)
    }

    /// How many opportunities there are, as a caller is told.
    ///
    /// # Errors
    /// The text of the first error that a caller would get.
    pub async fn query_total_count(&self) -> Result<u64, String> {
        let document = Request::new("{ opportunities(first: 1) { totalCount } }");
        let answer = self.execute(document, &Principal::anonymous()).await;
        if let Some(error) = answer.errors.first() {
            return Err(error.message.clone());
        }
        let data = answer.data.into_json().map_err(|error| error.to_string())?;
        data["opportunities"]["totalCount"].as_u64().ok_or_else(|| "no number".to_owned())
    }
}

/// The schema in GraphQL's schema language, as it stands in `api/schema.graphql`.
pub fn sdl() -> String {
    let schema = schema_builder().finish();
    let sdl = schema.sdl_with_options(SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items());
    sdl.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned() + "\n"
}

/// Questions about the schema that are answered at the same time: they compute, and never wait for anything.
static INTROSPECTION_PERMITS: Semaphore = Semaphore::const_new(2);

/// Answers a document about the schema on a thread that serves nobody else meanwhile.
async fn execute_introspection(schema: &ApiSchema, request: Request) -> Response {
    // The semaphore is never closed.
    let _place = INTROSPECTION_PERMITS.acquire().await;
    let (schema, runtime) = (schema.clone(), tokio::runtime::Handle::current());
    match tokio::task::spawn_blocking(move || runtime.block_on(schema.execute(request))).await {
        Ok(answer) => answer,
        Err(broken) => Response::from_errors(vec![error::internal(&broken).into_server_error(Pos::default())]),
    }
}

fn cost_limits(config: &HttpConfig) -> CostLimits {
    CostLimits { complexity: config.max_complexity, depth: config.max_depth, aliases: config.max_aliases }
}

/// The schema; how much a document may ask for is decided before it gets here.
fn schema_builder() -> ApiSchemaBuilder {
    Schema::build(QueryRoot::default(), MutationRoot::default(), SubscriptionRoot::default())
        .override_output_type_description::<DateTime<Utc>>(TIME_DESCRIPTION)
        .override_output_type_description::<NaiveDate>(DAY_DESCRIPTION)
        // Spreads count as nesting there.
        .limit_recursive_depth(2 * MAX_NESTING)
        // Comparing each wrong name with all right ones costs more than the answer is worth.
        .disable_suggestions()
}
