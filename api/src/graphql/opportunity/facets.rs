//! Counts of the opportunities of a list by the values of dimensions.

use async_graphql::{Context, Enum, Result, SimpleObject};
use projections::{
    opportunity_analytics::OpportunitySelection,
    opportunity_lists::{FacetCount, FacetDimension},
};

use crate::{
    graphql::{
        error::{self, invalid_field},
        pagination, read_models,
    },
    opportunity_lists::ListFacetQuery,
};

/// A dimension that opportunities are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OpportunityFacetDimension")]
pub(super) enum FacetDimensionInput {
    /// Department; the value is its code, the label its name.
    Agency,
    /// Type of the current notice.
    Type,
    /// Set-aside code.
    SetAside,
    /// The first two digits of the NAICS code.
    NaicsSector,
    /// State where the work is done; lists cannot be filtered by it.
    State,
}

/// The counts by one dimension.
#[derive(Debug, PartialEq, Eq, SimpleObject)]
#[graphql(name = "OpportunityFacet")]
pub(super) struct FacetNode {
    /// Dimension.
    dimension: FacetDimensionInput,
    /// The most frequent values, the most frequent first. Opportunities without a value are not counted.
    values: Vec<FacetValueNode>,
    /// Whether there are more values.
    has_more: bool,
}

/// The count of one value.
#[derive(Debug, PartialEq, Eq, SimpleObject)]
#[graphql(name = "OpportunityFacetValue")]
struct FacetValueNode {
    /// Value, as the filter takes it.
    value: String,
    /// The value for people; the value itself unless there is a name.
    label: String,
    /// Number of opportunities with this value that match the filter.
    count: u64,
    /// Whether `count` is exact; otherwise it is a lower bound.
    is_exact: bool,
}

impl FacetDimensionInput {
    fn to_dimension(self) -> FacetDimension {
        match self {
            Self::Agency => FacetDimension::Agency,
            Self::Type => FacetDimension::NoticeType,
            Self::SetAside => FacetDimension::SetAside,
            Self::NaicsSector => FacetDimension::NaicsSector,
            Self::State => FacetDimension::State,
        }
    }
}

/// Counts the opportunities of `selection` by each dimension, in the order of `dimensions`; at most `limit` values of
/// each.
pub(super) async fn load_facets(
    ctx: &Context<'_>,
    selection: &OpportunitySelection,
    dimensions: Vec<FacetDimensionInput>,
    limit: Option<i32>,
) -> Result<Vec<FacetNode>> {
    let limit = crate::pagination::check_page_size(limit, pagination::DEFAULT_PAGE_SIZE)
        .map_err(|_| invalid_field("limit", format!("limit is not between 1 and {}", pagination::MAX_PAGE_SIZE)))?;
    let dimensions = distinct_dimensions(dimensions);
    if dimensions.is_empty() {
        return Ok(vec![]);
    }
    let query = ListFacetQuery {
        selection: selection.clone(),
        dimensions: dimensions.iter().map(|dimension| dimension.to_dimension()).collect(),
    };
    let lists = read_models::from_context(ctx)?.opportunity_lists().await?;
    let counts = lists.fetch_facets(query).await.map_err(|error| error::list_error(&error))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(dimensions.into_iter().map(|dimension| to_facet(dimension, &counts, limit)).collect())
}

/// Each dimension once, in the order of their first occurrence.
fn distinct_dimensions(dimensions: Vec<FacetDimensionInput>) -> Vec<FacetDimensionInput> {
    let mut distinct = vec![];
    for dimension in dimensions {
        if !distinct.contains(&dimension) {
            distinct.push(dimension);
        }
    }
    distinct
}

fn to_facet(dimension: FacetDimensionInput, counts: &[FacetCount], limit: usize) -> FacetNode {
    let mut own = counts.iter().filter(|count| count.dimension == dimension.to_dimension());
    let values = own.by_ref().take(limit).map(|count| FacetValueNode {
        value: count.value.clone(),
        label: count.label.clone().unwrap_or_else(|| count.value.clone()),
        count: count.count,
        is_exact: count.exact,
    });
    let values = values.collect();
    FacetNode { dimension, values, has_more: own.next().is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(dimension: FacetDimension, value: &str, label: Option<&str>, count: u64) -> FacetCount {
        FacetCount { dimension, value: value.to_owned(), label: label.map(str::to_owned), count, exact: true }
    }

    #[test]
    fn a_facet_has_the_values_of_its_dimension_up_to_the_limit() {
        let counts = [
            count(FacetDimension::Agency, "097", Some("DEPT OF DEFENSE"), 9),
            count(FacetDimension::SetAside, "SBA", None, 4),
            count(FacetDimension::Agency, "036", Some("VETERANS AFFAIRS, DEPARTMENT OF"), 2),
        ];
        let agencies = to_facet(FacetDimensionInput::Agency, &counts, 1);
        assert_eq!((agencies.values.len(), agencies.has_more), (1, true));
        assert_eq!((agencies.values[0].label.as_str(), agencies.values[0].count), ("DEPT OF DEFENSE", 9));
        let set_asides = to_facet(FacetDimensionInput::SetAside, &counts, 1);
        assert_eq!((set_asides.values[0].label.as_str(), set_asides.has_more), ("SBA", false));
        assert_eq!(to_facet(FacetDimensionInput::State, &counts, 5).values, []);
    }

    #[test]
    fn a_dimension_that_is_named_twice_is_counted_once() {
        use FacetDimensionInput::{Agency, Type};
        assert_eq!(distinct_dimensions(vec![Type, Agency, Type]), [Type, Agency]);
    }
}
