//! Tests of a task from the request to its end.

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
fn a_repeated_command_changes_nothing() {
    expect_events(vec![requested("d")], request("d"), vec![]);
    expect_events(vec![requested("d"), started("w", 1)], start("w"), vec![]);
    expect_events(vec![requested("d"), started("w", 1), reported(40)], report(40), vec![]);
    expect_events(vec![requested("d"), started("w", 1), reported(40)], report(39), vec![]);
    expect_events(vec![requested("d"), started("w", 1), completed("x")], complete("x"), vec![]);
    expect_events(vec![requested("d"), cancelled()], cancel(), vec![]);
}

#[test]
fn requesting_other_work_under_the_same_id_is_refused() {
    expect_refusal(vec![requested("d")], request("other"), TaskError::AlreadyRequested);
}

#[test]
fn a_second_worker_cannot_start_a_started_task() {
    let refusal = TaskError::AlreadyStarted { worker: worker("w") };
    expect_refusal(vec![requested("d"), started("w", 1)], start("v"), refusal);
}

#[test]
fn late_reports_of_an_earlier_worker_are_refused() {
    let given = [requested("d"), started("w", 1), failed(1, RetryDecision::Later), started("v", 2)];
    for command in [report(50), complete("late"), fail(RetryDecision::Never)] {
        expect_refusal(given.to_vec(), command, TaskError::AlreadyStarted { worker: worker("v") });
    }
}

#[test]
fn a_note_is_recorded_even_without_progress() {
    let command =
        |note| TaskCommand::Report { worker: worker("w"), percent: ProgressPercent::ZERO, note, stamp: stamp() };
    let expected =
        TaskEvent::ProgressReported { percent: ProgressPercent::ZERO, note: Some(note("begun")), stamp: stamp() };
    expect_events(vec![requested("d"), started("w", 1)], command(Some(note("begun"))), vec![expected]);
    expect_events(vec![requested("d"), started("w", 1)], command(None), vec![]);
}

#[test]
fn a_task_is_cancelled_between_two_attempts() {
    expect_events(vec![requested("d"), started("w", 1), failed(1, RetryDecision::Later)], cancel(), vec![cancelled()]);
}

#[test]
fn a_temporary_failure_can_be_retried_by_any_worker() {
    let given = vec![requested("d"), started("w", 1), failed(1, RetryDecision::Later)];
    expect_events(given, start("v"), vec![started("v", 2)]);
}

#[test]
fn a_permanent_failure_ends_the_task() {
    let given = vec![requested("d"), started("w", 1)];
    expect_events(given.clone(), fail(RetryDecision::Never), vec![failed(1, RetryDecision::Never)]);
    expect_refusal([given, vec![failed(1, RetryDecision::Never)]].concat(), start("w"), TaskError::AlreadyFinished);
}

#[test]
fn a_failure_of_the_last_attempt_is_permanent() {
    let mut given = vec![requested("d")];
    for attempt in 1..MAX_ATTEMPTS {
        given.extend([started("w", attempt), failed(attempt, RetryDecision::Later)]);
    }
    given.push(started("w", MAX_ATTEMPTS));
    expect_events(given, fail(RetryDecision::Later), vec![failed(MAX_ATTEMPTS, RetryDecision::Never)]);
}

#[test]
fn a_requested_or_started_task_can_be_cancelled() {
    expect_events(vec![requested("d")], cancel(), vec![cancelled()]);
    expect_events(vec![requested("d"), started("w", 1)], cancel(), vec![cancelled()]);
}

#[test]
fn commands_to_an_unrequested_task_are_refused() {
    for command in [start("w"), report(1), complete("x"), fail(RetryDecision::Later), cancel()] {
        expect_refusal(vec![], command, TaskError::NotRequested);
    }
}

#[test]
fn reports_on_a_task_that_was_not_started_are_refused() {
    for command in [report(1), complete("x"), fail(RetryDecision::Later)] {
        expect_refusal(vec![requested("d")], command, TaskError::NotStarted);
    }
}

#[test]
fn commands_to_an_ended_task_are_refused() {
    let end = [vec![completed("x")], vec![failed(1, RetryDecision::Never)], vec![cancelled()]];
    for end in end {
        for command in [start("w"), report(1), complete("y"), fail(RetryDecision::Later)] {
            let given = [vec![requested("d"), started("w", 1)], end.clone()].concat();
            expect_refusal(given, command, TaskError::AlreadyFinished);
        }
    }
    expect_refusal(vec![requested("d"), started("w", 1), completed("x")], cancel(), TaskError::AlreadyFinished);
}
