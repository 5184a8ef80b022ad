//! The qualifications of a company that documents are compared with.

use domain::company::CompanyProfile;

/// The codes of a company's profile, and the texts of its profile and resources.
#[derive(Debug, Clone, Default)]
pub struct CompanyQualifications {
    naics: Vec<String>,
    set_asides: Vec<String>,
    texts: Vec<String>,
    lacks_resources: bool,
}

impl CompanyQualifications {
    /// The qualifications by a profile, if the company has one, and by the texts of its resources; `None` if these cannot
    /// be read.
    pub fn new(profile: Option<&CompanyProfile>, resource_texts: Option<Vec<String>>) -> Self {
        let codes = |profile: &CompanyProfile| profile.naics.iter().map(|code| code.as_str().to_owned()).collect();
        let set_asides =
            |profile: &CompanyProfile| profile.set_asides.iter().map(|code| code.as_str().to_owned()).collect();
        let capabilities = profile.and_then(|profile| profile.capabilities.as_ref());
        Self {
            naics: profile.map(codes).unwrap_or_default(),
            set_asides: profile.map(set_asides).unwrap_or_default(),
            lacks_resources: resource_texts.is_none(),
            texts: capabilities
                .map(|text| text.as_str().to_owned())
                .into_iter()
                .chain(resource_texts.unwrap_or_default())
                .collect(),
        }
    }

    /// Whether nothing is known of the company but its name.
    pub(super) fn is_empty(&self) -> bool {
        self.naics.is_empty() && self.set_asides.is_empty() && self.texts.is_empty()
    }

    /// Whether the resources could not be read.
    pub(super) fn lacks_resources(&self) -> bool {
        self.lacks_resources
    }

    /// Whether there are texts to compare, and none is missing.
    pub(super) fn has_texts(&self) -> bool {
        !self.texts.is_empty() && !self.lacks_resources
    }

    pub(super) fn naics_codes(&self) -> Vec<&str> {
        self.naics.iter().map(String::as_str).collect()
    }

    pub(super) fn set_aside_codes(&self) -> &[String] {
        &self.set_asides
    }

    /// Capabilities, then resources with their names and tags.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}
