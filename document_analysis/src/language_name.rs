//! The names of languages, for sentences to users.

/// The English name of a language that a text may be found to be in; the tag itself for others.
pub(crate) fn language_name(tag: &str) -> &str {
    match tag.split('-').next().unwrap_or(tag) {
        "ar" => "Arabic",
        "de" => "German",
        "en" => "English",
        "es" => "Spanish",
        "fr" => "French",
        "hi" => "Hindi",
        "it" => "Italian",
        "ja" => "Japanese",
        "ko" => "Korean",
        "nl" => "Dutch",
        "pl" => "Polish",
        "pt" => "Portuguese",
        "ru" => "Russian",
        "tl" => "Tagalog",
        "uk" => "Ukrainian",
        "vi" => "Vietnamese",
        "zh" => "Chinese",
        _ => tag,
    }
}

/// What a user has to know of a text in this language; `None` if requirements are recognised in it, or it is not known.
pub(crate) fn describe_foreign_language(tag: Option<&str>) -> Option<String> {
    let tag = tag.filter(|tag| tag.split('-').next() != Some("en"))?;
    let name = language_name(tag);
    Some(format!(
        "The text is not in English but in {name}: requirements are recognised in English only, so read the document itself \
         or upload a translation"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_named_and_english_is_no_foreign_one() {
        assert!(describe_foreign_language(Some("es")).is_some_and(|text| text.contains("but in Spanish: ")));
        assert!(describe_foreign_language(Some("swe")).is_some_and(|text| text.contains("but in swe: ")));
        assert_eq!(describe_foreign_language(Some("en-US")), None);
        assert_eq!(describe_foreign_language(None), None);
    }
}
