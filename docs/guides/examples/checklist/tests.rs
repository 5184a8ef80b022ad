//! Tests of a checklist: given events, when a command, then events or a refusal; and the stored form of its events.

use cqrs_es::test::TestFramework;
use domain::value::{AuditStamp, UserId};
use serde_json::json;

use super::*;

type ChecklistScenario = TestFramework<Checklist>;

#[test]
fn a_checklist_is_created_ticked_and_closed() {
    ChecklistScenario::with(()).given_no_previous_events().when(create()).then_expect_events(vec![created()]);
    ChecklistScenario::with(()).given(vec![created()]).when(tick("price")).then_expect_events(vec![ticked("price")]);
    let all_done = vec![created(), ticked("price"), ticked("resumes")];
    ChecklistScenario::with(()).given(all_done).when(close()).then_expect_events(vec![closed()]);
}

#[test]
fn repeating_a_command_changes_nothing() {
    let given = vec![created(), ticked("price")];
    ChecklistScenario::with(()).given(given).when(tick("price")).then_expect_events(vec![]);
    let given = vec![created(), ticked("price"), ticked("resumes"), closed()];
    ChecklistScenario::with(()).given(given).when(close()).then_expect_events(vec![]);
}

#[test]
fn commands_that_the_state_forbids_are_refused() {
    let closed = vec![created(), ticked("price"), ticked("resumes"), closed()];
    for (given, command, refusal) in [
        (vec![], tick("price"), ChecklistError::NotCreated),
        (vec![created()], create(), ChecklistError::AlreadyCreated),
        (vec![created()], tick("travel"), ChecklistError::UnknownItem),
        (vec![created(), ticked("price")], close(), ChecklistError::ItemsOpen),
        (closed, tick("price"), ChecklistError::Closed),
    ] {
        ChecklistScenario::with(()).given(given).when(command).then_expect_error(refusal);
    }
}

#[test]
fn events_keep_their_stored_form() {
    let stamp = json!({ "by": "ann", "at": "2026-03-03T12:00:00Z" });
    let completion = json!({ "evidence": "prices.xlsx", "note": "checked" });
    for (event, stored) in [
        (created(), json!({ "type": "created", "items": ["price", "resumes"], "stamp": stamp })),
        (ticked("price"), json!({ "type": "item_ticked", "item": "price", "completion": completion, "stamp": stamp })),
        (closed(), json!({ "type": "closed", "stamp": stamp })),
    ] {
        assert_eq!(serde_json::to_value(&event).unwrap(), stored);
        assert_eq!(serde_json::from_value::<ChecklistEvent>(stored).unwrap(), event);
    }
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn item(text: &str) -> ChecklistItem {
    ChecklistItem::try_new(text).unwrap()
}

fn completion() -> ItemCompletion {
    ItemCompletion {
        evidence: ItemEvidence::try_new("prices.xlsx").unwrap(),
        note: ChecklistNote::try_new("checked").ok(),
    }
}

fn create() -> ChecklistCommand {
    ChecklistCommand::Create { items: ["price", "resumes"].map(item).into(), stamp: stamp() }
}

fn tick(text: &str) -> ChecklistCommand {
    ChecklistCommand::Tick { item: item(text), completion: completion(), stamp: stamp() }
}

fn close() -> ChecklistCommand {
    ChecklistCommand::Close { stamp: stamp() }
}

fn created() -> ChecklistEvent {
    ChecklistEvent::Created { items: ["price", "resumes"].map(item).into(), stamp: stamp() }
}

fn ticked(text: &str) -> ChecklistEvent {
    ChecklistEvent::ItemTicked { item: item(text), completion: completion(), stamp: stamp() }
}

fn closed() -> ChecklistEvent {
    ChecklistEvent::Closed { stamp: stamp() }
}
