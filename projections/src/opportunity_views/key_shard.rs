//! Shards: the parts, fixed in number, that spread the keys over the slots of a `Redis` Cluster.

use std::{fmt, sync::LazyLock};

/// Number of shards: more than a cluster has nodes, and few enough to be merged in one read. Changing the number
/// changes the key layout and requires a rebuild.
const SHARD_COUNT: u32 = 64;

/// The tag of each shard. Keys are made for every event, which would format the same numbers again and again.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| KeyShard::all().map(|shard| shard.0.to_string()).collect());

/// A part of the read model whose keys have the same hash tag, and so the same slot: an opportunity, the figures about
/// it, and the parts of visits and watchlists that change these figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyShard(u32);

impl KeyShard {
    /// The shard of an opportunity, a visit or a user: CRC-32 of the id modulo the number of shards.
    pub fn for_id(id: &str) -> Self {
        Self(crc32fast::hash(id.as_bytes()) % SHARD_COUNT)
    }

    /// All shards.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARD_COUNT).map(Self)
    }

    /// Its place among [`Self::all`].
    pub(super) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or_default()
    }

    /// Its hash tag, without braces.
    pub(super) fn tag(self) -> &'static str {
        TAGS.get(self.index()).map(String::as_str).unwrap_or_default()
    }

    /// The shard with this hash tag.
    pub(super) fn from_tag(tag: &str) -> Option<Self> {
        // Without formatting: verify parses the tag of every key. `+7` and `07` are numbers, too, but other tags.
        let is_canonical = tag == "0" || tag.starts_with(|first: char| matches!(first, '1'..='9'));
        let number: u32 = tag.parse().ok()?;
        (is_canonical && number < SHARD_COUNT).then_some(Self(number))
    }
}

/// The hash tag, without braces.
impl fmt::Display for KeyShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_is_parsed_from_its_tag_and_from_no_other() {
        for shard in KeyShard::all() {
            assert_eq!(KeyShard::from_tag(&shard.to_string()), Some(shard));
        }
        for tag in ["64", "01", "-1", "+1", "00", "", "acme"] {
            assert_eq!(KeyShard::from_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn ids_are_spread_over_all_shards() {
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for n in 0..64_000 {
            *counts.entry(KeyShard::for_id(&format!("036:36C10G26R{n:05}"))).or_default() += 1;
        }
        assert_eq!(counts.len(), KeyShard::all().count());
        assert!(counts.values().all(|count| (700..1_300).contains(count)), "{counts:?}");
    }
}
