//! Words that a narrow cell of a table breaks without a hyphen, such as `contr` and `olled`.

use std::collections::HashMap;

use crate::PageText;

/// Maximum amount of text to look for such words in, since all of its words are counted.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The fewest letters of the first part.
const MIN_FIRST_LETTERS: usize = 2;

/// The fewest letters of the first part of a word that lacks one letter only: shorter ones are words, such as `are` before `a`.
const MIN_LETTERS_BEFORE_LAST: usize = 4;

/// The longest line that is broken, in characters: lines of running text are longer, and break between words.
const MAX_CELL_CHARS: usize = 60;

/// Joins the two parts of words that are broken at the end of a line: the document has the word elsewhere, and its parts
/// nowhere else.
pub(super) fn join_broken_words(pages: &mut [PageText]) {
    if pages.iter().map(|page| page.text.len()).sum::<usize>() > MAX_TEXT_BYTES {
        return;
    }
    let counts = count_words(pages);
    for page in pages {
        if let Some(joined) = join_lines(&page.text, &counts) {
            page.text = joined;
        }
    }
}

fn count_words(pages: &[PageText]) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for page in pages {
        for word in page.text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
    counts
}

/// The text with its broken words joined; `None` if there are none.
fn join_lines(text: &str, counts: &HashMap<String, u32>) -> Option<String> {
    let breaks = text.match_indices('\n').map(|(at, _)| at).filter(|at| {
        let (before, after) = text.split_at(*at);
        let before = before.rsplit('\n').next().unwrap_or_default();
        is_broken(before, after.get(1..).unwrap_or_default(), counts)
    });
    let (mut joined, mut done) = (String::new(), 0);
    for at in breaks {
        joined.push_str(text.get(done..at).unwrap_or_default());
        done = at + 1;
    }
    (done > 0).then(|| joined + text.get(done..).unwrap_or_default())
}

fn is_broken(before: &str, after: &str, counts: &HashMap<String, u32>) -> bool {
    let first = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let second = after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if first.len() < MIN_FIRST_LETTERS
        || !first.ends_with(char::is_lowercase)
        || second.is_empty()
        || second.starts_with(char::is_uppercase)
        || before.chars().nth(MAX_CELL_CHARS).is_some()
    {
        return false;
    }
    let is_only_here = |word: &str| counts.get(&word.to_lowercase()) == Some(&1);
    let is_letter = second.chars().count() == 1 && second.chars().all(char::is_alphabetic);
    let may_follow = if is_letter { first.chars().count() >= MIN_LETTERS_BEFORE_LAST } else { is_only_here(second) };
    is_only_here(first) && may_follow && counts.contains_key(&format!("{first}{second}").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageTextSource;

    fn join(text: &str) -> String {
        let mut pages = [PageText { number: 1, source: PageTextSource::Native, text: text.to_owned() }];
        join_broken_words(&mut pages);
        pages.into_iter().next().unwrap().text
    }

    #[test]
    fn words_are_joined_that_the_document_has_elsewhere() {
        assert_eq!(
            join("Source and documentation are controlled.\nVersion-contr\nolled sour\nce with documentatio\nn of it"),
            "Source and documentation are controlled.\nVersion-controlled source with documentation of it"
        );
    }

    #[test]
    fn words_that_stand_by_themselves_stay() {
        for text in [
            "A notable change that is not\nable, and not another",
            "The contr\nolled",
            "a therefore b\nthere\nfore there",
            "one\n\ntwo onetwo",
            "The area is closed, and there are\na few exceptions",
            "Everyday use of the pumps is recorded in the log of the ward, and they are tested every\nday",
            "\n",
            "",
        ] {
            assert_eq!(join(text), text);
        }
    }
}
