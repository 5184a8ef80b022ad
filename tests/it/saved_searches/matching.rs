//! What is announced, to whom, and how often.

use domain::watchlist::{NotificationFrequency, SearchCriteria};
use processes::saved_search_alerts::{MAX_ALERTS_PER_HOUR, MAX_RECORDED_PER_HOUR};
use projections::runtime::Projection as _;

use super::matching_fixture::{MatchingFixture, naics_criteria, notice, text_criteria};

const ANN: (&str, &str) = ("acme", "ann");
const VIC: (&str, &str) = ("zenith", "vic");
const AT_ONCE: NotificationFrequency = NotificationFrequency::AtOnce;

#[tokio::test]
async fn a_match_is_announced_once_whatever_is_repeated() {
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    fixture.register_company("acme", &["ann"]).await;
    fixture.register_company("zenith", &["vic"]).await;
    fixture.record_notice(notice("EARLIER", "Pumps", "339112", 1)).await;
    fixture.save_search(ANN, 1, naics_criteria("3391"), AT_ONCE).await;
    fixture.save_search(VIC, 1, naics_criteria("62"), AT_ONCE).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await, Vec::<String>::new(), "it was there when the search was saved");

    fixture.record_notice(notice("A", "Infusion pumps", "339112", 2)).await;
    fixture.record_notice(notice("B", "Nursing", "621111", 2)).await;
    fixture.deliver_all(&matching).await;
    let expected = ["acme:ann Search 1: Infusion pumps", "zenith:vic Search 1: Nursing"];
    let mut found = fixture.notifications().await;
    found.sort();
    assert_eq!(found, expected);

    // Delivered again, to another program, at the same time, amended, and with an empty memory.
    let (events, other) = (fixture.events().await, fixture.start_matching());
    tokio::join!(fixture.deliver(&matching, &events), fixture.deliver(&other, &events));
    fixture.record_notice(notice("A", "Infusion pumps, amended", "339112", 3)).await;
    fixture.deliver_all(&fixture.start_matching()).await;
    assert_eq!(fixture.notifications().await.len(), 2);
    // Without the record of the process, the inbox still knows the notification.
    fixture.execute("delete from process_instances").await;
    fixture.execute("delete from search_matches").await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.len(), 2, "{:?}", fixture.notifications().await);

    // An amendment that matches for the first time is announced.
    fixture.record_notice(notice("B", "Nursing and pumps", "339112", 4)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.last().unwrap(), "acme:ann Search 1: Nursing and pumps");
}

#[tokio::test]
async fn searches_that_have_ended_and_users_who_have_left_are_not_notified() {
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    fixture.register_company("acme", &["ann", "bob", "cat"]).await;
    for user in ["ann", "bob", "cat"] {
        fixture.save_search(("acme", user), 1, naics_criteria("33"), AT_ONCE).await;
    }
    let full = MAX_ALERTS_PER_HOUR + 1;
    for number in 0..full {
        fixture.record_notice(notice(&format!("A{number}"), "Pumps", "339112", 1)).await;
    }
    fixture.deliver_all(&matching).await;
    let announced = usize::try_from(MAX_ALERTS_PER_HOUR).unwrap() * 3;
    assert_eq!(fixture.notifications().await.len(), announced);

    // Of the three, only cat's search goes on; its criteria change later.
    fixture.remove_search(ANN, 1).await;
    fixture.remove_member("acme", "bob").await;
    fixture.record_notice(notice("B", "Pumps", "339112", 1)).await;
    fixture.deliver_all(&matching).await;
    fixture.end_hour().await;
    let later = fixture.notifications().await.split_off(announced);
    assert_eq!(later, ["acme:cat Search 1: 2 more opportunities"]);
    let others = fixture.count("select count(*) from search_matches where user_id <> 'cat'").await;
    assert_eq!(others, 0);

    fixture.save_search(("acme", "cat"), 1, naics_criteria("62"), AT_ONCE).await;
    fixture.record_notice(notice("C", "Pumps", "339112", 1)).await;
    fixture.save_search(("acme", "cat"), 1, naics_criteria("33"), NotificationFrequency::Never).await;
    fixture.record_notice(notice("D", "Pumps", "339112", 1)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.len(), announced + 1);
}

#[tokio::test]
async fn a_flood_of_matches_is_announced_together_and_stays_bounded() {
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    fixture.register_company("acme", &["ann"]).await;
    fixture.save_search(ANN, 1, naics_criteria("33"), AT_ONCE).await;
    fixture.save_search(ANN, 2, naics_criteria("339"), NotificationFrequency::Daily).await;
    let notices = MAX_RECORDED_PER_HOUR + 5;
    for number in 0..notices {
        fixture.record_notice(notice(&format!("A{number}"), "Pumps", "339112", 1)).await;
    }
    let events = fixture.events().await;
    let (first, second) = events.split_at(events.len() / 2);
    fixture.deliver(&matching, first).await;
    fixture.deliver(&matching, second).await;
    let announced = usize::try_from(MAX_ALERTS_PER_HOUR).unwrap();
    assert_eq!(fixture.notifications().await.len(), announced);
    fixture.end_hour().await;
    let expected = format!("acme:ann Search 1: {} more opportunities", notices - MAX_ALERTS_PER_HOUR);
    assert_eq!(fixture.notifications().await.split_off(announced), [expected]);

    for search in [1, 2] {
        let rows = format!("from search_matches where search_id = '{}'", uuid::Uuid::from_u128(search));
        let recorded = i64::from(MAX_RECORDED_PER_HOUR);
        assert_eq!(fixture.count(&format!("select count(*) {rows}")).await, recorded);
        let told = if search == 1 { i64::from(MAX_ALERTS_PER_HOUR) } else { 0 };
        assert_eq!(fixture.count(&format!("select count(notified_at) {rows}")).await, told);
    }
    let overflow = "select sum(opportunities)::bigint from search_match_overflows where frequency = 'daily'";
    assert_eq!(fixture.count(overflow).await, 5);
    assert_eq!(fixture.count("select count(*) from process_instances where status <> 'finished'").await, 0);
}

#[tokio::test]
async fn texts_match_as_the_search_ranks_them() {
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    fixture.register_company("acme", &["ann"]).await;
    // What is there already gives the terms their frequencies.
    for (number, title) in ["Roof repair", "Elevator repair", "Machine gun parts", "X-ray machine"].iter().enumerate() {
        fixture.record_notice(notice(&format!("E{number}"), title, "339112", 1)).await;
    }
    index_all(&fixture).await;
    fixture.save_search(ANN, 1, text_criteria("ultrasound machine"), AT_ONCE).await;
    let both = SearchCriteria { text: text_criteria("hospital beds").text, ..naics_criteria("62") };
    fixture.save_search(ANN, 2, both, AT_ONCE).await;
    for (number, title, naics) in [
        ("A", "Portable Ultrasound Machines", "339112"),
        ("B", "Sewing machines", "333242"),
        ("C", "Machine screws", "332722"),
        ("D", "6530--Hospital Beds, bariatric", "339112"),
        ("E", "6530--Hospital Beds, bariatric", "622110"),
    ] {
        fixture.record_notice(notice(number, title, naics, 1)).await;
    }
    fixture.deliver_all(&matching).await;
    let mut found = fixture.notifications().await;
    found.sort();
    let expected =
        ["acme:ann Search 1: Portable Ultrasound Machines", "acme:ann Search 2: 6530--Hospital Beds, bariatric"];
    assert_eq!(found, expected);

    // A search that is saved again with the same text keeps its query.
    fixture.save_search(ANN, 1, text_criteria("ultrasound machine"), NotificationFrequency::Daily).await;
    fixture.deliver_all(&matching).await;
    fixture.save_search(ANN, 1, text_criteria("ultrasound machine"), AT_ONCE).await;
    fixture.record_notice(notice("G", "Ultrasound machine with cart", "339112", 1)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.last().unwrap(), "acme:ann Search 1: Ultrasound machine with cart");

    // The collection has more than twice as many opportunities: the queries are built again, and match as before.
    index_all(&fixture).await;
    fixture.record_notice(notice("F", "Ultrasound machine, mobile", "339112", 2)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.last().unwrap(), "acme:ann Search 1: Ultrasound machine, mobile");
}

/// Applies all events of the log to the search.
async fn index_all(fixture: &MatchingFixture) {
    use projections::opportunity_search::OpportunitySearch;
    let events = fixture.events().await;
    let is_opportunity = |event: &&domain::envelope::RawEnvelope| event.aggregate_type == "opportunity";
    let changes: Vec<_> =
        events.iter().filter(is_opportunity).flat_map(|event| OpportunitySearch::project(event).unwrap()).collect();
    fixture.search.apply(&changes).await.unwrap();
}
