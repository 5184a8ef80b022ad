//! What an import costs that many saved searches are compared with. Prints the times, which decide nothing.

use std::time::Instant;

use domain::watchlist::{MAX_SAVED_SEARCHES, NotificationFrequency};
use futures::{StreamExt as _, stream};

use super::matching_fixture::{MatchingFixture, naics_criteria, notice, text_criteria};

/// Searches and notices, e.g. `10000x5000`, for a long run.
const SIZE_VARIABLE: &str = "SAVED_SEARCH_IMPORT";
const SIZE: (usize, usize) = (100, 50);
/// Events that are delivered together, as a worker does.
const BATCH: usize = 500;
/// Each n-th search has a text.
const TEXT_SHARE: usize = 10;
const CODES: usize = 400;
const WORDS: [&str; 8] = ["beds", "lifts", "pumps", "gloves", "monitors", "freezers", "scalpels", "ventilators"];

fn chosen_size() -> (usize, usize) {
    let chosen = std::env::vars().find(|(name, _)| name == SIZE_VARIABLE);
    let Some((_, text)) = chosen else { return SIZE };
    let (searches, notices) = text.split_once('x').expect("SEARCHESxNOTICES");
    (searches.parse().expect("a number of searches"), notices.parse().expect("a number of notices"))
}

fn code(number: usize) -> String {
    format!("339{:03}", number * 7 % CODES)
}

fn word(number: usize) -> &'static str {
    WORDS[number % WORDS.len()]
}

#[tokio::test]
async fn an_import_is_matched_against_all_searches() {
    let (searches, notices) = chosen_size();
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    let companies = searches.div_ceil(MAX_SAVED_SEARCHES);
    let save_company = async |company: usize| {
        let name = format!("company-{company}");
        fixture.register_company(&name, &[]).await;
        for number in (company * MAX_SAVED_SEARCHES..searches).take(MAX_SAVED_SEARCHES) {
            let is_text = number % TEXT_SHARE == 0;
            let criteria = if is_text { text_criteria(word(number)) } else { naics_criteria(&code(number)) };
            fixture.save_search((&name, "founder"), number as u128, criteria, NotificationFrequency::AtOnce).await;
        }
    };
    stream::iter(0..companies).for_each_concurrent(8, save_company).await;
    let started = Instant::now();
    fixture.deliver_all(&matching).await;
    let registered = started.elapsed();

    let started = Instant::now();
    let record = |number: usize| {
        let title = format!("Surgical {} and {}", word(number), word(number / 8));
        fixture.record_notice(notice(&format!("N{number}"), &title, &code(number), 1))
    };
    stream::iter(0..notices).for_each_concurrent(16, record).await;
    let imported = started.elapsed();
    let events = fixture.events().await;
    let opportunities: Vec<_> = events.into_iter().filter(|event| event.aggregate_type == "opportunity").collect();
    assert_eq!(opportunities.len(), notices);

    let started = Instant::now();
    for batch in opportunities.chunks(BATCH) {
        fixture.apply(&matching, batch).await;
    }
    let matched = started.elapsed();
    let pending = fixture.count("select count(*) from process_commands").await;
    let started = Instant::now();
    fixture.send_commands().await;
    let sent = started.elapsed();
    let found = fixture.count("select count(*) from search_matches").await;
    println!(
        "{searches} searches of {companies} companies, registered in {registered:.1?}; {notices} notices imported in \
         {imported:.1?}, matched in {matched:.1?} ({found} matches), {pending} notifications sent in {sent:.1?}"
    );
    assert!(found > 0, "some searches match");
    assert_eq!(i64::try_from(fixture.notifications().await.len()).unwrap(), pending);
}
