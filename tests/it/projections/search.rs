//! Qdrant: one point per opportunity, found by what it is about.

use projections::{
    Filter, TimeRange,
    search::{Hit, Search},
};

use super::{SHIP, VALVES, WHEELCHAIRS, apply, apply_live, apply_with_repetitions, history, march, search};

/// Everything a reader can see: all points, with what they say.
async fn seen(search: &Search) -> (u64, Vec<Hit>) {
    let mut hits = search.search("anything", &Filter::default(), 100).await.unwrap();
    // Scores come back with the rounding of the engine's segment; which points there are is what counts.
    for hit in &mut hits {
        hit.score = (hit.score * 1e4).round();
    }
    hits.sort_by(|left, right| left.id.cmp(&right.id));
    (search.count().await.unwrap(), hits)
}

async fn ids(search: &Search, query: &str, filter: &Filter) -> Vec<String> {
    search.search(query, filter, 100).await.unwrap().into_iter().map(|hit| hit.id).collect()
}

#[tokio::test]
async fn twice_the_same_events_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) = (search().await, search().await, search().await);
    let events = history();
    apply_live(&live, &events).await;
    apply_with_repetitions(&repeated, &events).await;
    apply(&replayed, &events).await;

    let expected = seen(&live).await;

    assert_eq!((expected.0, expected.1.len()), (3, 3));
    assert_eq!(seen(&repeated).await, expected);
    assert_eq!(seen(&replayed).await, expected);
}

#[tokio::test]
async fn a_question_finds_what_is_about_it_first() {
    let search = search().await;
    apply(&search, &history()).await;
    let all = Filter::default();

    assert_eq!(ids(&search, "wheelchairs and patient lifts", &all).await[0], WHEELCHAIRS);
    assert_eq!(ids(&search, "ship repair", &all).await[0], SHIP);
    assert_eq!(ids(&search, "valves", &all).await[0], VALVES);
    let hits = search.search("wheelchairs", &all, 1).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].title.as_str(), hits[0].awarded), ("6530--Wheelchairs and lifts", true));
    assert_eq!((hits[0].posted_at, hits[0].response_deadline), (march(7), Some(march(20))));
    assert!(hits[0].score > 0.3 && hits[0].score <= 1.001, "{}", hits[0].score);
}

#[tokio::test]
async fn filters_choose_and_combine() {
    let search = search().await;
    apply(&search, &history()).await;
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let from = |day| TimeRange { from: Some(march(day)), to: None };
    let cases: Vec<(Filter, Vec<&str>)> = vec![
        (Filter { agencies: list(&["036", "097"]), ..Filter::default() }, vec![WHEELCHAIRS, VALVES]),
        (Filter { naics: list(&["3391"]), ..Filter::default() }, vec![WHEELCHAIRS]),
        (Filter { set_asides: list(&["SDVOSBC", "SBA"]), ..Filter::default() }, vec![WHEELCHAIRS]),
        (Filter { notice_types: list(&["Award Notice"]), ..Filter::default() }, vec![]),
        (Filter { posted: from(5), ..Filter::default() }, vec![WHEELCHAIRS, VALVES]),
        (Filter { deadline: from(20), ..Filter::default() }, vec![WHEELCHAIRS]),
        (Filter { deadline: from(21), ..Filter::default() }, vec![]),
        (Filter { agencies: list(&["070"]), posted: from(5), ..Filter::default() }, vec![]),
    ];
    for (filter, mut expected) in cases {
        let mut found = ids(&search, "anything", &filter).await;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn an_older_event_never_replaces_newer_facts() {
    let search = search().await;
    let events = history();
    apply(&search, &events).await;
    let before = seen(&search).await;

    apply(&search, &events[..1]).await;

    assert_eq!(seen(&search).await, before);
}

#[tokio::test]
async fn migrating_again_and_at_once_changes_nothing() {
    let search = search().await;
    apply(&search, &history()).await;

    let (first, second) = tokio::join!(search.migrate(), search.migrate());

    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(search.count().await.unwrap(), 3);
}
