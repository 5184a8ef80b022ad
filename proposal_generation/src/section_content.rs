//! The text of a generated section as it is written into the proposal.

use std::collections::BTreeSet;

use domain::{
    proposal::SectionContent,
    proposal_generation::{GeneratedDraft, ModelUse},
    value::InvalidValue,
};
use language_models::{CitedText, ExtractiveProvider};

use crate::passage_source::describe_source;

/// The first line of a text that was not written by a model.
const EXTRACTIVE_NOTICE: &str =
    "Quotations from the sources below, chosen without a language model (extractive). Please rewrite.";
/// Stands behind a sentence without a source.
const NO_SOURCE: &str = "[no source]";
/// The line before the list of sources.
const SOURCES_HEADING: &str = "Sources:";
/// Most marks behind one sentence, so that the longest draft fits into a section. The generation has all.
const MAX_MARKS: usize = 10;

/// Sentences with marks of their sources, and the list of sources at the end.
///
/// # Errors
/// [`InvalidValue`] never: a draft is shorter than a section may be.
pub(crate) fn format_section_content(draft: &GeneratedDraft, model: &ModelUse) -> Result<SectionContent, InvalidValue> {
    let mut paragraphs: Vec<String> = vec![];
    if ExtractiveProvider::is_model(model.model.as_str()) {
        paragraphs.push(EXTRACTIVE_NOTICE.to_owned());
    }
    for (index, sentence) in draft.sentences().iter().enumerate() {
        let marked = format!("{} {}", sentence.text, format_marks(&sentence.sources));
        match paragraphs.last_mut().filter(|_| index > 0 && !sentence.starts_paragraph) {
            Some(paragraph) => {
                paragraph.push(' ');
                paragraph.push_str(&marked);
            }
            None => paragraphs.push(marked),
        }
    }
    if !draft.sources().is_empty() {
        let lines = draft
            .sources()
            .iter()
            .map(|source| format!("[{}] {}", source.number, describe_source(source.kind, &source.title, source.page)));
        paragraphs.push([SOURCES_HEADING.to_owned()].into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
    }
    SectionContent::try_new(&paragraphs.join("\n\n"))
}

/// What a section of a proposal says by itself, for the use as a passage: without sentences that have no source, marks,
/// the list of sources and the notice of quotations.
pub(crate) fn remove_source_marks(text: &str) -> String {
    // Cannot be the number of a source.
    const UNSOURCED: u32 = u32::MAX;
    let is_listed_source = |line: &str| {
        let number = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(number, _)| number);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let is_own_text = |line: &&str| {
        let line = line.trim();
        line != SOURCES_HEADING && line != EXTRACTIVE_NOTICE && !is_listed_source(line)
    };
    let own_text = text.lines().filter(is_own_text).collect::<Vec<_>>().join("\n");
    let marked = own_text.replace(NO_SOURCE, &format!("[{UNSOURCED}]"));
    let mut kept = String::new();
    for sentence in CitedText::parse(&marked, UNSOURCED).sentences {
        if sentence.sources.contains(&UNSOURCED) {
            continue;
        }
        if !kept.is_empty() {
            kept.push(if sentence.starts_paragraph { '\n' } else { ' ' });
        }
        kept.push_str(&sentence.text);
    }
    kept
}

fn format_marks(sources: &BTreeSet<u32>) -> String {
    if sources.is_empty() {
        return NO_SOURCE.to_owned();
    }
    let numbers: Vec<_> = sources.iter().take(MAX_MARKS).map(u32::to_string).collect();
    format!("[{}]", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use domain::proposal_generation::{
        MAX_DRAFT_CHARACTERS, MAX_SENTENCES, ModelName, PromptName, PromptRef, PromptVersion, ProviderName,
    };
    use language_models::FinishReason;

    use super::*;
    use crate::generated_draft::{build_generated_draft, tests::passage};

    fn model(name: &str) -> ModelUse {
        ModelUse {
            provider: ProviderName::try_new("main").unwrap(),
            model: ModelName::try_new(name).unwrap(),
            model_version: ModelName::try_new("1").unwrap(),
            prompt: PromptRef {
                name: PromptName::try_new("proposal-section").unwrap(),
                version: PromptVersion::try_new("1").unwrap(),
            },
            input_tokens: 0,
            output_tokens: 0,
            tokens_estimated: false,
            cost_micros: 0,
            latency_ms: 0,
            failed_providers: vec![],
        }
    }

    #[test]
    fn sentences_have_marks_and_sources_are_listed() {
        let passages = [passage("offer", Some(3)), passage("terms", None)];
        let text = "We deliver in 30 days [1]. We train staff [1, 2].\n\nPrices are missing.";
        let draft = build_generated_draft(text, FinishReason::Complete, &passages).unwrap();
        let expected = "We deliver in 30 days. [1] We train staff. [1, 2]\n\nPrices are missing. [no source]\n\n\
                        Sources:\n[1] offer.pdf, page 3\n[2] terms.pdf";
        assert_eq!(format_section_content(&draft, &model("m-1")).unwrap().as_str(), expected);
        let extractive = format_section_content(&draft, &model("extractive-1")).unwrap().to_string();
        assert_eq!(extractive, format!("{EXTRACTIVE_NOTICE}\n\n{expected}"));
    }

    #[test]
    fn a_generated_text_as_a_passage_has_only_sentences_with_sources_and_no_marks() {
        let passages = [passage("offer", Some(3)), passage("terms", None)];
        let text = "We deliver in 30 days [1]. We invented this. We train staff [1, 2].\n\nNobody says this.";
        let draft = build_generated_draft(text, FinishReason::Complete, &passages).unwrap();
        let written = format_section_content(&draft, &model("extractive-1")).unwrap();
        assert_eq!(remove_source_marks(written.as_str()), "We deliver in 30 days. We train staff.");
        let only_unsourced = build_generated_draft("Nobody says this.", FinishReason::Complete, &[]).unwrap();
        assert_eq!(remove_source_marks(format_section_content(&only_unsourced, &model("m-1")).unwrap().as_str()), "");
        let by_hand = "We have 40 employees.\n\nTheir training (see page 3) takes a week.";
        assert_eq!(remove_source_marks(by_hand), by_hand.replace("\n\n", "\n"));
    }

    #[test]
    fn the_longest_draft_fits_into_a_section() {
        let passages: Vec<_> = (1..=50).map(|page| passage(&"d".repeat(200), Some(page))).collect();
        let all = (1..=50_u32).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
        let sentence = format!("{}. [{all}] ", "w".repeat(MAX_DRAFT_CHARACTERS / MAX_SENTENCES - 1));
        let draft =
            build_generated_draft(&sentence.repeat(MAX_SENTENCES + 5), FinishReason::Complete, &passages).unwrap();
        assert_eq!(draft.sentences().len(), MAX_SENTENCES);
        assert_eq!(draft.sources().len(), 50);
        let text = format_section_content(&draft, &model("extractive-1")).unwrap();
        assert!(text.as_str().ends_with("page 50"), "{text}");
    }
}
