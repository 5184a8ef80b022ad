//! Views, clicks and saves: rows once, figures exact, however they are delivered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{
    envelope::{EventMetadata, RawEnvelope},
    value::PUBLIC_TENANT,
};
use projections::{
    opportunity_analytics::OpportunityAnalytics,
    runtime::{RowKey, ScopeSelection, VerifyScope},
};
use serde_json::json;
use uuid::Uuid;

use super::{super::*, rows};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history};

/// The start of the current hour; what is recorded then is too young to expire.
pub(super) fn this_hour() -> DateTime<Utc> {
    DateTime::<Utc>::from(SystemTime::now()).duration_trunc(TimeDelta::hours(1)).unwrap()
}

/// What six users and some guests did with the opportunities of `history` in the two hours before `until`.
pub(super) fn activity(until: DateTime<Utc>, first_position: u64, count: u64) -> Vec<RawEnvelope> {
    let opportunities = [WHEELCHAIRS, SHIP, VALVES];
    (0..count)
        .map(|n| {
            let at = until - TimeDelta::seconds(i64::try_from(7_200 * (count - n) / count).unwrap());
            let opportunity = opportunities[usize::try_from(n / 4 % 3).unwrap()];
            let user = (n % 5 != 0).then(|| format!("user-{}", n % 6));
            let page = format!("/opportunities/{opportunity}");
            let (aggregate, event, payload) = match n % 10 {
                0..=5 => ("visit", "visit.page_viewed", json!({
                    "type": "page_viewed", "page_url": page, "user_id": user, "opportunity_id": opportunity, "at": at
                })),
                6 => ("visit", "visit.page_viewed", json!({"type": "page_viewed", "page_url": "/", "at": at})),
                7 | 8 => ("visit", "visit.link_clicked", json!({
                    "type": "link_clicked", "page_url": page, "target_url": "https://sam.gov", "user_id": user,
                    "opportunity_id": opportunity, "at": at
                })),
                _ if n % 30 == 29 => ("watchlist", "watchlist.opportunity_unsaved", json!({
                    "type": "opportunity_unsaved", "opportunity_id": opportunity, "at": at
                })),
                _ => ("watchlist", "watchlist.opportunity_saved", json!({
                    "type": "opportunity_saved", "opportunity_id": opportunity, "at": at
                })),
            };
            let stream = if aggregate == "visit" { format!("visit-{}", n % 11) } else { format!("user-{}", n % 6) };
            RawEnvelope {
                position: first_position + n,
                event_id: Uuid::from_u128(u128::from(first_position + n)),
                tenant_id: PUBLIC_TENANT.to_owned(),
                aggregate_type: aggregate.to_owned(),
                aggregate_id: stream,
                sequence: n + 1,
                event_type: event.to_owned(),
                event_version: "1.0".to_owned(),
                recorded_at: at,
                metadata: EventMetadata::default(),
                payload: payload.to_string(),
            }
        })
        .collect()
}

/// Views, clicks, saves and users by opportunity and hour, counted by hand from the events.
fn counted(events: &[RawEnvelope]) -> BTreeMap<(String, i64), (u64, u64, u64, u64)> {
    let mut counted = BTreeMap::<_, ([u64; 3], BTreeSet<String>)>::new();
    for event in events {
        let told: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        let text = |field: &str| told[field].as_str().map(str::to_owned);
        let hour = text("at").unwrap().parse::<DateTime<Utc>>().unwrap().duration_trunc(TimeDelta::hours(1)).unwrap();
        let (figures, users) =
            counted.entry((text("opportunity_id").unwrap_or_default(), hour.timestamp())).or_default();
        match event.event_type.as_str() {
            "visit.page_viewed" => figures[0] += 1,
            "visit.link_clicked" => figures[1] += 1,
            "watchlist.opportunity_saved" => figures[2] += 1,
            _ => {}
        }
        users.extend(if event.aggregate_type == "visit" { text("user_id") } else { Some(event.aggregate_id.clone()) });
    }
    counted
        .into_iter()
        .map(|(key, ([views, clicks, saves], users))| (key, (views, clicks, saves, users.len() as u64)))
        .collect()
}

async fn read_hourly_engagement(analytics: &OpportunityAnalytics) -> BTreeMap<(String, i64), (u64, u64, u64, u64)> {
    let query = "select opportunity_id, toUnixTimestamp(hour), views, clicks, saves, users from engagement_1h";
    let lines = rows(&analytics.database(), query).await;
    let number = |text: &String| text.parse::<u64>().unwrap();
    lines
        .iter()
        .map(|line| {
            let key = (line[0].clone(), i64::try_from(number(&line[1])).unwrap());
            (key, (number(&line[2]), number(&line[3]), number(&line[4]), number(&line[5])))
        })
        .collect()
}

#[tokio::test]
async fn figures_equal_a_plain_count_after_any_redelivery() {
    let (once, repeated) = (tests::analytics().await, tests::analytics().await);
    let events = activity(this_hour(), 1, 400);
    apply(&once, &events).await;
    for cut in [400, 7, 90, 400] {
        for batch in events.chunks(cut) {
            apply(&repeated, batch).await;
        }
    }

    let expected = counted(&events);

    assert!(expected.len() >= 8, "{expected:?}");
    assert_eq!(read_hourly_engagement(&once).await, expected);
    assert_eq!(read_hourly_engagement(&repeated).await, expected);
    let minutes = "select sum(views), sum(clicks), sum(saves), sum(unsaves) from engagement_1m";
    let kinds = "select countIf(kind = 'view'), countIf(kind = 'click'), countIf(kind = 'save'), \
                 countIf(kind = 'unsave') from engagement final";
    let database = repeated.database();
    assert_eq!(rows(&database, minutes).await, rows(&database, kinds).await);
}

#[tokio::test]
async fn figures_by_hour_outlive_the_rows_they_are_made_of() {
    let analytics = tests::analytics().await;
    let long_ago = activity(this_hour() - TimeDelta::days(100), 1, 100);
    apply(&analytics, &long_ago).await;
    let database = analytics.database();
    for table in ["engagement", "engagement_1m_states", "engagement_1h_states"] {
        command(&database, &format!("optimize table {table} final")).await;
    }

    assert_eq!(rows(&database, "select count() from engagement").await, [["0"]]);
    assert_eq!(rows(&database, "select count() from engagement_1m").await, [["0"]]);
    assert_eq!(read_hourly_engagement(&analytics).await, counted(&long_ago));
}

#[tokio::test]
async fn what_is_read_back_is_what_the_log_folds_to() {
    let analytics = tests::analytics().await;
    let events = everything();
    apply_with_repetitions(&analytics, &events).await;

    for scope in [VerifyScope::all_buckets(), VerifyScope::Buckets(17..=130), VerifyScope::Totals] {
        let (stored, folded) = compared(&analytics, &scope, &events).await;
        assert!(folded.len() > 10, "{scope:?} {}", folded.len());
        assert_eq!(stored, folded, "{scope:?}");
    }
}

#[tokio::test]
async fn expired_rows_are_left_out_on_both_sides() {
    let analytics = tests::analytics().await;
    let mut events = everything();
    events.extend(activity(this_hour() - TimeDelta::days(89) - TimeDelta::hours(3), 5_000, 50));
    events.extend(activity(this_hour() - TimeDelta::days(300), 6_000, 50));
    apply(&analytics, &events).await;

    let (streams, expected_streams) = compared(&analytics, &VerifyScope::all_buckets(), &events).await;
    let (totals, expected_totals) = compared(&analytics, &VerifyScope::Totals, &events).await;

    assert_eq!(streams, expected_streams);
    assert_eq!(totals, expected_totals);
    let of =
        |rows: &[projections::runtime::ReadModelRow], table: &str| rows.iter().filter(|row| row.table == table).count();
    assert_eq!((of(&streams, "engagement"), of(&streams, "events")), (200, everything().len()));
    let hours = rows(
        &analytics.database(),
        "select uniqExact(tenant_id, kind, opportunity_id, hour) from engagement_1h_states",
    )
    .await;
    assert_eq!(of(&totals, "engagement_1h").to_string(), hours[0][0]);
}

#[tokio::test]
async fn a_lost_altered_or_foreign_row_is_found() {
    let analytics = tests::analytics().await;
    let events = everything();
    apply(&analytics, &events).await;
    let database = analytics.database();
    let alterations = [
        "alter table events delete where position = 3 settings mutations_sync = 1",
        "alter table opportunities update title = 'x' where id = '070:S1' settings mutations_sync = 1",
        "alter table awards update amount_cents = amount_cents + 1 where number = 'SHIP' settings mutations_sync = 1",
        "insert into engagement (event_id, position, kind, at, recorded_at) values (generateUUIDv4(), 1, 'view', now(), now())",
    ];
    for (n, alteration) in alterations.iter().enumerate() {
        command(&database, alteration).await;
        let (stored, folded) = compared(&analytics, &VerifyScope::all_buckets(), &events).await;
        let (stored, folded): (BTreeSet<_>, BTreeSet<_>) = (stored.into_iter().collect(), folded.into_iter().collect());
        let tables: BTreeSet<_> = stored.symmetric_difference(&folded).map(|row| row.table).collect();
        assert_eq!(tables.len(), n + 1, "{alteration} {tables:?}");
    }
    let (stored, folded) = compared(&analytics, &VerifyScope::Totals, &events).await;
    assert_eq!(stored.len(), folded.len() + 2, "the foreign row is a minute and an hour of its own");
}

#[tokio::test]
async fn a_date_that_the_columns_cannot_hold_is_a_difference() {
    let analytics = tests::analytics().await;
    let far = |event: RawEnvelope| {
        let mut payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        payload["filing"]["posted_at"] = json!("0001-01-01T00:00:00Z");
        RawEnvelope { payload: payload.to_string(), recorded_at: this_hour(), ..event }
    };
    let events: Vec<_> = history().into_iter().take(1).map(far).collect();
    apply(&analytics, &events).await;
    let (stored, folded) = compared(&analytics, &VerifyScope::all_buckets(), &events).await;
    let differs: Vec<_> = stored.iter().filter(|row| !folded.contains(row)).map(|row| row.table).collect();
    assert_eq!(differs, ["opportunities"]);
}

#[tokio::test]
async fn no_visitor_makes_a_partition_of_every_month() {
    let analytics = tests::analytics().await;
    let mut events = activity(this_hour(), 1, 672);
    for (n, event) in events.iter_mut().enumerate() {
        let at = format!("{}-{:02}-11T00:00:00Z", 1970 + n / 12, n % 12 + 1);
        let mut payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        payload["at"] = json!(at);
        event.payload = payload.to_string();
    }
    apply(&analytics, &events).await;
    let database = analytics.database();
    let query = format!(
        "select table, uniqExact(partition) from system.parts where active and database = '{database}' and \
         table like 'engagement%' group by table having uniqExact(partition) > 40"
    );
    assert_eq!(rows(&database, &query).await, Vec::<Vec<String>>::new());
    let (stored, folded) = compared(&analytics, &VerifyScope::Totals, &events).await;
    assert_eq!(stored, folded);
}

#[tokio::test]
async fn a_store_that_lost_the_last_batch_says_so() {
    let analytics = tests::analytics().await;
    let events = everything();
    apply(&analytics, &events[..events.len() - 1]).await;
    let last = OpportunityAnalytics::project(events.last().unwrap()).unwrap();

    assert!(!analytics.is_applied(last.last().unwrap()).await.unwrap());
    apply(&analytics, &events).await;
    assert!(analytics.is_applied(last.last().unwrap()).await.unwrap());

    let expired = activity(this_hour() - TimeDelta::days(200), 9_000, 1);
    let expired = OpportunityAnalytics::project(&expired[0]).unwrap();
    assert!(analytics.is_applied(expired.last().unwrap()).await.unwrap(), "what expired cannot be asked for");
}

/// Opportunities and what people did with them.
pub(super) fn everything() -> Vec<RawEnvelope> {
    let now = this_hour();
    let mut events: Vec<_> = history().into_iter().map(|event| RawEnvelope { recorded_at: now, ..event }).collect();
    events.extend(activity(now, 1_000, 200));
    events
}

/// What the store holds and what it should hold, in order.
async fn compared(
    analytics: &OpportunityAnalytics,
    scope: &VerifyScope,
    events: &[RawEnvelope],
) -> (Vec<projections::runtime::ReadModelRow>, Vec<projections::runtime::ReadModelRow>) {
    let mut fold = Projection::fold(analytics, scope);
    for event in events.iter().chain(events.iter().skip(3).take(2)) {
        fold.apply_event(event).unwrap();
    }
    let (mut stored, mut folded) = (analytics.read_back(scope).await.unwrap(), fold.expected_rows());
    stored.sort();
    folded.sort();
    assert_eq!(scanned(analytics, scope, &stored).await, [stored.clone(), stored.clone()], "{scope:?}");
    (stored, folded)
}

/// What a scan returns, and which of these rows are read by their keys.
async fn scanned(
    analytics: &OpportunityAnalytics,
    scope: &VerifyScope,
    stored: &[projections::runtime::ReadModelRow],
) -> [Vec<projections::runtime::ReadModelRow>; 2] {
    let mut scan = Projection::scan_store(analytics, ScopeSelection::new([scope])).unwrap();
    let mut scanned = vec![];
    while let Some(rows) = scan.next_rows().await.unwrap() {
        scanned.extend(rows.into_iter().map(|scanned| scanned.row));
    }
    scanned.sort();
    let keys: Vec<_> = stored.iter().cloned().map(RowKey::from).collect();
    let read: BTreeSet<_> = scan.read_rows(&keys).await.unwrap().into_iter().collect();
    [scanned, stored.iter().filter(|row| read.contains(row)).cloned().collect()]
}

async fn command(database: &str, statement: &str) {
    assert_eq!(rows(database, statement).await, Vec::<Vec<String>>::new());
}
