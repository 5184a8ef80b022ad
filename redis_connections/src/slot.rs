//! The slot of a key in a cluster.

/// Number of slots of every cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The part of a key that a cluster hashes: the text between the first `{` and the next `}`, or the whole key if there
/// is no such text.
pub fn hashed_part(key: &[u8]) -> &[u8] {
    let position = |text: &[u8], byte| text.iter().position(|found| *found == byte);
    let tag = position(key, b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..position(rest, b'}')?)
    });
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// The slot of a key, as a server computes it: CRC-16/XMODEM of the hashed part modulo 16384.
pub fn key_slot(key: impl AsRef<[u8]>) -> u16 {
    let crc = hashed_part(key.as_ref()).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_cluster_specification() {
        assert_eq!(key_slot("123456789"), 0x31c3);
        assert_eq!(key_slot("{user1000}.following"), key_slot("{user1000}.followers"));
        for (key, hashed) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("plain", "plain"),
        ] {
            assert_eq!(hashed_part(key.as_bytes()), hashed.as_bytes(), "{key}");
        }
    }
}
