//! Tests of sections and comments.

use super::*;

#[test]
fn a_proposal_is_drafted_once() {
    expect_events(&[], draft("Lifts"), vec![drafted("Lifts")]);
    expect_events(&[drafted("Lifts"), edited("approach", "x", 1)], draft("Lifts"), vec![]);
    expect_refusal(&[drafted("Lifts")], draft("Beds"), ProposalError::AlreadyDrafted);
}

#[test]
fn a_section_is_added_and_edited() {
    let given = [drafted("Lifts"), edited("approach", "We deliver.", 1)];
    expect_events(&given[..1], edit("approach", "We deliver.", 0), vec![given[1].clone()]);
    expect_events(&given, edit("approach", "We deliver soon.", 1), vec![edited("approach", "We deliver soon.", 2)]);
    expect_events(&given, edit("price", "Low.", 0), vec![edited("price", "Low.", 1)]);
}

#[test]
fn an_edit_based_on_another_revision_is_refused() {
    let given = [drafted("Lifts"), edited("approach", "One.", 1), edited("approach", "Two.", 2)];
    expect_refusal(&given, edit("approach", "Mine.", 1), ProposalError::StaleSection { current: 2 });
    expect_refusal(&given, edit("price", "Low.", 1), ProposalError::StaleSection { current: 0 });
    expect_refusal(&given, remove("approach", 1), ProposalError::StaleSection { current: 2 });
}

#[test]
fn an_edit_with_the_same_content_changes_nothing_at_any_revision() {
    expect_events(&[drafted("Lifts"), edited("approach", "One.", 1)], edit("approach", "One.", 0), vec![]);
}

#[test]
fn edits_of_a_shared_text_are_applied_all_or_none() {
    let given = [drafted("Lifts"), edited("approach", "One.", 1)];
    let both = vec![edited("approach", "Two.", 2), edited("price", "Low.", 1)];
    expect_events(&given, edit_together(&[("approach", "Two.", 1), ("price", "Low.", 0)]), both);
    expect_events(
        &given,
        edit_together(&[("approach", "One.", 1), ("price", "Low.", 0)]),
        vec![edited("price", "Low.", 1)],
    );
    let stale = edit_together(&[("price", "Low.", 0), ("approach", "Two.", 0)]);
    expect_refusal(&given, stale, ProposalError::StaleSection { current: 1 });
    let under_review = [&given[..], &[in_review()]].concat();
    let phases = ProposalError::WrongPhase { phase: LifecyclePhase::InReview, needed: LifecyclePhase::Draft };
    expect_refusal(&under_review, edit_together(&[("approach", "Two.", 1)]), phases);
}

#[test]
fn a_section_is_removed() {
    let given = [drafted("Lifts"), edited("approach", "One.", 1)];
    expect_events(&given, remove("approach", 1), vec![removed("approach")]);
    expect_events(&given, remove("price", 0), vec![]);
    assert_eq!(state_after(&[&given[..], &[removed("approach")]].concat()).content().unwrap().sections, vec![]);
}

#[test]
fn a_section_added_again_continues_the_revisions_of_the_removed_one() {
    let given = [drafted("Lifts"), edited("price", "Old.", 1), removed("price")];
    expect_events(&given, edit("price", "New.", 0), vec![edited("price", "New.", 2)]);
    let added_again = [&given[..], &[edited("price", "New.", 2)]].concat();
    expect_refusal(
        &added_again,
        edit("price", "By an author who read the old text.", 1),
        ProposalError::StaleSection { current: 2 },
    );
}

#[test]
fn the_number_of_sections_is_limited() {
    let mut given = vec![drafted("Lifts")];
    given.extend((1..MAX_SECTIONS).map(|number| edited(&format!("s{number}"), "x", 1)));
    expect_refusal(&given, edit("more", "x", 0), ProposalError::TooManySections);
    expect_events(&given, edit("s1", "y", 1), vec![edited("s1", "y", 2)]);
}

#[test]
fn an_outline_has_distinct_keys_and_a_limited_number_of_sections() {
    let repeated = vec![(key("a"), heading()), (key("a"), heading())];
    assert!(matches!(ProposalOutline::try_new(repeated), Err(InvalidValue::Malformed { .. })));
    let too_many = (0..=MAX_SECTIONS).map(|number| (key(&format!("s{number}")), heading())).collect();
    assert_eq!(ProposalOutline::try_new(too_many), Err(InvalidValue::TooMany { what: "sections", max: MAX_SECTIONS }));
}

#[test]
fn a_comment_is_added_once_and_resolved() {
    let given = [drafted("Lifts"), commented(1, Some("approach"), "Say more.")];
    expect_events(&given[..1], comment(1, Some("approach"), "Say more."), vec![given[1].clone()]);
    expect_events(&given, comment(1, Some("approach"), "Say more."), vec![]);
    expect_refusal(&given, comment(1, None, "Say less."), ProposalError::CommentIdTaken);
    expect_events(&given, resolve(1), vec![resolved(1)]);
    expect_events(&[&given[..], &[resolved(1)]].concat(), resolve(1), vec![]);
    expect_refusal(&given, resolve(2), ProposalError::NoSuchComment);
    expect_refusal(&given, comment(2, Some("price"), "x"), ProposalError::NoSuchSection);
}

#[test]
fn the_number_of_comments_is_limited() {
    let mut given = vec![drafted("Lifts")];
    given.extend((0..MAX_COMMENTS as u128).map(|number| commented(number, None, "x")));
    expect_refusal(&given, comment(9_999, None, "x"), ProposalError::TooManyComments);
}

#[test]
fn comments_can_be_added_until_the_submission() {
    let lifecycle = full_lifecycle();
    for end in 1..=4 {
        expect_events(&lifecycle[..end], comment(1, None, "x"), vec![commented(1, None, "x")]);
        let with = [&lifecycle[..end], &[commented(1, None, "x")]].concat();
        assert_eq!(state_after(&with).phase(), state_after(&lifecycle[..end]).phase(), "a comment changes no phase");
    }
    let closed = ProposalError::WrongPhase { phase: LifecyclePhase::Submitted, needed: LifecyclePhase::Draft };
    expect_refusal(&lifecycle, comment(1, None, "x"), closed);
}
