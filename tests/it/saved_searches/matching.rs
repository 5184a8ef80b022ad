//! What is announced, to whom, and how often.

use domain::{
    clock::{Clock as _, SystemClock},
    envelope::RawEnvelope,
    watchlist::{NotificationFrequency, SearchCriteria},
};
use processes::saved_search_alert_process::{MAX_ALERTS_PER_HOUR, MAX_RECORDED_PER_HOUR};
use projections::runtime::Projection as _;
use saved_search_matching::{MatchedOpportunity, MatchingChange, SavedSearchMatching};
use tests::eventually;

use super::matching_fixture::{MatchingFixture, naics_criteria, notice, text_criteria};

const ANN: (&str, &str) = ("acme", "ann");
const VIC: (&str, &str) = ("zenith", "vic");
const AT_ONCE: NotificationFrequency = NotificationFrequency::AtOnce;
const DAILY: NotificationFrequency = NotificationFrequency::Daily;
const ALL_MATCHES: &str = "select count(*) from search_matches";

#[tokio::test]
async fn a_match_is_announced_once_after_any_repetition() {
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

    // The collection has more than twice as many opportunities: the queries are built again, while the others match, and
    // match as before.
    index_all(&fixture).await;
    fixture.record_notice(notice("F", "Ultrasound machine, mobile", "339112", 2)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.last().unwrap(), "acme:ann Search 1: Ultrasound machine, mobile");
}

#[tokio::test]
async fn queries_are_built_again_beside_those_that_match() {
    let fixture = MatchingFixture::create().await;
    fixture.register_company("acme", &["ann"]).await;
    fixture.record_notice(notice("A", "Roof repair", "339112", 1)).await;
    index_all(&fixture).await;
    fixture.save_search(ANN, 1, text_criteria("ultrasound machine"), AT_ONCE).await;
    fixture.record_notice(notice("B", "Ultrasound machine", "339112", 1)).await;
    fixture.record_notice(notice("C", "Sewing machine", "339112", 1)).await;
    let mut registry = fixture.create_registry();
    registry.refresh().await.unwrap();
    assert_eq!(registry.statistics_opportunities(), Some(1));

    index_all(&fixture).await;
    let events = fixture.events().await;
    let opportunities = matched_opportunities(&events);
    let opportunities: Vec<_> = opportunities.iter().collect();
    let found = registry.find_matches(&opportunities).await.unwrap();
    assert_eq!(
        (registry.statistics_opportunities(), found.searches[0].opportunities.as_slice()),
        (Some(1), [1].as_slice())
    );
    eventually(async || {
        registry.refresh().await.unwrap();
        if registry.statistics_opportunities() == Some(3) {
            Ok(())
        } else {
            Err(format!("{:?}", registry.statistics_opportunities()))
        }
    })
    .await;
    assert_eq!(registry.find_matches(&opportunities).await.unwrap(), found);
}

#[tokio::test]
async fn a_search_that_changes_within_the_hour_announces_each_match_once_as_it_says_then() {
    let fixture = MatchingFixture::create().await;
    let matching = fixture.start_matching();
    fixture.register_company("acme", &["ann"]).await;
    let record = async |number: &str| {
        fixture.record_notice(notice(number, number, "339112", 1)).await;
        fixture.deliver_all(&matching).await;
    };
    let save = async |notify| fixture.save_search(ANN, 1, naics_criteria("33"), notify).await;
    save(DAILY).await;
    record("A").await;
    save(AT_ONCE).await;
    record("B").await;
    save(DAILY).await;
    record("C").await;
    assert_eq!(fixture.notifications().await, ["acme:ann Search 1: B"]);
    let for_digest = "select count(*) from search_matches where frequency = 'daily' and notified_at is null";
    assert_eq!((fixture.count(for_digest).await, fixture.count(ALL_MATCHES).await), (2, 3));

    // Not announced for a while, also when the end of the first search is delivered late, with the next match.
    save(NotificationFrequency::Never).await;
    fixture.deliver_all(&matching).await;
    record("D").await;
    save(AT_ONCE).await;
    record("E").await;
    save(NotificationFrequency::Never).await;
    save(AT_ONCE).await;
    record("F").await;
    // Its user leaves, and joins again.
    fixture.remove_member("acme", "ann").await;
    record("G").await;
    fixture.add_member("acme", "ann").await;
    record("H").await;
    // Cancelled by an operator.
    fixture.cancel_open_alerts().await;
    record("I").await;
    let titles = ["B", "E", "F", "H", "I"].map(|title| format!("acme:ann Search 1: {title}"));
    assert_eq!(fixture.notifications().await, titles);

    // An amendment of what was announced before is a new match, whose command the log does not know.
    fixture.record_notice(notice("B", "B, amended", "339112", 2)).await;
    fixture.deliver_all(&matching).await;
    assert_eq!(fixture.notifications().await.len(), titles.len(), "the inbox has it");
    assert_eq!(fixture.count("select count(*) from process_instances where stalled").await, 0);
    assert_eq!(fixture.count("select count(*) from search_matches where opportunity_id like '%:B'").await, 1);
}

#[tokio::test]
async fn a_match_of_a_search_that_ends_before_it_is_recorded_is_dropped() {
    let fixture = MatchingFixture::create().await;
    fixture.register_company("acme", &["ann", "bob", "cat"]).await;
    fixture.register_company("zenith", &["vic"]).await;
    for (tenant, user) in [("acme", "ann"), ("acme", "bob"), ("acme", "cat"), VIC] {
        fixture.save_search((tenant, user), 1, naics_criteria("33"), AT_ONCE).await;
    }
    fixture.record_notice(notice("A", "Pumps", "339112", 1)).await;
    let opportunities = matched_opportunities(&fixture.events().await);
    let opportunities: Vec<_> = opportunities.iter().collect();
    let found = fixture.create_registry().find_matches(&opportunities).await.unwrap();
    assert_eq!(found.searches.len(), 4);
    fixture.remove_search(ANN, 1).await;
    fixture.remove_member("acme", "bob").await;
    fixture.match_store().record_matches(&opportunities, &found, SystemClock.now()).await.unwrap();
    fixture.send_commands().await;
    let mut notified = fixture.notifications().await;
    notified.sort();
    assert_eq!(notified, ["acme:cat Search 1: Pumps", "zenith:vic Search 1: Pumps"]);
    assert_eq!(fixture.count(ALL_MATCHES).await, 2);
    assert_eq!(fixture.count("select count(*) from process_instances").await, 2);
}

#[tokio::test]
async fn matches_are_removed_after_their_retention_in_portions() {
    let fixture = MatchingFixture::create().await;
    let insert = "insert into search_matches (tenant_id, user_id, search_id, opportunity_id, search_name, title,
                      agency_name, frequency, event_id, matched_at)
                  select 'acme', 'ann', gen_random_uuid(), n::text, 's', 't', 'a', 'daily', gen_random_uuid(),
                         now() - make_interval(days => case when n = 0 then 179 else 181 end)
                  from generate_series(0, 10001) n";
    fixture.execute(insert).await;
    let store = fixture.match_store();
    let mut removed = vec![];
    for _ in 0..3 {
        removed.push(store.remove_old_matches().await.unwrap());
    }
    assert_eq!((removed.as_slice(), fixture.count(ALL_MATCHES).await), ([10_000, 1, 0].as_slice(), 1));
}

/// The opportunities of these events, as they are compared with searches.
fn matched_opportunities(events: &[RawEnvelope]) -> Vec<MatchedOpportunity> {
    let is_opportunity = |event: &&RawEnvelope| event.aggregate_type == "opportunity";
    let changes = events.iter().filter(is_opportunity).flat_map(|event| SavedSearchMatching::project(event).unwrap());
    let opportunity = |change| match change {
        MatchingChange::Opportunity(opportunity) => Some(*opportunity),
        MatchingChange::Ended(_) => None,
    };
    changes.filter_map(opportunity).collect()
}

/// Applies all events of the log to the search.
async fn index_all(fixture: &MatchingFixture) {
    use projections::opportunity_search::OpportunitySearch;
    let events = fixture.events().await;
    let is_opportunity = |event: &&RawEnvelope| event.aggregate_type == "opportunity";
    let changes: Vec<_> =
        events.iter().filter(is_opportunity).flat_map(|event| OpportunitySearch::project(event).unwrap()).collect();
    fixture.search.apply(&changes).await.unwrap();
}
