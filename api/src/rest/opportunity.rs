//! `/api/v1/opportunities`: federal contract opportunities, which everybody may read.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::opportunity::OpportunityId;
use projections::{
    Filter, TimeRange,
    analytics::{Cursor, OpportunityItem, Selection},
    views::OpportunityView,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Rest,
    extract::{Asked, wrong},
    settled::{Listed, models, not_found, reach, shown, size},
};
use crate::http::problem::Problem;

/// Longest text that is searched for, in characters.
const MAX_TEXT: usize = 500;

/// Which page of which opportunities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpportunityQuery {
    /// How many; 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// Words that must all occur in title, number or text.
    #[param(max_length = 500)]
    text: Option<String>,
    /// Only of the department with this code, e.g. `036`.
    agency: Option<String>,
    /// Only with NAICS codes that begin so.
    naics: Option<String>,
    /// Only those that were published from then on.
    posted_from: Option<DateTime<Utc>>,
    /// Only those that were published until then.
    posted_to: Option<DateTime<Utc>>,
}

/// An opportunity in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunitySummary {
    /// Department code and solicitation number.
    id: String,
    /// How many changes are on record.
    version: u64,
    /// Its title.
    title: String,
    /// The kind of the current notice.
    notice_type: String,
    /// The department's code.
    agency_code: String,
    /// The department's name.
    agency_name: String,
    /// The agency's own number.
    solicitation_number: Option<String>,
    /// For whom it is set aside.
    set_aside: Option<String>,
    /// The industry, by its NAICS code.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// How many awards are on record.
    awards: u64,
    /// What they are worth together, in cents, where amounts are known.
    awarded_cents: Option<i64>,
}

/// An opportunity in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityDetail {
    /// Department code and solicitation number.
    id: String,
    /// How many changes are on record; also the `ETag`.
    version: u64,
    /// How far it has come: `open`, `awarded`, `cancelled` or `archived`.
    status: String,
    /// Its title.
    title: String,
    /// The text of the current notice.
    description: Option<String>,
    /// The department's code.
    agency_code: String,
    /// The department's name.
    agency_name: String,
    /// SAM.gov's id of the current notice.
    notice_id: String,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Until when responses are taken.
    response_deadline: Option<DateTime<Utc>>,
    /// How many awards are on record.
    awards: usize,
    /// What they are worth together, in cents, where amounts are known.
    awarded_cents: Option<i64>,
}

impl From<OpportunityItem> for OpportunitySummary {
    fn from(item: OpportunityItem) -> Self {
        Self {
            id: item.id,
            version: item.version,
            title: item.title,
            notice_type: item.notice_type,
            agency_code: item.agency_code,
            agency_name: item.agency_name,
            solicitation_number: item.solicitation_number,
            set_aside: item.set_aside,
            naics: item.naics,
            posted_at: item.posted_at,
            response_deadline: item.response_deadline,
            awards: item.awards,
            awarded_cents: item.awarded_cents,
        }
    }
}

impl From<OpportunityView> for OpportunityDetail {
    fn from(view: OpportunityView) -> Self {
        Self {
            id: view.id,
            version: view.version,
            status: view.status.name().to_owned(),
            title: view.facts.title,
            description: view.facts.description,
            agency_code: view.facts.agency.code,
            agency_name: view.facts.agency.name,
            notice_id: view.notice_id.to_string(),
            posted_at: view.posted_at,
            response_deadline: view.facts.response_deadline,
            awards: view.awards.len(),
            awarded_cents: view.awarded_cents,
        }
    }
}

/// Opportunities, the newest notice first.
#[utoipa::path(get, path = "/api/v1/opportunities", tag = "opportunities", params(OpportunityQuery), responses(
    (status = 200, body = Listed<OpportunitySummary>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(rest): State<Arc<Rest>>,
    headers: HeaderMap,
    Asked(query): Asked<OpportunityQuery>,
) -> Result<Json<Listed<OpportunitySummary>>, Problem> {
    let first = size(query.first)?;
    let cursor = |after: String| after.parse::<Cursor>().map_err(|_| wrong("after", "this is no cursor of ours"));
    let after = query.after.map(cursor).transpose()?;
    if query.text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT) {
        return Err(wrong("text", format!("text is longer than {MAX_TEXT} characters")));
    }
    let one = |value: Option<String>| value.filter(|value| !value.trim().is_empty()).into_iter().collect();
    let filter = Filter {
        agencies: one(query.agency),
        naics: one(query.naics),
        posted: TimeRange { from: query.posted_from, to: query.posted_to },
        ..Filter::default()
    };
    let selection = Selection { filter, text: query.text.filter(|text| !text.trim().is_empty()) };
    let models = models(&rest.stores);
    reach(&rest.stores, &headers, &models.analytics).await?;
    let page = models.analytics.list(&selection, after.as_ref(), first).await?;
    let next = page.items.last().filter(|_| page.has_next).map(|item| item.cursor().to_string());
    Ok(Json(Listed { next, total: page.total, items: page.items.into_iter().map(Into::into).collect() }))
}

/// One opportunity.
#[utoipa::path(get, path = "/api/v1/opportunities/{id}", tag = "opportunities",
    params(("id" = String, Path, description = "Department code and solicitation number, e.g. `097:SPE4A726RX326`")),
    responses((status = 200, body = OpportunityDetail), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn one(
    State(rest): State<Arc<Rest>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id =
        OpportunityId::parse(&id).ok_or_else(|| wrong("id", "an opportunity's id has the form department:number"))?;
    let models = models(&rest.stores);
    reach(&rest.stores, &headers, &models.views).await?;
    let view = models.views.get(&id).await?.ok_or_else(not_found)?;
    Ok(shown(&headers, view.version, OpportunityDetail::from(view)))
}
