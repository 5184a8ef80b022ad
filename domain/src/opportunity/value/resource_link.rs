//! The URLs of a notice's files.

use std::{collections::HashSet, slice};

use serde::{Deserialize, Serialize};

use crate::value::InvalidValue;

/// Maximum length of a URL in characters.
const MAX_LINK_CHARS: usize = 2_000;
/// Maximum number of URLs of a notice.
pub const MAX_RESOURCE_LINKS: usize = 250;

const WHAT: &str = "resource link";
const EXPECTED: &str = "an http or https URL";

/// The URL of a file of a notice, or of further information about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceLink(String);

impl ResourceLink {
    /// Trims the text and checks that it is an `http` or `https` URL; other schemes could run scripts in a browser.
    ///
    /// # Errors
    /// [`InvalidValue`] when the text is empty, longer than 2,000 characters or no such URL.
    pub fn try_new(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidValue::Empty { what: WHAT });
        }
        if text.chars().count() > MAX_LINK_CHARS {
            return Err(InvalidValue::TooLong { what: WHAT, max: MAX_LINK_CHARS });
        }
        let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
            let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
            let has_host = rest.starts_with(|first: char| first.is_alphanumeric() || first == '[');
            is_web && has_host && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        if is_url { Ok(Self(text.to_owned())) } else { Err(InvalidValue::malformed(WHAT, text, EXPECTED)) }
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URLs of a notice's files, each once, in the order of the notice. An empty list says that there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceLinks(Vec<ResourceLink>);

impl ResourceLinks {
    /// Takes the links in their order, without repetitions.
    ///
    /// # Errors
    /// [`InvalidValue::TooMany`] for more than [`MAX_RESOURCE_LINKS`] different ones.
    pub fn try_new(mut links: Vec<ResourceLink>) -> Result<Self, InvalidValue> {
        let mut seen = HashSet::new();
        links.retain(|link| seen.insert(link.clone()));
        if links.len() > MAX_RESOURCE_LINKS {
            return Err(InvalidValue::TooMany { what: "resource links", max: MAX_RESOURCE_LINKS });
        }
        Ok(Self(links))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The links in their order.
    pub fn iter(&self) -> slice::Iter<'_, ResourceLink> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ResourceLinks {
    type Item = &'a ResourceLink;
    type IntoIter = slice::Iter<'a, ResourceLink>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_web_address() {
        for url in ["https://sam.gov/files/1/download", "HTTP://[::1]:8080/a?b=c#d", " https://agency.example "] {
            assert_eq!(ResourceLink::try_new(url).unwrap().as_str(), url.trim());
        }
        for other in
            ["javascript:alert(1)", "ftp://sam.gov/a", "https://", "https:///a", "https://a b", "sam.gov", "\0"]
        {
            assert_eq!(ResourceLink::try_new(other), Err(InvalidValue::malformed(WHAT, other, EXPECTED)));
        }
        assert_eq!(ResourceLink::try_new(" "), Err(InvalidValue::Empty { what: WHAT }));
        let long = format!("https://sam.gov/{}", "é".repeat(MAX_LINK_CHARS - 16));
        assert!(ResourceLink::try_new(&long).is_ok());
        let too_long = Err(InvalidValue::TooLong { what: WHAT, max: MAX_LINK_CHARS });
        assert_eq!(ResourceLink::try_new(&format!("{long}x")), too_long);
    }

    #[test]
    fn links_have_an_order_no_repetitions_and_a_limit() {
        let link = |number: usize| ResourceLink::try_new(&format!("https://sam.gov/{number}")).unwrap();
        let links = ResourceLinks::try_new(vec![link(2), link(1), link(2)]).unwrap();
        assert_eq!(links.iter().collect::<Vec<_>>(), [&link(2), &link(1)]);
        let many: Vec<_> = (0..MAX_RESOURCE_LINKS).map(link).collect();
        assert!(ResourceLinks::try_new([many.clone(), many.clone()].concat()).is_ok());
        assert!(ResourceLinks::try_new([many, vec![link(MAX_RESOURCE_LINKS)]].concat()).is_err());
    }
}
