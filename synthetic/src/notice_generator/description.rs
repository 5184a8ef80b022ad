//! Writes the text of a notice from sentences, with the irregular forms of real texts.

use std::fmt::Write as _;

use super::{
    solicitation::{GeneratedSolicitation, NoticeKind},
    vocabulary::{MarketSector, prose},
};
use crate::generator_rng::GeneratorRng;

/// Writes the text of a solicitation's current notice, which is empty for half of the notices.
pub(super) fn write_description(solicitation: &GeneratedSolicitation, kind: NoticeKind) -> String {
    // Most award notices have no text.
    let is_empty = |seed: &u64| kind == NoticeKind::Award && !seed.is_multiple_of(3);
    let Some(seed) = solicitation.text.filter(|seed| !is_empty(seed)) else { return String::new() };
    // With the same seed, an amendment has the sentences of the notice that it amends.
    let mut rng = GeneratorRng::new(seed);
    let mut sentences = vec![];
    if solicitation.amendments > 0 && kind != NoticeKind::Award {
        sentences.push(rng.pick_from(prose::AMENDMENT));
    }
    sentences.push(rng.pick_from(opening_sentences(kind)));
    sentences.extend(body_sentences(solicitation, kind, &mut rng));
    let sentences: Vec<String> = sentences
        .into_iter()
        .map(|template| {
            let mut sentence = String::with_capacity(template.len() + 40);
            fill_template(template, solicitation, &mut sentence);
            sentence
        })
        .collect();
    lay_out_text(&sentences, solicitation, &mut rng)
}

fn opening_sentences(kind: NoticeKind) -> &'static [&'static str] {
    match kind {
        NoticeKind::SourcesSought => prose::SOURCES_SOUGHT,
        NoticeKind::Presolicitation => prose::PRESOLICITATION,
        NoticeKind::Solicitation => prose::SOLICITATION,
        NoticeKind::Combined => prose::COMBINED,
        NoticeKind::Special => prose::SPECIAL,
        NoticeKind::Justification => prose::JUSTIFICATION,
        NoticeKind::Surplus => prose::SURPLUS,
        NoticeKind::Award => prose::AWARD,
    }
}

fn body_sentences(solicitation: &GeneratedSolicitation, kind: NoticeKind, rng: &mut GeneratorRng) -> Vec<&'static str> {
    let details = solicitation.item.details;
    if matches!(kind, NoticeKind::Award | NoticeKind::Surplus) {
        return vec![rng.pick_from(&details)];
    }
    let rules =
        if solicitation.item.sector == MarketSector::Medical { prose::MEDICAL_RULE } else { prose::GENERAL_RULE };
    let mut sentences = details[..rng.next_between(1, 3) as usize].to_vec();
    for (list, max) in [(prose::REQUIREMENT, 3), (rules, 2), (prose::SUBMISSION, 3)] {
        let first = rng.next_index(list.len());
        let count = rng.next_between(1, max) as usize;
        sentences.extend(list.iter().cycle().skip(first).take(count));
    }
    sentences
}

/// Joins the sentences to one paragraph, several paragraphs or HTML, or puts them before a long list of line items.
fn lay_out_text(sentences: &[String], solicitation: &GeneratedSolicitation, rng: &mut GeneratorRng) -> String {
    match rng.next_below(1_000) {
        0..800 => sentences.join(" "),
        800..900 => sentences.join("\n\n"),
        900..950 => format!("1. {}", sentences.join("\r\n- ")),
        950..990 => format!("<p>{}</p>", sentences.join("&nbsp;&#8226; ")),
        990..995 => format!("{}  \t {}", sentences[0], sentences.join("&#10;")),
        _ => {
            let mut text = sentences.join("\n");
            for line in 1..=rng.next_between(40, 320) {
                let quantity = rng.next_between(1, 500);
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "\nCLIN {line:04}, {}, \"or equal\", quantity {quantity}, each",
                    solicitation.item.one
                );
            }
            text
        }
    }
}

/// Appends a template with its placeholders replaced.
pub(super) fn fill_template(template: &str, solicitation: &GeneratedSolicitation, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        fill_placeholder(name, solicitation, out);
        rest = after;
    }
    out.push_str(rest);
}

fn fill_placeholder(name: &str, solicitation: &GeneratedSolicitation, out: &mut String) {
    let item = solicitation.item;
    // Writing to a string cannot fail.
    let _ = match name {
        "many" => out.write_str(item.many),
        "one" => out.write_str(item.one),
        "Many" => {
            let (first, rest) = item.many.split_at(1);
            write!(out, "{}{rest}", first.to_uppercase())
        }
        "psc" => out.write_str(item.psc),
        "naics" => out.write_str(item.naics),
        "office" => out.write_str(solicitation.office.name),
        "city" => out.write_str(solicitation.place.map_or(solicitation.office.city, |place| place.city)),
        "count" => out.write_str(&format_thousands(solicitation.count)),
        "days" => write!(out, "{}", solicitation.days),
        "number" => write!(out, "{:04}", solicitation.amendments),
        "due" => match solicitation.due {
            Some(due) => write!(out, "{}", due.format("%B %-d, %Y")),
            None => out.write_str("the date in the attachment"),
        },
        unknown => write!(out, "{{{unknown}}}"),
    };
}

/// A number with commas between the thousands.
fn format_thousands(number: u32) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", format_thousands(number / 1_000), number % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 12_034_567].map(format_thousands), ["0", "999", "1,000", "12,034,567"]);
    }

    #[test]
    fn every_placeholder_of_every_template_is_replaced() {
        let at = chrono::DateTime::UNIX_EPOCH;
        let solicitation = GeneratedSolicitation::open(NoticeKind::Combined, 1, at, &mut GeneratorRng::new(1));
        let tables = [
            prose::SOURCES_SOUGHT,
            prose::PRESOLICITATION,
            prose::SOLICITATION,
            prose::COMBINED,
            prose::SPECIAL,
            prose::JUSTIFICATION,
            prose::SURPLUS,
            prose::AWARD,
            prose::REQUIREMENT,
            prose::MEDICAL_RULE,
            prose::GENERAL_RULE,
            prose::SUBMISSION,
            prose::AMENDMENT,
            prose::TITLE,
            prose::PLAIN_TITLE,
        ];
        for template in tables.concat() {
            let mut text = String::new();
            fill_template(template, &solicitation, &mut text);
            assert!(!text.contains(['{', '}']), "{text}");
        }
    }
}
