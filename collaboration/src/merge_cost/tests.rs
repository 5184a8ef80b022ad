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
fn clients_that_write_at_one_place_at_once_cost_a_look_for_each_pair() {
    let all: Vec<_> = (0..100).map(|client| letter(client, 0, None, None)).collect();
    let (known, new) = (contents_of(all[..60].to_vec()), contents_of(all[60..].to_vec()));
    let cost = MergeCost { pieces: 100, steps: 100 * 99 };
    assert_eq!(MergeCost::estimate(&[&contents_of(all)]), cost);
    assert_eq!(MergeCost::estimate(&[&known, &new]), cost, "what is known counts, too");
    assert_eq!(MergeCost::estimate(&[&known, &known]).pieces, 60, "but once");
}

#[test]
fn one_client_that_lies_about_what_it_wrote_between_costs_as_much() {
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
    // What says where it was written costs nothing: between neighbours, before and after all that is there.
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
fn many_editors_who_write_one_after_another_cost_next_to_nothing() {
    const EDITORS: usize = 200;
    let (text, key) = (SharedText::default(), SectionKey::try_new("approach").unwrap());
    let mut said = String::new();
    for number in 0..EDITORS {
        let editor = SharedText::from_updates([text.encode_state().as_slice()]).unwrap();
        said = match number % 3 {
            0 => format!("word{number} {said}"),
            1 => format!("{said}word{number} "),
            _ => said.replacen(' ', &format!(" word{number} "), 1),
        };
        text.merge_editor_update(&editor.rewrite_section(&key, &said).unwrap()).unwrap();
    }
    assert_eq!(text.section_text(&key), said);
    assert_eq!(text.state_vector().len(), EDITORS);
    let cost = cost_of_text(&text);
    assert!(cost.pieces >= EDITORS && cost.steps <= cost.pieces, "{cost:?}");
}

/// Merges letters as the library does, and counts the others that it looks at.
fn count_looks(letters: &[InsertedBlock]) -> usize {
    fn id(letter: &InsertedBlock) -> LetterId {
        (letter.client, letter.clock)
    }
    let (mut text, mut looks): (Vec<&InsertedBlock>, usize) = (Vec::new(), 0);
    for new in letters {
        let place_of = |wanted: LetterId| text.iter().position(|letter| id(letter) == wanted).unwrap();
        let first = new.origin.map_or(0, |origin| place_of(origin) + 1);
        let right = new.right_origin.map(place_of);
        let (mut place, mut seen, mut conflicting) = (first, BTreeSet::new(), BTreeSet::new());
        for (at, other) in text.iter().enumerate().skip(first) {
            if right == Some(at) {
                break;
            }
            looks += 1;
            seen.insert(id(other));
            conflicting.insert(id(other));
            if other.origin == new.origin {
                if other.client < new.client {
                    place = at + 1;
                    conflicting.clear();
                } else if other.right_origin == new.right_origin {
                    break;
                }
            } else if let Some(origin) = other.origin.filter(|origin| seen.contains(origin)) {
                if !conflicting.contains(&origin) {
                    place = at + 1;
                    conflicting.clear();
                }
            } else {
                break;
            }
        }
        text.insert(place, new);
    }
    looks
}

/// The same letters in another order that they can be merged in: of what can come next, the first by `rank`.
fn reorder(letters: &[InsertedBlock], rank: impl Fn(&InsertedBlock) -> i64) -> Vec<InsertedBlock> {
    let mut left: Vec<InsertedBlock> = letters.to_vec();
    let mut order: Vec<InsertedBlock> = Vec::new();
    while !left.is_empty() {
        let merged: BTreeSet<LetterId> = order.iter().map(|letter| (letter.client, letter.clock)).collect();
        let is_free = |letter: &InsertedBlock| {
            let before = letter.clock.checked_sub(1).map(|clock| (letter.client, clock));
            [before, letter.origin, letter.right_origin].into_iter().flatten().all(|other| merged.contains(&other))
        };
        let free = (0..left.len()).filter(|at| is_free(&left[*at]));
        let next = free.min_by_key(|at| rank(&left[*at])).unwrap();
        order.push(left.remove(next));
    }
    order
}

proptest! {
    /// Whatever clients say about what they wrote between, true or not.
    #[test]
    fn merging_takes_no_more_looks_than_were_counted(
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
        let most = MergeCost::estimate(&[&contents_of(letters.clone())]).steps + letters.len();
        let upwards = reorder(&letters, |letter| i64::try_from(letter.client).unwrap());
        let downwards = reorder(&letters, |letter| -i64::try_from(letter.client).unwrap());
        for order in [&letters, &upwards, &downwards] {
            let looks = count_looks(order);
            prop_assert!(looks <= most, "{} looks, {} counted", looks, most);
        }
    }
}
