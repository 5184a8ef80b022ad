//! Counting the names that a document gives to fields: each makes the same field be answered once more.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// How many there are, in operations and fragments.
pub(super) fn count(document: &ExecutableDocument) -> usize {
    let operations = document.operations.iter().map(|(_, operation)| within(&operation.node.selection_set.node));
    let fragments = document.fragments.values().map(|fragment| within(&fragment.node.selection_set.node));
    operations.chain(fragments).sum()
}

fn within(set: &SelectionSet) -> usize {
    let of = |selection: &Selection| match selection {
        Selection::Field(field) => usize::from(field.node.alias.is_some()) + within(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => within(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 0,
    };
    set.items.iter().map(|item| of(&item.node)).sum()
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn aliases_are_counted_wherever_they_are() {
        let of = |text: &str| count(&parse_query(text).unwrap());
        assert_eq!(of("{ a b { c } }"), 0);
        assert_eq!(of("{ x: a y: b { z: c ... on T { w: d } ...f } } fragment f on T { v: e }"), 5);
    }
}
