//! Writes the text of a notice from sentences, with the odd forms that real texts have.

use std::fmt::Write as _;

use super::{
    solicitation::{GeneratedSolicitation, NoticeKind},
    vocabulary::{MarketSector, prose},
};
use crate::generator_rng::GeneratorRng;

/// The text of a solicitation's current notice; empty for half of them.
pub(super) fn write_description(solicitation: &GeneratedSolicitation, kind: NoticeKind) -> String {
    // Award notices mostly leave the text to the notice before.
    let silent = |seed: &u64| kind == NoticeKind::Award && !seed.is_multiple_of(3);
    let Some(seed) = solicitation.text.filter(|seed| !silent(seed)) else { return String::new() };
    // The same seed gives an amendment the sentences of the notice that it amends.
    let mut dice = GeneratorRng::new(seed);
    let mut sentences = vec![];
    if solicitation.amendments > 0 && kind != NoticeKind::Award {
        sentences.push(dice.pick_from(prose::AMENDMENT));
    }
    sentences.push(dice.pick_from(opening_sentences(kind)));
    sentences.extend(body_sentences(solicitation, kind, &mut dice));
    let sentences: Vec<String> = sentences
        .into_iter()
        .map(|template| {
            let mut sentence = String::with_capacity(template.len() + 40);
            fill_template(template, solicitation, &mut sentence);
            sentence
        })
        .collect();
    lay_out_text(&sentences, solicitation, &mut dice)
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

fn body_sentences(
    solicitation: &GeneratedSolicitation,
    kind: NoticeKind,
    dice: &mut GeneratorRng,
) -> Vec<&'static str> {
    let details = solicitation.item.details;
    if matches!(kind, NoticeKind::Award | NoticeKind::Surplus) {
        return vec![dice.pick_from(&details)];
    }
    let rules =
        if solicitation.item.field == MarketSector::Medical { prose::MEDICAL_RULE } else { prose::GENERAL_RULE };
    let mut body = details[..dice.next_between(1, 3) as usize].to_vec();
    for (list, most) in [(prose::REQUIREMENT, 3), (rules, 2), (prose::SUBMISSION, 3)] {
        let first = dice.next_index(list.len());
        let count = dice.next_between(1, most) as usize;
        body.extend(list.iter().cycle().skip(first).take(count));
    }
    body
}

/// Puts the sentences into one paragraph, or several, or HTML, or in front of a long list of line items.
fn lay_out_text(sentences: &[String], solicitation: &GeneratedSolicitation, dice: &mut GeneratorRng) -> String {
    match dice.next_below(1_000) {
        0..800 => sentences.join(" "),
        800..900 => sentences.join("\n\n"),
        900..950 => format!("1. {}", sentences.join("\r\n- ")),
        950..990 => format!("<p>{}</p>", sentences.join("&nbsp;&#8226; ")),
        990..995 => format!("{}  \t {}", sentences[0], sentences.join("&#10;")),
        _ => {
            let mut text = sentences.join("\n");
            for line in 1..=dice.next_between(40, 320) {
                let quantity = dice.next_between(1, 500);
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

/// Fills the blanks of a template.
pub(super) fn fill_template(template: &str, solicitation: &GeneratedSolicitation, out: &mut String) {
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let (blank, behind) = behind.split_once('}').unwrap_or((behind, ""));
        fill_blank(blank, solicitation, out);
        rest = behind;
    }
    out.push_str(rest);
}

fn fill_blank(blank: &str, solicitation: &GeneratedSolicitation, out: &mut String) {
    let item = solicitation.item;
    // Writing to a string cannot fail.
    let _ = match blank {
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
    fn every_blank_of_every_template_can_be_filled() {
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
