//! Writing: duplicates, replays, racing writers, texts that are embedded once, and what the store refuses.

use projections::runtime::ProjectionError;

use super::*;
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history, march, notice};

fn generation(number: i32) -> ReadModelGeneration {
    ReadModelGeneration::try_new(number).unwrap()
}

#[tokio::test]
async fn twice_the_same_events_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) =
        (SearchFixture::new().await, SearchFixture::new().await, SearchFixture::new().await);
    let events = history();
    apply_live(&live.search, &events).await;
    apply_with_repetitions(&repeated.search, &events).await;
    apply(&replayed.search, &events).await;

    let expected = seen(&live.search).await;

    assert_eq!((expected.0, expected.1.len()), (3, 3));
    assert_eq!(seen(&repeated.search).await, expected);
    assert_eq!(seen(&replayed.search).await, expected);
    let everything = VerifyScope::all_buckets();
    let rows = read_back(&live.search, &everything).await;
    assert_eq!(read_back(&repeated.search, &everything).await, rows);
    assert_eq!(read_back(&replayed.search, &everything).await, rows);
}

#[tokio::test]
async fn an_older_event_never_replaces_newer_facts() {
    let own = SearchFixture::holding(&history()).await;
    let before = seen(&own.search).await;

    apply(&own.search, &history()[..1]).await;

    assert_eq!(seen(&own.search).await, before);
}

#[tokio::test]
async fn of_racing_writers_the_newest_facts_win_and_no_award_is_lost() {
    let events = history();
    for round in 0..5 {
        let own = SearchFixture::holding(&events[..3]).await;
        // Workers that each believe to own the partition: every one has another part of the log in hand, in any order.
        let writers = (3..=events.len()).chain(1..3).map(|end| {
            let (search, mine) = (own.search.clone(), events[..end].to_vec());
            tokio::spawn(async move {
                for event in mine.iter().rev() {
                    let changes = OpportunitySearch::project(event).unwrap();
                    search.apply(&changes).await.unwrap();
                }
                apply(&search, &mine).await;
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let scope = VerifyScope::all_buckets();
        assert_eq!(read_back(&own.search, &scope).await, expected(&own.search, &events, &scope), "round {round}");
    }
}

#[tokio::test]
async fn an_unchanged_text_is_not_embedded_again() {
    let own = SearchFixture::new().await;
    let mut log = tests::opportunity_history::MemoryLog::default();
    let first = notice("n1", "DEPT OF DEFENSE", "V-1", "48--VALVE,CHECK", "4820", 1);
    let mut later = first.clone();
    later.notice_id = domain::opportunity::NoticeId::try_new("n2").unwrap();
    later.posted_at = march(2);
    later.details.response_deadline = Some(march(20));
    log.record(first);
    log.record(later.clone());
    apply_live(&own.search, &log.events).await;
    assert_eq!(own.search.embedded_count(), 1);
    assert_eq!(seen(&own.search).await.1[0].response_deadline, Some(march(20)));

    later.notice_id = domain::opportunity::NoticeId::try_new("n3").unwrap();
    later.posted_at = march(3);
    later.details.title = "48--VALVE,GATE".to_owned();
    log.record(later);
    apply_live(&own.search, &log.events).await;
    assert_eq!(own.search.embedded_count(), 2);
}

#[tokio::test]
async fn a_rebuild_embeds_nothing_and_gives_the_same_points() {
    let own = SearchFixture::holding(&history()).await;
    let embedded = own.search.embedded_count();
    assert_eq!(embedded, 3);
    let next = own.search.with_generation(generation(2)).with_copy_source(generation(1));
    next.migrate().await.unwrap();

    apply(&next, &history()).await;

    assert_eq!(next.embedded_count(), embedded);
    let everything = VerifyScope::all_buckets();
    assert_eq!(read_back(&next, &everything).await, read_back(&own.search, &everything).await);
    assert_eq!(seen(&next).await, seen(&own.search).await);

    // Without a generation to copy from, or with one that is gone, every text is embedded.
    for (number, live) in [(3, None), (4, Some(9))] {
        let mut alone = own.search.with_generation(generation(number));
        if let Some(live) = live {
            alone = alone.with_copy_source(generation(live));
        }
        alone.migrate().await.unwrap();
        let before = alone.embedded_count();
        apply(&alone, &history()).await;
        assert_eq!(alone.embedded_count(), before + 3);
    }
}

#[tokio::test]
async fn a_vector_of_another_text_or_model_is_not_copied() {
    let own = SearchFixture::holding(&history()).await;
    own.tamper(VALVES, json!({ "content_hash": "of another text" })).await;
    own.tamper(SHIP, json!({ "model_version": "of another time" })).await;
    let next = own.search.with_generation(generation(2)).with_copy_source(generation(1));
    next.migrate().await.unwrap();

    apply(&next, &history()).await;

    assert_eq!(next.embedded_count(), 3 + 2);
}

#[tokio::test]
async fn what_was_written_is_held_and_what_was_lost_is_not() {
    let own = SearchFixture::new().await;
    let events = history();
    let changes: Vec<_> = events.iter().flat_map(|event| OpportunitySearch::project(event).unwrap()).collect();
    assert!(!own.search.is_applied(&changes[0]).await.unwrap());

    own.search.apply(&changes).await.unwrap();
    for change in &changes {
        assert!(own.search.is_applied(change).await.unwrap(), "{change:?}");
    }

    own.delete(WHEELCHAIRS).await;
    assert!(!own.search.is_applied(&changes[0]).await.unwrap());
}

#[tokio::test]
async fn an_award_of_what_was_never_described_is_poison() {
    let own = SearchFixture::new().await;
    let awards = history().into_iter().filter(|event| event.event_type.ends_with("awarded"));
    let changes: Vec<_> = awards.flat_map(|event| OpportunitySearch::project(&event).unwrap()).collect();

    let refused = own.search.apply(&changes).await.unwrap_err();

    assert!(matches!(refused, ProjectionError::Poison(_)), "{refused:?}");
}

#[tokio::test]
async fn a_collection_that_is_gone_is_waited_for_and_says_what_to_do() {
    let own = SearchFixture::new().await;
    own.search.discard().await.unwrap();
    own.search.discard().await.unwrap();
    let changes: Vec<_> = history().iter().flat_map(|event| OpportunitySearch::project(event).unwrap()).collect();

    let error = own.search.apply(&changes).await.unwrap_err();

    assert!(matches!(error, ProjectionError::Unavailable(_)), "{error:?}");
    assert!(format!("{error:?}").contains("Missing"), "{error:?}");
    own.search.prepare().await.unwrap();
    own.search.apply(&changes).await.unwrap();
    assert_eq!(own.search.count_opportunities().await.unwrap(), 3);
}

#[tokio::test]
async fn a_broken_point_is_written_over() {
    let own = SearchFixture::holding(&history()).await;
    own.tamper(VALVES, json!({ "sequence": "a word" })).await;

    apply(&own.search, &history()).await;

    let scope = VerifyScope::all_buckets();
    assert_eq!(read_back(&own.search, &scope).await, expected(&own.search, &history(), &scope));
}

#[tokio::test]
async fn migrating_again_and_at_once_changes_nothing() {
    let own = SearchFixture::holding(&history()).await;

    let (first, second) = tokio::join!(own.search.migrate(), own.search.migrate());

    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(own.search.count_opportunities().await.unwrap(), 3);
}
