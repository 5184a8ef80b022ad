//! Tests of what a generation is to write.

use super::*;
use crate::proposal::{PlannedSection, Proposal, ProposalCommand, ProposalOutline, ProposalTitle, SectionChange};

fn apply(proposal: &mut Proposal, command: ProposalCommand) {
    for event in proposal.decide(command).unwrap() {
        proposal.evolve(event);
    }
}

/// A draft with these planned sections.
fn drafted(outline: &[&str]) -> Proposal {
    let sections = outline.iter().map(|name| (key(name), SectionHeading::try_new(name).unwrap())).collect();
    let mut proposal = Proposal::default();
    let draft = ProposalCommand::Draft {
        opportunity_id: OpportunityId::parse("036:R5").unwrap(),
        title: ProposalTitle::try_new("Lifts").unwrap(),
        outline: ProposalOutline::try_new(sections).unwrap(),
        stamp: stamp(),
    };
    apply(&mut proposal, draft);
    proposal
}

fn write(proposal: &mut Proposal, name: &str) {
    let edit = SectionChange {
        section: key(name),
        heading: SectionHeading::try_new(name).unwrap(),
        content: crate::proposal::SectionContent::try_new("text").unwrap(),
        based_on: 0,
    };
    apply(proposal, ProposalCommand::EditSection { edit, stamp: stamp() });
}

fn standard(names: &[&str]) -> Vec<PlannedSection> {
    let planned = |name: &&str| PlannedSection { key: key(name), heading: SectionHeading::try_new(name).unwrap() };
    names.iter().map(planned).collect()
}

/// Keys and revisions of the planned sections; only sections of the proposal are marked as such.
fn plan(proposal: &Proposal, selected: &[&str]) -> Result<Vec<(String, u32)>, SectionPlanError> {
    let selected: Vec<_> = selected.iter().map(|name| key(name)).collect();
    let planned = plan_sections(proposal, &selected, &standard(&["summary", "price"]))?;
    for section in &planned {
        let known = proposal.content().and_then(|content| content.section(&section.key));
        assert_eq!(section.in_proposal, known.is_some(), "{section:?}");
    }
    Ok(planned.into_iter().map(|section| (section.key.to_string(), section.based_on)).collect())
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(name, revision)| ((*name).to_owned(), *revision)).collect()
}

#[test]
fn sections_without_content_are_generated() {
    let mut proposal = drafted(&["a", "b", "c"]);
    write(&mut proposal, "b");
    assert_eq!(plan(&proposal, &[]), Ok(pairs(&[("a", 0), ("c", 0)])));
}

#[test]
fn a_proposal_without_sections_gets_the_standard_ones() {
    assert_eq!(plan(&drafted(&[]), &[]), Ok(pairs(&[("summary", 0), ("price", 0)])));
}

#[test]
fn selected_sections_are_generated_in_their_order_even_with_content() {
    let mut proposal = drafted(&["a", "b"]);
    write(&mut proposal, "b");
    assert_eq!(plan(&proposal, &["price", "b"]), Ok(pairs(&[("price", 0), ("b", 1)])));
    assert_eq!(plan(&proposal, &["z"]), Err(SectionPlanError::NoSuchSection { section: key("z") }));
}

#[test]
fn a_plan_is_neither_empty_nor_too_long() {
    let mut proposal = drafted(&["a"]);
    write(&mut proposal, "a");
    assert_eq!(plan(&proposal, &[]), Err(SectionPlanError::NothingToGenerate));
    let names: Vec<_> = (0..=MAX_REQUESTED_SECTIONS).map(|number| format!("s{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let count = MAX_REQUESTED_SECTIONS + 1;
    assert_eq!(plan(&drafted(&names), &[]), Err(SectionPlanError::TooManySections { count }));
    assert_eq!(plan(&drafted(&names), &["s3"]), Ok(pairs(&[("s3", 0)])));
}

#[test]
fn only_a_draft_is_generated() {
    assert_eq!(plan(&Proposal::Unwritten, &[]), Err(SectionPlanError::NoSuchProposal));
    let mut proposal = drafted(&["a", "b"]);
    write(&mut proposal, "a");
    apply(&mut proposal, ProposalCommand::SubmitForReview { stamp: stamp() });
    let phase = proposal.phase();
    assert_eq!(plan(&proposal, &[]), Err(SectionPlanError::NotDraft { phase }));
}

#[test]
fn running_generations_are_limited_by_proposal_and_company() {
    let generation = |number: u128| GenerationId::new(uuid::Uuid::from_u128(number));
    let proposal = |number: u128| ProposalId::new(uuid::Uuid::from_u128(number));
    let running = [(generation(1), proposal(1)), (generation(2), proposal(2))];
    let check = |about, max| check_running_generations(&running, proposal(about), max);
    assert_eq!(check(3, 3), Ok(()));
    assert_eq!(check(3, 2), Err(SectionPlanError::TooManyRunning { max: 2 }));
    assert_eq!(check(2, 3), Err(SectionPlanError::AlreadyRunning { generation: generation(2) }));
}
