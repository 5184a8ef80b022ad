//! Splits a paragraph into sentences.

/// Words that end with a full stop in the middle of a sentence, in lower case without it.
const ABBREVIATIONS: &[&str] = &[
    "e.g", "i.e", "ie", "eg", "etc", "no", "nos", "sec", "st", "mr", "mrs", "ms", "dr", "inc", "ltd", "co", "corp",
    "vs", "approx", "para", "art", "fig", "dept", "rev", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep",
    "sept", "oct", "nov", "dec", "p", "pp", "cf", "al", "gov", "pub", "ave", "blvd", "u.s", "u.s.c", "ext", "attn",
];

/// Words after `a.m.` or `p.m.` that continue the sentence.
const CLOCK_CONTINUATIONS: &[&str] =
    &["eastern", "central", "mountain", "pacific", "alaska", "hawaii", "atlantic", "local", "prevailing", "standard"];

/// The sentences of a paragraph, without surrounding white space. Each is a part of the paragraph as it stands.
pub(crate) fn split_sentences(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (index, character) in paragraph.char_indices() {
        if !matches!(character, '.' | '!' | '?') {
            continue;
        }
        let Some(after) = paragraph.get(index + 1..) else { continue };
        // Quotation marks and brackets after the full stop belong to the sentence.
        let rest = after.trim_start_matches(['"', '”', '’', ')', ']', '*']);
        let end = index + 1 + (after.len() - rest.len());
        let (Some(before), Some(sentence)) = (paragraph.get(..index), paragraph.get(start..end)) else { continue };
        if ends_sentence(before, character, rest) {
            sentences.push(sentence.trim());
            start = end;
        }
    }
    sentences.extend(paragraph.get(start..).map(str::trim));
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// Whether a sentence ends with `mark`, which stands between the two texts.
fn ends_sentence(before: &str, mark: char, rest: &str) -> bool {
    if !rest.starts_with(char::is_whitespace) {
        return false;
    }
    let next = rest.trim_start();
    let Some(first) = next.chars().next() else { return true };
    if first.is_lowercase() || matches!(first, ',' | ';') {
        return false;
    }
    let last_word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[')).next().unwrap_or_default();
    let word = last_word.to_lowercase();
    if mark != '.' {
        return true;
    }
    let next_word: String = next.chars().take_while(|c| c.is_alphanumeric()).collect();
    if matches!(word.as_str(), "a.m" | "p.m") {
        let is_zone = next_word.len() <= 4 && next_word.chars().all(char::is_uppercase) && next_word != "A";
        return !(is_zone || CLOCK_CONTINUATIONS.contains(&next_word.to_lowercase().as_str()));
    }
    if ABBREVIATIONS.contains(&word.as_str()) {
        return false;
    }
    // An initial, as in `J. Smith`, or the number of a list item, as in `1. Scope`.
    let is_initial = last_word.chars().count() == 1 && last_word.chars().all(char::is_uppercase) && last_word != "I";
    let is_list_number =
        last_word.len() <= 2 && last_word.chars().all(|c| c.is_ascii_digit()) && before.len() == last_word.len();
    !(is_initial || is_list_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_full_stops_that_are_followed_by_a_new_one() {
        let text = "The U.S. Web Design System shall be used. See FAR 52.212-4(g). Does it fit? Yes.";
        let expected = ["The U.S. Web Design System shall be used.", "See FAR 52.212-4(g).", "Does it fit?", "Yes."];
        assert_eq!(split_sentences(text), expected);
    }

    #[test]
    fn abbreviations_numbers_and_times_end_none() {
        for text in [
            "Offers are due at 4:00 p.m. Eastern Time on May 5, 2020.",
            "Provide experience, e.g. Agile, with No. 5 pumps by J. Smith.",
            "Version 3.0 of Sec. 1.04 applies",
            "1. The plan",
        ] {
            assert_eq!(split_sentences(text), [text]);
        }
        assert_eq!(
            split_sentences("Due at 4 p.m. Late offers are rejected."),
            ["Due at 4 p.m.", "Late offers are rejected."]
        );
    }

    #[test]
    fn quotation_marks_stay_with_their_sentence() {
        assert_eq!(split_sentences("Mark it “Final.” Send it. "), ["Mark it “Final.”", "Send it."]);
        assert_eq!(split_sentences(""), Vec::<&str>::new());
    }
}
