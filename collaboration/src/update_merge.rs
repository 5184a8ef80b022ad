//! Merges updates that follow one another into one, so that an editor gets one message instead of many.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::catch_unwind,
};

use crate::update_contents::{ClockRange, ContentPolicy, UpdateContents};

/// Merges updates that apply one after another into one update. `None` if the library does not merge them into an update
/// with exactly their contents.
pub(crate) fn merge_updates<B: AsRef<[u8]>>(updates: &[B]) -> Option<Vec<u8>> {
    let bodies: Vec<&[u8]> = updates.iter().map(AsRef::as_ref).collect();
    let read = |body: &&[u8]| UpdateContents::read(body, ContentPolicy::AsStored).ok();
    let parts: Vec<_> = bodies.iter().map(read).collect::<Option<_>>()?;
    // Overlapping insertions would be cut by the library, whose result cannot be checked.
    let insertions = || parts.iter().map(|part| &part.insertions);
    let inserted = join_ranges(insertions());
    if count_clocks(insertions()) != count_clocks([&inserted]) {
        return None;
    }
    // The library handles content that editors have sent: if it panics, the room must not close for all its members.
    let merged = catch_unwind(|| yrs::merge_updates_v1(&bodies)).ok()?.ok()?;
    let contents = UpdateContents::read(&merged, ContentPolicy::AsStored).ok()?;
    contains_parts(&contents, &parts).then_some(merged)
}

fn contains_parts(merged: &UpdateContents, parts: &[UpdateContents]) -> bool {
    let sections: BTreeSet<&String> = parts.iter().flat_map(|part| &part.sections).collect();
    join_ranges(parts.iter().map(|part| &part.insertions)) == join_ranges([&merged.insertions])
        && join_ranges(parts.iter().map(|part| &part.deletions)) == join_ranges([&merged.deletions])
        && sections.into_iter().eq(&merged.sections)
}

type RangesByClient = BTreeMap<u64, Vec<ClockRange>>;

/// The same clocks in as few ranges as possible, in order.
fn join_ranges<'a>(parts: impl IntoIterator<Item = &'a RangesByClient>) -> RangesByClient {
    let mut joined = RangesByClient::new();
    for (client, ranges) in parts.into_iter().flatten() {
        let ranges = ranges.iter().filter(|(start, end)| start < end);
        joined.entry(*client).or_default().extend(ranges);
    }
    joined.retain(|_, ranges| !ranges.is_empty());
    for ranges in joined.values_mut() {
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let is_joined = next.0 <= last.1;
            if is_joined {
                last.1 = last.1.max(next.1);
            }
            is_joined
        });
    }
    joined
}

fn count_clocks<'a>(parts: impl IntoIterator<Item = &'a RangesByClient>) -> u64 {
    let ranges = parts.into_iter().flat_map(BTreeMap::values).flatten();
    ranges.map(|(start, end)| u64::from(end.saturating_sub(*start))).sum()
}

#[cfg(test)]
mod tests {
    use domain::proposal::SectionKey;
    use proptest::prelude::*;

    use super::*;
    use crate::shared_text::SharedText;

    fn key() -> SectionKey {
        SectionKey::try_new("approach").unwrap()
    }

    fn copy_of(text: &SharedText) -> SharedText {
        SharedText::from_updates([text.encode_state().as_slice()]).unwrap()
    }

    #[test]
    fn updates_of_an_editor_that_types_become_one() {
        let text = SharedText::default();
        let updates: Vec<_> =
            (1..=100).map(|words| text.rewrite_section(&key(), &"x ".repeat(words)).unwrap()).collect();
        let merged = merge_updates(&updates).unwrap();
        let contents = UpdateContents::read(&merged, ContentPolicy::TextOnly).unwrap();
        let editor = *contents.insertions.keys().next().unwrap();
        assert_eq!(join_ranges([&contents.insertions]), BTreeMap::from([(editor, vec![(0, 200)])]));
        assert!(merged.len() < updates.iter().map(Vec::len).sum(), "{} bytes", merged.len());
        assert_eq!(SharedText::from_updates([merged.as_slice()]).unwrap().section_text(&key()), "x ".repeat(100));
    }

    #[test]
    fn updates_with_the_same_content_and_unreadable_ones_are_not_merged() {
        let text = SharedText::default();
        let first = text.rewrite_section(&key(), "We").unwrap();
        let whole = text.encode_state();
        assert_eq!(merge_updates(&[&first, &whole]), None);
        assert_eq!(merge_updates(&[&first[..], b"not an update"]), None);
    }

    #[test]
    fn contents_that_are_missing_in_a_merged_update_are_found() {
        let text = SharedText::default();
        let written = ["We", "We deliver", "We"].map(|content| text.rewrite_section(&key(), content).unwrap());
        let parts = written.each_ref().map(|update| UpdateContents::read(update, ContentPolicy::TextOnly).unwrap());
        let [first, second, deletion] = written.each_ref().map(Vec::as_slice);
        let merge = |updates: &[&[u8]]| {
            UpdateContents::read(&yrs::merge_updates_v1(updates).unwrap(), ContentPolicy::TextOnly).unwrap()
        };
        assert!(contains_parts(&merge(&[first, second, deletion]), &parts));
        assert!(!contains_parts(&merge(&[first, second]), &parts), "the deletion is missing");
        assert!(!contains_parts(&merge(&[first, deletion]), &parts), "an insertion is missing");
        assert!(!contains_parts(&merge(&[second, deletion]), &parts), "the name of the section is missing");
    }

    proptest! {
        /// Editors write at the same time, each knowing only some of the others' edits; the room groups the updates
        /// that it receives.
        #[test]
        fn a_merged_update_has_the_effect_of_its_parts(
            edits in prop::collection::vec((0..4_usize, "[abc é]{0,6}", any::<bool>()), 1..30),
            before in 0..10_usize,
        ) {
            let room = SharedText::default();
            let editors: Vec<_> = (0..4).map(|_| SharedText::default()).collect();
            let mut updates = Vec::new();
            for (editor, content, is_current) in &edits {
                let editor = &editors[*editor];
                if *is_current {
                    editor.merge_editor_update(&room.encode_diff(&editor.state_vector())).unwrap();
                }
                if let Some(update) = editor.rewrite_section(&key(), content) {
                    room.merge_editor_update(&update).unwrap();
                    updates.push(update);
                }
            }
            let before = before.min(updates.len());
            let known = SharedText::from_updates(updates[..before].iter().map(Vec::as_slice)).unwrap();
            let (one_by_one, at_once) = (copy_of(&known), copy_of(&known));
            for update in &updates[before..] {
                one_by_one.merge_editor_update(update).unwrap();
            }
            if let Some(merged) = merge_updates(&updates[before..]) {
                at_once.merge_editor_update(&merged).unwrap();
                prop_assert!(!at_once.has_missing_updates());
                prop_assert_eq!(at_once.section_texts(), one_by_one.section_texts());
                prop_assert_eq!(at_once.state_vector(), one_by_one.state_vector());
                prop_assert_eq!(at_once.section_texts(), room.section_texts());
            }
        }
    }
}
