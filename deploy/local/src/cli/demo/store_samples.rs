//! What every store contains, and when that became visible.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::supervised_stack::SupervisedStack;

/// Store, what is counted in it, and the JSON pointer of the count in `medhub status --json`.
const COUNT_POINTERS: [(&str, &str, &str); 9] = [
    ("Postgres", "events", "/postgres/events"),
    ("Kafka", "records", "/kafka/records"),
    ("ClickHouse", "facts", "/clickhouse/facts"),
    ("Postgres", "streams", "/postgres/streams"),
    ("Postgres", "opportunities", "/postgres/opportunities"),
    ("ClickHouse", "opportunities", "/clickhouse/opportunities"),
    ("Redis", "views", "/redis/views"),
    ("Qdrant", "points", "/qdrant/points"),
    ("GraphQL", "totalCount", "/graphql/totalCount"),
];

/// The counts of all stores at several times.
#[derive(Debug)]
pub(super) struct StoreSamples {
    started_at: Instant,
    samples: Vec<(Duration, Value)>,
}

impl StoreSamples {
    /// Without samples; the times of samples count from now.
    pub(super) fn start() -> Self {
        Self { started_at: Instant::now(), samples: Vec::new() }
    }

    /// Adds the current counts. A failure is logged and adds none; the next call tries again.
    pub(super) async fn add_sample(&mut self, stack: &SupervisedStack) {
        let mut status = stack.product_command(&["status", "--json"]);
        match status.stdin(Stdio::null()).output().await {
            Ok(output) => match serde_json::from_slice(&output.stdout) {
                Ok(counts) => self.samples.push((self.started_at.elapsed(), counts)),
                Err(error) => tracing::debug!(%error, "counting the stores failed"),
            },
            Err(error) => tracing::warn!(%error, "counting the stores failed"),
        }
    }

    /// Whether all stores agree in the last sample.
    pub(super) fn stores_agree(&self) -> bool {
        self.samples.last().and_then(|(_, counts)| counts.get("agree")?.as_bool()).unwrap_or(false)
    }

    /// The last counts in one line.
    pub(super) fn format_counts(&self) -> String {
        let last = |pointer| Some(self.last_count(pointer)?.0);
        let describe = |(_, what, pointer)| last(pointer).map(|count| format!("{count} {what}"));
        COUNT_POINTERS.into_iter().filter_map(describe).collect::<Vec<_>>().join(", ")
    }

    /// One line per count, with the time when it last changed.
    pub(super) fn format_table(&self) -> String {
        let mut lines = vec![format!("{:<12}{:<15}{:>12}  visible after", "store", "holds", "")];
        for (store, what, pointer) in COUNT_POINTERS {
            let (count, after) = match self.last_count(pointer) {
                Some((count, after)) => (count.to_string(), format!("{:.1} s", after.as_secs_f64())),
                None => ("?".to_owned(), "?".to_owned()),
            };
            lines.push(format!("{store:<12}{what:<15}{count:>12}  {after}"));
        }
        let verdict = if self.stores_agree() { "all stores agree" } else { "THE STORES DO NOT AGREE" };
        lines.push(verdict.to_owned());
        lines.join("\n")
    }

    /// The last count, and the time of the first sample since which it has not changed.
    fn last_count(&self, pointer: &str) -> Option<(u64, Duration)> {
        let count = |counts: &Value| counts.pointer(pointer).and_then(Value::as_u64);
        let last = count(&self.samples.last()?.1)?;
        let unchanged = self.samples.iter().rev().take_while(|(_, counts)| count(counts) == Some(last));
        Some((last, unchanged.last()?.0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_is_visible_from_the_sample_after_its_last_change() {
        let at = |seconds, views| (Duration::from_secs(seconds), json!({ "redis": { "views": views } }));
        let samples =
            StoreSamples { started_at: Instant::now(), samples: vec![at(1, 9), at(2, 5), at(3, 9), at(4, 9)] };
        assert_eq!(samples.last_count("/redis/views"), Some((9, Duration::from_secs(3))));
        assert_eq!(samples.last_count("/qdrant/points"), None);
    }

    #[test]
    fn stores_without_a_sample_do_not_agree() {
        assert!(!StoreSamples::start().stores_agree());
    }
}
