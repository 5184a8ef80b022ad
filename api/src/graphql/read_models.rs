//! What a document reads from: read models of one moment, at least as far as the caller wants them to be.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Request, Result};
use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    read_models::ReadModels,
    runtime::{
        AnyProjection, ConsistencyStatus, ConsistencyToken, GenerationMap, InvalidConsistencyToken, Projection,
        ProjectionRuntime,
    },
    tenant_views::TenantViews,
};
use tokio::sync::OnceCell;

use super::error;
use crate::app_context::AppContext;

/// The extension of a request that holds the token.
const CONSISTENCY_TOKEN_EXTENSION: &str = "consistencyToken";

/// Longest token: a log's id, a position, and the id of a stream.
const MAX_TOKEN_BYTES: usize = 500;

/// The read models for one document.
pub(super) struct RequestReadModels {
    models: Arc<ReadModels>,
    generations: GenerationMap,
    runtime: Arc<ProjectionRuntime>,
    required_token: Option<Result<ConsistencyToken, InvalidConsistencyToken>>,
    wait_timeout: Duration,
    /// Each read model is waited for once, however often it is asked.
    reached_models: [OnceCell<()>; 4],
}

impl RequestReadModels {
    /// The read models that readers see now, for this request. One look for the whole document, so that no answer mixes
    /// generations.
    pub(super) fn from_request(request: &Request, stores: &AppContext, patience: Duration) -> Self {
        let wanted = request.extensions.get(CONSISTENCY_TOKEN_EXTENSION).map(|token| {
            let token = if let async_graphql::Value::String(token) = token { Some(token) } else { None };
            token.filter(|token| token.len() <= MAX_TOKEN_BYTES).ok_or(InvalidConsistencyToken)?.parse()
        });
        Self::new(stores, wanted, patience)
    }

    /// The read models that readers see now, at least as far as `token`: what goes on for long, as a subscription does,
    /// looks anew each time.
    pub(super) fn with_token(&self, stores: &AppContext, token: ConsistencyToken) -> Self {
        Self::new(stores, Some(Ok(token)), self.wait_timeout)
    }

    fn new(
        stores: &AppContext,
        wanted: Option<Result<ConsistencyToken, InvalidConsistencyToken>>,
        patience: Duration,
    ) -> Self {
        let (models, generations) = stores.read_models.current_with_generations();
        Self {
            models,
            generations,
            runtime: Arc::clone(&stores.runtime),
            required_token: wanted,
            wait_timeout: patience,
            reached_models: Default::default(),
        }
    }

    pub(super) async fn analytics(&self) -> Result<&OpportunityAnalytics> {
        self.wait_for_token(0, &self.models.analytics).await
    }

    pub(super) async fn search(&self) -> Result<&OpportunitySearch> {
        self.wait_for_token(1, &self.models.search).await
    }

    pub(super) async fn opportunity_views(&self) -> Result<&OpportunityViews> {
        self.wait_for_token(2, &self.models.opportunity_views).await
    }

    /// The views as they are, however far they have come.
    pub(super) fn unsynced_opportunity_views(&self) -> &OpportunityViews {
        &self.models.opportunity_views
    }

    pub(super) async fn tenant_views(&self) -> Result<&TenantViews> {
        self.wait_for_token(3, &self.models.tenant_views).await
    }

    async fn wait_for_token<'a, P: Projection>(&self, place: usize, model: &'a P) -> Result<&'a P> {
        if let Some(token) = &self.required_token {
            let token = token
                .as_ref()
                .map_err(|invalid| error::invalid_field(CONSISTENCY_TOKEN_EXTENSION, invalid.to_string()))?;
            self.reached_models[place].get_or_try_init(|| self.wait_until_caught_up(model, token)).await?;
        }
        Ok(model)
    }

    async fn wait_until_caught_up(&self, model: &dyn AnyProjection, token: &ConsistencyToken) -> Result<()> {
        let generation = self.generations.get(model.name()).copied();
        let generation = generation.unwrap_or(projections::runtime::Generation::FIRST);
        match self.runtime.wait_for_token(model, generation, token, self.wait_timeout).await {
            Ok(ConsistencyStatus::Reached) => Ok(()),
            Ok(ConsistencyStatus::NotYet { position }) => Err(error::read_model_behind(model.name(), position)),
            Ok(ConsistencyStatus::OtherIncarnation) => Err(error::invalid_field(
                CONSISTENCY_TOKEN_EXTENSION,
                "the token is of a log that was replaced by a backup".to_owned(),
            )),
            Err(error) => Err(error::unavailable(&error)),
        }
    }
}

/// What this document reads from.
pub(super) fn from_context<'a>(ctx: &Context<'a>) -> Result<&'a RequestReadModels> {
    error::require_context_data(ctx.data::<RequestReadModels>())
}
