//! Lists of opportunities: every order, page by page while others are entered, and facets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tests::{ProductHandle, error_code, eventually, shared_product, token_for_everything_until};

use super::{AWARD_MUTATION, send_mutation};
use crate::operations::shared_product_with_notices;

/// An industry that no other test enters opportunities of.
const OWN_INDUSTRY: &str = "987001";

/// The sort key of an entry, `None` without the value; and whether the greatest is first.
type OrderKey = (&'static str, fn(&Value) -> Option<String>, bool);

/// Times of one format, and amounts with leading zeros, compare as texts.
const ORDERS: [OrderKey; 6] = [
    ("POSTED_NEWEST", |node| text(&node["postedAt"]), true),
    ("POSTED_OLDEST", |node| text(&node["postedAt"]), false),
    ("DEADLINE_SOONEST", |node| text(&node["responseDeadline"]), false),
    ("DEADLINE_LATEST", |node| text(&node["responseDeadline"]), true),
    ("AMOUNT_HIGHEST", |node| text(&node["awarded"]).map(|cents| format!("{cents:0>20}")), true),
    ("AMOUNT_LOWEST", |node| text(&node["awarded"]).map(|cents| format!("{cents:0>20}")), false),
];

/// The value of a node in a dimension.
type NodeValue<'a> = &'a dyn Fn(&Value) -> Option<String>;

const PAGE_QUERY: &str =
    "query($first: Int, $after: String, $order: OpportunityOrder, $filter: OpportunityTextFilter) {
    opportunities(first: $first, after: $after, orderBy: $order, filter: $filter) {
        totalCount totalCountIsExact pageInfo { hasNextPage endCursor }
        edges { node { id agency { code name } type setAside naics postedAt responseDeadline awarded } } } }";

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A page of a list.
async fn fetch_page(product: &ProductHandle, variables: Value) -> Value {
    let answer = product.send_graphql(PAGE_QUERY, variables).await;
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"]["opportunities"].clone()
}

/// All pages of a list; `between` runs after each.
async fn fetch_all(
    product: &ProductHandle,
    first: u32,
    order: &str,
    filter: &Value,
    between: impl AsyncFn(),
) -> (Vec<Value>, Value) {
    let (mut nodes, mut after) = (vec![], Value::Null);
    loop {
        let variables = json!({ "first": first, "after": after, "order": order, "filter": filter });
        let page = fetch_page(product, variables).await;
        let edges = page["edges"].as_array().unwrap();
        nodes.extend(edges.iter().map(|edge| edge["node"].clone()));
        if page["pageInfo"]["hasNextPage"] == false {
            return (nodes, page["totalCount"].clone());
        }
        assert_eq!(edges.len(), first as usize, "only the last page is shorter");
        after = page["pageInfo"]["endCursor"].clone();
        between().await;
    }
}

fn ids(nodes: &[Value]) -> Vec<&str> {
    nodes.iter().map(|node| node["id"].as_str().unwrap()).collect()
}

/// The keys in the order of a list: those without a value last.
fn sorted_keys(nodes: &[Value], (_, key, greatest_first): OrderKey) -> Vec<Option<String>> {
    let (mut known, unknown): (Vec<_>, Vec<_>) = nodes.iter().map(key).partition(Option::is_some);
    known.sort();
    if greatest_first {
        known.reverse();
    }
    [known, unknown].concat()
}

#[tokio::test]
async fn every_order_equals_a_sort_and_facets_equal_a_count() {
    let product = shared_product_with_notices().await;
    let (all, total) = fetch_all(product, 100, "POSTED_NEWEST", &json!({}), async || {}).await;
    assert!(all.len() > 200 && total == all.len(), "{total} of {}", all.len());
    assert!(all.iter().any(|node| node["awarded"].is_string()) && all.iter().any(|node| node["setAside"].is_null()));

    for order in ORDERS {
        let (nodes, total) = fetch_all(product, 83, order.0, &json!({}), async || {}).await;
        assert_eq!(total, all.len(), "{}", order.0);
        let keys: Vec<_> = nodes.iter().map(order.1).collect();
        assert_eq!(keys, sorted_keys(&all, order), "{}", order.0);
        assert_eq!(BTreeSet::from_iter(ids(&nodes)), BTreeSet::from_iter(ids(&all)), "{}", order.0);
    }

    let agency = all[0]["agency"]["code"].clone();
    for filter in [json!({}), json!({ "agency": [agency] })] {
        facets_are_those_of_a_count(product, &all, &filter).await;
    }
}

#[tokio::test]
async fn a_page_has_the_selected_fields_after_any_other_selection() {
    let product = shared_product_with_notices().await;
    let fetch = async |fields: &str, node: &str, fragment: &str| {
        let document = format!(
            "query {{ opportunities(first: 7, orderBy: POSTED_OLDEST) {{
                {fields} edges {{ node {{ id {node} }} }} }} }} {fragment}"
        );
        let answer = product.send_graphql(&document, json!({})).await;
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"]["opportunities"].clone()
    };
    let plain = fetch("", "", "").await;
    let counted = fetch("totalCount totalCountIsExact", "description", "").await;
    assert!(counted["totalCount"].as_u64() > Some(200) && counted["totalCountIsExact"] == true, "{counted}");
    let (plain, described) = (plain["edges"].as_array().unwrap(), counted["edges"].as_array().unwrap());
    assert_eq!(plain.len(), 7);
    for (plain, described) in plain.iter().zip(described) {
        assert_eq!(plain["node"]["id"], described["node"]["id"]);
    }
    assert!(described.iter().any(|edge| edge["node"]["description"].is_string()), "{described:?}");

    // Wherever the fields are selected.
    let spread = fetch(
        "...numbers",
        "... on OpportunitySummary { text: description }",
        "fragment numbers on OpportunityConnection { number: totalCount ... @skip(if: true) { totalCountIsExact } }",
    )
    .await;
    assert_eq!(spread["number"], counted["totalCount"]);
    assert!(spread.get("totalCountIsExact").is_none(), "{spread}");
    for (spread, described) in spread["edges"].as_array().unwrap().iter().zip(described) {
        assert_eq!(spread["node"]["text"], described["node"]["description"]);
    }
}

async fn facets_are_those_of_a_count(product: &ProductHandle, all: &[Value], filter: &Value) {
    let query = "query($filter: OpportunityTextFilter) { opportunities(first: 1, filter: $filter) {
        facets(dimensions: [AGENCY, TYPE, SET_ASIDE, NAICS_SECTOR], limit: 100) {
            dimension hasMore values { value label count isExact } } } }";
    let answer = product.send_graphql(query, json!({ "filter": filter })).await;
    assert!(answer["errors"].is_null(), "{answer}");
    let facets = answer["data"]["opportunities"]["facets"].as_array().unwrap();
    let chosen: Vec<_> = match filter["agency"][0].as_str() {
        Some(code) => all.iter().filter(|node| node["agency"]["code"] == code).collect(),
        None => all.iter().collect(),
    };
    let sector = |node: &Value| text(&node["naics"]).map(|code| code.chars().take(2).collect());
    let dimensions: [(&str, NodeValue<'_>); 4] = [
        ("AGENCY", &|node| text(&node["agency"]["code"])),
        ("TYPE", &|node| text(&node["type"])),
        ("SET_ASIDE", &|node| text(&node["setAside"])),
        ("NAICS_SECTOR", &sector),
    ];
    for (facet, (dimension, value)) in facets.iter().zip(dimensions) {
        assert_eq!((&facet["dimension"], &facet["hasMore"]), (&json!(dimension), &json!(false)), "{facet}");
        let mut expected = BTreeMap::<String, u64>::new();
        for value in chosen.iter().filter_map(|node| value(node)) {
            *expected.entry(value).or_default() += 1;
        }
        let values = facet["values"].as_array().unwrap();
        let counted = values.iter().map(|value| (text(&value["value"]).unwrap(), value["count"].as_u64().unwrap()));
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), expected, "{dimension} with {filter}");
        let counts: Vec<_> = values.iter().map(|value| value["count"].as_u64()).collect();
        assert!(counts.is_sorted_by(|one, other| one >= other), "the most frequent first: {facet}");
        assert!(values.iter().all(|value| value["isExact"] == true), "{facet}");
    }
    assert_eq!(facets.len(), dimensions.len());
}

/// Enters an opportunity of [`OWN_INDUSTRY`]; returns its consistency token.
async fn enter_opportunity(product: &ProductHandle, number: u32) -> String {
    let discover = "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { consistencyToken } } }";
    // Some have the same time, and some have no deadline.
    let deadline =
        (!number.is_multiple_of(5)).then(|| format!("2026-04-{:02}T12:00:00Z", 1 + number.wrapping_mul(11) % 28));
    let input = json!({ "input": {
        "noticeId": format!("list-{number}"), "title": "Stretchers", "type": "Solicitation", "naics": OWN_INDUSTRY,
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": format!("36C245LIST{number:05}"),
        "postedAt": format!("2026-03-{:02}T12:00:00Z", 1 + number.wrapping_mul(7) % 20), "responseDeadline": deadline,
    } });
    send_mutation(product, discover, input).await["consistencyToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn paging_in_any_order_has_no_gap_and_no_repetition_while_others_are_entered() {
    let product = shared_product().await;
    let filter = json!({ "naics": [OWN_INDUSTRY] });
    let mut last = String::new();
    for number in 0..24 {
        last = enter_opportunity(product, number).await;
    }
    for number in (0..24_u32).step_by(3) {
        let amount = (number.wrapping_mul(37) % 9 + 1).to_string();
        let award =
            json!({ "input": { "id": format!("036:36C245LIST{number:05}"), "number": "A-1", "amount": amount } });
        send_mutation(product, AWARD_MUTATION, award).await;
    }
    let query = "query($filter: OpportunityTextFilter) { opportunities(first: 1, filter: $filter) { totalCount } }";
    let answer =
        product.send_graphql_since(&token_for_everything_until(&last), query, json!({ "filter": filter })).await;
    assert_eq!(answer["data"]["opportunities"]["totalCount"], 24, "{answer}");
    let awarded = json!({ "first": 8, "order": "AMOUNT_LOWEST", "filter": filter });
    eventually(async || {
        let page = fetch_page(product, awarded.clone()).await;
        let edges = page["edges"].as_array().unwrap();
        anyhow::ensure!(edges.iter().all(|edge| edge["node"]["awarded"].is_string()), "{page}");
        anyhow::Ok(())
    })
    .await;

    let next = AtomicU32::new(24);
    let mut entered_before = 24;
    for order in ORDERS {
        let enter_another = async || {
            enter_opportunity(product, next.fetch_add(1, Ordering::Relaxed)).await;
        };
        let (nodes, _) = fetch_all(product, 5, order.0, &filter, enter_another).await;
        let found: BTreeSet<_> = ids(&nodes).into_iter().collect();
        assert_eq!(found.len(), nodes.len(), "{}: {nodes:?}", order.0);
        for number in 0..24 {
            let id = format!("036:36C245LIST{number:05}");
            assert!(found.contains(id.as_str()), "{} leaves out {id}", order.0);
        }
        let keys: Vec<_> = nodes.iter().map(order.1).collect();
        assert_eq!(keys, sorted_keys(&nodes, order), "{}", order.0);
        let entered = next.load(Ordering::Relaxed);
        assert!(entered > entered_before, "others were entered between the pages");
        entered_before = entered;
    }

    relevance_lists_what_the_newest_first_lists(product).await;
    a_cursor_of_another_order_is_refused(product, &filter).await;
}

async fn relevance_lists_what_the_newest_first_lists(product: &ProductHandle) {
    let filter = json!({ "naics": [OWN_INDUSTRY], "text": "stretchers" });
    let (newest, _) = fetch_all(product, 9, "POSTED_NEWEST", &filter, async || {}).await;
    let (relevant, _) = fetch_all(product, 9, "RELEVANCE", &filter, async || {}).await;
    assert!(relevant.len() >= 24);
    let (newest, relevant): (BTreeSet<_>, BTreeSet<_>) =
        (ids(&newest).into_iter().collect(), ids(&relevant).into_iter().collect());
    // Those that were entered last may have become visible in between.
    assert!(newest.is_subset(&relevant), "{newest:?} {relevant:?}");
}

async fn a_cursor_of_another_order_is_refused(product: &ProductHandle, filter: &Value) {
    let page = fetch_page(product, json!({ "first": 2, "order": "AMOUNT_LOWEST", "filter": filter })).await;
    let after = &page["pageInfo"]["endCursor"];
    let other = json!({ "first": 2, "after": after, "order": "AMOUNT_HIGHEST", "filter": filter });
    let answer = product.send_graphql(PAGE_QUERY, other).await;
    assert_eq!(error_code(&answer), "INVALID_INPUT");
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("AMOUNT_LOWEST") && message.contains("AMOUNT_HIGHEST"), "{message}");
}
