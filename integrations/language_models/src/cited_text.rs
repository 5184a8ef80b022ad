//! A generated text as sentences with their sources.

use std::collections::BTreeSet;

/// A sentence, and the numbers of the passages that it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CitedSentence {
    /// The sentence, without the marks of its sources.
    pub text: String,
    /// The numbers of the passages; empty when it has no source.
    pub sources: BTreeSet<u32>,
    /// Whether a new paragraph begins with it.
    pub starts_paragraph: bool,
}

/// A text as sentences with their sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CitedText {
    /// The sentences, in their order.
    pub sentences: Vec<CitedSentence>,
}

/// Abbreviations that do not end a sentence.
const ABBREVIATIONS: [&str; 14] =
    ["no", "nos", "u.s", "e.g", "i.e", "inc", "dr", "mr", "ms", "st", "sec", "para", "fig", "vs"];

impl CitedText {
    /// Splits a text. Marks such as `[2]` or `[2, 5]` belong to the sentence before them; numbers above `passages` are
    /// invented, and are dropped with their mark.
    pub fn parse(text: &str, passages: u32) -> Self {
        let mut sentences = vec![];
        for paragraph in text.split('\n').map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            let mut starts_paragraph = true;
            for raw in split_sentences(paragraph) {
                let (text, cited) = take_marks(raw);
                let sources: BTreeSet<u32> =
                    cited.into_iter().filter(|number| (1..=passages).contains(number)).collect();
                if text.is_empty() {
                    // A mark after the full stop.
                    if let Some(CitedSentence { sources: known, .. }) =
                        sentences.last_mut().filter(|_| !starts_paragraph)
                    {
                        known.extend(sources);
                    }
                    continue;
                }
                sentences.push(CitedSentence { text, sources, starts_paragraph });
                starts_paragraph = false;
            }
        }
        Self { sentences }
    }

    /// The number of sentences without a source.
    pub fn unsourced_count(&self) -> usize {
        self.sentences.iter().filter(|sentence| sentence.sources.is_empty()).count()
    }
}

/// Cuts a paragraph behind full stops, question and exclamation marks, and behind marks of sources that follow them.
fn split_sentences(paragraph: &str) -> Vec<&str> {
    let (mut parts, mut start) = (vec![], 0);
    let mut marks = paragraph.char_indices().peekable();
    while let Some((at, mark)) = marks.next() {
        let ends_word = marks.peek().is_none_or(|(_, next)| next.is_whitespace() || *next == '[');
        if !matches!(mark, '.' | '!' | '?') || !ends_word || is_abbreviation(&paragraph[start..at]) {
            continue;
        }
        let mut end = at + mark.len_utf8();
        // Marks that follow belong to this sentence.
        while let Some(length) = mark_length(&paragraph[end..]) {
            end += length;
        }
        parts.push(&paragraph[start..end]);
        start = end;
        while marks.peek().is_some_and(|(next, _)| *next < end) {
            marks.next();
        }
    }
    if !paragraph[start..].trim().is_empty() {
        parts.push(&paragraph[start..]);
    }
    parts
}

fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default().to_lowercase();
    ABBREVIATIONS.contains(&word.as_str()) || word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
}

/// The length of a mark of sources at the start of a text, with the blanks before it.
fn mark_length(text: &str) -> Option<usize> {
    let blanks = text.len() - text.trim_start_matches(' ').len();
    let inner = text[blanks..].strip_prefix('[')?;
    let end = inner.find(']')?;
    parse_numbers(&inner[..end]).map(|_| blanks + end + 2)
}

fn parse_numbers(inner: &str) -> Option<Vec<u32>> {
    let numbers = inner.split([',', ';']).map(|number| number.trim().parse().ok());
    numbers.collect::<Option<Vec<u32>>>().filter(|numbers| !numbers.is_empty())
}

/// Removes the marks of a sentence, and returns their numbers.
fn take_marks(sentence: &str) -> (String, Vec<u32>) {
    let (mut text, mut numbers, mut rest) = (String::new(), vec![], sentence);
    while let Some(open) = rest.find('[') {
        let close = rest[open..].find(']').map(|length| open + length);
        let Some((close, cited)) = close.and_then(|close| Some((close, parse_numbers(&rest[open + 1..close])?))) else {
            text.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        text.push_str(rest[..open].trim_end_matches(' '));
        numbers.extend(cited);
        rest = &rest[close + 1..];
    }
    text.push_str(rest);
    let text = text.trim();
    // What is left of a mark alone.
    let text = if text.chars().all(|c| c.is_ascii_punctuation()) { "" } else { text };
    (text.to_owned(), numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, Vec<u32>, bool)> {
        let sentences = CitedText::parse(text, 5).sentences.into_iter();
        sentences
            .map(|sentence| (sentence.text, sentence.sources.into_iter().collect(), sentence.starts_paragraph))
            .collect()
    }

    #[test]
    fn each_sentence_has_its_own_sources() {
        assert_eq!(
            parse(
                "We deliver within 30 days [1]. Our staff is certified. [2][3] It is new.\n\nSupport is included [4, 5]."
            ),
            [
                ("We deliver within 30 days.".to_owned(), vec![1], true),
                ("Our staff is certified.".to_owned(), vec![2, 3], false),
                ("It is new.".to_owned(), vec![], false),
                ("Support is included.".to_owned(), vec![4, 5], true),
            ]
        );
    }

    #[test]
    fn invented_numbers_and_other_brackets_are_no_sources() {
        assert_eq!(
            parse("One [9]. Two [see page 3]. Three [0] [2]. Four ["),
            [
                ("One.".to_owned(), vec![], true),
                ("Two [see page 3].".to_owned(), vec![], false),
                ("Three.".to_owned(), vec![2], false),
                ("Four [".to_owned(), vec![], false),
            ]
        );
    }

    #[test]
    fn abbreviations_and_numbers_do_not_end_a_sentence() {
        let text = "The U.S. Army buys 3.5 tons under No. 7, e.g. lifts [1]. Done.";
        assert_eq!(parse(text).len(), 2, "{:?}", parse(text));
    }

    #[test]
    fn any_text_is_parsed() {
        for text in
            ["", "\n\n", "[1]", "...", "[1][2].", "ä.ö[1", "[[1]]", ". [1] .", "[999999999999]", "[,]", "[1]\u{a0}."]
        {
            let _ = parse(text);
        }
        assert_eq!(CitedText::parse("No source.", 0).unsourced_count(), 1);
    }
}
