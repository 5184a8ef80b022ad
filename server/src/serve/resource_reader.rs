//! Reads the resources of companies from the read model, for the comparison with documents.

use api::app_context::ActiveReadModels;
use document_analysis::{ResourcePage, ResourceReadError, ResourceReader};
use domain::{resource::Resource, value::TenantId};
use futures::{FutureExt as _, future::BoxFuture};
use projections::tenant_views::{ListCursor, ListGroup};

/// Reads resources from the active read model of tenants' aggregates.
pub(super) struct TenantResourceReader {
    pub(super) read_models: ActiveReadModels,
}

impl ResourceReader for TenantResourceReader {
    fn read_page<'a>(
        &'a self,
        tenant: &'a TenantId,
        limit: u32,
        after: Option<String>,
    ) -> BoxFuture<'a, Result<ResourcePage, ResourceReadError>> {
        let models = self.read_models.current();
        async move {
            let after: Option<ListCursor> =
                after.as_deref().map(str::parse).transpose().map_err(ResourceReadError::new)?;
            let group = ListGroup::all();
            let page = models.tenant_views.list_aggregates::<Resource>(tenant, &group, limit, after.as_ref()).await;
            let page = page.map_err(ResourceReadError::new)?;
            let last = page.items.last().map(|(_, cursor, _)| cursor.to_string());
            let resources = page.items.into_iter().filter_map(|(_, _, stored)| match stored.state {
                Resource::Present(content) => Some(content),
                Resource::Absent | Resource::Deleted => None,
            });
            Ok(ResourcePage { resources: resources.collect(), next: last.filter(|_| page.has_more) })
        }
        .boxed()
    }
}
