//! Queries of feature flags.

use async_graphql::{Context, Object, Result};
use cqrs_es::Aggregate;
use domain::feature_flag::{FeatureFlag, FlagKey};

use super::node::{self, FeatureFlagChangeNode, FeatureFlagHistoryNode, FeatureFlagNode};
use crate::{
    app_context::AppContext,
    graphql::{error, input_validation::parse_value, pagination, projection::guard::OperatorOnly},
};

/// Queries of feature flags.
#[derive(Default)]
pub(in crate::graphql) struct FeatureFlagQuery;

#[expect(clippy::unused_async, reason = "GraphQL resolvers have to be async functions")]
#[Object]
impl FeatureFlagQuery {
    /// All feature flags, and the experiments that are not defined, by key, as the program that answers uses them: at
    /// most a second old. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn feature_flags(&self, ctx: &Context<'_>) -> Result<Vec<FeatureFlagNode>> {
        let flags = node::from_context(ctx)?;
        Ok(flags.list().into_iter().map(|record| FeatureFlagNode::new(record, flags)).collect())
    }

    /// A feature flag, or an experiment that is not defined, as the program that answers uses it: at most a second old.
    /// For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn feature_flag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key, e.g. `search.ranking`.")] key: String,
    ) -> Result<Option<FeatureFlagNode>> {
        let key = parse_value("key", &key, FlagKey::try_new)?;
        let flags = node::from_context(ctx)?;
        let found = flags.list().into_iter().find(|record| record.key == key);
        Ok(found.map(|record| FeatureFlagNode::new(record, flags)))
    }

    /// Recorded changes of a feature flag, oldest first; empty if there is none with that key. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn feature_flag_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flag's key.")] key: String,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<FeatureFlagHistoryNode> {
        let key = parse_value("key", &key, FlagKey::try_new)?;
        let first = pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?;
        let log = error::require_context_data(ctx.data::<AppContext>())?.runtime.log();
        let found = log.load_stream(FeatureFlag::TYPE, key.as_str(), after.unwrap_or_default(), first + 1).await;
        let mut events = found.map_err(|error| error::unavailable(&error))?;
        let limit = usize::try_from(first).unwrap_or(usize::MAX);
        let has_more = events.len() > limit;
        events.truncate(limit);
        let changes = events.into_iter().map(FeatureFlagChangeNode::from_event).collect::<Result<_>>()?;
        Ok(FeatureFlagHistoryNode { changes, has_more })
    }
}
