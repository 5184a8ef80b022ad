//! The URLs of files, which only some sources state.

use super::*;

fn links(urls: &[&str]) -> ResourceLinks {
    ResourceLinks::try_new(urls.iter().map(|url| ResourceLink::try_new(url).unwrap()).collect()).unwrap()
}

/// A notice as the API states it.
fn api_notice(day: u32, urls: &[&str]) -> Notice {
    let mut notice = Notice { source: NoticeSource::SamApi, ..notice("n1", day) };
    notice.details.resource_links = Some(links(urls));
    notice
}

const TWO: [&str; 2] = ["https://sam.gov/b", "https://sam.gov/a"];

#[test]
fn other_links_alone_are_an_amendment() {
    for changed in [&["https://sam.gov/a"][..], &["https://sam.gov/a", "https://sam.gov/b"], &[]] {
        let (earlier, later) = (api_notice(3, &TWO), api_notice(3, changed));
        OpportunityScenario::with(())
            .given(vec![first(&earlier)])
            .when(record(&later))
            .then_expect_events(vec![amended(&later, AmendmentStanding::Current)]);
    }
}

#[test]
fn a_source_without_links_does_not_remove_them() {
    let api = api_notice(3, &TWO);
    let same = notice("n1", 3);
    OpportunityScenario::with(()).given(vec![first(&api)]).when(record(&same)).then_expect_events(vec![]);
    let mut extract = notice("n1", 4);
    extract.details.title = "Patient lifts, revised".into();
    let mut merged = extract.clone();
    merged.details.resource_links = Some(links(&TWO));
    OpportunityScenario::with(()).given(vec![first(&api)]).when(record(&extract)).then_expect_events(vec![
        OpportunityEvent::Amended {
            filing: NoticeFiling::from_notice(&extract),
            standing: AmendmentStanding::Current,
            details: Arc::new(merged.details),
        },
    ]);
}

#[test]
fn a_statement_that_there_are_no_links_says_nothing_new_about_a_record_without_any() {
    OpportunityScenario::with(())
        .given(vec![first(&notice("n1", 3))])
        .when(record(&api_notice(3, &[])))
        .then_expect_events(vec![]);
}

#[test]
fn links_are_recorded_from_a_source_that_states_only_the_day() {
    let extract = notice("n1", 3);
    let mut api = api_notice(3, &TWO);
    api.posted_at = "2026-03-03T00:00:00Z".parse().unwrap();
    api.details.title = "As it was before".into();
    let mut merged = extract.clone();
    merged.details.resource_links = Some(links(&TWO));
    let event = OpportunityEvent::Amended {
        filing: NoticeFiling { posted_at: extract.posted_at, ..NoticeFiling::from_notice(&api) },
        standing: AmendmentStanding::Current,
        details: Arc::new(merged.details),
    };
    OpportunityScenario::with(())
        .given(vec![first(&extract)])
        .when(record(&api))
        .then_expect_events(vec![event.clone()]);
    for known in [&api, &extract] {
        OpportunityScenario::with(())
            .given(vec![first(&extract), event.clone()])
            .when(record(known))
            .then_expect_events(vec![]);
    }
}

#[test]
fn links_of_an_earlier_wording_differ_from_the_current_ones() {
    let current = notice("n1", 9);
    OpportunityScenario::with(())
        .given(vec![first(&current)])
        .when(record(&api_notice(3, &TWO)))
        .then_expect_events(vec![]);
}

#[test]
fn a_manual_amendment_replaces_or_removes_the_links() {
    let original = api_notice(3, &TWO);
    for urls in [&["https://agency.example/1"][..], &[]] {
        let OpportunityCommand::Amend(mut command) = amend(8, &original.details.title) else { unreachable!() };
        command.resource_links = Some(links(urls));
        let mut expected = Notice { source: NoticeSource::Manual, posted_at: march(8), ..original.clone() };
        expected.details.resource_links = Some(links(urls));
        OpportunityScenario::with(())
            .given(vec![first(&original)])
            .when(OpportunityCommand::Amend(command))
            .then_expect_events(vec![amended(&expected, AmendmentStanding::Current)]);
    }
}

#[test]
fn events_of_version_1_0_have_no_links() {
    let (stored, links) = (serde_json::to_string(&first(&notice("n1", 3))).unwrap(), "resource_links");
    assert!(!stored.contains(links));
    let event = crate::upcast::decode_event::<OpportunityEvent>("opportunity.discovered", "1.0", &stored).unwrap();
    assert_eq!(event, first(&notice("n1", 3)));
    let stored = serde_json::to_value(first(&api_notice(3, &TWO))).unwrap();
    assert_eq!(stored["facts"][links], serde_json::json!(TWO));
}
