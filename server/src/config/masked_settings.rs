//! Masks secrets when settings are printed.

use api::config::{MASK, is_secret_key, mask_url};
use figment::value::{Dict, Value};

/// Replaces every secret, and every password in a URL, by `***`.
pub(super) fn mask_settings(settings: Dict) -> Dict {
    settings.into_iter().map(|(key, value)| (key.clone(), mask_value(&key, value))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_masked_even_if_they_are_numbers() {
        let settings = Dict::from([
            ("password".to_owned(), Value::from(12_345_u32)),
            ("analyst_password".to_owned(), Value::from("s3cret")),
            ("max_tokens".to_owned(), Value::from(7_u32)),
            ("login".to_owned(), Value::from("medhub:s3cret")),
            ("inner".to_owned(), Value::from(Dict::from([("api_key".to_owned(), Value::from("s3cret"))]))),
        ]);
        let masked = mask_settings(settings);
        assert_eq!(masked["password"].as_str(), Some(MASK));
        assert_eq!(masked["analyst_password"].as_str(), Some(MASK));
        assert_eq!(masked["login"].as_str(), Some(MASK));
        assert_eq!(masked["max_tokens"].to_u128(), Some(7));
        assert_eq!(masked["inner"].as_dict().unwrap()["api_key"].as_str(), Some(MASK));
    }
}
