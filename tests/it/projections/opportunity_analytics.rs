//! ClickHouse: facts, opportunities, awards, and what lists and figures say about them.

use projections::{
    OpportunityCriteria, TimeRange,
    opportunity_analytics::{
        AnalyticsCursor, AnalyticsItem, OpportunityAnalytics, OpportunitySelection, SelectionStats, SelectionTotals,
    },
    storage::clickhouse::ClickHouseConfig,
};

use super::{apply, apply_live, apply_with_repetitions};
use tests::{
    TestNamespace,
    opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history, march},
};

mod analyst_guide;
mod analyst_views;
mod engagement;
mod generations;
mod on_a_cluster;

/// Asks the server as `default`; the answer's lines and their values.
async fn rows(database: &str, statement: &str) -> Vec<Vec<String>> {
    let url = tests::engines().await.variable("CLICKHOUSE_URL").to_owned();
    let request = tests::new_http_client().post(format!("{}/?database={database}", url.trim_end_matches('/')));
    let answer = request.body(statement.to_owned()).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{statement}: {text}");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn the_server_ends_a_query_at_the_time_limit_that_comes_with_it() {
    let url = tests::engines().await.variable("CLICKHOUSE_URL").to_owned();
    // As the product's queries have them; this one would take hours.
    let settings = "max_execution_time=1&readonly=2&cancel_http_readonly_queries_on_client_close=1";
    let endless = "select sum(sleepEachRow(0.05)) from numbers(1000000) settings max_block_size = 1";
    let request = tests::new_http_client().post(format!("{}/?{settings}", url.trim_end_matches('/')));
    let answer = request.body(endless).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("TIMEOUT_EXCEEDED"), "{answer}");
}

/// Everything a reader can see.
async fn seen(analytics: &OpportunityAnalytics) -> (u64, u64, Vec<AnalyticsItem>, SelectionStats) {
    let all = OpportunitySelection::default();
    let page = analytics.list_opportunities(&all, None, 100).await.unwrap();
    assert_eq!((page.total, page.has_next), (page.items.len() as u64, false));
    (
        analytics.count_events().await.unwrap(),
        analytics.count_opportunities().await.unwrap(),
        page.items,
        analytics.load_stats(&all).await.unwrap(),
    )
}

async fn ids(analytics: &OpportunityAnalytics, selection: &OpportunitySelection) -> Vec<String> {
    let page = analytics.list_opportunities(selection, None, 100).await.unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    page.items.into_iter().map(|item| item.entry.id).collect()
}

#[tokio::test]
async fn twice_the_same_events_and_a_replay_from_zero_equal_live() {
    let (live, repeated, replayed) = (tests::analytics().await, tests::analytics().await, tests::analytics().await);
    let events = history();
    apply_live(&live, &events).await;
    apply_with_repetitions(&repeated, &events).await;
    // One block, whose only part has several versions of an opportunity: `final` has to make one row of them.
    apply(&replayed, &events).await;

    let expected = seen(&live).await;

    assert_eq!((expected.0, expected.1), (events.len() as u64, 3));
    assert_eq!(seen(&repeated).await, expected);
    assert_eq!(seen(&replayed).await, expected);
}

#[tokio::test]
async fn a_list_shows_current_facts_newest_first_page_by_page() {
    let analytics = tests::analytics().await;
    apply(&analytics, &history()).await;
    let all = OpportunitySelection::default();

    let mut pages = vec![];
    let mut after: Option<AnalyticsCursor> = None;
    loop {
        let page = analytics.list_opportunities(&all, after.as_ref(), 1).await.unwrap();
        assert_eq!((page.total, page.items.len()), (3, 1));
        after = Some(page.items[0].cursor.to_string().parse().unwrap());
        pages.extend(page.items);
        if !page.has_next {
            break;
        }
    }

    let behind = analytics.list_opportunities(&all, after.as_ref(), 1).await.unwrap();
    assert_eq!((behind.items, behind.total, behind.has_next), (vec![], 3, false));
    assert_eq!(pages.iter().map(|item| item.entry.id.as_str()).collect::<Vec<_>>(), [WHEELCHAIRS, VALVES, SHIP]);
    let wheelchairs = &pages[0];
    assert_eq!(wheelchairs.entry.title, "6530--Wheelchairs and lifts");
    assert_eq!((wheelchairs.entry.notice_id.as_str(), wheelchairs.entry.posted_at), ("w3", march(7)));
    assert_eq!((wheelchairs.entry.response_deadline, wheelchairs.entry.active), (Some(march(20)), Some(true)));
    assert_eq!((wheelchairs.awards, wheelchairs.awarded_cents), (2, Some(111)));
    assert_eq!((wheelchairs.entry.office.as_ref(), wheelchairs.entry.set_aside.as_deref()), (None, Some("SDVOSBC")));
    assert_eq!((pages[1].awards, pages[1].awarded_cents), (0, None));
}

#[tokio::test]
async fn filters_choose_and_combine() {
    let analytics = tests::analytics().await;
    apply(&analytics, &history()).await;
    let text = |text: &str| OpportunitySelection { text: Some(text.to_owned()), ..OpportunitySelection::default() };
    let filter = |filter: OpportunityCriteria| OpportunitySelection { filter, text: None };
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let from = |day| TimeRange { from: Some(march(day)), to: None };
    let to = |day| TimeRange { from: None, to: Some(march(day)) };
    let cases: Vec<(OpportunitySelection, Vec<&str>)> = vec![
        (
            filter(OpportunityCriteria { agencies: list(&["036", "097"]), ..OpportunityCriteria::default() }),
            vec![WHEELCHAIRS, VALVES],
        ),
        (
            filter(OpportunityCriteria { naics: list(&["3391", "5"]), ..OpportunityCriteria::default() }),
            vec![WHEELCHAIRS],
        ),
        (
            filter(OpportunityCriteria { set_asides: list(&["SDVOSBC"]), ..OpportunityCriteria::default() }),
            vec![WHEELCHAIRS],
        ),
        (
            filter(OpportunityCriteria { notice_types: list(&["Award Notice"]), ..OpportunityCriteria::default() }),
            vec![],
        ),
        (filter(OpportunityCriteria { posted: from(5), ..OpportunityCriteria::default() }), vec![WHEELCHAIRS, VALVES]),
        (filter(OpportunityCriteria { posted: to(5), ..OpportunityCriteria::default() }), vec![VALVES, SHIP]),
        (filter(OpportunityCriteria { deadline: from(20), ..OpportunityCriteria::default() }), vec![WHEELCHAIRS]),
        (filter(OpportunityCriteria { deadline: to(19), ..OpportunityCriteria::default() }), vec![]),
        (
            filter(OpportunityCriteria { agencies: list(&["097"]), posted: to(4), ..OpportunityCriteria::default() }),
            vec![],
        ),
        (text("LIFTS wheel"), vec![WHEELCHAIRS]),
        (text("notice s-1"), vec![SHIP]),
        (text("wheelchairs drydock"), vec![]),
        (text("%_\\'; drop table opportunities -- ?"), vec![]),
        (
            filter(OpportunityCriteria { agencies: list(&["' or 1=1 --", "\\"]), ..OpportunityCriteria::default() }),
            vec![],
        ),
    ];
    for (selection, expected) in cases {
        assert_eq!(ids(&analytics, &selection).await, expected, "{selection:?}");
    }
}

#[tokio::test]
async fn figures_add_up_by_agency_type_and_day() {
    let analytics = tests::analytics().await;
    apply_with_repetitions(&analytics, &history()).await;

    let stats = analytics.load_stats(&OpportunitySelection::default()).await.unwrap();

    assert_eq!(stats.total, SelectionTotals { opportunities: 3, awarded: 2, awarded_cents: 81_930_111 });
    let agencies: Vec<_> = stats.by_agency.iter().map(|agency| (agency.code.as_str(), agency.totals)).collect();
    assert!(agencies.contains(&("070", SelectionTotals { opportunities: 1, awarded: 1, awarded_cents: 81_930_000 })));
    assert_eq!((agencies.len(), stats.by_type.len()), (3, 1));
    assert_eq!((stats.by_type[0].notice_type.as_str(), stats.by_type[0].totals), ("Solicitation", stats.total));
    let days: Vec<_> = stats.by_day.iter().map(|day| day.day).collect();
    assert_eq!(days, [march(4).date_naive(), march(5).date_naive(), march(7).date_naive()]);
    let none = OpportunitySelection { text: Some("nothing like it".to_owned()), ..OpportunitySelection::default() };
    assert_eq!(analytics.load_stats(&none).await.unwrap(), SelectionStats::default());
}

#[tokio::test]
async fn how_long_facts_are_kept_is_a_setting() {
    let database = TestNamespace::new().name().to_owned();
    let keeping = async |raw_ttl_days| {
        let url = tests::engines().await.variable("CLICKHOUSE_URL").to_owned();
        let config = ClickHouseConfig {
            url: url.clone(),
            database: database.clone(),
            raw_ttl_days,
            ..ClickHouseConfig::default()
        };
        OpportunityAnalytics::new(&config).unwrap().migrate().await.unwrap();
        let query =
            format!("select engine_full from system.tables where database = '{database}_g1' and name = 'events'");
        tests::new_http_client().post(url).body(query).send().await.unwrap().text().await.unwrap()
    };

    assert!(keeping(90).await.contains("TTL toDateTime(recorded_at) + toIntervalDay(90)"));
    assert!(keeping(7).await.contains("TTL toDateTime(recorded_at) + toIntervalDay(7)"));
    assert!(!keeping(0).await.contains("TTL"));
}

#[tokio::test]
async fn migrating_again_and_at_once_changes_nothing() {
    let analytics = tests::analytics().await;
    apply(&analytics, &history()).await;
    let before = seen(&analytics).await;

    let (first, second) = tokio::join!(analytics.migrate(), analytics.migrate());

    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(seen(&analytics).await, before);
}
