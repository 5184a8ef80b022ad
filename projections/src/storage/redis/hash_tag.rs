//! Hash tags: the part of a key that determines its slot in a `Redis` Cluster.

/// The part of a key that `Redis` Cluster hashes: the text between the first `{` and the next `}`, or the whole key if
/// there is no such text.
pub(super) fn hashed_part(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// The tag and the rest of a name such as `{acme}:proposal:acme:1`; `None` for a name without a tag.
pub fn tag_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('{')?.split_once("}:")
}

/// The slot of a key, as a server computes it: CRC-16/XMODEM of the hashed part modulo 16384.
#[cfg(test)]
pub(crate) fn cluster_slot(key: &str) -> u16 {
    let crc = hashed_part(key).bytes().fold(0_u16, |crc, byte| {
        (0..8)
            .fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(cluster_slot("123456789"), 0x31c3);
        assert_eq!(cluster_slot("{user1000}.following"), cluster_slot("{user1000}.followers"));
        for (key, hashed) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("plain", "plain"),
        ] {
            assert_eq!(hashed_part(key), hashed, "{key}");
        }
    }

    #[test]
    fn a_name_is_split_into_its_tag_and_the_rest() {
        assert_eq!(tag_name("{acme}:proposal:acme:1"), Some(("acme", "proposal:acme:1")));
        for name in ["tags", "generation", "{acme", "acme}:x", "x{acme}:y"] {
            assert_eq!(tag_name(name), None, "{name}");
        }
    }
}
