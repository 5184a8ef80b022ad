//! The cost of a field without the fields inside it.

use async_graphql::parser::types::OperationType;

use super::paged_fields;
use crate::graphql::pagination;

/// Cost of a round trip to a store.
const ROUND_TRIP_COST: usize = 10;

/// Cost of reading events from the log.
const HISTORY_COST: usize = 50;

/// Cost of a command, which loads, decides and appends.
const COMMAND_COST: usize = 50;

/// Cost of a request for texts of language models.
const GENERATION_COST: usize = 500;

/// Cost of a page by an index with a count of bounded size, and of counts by dimensions.
const COUNT_COST: usize = 50;

/// Cost of reading all rows, or of ranking them by meaning and words.
const FULL_SCAN_COST: usize = 200;

/// How introspection is charged, and how many entries of the schema one document may request. The documents of GraphiQL
/// and of code generators request about 60,000, by the sizes below.
pub(super) const INTROSPECTION_SCALE: IntrospectionScale = IntrospectionScale { entries: 150_000, complexity: 1_000 };

/// The price of introspection.
pub(super) struct IntrospectionScale {
    /// Maximum number of entries.
    pub(super) entries: usize,
    /// Complexity of that many entries; fewer are charged in proportion.
    pub(super) complexity: usize,
}

/// The price of a field, determined by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldPrice {
    /// Cost of the field itself.
    pub(super) base: usize,
    /// Number of entries of its list without the argument [`Self::page_argument`]; `None` if it has no such list.
    pub(super) default_entries: Option<u32>,
    /// Whether its cost counts once for the list that it is a field of, and not for each entry.
    pub(super) is_about_list: bool,
}

impl FieldPrice {
    /// The argument that says how many entries its list has.
    pub(super) fn page_argument(self) -> &'static str {
        if self.is_about_list { "limit" } else { "first" }
    }
}

/// Returns the price of a field. A list that is not named here has the price of a page that one round trip returns.
/// `root` is the type of the operation for root fields, `None` for all others.
pub(super) fn price_field(root: Option<OperationType>, name: &str) -> FieldPrice {
    let price = |base, default_entries| FieldPrice { base, default_entries, is_about_list: false };
    match (root, name) {
        (None, "facets") => {
            FieldPrice { base: COUNT_COST, default_entries: Some(pagination::DEFAULT_PAGE_SIZE), is_about_list: true }
        }
        // The consistency token of a change is looked up in the log.
        (None, name) => price(if name == "consistencyToken" { ROUND_TRIP_COST } else { 1 }, None),
        (Some(_), "__typename") => price(1, None),
        (Some(OperationType::Mutation), "generateProposal") => price(GENERATION_COST, None),
        (Some(OperationType::Mutation), _) => price(COMMAND_COST, None),
        (Some(OperationType::Subscription), "opportunityDashboard")
        | (Some(OperationType::Query), "opportunityStats" | "experimentReport") => price(FULL_SCAN_COST, None),
        (
            Some(OperationType::Query),
            "searchOpportunities" | "similarOpportunities" | "recommendedOpportunities" | "searchWorkspace",
        ) => price(FULL_SCAN_COST, Some(pagination::DEFAULT_HIT_COUNT)),
        (Some(OperationType::Query), name) if paged_fields::is_paged(name) => {
            let base = match name {
                "opportunities" => COUNT_COST,
                name if name.ends_with("History") => HISTORY_COST,
                _ => ROUND_TRIP_COST,
            };
            price(base, Some(pagination::DEFAULT_PAGE_SIZE))
        }
        (Some(OperationType::Query | OperationType::Subscription), _) => price(ROUND_TRIP_COST, None),
    }
}

/// Returns the price of an argument beyond its values: an as-of read reads the log.
pub(super) fn price_argument(name: &str) -> usize {
    if name == "asOf" { HISTORY_COST } else { 0 }
}

/// Position of a selection within introspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IntrospectionPlace {
    /// Not in introspection.
    Data,
    /// At one entry of the schema.
    Entry,
    /// At each of all types.
    EveryType,
    /// At each field of all types.
    EveryField,
}

/// Returns the number of entries of a list at `place`, and the place of its entries. The numbers are rounded up from
/// the current schema; a test compares them. For a field of all types it is the mean number of entries, for a field of
/// one type, which may be the largest, the maximum.
pub(super) fn price_introspection(place: IntrospectionPlace, name: &str) -> (usize, IntrospectionPlace) {
    match (place, name) {
        (IntrospectionPlace::Data, name) if name != "__schema" && name != "__type" => (1, IntrospectionPlace::Data),
        (_, "types") => (180, IntrospectionPlace::EveryType),
        (IntrospectionPlace::EveryType, "fields") => (6, IntrospectionPlace::EveryField),
        (IntrospectionPlace::EveryType, "inputFields" | "enumValues" | "interfaces" | "possibleTypes")
        | (_, "interfaces") => (2, IntrospectionPlace::Entry),
        (_, "fields") => (60, IntrospectionPlace::Entry),
        (_, "inputFields" | "enumValues") => (25, IntrospectionPlace::Entry),
        (_, "possibleTypes" | "directives") => (10, IntrospectionPlace::Entry),
        (IntrospectionPlace::Entry | IntrospectionPlace::EveryType, "args") | (_, "locations") => {
            (7, IntrospectionPlace::Entry)
        }
        // `__schema`, `__type`, fields that are no lists, and the arguments of all fields: one each on average.
        (
            IntrospectionPlace::Data
            | IntrospectionPlace::Entry
            | IntrospectionPlace::EveryType
            | IntrospectionPlace::EveryField,
            _,
        ) => (1, IntrospectionPlace::Entry),
    }
}
