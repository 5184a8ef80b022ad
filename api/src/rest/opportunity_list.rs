//! `/api/v1/opportunities`: lists of federal contract opportunities, which are public.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use projections::{
    OpportunityCriteria, TimeRange,
    opportunity_analytics::OpportunitySelection,
    opportunity_lists::{FacetCount, FacetDimension, OpportunityItem, OpportunityListCursor, OpportunityOrder},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    RestState,
    extractors::{ValidQuery, invalid_field},
    responses::{CONSISTENCY_TOKEN, page_size, wait_for_consistency},
};
use crate::{
    http::problem::Problem,
    opportunity_lists::{
        ListFacetQuery, ListPageQuery, OpportunityListError, OpportunityOrderInput, RequestListReader,
    },
    tenant_commands::CommandFailure,
};

/// Longest search text, in characters.
const MAX_TEXT_CHARS: usize = 500;

/// Most values of a facet.
const MAX_FACET_VALUES: usize = 20;

/// Selects a page of opportunities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OpportunityListParams {
    /// Entries on the page; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    first: Option<u32>,
    /// `next` of the previous page, which has the same order.
    after: Option<String>,
    /// Words that must all occur in title, solicitation number or text, ignoring case; a word of three characters or more
    /// also matches longer words that begin with it.
    #[param(max_length = 500)]
    text: Option<String>,
    /// Department code, e.g. `036`.
    agency: Option<String>,
    /// Prefix of the NAICS code.
    naics: Option<String>,
    /// Earliest publication time.
    posted_from: Option<DateTime<Utc>>,
    /// Latest publication time.
    posted_to: Option<DateTime<Utc>>,
    /// Order; `posted_newest` by default. Opportunities without the value are last in every order.
    #[param(inline)]
    order: Option<OpportunityOrderInput>,
    /// What to count the whole list by, separated by commas: `agency`, `type`, `set_aside`, `naics_sector`, `state`.
    #[param(max_length = 100)]
    facets: Option<String>,
}

/// An opportunity in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OpportunitySummary)]
pub(super) struct OpportunityListEntry {
    /// Department code and solicitation number.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Title of the current notice.
    title: String,
    /// Type of the current notice.
    notice_type: String,
    /// Code of the department.
    agency_code: String,
    /// Name of the department.
    agency_name: String,
    /// The agency's solicitation number.
    solicitation_number: Option<String>,
    /// Set-aside, if any.
    set_aside: Option<String>,
    /// NAICS code of the industry.
    naics: Option<String>,
    /// When the current notice was published.
    posted_at: DateTime<Utc>,
    /// Deadline for responses.
    response_deadline: Option<DateTime<Utc>>,
    /// Number of awards.
    awards: u64,
    /// Total of the known award amounts, in cents.
    awarded_cents: Option<i64>,
}

/// A page of opportunities.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedOpportunities)]
pub(super) struct OpportunityListPage {
    /// The entries, in the order of the list.
    items: Vec<OpportunityListEntry>,
    /// `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Number of entries on all pages; a lower bound if `totalIsExact` is false.
    total: u64,
    /// Whether `total` is exact.
    total_is_exact: bool,
    /// The whole list counted by the requested dimensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<Vec<OpportunityFacet>>,
}

/// The counts by one dimension.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityFacet {
    /// The dimension.
    dimension: String,
    /// The 20 most frequent values, the most frequent first.
    values: Vec<OpportunityFacetValue>,
    /// Whether there are more values.
    has_more: bool,
}

/// The count of one value.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpportunityFacetValue {
    /// The value.
    value: String,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Number of opportunities with this value.
    count: u64,
    /// Whether `count` is exact; otherwise it is a lower bound.
    is_exact: bool,
}

/// The dimensions with their names.
const DIMENSION_NAMES: [(&str, FacetDimension); 5] = [
    ("agency", FacetDimension::Agency),
    ("type", FacetDimension::NoticeType),
    ("set_aside", FacetDimension::SetAside),
    ("naics_sector", FacetDimension::NaicsSector),
    ("state", FacetDimension::State),
];

impl From<OpportunityItem> for OpportunityListEntry {
    fn from(item: OpportunityItem) -> Self {
        let OpportunityItem { cursor: _, entry, awards, awarded_cents } = item;
        Self {
            id: entry.id,
            version: entry.sequence.cast_unsigned(),
            title: entry.title,
            notice_type: entry.notice_type,
            agency_code: entry.agency_code,
            agency_name: entry.agency_name,
            solicitation_number: entry.solicitation_number,
            set_aside: entry.set_aside,
            naics: entry.naics,
            posted_at: entry.posted_at,
            response_deadline: entry.response_deadline,
            awards,
            awarded_cents,
        }
    }
}

impl From<OpportunityListError> for Problem {
    fn from(error: OpportunityListError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match &error {
            OpportunityListError::Query(failed) => CommandFailure::unavailable(&**failed).into(),
            OpportunityListError::TotalNotRead => {
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "internal error")
            }
            OpportunityListError::BeingBuilt => Self::new(unavailable, "UNAVAILABLE", error.to_string()),
            OpportunityListError::TooManyQueries(refusal) => {
                Self::new(unavailable, "UNAVAILABLE", error.to_string()).with_retry_after(refusal.retry_after_s)
            }
        }
    }
}

/// Lists opportunities, the latest notice first unless another order is requested.
#[utoipa::path(get, path = "/api/v1/opportunities", tag = "opportunities", params(OpportunityListParams), responses(
    (status = 200, body = OpportunityListPage), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list_opportunities(
    State(rest): State<Arc<RestState>>,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<OpportunityListParams>,
) -> Result<Json<OpportunityListPage>, Problem> {
    let first = page_size(query.first)?;
    let cursor = |after: String| {
        after.parse::<OpportunityListCursor>().map_err(|_| invalid_field("after", "it is not a valid cursor"))
    };
    let after = query.after.map(cursor).transpose()?;
    if query.text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        return Err(invalid_field("text", format!("text is longer than {MAX_TEXT_CHARS} characters")));
    }
    let text = query.text.as_ref().filter(|text| !text.trim().is_empty());
    if text.is_some_and(|text| !text.chars().any(char::is_alphanumeric)) {
        return Err(invalid_field("text", "it has no letter and no digit"));
    }
    for (field, value) in [("text", &query.text), ("agency", &query.agency), ("naics", &query.naics)] {
        // Postgres cannot compare with it, and no stored value contains it.
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(invalid_field(field, "it contains a NUL character"));
        }
    }
    let single = |value: Option<String>| value.filter(|value| !value.trim().is_empty()).into_iter().collect();
    let filter = OpportunityCriteria {
        agencies: single(query.agency),
        naics: single(query.naics),
        posted: TimeRange { from: query.posted_from, to: query.posted_to },
        ..OpportunityCriteria::default()
    };
    let selection = OpportunitySelection { filter, text: query.text.filter(|text| !text.trim().is_empty()) };
    let order = query.order.map(OpportunityOrder::from).unwrap_or_default();
    if order == OpportunityOrder::Relevance && selection.text.is_none() {
        return Err(invalid_field("order", "the order relevance needs text"));
    }
    let dimensions = query.facets.as_deref().map(parse_dimensions).transpose()?;
    let query = ListPageQuery::try_new(selection.clone(), order, after, first)
        .map_err(|mismatch| invalid_field("after", mismatch.to_string()))?
        .with_total();
    let lists = open_lists(&rest, &headers).await?;
    let page = lists.fetch_page(query).await?;
    let total = page.total.ok_or(OpportunityListError::TotalNotRead)?;
    let facets = match dimensions {
        None => None,
        Some(dimensions) => {
            let counts = lists.fetch_facets(ListFacetQuery { selection, dimensions: dimensions.clone() }).await?;
            Some(dimensions.into_iter().map(|dimension| to_facet(dimension, &counts)).collect())
        }
    };
    Ok(Json(OpportunityListPage {
        next: page.items.last().filter(|_| page.has_next).map(|item| item.cursor.to_string()),
        total: total.count,
        total_is_exact: total.exact,
        items: page.items.iter().cloned().map(Into::into).collect(),
        facets,
    }))
}

/// The lists, once they contain what the request's consistency token demands.
async fn open_lists(rest: &RestState, headers: &HeaderMap) -> Result<RequestListReader, Problem> {
    let (models, pointer) = rest.app.read_models.current_with_pointer();
    let lists = rest.app.opportunity_lists.open(&models, &pointer.generations).await;
    if !headers.contains_key(CONSISTENCY_TOKEN) {
        return Ok(lists);
    }
    wait_for_consistency(&rest.app, headers, lists.read_model()).await?;
    Ok(lists.without_shared_results())
}

/// Parses names of dimensions, separated by commas; each counts once.
fn parse_dimensions(names: &str) -> Result<Vec<FacetDimension>, Problem> {
    let mut dimensions = vec![];
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some((_, dimension)) = DIMENSION_NAMES.iter().find(|(known, _)| *known == name) else {
            let known = DIMENSION_NAMES.map(|(known, _)| known).join(", ");
            return Err(invalid_field("facets", format!("there is no such dimension; there are {known}")));
        };
        if !dimensions.contains(dimension) {
            dimensions.push(*dimension);
        }
    }
    Ok(dimensions)
}

fn to_facet(dimension: FacetDimension, counts: &[FacetCount]) -> OpportunityFacet {
    let name = DIMENSION_NAMES.iter().find(|(_, known)| *known == dimension).map_or("", |(name, _)| name);
    let mut own = counts.iter().filter(|count| count.dimension == dimension);
    let values = own.by_ref().take(MAX_FACET_VALUES).map(|count| OpportunityFacetValue {
        value: count.value.clone(),
        label: count.label.clone(),
        count: count.count,
        is_exact: count.exact,
    });
    let values = values.collect();
    OpportunityFacet { dimension: name.to_owned(), values, has_more: own.next().is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_parsed_from_their_names() {
        let parsed = parse_dimensions("type, agency,,type").unwrap();
        assert_eq!(parsed, [FacetDimension::NoticeType, FacetDimension::Agency]);
        assert!(parse_dimensions("agency,colour").is_err());
        for (name, dimension) in DIMENSION_NAMES {
            assert_eq!(parse_dimensions(name).unwrap(), [dimension]);
        }
    }
}
