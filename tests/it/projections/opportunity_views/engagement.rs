//! Leaderboards, engagement and saved lists: counted once, whoever writes and however often.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    clock::{Clock, SystemClock},
    envelope::{EventMetadata, RawEnvelope},
    value::PUBLIC_TENANT,
};
use projections::opportunity_views::{
    EngagementCounts, EngagementKind, LeaderboardEntry, LeaderboardPeriod, OpportunityViews, WatchlistItem,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ViewsFixture, apply, apply_live, apply_with_repetitions, attempt, in_shard, stream_key};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, march};

pub(super) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

fn event(aggregate_type: &str, id: &str, sequence: u64, payload: &Value) -> RawEnvelope {
    let name = payload["type"].as_str().unwrap();
    RawEnvelope {
        position: sequence,
        event_id: Uuid::new_v4(),
        tenant_id: PUBLIC_TENANT.to_owned(),
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id: id.to_owned(),
        sequence,
        event_type: format!("{aggregate_type}.{name}"),
        event_version: "1.0".to_owned(),
        recorded_at: now(),
        metadata: EventMetadata::default(),
        payload: payload.to_string(),
    }
}

pub(super) fn viewed(visit: &str, sequence: u64, opportunity: &str, at: DateTime<Utc>) -> RawEnvelope {
    let payload = json!({"type": "page_viewed", "page_url": "https://x", "opportunity_id": opportunity, "at": at});
    event("visit", visit, sequence, &payload)
}

fn clicked(visit: &str, sequence: u64, opportunity: &str, at: DateTime<Utc>) -> RawEnvelope {
    let payload = json!({"type": "link_clicked", "page_url": "https://x", "opportunity_id": opportunity, "at": at});
    event("visit", visit, sequence, &payload)
}

fn passed_by(visit: &str, sequence: u64) -> RawEnvelope {
    let payload = json!({"type": "page_viewed", "page_url": "https://x/start", "at": now()});
    event("visit", visit, sequence, &payload)
}

pub(super) fn saved(user: &str, sequence: u64, opportunity: &str, at: DateTime<Utc>) -> RawEnvelope {
    let payload = json!({"type": "opportunity_saved", "opportunity_id": opportunity, "at": at});
    event("watchlist", user, sequence, &payload)
}

fn unsaved(user: &str, sequence: u64, opportunity: &str) -> RawEnvelope {
    let payload = json!({"type": "opportunity_unsaved", "opportunity_id": opportunity, "at": now()});
    event("watchlist", user, sequence, &payload)
}

/// Two visits and two users; some of it long ago.
pub(in crate::projections) fn engagement() -> Vec<RawEnvelope> {
    let (today, early) = (now(), now() - TimeDelta::seconds(1));
    vec![
        viewed("visit-1", 1, SHIP, today),
        saved("ann", 1, SHIP, early),
        passed_by("visit-1", 2),
        viewed("visit-2", 1, WHEELCHAIRS, march(3)),
        clicked("visit-1", 3, SHIP, today),
        saved("ann", 2, WHEELCHAIRS, today),
        viewed("visit-2", 2, SHIP, today),
        saved("bob", 1, SHIP, march(3)),
        clicked("visit-2", 3, WHEELCHAIRS, today),
        saved("bob", 2, VALVES, today),
        viewed("visit-2", 4, SHIP, today),
        unsaved("bob", 3, VALVES),
        unsaved("bob", 4, SHIP),
    ]
}

fn ranked(pairs: &[(&str, u64)]) -> Vec<LeaderboardEntry> {
    pairs.iter().map(|(id, count)| LeaderboardEntry { id: (*id).to_owned(), count: *count }).collect()
}

/// Everything a reader can see.
#[derive(Debug, PartialEq)]
struct VisibleEngagement {
    boards: Vec<Vec<LeaderboardEntry>>,
    engagement: Vec<EngagementCounts>,
    saved: Vec<Vec<WatchlistItem>>,
}

async fn seen(views: &OpportunityViews, day: NaiveDate) -> VisibleEngagement {
    let mut seen = VisibleEngagement { boards: vec![], engagement: vec![], saved: vec![] };
    for kind in EngagementKind::ALL {
        for period in [LeaderboardPeriod::AllTime, LeaderboardPeriod::Day(day)] {
            seen.boards.push(views.load_leaderboard(kind, period, 10).await.unwrap());
        }
    }
    for opportunity in [WHEELCHAIRS, SHIP, VALVES] {
        seen.engagement.push(views.load_engagement(opportunity).await.unwrap());
    }
    for user in ["ann", "bob", "nobody"] {
        seen.saved.push(views.list_saved(user).await.unwrap());
    }
    seen
}

#[tokio::test]
async fn twice_the_same_engagement_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) = (tests::views().await, tests::views().await, tests::views().await);
    let events = engagement();
    let day = events[0].recorded_at.date_naive();
    apply_live(&live, &events).await;
    apply_with_repetitions(&repeated, &events).await;
    apply(&replayed, &events).await;

    let expected = seen(&live, day).await;

    assert_eq!(seen(&repeated, day).await, expected);
    assert_eq!(seen(&replayed, day).await, expected);
    let boards = [
        ranked(&[(SHIP, 3), (WHEELCHAIRS, 1)]),
        ranked(&[(SHIP, 3)]),
        ranked(&[(SHIP, 1), (WHEELCHAIRS, 1)]),
        ranked(&[(SHIP, 1), (WHEELCHAIRS, 1)]),
        ranked(&[(SHIP, 1), (WHEELCHAIRS, 1)]),
    ];
    assert_eq!(expected.boards[..5], boards);
    let [wheelchairs, ship, valves] = expected.engagement[..] else { panic!("three wanted") };
    assert_eq!(wheelchairs, EngagementCounts { views: 1, clicks: 1, saves: 1 });
    assert_eq!(ship, EngagementCounts { views: 3, clicks: 1, saves: 1 });
    assert_eq!(valves, EngagementCounts::default());
    let ids = |list: &[WatchlistItem]| list.iter().map(|saved| saved.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        expected.saved.iter().map(|list| ids(list)).collect::<Vec<_>>(),
        [vec![WHEELCHAIRS.to_owned(), SHIP.to_owned()], vec![], vec![],]
    );
}

#[tokio::test]
async fn what_is_about_an_unknown_opportunity_moves_its_visit_and_is_counted_nowhere() {
    let opened = ViewsFixture::new().await;
    let mut events: Vec<_> = (1..=50).map(|n| viewed("visit-1", n, &format!("036:INVENTED{n}"), now())).collect();
    for event in &mut events {
        event.metadata.about_unknown = true;
    }
    events.push(viewed("visit-1", 51, SHIP, now()));
    apply(&opened.views, &events).await;
    let mut keys: Vec<_> = opened.keys().await.iter().map(|key| key.rsplit("g1:").next().unwrap().to_owned()).collect();
    keys.retain(|key| key.contains("}:engagement:"));
    assert_eq!(keys, [stream_key("engagement", SHIP)]);
    let top = opened.views.load_leaderboard(EngagementKind::Viewed, LeaderboardPeriod::AllTime, 100).await.unwrap();
    assert_eq!(top, ranked(&[(SHIP, 1)]));
}

#[tokio::test]
async fn workers_that_overlap_count_every_view_once() {
    let (opened, events) = (ViewsFixture::new().await, engagement());
    let day = events[0].recorded_at.date_naive();
    let (one, two, three) = (&opened.views, opened.other(), opened.other());
    for event in &events {
        let batch = std::slice::from_ref(event);
        tokio::join!(apply(one, batch), apply(&two, batch), apply(&three, batch));
    }
    let replayed = tests::views().await;
    apply(&replayed, &events).await;

    assert_eq!(seen(one, day).await, seen(&replayed, day).await);
}

#[tokio::test]
async fn only_what_is_limited_in_time_expires() {
    let opened = ViewsFixture::new().await;
    apply(&opened.views, &engagement()).await;
    let ttl = async |name: &str| opened.on::<i64>("TTL", name, &[]).await;
    let days = |range: std::ops::Range<i64>| range.start * 86_400..range.end * 86_400;
    let today = now().date_naive();

    assert!(days(30..31).contains(&ttl(&in_shard(SHIP, &format!("top:viewed:{today}"))).await));
    assert!(days(90..92).contains(&ttl(&stream_key("visit", "visit-1")).await));
    assert!(days(90..92).contains(&ttl(&in_shard(SHIP, "visit_part:visit-1")).await));
    for kept in [
        in_shard(SHIP, "top:viewed"),
        stream_key("watchlist", "ann"),
        in_shard(SHIP, "watchlist_part:ann"),
        stream_key("engagement", SHIP),
        in_shard(SHIP, "generation"),
        "tags".to_owned(),
    ] {
        assert_eq!(ttl(&kept).await, -1, "{kept}");
    }
    // A day that is long over leaves no key.
    assert_eq!(ttl(&in_shard(WHEELCHAIRS, "top:viewed:2026-03-03")).await, -2);
}

#[tokio::test]
async fn a_leaderboard_has_as_many_places_as_asked_for() {
    let views = tests::views().await;
    apply(&views, &engagement()).await;
    let first =
        async |first| views.load_leaderboard(EngagementKind::Viewed, LeaderboardPeriod::AllTime, first).await.unwrap();
    assert_eq!(first(1).await, ranked(&[(SHIP, 3)]));
    assert_eq!(first(0).await, []);
    assert_eq!(first(u32::MAX).await.len(), 2);
}

#[tokio::test]
async fn a_visit_whose_key_expired_or_was_lost_goes_on_and_counts_each_view_once() {
    let (opened, visit) = (ViewsFixture::new().await, stream_key("visit", "visit-9"));
    apply(&opened.views, &[viewed("visit-9", 1, SHIP, now()), viewed("visit-9", 2, SHIP, now())]).await;
    assert_eq!(opened.on::<i64>("DEL", &visit, &[]).await, 1);

    // By the worker that remembers the visit, and by one that has never seen it.
    apply(&opened.views, &[viewed("visit-9", 3, SHIP, now())]).await;
    assert_eq!(opened.on::<i64>("DEL", &visit, &[]).await, 1);
    let other = opened.other();
    let batch = [viewed("visit-9", 4, SHIP, now()), viewed("visit-9", 5, SHIP, now())];
    apply(&other, &batch).await;
    apply(&other, &batch).await;

    assert_eq!(opened.views.load_engagement(SHIP).await.unwrap(), EngagementCounts { views: 5, clicks: 0, saves: 0 });
    assert_eq!(opened.on::<String>("HGET", &visit, &["version"]).await, "5");
}

#[tokio::test]
async fn a_visit_whose_part_was_lost_goes_on_and_counts_each_view_once() {
    let (opened, part) = (ViewsFixture::new().await, in_shard(SHIP, "visit_part:visit-9"));
    apply(&opened.views, &[viewed("visit-9", 1, SHIP, now()), viewed("visit-9", 2, WHEELCHAIRS, now())]).await;
    assert_eq!(opened.on::<i64>("DEL", &part, &[]).await, 1);

    let batch = [viewed("visit-9", 3, SHIP, now()), viewed("visit-9", 4, SHIP, now())];
    for views in [&opened.views, &opened.other()] {
        apply(views, &batch).await;
    }

    assert_eq!(opened.views.load_engagement(SHIP).await.unwrap(), EngagementCounts { views: 3, clicks: 0, saves: 0 });
    assert_eq!(opened.on::<String>("HGET", &part, &["version"]).await, "4");
}

#[tokio::test]
async fn a_part_that_was_not_written_with_its_stream_is_written_when_the_batch_is_repeated() {
    let opened = ViewsFixture::new().await;
    let board = in_shard(SHIP, "top:viewed");
    opened.on::<()>("SET", &board, &["not ours"]).await;
    let batch =
        [viewed("visit-1", 1, WHEELCHAIRS, now()), viewed("visit-1", 2, SHIP, now()), saved("ann", 1, SHIP, now())];
    attempt(&opened.views, &batch).await.unwrap_err();
    assert_eq!(opened.on::<String>("HGET", &stream_key("visit", "visit-1"), &["version"]).await, "2");
    assert_eq!(opened.views.load_engagement(WHEELCHAIRS).await.unwrap().views, 1);
    assert_eq!(opened.views.load_engagement(SHIP).await.unwrap(), EngagementCounts::default());

    opened.on::<()>("DEL", &board, &[]).await;
    for views in [&opened.views, &opened.other()] {
        apply(views, &batch).await;
    }
    assert_eq!(opened.views.load_engagement(WHEELCHAIRS).await.unwrap().views, 1);
    assert_eq!(opened.views.load_engagement(SHIP).await.unwrap(), EngagementCounts { views: 1, clicks: 0, saves: 1 });
}
