//! The language of a text.

use whatlang::Lang;

use crate::PageText;

/// How much of a text decides.
const SAMPLE_BYTES: usize = 20_000;

/// Returns the language tag of a text (two letters where there are two, else three), unless it is doubtful.
pub(crate) fn detect_language(pages: &[PageText]) -> Option<String> {
    let mut sample = String::new();
    for page in pages {
        let rest = SAMPLE_BYTES.saturating_sub(sample.len());
        sample.push_str(&page.text[..page.text.floor_char_boundary(rest)]);
        sample.push('\n');
        if sample.len() >= SAMPLE_BYTES {
            break;
        }
    }
    let detected = whatlang::detect(&sample).filter(whatlang::Info::is_reliable)?;
    Some(short_tag(detected.lang()).map_or_else(|| detected.lang().code().to_owned(), str::to_owned))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other languages keep their code of three letters")]
fn short_tag(language: Lang) -> Option<&'static str> {
    Some(match language {
        Lang::Ara => "ar",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Hin => "hi",
        Lang::Ita => "it",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Nld => "nl",
        Lang::Pol => "pl",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Tgl => "tl",
        Lang::Ukr => "uk",
        Lang::Vie => "vi",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageTextSource;

    fn detect(text: &str) -> Option<String> {
        detect_language(&[PageText { number: 1, source: PageTextSource::Native, text: text.to_owned() }])
    }

    #[test]
    fn languages_are_detected_and_doubt_is_none() {
        let english =
            "The contractor shall deliver all surgical gloves to the warehouse within thirty days of the award.";
        let spanish =
            "El contratista deberá entregar todos los guantes quirúrgicos en el almacén dentro de treinta días.";
        assert_eq!(detect(english).as_deref(), Some("en"));
        assert_eq!(detect(spanish).as_deref(), Some("es"));
        assert_eq!(detect("12-34 / 56"), None);
    }
}
