//! The time from the upload of a document until it is analysed.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    ProductInstance, ProductProcess, SignedInUser, WAIT_TIMEOUT, document_work_settings, eventually_within, run_alone,
};

use crate::processes::{
    pdf_file::{write_pdf, write_scanned_pdf},
    uploads::{upload_file, wait_for_end},
};

/// Most time from the upload of 30 pages with text until they are analysed.
const TEXT_LIMIT: Duration = Duration::from_secs(3);

/// Most time from the upload of a scanned page until it is analysed.
const SCAN_LIMIT: Duration = Duration::from_secs(5);

/// The variable with the number of pages of a long text, for a long run; a page is one chunk in the search.
const PAGES_VARIABLE: &str = "LONG_TEXT_PAGES";
const PAGES: usize = 100;

const LINES: [&str; 4] = [
    "The contractor shall deliver 1,200 boxes of nitrile examination gloves to the",
    "VA Medical Center, 2501 W 22nd Street, Sioux Falls, SD 57105, no later than",
    "September 30, 2031. Partial deliveries must be approved in writing. Offers are",
    "due by May 5, 2031 at noon Eastern Time. Liquidated damages apply.",
];

#[tokio::test]
async fn thirty_pages_are_analysed_in_three_seconds_and_a_scanned_page_in_five() {
    run_alone();
    let product = ProductInstance::start().await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;
    let mut variables = product.variables().clone();
    variables.extend(document_work_settings(1));
    let mut worker =
        ProductProcess::start(&variables, product.folder(), "worker", &["serve", "--role", "work"]).unwrap();
    // The first one loads what all others use.
    let first = upload_file(&ada, "first.pdf", write_pdf(&[&LINES])).await;
    assert_eq!(wait_for_end(&ada, &first).await.0, "ANALYSED");
    let page: Vec<_> = LINES.into_iter().cycle().take(40).collect();
    for (name, content, limit) in [
        ("text.pdf", write_pdf(&[page.as_slice(); 30]), TEXT_LIMIT),
        ("scan.pdf", write_scanned_pdf(&page), SCAN_LIMIT),
    ] {
        let started = Instant::now();
        let id = upload_file(&ada, name, content).await;
        let end = wait_for_end(&ada, &id).await;
        let took = started.elapsed();
        println!("{name}: analysed {took:?} after the beginning of its upload");
        assert_eq!(end, ("ANALYSED".to_owned(), String::new()));
        assert!(took < limit, "{name} took {took:?}");
    }
    measure_long_text(&ada).await;
    worker.stop().await.unwrap();
}

/// A text of many pages is found by what its last page says. Prints the times, which decide nothing.
async fn measure_long_text(user: &SignedInUser<'_>) {
    let chosen = std::env::vars().find(|(name, _)| name == PAGES_VARIABLE);
    let pages: usize = chosen.map_or(PAGES, |(_, count)| count.parse().expect("a number of pages"));
    let page = |number: usize| format!("Page {number} of the statement of work. {}\u{c}", LINES.join("\n"));
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
