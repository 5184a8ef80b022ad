//! Product and industry codes of a notice as terms of its sparse vector, so that codes are searched like words.
//!
//! A product code comes from its own field, from the beginning of the title (`6515--`), or from the first four digits
//! of a stock number in the text (`NSN 6515-01-530-6147`).

use super::embedding::{find_goods_group, split_code};

/// Digits of a national stock number.
const STOCK_NUMBER_DIGITS: usize = 13;
/// Most characters between `NSN` and its number.
const STOCK_NUMBER_GAP: usize = 6;

/// The term of a product or service code, or of a prefix of one.
pub(super) fn product_term(code: &str) -> String {
    format!("psc={code}")
}

/// The term of an industry code.
pub(super) fn industry_term(code: &str) -> String {
    format!("naics={code}")
}

/// The terms of a notice's codes, each once, in order.
pub(super) fn code_terms(title: &str, psc: Option<&str>, naics: Option<&str>, text: &str) -> Vec<String> {
    let mut products: Vec<String> =
        psc.into_iter().chain(split_code(title).0).map(|code| code.trim().to_uppercase()).collect();
    products.extend(stock_number_classes(title));
    products.extend(stock_number_classes(text));
    let mut terms = vec![];
    for code in products.iter().filter(|code| code.is_ascii() && (2..=4).contains(&code.len())) {
        terms.push(product_term(code));
        terms.push(product_term(&code[..2]));
        terms.extend(find_goods_group(code).map(product_term));
    }
    terms.extend(naics.filter(|code| code.len() >= 6).and_then(|code| code.get(..6)).map(industry_term));
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The product classes of the stock numbers in a text.
fn stock_number_classes(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let class_at = |start: usize| {
        let rest = lower.get(start + 3..)?;
        let digits_start =
            rest.char_indices().take(STOCK_NUMBER_GAP).find(|(_, character)| character.is_ascii_digit())?.0;
        let number =
            rest[digits_start..].chars().take_while(|character| character.is_ascii_digit() || *character == '-');
        let digits: String = number.filter(char::is_ascii_digit).collect();
        (digits.len() == STOCK_NUMBER_DIGITS).then(|| digits[..4].to_owned())
    };
    lower.match_indices("nsn").filter_map(|(start, _)| class_at(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_taken_from_the_field_the_title_and_stock_numbers() {
        assert_eq!(code_terms("6515--GLOVE", Some("6515"), Some("339113"), ""), ["naics=339113", "psc=65", "psc=6515"]);
        assert_eq!(code_terms("65--GLOVE", None, None, ""), ["psc=65"]);
        assert_eq!(code_terms("J065--Repair", None, None, ""), ["psc=65", "psc=J0", "psc=J065"]);
        let text = "for NSN 6150013625223 and nsn: 6515-01-530-6147.";
        assert_eq!(code_terms("", None, None, text), ["psc=61", "psc=6150", "psc=65", "psc=6515"]);
    }

    #[test]
    fn texts_without_a_code_give_no_terms() {
        assert_eq!(
            code_terms("Valve -- big", None, Some("33"), "NSN 12, nsné, NSN is unknown 6515015306147"),
            Vec::<String>::new()
        );
        assert_eq!(code_terms("", Some("é1"), None, ""), Vec::<String>::new());
    }
}
