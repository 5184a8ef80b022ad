//! Postgres: lists in every order by an index, and counters that change with the rows, exactly once.

mod fill;
mod pages;
mod statements;
mod verify;

use projections::{
    OpportunityCriteria,
    opportunity_lists::{
        FacetCount, FacetDimension, OpportunityItem, OpportunityListRequest, OpportunityLists, OpportunityOrder,
        SelectionStats,
    },
    runtime::{Projection, ProjectionError, ReadModelGeneration},
};

use super::{apply, apply_live, apply_with_repetitions};
use tests::opportunity_history::history;

const FACETS: [FacetDimension; 5] = [
    FacetDimension::Agency,
    FacetDimension::NoticeType,
    FacetDimension::SetAside,
    FacetDimension::NaicsSector,
    FacetDimension::State,
];

/// The first page in the default order.
async fn newest(lists: &OpportunityLists) -> Vec<OpportunityItem> {
    let request =
        OpportunityListRequest::try_new(OpportunityCriteria::default(), None, OpportunityOrder::default(), None, 100);
    lists.fetch_page(&request.unwrap().with_descriptions()).await.unwrap().items
}

/// Everything a reader can see.
async fn seen(lists: &OpportunityLists) -> (Vec<OpportunityItem>, Vec<FacetCount>, SelectionStats) {
    let criteria = OpportunityCriteria::default();
    (
        newest(lists).await,
        lists.fetch_facets(&criteria, None, &FACETS).await.unwrap(),
        lists.fetch_statistics(&criteria, None).await.unwrap(),
    )
}

#[tokio::test]
async fn twice_the_same_events_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) = (tests::lists().await, tests::lists().await, tests::lists().await);
    let events = history();
    apply_live(&live, &events).await;
    apply_with_repetitions(&repeated, &events).await;
    apply(&replayed, &events).await;

    let expected = seen(&live).await;

    assert_eq!(seen(&repeated).await, expected);
    assert_eq!(seen(&replayed).await, expected);
    let titles: Vec<_> = expected.0.iter().map(|item| item.entry.title.as_str()).collect();
    assert_eq!(titles, ["6530--Wheelchairs and lifts", "48--VALVE,CHECK", "DRYDOCK: USCGC RAZORBILL"]);
    assert_eq!((expected.0[0].awards, expected.0[0].awarded_cents), (2, Some(111)));
    let totals = expected.2.total;
    assert_eq!((totals.opportunities, totals.awarded, totals.awarded_cents), (3, 2, 81_930_111));
}

#[tokio::test]
async fn workers_that_overlap_count_every_event_once() {
    let lists = tests::lists().await;
    let events = history();
    for event in &events {
        let batch = std::slice::from_ref(event);
        tokio::join!(apply(&lists, batch), apply(&lists, batch), apply(&lists, batch));
    }
    let replayed = tests::lists().await;
    apply(&replayed, &events).await;

    assert_eq!(seen(&lists).await, seen(&replayed).await);
}

#[tokio::test]
async fn an_award_before_its_details_counts_when_they_come() {
    let lists = tests::lists().await;
    let events = history();
    let (awards, others): (Vec<_>, Vec<_>) =
        events.iter().cloned().partition(|event| event.event_type == "opportunity.awarded");
    apply(&lists, &awards).await;
    assert_eq!(lists.count_opportunities().await.unwrap(), 0);
    apply(&lists, &others).await;
    let replayed = tests::lists().await;
    apply(&replayed, &events).await;

    assert_eq!(seen(&lists).await, seen(&replayed).await);
}

#[tokio::test]
async fn a_generation_is_read_alone_and_a_missing_one_names_the_rebuild_command() {
    let first = tests::lists().await;
    apply(&first, &history()).await;
    let second = first.with_generation(ReadModelGeneration::try_new(2).unwrap());

    let change = OpportunityLists::project(&history()[0]).unwrap();
    let Err(ProjectionError::Unavailable(error)) = second.apply(&change).await else { panic!("written") };
    assert!(error.to_string().contains("medhub rebuild lists"), "{error}");

    // Several processes prepare a generation at the same time.
    let (one, other) = tokio::join!(second.prepare(), second.prepare());
    one.and(other).unwrap();
    assert_eq!((newest(&second).await, second.count_opportunities().await.unwrap()), (vec![], 0));
    assert!(!second.is_applied(&change[0]).await.unwrap() && first.is_applied(&change[0]).await.unwrap());
    assert!(!second.is_marked_complete().await.unwrap());
    second.mark_complete().await.unwrap();
    assert!(second.is_marked_complete().await.unwrap() && !first.is_marked_complete().await.unwrap());
    second.discard().await.unwrap();
    second.discard().await.unwrap();
    assert_eq!(first.count_opportunities().await.unwrap(), 3);
}

#[tokio::test]
async fn a_text_that_the_server_cannot_store_is_rejected() {
    let lists = tests::lists().await;
    let mut event = history().remove(0);
    event.payload = event.payload.replace("Wheelchairs", "Wheel\\u0000chairs");
    let changes = OpportunityLists::project(&event).unwrap();

    let outcome = lists.apply(&changes).await;

    assert!(matches!(outcome, Err(ProjectionError::Rejected(_))), "{outcome:?}");
    assert_eq!(lists.count_opportunities().await.unwrap(), 0);
}
