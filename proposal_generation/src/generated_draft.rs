//! From a generated text to sentences with sources.

use std::collections::BTreeMap;

use domain::{
    proposal_generation::{
        GeneratedDraft, GeneratedSentence, MAX_DRAFT_CHARACTERS, MAX_SENTENCES, MAX_SOURCES, SentenceText,
        SourceReference,
    },
    value::InvalidValue,
};
use language_models::{CitedSentence, CitedText, FinishReason};

use crate::SourcedPassage;

/// Longest sentence, in characters.
const MAX_SENTENCE_CHARACTERS: usize = 4_000;

/// Splits a text into sentences. Sources are renumbered by their first use; unused passages are left out, and passages
/// of the same page are one source. What is beyond the limits of a draft is cut.
///
/// # Errors
/// [`InvalidValue`] when the text has no sentence.
pub(crate) fn build_generated_draft(
    text: &str,
    finish: FinishReason,
    passages: &[SourcedPassage],
) -> Result<GeneratedDraft, InvalidValue> {
    let count = u32::try_from(passages.len()).unwrap_or(u32::MAX);
    let mut cited = CitedText::parse(text, count).sentences;
    if finish == FinishReason::LengthLimit {
        drop_unfinished(&mut cited);
    }
    let mut sources = SourceNumbers { passages, sources: vec![], by_passage: BTreeMap::new() };
    let (mut sentences, mut characters) = (vec![], 0);
    for sentence in cited {
        let Some(text) = sentence_text(&sentence.text) else { continue };
        characters += text.as_str().chars().count();
        if characters > MAX_DRAFT_CHARACTERS || sentences.len() >= MAX_SENTENCES {
            break;
        }
        let numbers = sentence.sources.into_iter().filter_map(|passage| sources.assign_number(passage)).collect();
        sentences.push(GeneratedSentence { text, sources: numbers, starts_paragraph: sentence.starts_paragraph });
    }
    GeneratedDraft::try_new(sentences, sources.sources)
}

/// Drops the last sentence if the text was cut off inside of it, unless it is the only one.
fn drop_unfinished(sentences: &mut Vec<CitedSentence>) {
    let is_finished = |sentence: &CitedSentence| sentence.text.ends_with(['.', '!', '?', ':', '"', ')']);
    if sentences.len() > 1 && sentences.last().is_some_and(|last| !is_finished(last)) {
        sentences.pop();
    }
}

/// A sentence without control characters, cut if it is too long; `None` if nothing is left.
fn sentence_text(text: &str) -> Option<SentenceText> {
    let cleaned: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SENTENCE_CHARACTERS).collect();
    SentenceText::try_new(&cleaned).ok()
}

struct SourceNumbers<'a> {
    passages: &'a [SourcedPassage],
    sources: Vec<SourceReference>,
    /// Number of the source by number of the passage.
    by_passage: BTreeMap<u32, u32>,
}

impl SourceNumbers<'_> {
    /// The number of the source that a passage is from; `None` if there is no such passage, or too many sources.
    fn assign_number(&mut self, passage: u32) -> Option<u32> {
        if let Some(number) = self.by_passage.get(&passage) {
            return Some(*number);
        }
        let index = usize::try_from(passage).ok()?.checked_sub(1)?;
        let SourcedPassage { kind, id, title, page, .. } = self.passages.get(index)?;
        let is_same = |known: &&SourceReference| (known.kind, &known.id, known.page) == (*kind, id, *page);
        let number = match self.sources.iter().find(is_same) {
            Some(known) => known.number,
            None if self.sources.len() >= MAX_SOURCES => return None,
            None => {
                let number = u32::try_from(self.sources.len()).ok()? + 1;
                self.sources.push(SourceReference {
                    number,
                    kind: *kind,
                    id: id.clone(),
                    title: title.clone(),
                    page: *page,
                });
                number
            }
        };
        self.by_passage.insert(passage, number);
        Some(number)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::proposal_generation::{SourceId, SourceKind, SourceTitle};

    use super::*;

    pub(crate) fn passage(id: &str, page: Option<u32>) -> SourcedPassage {
        SourcedPassage {
            kind: SourceKind::Document,
            id: SourceId::try_new(id).unwrap(),
            title: SourceTitle::try_new(&format!("{id}.pdf")).unwrap(),
            page,
            text: "Text.".to_owned(),
        }
    }

    #[test]
    fn sources_are_numbered_by_their_first_use_and_one_page_is_one_source() {
        let passages = [passage("a", Some(1)), passage("b", Some(2)), passage("b", Some(2)), passage("b", Some(3))];
        let text = "From b [3]. From b and a [2, 1]. Invented [9]. From nowhere.";
        let draft = build_generated_draft(text, FinishReason::Complete, &passages).unwrap();
        let numbers: Vec<Vec<u32>> =
            draft.sentences().iter().map(|sentence| sentence.sources.iter().copied().collect()).collect();
        assert_eq!(numbers, [vec![1], vec![1, 2], vec![], vec![]]);
        let sources: Vec<_> =
            draft.sources().iter().map(|source| (source.number, source.id.as_str(), source.page)).collect();
        assert_eq!(sources, [(1, "b", Some(2)), (2, "a", Some(1))]);
        assert_eq!(draft.unsourced_count(), 2);
    }

    #[test]
    fn a_text_that_was_cut_off_ends_with_a_whole_sentence() {
        let text = |finish| build_generated_draft("We deliver. We train sta", finish, &[]).unwrap().sentences().len();
        assert_eq!((text(FinishReason::LengthLimit), text(FinishReason::Complete)), (1, 2));
        assert_eq!(build_generated_draft("We deliv", FinishReason::LengthLimit, &[]).unwrap().sentences().len(), 1);
    }

    #[test]
    fn a_text_without_a_sentence_is_refused_and_an_endless_one_is_cut() {
        for nothing in ["", " \n ", "[1] [2]"] {
            assert!(build_generated_draft(nothing, FinishReason::Complete, &[]).is_err(), "{nothing:?}");
        }
        let many = build_generated_draft(&"Again and again. ".repeat(10_000), FinishReason::Complete, &[]).unwrap();
        assert_eq!(many.sentences().len(), MAX_SENTENCES);
        let long = build_generated_draft(&"word ".repeat(100_000), FinishReason::Complete, &[]).unwrap();
        assert!(long.sentences()[0].text.as_str().chars().count() <= MAX_SENTENCE_CHARACTERS);
        let hostile = build_generated_draft("a\u{0}b\u{7}c.", FinishReason::Complete, &[]).unwrap();
        assert_eq!(hostile.sentences()[0].text.as_str(), "a b c.");
    }
}
