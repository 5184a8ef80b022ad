//! The cost of answers: as many round trips to stores for many entries as for one; persisted queries; and the rows that
//! a tenant can read by SQL.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tests::{GraphqlSubscriber, ProductHandle, ProductInstance, SignedInUser, error_code, eventually};

/// The number of round trips to stores for readers so far, by read model.
async fn count_round_trips(product: &ProductHandle) -> Vec<(String, f64)> {
    let text = reqwest::get(format!("{}/metrics", product.http())).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("medhub_read_model_queries_total"));
    let mut counts: Vec<_> = lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect();
    counts.sort_by(|one: &(String, f64), other| one.0.cmp(&other.0));
    counts
}

#[tokio::test]
async fn many_entries_cost_as_many_round_trips_as_one() {
    let product = ProductInstance::start().await;
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let discover = "mutation($input: DiscoverOpportunityInput!) { discoverOpportunity(input: $input) {
        ... on OpportunityAccepted { id } } }";
    let mut last = None;
    for number in 0..20 {
        let input = json!({ "noticeId": format!("n-{number}"), "title": "Beds", "type": "Solicitation", "postedAt": "2026-03-03T12:00:00Z",
            "agency": "VETERANS AFFAIRS, DEPARTMENT OF", "solicitationNumber": format!("36C2452600{number:02}") });
        let discovered = product.send_graphql(discover, json!({ "input": input })).await;
        let id = discovered["data"]["discoverOpportunity"]["id"].as_str().unwrap().to_owned();
        let draft = "draftProposal(input: { opportunityId: $opportunity, title: \"Beds\" })";
        last = Some(ann.apply_change(draft, json!({ "opportunity": id })).await);
    }
    let nested = "query($first: Int) { proposals(first: $first) { edges { node { title opportunity { id facts { title } } } } } }";
    ann.query_since(&last.unwrap(), nested, json!({ "first": 20 })).await;

    let mut costs = vec![];
    for first in [1, 20] {
        let before = count_round_trips(&product).await;
        let answer = ann.send_document(nested, json!({ "first": first })).await;
        let edges = answer["data"]["proposals"]["edges"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        assert!(
            edges.len() == first && edges.iter().all(|edge| edge["node"]["opportunity"]["id"].is_string()),
            "{answer}"
        );
        let after = count_round_trips(&product).await;
        let spent: Vec<_> =
            after.iter().zip(&before).map(|((name, after), (_, before))| (name.clone(), after - before)).collect();
        assert!(spent.iter().all(|(_, count)| *count > 0.0), "{spent:?}");
        costs.push(spent);
    }
    assert_eq!(costs[0], costs[1], "one entry and twenty");

    the_dashboard_follows_changes(&product).await;
    first_pages_are_shared(&product).await;
    a_persisted_query_is_sent_once(&product).await;
    row_level_security_shows_a_tenant_its_own_rows(&product).await;
}

/// Many who ask for the same first page cost one query, and see a change soon.
async fn first_pages_are_shared(product: &ProductHandle) {
    let list_queries = async || {
        let counts = count_round_trips(product).await;
        let lists = counts.into_iter().filter(|(name, _)| name.contains("\"lists\""));
        lists.map(|(_, count)| count).sum::<f64>()
    };
    let document = "{ opportunities(first: 5) { totalCount edges { node { id awarded } } } }";
    let page = async || product.send_graphql(document, json!({})).await;
    // An answer is shared as soon as everything on record has been applied.
    let (shared, queries_before) = eventually(async || {
        let before = (page().await, list_queries().await);
        let after = (page().await, list_queries().await);
        anyhow::ensure!(before == after && before.1 > 0.0, "{before:?} {after:?}");
        anyhow::Ok(after)
    })
    .await;
    assert_eq!(shared["data"]["opportunities"]["totalCount"], 20, "{shared}");

    let answers = join_all((0..64).map(|_| page())).await;
    assert!(answers.iter().all(|answer| *answer == shared));
    let queries = list_queries().await - queries_before;
    // An answer is used for some seconds only, and not while Redis is slow: those who ask at once share a query then.
    assert!(queries < 16.0, "64 requests cost {queries} queries");

    let id = shared["data"]["opportunities"]["edges"][0]["node"]["id"].clone();
    let award = "mutation($id: String!) { awardOpportunity(input: { id: $id, number: \"S-1\", amount: \"7\" }) { __typename } }";
    product.send_graphql(award, json!({ "id": id })).await;
    eventually(async || {
        let page = page().await;
        anyhow::ensure!(page["data"]["opportunities"]["edges"][0]["node"]["awarded"] == "7", "{page}");
        anyhow::Ok(())
    })
    .await;
}

async fn a_persisted_query_is_sent_once(product: &ProductHandle) {
    let document = "{ __typename }";
    let hash = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";
    let ask = async |query: Option<&str>, hash: &str| -> Value {
        let mut body = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
        if let Some(query) = query {
            body["query"] = json!(query);
        }
        tests::new_http_client()
            .post(format!("{}/graphql", product.http()))
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    assert_eq!(error_code(&ask(None, hash).await), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        error_code(&ask(Some(document), &"0".repeat(64)).await),
        "INVALID_QUERY",
        "the hash of another document"
    );
    assert_eq!(ask(Some(document), hash).await["data"]["__typename"], "Query");
    assert_eq!(ask(None, hash).await["data"]["__typename"], "Query");
}

async fn the_dashboard_follows_changes(product: &ProductHandle) {
    let document = "subscription { opportunityDashboard { total open cancelled } }";
    let mut subscription = GraphqlSubscriber::subscribe(product.http(), json!({}), document).await.unwrap();
    let first = subscription.next_answer().await.unwrap().unwrap()["data"]["opportunityDashboard"].clone();
    assert_eq!(first, json!({ "total": 20, "open": 20, "cancelled": 0 }));
    let cancel = "mutation { cancelOpportunity(id: \"036:36C245260001\") { __typename } }";
    assert!(product.send_graphql(cancel, json!({})).await["errors"].is_null());
    let next = subscription.next_answer().await.unwrap().unwrap()["data"]["opportunityDashboard"].clone();
    assert_eq!(next, json!({ "total": 20, "open": 19, "cancelled": 1 }));
}

async fn row_level_security_shows_a_tenant_its_own_rows(product: &ProductHandle) {
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let tenants = async |connection: &mut PgConnection| -> Vec<String> {
        let query = "select distinct tenant_id from events order by tenant_id";
        sqlx::query_scalar(query).fetch_all(connection).await.unwrap()
    };
    assert_eq!(tenants(&mut connection).await, ["acme", "public"], "the product's own role reads all rows");
    for statement in ["set role medhub_tenant", "set medhub.tenant = 'other'"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    assert_eq!(tenants(&mut connection).await, ["public"]);
    sqlx::query("set medhub.tenant = 'acme'").execute(&mut connection).await.unwrap();
    assert_eq!(tenants(&mut connection).await, ["acme", "public"]);
    assert!(sqlx::query("delete from events").execute(&mut connection).await.is_err());
    assert!(sqlx::query("select * from snapshots").execute(&mut connection).await.is_err());
}
