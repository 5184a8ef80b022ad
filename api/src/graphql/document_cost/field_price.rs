//! What it costs to answer a field, apart from the fields inside it.

use async_graphql::parser::types::OperationType;

use crate::graphql::pagination;

/// A round trip to a store.
const ROUND_TRIP_COST: usize = 10;

/// Events read from the log.
const HISTORY_COST: usize = 50;

/// A command: read, decided on, recorded.
const COMMAND_COST: usize = 50;

/// Counting over everything, as a list of opportunities does for its total, or ranking everything by meaning and by
/// words.
const FULL_SCAN_COST: usize = 200;

/// Introspection: how many entries of the schema one document may ask for. GraphiQL's and the code generators' own
/// documents ask for some 60,000, by the sizes below.
pub(super) const INTROSPECTION_SCALE: IntrospectionScale = IntrospectionScale { entries: 150_000, complexity: 1_000 };

/// How the entries of introspection are charged.
pub(super) struct IntrospectionScale {
    /// So many entries ...
    pub(super) entries: usize,
    /// ... cost that much.
    pub(super) complexity: usize,
}

/// What is known of a field by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldPrice {
    /// What the field itself costs.
    pub(super) base: usize,
    /// How many entries its list has where `first` is not given; `None` where it has no such list.
    pub(super) default_entries: Option<u32>,
}

/// The price of a field; `root` is the operation that it is a field of, `None` further inside.
pub(super) fn price_field(root: Option<OperationType>, name: &str) -> FieldPrice {
    let of = |base, default_entries| FieldPrice { base, default_entries };
    match (root, name) {
        // A change looks its token up in the log.
        (None, name) => of(if name == "consistencyToken" { ROUND_TRIP_COST } else { 1 }, None),
        (Some(_), "__typename") => of(1, None),
        (Some(OperationType::Mutation), _) => of(COMMAND_COST, None),
        (Some(OperationType::Subscription), "opportunityDashboard")
        | (Some(OperationType::Query), "opportunityStats") => of(FULL_SCAN_COST, None),
        (Some(OperationType::Query), name) => match name {
            "searchOpportunities" | "similarOpportunities" | "recommendedOpportunities" | "searchWorkspace" => {
                of(FULL_SCAN_COST, Some(pagination::DEFAULT_HIT_COUNT))
            }
            "opportunityHistory" | "proposalHistory" | "documentHistory" | "resourceHistory" | "taskHistory" => {
                of(HISTORY_COST, Some(pagination::DEFAULT_PAGE_SIZE))
            }
            "opportunities" => of(FULL_SCAN_COST, Some(pagination::DEFAULT_PAGE_SIZE)),
            "proposals" | "documents" | "resources" | "tasks" | "savedOpportunities" | "notifications" => {
                of(ROUND_TRIP_COST, Some(pagination::DEFAULT_PAGE_SIZE))
            }
            _ => of(ROUND_TRIP_COST, None),
        },
        (Some(OperationType::Subscription), _) => of(ROUND_TRIP_COST, None),
    }
}

/// The price of an argument beyond its values: reading something as it was reads the log.
pub(super) fn price_argument(name: &str) -> usize {
    if name == "asOf" { HISTORY_COST } else { 0 }
}

/// Where introspection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IntrospectionPlace {
    /// In data, no introspection.
    Data,
    /// At one entry of the schema.
    Entry,
    /// At all types, one after the other.
    EveryType,
    /// At all fields of all types, one after the other.
    EveryField,
}

/// How many entries that list has there, and where its entries are; rounded up from the schema as it is, which a test
/// compares. A field of all types together has the mean number of entries, one that may be of the largest type the
/// largest number.
pub(super) fn price_introspection(place: IntrospectionPlace, name: &str) -> (usize, IntrospectionPlace) {
    match (place, name) {
        (IntrospectionPlace::Data, name) if name != "__schema" && name != "__type" => (1, IntrospectionPlace::Data),
        (_, "types") => (140, IntrospectionPlace::EveryType),
        (IntrospectionPlace::EveryType, "fields") => (6, IntrospectionPlace::EveryField),
        (IntrospectionPlace::EveryType, "inputFields" | "enumValues" | "interfaces" | "possibleTypes")
        | (_, "interfaces") => (2, IntrospectionPlace::Entry),
        (_, "fields") => (60, IntrospectionPlace::Entry),
        (_, "inputFields" | "enumValues") => (25, IntrospectionPlace::Entry),
        (_, "possibleTypes" | "directives") => (10, IntrospectionPlace::Entry),
        (IntrospectionPlace::Entry | IntrospectionPlace::EveryType, "args") | (_, "locations") => {
            (7, IntrospectionPlace::Entry)
        }
        // `__schema`, `__type`, what is no list, and the arguments of all fields: one each, on the mean.
        (
            IntrospectionPlace::Data
            | IntrospectionPlace::Entry
            | IntrospectionPlace::EveryType
            | IntrospectionPlace::EveryField,
            _,
        ) => (1, IntrospectionPlace::Entry),
    }
}
