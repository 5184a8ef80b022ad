//! A document of many pages is found by what its last page says.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{SignedInUser, WAIT_TIMEOUT, eventually_within};

use super::uploads::{upload_file, wait_for_end};

/// The variable with the number of pages, for a long run; a page is one chunk in the search.
const PAGES_VARIABLE: &str = "LONG_TEXT_PAGES";
const PAGES: usize = 100;

/// Lines of a statement of work, which the documents of these tests consist of.
pub(crate) const STATEMENT_LINES: [&str; 4] = [
    "The contractor shall deliver 1,200 boxes of nitrile examination gloves to the",
    "VA Medical Center, 2501 W 22nd Street, Sioux Falls, SD 57105, no later than",
    "September 30, 2031. Partial deliveries must be approved in writing. Offers are",
    "due by May 5, 2031 at noon Eastern Time. Liquidated damages apply.",
];

/// Uploads a long text, which a worker analyses, and finds its last page. Prints the times, which decide nothing.
pub(super) async fn the_last_page_of_a_long_text_is_found(user: &SignedInUser<'_>) {
    let chosen = std::env::vars().find(|(name, _)| name == PAGES_VARIABLE);
    let pages: usize = chosen.map_or(PAGES, |(_, count)| count.parse().expect("a number of pages"));
    let lines = STATEMENT_LINES.join("\n");
    let page = |number: usize| format!("Page {number} of the statement of work. {lines}\u{c}");
    let text: String = (0..pages).map(page).chain(["The quench valve is of niobium.".to_owned()]).collect();
    let (started, patience) =
        (Instant::now(), WAIT_TIMEOUT + Duration::from_millis(100) * u32::try_from(pages).unwrap());
    let id = upload_file(user, "long.txt", text.into_bytes()).await;
    let uploaded = started.elapsed();
    let search = "{ searchWorkspace(query: \"niobium quench valve\", kinds: [DOCUMENT], first: 1) { id page } }";
    let searched = eventually_within(patience, async || {
        let answer = user.send_document(search, json!({})).await;
        let hit = &answer["data"]["searchWorkspace"][0];
        let expected = json!({ "id": id, "page": pages + 1 });
        if *hit == expected { Ok(started.elapsed()) } else { Err(answer.to_string()) }
    });
    let analysed = async { (wait_for_end(user, &id).await, started.elapsed()) };
    let (searchable, (end, analysed)) = tokio::join!(searched, analysed);
    println!("{pages} pages: uploaded in {uploaded:.1?}, analysed in {analysed:.1?}, searchable in {searchable:.1?}");
    assert_eq!(end, ("ANALYSED".to_owned(), String::new()));
}
