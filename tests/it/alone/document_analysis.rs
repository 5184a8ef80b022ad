//! The time from the upload of a document until it is analysed.

use std::time::{Duration, Instant};

use tests::{ProductInstance, ProductProcess, SignedInUser, document_work_settings, run_alone};

use crate::processes::{
    long_text::STATEMENT_LINES,
    pdf_file::{write_pdf, write_scanned_pdf},
    uploads::{upload_file, wait_for_end},
};

/// Most time from the upload of 30 pages with text until they are analysed.
const TEXT_LIMIT: Duration = Duration::from_secs(3);

/// Most time from the upload of a scanned page until it is analysed.
const SCAN_LIMIT: Duration = Duration::from_secs(5);

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
    let first = upload_file(&ada, "first.pdf", write_pdf(&[&STATEMENT_LINES])).await;
    assert_eq!(wait_for_end(&ada, &first).await.0, "ANALYSED");
    let page: Vec<_> = STATEMENT_LINES.into_iter().cycle().take(40).collect();
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
    worker.stop().await.unwrap();
}
