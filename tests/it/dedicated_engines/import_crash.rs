//! A crash of all processes during an import does not change the result of a second import.

use std::process::Stdio;

use sqlx::{Connection, PgConnection};
use tests::{
    TestStack, eventually,
    notice_import::{ExpectedCounts, find_real_csv, import_file, wait_for_agreed_counts},
};

/// The first rows of the real notices, which have a line each: enough that the crash comes while they are imported.
const ROWS: usize = 3_500;
const EVENTS_BEFORE_CRASH: i64 = 1_000;

#[tokio::test]
async fn a_second_import_completes_one_that_was_cut_off_by_a_crash_of_the_stack() {
    let Some(whole) = find_real_csv() else { return };
    let (folder, whole) = (tempfile::tempdir().unwrap(), std::fs::read_to_string(whole).unwrap());
    let csv = folder.path().join("notices.csv");
    std::fs::write(&csv, whole.split_inclusive('\n').take(1 + ROWS).collect::<String>()).unwrap();
    let expected = ExpectedCounts::from_file(&csv);
    let mut stack = TestStack::start().await;
    let mut import_process = stack
        .local_command(&["medhub", "import", csv.to_str().unwrap(), "--batch", "50"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut database = PgConnection::connect(stack.variable("DATABASE_URL")).await.unwrap();
    let before = eventually(async || {
        let events: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&mut database).await.unwrap();
        if events > EVENTS_BEFORE_CRASH {
            Ok(events.unsigned_abs())
        } else {
            Err(format!("only {events} events so far"))
        }
    })
    .await;
    assert!(import_process.try_wait().unwrap().is_none(), "the import ended before the crash");

    stack.kill9_all_processes().await;
    import_process.kill().unwrap();
    import_process.wait().unwrap();

    let stack = stack.restart().await;
    let mut database = PgConnection::connect(stack.variable("DATABASE_URL")).await.unwrap();
    let after: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&mut database).await.unwrap();
    assert!(after.unsigned_abs() >= before, "the log had {before} events before the crash, {after} after it");
    assert!(after.unsigned_abs() < expected.events, "the crash came after the last event");

    let summary = import_file(&stack, &csv, &[]).await;
    assert_eq!(summary["events"], expected.events - after.unsigned_abs());
    expected.assert_equal_to(&wait_for_agreed_counts(&stack).await);
}
