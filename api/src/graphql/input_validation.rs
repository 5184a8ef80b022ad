//! Validation of inputs before they become commands; every error names its field.

use async_graphql::Result;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    opportunity::{InvalidValue, MAX_RESOURCE_LINKS, OpportunityId, ResourceLink, ResourceLinks},
    value::{ensure_storable_day, ensure_storable_time},
};

use super::error::{invalid_field, invalid_value};

/// Maximum length of a title in characters, the same as in imports.
pub(super) const MAX_TITLE_CHARS: usize = 1_000;
/// Maximum length of a description in characters.
pub(super) const MAX_DESCRIPTION_CHARS: usize = 256 * 1024;
/// Maximum length of a name, number or code in characters.
pub(super) const MAX_NAME_CHARS: usize = 200;
/// Maximum length of a search text in characters.
pub(super) const MAX_SEARCH_CHARS: usize = 200;
/// Maximum length of a link in characters.
pub(super) const MAX_LINK_CHARS: usize = 2_000;

/// Parses the id of an opportunity.
pub(super) fn parse_opportunity_id(field: &str, text: &str) -> Result<OpportunityId> {
    let invalid = || invalid_field(field, "an opportunity's id has the form department:number".to_owned());
    OpportunityId::parse(text).ok_or_else(invalid)
}

/// Parses a value with its own validation.
pub(super) fn parse_value<T>(field: &str, text: &str, check: impl Fn(&str) -> Result<T, InvalidValue>) -> Result<T> {
    check(text).map_err(|reason| invalid_value(field, &reason))
}

/// Like [`parse_value`], for a value that may be absent; blank counts as absent.
pub(super) fn parse_optional<T>(
    field: &str,
    text: Option<String>,
    check: impl Fn(&str) -> Result<T, InvalidValue>,
) -> Result<Option<T>> {
    text.filter(|text| !text.trim().is_empty()).map(|text| parse_value(field, &text, check)).transpose()
}

/// Parses text of at most `max` characters; trims it and rejects blank text.
pub(super) fn parse_text(field: &str, text: &str, max: usize) -> Result<String> {
    parse_value(field, text, |text| {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidValue::Empty { what: "text" });
        }
        if text.chars().count() > max {
            return Err(InvalidValue::TooLong { what: "text", max });
        }
        // Postgres cannot store NUL, and no agency sends it on purpose.
        if text.contains('\0') {
            return Err(InvalidValue::malformed("text", "", "free of NUL characters"));
        }
        Ok(text.to_owned())
    })
}

/// Like [`parse_text`], for text that may be absent; blank counts as absent.
pub(super) fn parse_optional_text(field: &str, text: Option<String>, max_chars: usize) -> Result<Option<String>> {
    text.filter(|text| !text.trim().is_empty()).map(|text| parse_text(field, &text, max_chars)).transpose()
}

/// Parses a search text of at most [`MAX_SEARCH_CHARS`]; trims it and rejects blank text.
pub(super) fn parse_search_text(field: &str, text: &str) -> Result<String> {
    let text = parse_bounded_text(field, text)?;
    if text.is_empty() { Err(invalid_field(field, format!("{field} is empty"))) } else { Ok(text) }
}

/// Trims text of at most [`MAX_SEARCH_CHARS`].
pub(super) fn parse_bounded_text(field: &str, text: &str) -> Result<String> {
    if text.chars().count() > MAX_SEARCH_CHARS {
        return Err(invalid_field(field, format!("text is longer than {MAX_SEARCH_CHARS} characters")));
    }
    Ok(text.trim().to_owned())
}

/// Like [`validate_time`], for a time that may be absent.
pub(super) fn validate_optional_time(field: &str, time: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>> {
    time.map(ensure_storable_time).transpose().map_err(|reason| invalid_value(field, &reason))
}

/// Checks that every store supports the time.
pub(super) fn validate_time(field: &str, time: DateTime<Utc>) -> Result<DateTime<Utc>> {
    ensure_storable_time(time).map_err(|reason| invalid_value(field, &reason))
}

/// Checks that every store supports the day, if there is one.
pub(super) fn validate_optional_day(field: &str, day: Option<NaiveDate>) -> Result<Option<NaiveDate>> {
    day.map(ensure_storable_day).transpose().map_err(|reason| invalid_value(field, &reason))
}

/// Parses an `http` or `https` link that may be absent; other schemes could run scripts in a browser.
pub(super) fn parse_link(field: &str, text: Option<String>) -> Result<Option<String>> {
    let Some(link) = parse_optional_text(field, text, MAX_LINK_CHARS)? else { return Ok(None) };
    match url::Url::parse(&link) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(link)),
        Ok(_) | Err(_) => Err(invalid_field(field, "a link must begin with https:// or http://".to_owned())),
    }
}

/// Parses the URLs of a notice's files; an error names the URL's place in the list.
pub(super) fn parse_resource_links(field: &str, links: Option<Vec<String>>) -> Result<Option<ResourceLinks>> {
    let Some(links) = links else { return Ok(None) };
    if links.len() > MAX_RESOURCE_LINKS {
        let too_many = InvalidValue::TooMany { what: "resource links", max: MAX_RESOURCE_LINKS };
        return Err(invalid_value(field, &too_many));
    }
    let parse = |(index, link): (usize, String)| {
        let place = format!("{field}[{index}]");
        let link = parse_link(&place, Some(link))?.unwrap_or_default();
        parse_value(&place, &link, ResourceLink::try_new)
    };
    let links = links.into_iter().enumerate().map(parse).collect::<Result<Vec<_>>>()?;
    ResourceLinks::try_new(links).map(Some).map_err(|reason| invalid_value(field, &reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_measured_in_characters() {
        assert_eq!(parse_text("f", " é ", 1).unwrap(), "é");
        for bad in ["", "  ", "ab", "\0"] {
            let extensions = parse_text("f", bad, 1).unwrap_err().extensions.unwrap();
            assert_eq!(extensions.get("field"), Some(&"f".into()));
        }
    }

    #[test]
    fn a_date_out_of_range_is_refused_with_its_field() {
        let far: DateTime<Utc> = "9999-12-31T23:59:59Z".parse().unwrap();
        let errors = [
            validate_time("f", far).unwrap_err(),
            validate_optional_time("f", Some(far)).unwrap_err(),
            validate_optional_day("f", Some(far.date_naive())).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.extensions.unwrap().get("field"), Some(&"f".into()));
        }
        assert_eq!(
            (validate_optional_time("f", None).unwrap(), validate_optional_day("f", None).unwrap()),
            (None, None)
        );
    }

    #[test]
    fn a_link_that_runs_a_script_is_refused() {
        assert!(parse_link("f", Some("javascript:alert(1)".to_owned())).is_err());
        assert!(parse_link("f", Some("https://sam.gov/opp/1".to_owned())).is_ok());
        assert_eq!(parse_link("f", Some(" ".to_owned())).unwrap(), None);
    }

    #[test]
    fn a_resource_link_that_is_invalid_is_named_by_its_place() {
        let parse = |links: &[&str]| {
            let links = links.iter().map(|link| (*link).to_owned()).collect();
            parse_resource_links("f", Some(links))
        };
        assert_eq!(parse(&["https://sam.gov/1", "https://sam.gov/1"]).unwrap().unwrap().iter().count(), 1);
        assert!(parse(&[]).unwrap().unwrap().is_empty());
        for bad in ["javascript:alert(1)", " ", "https://[::1"] {
            let extensions = parse(&["https://sam.gov/1", bad]).unwrap_err().extensions.unwrap();
            assert_eq!(extensions.get("field"), Some(&"f[1]".into()), "{bad:?}");
        }
        assert!(parse(&["https://sam.gov/1"; MAX_RESOURCE_LINKS + 1]).is_err());
    }
}
