//! Digests of mail addresses, which identify an address across companies.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::inbox::MailAddress;

/// Bytes of a digest that are used.
const BYTES: usize = 16;

/// A digest of a mail address: the same for addresses that differ only in case, or in what follows a `+` in the name of
/// the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressDigest(String);

impl AddressDigest {
    /// Computes the digest of an address.
    pub fn from_address(address: &MailAddress) -> Self {
        let address = address.as_str().to_ascii_lowercase();
        let (mailbox, host) = address.split_once('@').unwrap_or((&address, ""));
        let mailbox = mailbox.split_once('+').map_or(mailbox, |(name, _)| name);
        let hash = digest(&SHA256, format!("{mailbox}@{host}").as_bytes());
        let hash = hash.as_ref();
        Self(URL_SAFE_NO_PAD.encode(hash.get(..BYTES).unwrap_or(hash)))
    }

    /// Reads the text of a digest; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == BYTES).then(|| Self(text.to_owned()))
    }

    /// The digest as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(address: &str) -> AddressDigest {
        AddressDigest::from_address(&MailAddress::try_new(address).unwrap())
    }

    #[test]
    fn spellings_of_one_mailbox_have_one_digest() {
        let ann = digest_of("ann@clinic.example");
        assert_eq!(AddressDigest::parse(ann.as_str()), Some(ann.clone()));
        for same in ["Ann@Clinic.EXAMPLE", "ann+tenders@clinic.example"] {
            assert_eq!(digest_of(same), ann, "{same}");
        }
        for other in ["bob@clinic.example", "ann@clinic2.example"] {
            assert_ne!(digest_of(other), ann, "{other}");
        }
        assert_eq!(AddressDigest::parse("ann@clinic.example"), None);
    }
}
