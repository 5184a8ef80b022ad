//! The time from the import of a notice until the inbox of a user with a matching saved search has it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{GraphqlSubscriber, ProductInstance, SignedInUser, run_alone};

/// Most time from the recording of a notice until a subscriber of the inbox has its match.
const LIMIT: Duration = Duration::from_secs(2);

const DISCOVER: &str = "mutation($input: DiscoverOpportunityInput!) { outcome: discoverOpportunity(input: $input) {
    ... on OpportunityAccepted { version } } }";

async fn discover(product: &ProductInstance, number: usize) {
    let input = json!({
        "noticeId": format!("n-{number}"),
        "title": format!("Ceiling lifts for patients {number}"),
        "type": "Solicitation",
        "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
        "solicitationNumber": format!("L{number}"),
        "postedAt": "2026-03-03T12:00:00Z",
        "naics": "339113",
    });
    let answer = product.send_graphql(DISCOVER, json!({ "input": input })).await;
    assert_eq!(answer["data"]["outcome"]["version"], 1, "{answer}");
}

#[tokio::test]
async fn a_match_is_in_the_inbox_within_two_seconds_of_its_import() {
    run_alone();
    let product = ProductInstance::start().await;
    let ann = SignedInUser::register_company(&product, "ann", "acme").await;
    let search = "{ name: \"Lifts\", text: \"patient lifts\", naics: [\"3391\"], notify: AT_ONCE }";
    let saved = ann.apply_change(&format!("saveSearch(search: {search})"), json!({})).await;
    let payload = json!({ "authorization": format!("Bearer {}", ann.token) });
    let incarnation = saved.token.split('.').next().unwrap();
    let subscription =
        format!("subscription {{ notifications(after: \"{incarnation}.0\") {{ notification {{ about }} }} }}");
    let mut inbox = GraphqlSubscriber::subscribe(product.http(), payload, &subscription).await.unwrap();
    let mut times = vec![];
    for number in 0..6 {
        let started = Instant::now();
        discover(&product, number).await;
        let answer: Value = inbox.next_answer().await.unwrap().unwrap();
        times.push(started.elapsed());
        assert_eq!(answer["data"]["notifications"]["notification"]["about"], format!("036:L{number}"), "{answer}");
    }
    println!("from the beginning of an import to the inbox: {times:.2?}");
    // The first one reads the saved searches and builds the query of the text.
    let mut times = times.split_off(1);
    times.sort_unstable();
    assert!(times[times.len() / 2] < LIMIT, "{times:?}");
}
