//! Tests of the cost of documents, and that measuring is cheap.

use std::{collections::HashSet, fmt::Write as _};

use async_graphql::{parser::types::OperationType, value};

use super::*;
use crate::graphql::document_parser::parse_document;

const LIMITS: QueryCostLimits = QueryCostLimits { complexity: 5_000, depth: 20, aliases: 50 };

fn measure_with_variables(text: &str, variables: ConstValue) -> Result<usize, QueryCostError> {
    let document = parse_document(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    measure_query_cost(&document, None, &Variables::from_value(variables), &LIMITS)
        .map(|measured| measured.cost.complexity)
}

fn cost(text: &str) -> usize {
    measure_with_variables(text, value!({})).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn measure_error(text: &str) -> QueryCostError {
    measure_with_variables(text, value!({})).expect_err(text)
}

#[test]
fn entries_searches_commands_and_values_count() {
    for (text, expected) in [
        ("{ __typename }", 1),
        ("{ a { b c { d } } }", 10 + 4 - 1),
        ("{ opportunities { totalCount } }", 50 + 20),
        ("{ opportunities(first: 5) { totalCount } }", 50 + 1 + 5),
        ("{ opportunities(first: null) { totalCount } }", 50 + 1 + 20),
        ("{ opportunities(first: 99999999999) { totalCount } }", 50 + 1 + 100),
        ("{ opportunities(first: -1) { totalCount } }", 50 + 1 + 100),
        (
            "{ opportunities(first: 1) { facets(dimensions: [AGENCY, TYPE], limit: 5) { values { count } } } }",
            50 + 1 + 50 + 4 + 2 * 5 * 2,
        ),
        // Facets count the whole list once, for any page size.
        (
            "{ opportunities(first: 100) { ...F } } fragment F on OpportunityConnection {
                facets(dimensions: TYPE, limit: 5) { values { count } } }",
            50 + 1 + 50 + 2 + 5 * 2,
        ),
        ("{ searchOpportunities(query: \"x\", first: 1) { id title } }", 200 + 2 + 2),
        ("{ proposal(asOf: { version: 1 }) { title } }", 10 + 50 + 2 + 1),
        ("{ proposals(first: 5) { totalCount } }", 10 + 1 + 5),
        ("{ notifications { totalCount } }", 10 + 20),
        ("{ taskHistory(id: \"1\") { totalCount } }", 50 + 1 + 20),
        ("mutation { amendOpportunity(input: { id: \"a\" }) { __typename } }", 50 + 2 + 1),
        ("mutation { amendOpportunity(input: { id: \"a\" }) { consistencyToken consistencyToken } }", 50 + 2 + 2 * 10),
        ("subscription { opportunityDashboard { total } }", 200 + 1),
        ("{ a(ids: [1 2 3]) @include(if: true) }", 10 + 4 + 1),
        // A fragment counts at each spread.
        (
            "{ ...F ...F } fragment F on Query { ...G ...G } fragment G on Query { opportunity(id: \"1\") { id } }",
            4 * 12,
        ),
        ("{ ... { ... on Query { a } } a }", 20),
    ] {
        assert_eq!(cost(text), expected, "{text}");
    }
}

#[test]
fn variables_count_as_often_as_they_are_read() {
    let text =
        "query($n: Int = 7, $ids: [String]) { opportunities(first: $n) { totalCount } a(ids: $ids) b(ids: $ids) }";
    assert_eq!(measure_with_variables(text, value!({})).unwrap(), 50 + 1 + 7 + 2 * 11);
    assert_eq!(measure_with_variables(text, value!({ "n": 3, "ids": ["a", "b"] })).unwrap(), 50 + 1 + 3 + 2 * (10 + 3));
    let (many, long) = (vec![1; 2_600], "x".repeat(3_000_000));
    assert!(measure_with_variables(text, value!({ "ids": many })).is_err(), "2,600 entries count twice");
    assert!(measure_with_variables(text, value!({ "ids": [long] })).is_err(), "three megabytes count twice");
}

#[test]
fn documents_that_multiply_their_cost_are_refused() {
    let levels = |spreads: usize, levels: usize| {
        let mut text = "query { ...f0 }".to_owned();
        for level in 0..levels {
            let next = format!("...f{} ", level + 1).repeat(spreads);
            write!(text, " fragment f{level} on Query {{ {next} }}").unwrap();
        }
        write!(text, " fragment f{levels} on Query {{ __typename }}").unwrap();
        text
    };
    let searches = (0..40)
        .map(|n| format!("a{n}: searchOpportunities(query: \"bed\", first: 1) {{ awarded }} "))
        .collect::<Vec<_>>()
        .concat();
    let spread_searches = format!("{{ {} }} fragment f on Query {{ {searches} }}", "...f ".repeat(60));
    let operations = (0..200).map(|n| format!("query q{n} {{ ...f0 }} ")).collect::<Vec<_>>().concat();
    let many_operations = format!("{operations}{}", levels(2, 6).trim_start_matches("query { ...f0 }"));
    for text in [levels(3, 30), levels(30, 3), levels(2, 12), spread_searches, format!("{{ {} }}", "a ".repeat(600))] {
        assert!(matches!(measure_error(&text), QueryCostError::TooComplex { .. }), "{text}");
    }
    let document = parse_document(&many_operations).unwrap();
    let error = measure_query_cost(&document, Some("q0"), &Variables::default(), &LIMITS).unwrap_err();
    assert!(matches!(error, QueryCostError::TooComplex { .. }), "all operations are validated: {error}");
}

#[test]
fn a_repeated_field_counts_each_time_it_is_executed() {
    let (search, read) = ("searchOpportunities(query: \"x\", first: 1) { id } ", "opportunity(id: \"036:X\") { id } ");
    let repeat = |field: &str, times: usize| format!("{{ {} }}", field.repeat(times));
    let spread = |field: &str, spreads: usize, times: usize| {
        format!("{{ {} }} fragment f on Query {{ {} }}", "...f ".repeat(spreads), field.repeat(times))
    };
    assert_eq!(cost(&repeat(search, 24)), 24 * 203);
    for text in [repeat(search, 25), spread(search, 5, 5), spread(search, 47, 8)] {
        assert!(matches!(measure_error(&text), QueryCostError::TooComplex { .. }), "{text}");
    }
    // Cheap root fields are limited by their number.
    assert_eq!(cost(&repeat(read, 64)), 64 * 12);
    for text in [repeat(read, 65), spread(read, 13, 5)] {
        assert!(matches!(measure_error(&text), QueryCostError::TooManyRootFields { limit: 64 }), "{text}");
    }
    let more_aliases = QueryCostLimits { aliases: 100, ..LIMITS };
    let document = parse_document(&repeat(read, 100)).unwrap();
    let measured = measure_query_cost(&document, None, &Variables::default(), &more_aliases);
    assert_eq!(measured.unwrap().cost.complexity, 100 * 12);
}

#[test]
fn documents_that_cannot_be_executed_are_refused_with_the_reason() {
    let chain = (0..600).map(|n| format!("fragment f{n} on Query {{ ...f{} }} ", n + 1)).collect::<Vec<_>>().concat();
    let chain = format!("{{ ...f0 }} {chain} fragment f600 on Query {{ a }}");
    let unused = format!("{{ a }} {}", chain.trim_start_matches("{ ...f0 }"));
    assert!(matches!(measure_error(&chain), QueryCostError::TooDeep { .. }));
    assert!(matches!(measure_error(&unused), QueryCostError::TooDeep { .. }));
    let deep = format!("{} a {}", "{ a ".repeat(21), "}".repeat(21));
    assert!(matches!(measure_error(&deep), QueryCostError::TooDeep { limit: 20, .. }));
    let named = (0..51).map(|n| format!("a{n}: __typename ")).collect::<Vec<_>>().concat();
    assert!(matches!(measure_error(&format!("{{ {named} }}")), QueryCostError::TooManyAliases { .. }));
    let spread = "{ ...F ...F ...F } fragment F on Query { ".to_owned() + &named[..named.len() / 2] + "__typename }";
    assert!(matches!(measure_error(&spread), QueryCostError::TooManyAliases { .. }));
    assert!(matches!(
        measure_error("{ ...A } fragment A on T { b { ...B } } fragment B on T { ...A }"),
        QueryCostError::FragmentCycle { .. }
    ));
    assert!(matches!(measure_error("{ a } fragment A on T { ...A }"), QueryCostError::FragmentCycle { .. }));
    assert!(matches!(measure_error("{ ...A }"), QueryCostError::UnknownFragment { .. }));
    assert!(matches!(measure_error("query A { a } query B { b }"), QueryCostError::AmbiguousOperation));
    assert!(matches!(measure_error(&format!("{{ a {} }}", "@d ".repeat(9))), QueryCostError::TooManyDirectives { .. }));
    assert!(matches!(
        measure_error(&format!("{{ a({}) }}", "b: 1 ".repeat(101))),
        QueryCostError::TooManyArguments { .. }
    ));
    assert!(matches!(measure_error("subscription { a b }"), QueryCostError::SeveralSubscriptionFields));
    assert!(matches!(
        measure_error("subscription { ...F ...F } fragment F on Subscription { a }"),
        QueryCostError::SeveralSubscriptionFields
    ));
    let document = parse_document("query A { a } query B { b }").unwrap();
    let named = |name| measure_query_cost(&document, Some(name), &Variables::default(), &LIMITS);
    assert!(matches!(named("C"), Err(QueryCostError::UnknownOperation { .. })));
    assert_eq!(named("B").unwrap().kind, OperationType::Query);
}

#[test]
fn introspection_is_possible_and_cannot_be_multiplied() {
    let wrapped = format!("{}kind name{}", "kind name ofType { ".repeat(9), " }".repeat(9));
    let input = format!("name description type {{ {wrapped} }} defaultValue isDeprecated deprecationReason");
    let full = format!(
        "{{ __schema {{ description queryType {{ name }} types {{ kind name description specifiedByURL
         fields(includeDeprecated: true) {{ name description args(includeDeprecated: true) {{ {input} }}
         type {{ {wrapped} }} isDeprecated deprecationReason }} inputFields(includeDeprecated: true) {{ {input} }}
         interfaces {{ {wrapped} }} enumValues(includeDeprecated: true) {{ name description isDeprecated }}
         possibleTypes {{ {wrapped} }} }} directives {{ name description locations args {{ {input} }} }} }} }}"
    );
    assert!(cost(&full) < 1_000, "{}", cost(&full));
    assert!(cost("{ __type(name: \"Query\") { fields { type { fields { name args { name } } } } } }") > 10);
    for inner in
        ["fields { type { fields { type { fields { name } } } } }", "fields { type { fields { type { name } } } }"]
    {
        assert!(matches!(
            measure_error(&format!("{{ __schema {{ types {{ {inner} }} }} }}")),
            QueryCostError::TooComplex { .. }
        ));
    }
    let wide = format!("{{ __schema {{ types {{ fields {{ {} }} }} }} }}", "name ".repeat(1_000));
    assert!(matches!(measure_error(&wide), QueryCostError::TooComplex { .. }));
    let spread = format!("{{ {} }} fragment F on Query {{ {} }}", "...F ".repeat(5), &full[1..full.len() - 1]);
    assert!(matches!(measure_error(&spread), QueryCostError::TooComplex { .. }));
}

/// Returns the type, name and arguments of each field of the schema.
fn parse_sdl_fields(sdl: &str) -> Vec<(String, String, String)> {
    let (mut fields, mut owner, mut field, mut is_text) = (vec![], String::new(), None::<(String, String)>, false);
    for line in sdl.lines() {
        let line = line.trim();
        if line == "\"\"\"" {
            is_text = !is_text;
        } else if is_text || line.is_empty() {
        } else if let Some(rest) = line.strip_prefix("type ").or_else(|| line.strip_prefix("input ")) {
            owner = rest.split([' ', '{']).next().unwrap_or_default().to_owned();
        } else if let Some((name, arguments)) = &mut field {
            if line.starts_with(')') {
                fields.push((owner.clone(), name.clone(), arguments.clone()));
                field = None;
            } else {
                arguments.push_str(line);
                arguments.push(' ');
            }
        } else if let Some(name) = line.strip_suffix('(') {
            field = Some((name.to_owned(), String::new()));
        } else if let Some((name, _)) = line.split_once(':') {
            fields.push((owner.clone(), name.to_owned(), String::new()));
        }
    }
    fields
}

#[test]
fn every_list_of_the_schema_has_a_price() {
    let fields = parse_sdl_fields(&crate::graphql::sdl());
    let has_argument = |arguments: &str, name: &str| arguments.contains(&format!("{name}: Int"));
    for (owner, name, arguments) in &fields {
        let root = match owner.as_str() {
            "Query" => Some(OperationType::Query),
            "Mutation" => Some(OperationType::Mutation),
            "Subscription" => Some(OperationType::Subscription),
            _ => None,
        };
        let price = field_price::price_field(root, name);
        assert_eq!(
            price.default_entries.is_some(),
            has_argument(arguments, price.page_argument()),
            "{owner}.{name}: only fields of queries are priced by their argument `first`, and facets by `limit`"
        );
    }
    assert!(fields.iter().any(|(_, _, arguments)| has_argument(arguments, "first")), "the schema has paged fields");
}

#[test]
fn the_assumed_sizes_of_introspection_cover_the_schema() {
    let sdl = crate::graphql::sdl();
    let fields = parse_sdl_fields(&sdl);
    let types = sdl
        .lines()
        .filter(|line| ["type ", "input ", "enum ", "union ", "scalar "].iter().any(|kind| line.starts_with(kind)));
    // The types of the specification are included.
    let types = types.count() + 8 + 5;
    let assumed = |name: &str, place| field_price::price_introspection(place, name).0;
    assert!(types <= assumed("types", IntrospectionPlace::Entry), "{types} types");
    let mean = fields.len() / types + 1;
    assert!(mean <= assumed("fields", IntrospectionPlace::EveryType), "{mean} fields per type on average");
    let types: HashSet<_> = fields.iter().map(|(owner, _, _)| owner).collect();
    let largest = types.iter().map(|name| fields.iter().filter(|(owner, _, _)| owner == *name).count()).max().unwrap();
    assert!(largest <= assumed("fields", IntrospectionPlace::Entry), "{largest} fields of a type");
}
