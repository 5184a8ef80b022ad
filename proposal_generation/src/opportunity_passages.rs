//! Passages of the opportunity itself: its notice, and the requirements in documents about it.

use std::collections::HashSet;

use domain::{
    document::{DocumentRequirement, UploadedDocument},
    opportunity::{OpportunityId, OpportunityRecord},
    proposal_generation::{SourceId, SourceKind, SourceTitle},
};

use crate::SourcedPassage;

/// Maximum length of a passage of the notice, in characters.
const PASSAGE_CHARACTERS: usize = 800;
/// Maximum length of a description that is split.
const MAX_DESCRIPTION_CHARACTERS: usize = 200_000;
/// Maximum number of passages of the description.
const MAX_DESCRIPTION_PASSAGES: usize = 3;
/// Maximum number of requirements.
const MAX_REQUIREMENTS: usize = 10;
/// Shortest word that is compared.
const MIN_WORD_CHARACTERS: usize = 4;

/// The words that a section is about.
pub(crate) struct TopicWords(HashSet<String>);

impl TopicWords {
    pub(crate) fn from_queries(queries: &[String]) -> Self {
        Self(queries.iter().flat_map(|query| split_words(query)).collect())
    }

    /// How many different words of the topic a text has.
    fn count_in(&self, text: &str) -> usize {
        split_words(text).collect::<HashSet<_>>().intersection(&self.0).count()
    }

    /// The texts that have words of the topic, those with most words first; otherwise in their order.
    fn rank<T>(&self, texts: impl IntoIterator<Item = T>, text_of: impl Fn(&T) -> &str, first: usize) -> Vec<T> {
        let mut ranked: Vec<_> = texts.into_iter().map(|text| (self.count_in(text_of(&text)), text)).collect();
        ranked.retain(|(count, _)| *count > 0);
        ranked.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        ranked.into_iter().map(|(_, text)| text).take(first).collect()
    }
}

fn split_words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.chars().count() >= MIN_WORD_CHARACTERS).map(str::to_lowercase)
}

/// The notice in one passage, then the parts of its description that fit the topic.
pub(crate) fn notice_passages(
    id: &OpportunityId,
    record: &OpportunityRecord,
    topic: &TopicWords,
) -> Vec<SourcedPassage> {
    let details = &record.details;
    let Some(title) = source_title(&details.title) else { return vec![] };
    let Ok(source_id) = SourceId::try_new(id.as_str()) else { return vec![] };
    let passage = |text: String| SourcedPassage {
        kind: SourceKind::Opportunity,
        id: source_id.clone(),
        title: title.clone(),
        page: None,
        text,
    };
    let mut overview = vec![format!("{} is published by {}.", details.title, details.agency.name)];
    overview.extend(details.solicitation_number.as_ref().map(|number| format!("The solicitation number is {number}.")));
    overview.extend(details.naics.as_ref().map(|code| format!("The NAICS code is {code}.")));
    overview.extend(details.set_aside.as_ref().map(|kind| format!("The set-aside is {kind}.")));
    overview.extend(
        details
            .response_deadline
            .map(|time| format!("Responses are due by {} UTC.", time.format("%B %-d, %Y at %H:%M"))),
    );
    let description: String =
        details.description.as_deref().unwrap_or_default().chars().take(MAX_DESCRIPTION_CHARACTERS).collect();
    let parts = topic.rank(split_text(&description), |part| part.as_str(), MAX_DESCRIPTION_PASSAGES);
    [overview.join(" ")].into_iter().chain(parts).map(passage).collect()
}

/// The requirements in documents about the opportunity that fit the topic.
pub(crate) fn requirement_passages(
    documents: &[(String, UploadedDocument)],
    topic: &TopicWords,
) -> Vec<SourcedPassage> {
    let requirements = documents.iter().flat_map(|(id, document)| {
        let list = document.requirements.iter().flat_map(domain::document::RequirementList::iter);
        list.map(move |requirement| (id, document, requirement))
    });
    let ranked = topic.rank(requirements, |(_, _, requirement)| requirement.text.as_str(), MAX_REQUIREMENTS);
    let passage = |(id, document, requirement): (&String, &UploadedDocument, &DocumentRequirement)| {
        Some(SourcedPassage {
            kind: SourceKind::Document,
            id: SourceId::try_new(id).ok()?,
            title: source_title(document.upload.file_name.as_str())?,
            page: requirement.page,
            text: requirement.text.to_string(),
        })
    };
    ranked.into_iter().filter_map(passage).collect()
}

/// A title of a source from any text; `None` if it has no visible character.
pub(crate) fn source_title(text: &str) -> Option<SourceTitle> {
    const MAX_TITLE_CHARACTERS: usize = 300;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short: String = line.trim().chars().take(MAX_TITLE_CHARACTERS).collect();
    SourceTitle::try_new(&short).ok()
}

/// Splits a text at paragraphs or sentences.
fn split_text(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (vec![], String::new());
    for sentence in text.split_inclusive(['\n', '.']) {
        if part.chars().count() + sentence.chars().count() > PASSAGE_CHARACTERS && !part.trim().is_empty() {
            parts.push(std::mem::take(&mut part).trim().to_owned());
        }
        part.extend(sentence.chars().take(PASSAGE_CHARACTERS));
    }
    if !part.trim().is_empty() {
        parts.push(part.trim().to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ranked_by_words_of_the_topic() {
        let topic = TopicWords::from_queries(&["Delivery of patient lifts".to_owned(), "training".to_owned()]);
        let texts = ["Invoices are paid monthly.", "Training of staff.", "Delivery of lifts with training."];
        assert_eq!(topic.rank(texts, |text| text, 5), [texts[2], texts[1]]);
        assert_eq!(topic.rank(texts, |text| text, 1), [texts[2]]);
    }

    #[test]
    fn a_long_text_is_split_between_sentences() {
        let text = "The contractor delivers lifts in thirty days.\n".repeat(60);
        let parts = split_text(&text);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.chars().count() <= PASSAGE_CHARACTERS));
        assert!(parts.iter().all(|part| part.ends_with("days.")), "{parts:?}");
        assert!(split_text(&"x".repeat(10_000)).iter().all(|part| part.chars().count() <= PASSAGE_CHARACTERS));
        assert!(split_text(" \n ").is_empty());
    }
}
