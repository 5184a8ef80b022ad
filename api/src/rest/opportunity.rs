//! `/api/v1/opportunities/{id}`: a federal contract opportunity. They are public.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::opportunity::OpportunityId;
use projections::opportunity_views::OpportunityView;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    RestState,
    extractors::invalid_field,
    responses::{not_found, read_models, view_response, wait_for_consistency},
};
use crate::http::problem::Problem;

/// An opportunity in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityDetail {
    /// Department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes; also the `ETag`.
    version: u64,
    /// Status: `open`, `awarded`, `cancelled` or `archived`.
    status: String,
    /// Title of the current notice.
    title: String,
    /// The text of the current notice.
    description: Option<String>,
    /// Code of the department.
    agency_code: String,
    /// Name of the department.
    agency_name: String,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Deadline for responses.
    response_deadline: Option<DateTime<Utc>>,
    /// Number of awards.
    awards: usize,
    /// Total of the known award amounts, in cents.
    awarded_cents: Option<i64>,
    /// URLs of its files and of further information; empty if it has none, null if that is not known.
    resource_links: Option<Vec<String>>,
}

impl From<OpportunityView> for OpportunityDetail {
    fn from(view: OpportunityView) -> Self {
        Self {
            id: view.id,
            version: view.version,
            status: view.status.name().to_owned(),
            title: view.details.title,
            description: view.details.description,
            agency_code: view.details.agency.code,
            agency_name: view.details.agency.name,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            response_deadline: view.details.response_deadline,
            awards: view.awards.len(),
            awarded_cents: view.awarded_cents,
            resource_links: view
                .details
                .resource_links
                .map(|links| links.iter().map(|link| link.as_str().to_owned()).collect()),
        }
    }
}

/// Returns an opportunity.
#[utoipa::path(get, path = "/api/v1/opportunities/{id}", tag = "opportunities",
    params(("id" = String, Path, description = "Department code and solicitation number, e.g. `097:SPE4A726RX326`")),
    responses((status = 200, body = OpportunityDetail), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn get_opportunity(
    State(rest): State<Arc<RestState>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = OpportunityId::parse(&id)
        .ok_or_else(|| invalid_field("id", "an opportunity's id has the form department:number"))?;
    let models = read_models(&rest.app);
    wait_for_consistency(&rest.app, &headers, &models.opportunity_views).await?;
    let view = models.opportunity_views.get(&id).await?.ok_or_else(not_found)?;
    Ok(view_response(&headers, view.version, OpportunityDetail::from(view)))
}
