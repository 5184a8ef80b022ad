//! The life of a task.

use super::*;

fn expect_events(given: Vec<TaskEvent>, when: TaskCommand, then: Vec<TaskEvent>) {
    TaskScenario::with(()).given(given).when(when).then_expect_events(then);
}

fn expect_refusal(given: Vec<TaskEvent>, when: TaskCommand, then: TaskError) {
    TaskScenario::with(()).given(given).when(when).then_expect_error(then);
}

#[test]
fn a_task_is_requested_started_and_completed() {
    expect_events(vec![], request("d"), vec![requested("d")]);
    expect_events(vec![requested("d")], start("w"), vec![started("w", 1)]);
    expect_events(vec![requested("d"), started("w", 1)], report(40), vec![reported(40)]);
    expect_events(vec![requested("d"), started("w", 1)], complete("12 pages"), vec![completed("12 pages")]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    expect_events(vec![requested("d")], request("d"), vec![]);
    expect_events(vec![requested("d"), started("w", 1)], start("w"), vec![]);
    expect_events(vec![requested("d"), started("w", 1), reported(40)], report(40), vec![]);
    expect_events(vec![requested("d"), started("w", 1), reported(40)], report(39), vec![]);
    expect_events(vec![requested("d"), started("w", 1), completed("x")], complete("x"), vec![]);
    expect_events(vec![requested("d"), cancelled()], cancel(), vec![]);
}

#[test]
fn an_id_belongs_to_one_job() {
    expect_refusal(vec![requested("d")], request("other"), TaskError::AlreadyRequested);
}

#[test]
fn only_one_worker_is_at_it() {
    let busy = TaskError::AlreadyStarted { worker: worker("w") };
    expect_refusal(vec![requested("d"), started("w", 1)], start("v"), busy);
}

#[test]
fn a_worker_that_comes_back_late_has_no_say() {
    let given = [requested("d"), started("w", 1), failed(1, RetryDecision::Later), started("v", 2)];
    for command in [report(50), complete("late"), fail(RetryDecision::Never)] {
        expect_refusal(given.to_vec(), command, TaskError::AlreadyStarted { worker: worker("v") });
    }
}

#[test]
fn a_remark_is_news_also_without_progress() {
    let command =
        |note| TaskCommand::Report { worker: worker("w"), percent: ProgressPercent::ZERO, note, stamp: stamp() };
    let begun =
        TaskEvent::ProgressReported { percent: ProgressPercent::ZERO, note: Some(note("begun")), stamp: stamp() };
    expect_events(vec![requested("d"), started("w", 1)], command(Some(note("begun"))), vec![begun]);
    expect_events(vec![requested("d"), started("w", 1)], command(None), vec![]);
}

#[test]
fn a_task_is_cancelled_between_two_attempts() {
    expect_events(vec![requested("d"), started("w", 1), failed(1, RetryDecision::Later)], cancel(), vec![cancelled()]);
}

#[test]
fn a_failure_that_may_pass_is_tried_again_by_any_worker() {
    let given = vec![requested("d"), started("w", 1), failed(1, RetryDecision::Later)];
    expect_events(given, start("v"), vec![started("v", 2)]);
}

#[test]
fn a_failure_for_good_ends_it() {
    let given = vec![requested("d"), started("w", 1)];
    expect_events(given.clone(), fail(RetryDecision::Never), vec![failed(1, RetryDecision::Never)]);
    expect_refusal([given, vec![failed(1, RetryDecision::Never)]].concat(), start("w"), TaskError::AlreadyFinished);
}

#[test]
fn the_last_attempt_that_fails_is_a_failure_for_good() {
    let mut given = vec![requested("d")];
    for attempt in 1..MAX_ATTEMPTS {
        given.extend([started("w", attempt), failed(attempt, RetryDecision::Later)]);
    }
    given.push(started("w", MAX_ATTEMPTS));
    expect_events(given, fail(RetryDecision::Later), vec![failed(MAX_ATTEMPTS, RetryDecision::Never)]);
}

#[test]
fn what_is_wanted_no_more_is_cancelled() {
    expect_events(vec![requested("d")], cancel(), vec![cancelled()]);
    expect_events(vec![requested("d"), started("w", 1)], cancel(), vec![cancelled()]);
}

#[test]
fn what_nobody_requested_is_not_there() {
    for command in [start("w"), report(1), complete("x"), fail(RetryDecision::Later), cancel()] {
        expect_refusal(vec![], command, TaskError::NotRequested);
    }
}

#[test]
fn what_nobody_started_has_no_progress_and_no_end() {
    for command in [report(1), complete("x"), fail(RetryDecision::Later)] {
        expect_refusal(vec![requested("d")], command, TaskError::NotStarted);
    }
}

#[test]
fn what_is_over_stays_over() {
    let end = [vec![completed("x")], vec![failed(1, RetryDecision::Never)], vec![cancelled()]];
    for end in end {
        for command in [start("w"), report(1), complete("y"), fail(RetryDecision::Later)] {
            let given = [vec![requested("d"), started("w", 1)], end.clone()].concat();
            expect_refusal(given, command, TaskError::AlreadyFinished);
        }
    }
    expect_refusal(vec![requested("d"), started("w", 1), completed("x")], cancel(), TaskError::AlreadyFinished);
}
