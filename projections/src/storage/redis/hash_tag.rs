//! Names with a hash tag: the part of a key that determines its slot in a `Redis` Cluster.

/// The tag and the rest of a name such as `{acme}:proposal:acme:1`; `None` for a name without a tag.
pub fn tag_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('{')?.split_once("}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_into_its_tag_and_the_rest() {
        assert_eq!(tag_name("{acme}:proposal:acme:1"), Some(("acme", "proposal:acme:1")));
        for name in ["tags", "generation", "{acme", "acme}:x", "x{acme}:y"] {
            assert_eq!(tag_name(name), None, "{name}");
        }
    }
}
