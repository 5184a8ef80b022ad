use std::collections::BTreeSet;

use domain::proposal::SectionKey;
use proptest::prelude::*;

use super::*;
use crate::{shared_text::SharedText, update_contents::ContentPolicy};

/// A letter in the section `a`.
fn letter(client: u64, clock: u32, origin: Option<LetterId>, right_origin: Option<LetterId>) -> InsertedBlock {
    let section = (origin.is_none() && right_origin.is_none()).then(|| "a".to_owned());
    InsertedBlock { client, clock, length: 1, origin, right_origin, section, is_entry: false }
}

fn contents_of(inserted_blocks: Vec<InsertedBlock>) -> UpdateContents {
    UpdateContents { blocks: inserted_blocks.len(), inserted_blocks, ..UpdateContents::default() }
}

fn cost_of_text(text: &SharedText) -> MergeCost {
    MergeCost::estimate(&[&UpdateContents::read(&text.encode_state(), ContentPolicy::AsStored).unwrap()])
}

#[test]
fn concurrent_blocks_at_one_position_cost_a_comparison_for_each_pair() {
    let all: Vec<_> = (0..100).map(|client| letter(client, 0, None, None)).collect();
    let (known, new) = (contents_of(all[..60].to_vec()), contents_of(all[60..].to_vec()));
    let cost = MergeCost { pieces: 100, steps: 100 * 99 };
    assert_eq!(MergeCost::estimate(&[&contents_of(all)]), cost);
    assert_eq!(MergeCost::estimate(&[&known, &new]), cost, "known blocks count");
    assert_eq!(MergeCost::estimate(&[&known, &known]).pieces, 60, "a repeated block counts once");
}

#[test]
fn false_origins_of_one_client_cost_a_comparison_for_each_pair() {
    const LETTERS: u32 = 100;
    let text = contents_of(vec![InsertedBlock { length: LETTERS, ..letter(1, 0, None, None) }]);
    let from_beginning: Vec<InsertedBlock> =
        (1..LETTERS).map(|clock| letter(2, clock - 1, None, Some((1, clock)))).collect();
    let to_end: Vec<InsertedBlock> =
        (1..LETTERS).map(|clock| letter(2, clock - 1, Some((1, clock - 1)), None)).collect();
    for blocks in [from_beginning, to_end] {
        let cost = MergeCost::estimate(&[&text, &contents_of(blocks)]);
        assert_eq!(cost.pieces, 199);
        assert!(cost.steps > 99 * 98, "{cost:?}");
    }
    // True origins cost nothing: between neighbours, before all blocks, and after all blocks.
    let between: Vec<InsertedBlock> =
        (1..LETTERS).map(|clock| letter(2, clock - 1, Some((1, clock - 1)), Some((1, clock)))).collect();
    let before = |clock: u32| letter(2, clock, None, Some(clock.checked_sub(1).map_or((1, 0), |before| (2, before))));
    let after =
        |client: u64| letter(client, 0, Some(if client == 2 { (1, LETTERS - 1) } else { (client - 1, 0) }), None);
    for blocks in [between, (0..LETTERS).map(before).collect(), (2..100).map(after).collect()] {
        assert_eq!(MergeCost::estimate(&[&text, &contents_of(blocks)]).steps, 0);
    }
}

#[test]
fn sequential_edits_of_many_editors_cost_at_most_one_step_per_piece() {
    const EDITORS: usize = 200;
    let (text, key) = (SharedText::default(), SectionKey::try_new("approach").unwrap());
    let mut content = String::new();
    for number in 0..EDITORS {
        let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
        content = match number % 3 {
            0 => format!("word{number} {content}"),
            1 => format!("{content}word{number} "),
            _ => content.replacen(' ', &format!(" word{number} "), 1),
        };
        text.merge_editor_update(&editor.rewrite_section(&key, &content).unwrap()).unwrap();
    }
    assert_eq!(text.section_text(&key), content);
    assert_eq!(text.state_vector().len(), EDITORS);
    let cost = cost_of_text(&text);
    assert!(cost.pieces >= EDITORS && cost.steps <= cost.pieces, "{cost:?}");
}

/// Merges letters as the library does, and counts the comparisons.
fn count_comparisons(letters: &[InsertedBlock]) -> usize {
    fn id(letter: &InsertedBlock) -> LetterId {
        (letter.client, letter.clock)
    }
    let (mut text, mut comparisons): (Vec<&InsertedBlock>, usize) = (Vec::new(), 0);
    for new in letters {
        let index_of = |searched: LetterId| text.iter().position(|letter| id(letter) == searched).unwrap();
        let first = new.origin.map_or(0, |origin| index_of(origin) + 1);
        let right = new.right_origin.map(index_of);
        let (mut target, mut seen, mut conflicting) = (first, BTreeSet::new(), BTreeSet::new());
        for (at, other) in text.iter().enumerate().skip(first) {
            if right == Some(at) {
                break;
            }
            comparisons += 1;
            seen.insert(id(other));
            conflicting.insert(id(other));
            if other.origin == new.origin {
                if other.client < new.client {
                    target = at + 1;
                    conflicting.clear();
                } else if other.right_origin == new.right_origin {
                    break;
                }
            } else if let Some(origin) = other.origin.filter(|origin| seen.contains(origin)) {
                if !conflicting.contains(&origin) {
                    target = at + 1;
                    conflicting.clear();
                }
            } else {
                break;
            }
        }
        text.insert(target, new);
    }
    comparisons
}

/// Returns the letters in another order in which they can be merged: of those whose dependencies are merged, the one
/// with the lowest `rank` is next.
fn reorder(letters: &[InsertedBlock], rank: impl Fn(&InsertedBlock) -> i64) -> Vec<InsertedBlock> {
    let mut remaining: Vec<InsertedBlock> = letters.to_vec();
    let mut order: Vec<InsertedBlock> = Vec::new();
    while !remaining.is_empty() {
        let merged: BTreeSet<LetterId> = order.iter().map(|letter| (letter.client, letter.clock)).collect();
        let is_ready = |letter: &InsertedBlock| {
            let before = letter.clock.checked_sub(1).map(|clock| (letter.client, clock));
            [before, letter.origin, letter.right_origin].into_iter().flatten().all(|other| merged.contains(&other))
        };
        let ready = (0..remaining.len()).filter(|at| is_ready(&remaining[*at]));
        let next = ready.min_by_key(|at| rank(&remaining[*at])).unwrap();
        order.push(remaining.remove(next));
    }
    order
}

proptest! {
    /// Holds for any origins that clients send, true or false.
    #[test]
    fn merging_takes_no_more_comparisons_than_estimated(
        choices in prop::collection::vec((0_u64..5, any::<Option<prop::sample::Index>>(), any::<Option<prop::sample::Index>>()), 1..40),
    ) {
        let mut letters: Vec<InsertedBlock> = Vec::new();
        for (client, origin, right_origin) in choices {
            let known = |choice: Option<prop::sample::Index>| {
                let letter = &letters[choice.filter(|_| !letters.is_empty())?.index(letters.len())];
                Some((letter.client, letter.clock))
            };
            let clock = letters.iter().filter(|letter| letter.client == client).count();
            let new = letter(client, u32::try_from(clock).unwrap(), known(origin), known(right_origin));
            letters.push(new);
        }
        let limit = MergeCost::estimate(&[&contents_of(letters.clone())]).steps + letters.len();
        let ascending = reorder(&letters, |letter| i64::try_from(letter.client).unwrap());
        let descending = reorder(&letters, |letter| -i64::try_from(letter.client).unwrap());
        for order in [&letters, &ascending, &descending] {
            let comparisons = count_comparisons(order);
            prop_assert!(comparisons <= limit, "{} comparisons, {} estimated", comparisons, limit);
        }
    }
}
