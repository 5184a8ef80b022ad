//! Tests of a proposal: given events, when a command, then events or a refusal.

mod invariants;
mod review;
mod stored_form;
mod writing;

use cqrs_es::test::TestFramework;

use super::*;
use crate::{
    opportunity::{OpportunityId, UsdCents},
    value::InvalidValue,
};

type ProposalScenario = TestFramework<Proposal>;

fn expect_events(given: &[ProposalEvent], when: ProposalCommand, then: Vec<ProposalEvent>) {
    ProposalScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn expect_refusal(given: &[ProposalEvent], when: ProposalCommand, then: ProposalError) {
    ProposalScenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

fn state_after(events: &[ProposalEvent]) -> Proposal {
    let mut state = Proposal::default();
    events.iter().cloned().for_each(|event| state.evolve(event));
    state
}

fn by(name: &str) -> AuditStamp {
    AuditStamp { by: UserId::try_new(name).unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn key(text: &str) -> SectionKey {
    SectionKey::try_new(text).unwrap()
}

fn content(text: &str) -> SectionContent {
    SectionContent::try_new(text).unwrap()
}

fn heading() -> SectionHeading {
    SectionHeading::try_new("Approach").unwrap()
}

fn opportunity() -> OpportunityId {
    OpportunityId::parse("036:36C10G26R0005").unwrap()
}

fn title(text: &str) -> ProposalTitle {
    ProposalTitle::try_new(text).unwrap()
}

fn outline() -> ProposalOutline {
    ProposalOutline::try_new(vec![(key("approach"), heading())]).unwrap()
}

fn comment_id(number: u128) -> CommentId {
    CommentId::new(uuid::Uuid::from_u128(number))
}

fn note() -> ReviewNote {
    ReviewNote::try_new("Say more about delivery.").unwrap()
}

fn reason() -> WithdrawalReason {
    WithdrawalReason::try_new("no staff").unwrap()
}

fn draft(text: &str) -> ProposalCommand {
    ProposalCommand::Draft { opportunity_id: opportunity(), title: title(text), outline: outline(), stamp: by("ann") }
}

fn edit(section: &str, text: &str, based_on: u32) -> ProposalCommand {
    let edit = SectionChange { section: key(section), heading: heading(), content: content(text), based_on };
    ProposalCommand::EditSection { edit, stamp: by("ann") }
}

fn edit_together(edits: &[(&str, &str, u32)]) -> ProposalCommand {
    let edit = |&(section, text, based_on): &(&str, &str, u32)| {
        (SectionChange { section: key(section), heading: heading(), content: content(text), based_on }, by("ann"))
    };
    ProposalCommand::EditSections { edits: edits.iter().map(edit).collect() }
}

fn remove(section: &str, based_on: u32) -> ProposalCommand {
    ProposalCommand::RemoveSection { section: key(section), based_on, stamp: by("ann") }
}

fn comment(number: u128, section: Option<&str>, text: &str) -> ProposalCommand {
    ProposalCommand::Comment {
        comment_id: comment_id(number),
        section: section.map(key),
        text: CommentText::try_new(text).unwrap(),
        stamp: by("bob"),
    }
}

fn resolve(number: u128) -> ProposalCommand {
    ProposalCommand::ResolveComment { comment_id: comment_id(number), stamp: by("ann") }
}

fn submit_for_review() -> ProposalCommand {
    ProposalCommand::SubmitForReview { stamp: by("ann") }
}

fn approve(name: &str) -> ProposalCommand {
    ProposalCommand::Approve { note: None, stamp: by(name) }
}

fn reject(name: &str) -> ProposalCommand {
    ProposalCommand::Reject { note: note(), stamp: by(name) }
}

fn submit() -> ProposalCommand {
    ProposalCommand::Submit { confirmation: None, stamp: by("ann") }
}

fn record(outcome: ProposalOutcome) -> ProposalCommand {
    ProposalCommand::RecordOutcome { outcome, stamp: by("ann") }
}

fn withdraw() -> ProposalCommand {
    ProposalCommand::Withdraw { reason: reason(), stamp: by("ann") }
}

fn drafted(text: &str) -> ProposalEvent {
    ProposalEvent::Drafted { opportunity_id: opportunity(), title: title(text), outline: outline(), stamp: by("ann") }
}

fn edited(section: &str, text: &str, revision: u32) -> ProposalEvent {
    ProposalEvent::SectionEdited {
        section: key(section),
        heading: heading(),
        content: content(text),
        revision,
        stamp: by("ann"),
    }
}

fn removed(section: &str) -> ProposalEvent {
    ProposalEvent::SectionRemoved { section: key(section), stamp: by("ann") }
}

fn commented(number: u128, section: Option<&str>, text: &str) -> ProposalEvent {
    ProposalEvent::Commented {
        comment_id: comment_id(number),
        section: section.map(key),
        text: CommentText::try_new(text).unwrap(),
        stamp: by("bob"),
    }
}

fn resolved(number: u128) -> ProposalEvent {
    ProposalEvent::CommentResolved { comment_id: comment_id(number), stamp: by("ann") }
}

fn in_review() -> ProposalEvent {
    ProposalEvent::SubmittedForReview { stamp: by("ann") }
}

fn approved() -> ProposalEvent {
    ProposalEvent::Approved { note: None, stamp: by("bob") }
}

fn rejected() -> ProposalEvent {
    ProposalEvent::Rejected { note: note(), stamp: by("bob") }
}

fn submitted() -> ProposalEvent {
    ProposalEvent::Submitted { confirmation: None, stamp: by("ann") }
}

fn decided(outcome: ProposalOutcome) -> ProposalEvent {
    ProposalEvent::Decided { outcome, stamp: by("ann") }
}

fn withdrawn() -> ProposalEvent {
    ProposalEvent::Withdrawn { reason: reason(), stamp: by("ann") }
}

fn won() -> ProposalOutcome {
    ProposalOutcome { verdict: AgencyDecision::Won, amount: Some(UsdCents(81_930_000)), reason: None }
}

fn lost() -> ProposalOutcome {
    ProposalOutcome { verdict: AgencyDecision::Lost, amount: None, reason: None }
}

/// The events of a proposal from the first draft to the submission.
fn full_lifecycle() -> Vec<ProposalEvent> {
    vec![drafted("Lifts"), edited("approach", "We deliver.", 1), in_review(), approved(), submitted()]
}
