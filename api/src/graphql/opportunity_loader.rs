//! Asking for many things of one kind at once, however many places of an answer want one.

use std::{collections::HashMap, sync::Arc};

use async_graphql::dataloader::Loader;
use domain::opportunity::OpportunityId;
use projections::{QueryError, opportunity_views::OpportunityViews};

use super::opportunity::OpportunityNode;

/// Loads opportunities by their ids, in one round trip.
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
