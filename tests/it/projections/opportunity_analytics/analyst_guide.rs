//! What analysts are told works: every question of the guide, every panel of the dashboard, as their login.

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{super::*, engagement::everything, generations::generation_history};
use tests::{opportunity_history::WHEELCHAIRS, run_beside_others};

const GUIDE: &str = "../docs/guides/analysts.md";
/// The panel whose answer may be 0.
const NEWEST_EVENT: &str = "Seconds since the newest event";
/// The panels are asked about the last day, in which the tests record their events.
const DAY_S: u32 = 86_400;
const DASHBOARD: &str = "../deploy/observability/grafana/dashboards/engagement.json";

/// A database with opportunities, awards, engagement and generations of proposals, as analysts see it. All tests share
/// it, because they only read it.
async fn fill_shared_database() -> String {
    static SHARED: OnceCell<String> = OnceCell::const_new();
    let fill = async || {
        let analytics = tests::analytics().await;
        apply_with_repetitions(&analytics, &everything()).await;
        apply(&analytics, &generation_history()).await;
        analytics.switch_direct_readers().await.unwrap();
        analytics.database().strip_suffix("_g1").unwrap().to_owned()
    };
    run_beside_others();
    SHARED.get_or_init(fill).await.clone()
}

/// Asks as login `analyst`.
async fn ask(database: &str, statement: &str) -> Result<Vec<Vec<String>>, String> {
    let url = tests::engines().await.variable("CLICKHOUSE_URL").to_owned();
    let request = tests::new_http_client().post(format!("{}/?database={database}", url.trim_end_matches('/')));
    let request = request.header("X-ClickHouse-User", "analyst").header("X-ClickHouse-Key", "analyst");
    let answer = request.body(statement.to_owned()).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    if !status.is_success() {
        return Err(text);
    }
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// Headings and the SQL below them.
pub(super) fn questions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(GUIDE).unwrap();
    let mut questions = vec![];
    for section in text.split("\n### ").skip(1) {
        let heading = section.lines().next().unwrap().to_owned();
        let sql = section.split_once("```sql\n").and_then(|(_, rest)| rest.split_once("```")).map(|(sql, _)| sql);
        questions.push((heading.clone(), sql.unwrap_or_else(|| panic!("no SQL below {heading}")).to_owned()));
    }
    questions
}

#[tokio::test]
async fn every_question_of_the_guide_has_an_answer() {
    let (database, questions) = (fill_shared_database().await, questions());
    assert!(questions.len() >= 20, "{}", questions.len());
    for (heading, sql) in &questions {
        let answer = ask(&database, sql).await;
        assert!(answer.as_ref().is_ok_and(|rows| !rows.is_empty()), "{heading}: {answer:?}");
    }
}

#[tokio::test]
async fn the_guide_s_answers_are_right() {
    let (database, questions) = (fill_shared_database().await, questions());
    let answer = async |number: &str| {
        let (_, sql) = questions.iter().find(|(heading, _)| heading.split(' ').next() == Some(number)).unwrap();
        ask(&database, sql).await.unwrap()
    };
    assert_eq!(answer("2").await, [["336611", "1", "819300"], ["339113", "2", "1.11"]]);
    assert_eq!(answer("4").await, [["none", "2", "66.7"], ["SDVOSBC", "1", "33.3"]]);
    assert_eq!(answer("5").await, [["2026-03-16", "1"]]);
    assert_eq!(answer("7").await, [[WHEELCHAIRS, "6530--Wheelchairs and lifts", "3"]]);
    assert_eq!(answer("8").await, [["unknown", "3", "819301.11"]]);
    assert_eq!(answer("12").await[0][0], WHEELCHAIRS);
    assert_eq!(answer("14").await[0][0], "6");
    // Of 200 events two of ten are clicks.
    assert_eq!(answer("18").await[0][..2], ["sam.gov", "40"]);
    assert_eq!(answer("20").await[0][0], "11");
    let by_agency: u64 = answer("17").await.iter().map(|row| row[1].parse::<u64>().unwrap()).sum();
    assert_eq!(by_agency, 120, "six of ten are views of an opportunity");
    assert_eq!(answer("24").await[0][0], "1199");
    assert_eq!(answer("25").await, [["main", "gpt-x-2026", "24", "50", "0.006", "1.5"]]);
    assert_eq!(
        answer("26").await,
        [["2", "12", "13", "12", "100", "0.003"], ["control", "12", "12", "12", "16.7", "0.009"]]
    );
    assert_eq!(answer("27").await, [["price", "no provider answers", "24"]]);
}

#[tokio::test]
async fn every_panel_of_the_dashboard_has_an_answer() {
    let database = fill_shared_database().await;
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 8);
    for panel in panels {
        let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
        // What the data source makes of its macros.
        let sql = sql
            .replace("$__fromTime", &format!("toDateTime(now() - {DAY_S})"))
            .replace("$__toTime", "toDateTime(now())");
        let answer = ask(&database, &sql).await.unwrap_or_else(|error| panic!("{}: {error}", panel["title"]));
        let first = answer.first().unwrap_or_else(|| panic!("{} has no answer", panel["title"]));
        if panel["title"] == NEWEST_EVENT {
            // 0 within the second of the newest event, and without any event the seconds since 1970.
            let seconds: u32 = first[0].parse().unwrap();
            assert!(seconds < DAY_S, "{seconds}");
        } else {
            assert!(first.iter().any(|value| value != "0"), "{}: {answer:?}", panel["title"]);
        }
    }
    assert!(panels.iter().any(|panel| panel["title"] == NEWEST_EVENT));
}

#[tokio::test]
async fn an_analyst_changes_nothing() {
    let database = fill_shared_database().await;
    for statement in [
        "insert into generation values (2, 99)",
        "create table mine (n UInt8) engine = Memory",
        "drop view events",
        "alter table generation delete where 1",
        "truncate table generation",
        "set max_memory_usage = 1",
    ] {
        let refused = ask(&database, statement).await.unwrap_err();
        assert!(refused.contains("Code: 164"), "{statement}: {refused}");
    }
    assert_eq!(ask(&database, "select number from generation").await.unwrap(), [["1"]]);
}
