//! Masks secrets when settings are printed.

use figment::value::{Dict, Value};
use url::Url;

/// Replaces a secret.
pub(super) const MASK: &str = "***";

/// The settings with every secret and every password in a URL replaced by `***`.
pub(super) fn mask_settings(settings: Dict) -> Dict {
    settings.into_iter().map(|(key, value)| (key.clone(), mask_value(&key, value))).collect()
}

/// The text with the password of each URL in it (a list separated by commas) replaced by `***`.
pub fn mask_url(text: &str) -> String {
    text.split(',').map(mask_single_url).collect::<Vec<_>>().join(",")
}

fn mask_value(key: &str, value: Value) -> Value {
    match value {
        Value::Dict(tag, inner) => Value::Dict(tag, mask_settings(inner)),
        Value::Array(tag, items) => Value::Array(tag, items.into_iter().map(|item| mask_value(key, item)).collect()),
        Value::String(tag, text) if is_secret_key(key) && !text.is_empty() => {
            drop(text);
            Value::String(tag, MASK.to_owned())
        }
        Value::String(tag, text) => Value::String(tag, mask_url(&text)),
        number @ Value::Num(tag, _) => {
            if is_secret_key(key) {
                Value::String(tag, MASK.to_owned())
            } else {
                number
            }
        }
        plain @ (Value::Char(..) | Value::Bool(..) | Value::Empty(..)) => plain,
    }
}

fn is_secret_key(key: &str) -> bool {
    if key == "login" {
        return true;
    }
    ["password", "secret", "token", "api_key"].iter().any(|word| key.contains(word)) && !key.ends_with("_tokens")
}

fn mask_single_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    let named: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let hidden = named.iter().any(|(name, _)| is_secret_key(name));
    if url.password().is_none() && !hidden {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if hidden {
        let shown = |(name, value): (String, String)| {
            if is_secret_key(&name) { (name, MASK.to_owned()) } else { (name, value) }
        };
        url.query_pairs_mut().clear().extend_pairs(named.into_iter().map(shown));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_inside_urls_are_hidden_and_the_rest_stays() {
        for (given, shown) in [
            ("postgres://medhub:s3cret@127.0.0.1:5432/medhub", "postgres://medhub:***@127.0.0.1:5432/medhub"),
            ("redis://:s3cret@127.0.0.1:6379/", "redis://:***@127.0.0.1:6379/"),
            ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
            ("http://h:8123/?user=a&password=s3cret", "http://h:8123/?user=a&password=***"),
            ("127.0.0.1:9092,127.0.0.1:9093", "127.0.0.1:9092,127.0.0.1:9093"),
            ("plain text", "plain text"),
        ] {
            assert_eq!(mask_url(given), shown);
        }
    }

    #[test]
    fn values_of_secret_keys_are_hidden_also_when_they_look_like_numbers() {
        let settings = Dict::from([
            ("password".to_owned(), Value::from(12_345_u32)),
            ("analyst_password".to_owned(), Value::from("s3cret")),
            ("max_tokens".to_owned(), Value::from(7_u32)),
            ("login".to_owned(), Value::from("medhub:s3cret")),
            ("inner".to_owned(), Value::from(Dict::from([("api_key".to_owned(), Value::from("s3cret"))]))),
        ]);
        let shown = mask_settings(settings);
        assert_eq!(shown["password"].as_str(), Some(MASK));
        assert_eq!(shown["analyst_password"].as_str(), Some(MASK));
        assert_eq!(shown["login"].as_str(), Some(MASK));
        assert_eq!(shown["max_tokens"].to_u128(), Some(7));
        assert_eq!(shown["inner"].as_dict().unwrap()["api_key"].as_str(), Some(MASK));
    }
}
