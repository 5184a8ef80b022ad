//! The fields of queries that are lists, from the schema.

use std::{collections::HashSet, sync::LazyLock};

use async_graphql::{
    Positioned,
    parser::{
        self,
        types::{FieldDefinition, TypeDefinition, TypeKind, TypeSystemDefinition},
    },
};

/// The argument that says how many entries a page has.
const PAGE_ARGUMENT: &str = "first";

static PAGED_FIELDS: LazyLock<HashSet<String>> = LazyLock::new(|| find_paged_fields(&crate::graphql::sdl()));

/// Whether a field of queries is a list with pages.
pub(super) fn is_paged(name: &str) -> bool {
    PAGED_FIELDS.contains(name)
}

/// Reads the schema, which takes some milliseconds, so that the first document does not wait for it.
pub(in crate::graphql) fn load_paged_fields() {
    LazyLock::force(&PAGED_FIELDS);
}

/// The names of the fields of `Query` with the argument `first`.
fn find_paged_fields(sdl: &str) -> HashSet<String> {
    let schema = match parser::parse_schema(sdl) {
        Ok(schema) => schema,
        Err(error) => {
            // A test compares the fields with the schema.
            tracing::error!(%error, "the schema cannot be parsed; pages of lists are priced as one entry");
            return HashSet::new();
        }
    };
    let types = schema.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
    });
    let paged = types.filter(|definition| definition.name.node == "Query").flat_map(into_fields);
    let paged =
        paged.filter(|field| field.node.arguments.iter().any(|argument| argument.node.name.node == PAGE_ARGUMENT));
    paged.map(|field| field.node.name.node.to_string()).collect()
}

fn into_fields(definition: TypeDefinition) -> Vec<Positioned<FieldDefinition>> {
    match definition.kind {
        TypeKind::Object(object) => object.fields,
        TypeKind::Scalar
        | TypeKind::Interface(_)
        | TypeKind::Union(_)
        | TypeKind::Enum(_)
        | TypeKind::InputObject(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_of_queries_with_the_argument_first_are_paged() {
        let sdl = "type Query { a(first: Int, after: String): [Int!]! b(id: ID!): Int c: Int } \
                   type Other { d(first: Int): Int } enum E { F }";
        assert_eq!(find_paged_fields(sdl), HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn the_lists_of_the_schema_are_paged() {
        assert!(is_paged("proposals") && is_paged("taskHistory") && !is_paged("proposal"));
    }
}
