//! Every row is accounted for, all stores agree, and a repeated import changes nothing.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use super::product_with_real_notices;
use tests::{
    ProductInstance,
    notice_import::{ExpectedCounts, find_real_csv, find_real_records, read_notices, wait_for_agreed_counts},
};

#[tokio::test]
async fn three_formats_read_from_a_pipe_lead_to_the_same_opportunities() {
    let Some(csv) = find_real_records("notices_full47_2026-03.csv") else { return };
    let Some(text) = find_real_records("notices_text_2026-03.ndjson.gz") else { return };
    let Some(page) = find_real_records("api-v2-example/opportunities_v2_page.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = write_text_lines_of_notices_in(&csv, &text, folder.path());
    let expected = ExpectedCounts::from_files(&[&csv, &text, &page]);
    let product = ProductInstance::start().await;

    for file in [&csv, &text, &page, &text] {
        let output =
            product.medhub_command(&["import", "-", "--json"]).stdin(File::open(file).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["rejected"], 0, "{summary}");
        println!("{}: {summary}", file.display());
    }

    expected.assert_equal_to(&wait_for_agreed_counts(&product).await);
}

/// The text lines of the notices that the CSV extract has too, and every tenth of the others, as a file in `folder`.
fn write_text_lines_of_notices_in(csv: &Path, text: &Path, folder: &Path) -> PathBuf {
    let in_csv: HashSet<String> = read_notices(csv).map(|notice| notice.notice_id.to_string()).collect();
    let path = folder.join("notices_text.ndjson.gz");
    let mut selected = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    for (number, line) in BufReader::new(GzDecoder::new(File::open(text).unwrap())).lines().enumerate() {
        let line = line.unwrap();
        let notice: Value = serde_json::from_str(&line).unwrap();
        if number % 10 == 0 || in_csv.contains(notice["notice_id"].as_str().unwrap()) {
            writeln!(selected, "{line}").unwrap();
        }
    }
    selected.finish().unwrap();
    path
}

#[tokio::test]
async fn imported_opportunities_are_found_by_filter_page_and_id() {
    let Some(csv) = find_real_csv() else { return };
    let product = product_with_real_notices(&csv).await;
    let query = "query($filter: OpportunityFilter, $after: String) {
        opportunities(first: 2, after: $after, filter: $filter) {
            totalCount pageInfo { hasNextPage endCursor } edges { node { id title agency { code } } }
        }
    }";
    let filter = json!({ "agency": ["036"], "text": "system" });
    let first = product.send_graphql(query, json!({ "filter": filter })).await;
    let page = &first["data"]["opportunities"];
    let total = page["totalCount"].as_u64().unwrap_or_default();
    assert!(total > 2 && page["pageInfo"]["hasNextPage"] == true, "{first}");
    let after = json!({ "filter": filter, "after": page["pageInfo"]["endCursor"] });
    let second = product.send_graphql(query, after).await;

    let ids = |answer: &Value| -> Vec<String> {
        let edges = answer["data"]["opportunities"]["edges"].as_array().cloned().unwrap_or_default();
        edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (first_ids, second_ids) = (ids(&first), ids(&second));
    assert_eq!(first_ids.len(), 2);
    assert!(
        !second_ids.is_empty() && second_ids.iter().all(|id| !first_ids.contains(id)),
        "{first_ids:?} {second_ids:?}"
    );
    assert!(first_ids.iter().all(|id| id.starts_with("036:")), "{first_ids:?}");

    let detail = "query($id: ID!) { opportunity(id: $id) { id version facts { title } } }";
    let answer = product.send_graphql(detail, json!({ "id": first_ids[0] })).await;
    assert_eq!(answer["data"]["opportunity"]["id"], json!(first_ids[0]), "{answer}");
    assert_eq!(answer["data"]["opportunity"]["facts"]["title"], page["edges"][0]["node"]["title"]);
}

#[tokio::test]
async fn the_statistics_add_up_to_the_total() {
    let Some(csv) = find_real_csv() else { return };
    let product = product_with_real_notices(&csv).await;
    let query = "{ opportunityStats {
        total { opportunities } byAgency { figures { opportunities } }
        byType { figures { opportunities } } byDay { figures { opportunities } }
    } }";
    let answer = product.send_graphql(query, json!({})).await;
    let stats = &answer["data"]["opportunityStats"];
    let total = stats["total"]["opportunities"].as_u64();
    assert_eq!(total, Some(ExpectedCounts::from_file(&csv).streams), "{answer}");
    for part in ["byAgency", "byType", "byDay"] {
        let buckets = stats[part].as_array().cloned().unwrap_or_default();
        let sum: u64 = buckets.iter().filter_map(|bucket| bucket["figures"]["opportunities"].as_u64()).sum();
        assert_eq!(Some(sum), total, "{part}");
    }
}
