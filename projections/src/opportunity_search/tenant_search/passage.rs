//! Splits long texts into passages.

/// Longest passage, in characters. The vector of a passage is the mean of its words: the longer it is, the less each
/// word counts.
const PASSAGE_CHARS: usize = 600;

/// How far before the limit a place to split is searched for, in characters.
const MAX_LOOK_BACK: usize = 200;

/// Splits a text between paragraphs, sentences, lines or words, in this order of preference.
pub(super) fn split_passages(text: &str) -> Vec<String> {
    let mut rest = text.trim();
    let mut passages = vec![];
    while let Some((limit, _)) = rest.char_indices().nth(PASSAGE_CHARS) {
        let end = find_cut(rest, index_back(rest, limit, MAX_LOOK_BACK), limit);
        passages.extend(trim_passage(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    passages.extend(trim_passage(rest));
    passages
}

/// The index that is this number of characters before `end`.
pub(super) fn index_back(text: &str, end: usize, characters: usize) -> usize {
    text[..end].char_indices().rev().take(characters).last().map_or(end, |(index, _)| index)
}

/// The end of a passage that may end between `from` and `limit`.
pub(super) fn find_cut(text: &str, from: usize, limit: usize) -> usize {
    let window = &text[from..limit];
    let after_last = |mark: &str| window.rfind(mark).map(|index| from + index + mark.len());
    let paragraph_or_sentence = after_last("\n\n").or_else(|| after_last(". "));
    paragraph_or_sentence.or_else(|| after_last("\n")).or_else(|| after_last(" ")).unwrap_or(limit)
}

fn trim_passage(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_one_passage_and_a_blank_text_none() {
        assert_eq!(split_passages(" Beds. \n"), ["Beds."]);
        assert_eq!(split_passages(" \n "), Vec::<String>::new());
    }

    #[test]
    fn a_long_text_is_split_at_the_end_of_a_paragraph_or_sentence() {
        let (first, second) = ("a ".repeat(240), "b ".repeat(240));
        assert_eq!(split_passages(&format!("{first}\n\n{second}")), [first.trim(), second.trim()]);
        let sentence = format!("{}. ", "word ".repeat(25).trim());
        assert!(split_passages(&sentence.repeat(40)).iter().all(|passage| passage.ends_with('.')));
    }

    #[test]
    fn splitting_loses_only_white_space() {
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        let texts = ["ß€".repeat(4_000), "word ".repeat(2_000), "A sentence. ".repeat(700), "line\n".repeat(1_501)];
        for text in texts {
            let passages = split_passages(&text);
            assert_eq!(letters(&passages.concat()), letters(&text));
            let is_short = |passage: &String| passage.chars().count() <= PASSAGE_CHARS;
            assert!(passages.len() > 1 && passages.iter().all(is_short), "{passages:?}");
        }
    }
}
