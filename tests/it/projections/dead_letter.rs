//! Dead letters: parked in order per stream, inspected, re-driven, given up.

use domain::envelope::RawEnvelope;
use projections::{
    opportunity_analytics::OpportunityAnalytics,
    runtime::{AnyProjection, ParkedStreamQuery, ReadModelGeneration, RedriveError},
    storage::clickhouse::ClickHouseConfig,
};

use super::{
    id,
    projection_fixture::{ProjectionFixture, unreachable_registry},
};
use tests::opportunity_history::{SHIP, WHEELCHAIRS, history};

fn of(events: &[RawEnvelope], stream: &str) -> Vec<RawEnvelope> {
    events.iter().filter(|event| event.aggregate_id == stream).cloned().collect()
}

fn broken(event: &RawEnvelope) -> RawEnvelope {
    RawEnvelope { payload: r#"{"type":"evaporated"}"#.to_owned(), ..event.clone() }
}

/// The third event of the wheelchairs makes no sense to this program.
async fn with_poison(field: &ProjectionFixture) -> Vec<RawEnvelope> {
    let events = history();
    for event in &events {
        let poison = event.aggregate_id == WHEELCHAIRS && event.sequence == 3;
        field.publish(&[if poison { broken(event) } else { event.clone() }]).await;
    }
    events
}

#[tokio::test]
async fn an_event_that_makes_no_sense_holds_back_its_own_stream_only() {
    let (field, views, analytics) = (ProjectionFixture::new().await, tests::views().await, tests::analytics().await);
    let events = with_poison(&field).await;
    let waiting = of(&events, WHEELCHAIRS).len() as u64 - 2;

    let worker = field.start(&views).await;
    worker.parked(waiting).await;
    worker.applied(events.len() - usize::try_from(waiting).unwrap()).await;
    worker.stop().await;

    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, 2);
    assert_eq!(views.get(&id(SHIP)).await.unwrap().unwrap().version, of(&events, SHIP).len() as u64);
    let parked = field.parked().await;
    assert_eq!(parked.len(), 1);
    assert_eq!((&*parked[0].stream.aggregate_id, parked[0].letters), (WHEELCHAIRS, waiting));
    assert!(parked[0].reason.contains("unknown variant `evaporated`"), "{}", parked[0].reason);
    let letters = field.runtime.control().load_dead_letters(&parked[0]).await.unwrap();
    let sequences: Vec<_> = letters.iter().map(|letter| letter.sequence).collect();
    assert_eq!(sequences, (3..3 + waiting).collect::<Vec<_>>());
    assert!(letters[0].reason.is_some() && letters[1..].iter().all(|letter| letter.reason.is_none()));
    // Each sink decides for itself, and has its own letters.
    let other = field.start(&analytics).await;
    other.parked(waiting).await;
    other.stop().await;
    assert_eq!(field.parked().await.len(), 2);
}

#[tokio::test]
async fn later_events_wait_also_after_a_restart_and_a_redrive_says_what_is_still_wrong() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let events = of(&history(), WHEELCHAIRS);
    field.publish(&events[..2]).await;
    field.publish(&[broken(&events[2])]).await;
    let first = field.start(&views).await;
    first.parked(1).await;
    first.stop().await;

    field.publish(&events[3..]).await;
    let second = field.start(&views).await;
    second.parked(events.len() as u64 - 3).await;

    let parked = field.parked().await.remove(0);
    let dry = field.runtime.preview_redrive(&views, &parked).await.unwrap();
    assert_eq!((dry.applied, dry.remaining), (0, parked.letters));
    let tried = field.runtime.redrive(&views, &parked).await.unwrap();
    assert!(tried.blocked_by.unwrap().1.contains("evaporated"));
    assert_eq!(field.parked().await[0].attempts, 1);
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, 2);
    second.stop().await;
}

#[tokio::test]
async fn a_repaired_stream_is_redriven_whole_and_in_order_and_continues() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let events = of(&history(), WHEELCHAIRS);
    let last = events.len() - 1;
    field.publish(&events[..2]).await;
    field.publish(&[broken(&events[2])]).await;
    field.publish(&events[3..last]).await;
    let worker = field.start(&views).await;
    worker.parked(last as u64 - 2).await;

    // As a fixed program would read it: the letter holds what travelled, so the fix is played by its content here.
    sqlx::query("update dead_letters set value = $1 where sequence = 3")
        .bind(events[2].payload.as_bytes())
        .execute(&field.pool)
        .await
        .unwrap();
    let parked = field.parked().await.remove(0);
    let outcome = field.runtime.redrive(&views, &parked).await.unwrap();

    assert_eq!((outcome.applied, outcome.remaining, outcome.blocked_by), (last as u64 - 2, 0, None));
    assert_eq!(field.parked().await, []);
    let applied = usize::try_from(worker.status.get().applied).unwrap();
    field.publish(&events[last..]).await;
    worker.applied(applied + 1).await;
    worker.stop().await;
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, events.len() as u64);
}

/// The events of a stream; the third is published as if a next release had recorded it.
async fn publish_with_unknown_version(field: &ProjectionFixture) -> Vec<RawEnvelope> {
    let events = of(&history(), WHEELCHAIRS);
    let unknown = RawEnvelope { event_version: "9.0".to_owned(), ..events[2].clone() };
    field.publish(&events[..2]).await;
    field.publish(&[unknown]).await;
    field.publish(&events[3..]).await;
    events
}

/// Lets this release find the letters of that event as a release that knows the version does.
async fn make_version_known(field: &ProjectionFixture, events: &[RawEnvelope]) {
    sqlx::query(
        "update dead_letters set event_version = $1,
             headers = jsonb_set(headers::jsonb, '{schema-version}', to_jsonb($1::text))::json where sequence = 3",
    )
    .bind(&events[2].event_version)
    .execute(&field.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn what_an_older_release_did_not_know_is_applied_by_one_that_does() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let events = publish_with_unknown_version(&field).await;
    let older = field.start(&views).await;
    older.parked(events.len() as u64 - 2).await;
    older.stop().await;
    let models = [AnyProjection::with_generation(&views, ReadModelGeneration::FIRST)];
    assert_eq!(field.runtime.redrive_known_events(&models).await.unwrap(), 0);
    let parked = field.parked().await.remove(0);
    assert!(parked.reason.contains("unknown version 9.0") && parked.attempts == 0, "{parked:?}");

    make_version_known(&field, &events).await;
    assert_eq!(field.runtime.redrive_known_events(&[]).await.unwrap(), 0, "those of other projections");
    assert_eq!(field.runtime.redrive_known_events(&models).await.unwrap(), 1);
    assert_eq!(field.parked().await, []);
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, events.len() as u64);
}

#[tokio::test]
async fn a_store_that_does_not_answer_holds_back_the_redrive_of_its_own_projection_only() {
    let (field, views, analytics) = (ProjectionFixture::new().await, tests::views().await, tests::analytics().await);
    let events = publish_with_unknown_version(&field).await;
    let waiting = events.len() as u64 - 2;
    for projection in [&views as &dyn AnyProjection, &analytics] {
        let older = field.start(projection).await;
        older.parked(waiting).await;
        older.stop().await;
    }
    make_version_known(&field, &events).await;
    let away = ClickHouseConfig { url: "http://127.0.0.1:1".to_owned(), ..ClickHouseConfig::default() };
    let away = OpportunityAnalytics::new(&away).unwrap();
    let first = |projection: &dyn AnyProjection| projection.with_generation(ReadModelGeneration::FIRST);

    let failed = field.runtime.redrive_known_events(&[first(&away), first(&views)]).await.unwrap_err();

    assert!(matches!(&failed, RedriveError::Unavailable { projection, .. } if projection == "analytics"), "{failed:?}");
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, events.len() as u64);
    let parked = field.parked().await;
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!((&*parked[0].projection, parked[0].letters, parked[0].attempts), ("analytics", waiting, 0));

    // The store answers again.
    assert_eq!(field.runtime.redrive_known_events(&[first(&analytics), first(&views)]).await.unwrap(), 1);
    assert_eq!(field.parked().await, []);
    assert_eq!(analytics.count_events().await.unwrap(), events.len() as u64);
}

#[tokio::test]
async fn a_letter_is_given_up_only_with_a_reason_and_stays_on_record() {
    let (field, analytics) = (ProjectionFixture::new().await, tests::analytics().await);
    let events = with_poison(&field).await;
    let waiting = of(&events, WHEELCHAIRS).len() as u64 - 2;
    let worker = field.start(&analytics).await;
    worker.parked(waiting).await;

    let parked = field.parked().await.remove(0);
    let position = field.runtime.drop_first_letter(&analytics, &parked, "op@host", "a test notice").await.unwrap();
    let outcome = field.runtime.redrive(&analytics, &parked).await.unwrap();

    assert_eq!((outcome.applied, outcome.blocked_by), (waiting - 1, None));
    assert_eq!(field.parked().await, []);
    assert_eq!(analytics.count_events().await.unwrap(), events.len() as u64 - 1);
    let kept: (i64, String, String) = sqlx::query_as("select position, reason, dropped_by from dropped_letters")
        .fetch_one(&field.pool)
        .await
        .unwrap();
    assert_eq!(kept, (position.cast_signed(), "a test notice".to_owned(), "op@host".to_owned()));
    worker.stop().await;
}

#[tokio::test]
async fn so_much_poison_is_no_accident_and_pauses_the_projection() {
    let field = ProjectionFixture::with(unreachable_registry(), |config| config.parked_streams_max = 1).await;
    let views = tests::views().await;
    let events = history();
    let worker = field.start(&views).await;
    for stream in [WHEELCHAIRS, SHIP] {
        field.publish(&[broken(&of(&events, stream)[0])]).await;
    }

    tests::eventually(async || {
        let error = worker.status.get().last_error.unwrap_or_default();
        if error.contains("2 streams are parked, the limit is 1") { Ok(()) } else { Err(error) }
    })
    .await;

    worker.stop().await;
    assert!(field.parked().await.len() <= 1);
}

#[tokio::test]
async fn letters_are_found_by_what_is_wrong_with_them() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let events = history();
    for stream in [WHEELCHAIRS, SHIP] {
        field.publish(&[broken(&of(&events, stream)[0])]).await;
    }
    let worker = field.start(&views).await;
    worker.parked(2).await;
    worker.stop().await;

    let fingerprint = field.parked().await.remove(0).fingerprint;
    let query = ParkedStreamQuery { fingerprint: Some(fingerprint), ..ParkedStreamQuery::default() };
    assert_eq!(
        field.runtime.control().find_parked_streams(&query).await.unwrap().len(),
        2,
        "the same cause has one name"
    );
    for none in [
        ParkedStreamQuery { fingerprint: Some("00000000".to_owned()), ..ParkedStreamQuery::default() },
        ParkedStreamQuery { projection: Some("search".to_owned()), ..ParkedStreamQuery::default() },
        ParkedStreamQuery {
            generation: Some(ReadModelGeneration::try_new(7).unwrap()),
            ..ParkedStreamQuery::default()
        },
    ] {
        assert_eq!(field.runtime.control().find_parked_streams(&none).await.unwrap(), [], "{none:?}");
    }
}

#[tokio::test]
async fn the_next_event_follows_one_that_was_given_up_also_where_order_is_checked() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let events = with_poison(&field).await;
    let wheelchairs = of(&events, WHEELCHAIRS);
    let worker = field.start(&views).await;
    worker.parked(wheelchairs.len() as u64 - 2).await;

    let parked = field.parked().await.remove(0);
    field.runtime.drop_first_letter(&views, &parked, "op@host", "a test notice").await.unwrap();
    let outcome = field.runtime.redrive(&views, &parked).await.unwrap();

    assert_eq!((outcome.applied, outcome.blocked_by), (wheelchairs.len() as u64 - 3, None));
    assert_eq!(views.get(&id(WHEELCHAIRS)).await.unwrap().unwrap().version, wheelchairs.len() as u64);
    worker.stop().await;
}
