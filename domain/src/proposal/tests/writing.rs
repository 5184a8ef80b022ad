//! Writing a proposal, and talking about it.

use super::*;

#[test]
fn a_proposal_is_begun_once() {
    expect_events(&[], draft("Lifts"), vec![drafted("Lifts")]);
    expect_events(&[drafted("Lifts"), edited("approach", "x", 1)], draft("Lifts"), vec![]);
    expect_refusal(&[drafted("Lifts")], draft("Beds"), ProposalError::AlreadyDrafted);
}

#[test]
fn a_section_is_written_and_rewritten() {
    let given = [drafted("Lifts"), edited("approach", "We deliver.", 1)];
    expect_events(&given[..1], edit("approach", "We deliver.", 0), vec![given[1].clone()]);
    expect_events(&given, edit("approach", "We deliver soon.", 1), vec![edited("approach", "We deliver soon.", 2)]);
    expect_events(&given, edit("price", "Low.", 0), vec![edited("price", "Low.", 1)]);
}

#[test]
fn nobody_writes_over_what_they_have_not_read() {
    let given = [drafted("Lifts"), edited("approach", "One.", 1), edited("approach", "Two.", 2)];
    expect_refusal(&given, edit("approach", "Mine.", 1), ProposalError::StaleSection { current: 2 });
    expect_refusal(&given, edit("price", "Low.", 1), ProposalError::StaleSection { current: 0 });
    expect_refusal(&given, remove("approach", 1), ProposalError::StaleSection { current: 2 });
}

#[test]
fn writing_what_it_says_changes_nothing_whatever_was_read() {
    expect_events(&[drafted("Lifts"), edited("approach", "One.", 1)], edit("approach", "One.", 0), vec![]);
}

#[test]
fn what_was_written_together_is_taken_over_as_a_whole_or_not_at_all() {
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
fn a_section_is_taken_out() {
    let given = [drafted("Lifts"), edited("approach", "One.", 1)];
    expect_events(&given, remove("approach", 1), vec![removed("approach")]);
    expect_events(&given, remove("price", 0), vec![]);
    assert_eq!(state_after(&[&given[..], &[removed("approach")]].concat()).content().unwrap().sections, vec![]);
}

#[test]
fn a_section_that_comes_back_is_not_taken_for_the_old_one() {
    let given = [drafted("Lifts"), edited("price", "Old.", 1), removed("price")];
    expect_events(&given, edit("price", "New.", 0), vec![edited("price", "New.", 2)]);
    let back = [&given[..], &[edited("price", "New.", 2)]].concat();
    expect_refusal(
        &back,
        edit("price", "By one who read the old text.", 1),
        ProposalError::StaleSection { current: 2 },
    );
}

#[test]
fn a_proposal_has_so_many_sections_and_no_more() {
    let mut given = vec![drafted("Lifts")];
    given.extend((1..MAX_SECTIONS).map(|number| edited(&format!("s{number}"), "x", 1)));
    expect_refusal(&given, edit("more", "x", 0), ProposalError::TooManySections);
    expect_events(&given, edit("s1", "y", 1), vec![edited("s1", "y", 2)]);
}

#[test]
fn an_outline_names_each_section_once_and_not_too_many() {
    let twice = vec![(key("a"), heading()), (key("a"), heading())];
    assert!(matches!(ProposalOutline::try_new(twice), Err(InvalidValue::Malformed { .. })));
    let many = (0..=MAX_SECTIONS).map(|number| (key(&format!("s{number}")), heading())).collect();
    assert_eq!(ProposalOutline::try_new(many), Err(InvalidValue::TooMany { what: "sections", max: MAX_SECTIONS }));
}

#[test]
fn a_remark_is_made_once_and_dealt_with() {
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
fn a_proposal_has_so_many_comments_and_no_more() {
    let mut given = vec![drafted("Lifts")];
    given.extend((0..MAX_COMMENTS as u128).map(|number| commented(number, None, "x")));
    expect_refusal(&given, comment(9_999, None, "x"), ProposalError::TooManyComments);
}

#[test]
fn remarks_are_made_until_it_is_handed_in() {
    let way = full_lifecycle();
    for end in 1..=4 {
        expect_events(&way[..end], comment(1, None, "x"), vec![commented(1, None, "x")]);
        let with = [&way[..end], &[commented(1, None, "x")]].concat();
        assert_eq!(state_after(&with).phase(), state_after(&way[..end]).phase(), "a remark moves nothing on");
    }
    let closed = ProposalError::WrongPhase { phase: LifecyclePhase::Submitted, needed: LifecyclePhase::Draft };
    expect_refusal(&way, comment(1, None, "x"), closed);
}
