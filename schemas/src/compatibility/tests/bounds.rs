//! Tests that the cost of the check depends on the size of the schemas' texts, not on the size of their values.

use super::*;
use crate::fixture::doubling::{doubling_fields, doubling_schema, record};

/// The steps for one level of a doubling schema: two types of the field, four fields, and the two types in it.
const STEPS_PER_LEVEL: usize = 12;

/// Compares two schemas; returns the number of steps and the findings.
fn compare_counted(reader: &Value, writer: &Value) -> (usize, Vec<SchemaIncompatibility>) {
    let (reader, writer) = (parse_schema(reader), parse_schema(writer));
    let mut comparison = SchemaComparison::new(&reader, &writer);
    let found = comparison.compare_whole(&reader, &writer);
    (comparison.steps, found)
}

fn int_leaf(name: &str) -> Value {
    json!([{ "name": name, "type": "int" }])
}

#[test]
fn each_pair_of_named_types_is_compared_once() {
    for levels in [20, 40, 200] {
        let schema = doubling_schema(levels, &int_leaf("n"));
        let (steps, found) = compare_counted(&schema, &schema);
        assert!(found.is_empty(), "{found:?}");
        assert!(steps <= STEPS_PER_LEVEL * (levels + 1), "{steps} steps for {levels} levels");
    }
}

#[test]
fn each_pair_is_compared_once_from_the_outermost_type_inwards() {
    for levels in [40, 200] {
        // The fields that define the levels are not compared, so that the comparison starts at the outermost level.
        let schema = |prefix: &str| {
            let mut fields = doubling_fields(prefix, levels, &int_leaf("n"), None);
            fields.push(json!({ "name": "z", "type": format!("x{}", levels - 1) }));
            record("top", &json!(fields))
        };
        let (steps, found) = compare_counted(&schema("new"), &schema("old"));
        assert!(steps <= STEPS_PER_LEVEL * (levels + 1), "{steps} steps for {levels} levels");
        assert!(found.iter().all(|found| found.reason == "is new and has no default"), "{found:?}");
        assert_eq!(found.len(), levels.min(MAX_LISTED));
    }
}

#[test]
fn a_problem_of_a_shared_type_is_listed_for_each_path_up_to_a_limit() {
    let text_leaf = json!([{ "name": "n", "type": "string" }]);
    let two = |leaf: &Value| doubling_schema(2, leaf);
    assert_eq!(
        find_reasons(&two(&int_leaf("n")), &two(&text_leaf)),
        [
            "d0.n: changed from string to int",
            "d1.a.n: changed from string to int",
            "d1.b.n: changed from string to int",
        ]
    );
    let (steps, found) = compare_counted(&doubling_schema(40, &int_leaf("n")), &doubling_schema(40, &text_leaf));
    assert_eq!(found.len(), MAX_LISTED);
    assert!(steps <= 40 * (STEPS_PER_LEVEL + 3 * MAX_LISTED), "{steps} steps");
}

#[test]
fn a_conditional_result_is_dropped_when_the_outer_type_is_incompatible() {
    let inner = |of: &str| record("B", &json!([{ "name": "a", "type": ["null", of] }]));
    let outer = |namespace: &str, fields: Value| json!({ "type": "record", "name": "A", "namespace": namespace, "fields": fields });
    let with_inner = |kind: &str| json!([{ "name": "b", "type": inner("A") }, { "name": "n", "type": kind }]);
    let old = record(
        "top",
        &json!([
            { "name": "u", "type": outer("o", with_inner("string")) },
            { "name": "v", "type": "o.B" },
        ]),
    );
    // The second branch reads `u`. While the first branch was compared, `B` was compatible under an assumption.
    let new = record(
        "top",
        &json!([
            { "name": "u", "type": [
                outer("p", with_inner("int")),
                outer("q", json!([{ "name": "n", "type": "string" }])),
            ] },
            { "name": "v", "type": "p.B" },
        ]),
    );
    assert_eq!(find_reasons(&new, &old), ["v.a.n: changed from string to int"]);
}

#[test]
fn a_reference_by_alias_is_resolved() {
    let schema = record(
        "top",
        &json!([
            { "name": "a", "type": { "type": "record", "name": "A", "aliases": ["Z"], "fields": [] } },
            { "name": "b", "type": "Z" },
        ]),
    );
    assert_eq!(find_reasons(&schema, &schema), Vec::<String>::new());
}

#[test]
fn schemas_beyond_the_limits_are_incompatible() {
    let deep = |prefix: &str| {
        let mut fields = doubling_fields(prefix, 400, &int_leaf("n"), None);
        fields.push(json!({ "name": "z", "type": "x399" }));
        record("top", &json!(fields))
    };
    let reasons = find_reasons(&deep("new"), &deep("old"));
    assert_eq!(reasons, ["top: its types are nested more than 256 levels deep"]);

    let branches =
        |prefix: &str| -> Vec<Value> { (0..500).map(|at| record(&format!("{prefix}{at}"), &json!([]))).collect() };
    let (steps, found) = compare_counted(&field(&json!(branches("new"))), &field(&json!(branches("old"))));
    assert!(found.len() == 1 && found[0].reason.contains("the comparison takes more than"), "{found:?}");
    assert!(steps <= MAX_COMPARISON_STEPS + 2 * 500, "{steps} steps");
}

#[test]
fn paths_and_reasons_are_bounded() {
    let long = "n".repeat(100_000);
    let (_, found) = compare_counted(&doubling_schema(30, &int_leaf(&long)), &doubling_schema(30, &json!([])));
    assert_eq!(found.len(), MAX_LISTED);
    let longest = found.iter().map(|found| found.path.len().max(found.reason.len())).max().unwrap();
    assert!(longest <= MAX_TEXT_BYTES + '…'.len_utf8(), "{longest} bytes");
}
