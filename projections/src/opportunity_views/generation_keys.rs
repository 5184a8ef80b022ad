//! Making and removing a generation.
//!
//! A generation has a marker, a key of its own that everything written depends on. A server that was flushed or replaced
//! by an empty one has no marker, so that nobody goes on as if what was lost had been kept; and without the marker, which
//! goes first, no late writer adds keys to a generation that is being removed.

use redis::Pipeline;

use super::OpportunityViews;
use crate::QueryError;

/// The marker's key, without what every key begins with.
pub(super) const MARKER: &str = "generation";

/// Keys that are asked for in one round trip.
const KEYS_PER_SCAN: usize = 1_000;

impl OpportunityViews {
    pub(super) async fn set_marker(&self) -> Result<(), QueryError> {
        let (key, value) = (self.key(MARKER), self.generation.to_string());
        self.run_pipeline::<()>(redis::pipe().set(key, value).ignore()).await
    }

    pub(super) async fn remove_keys(&self) -> Result<(), QueryError> {
        self.run_pipeline::<()>(redis::pipe().del(self.key(MARKER)).ignore()).await?;
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (next, keys) = self.scan_keys(at).await?;
            if !keys.is_empty() {
                self.run_pipeline::<()>(redis::pipe().unlink(keys).ignore()).await?;
            }
            cursor = next;
        }
        Ok(())
    }

    /// Some keys of this generation, and where to go on. A key may come twice.
    pub(super) async fn scan_keys(&self, cursor: u64) -> Result<(Option<u64>, Vec<Vec<u8>>), QueryError> {
        let ((next, keys),) = self.run_pipeline(&scan_command(self.prefix(), cursor)).await?;
        Ok(((next != 0).then_some(next), keys))
    }
}

/// Asks for some keys that begin with `prefix`.
pub(crate) fn scan_command(prefix: &str, cursor: u64) -> Pipeline {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(format!("{}*", escape_glob(prefix))).arg("COUNT").arg(KEYS_PER_SCAN);
    let mut pipeline = redis::pipe();
    pipeline.add_command(scan);
    pipeline
}

/// A pattern that matches this text and nothing else.
pub(crate) fn escape_glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_itself_only() {
        assert_eq!(escape_glob("med*hub[1]?\\:"), "med\\*hub\\[1\\]\\?\\\\:");
    }
}
