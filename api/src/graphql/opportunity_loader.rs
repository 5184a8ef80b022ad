//! Batched loading of opportunities, so that a response with many references costs one round trip.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use domain::opportunity::OpportunityId;
use projections::{QueryError, opportunity_views::OpportunityViews};

use super::opportunity::OpportunityNode;

/// Loads opportunities by id in one round trip.
pub(super) struct OpportunityLoader(pub(super) OpportunityViews);

impl Loader<String> for OpportunityLoader {
    type Value = OpportunityNode;
    type Error = Arc<QueryError>;

    async fn load(&self, ids: &[String]) -> Result<HashMap<String, OpportunityNode>, Arc<QueryError>> {
        let ids: Vec<_> = ids.iter().filter_map(|id| OpportunityId::parse(id)).collect();
        let found = self.0.get_many(&ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|view| (view.id.clone(), OpportunityNode::from(view))).collect())
    }
}
