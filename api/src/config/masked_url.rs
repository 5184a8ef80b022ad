//! Masks secrets in URLs that are logged or printed.

use url::Url;

/// The text that replaces a secret.
pub const MASK: &str = "***";

/// Replaces the password of each URL in a text (a list separated by commas) by `***`.
pub fn mask_url(text: &str) -> String {
    let mut urls: Vec<String> = vec![];
    for part in text.split(',') {
        match urls.last_mut() {
            // A comma in a URL, for example in its password: the next URL begins with a scheme.
            Some(last) if last.contains("://") && !part.contains("://") => {
                last.push(',');
                last.push_str(part);
            }
            _ => urls.push(part.to_owned()),
        }
    }
    urls.iter().map(|url| mask_single_url(url)).collect::<Vec<_>>().join(",")
}

/// Whether a setting of this name is a secret.
pub fn is_secret_key(key: &str) -> bool {
    if key == "login" {
        return true;
    }
    ["password", "secret", "token", "api_key"].iter().any(|word| key.contains(word)) && !key.ends_with("_tokens")
}

fn mask_single_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        // Where the password begins and ends is unknown.
        let may_contain_password = text.contains("://") && text.contains('@');
        return if may_contain_password { MASK.to_owned() } else { text.to_owned() };
    };
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let has_secret_parameter = parameters.iter().any(|(name, _)| is_secret_key(name));
    if url.password().is_none() && !has_secret_parameter {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if has_secret_parameter {
        let mask_parameter = |(name, value): (String, String)| {
            if is_secret_key(&name) { (name, MASK.to_owned()) } else { (name, value) }
        };
        url.query_pairs_mut().clear().extend_pairs(parameters.into_iter().map(mask_parameter));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passwords_in_urls_are_masked() {
        for (text, masked) in [
            ("postgres://medhub:s3cret@127.0.0.1:5432/medhub", "postgres://medhub:***@127.0.0.1:5432/medhub"),
            ("redis://:s3cret@127.0.0.1:6379/", "redis://:***@127.0.0.1:6379/"),
            ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
            ("http://h:8123/?user=a&password=s3cret", "http://h:8123/?user=a&password=***"),
            ("127.0.0.1:9092,127.0.0.1:9093", "127.0.0.1:9092,127.0.0.1:9093"),
            ("redis://:a@h:1/,redis://:b@h:2/", "redis://:***@h:1/,redis://:***@h:2/"),
            ("postgres://u:a,b@h/db", "postgres://u:***@h/db"),
            ("postgres://u:p#ss@h/db", "***"),
            ("plain text", "plain text"),
        ] {
            assert_eq!(mask_url(text), masked);
        }
    }
}
