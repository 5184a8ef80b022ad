//! Every row is accounted for, every store agrees, importing again changes nothing.

use std::{fs::File, time::Instant};

use serde_json::{Value, json};
use tests::Stack;

use super::{Expected, VISIBLE_WITHIN, agreed_counts, import, real, real_csv, stack_with_real_notices};

#[tokio::test]
async fn real_notices_reach_every_store_within_a_minute_and_a_second_import_adds_nothing() {
    let Some(csv) = real_csv() else { return };
    let expected = Expected::of(&csv);
    let stack = Stack::start().await;

    let started = Instant::now();
    let summary = import(&stack, &csv, &[]).await;
    let counts = agreed_counts(&stack).await;
    let visible_after = started.elapsed();

    assert_eq!(summary["rows"], expected.rows);
    let accounted = ["imported", "unchanged", "rejected"].map(|part| summary[part].as_u64().unwrap());
    assert_eq!(accounted.iter().sum::<u64>(), expected.rows);
    assert_eq!(summary["rejected"], 0);
    expected.assert_held(&counts);
    assert!(visible_after < VISIBLE_WITHIN, "visible everywhere after {visible_after:?}");
    println!("{} rows visible in every store after {visible_after:?}", expected.rows);

    let again = import(&stack, &csv, &[]).await;
    assert_eq!((&again["events"], &again["unchanged"]), (&json!(0), &json!(expected.rows)));
    expected.assert_held(&agreed_counts(&stack).await);
}

#[tokio::test]
async fn three_formats_from_files_and_from_a_pipe_meet_in_one_record() {
    let Some(csv) = real("notices_full47_2026-03.csv") else { return };
    let Some(text) = real("notices_text_2026-03.ndjson.gz") else { return };
    let Some(page) = real("api-v2-example/opportunities_v2_page.json") else { return };
    let expected = Expected::of_all(&[&csv, &text, &page]);
    let stack = Stack::start().await;

    for file in [&csv, &text, &page, &text] {
        let piped =
            stack.local(&["medhub", "import", "-", "--json"]).stdin(File::open(file).unwrap()).output().unwrap();
        assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
        let summary: Value = serde_json::from_slice(&piped.stdout).unwrap();
        assert_eq!(summary["rejected"], 0, "{summary}");
        println!("{}: {summary}", file.display());
    }

    expected.assert_held(&agreed_counts(&stack).await);
}

#[tokio::test]
async fn what_was_imported_is_found_by_filter_page_and_id() {
    let Some(csv) = real_csv() else { return };
    let stack = stack_with_real_notices(&csv).await;
    let query = "query($filter: OpportunityFilter, $after: String) {
        opportunities(first: 2, after: $after, filter: $filter) {
            totalCount pageInfo { hasNextPage endCursor } edges { node { id title agency { code } } }
        }
    }";
    let filter = json!({ "agency": ["036"], "text": "system" });
    let first = stack.graphql(query, json!({ "filter": filter })).await;
    let page = &first["data"]["opportunities"];
    let total = page["totalCount"].as_u64().unwrap_or_default();
    assert!(total > 2 && page["pageInfo"]["hasNextPage"] == true, "{first}");
    let after = json!({ "filter": filter, "after": page["pageInfo"]["endCursor"] });
    let second = stack.graphql(query, after).await;

    let ids = |answer: &Value| -> Vec<String> {
        let edges = answer["data"]["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
        edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (one, two) = (ids(&first), ids(&second));
    assert_eq!(one.len(), 2);
    assert!(!two.is_empty() && two.iter().all(|id| !one.contains(id)), "{one:?} {two:?}");
    assert!(one.iter().all(|id| id.starts_with("036:")), "{one:?}");

    let detail = "query($id: ID!) { opportunity(id: $id) { id version facts { title } } }";
    let answer = stack.graphql(detail, json!({ "id": one[0] })).await;
    assert_eq!(answer["data"]["opportunity"]["id"], json!(one[0]), "{answer}");
    assert_eq!(answer["data"]["opportunity"]["facts"]["title"], page["edges"][0]["node"]["title"]);
}

#[tokio::test]
async fn the_statistics_add_up_to_the_whole() {
    let Some(csv) = real_csv() else { return };
    let stack = stack_with_real_notices(&csv).await;
    let query = "{ opportunityStats {
        total { opportunities } byAgency { figures { opportunities } }
        byType { figures { opportunities } } byDay { figures { opportunities } }
    } }";
    let answer = stack.graphql(query, json!({})).await;
    let stats = &answer["data"]["opportunityStats"];
    let total = stats["total"]["opportunities"].as_u64();
    assert_eq!(total, Some(Expected::of(&csv).streams), "{answer}");
    for part in ["byAgency", "byType", "byDay"] {
        let buckets = stats[part].as_array().cloned().unwrap_or_default();
        let sum: u64 = buckets.iter().filter_map(|bucket| bucket["figures"]["opportunities"].as_u64()).sum();
        assert_eq!(Some(sum), total, "{part}");
    }
}
