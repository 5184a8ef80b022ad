//! What a document reads from: read models of one moment, at least as far as the caller wants them to be.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Request, Result};
use projections::{
    analytics::Analytics,
    catalog::ReadModels,
    runtime::{AnyProjection, ConsistencyToken, Generations, InvalidToken, Projection, Reached, Runtime},
    search::Search,
    views::Views,
    workspace::Workspace,
};
use tokio::sync::OnceCell;

use super::error;
use crate::store::Stores;

/// The extension of a request that holds the token.
const EXTENSION: &str = "consistencyToken";

/// Longest token: a log's id, a position, and the id of a stream.
const LONGEST_TOKEN: usize = 500;

/// The read models for one document.
pub(super) struct Reading {
    models: Arc<ReadModels>,
    generations: Generations,
    runtime: Arc<Runtime>,
    wanted: Option<Result<ConsistencyToken, InvalidToken>>,
    patience: Duration,
    /// Each read model is waited for once, however often it is asked.
    waited: [OnceCell<()>; 4],
}

impl Reading {
    /// The read models that readers see now, for this request. One look for the whole document, so that no answer mixes
    /// generations.
    pub(super) fn of(request: &Request, stores: &Stores, patience: Duration) -> Self {
        let wanted = request.extensions.get(EXTENSION).map(|token| {
            let token = if let async_graphql::Value::String(token) = token { Some(token) } else { None };
            token.filter(|token| token.len() <= LONGEST_TOKEN).ok_or(InvalidToken)?.parse()
        });
        Self::new(stores, wanted, patience)
    }

    /// The read models that readers see now, at least as far as `token`: what goes on for long, as a subscription does,
    /// looks anew each time.
    pub(super) fn anew(&self, stores: &Stores, token: ConsistencyToken) -> Self {
        Self::new(stores, Some(Ok(token)), self.patience)
    }

    fn new(stores: &Stores, wanted: Option<Result<ConsistencyToken, InvalidToken>>, patience: Duration) -> Self {
        let (models, generations) = stores.live.of_now();
        Self { models, generations, runtime: Arc::clone(&stores.runtime), wanted, patience, waited: Default::default() }
    }

    pub(super) async fn analytics(&self) -> Result<&Analytics> {
        self.wait(0, &self.models.analytics).await
    }

    pub(super) async fn search(&self) -> Result<&Search> {
        self.wait(1, &self.models.search).await
    }

    pub(super) async fn views(&self) -> Result<&Views> {
        self.wait(2, &self.models.views).await
    }

    /// The views as they are, however far they have come.
    pub(super) fn views_now(&self) -> &Views {
        &self.models.views
    }

    pub(super) async fn workspace(&self) -> Result<&Workspace> {
        self.wait(3, &self.models.workspace).await
    }

    async fn wait<'a, P: Projection>(&self, place: usize, model: &'a P) -> Result<&'a P> {
        if let Some(token) = &self.wanted {
            let token = token.as_ref().map_err(|invalid| error::invalid_field(EXTENSION, invalid.to_string()))?;
            self.waited[place].get_or_try_init(|| self.reach(model, token)).await?;
        }
        Ok(model)
    }

    async fn reach(&self, model: &dyn AnyProjection, token: &ConsistencyToken) -> Result<()> {
        let generation = self.generations.get(model.name()).copied();
        let generation = generation.unwrap_or(projections::runtime::Generation::FIRST);
        match self.runtime.wait_for(model, generation, token, self.patience).await {
            Ok(Reached::Yes) => Ok(()),
            Ok(Reached::NotYet { position }) => Err(error::not_yet(model.name(), position)),
            Ok(Reached::OtherLog) => {
                Err(error::invalid_field(EXTENSION, "the token is of a log that was replaced by a backup".to_owned()))
            }
            Err(error) => Err(error::unavailable(&error)),
        }
    }
}

/// What this document reads from.
pub(super) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Reading> {
    error::wired(ctx.data::<Reading>())
}
