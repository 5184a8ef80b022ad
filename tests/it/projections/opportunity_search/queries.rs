//! Finding: by meaning, by number, by filter, and only what a tenant may see.

use domain::opportunity::NaicsCode;
use projections::TimeRange;

use super::*;
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history, march, notice};

#[tokio::test]
async fn a_question_finds_what_is_about_it_first() {
    let own = SearchFixture::holding(&history()).await;
    let search = &own.search;
    let all = OpportunityCriteria::default();

    assert_eq!(found(search, "wheelchairs and patient lifts", &all).await[0], WHEELCHAIRS);
    assert_eq!(found(search, "ship repair", &all).await[0], SHIP);
    assert_eq!(found(search, "valves", &all).await[0], VALVES);
    let hits = search.search_opportunities("wheelchairs", &all, PUBLIC_TENANT, 1).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].title.as_str(), hits[0].awarded), ("6530--Wheelchairs and lifts", true));
    assert_eq!((hits[0].posted_at, hits[0].response_deadline), (march(7), Some(march(20))));
    // First by meaning and first by words.
    assert!((hits[0].score - 1.0).abs() < 1e-3, "{}", hits[0].score);
}

#[tokio::test]
async fn a_number_is_found_exactly_where_meaning_alone_would_miss_it() {
    let own = SearchFixture::new().await;
    let mut log = tests::opportunity_history::MemoryLog::default();
    for number in 0..150 {
        let (id, solicitation) = (format!("n{number}"), format!("SPE4A7-26-R-{number:04}"));
        let mut one = notice(&id, "DEPT OF DEFENSE", &solicitation, "53--BOLT,MACHINE", "5306", 1);
        one.details.description =
            Some(format!("NSN 5306-01-{:03}-{:04}, quantity {number}.", number % 7, 2_000 + number));
        log.record(one);
    }
    apply(&own.search, &log.events).await;
    let all = OpportunityCriteria::default();

    // All texts mean the same, so that only their numbers tell them apart.
    for question in [
        "SPE4A7-26-R-0012",
        "spe4a726r0012",
        "solicitation SPE4A7-26-R-0012 for machine bolts",
        "5306-01-005-2012",
        "NSN 5306010052012",
    ] {
        let hits = own.search.search_opportunities(question, &all, PUBLIC_TENANT, 3).await.unwrap();
        assert_eq!(hits[0].id, "097:SPE4A726R0012", "{question}: {hits:?}");
    }
}

#[tokio::test]
async fn abbreviations_misspelled_words_and_codes_lead_to_what_is_meant() {
    let own = SearchFixture::new().await;
    let mut log = tests::opportunity_history::MemoryLog::default();
    let titles =
        ["Automated external units", "Sphygmomanometer, aneroid", "Fountain pens", "ITEM,SPECIAL", "Aedes survey"];
    for (kind, title) in titles.iter().enumerate() {
        for number in 0..6 {
            let id = format!("{kind}N{number}");
            let mut one = notice(&id, "DEPT OF DEFENSE", &id, title, "99", 1);
            one.details.naics =
                Some(NaicsCode::try_new(if *title == "ITEM,SPECIAL" { "339113" } else { "541990" }).unwrap());
            one.details.description = None;
            log.record(one);
        }
    }
    apply(&own.search, &log.events).await;
    for (question, title) in [
        ("AED", "Automated external units"),
        ("sphygmomenometers", "Sphygmomanometer, aneroid"),
        ("artificial limbs", "ITEM,SPECIAL"),
    ] {
        let hits =
            own.search.search_opportunities(question, &OpportunityCriteria::default(), PUBLIC_TENANT, 6).await.unwrap();
        let found: Vec<_> = hits.iter().map(|hit| hit.title.as_str()).collect();
        assert_eq!(found, [title; 6], "{question}");
    }
}

#[tokio::test]
async fn a_question_without_a_single_term_is_answered_by_meaning() {
    let own = SearchFixture::holding(&history()).await;
    for question in ["the", "?", "a"] {
        assert_eq!(found(&own.search, question, &OpportunityCriteria::default()).await.len(), 3, "{question}");
    }
}

#[tokio::test]
async fn filters_choose_and_combine() {
    let own = SearchFixture::holding(&history()).await;
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let from = |day| TimeRange { from: Some(march(day)), to: None };
    let cases: Vec<(OpportunityCriteria, Vec<&str>)> = vec![
        (
            OpportunityCriteria { agencies: list(&["036", "097"]), ..OpportunityCriteria::default() },
            vec![WHEELCHAIRS, VALVES],
        ),
        (OpportunityCriteria { naics: list(&["3391"]), ..OpportunityCriteria::default() }, vec![WHEELCHAIRS]),
        (
            OpportunityCriteria { set_asides: list(&["SDVOSBC", "SBA"]), ..OpportunityCriteria::default() },
            vec![WHEELCHAIRS],
        ),
        (OpportunityCriteria { notice_types: list(&["Award Notice"]), ..OpportunityCriteria::default() }, vec![]),
        (OpportunityCriteria { posted: from(5), ..OpportunityCriteria::default() }, vec![WHEELCHAIRS, VALVES]),
        (OpportunityCriteria { deadline: from(20), ..OpportunityCriteria::default() }, vec![WHEELCHAIRS]),
        (OpportunityCriteria { deadline: from(21), ..OpportunityCriteria::default() }, vec![]),
        (OpportunityCriteria { agencies: list(&["070"]), posted: from(5), ..OpportunityCriteria::default() }, vec![]),
    ];
    for (filter, mut expected) in cases {
        // Words that every notice has, so that both lists of candidates would have all of them.
        let mut found = found(&own.search, "what notice is about", &filter).await;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_tenant_finds_what_is_public_and_its_own() {
    let mut events = history();
    for event in events.iter_mut().filter(|event| event.aggregate_id == VALVES) {
        event.tenant_id = "acme".to_owned();
    }
    let own = SearchFixture::holding(&events).await;
    let as_tenant = async |tenant: &str| {
        let mut found = names(
            own.search.search_opportunities("valves V-1", &OpportunityCriteria::default(), tenant, 100).await.unwrap(),
        );
        found.sort();
        found
    };

    assert_eq!(as_tenant("acme").await, [WHEELCHAIRS, SHIP, VALVES]);
    assert_eq!(as_tenant("other").await, [WHEELCHAIRS, SHIP]);
    assert_eq!(as_tenant(PUBLIC_TENANT).await, [WHEELCHAIRS, SHIP]);
    let all = OpportunityCriteria::default();
    assert_eq!(own.search.find_similar(VALVES, &all, "other", 10).await.unwrap(), None);
    let like_ship = names(own.search.find_similar(SHIP, &all, "other", 10).await.unwrap().unwrap());
    assert_eq!(like_ship, [WHEELCHAIRS]);
}
