//! Masks secrets in URLs that are logged or printed.

use url::Url;

/// Replaces a secret.
pub const MASK: &str = "***";

/// The text with the password of each URL in it (a list separated by commas) replaced by `***`.
pub fn mask_url(text: &str) -> String {
    text.split(',').map(mask_single_url).collect::<Vec<_>>().join(",")
}

/// Whether a setting of this name is a secret.
pub fn is_secret_key(key: &str) -> bool {
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
}
