//! Cutting long texts into passages.

/// Longest passage, in characters. A vector is the mean of its words: the longer a text, the less is told by one.
const PASSAGE_CHARS: usize = 600;

/// How far back an end of a sentence is looked for, in characters.
const MAX_LOOK_BACK: usize = 200;

/// A text as passages, cut between paragraphs, sentences or words where there are such places.
pub(super) fn split_passages(text: &str) -> Vec<String> {
    let mut rest = text.trim();
    let mut passages = vec![];
    while let Some((limit, _)) = rest.char_indices().nth(PASSAGE_CHARS) {
        let from = rest[..limit].char_indices().rev().nth(MAX_LOOK_BACK - 1).map_or(0, |(at, _)| at);
        let end = find_cut(rest, from, limit);
        passages.extend(trim_passage(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    passages.extend(trim_passage(rest));
    passages
}

/// Where a passage ends that may end between these places.
fn find_cut(text: &str, from: usize, limit: usize) -> usize {
    let window = &text[from..limit];
    let behind = |mark: &str| window.rfind(mark).map(|at| from + at + mark.len());
    behind("\n\n").or_else(|| behind(". ")).or_else(|| behind("\n")).or_else(|| behind(" ")).unwrap_or(limit)
}

fn trim_passage(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_one_passage_and_none_is_none() {
        assert_eq!(split_passages(" Beds. \n"), ["Beds."]);
        assert_eq!(split_passages(" \n "), Vec::<String>::new());
    }

    #[test]
    fn a_long_text_is_cut_where_a_paragraph_ends() {
        let (first, second) = ("a ".repeat(240), "b ".repeat(240));
        assert_eq!(split_passages(&format!("{first}\n\n{second}")), [first.trim(), second.trim()]);
        let sentence = format!("{}. ", "word ".repeat(25).trim());
        assert!(split_passages(&sentence.repeat(40)).iter().all(|passage| passage.ends_with('.')));
    }

    #[test]
    fn nothing_but_white_space_is_lost() {
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        let texts = ["ß€".repeat(4_000), "word ".repeat(2_000), "A sentence. ".repeat(700), "line\n".repeat(1_501)];
        for text in texts {
            let parts = split_passages(&text);
            assert_eq!(letters(&parts.concat()), letters(&text));
            assert!(parts.len() > 1 && parts.iter().all(|part| part.chars().count() <= PASSAGE_CHARS), "{parts:?}");
        }
    }
}
