//! The GraphQL edge: mutations dispatch commands, queries read from read models, subscriptions follow the log.

mod cents;
mod command_dispatch;
mod company;
mod consistency_token;
mod document;
mod document_parser;
mod error;
mod experiment;
mod feature_flag;
mod feed_subscription;
mod history;
mod inbox;
mod input_validation;
mod operation_metrics;
mod opportunity;
mod opportunity_loader;
mod pagination;
mod parsed_document_cache;
mod precondition;
mod prepared_document;
mod projection;
mod proposal;
mod proposal_generation;
mod query_cost;
mod read_models;
mod resolver_spans;
mod resource;
mod session;
mod task;
mod tenant_node;
#[cfg(test)]
mod tests;
mod watchlist;
mod workspace_search;

use std::time::Duration;

use async_graphql::{
    MergedObject, MergedSubscription, Pos, Request, Response, SDLExportOptions, Schema, SchemaBuilder,
    parser::types::OperationType,
};
use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::Semaphore;
use tracing::Instrument;

pub use self::query_cost::QueryCost;
use self::{
    company::{CompanyMutation, CompanyQuery},
    document::{DocumentMutation, DocumentQuery},
    document_parser::MAX_NESTING,
    experiment::ExperimentQuery,
    feature_flag::{FeatureFlagMutation, FeatureFlagQuery},
    inbox::{
        MailPreferencesMutation, MailPreferencesQuery, NotificationMutation, NotificationQuery,
        NotificationSubscription,
    },
    operation_metrics::{OpenSubscription, OperationMeasurement},
    opportunity::{
        OpportunityChangesSubscription, OpportunityDashboardSubscription, OpportunityDetailQuery,
        OpportunityHistoryQuery, OpportunityListQuery, OpportunityMutation, OpportunityRecommendedQuery,
        OpportunitySearchQuery, OpportunitySimilarQuery, OpportunityStatsQuery,
    },
    parsed_document_cache::ParsedDocumentCache,
    projection::{ProjectionMutation, ProjectionQuery, RebuildQuery, RebuildSubscription},
    proposal::{ProposalChangesSubscription, ProposalHistoryQuery, ProposalMutation, ProposalQuery},
    proposal_generation::{ProposalGenerationMutation, ProposalGenerationQuery, ProposalGenerationSubscription},
    query_cost::QueryCostLimits,
    read_models::RequestReadModels,
    resource::{ResourceMutation, ResourceQuery},
    task::{TaskMutation, TaskQuery},
    watchlist::{WatchlistMutation, WatchlistQuery},
    workspace_search::WorkspaceSearchQuery,
};
pub(crate) use self::{
    error::{
        error_response, invalid_query_response, is_request_error, is_unknown_hash, queue_full_response,
        timeout_response,
    },
    prepared_document::PreparedDocument,
    session::GraphQlSession,
};
use crate::{
    app_context::AppContext,
    auth::{Authenticator, Principal},
    config::HttpConfig,
};

const TIME_DESCRIPTION: &str = "A point in time in RFC 3339, e.g. `\"2026-03-31T17:00:00Z\"`; responses are in UTC.";
const DAY_DESCRIPTION: &str = "A calendar day, e.g. `\"2026-03-31\"`.";

/// Queries of read models.
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
    ProposalGenerationQuery,
    ResourceQuery,
    DocumentQuery,
    TaskQuery,
    CompanyQuery,
    WatchlistQuery,
    NotificationQuery,
    MailPreferencesQuery,
    ProjectionQuery,
    RebuildQuery,
    FeatureFlagQuery,
    ExperimentQuery,
);

/// Mutations. An `Accepted` outcome means that the change is recorded; read models follow shortly.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
struct MutationRoot(
    OpportunityMutation,
    ProposalMutation,
    ProposalGenerationMutation,
    ResourceMutation,
    DocumentMutation,
    TaskMutation,
    CompanyMutation,
    WatchlistMutation,
    NotificationMutation,
    MailPreferencesMutation,
    ProjectionMutation,
    FeatureFlagMutation,
);

/// Subscriptions to changes as they happen.
#[derive(MergedSubscription, Default)]
#[graphql(name = "Subscription")]
struct SubscriptionRoot(
    OpportunityChangesSubscription,
    OpportunityDashboardSubscription,
    ProposalChangesSubscription,
    ProposalGenerationSubscription,
    NotificationSubscription,
    RebuildSubscription,
);

type ApiSchema = Schema<QueryRoot, MutationRoot, SubscriptionRoot>;
type ApiSchemaBuilder = SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot>;

/// Executes GraphQL documents within limits of size and cost.
#[derive(Clone)]
pub struct GraphQl {
    schema: ApiSchema,
    /// `None` in tests of the schema that need no app.
    app: Option<AppContext>,
    max_query_bytes: usize,
    limits: QueryCostLimits,
    document_cache: ParsedDocumentCache,
}

impl GraphQl {
    /// Creates the schema on the clients of `app`, with the limits of `config` and without authentication.
    pub fn new(app: &AppContext, config: &HttpConfig) -> Self {
        Self::from_builder(schema_builder(), app, config)
    }

    /// Like [`Self::new`], with an authenticator: needed by sign-in, by changes of companies, whose cached roles and
    /// keys it invalidates, and by subscriptions to a tenant's data.
    pub fn with_identity(app: &AppContext, config: &HttpConfig, authenticator: &Authenticator) -> Self {
        Self::from_builder(schema_builder().data(authenticator.clone()), app, config)
    }

    fn from_builder(schema: ApiSchemaBuilder, app: &AppContext, config: &HttpConfig) -> Self {
        query_cost::load_paged_fields();
        Self {
            schema: resolver_spans::trace_resolvers(schema.data(app.clone())).finish(),
            app: Some(app.clone()),
            max_query_bytes: config.max_query_bytes,
            limits: cost_limits(config),
            document_cache: ParsedDocumentCache::default(),
        }
    }

    /// Parses and measures a document without executing it, in a time bounded by its length, so that its cost can be
    /// charged before execution.
    ///
    /// # Errors
    /// The response for a document that cannot be parsed, is not known by its hash, or costs too much.
    pub(crate) fn prepare(&self, mut request: Request) -> Result<PreparedDocument, Box<Response>> {
        if request.query.len() > self.max_query_bytes {
            return Err(Box::new(invalid_query_response(format!(
                "the document is longer than {} bytes",
                self.max_query_bytes
            ))));
        }
        // Some tools send an empty name instead of none.
        request.operation_name = request.operation_name.filter(|name| !name.is_empty());
        let measured = self.document_cache.parse_and_measure(&mut request, &self.limits);
        let measured = measured.map_err(|failure| {
            operation_metrics::count_refused_document();
            Box::new(error::prepare_error_response(&failure))
        })?;
        Ok(PreparedDocument::new(request, measured))
    }

    /// Executes a query or mutation as `identity`. Dropped before it ends, it counts as cancelled.
    pub(crate) async fn run(&self, document: PreparedDocument, identity: &Principal) -> Response {
        let measurement = OperationMeasurement::start(document.kind());
        let response = self.run_unmeasured(document, identity).await;
        measurement.finish(&response);
        response
    }

    /// [`Self::run`] with a time limit. One that is exceeded counts as a failure: over a WebSocket no status says so.
    pub(crate) async fn run_within(
        &self,
        limit: Duration,
        document: PreparedDocument,
        identity: &Principal,
    ) -> Response {
        let measurement = OperationMeasurement::start(document.kind());
        let answered = tokio::time::timeout(limit, self.run_unmeasured(document, identity)).await;
        let response = answered.unwrap_or_else(|_elapsed| timeout_response());
        measurement.finish(&response);
        response
    }

    async fn run_unmeasured(&self, document: PreparedDocument, identity: &Principal) -> Response {
        let is_introspection = document.cost().is_introspection;
        let span = resolver_spans::operation_span(document.kind());
        let request = self.build_request(document, identity);
        let response = if is_introspection {
            execute_introspection(&self.schema, request).instrument(span).await
        } else {
            // Boxed: what awaits this is large as it is.
            Box::pin(self.schema.execute(request)).instrument(span).await
        };
        error::add_error_codes(response)
    }

    /// Executes a document as `identity`; a subscription yields a response for each event.
    pub(crate) fn run_stream(&self, document: PreparedDocument, identity: &Principal) -> BoxStream<'static, Response> {
        let open = (document.kind() == OperationType::Subscription).then(OpenSubscription::open);
        let responses = self.schema.execute_stream(self.build_request(document, identity));
        let responses = responses.map(error::add_error_codes);
        // Counted as open until the stream is dropped.
        let hold_open = move |_: &Response| {
            let _open = &open;
        };
        responses.inspect(hold_open).boxed()
    }

    /// [`Self::prepare`] and [`Self::run`].
    pub(crate) async fn execute(&self, request: Request, identity: &Principal) -> Response {
        match self.prepare(request) {
            Ok(document) => self.run(document, identity).await,
            Err(refusal) => *refusal,
        }
    }

    /// Adds the data that resolvers need: the caller and the read models.
    fn build_request(&self, document: PreparedDocument, identity: &Principal) -> Request {
        let request = document.into_request().data(identity.clone());
        let Some(app) = &self.app else { return request };
        let read_models = RequestReadModels::from_request(&request, app);
        request.data(read_models)
    }

    /// Number of opportunities, as an anonymous caller sees it.
    ///
    /// # Errors
    /// The message of the first error in the response.
    pub async fn query_total_count(&self) -> Result<u64, String> {
        let document = Request::new("{ opportunities(first: 1) { totalCount } }");
        let response = self.execute(document, &Principal::anonymous()).await;
        if let Some(error) = response.errors.first() {
            return Err(error.message.clone());
        }
        let data = response.data.into_json().map_err(|error| error.to_string())?;
        data["opportunities"]["totalCount"].as_u64().ok_or_else(|| "totalCount is not a number".to_owned())
    }
}

/// The schema in GraphQL's schema definition language, as committed in `api/schema.graphql`.
pub fn sdl() -> String {
    let schema = schema_builder().finish();
    let sdl = schema.sdl_with_options(SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items());
    sdl.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned() + "\n"
}

/// Limits concurrent introspection, which is CPU-bound and never waits.
static INTROSPECTION_PERMITS: Semaphore = Semaphore::const_new(2);

/// Executes an introspection document on a blocking thread, so that it does not delay other requests.
async fn execute_introspection(schema: &ApiSchema, request: Request) -> Response {
    // The semaphore is never closed.
    let _permit = INTROSPECTION_PERMITS.acquire().await;
    let (schema, runtime) = (schema.clone(), tokio::runtime::Handle::current());
    match tokio::task::spawn_blocking(move || runtime.block_on(schema.execute(request))).await {
        Ok(response) => response,
        Err(panicked) => Response::from_errors(vec![error::internal(&panicked).into_server_error(Pos::default())]),
    }
}

fn cost_limits(config: &HttpConfig) -> QueryCostLimits {
    QueryCostLimits { complexity: config.max_complexity, depth: config.max_depth, aliases: config.max_aliases }
}

/// The schema without limits of cost: [`GraphQl::prepare`] applies them before execution.
fn schema_builder() -> ApiSchemaBuilder {
    Schema::build(QueryRoot::default(), MutationRoot::default(), SubscriptionRoot::default())
        .override_output_type_description::<DateTime<Utc>>(TIME_DESCRIPTION)
        .override_output_type_description::<NaiveDate>(DAY_DESCRIPTION)
        // The library counts spreads as nesting.
        .limit_recursive_depth(2 * MAX_NESTING)
        // Comparing each unknown name with all known ones costs too much.
        .disable_suggestions()
}
