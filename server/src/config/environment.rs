//! Settings from environment variables: `MEDHUB__SECTION__KEY`, and the engines' well-known URLs.
//!
//! Values are passed on as text and parsed as the type of the setting: a password of digits remains a text.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

const VARIABLE_PREFIX: &str = "MEDHUB__";

/// An environment variable as the source of a setting.
pub(super) struct EnvironmentVariable {
    /// Name in the environment.
    name: String,
    /// The path of the setting, e.g. `http.listen`.
    key: String,
    value: String,
}

impl Provider for EnvironmentVariable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("environment variable {}", self.name))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let nested = figment::util::nest(&self.key, Value::from(self.value.as_str()));
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// The value of a variable that a setting names, such as one with a provider's key.
pub(crate) fn read_environment_variable(name: &str) -> Option<String> {
    std::env::vars_os().find(|(known, _)| known == name).and_then(|(_, value)| value.into_string().ok())
}

/// Returns the variables that name a setting, in increasing precedence. Empty ones count as unset.
pub(super) fn collect_variables(
    environment: impl IntoIterator<Item = (String, String)>,
    well_known: &[(&str, &str)],
) -> Vec<EnvironmentVariable> {
    let mut by_key = Vec::new();
    let mut by_url = Vec::new();
    for (name, value) in environment {
        if value.is_empty() {
            continue;
        }
        if let Some(path) = name.strip_prefix(VARIABLE_PREFIX) {
            by_key.push(EnvironmentVariable { key: path.to_ascii_lowercase().replace("__", "."), name, value });
        } else if let Some((_, key)) = well_known.iter().find(|(known, _)| *known == name) {
            by_url.push(EnvironmentVariable { key: (*key).to_owned(), name, value });
        }
    }
    by_key.append(&mut by_url);
    by_key
}
