//! Texts without a model: the sentences of the passages that fit the topic best, as quotations with their sources.
//!
//! It ranks by BM25 (Robertson and Zaragoza, 2009) with the sentences as documents, invents nothing, and needs neither
//! network nor key. It is the offline default, and named as such in events and in the text.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::BoxFuture;

use crate::{
    CitedText, FinishReason, GenerationUpdate, ProviderError, ProviderOutput, TextProvider, TextRequest, TokenUsage,
    UpdateSink, estimate_tokens,
};

/// What the names of all versions begin with.
const MODEL_PREFIX: &str = "extractive-";
/// The version of the ranking.
const VERSION: &str = "extractive-1";
/// Maximum number of sentences of a text.
const MAX_SENTENCES: usize = 12;
/// Maximum number of sentences that are ranked.
const MAX_CANDIDATES: usize = 20_000;
/// Lengths of sentences that can stand alone, in words.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 5..=80;
/// Saturation of a term's frequency (`K1`) and influence of the length (`B`), as usual for BM25.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Quotes the passages.
#[derive(Debug, Clone)]
pub struct ExtractiveProvider {
    name: String,
}

struct CandidateSentence {
    passage: u32,
    text: String,
    terms: Vec<String>,
}

impl Default for ExtractiveProvider {
    fn default() -> Self {
        Self::with_name("extractive")
    }
}

impl ExtractiveProvider {
    /// A provider with another name.
    pub fn with_name(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Whether the model of a recorded text is a version of this provider's ranking.
    pub fn is_model(name: &str) -> bool {
        name.starts_with(MODEL_PREFIX)
    }

    fn quote_passages(&self, request: &TextRequest) -> Result<ProviderOutput, ProviderError> {
        let candidates = split_candidates(request);
        let mut chosen = rank_candidates(&candidates, &request.topic);
        let budget = usize::try_from(request.max_output_tokens).unwrap_or(usize::MAX);
        let (mut tokens, mut is_cut) = (0, false);
        chosen.retain(|index| {
            let length = candidates.get(*index).map_or(0, |candidate| candidate.text.chars().count());
            tokens += usize::try_from(estimate_tokens(length)).unwrap_or(usize::MAX) + 2;
            is_cut |= tokens > budget;
            tokens <= budget
        });
        if chosen.is_empty() {
            return Err(ProviderError::NoContent { provider: self.name.clone() });
        }
        // In the order of the sources, so that sentences of one passage stay together.
        chosen.sort_unstable();
        let mut paragraphs: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for candidate in chosen.iter().filter_map(|index| candidates.get(*index)) {
            let sentence = format!("{} [{}]", candidate.text, candidate.passage);
            paragraphs.entry(candidate.passage).or_default().push(sentence);
        }
        let text = paragraphs.into_values().map(|sentences| sentences.join(" ")).collect::<Vec<_>>().join("\n\n");
        let finish = if is_cut { FinishReason::LengthLimit } else { FinishReason::Complete };
        Ok(ProviderOutput { text, model_version: VERSION.to_owned(), usage: TokenUsage::NONE, finish })
    }
}

impl TextProvider for ExtractiveProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn model(&self) -> &str {
        VERSION
    }

    fn generate_text<'a>(
        &'a self,
        request: &'a TextRequest,
        updates: UpdateSink<'a>,
    ) -> BoxFuture<'a, Result<ProviderOutput, ProviderError>> {
        Box::pin(async move {
            let output = self.quote_passages(request)?;
            updates(GenerationUpdate::Text(&output.text));
            Ok(output)
        })
    }
}

fn split_candidates(request: &TextRequest) -> Vec<CandidateSentence> {
    let mut candidates = vec![];
    let mut known = HashSet::new();
    for passage in &request.passages {
        // Brackets would read as marks of sources.
        let text = join_wrapped_lines(&passage.text).replace('[', "(").replace(']', ")");
        for sentence in CitedText::parse(&text, 0).sentences {
            let (terms, text) = (to_terms(&sentence.text), sentence.text);
            if SENTENCE_WORDS.contains(&text.split_whitespace().count()) && known.insert(terms.join(" ")) {
                candidates.push(CandidateSentence { passage: passage.number, text, terms });
            }
            if candidates.len() >= MAX_CANDIDATES {
                return candidates;
            }
        }
    }
    candidates
}

/// Joins a line with the next one if that continues it: it begins with a lower-case letter, and this one has no full
/// stop. Texts of PDF files have a line break at the end of each line.
fn join_wrapped_lines(text: &str) -> String {
    let mut joined = String::new();
    for line in text.lines().map(str::trim) {
        let continues = line.starts_with(char::is_lowercase) && !joined.ends_with(['.', '!', '?', ':', '\n']);
        if !joined.is_empty() {
            joined.push(if continues { ' ' } else { '\n' });
        }
        joined.push_str(line);
    }
    joined
}

/// The best candidates, the best one first. A sentence that repeats a better one is left out.
fn rank_candidates(candidates: &[CandidateSentence], topic: &str) -> Vec<usize> {
    let query: HashSet<String> = to_terms(topic).into_iter().collect();
    let mut frequencies: HashMap<&str, f64> = HashMap::new();
    for candidate in candidates {
        for term in candidate.terms.iter().collect::<HashSet<_>>() {
            *frequencies.entry(term).or_default() += 1.0;
        }
    }
    let count = to_float(candidates.len());
    let average = candidates.iter().map(|candidate| to_float(candidate.terms.len())).sum::<f64>() / count.max(1.0);
    let score = |candidate: &CandidateSentence| {
        let length = to_float(candidate.terms.len()) / average.max(1.0);
        let of_term = |term: &String| {
            let found = to_float(candidate.terms.iter().filter(|known| *known == term).count());
            let frequency = frequencies.get(term.as_str()).copied().unwrap_or_default();
            let rarity = ((count - frequency + 0.5) / (frequency + 0.5)).ln_1p();
            rarity * found * (K1 + 1.0) / (found + K1 * (1.0 - B + B * length))
        };
        query.iter().map(of_term).sum::<f64>()
    };
    let mut ranked: Vec<_> =
        candidates.iter().enumerate().map(|(index, candidate)| (score(candidate), index)).collect();
    ranked.retain(|(score, _)| *score > 0.0);
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    let mut chosen: Vec<usize> = vec![];
    for (_, index) in ranked {
        let repeats = |known: &usize| is_similar(&candidates[*known].terms, &candidates[index].terms);
        if !chosen.iter().any(repeats) {
            chosen.push(index);
        }
        if chosen.len() >= MAX_SENTENCES {
            break;
        }
    }
    chosen
}

/// Whether most terms of the shorter sentence are in the other one.
fn is_similar(left: &[String], right: &[String]) -> bool {
    let (left, right): (HashSet<_>, HashSet<_>) = (left.iter().collect(), right.iter().collect());
    let shared = left.intersection(&right).count();
    shared * 10 >= left.len().min(right.len()) * 8
}

fn to_terms(text: &str) -> Vec<String> {
    const MIN_TERM: usize = 3;
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= MIN_TERM);
    words.map(str::to_lowercase).map(|word| stem_word(&word)).filter(|word| !is_stop_word(word)).collect()
}

/// Removes the endings of plurals and participles: enough to find `deliveries` by `delivery`.
fn stem_word(word: &str) -> String {
    for (ending, replacement) in [("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 4) {
            return format!("{stem}{replacement}");
        }
    }
    word.to_owned()
}

fn is_stop_word(word: &str) -> bool {
    const STOP_WORDS: [&str; 30] = [
        "the", "and", "for", "are", "that", "this", "with", "from", "have", "has", "will", "shall", "must", "not",
        "any", "all", "its", "was", "were", "been", "which", "their", "they", "our", "your", "you", "can", "may",
        "such", "write",
    ];
    STOP_WORDS.contains(&word)
}

/// Counts here are far below the 2^52 that a float represents exactly.
fn to_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourcePassage;

    fn request(topic: &str, passages: &[&str], max_output_tokens: u32) -> TextRequest {
        let passage = |(index, text): (usize, &&str)| SourcePassage {
            number: u32::try_from(index).unwrap() + 1,
            title: format!("document {index}"),
            text: (*text).to_owned(),
        };
        let passages = passages.iter().enumerate().map(passage).collect();
        let (instructions, prompt) = (String::new(), String::new());
        TextRequest { instructions, prompt, topic: topic.to_owned(), passages, max_output_tokens }
    }

    fn quote(request: &TextRequest) -> Result<ProviderOutput, ProviderError> {
        ExtractiveProvider::default().quote_passages(request)
    }

    #[test]
    fn the_sentences_that_fit_are_quoted_with_their_sources() {
        let passages = [
            "We were founded in Ohio. All deliveries of patient lifts arrive within thirty days of the order.",
            "Our warehouse stores wheelchairs and lifts. Training of staff is part of every delivery of a lift.",
        ];
        let output = quote(&request("Delivery of patient lifts", &passages, 1_000)).unwrap();
        assert_eq!(output.finish, FinishReason::Complete);
        let cited = CitedText::parse(&output.text, 2);
        assert_eq!(cited.unsourced_count(), 0, "{}", output.text);
        for sentence in &cited.sentences {
            let cited = sentence.sources.iter().map(|number| passages[*number as usize - 1]);
            assert!(cited.into_iter().all(|passage| passage.contains(&sentence.text)), "{sentence:?}");
        }
        assert!(output.text.contains("within thirty days of the order. [1]"), "{}", output.text);
        assert!(!output.text.contains("founded"), "{}", output.text);
    }

    #[test]
    fn a_sentence_over_several_lines_is_quoted_whole() {
        let wrapped =
            "1.1 Purpose\nThe purpose is to buy ceiling lifts for patients,\nwith installation, for hospitals.";
        let output = quote(&request("ceiling lifts", &[wrapped], 1_000)).unwrap();
        let whole = "The purpose is to buy ceiling lifts for patients, with installation, for hospitals. [1]";
        assert_eq!(output.text, whole);
    }

    #[test]
    fn repetitions_are_left_out() {
        let passage = "All deliveries of patient lifts arrive within thirty days of the order.";
        let reworded = "Deliveries of patient lifts all arrive within thirty days of the order!";
        let output = quote(&request("deliveries of lifts", &[passage, passage, reworded], 1_000)).unwrap();
        assert_eq!(CitedText::parse(&output.text, 3).sentences.len(), 1, "{}", output.text);
    }

    #[test]
    fn nothing_is_invented() {
        for passages in [vec![], vec![""], vec!["Nothing about the subject is said in here at all."]] {
            let nothing = quote(&request("cybersecurity training", &passages, 1_000));
            assert!(matches!(nothing, Err(ProviderError::NoContent { .. })), "{nothing:?}");
        }
    }

    #[test]
    fn the_length_is_bounded() {
        let sentence = |n: usize| format!("Delivery alpha{n} beta{n} gamma{n} delta{n} epsilon{n} was on time. ");
        let passage: String = (0..500).map(sentence).collect();
        let output = quote(&request("delivery of lifts", &[&passage], 60)).unwrap();
        assert_eq!(output.finish, FinishReason::LengthLimit);
        assert!(output.text.chars().count() < 60 * 5, "{}", output.text);
    }
}
