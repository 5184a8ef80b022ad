//! The read models that one document queries: one consistent set of generations, at least as far as the caller's
//! consistency token.

use std::sync::{Arc, OnceLock};

use async_graphql::{Context, Request, Result, dataloader::DataLoader};
use projections::{
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    read_models::ReadModels,
    runtime::{
        AnyProjection, ConsistencyToken, GenerationPointer, InvalidConsistencyToken, Projection, ProjectionRuntime,
    },
    tenant_views::TenantViews,
};
use tokio::sync::OnceCell;

use super::{error, opportunity_loader::OpportunityLoader};
use crate::{
    app_context::AppContext,
    consistency::{self, ConsistencyError},
    consistency_wait::ConsistencyWait,
    opportunity_lists::{OpportunityListReader, RequestListReader},
};

/// Request extension that holds the consistency token.
const CONSISTENCY_TOKEN_EXTENSION: &str = "consistencyToken";

/// Maximum length of a token in bytes: a log's incarnation, a position, and the id of a stream.
const MAX_TOKEN_BYTES: usize = 500;

/// The read models that one document queries.
pub(super) struct RequestReadModels {
    models: Arc<ReadModels>,
    pointer: Arc<GenerationPointer>,
    runtime: Arc<ProjectionRuntime>,
    required_token: Option<Result<ConsistencyToken, InvalidConsistencyToken>>,
    wait: ConsistencyWait,
    /// Whether each read model has reached the token, so that a document waits once per read model.
    reached_models: [OnceCell<()>; 3],
    list_reader: OpportunityListReader,
    lists: OnceCell<RequestListReader>,
    opportunity_loader: OnceLock<DataLoader<OpportunityLoader>>,
}

impl RequestReadModels {
    /// The active read models for this request, with the token of its extension. They are resolved once for the whole
    /// document, so that no response mixes generations.
    pub(super) fn from_request(request: &Request, app: &AppContext) -> Self {
        let required_token = request.extensions.get(CONSISTENCY_TOKEN_EXTENSION).map(|token| {
            let token = if let async_graphql::Value::String(token) = token { Some(token) } else { None };
            token.filter(|token| token.len() <= MAX_TOKEN_BYTES).ok_or(InvalidConsistencyToken)?.parse()
        });
        Self::new(app, required_token, app.consistency_wait.clone())
    }

    /// The active read models, at least as far as `token`. For subscriptions, which outlive a switch of generations and
    /// therefore resolve them for each event.
    pub(super) fn with_token(&self, app: &AppContext, token: ConsistencyToken) -> Self {
        Self::new(app, Some(Ok(token)), self.wait.for_subscriptions())
    }

    fn new(
        app: &AppContext,
        required_token: Option<Result<ConsistencyToken, InvalidConsistencyToken>>,
        wait: ConsistencyWait,
    ) -> Self {
        let (models, pointer) = app.read_models.current_with_pointer();
        Self {
            models,
            pointer,
            runtime: Arc::clone(&app.runtime),
            required_token,
            wait,
            reached_models: Default::default(),
            list_reader: app.opportunity_lists.clone(),
            lists: OnceCell::new(),
            opportunity_loader: OnceLock::new(),
        }
    }

    /// The lists of opportunities, from the read model that has them now.
    pub(super) async fn opportunity_lists(&self) -> Result<&RequestListReader> {
        self.lists.get_or_try_init(|| self.open_lists()).await
    }

    async fn open_lists(&self) -> Result<RequestListReader> {
        let lists = self.list_reader.open(&self.models, &self.pointer.generations).await;
        let Some(token) = self.required_token()? else { return Ok(lists) };
        self.wait_until_caught_up(lists.read_model(), token).await?;
        // A result of another request may be older than the token.
        Ok(lists.without_shared_results())
    }

    pub(super) async fn search(&self) -> Result<&OpportunitySearch> {
        self.wait_for_model(0, &self.models.search).await
    }

    pub(super) async fn opportunity_views(&self) -> Result<&OpportunityViews> {
        self.wait_for_model(1, &self.models.opportunity_views).await
    }

    /// Loads opportunities by id, all of one document together, once their views have reached the token: one wait for
    /// each document.
    pub(super) async fn opportunity_loader(&self) -> Result<&DataLoader<OpportunityLoader>> {
        let views = self.opportunity_views().await?;
        let open_loader = || DataLoader::new(OpportunityLoader(views.clone()), tokio::spawn);
        Ok(self.opportunity_loader.get_or_init(open_loader))
    }

    pub(super) async fn tenant_views(&self) -> Result<&TenantViews> {
        self.wait_for_model(2, &self.models.tenant_views).await
    }

    async fn wait_for_model<'a, P: Projection>(&self, index: usize, model: &'a P) -> Result<&'a P> {
        if let Some(token) = self.required_token()? {
            self.reached_models[index].get_or_try_init(|| self.wait_until_caught_up(model, token)).await?;
        }
        Ok(model)
    }

    fn required_token(&self) -> Result<Option<&ConsistencyToken>> {
        let token = self.required_token.as_ref().map(Result::as_ref).transpose();
        token.map_err(|invalid| error::invalid_field(CONSISTENCY_TOKEN_EXTENSION, invalid.to_string()))
    }

    async fn wait_until_caught_up(&self, model: &dyn AnyProjection, token: &ConsistencyToken) -> Result<()> {
        let active = &self.pointer.generations;
        let reached = consistency::wait_until_token_reached(&self.runtime, active, model, token, &self.wait);
        reached.await.map_err(|failure| match failure {
            ConsistencyError::Behind(position) => error::read_model_behind(model.name(), position),
            ConsistencyError::OtherIncarnation => {
                error::invalid_field(CONSISTENCY_TOKEN_EXTENSION, failure.to_string())
            }
            ConsistencyError::Unavailable(source) => error::unavailable(&source),
        })
    }
}

/// The read models of the document that is being executed.
pub(super) fn from_context<'a>(ctx: &Context<'a>) -> Result<&'a RequestReadModels> {
    error::require_context_data(ctx.data::<RequestReadModels>())
}
