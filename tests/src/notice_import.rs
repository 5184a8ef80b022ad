//! Real notices: their files, their import, and the counts that the stores must have afterwards.
#![expect(clippy::unwrap_used, reason = "a harness fails a test by panicking")]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use domain::opportunity::{Notice, Opportunity, OpportunityCommand};
use serde_json::Value;

use crate::{ProductHandle, WAIT_TIMEOUT};

/// The 6,185 notices of March 2026 in the CSV extract.
pub fn find_real_csv() -> Option<PathBuf> {
    find_real_records("notices_full47_2026-03.csv")
}

/// A file of real notices; prints a line and returns `None` if the folder of records is absent.
pub fn find_real_records(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sam").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent (the records are not part of the repository)", path.display());
    None
}

/// Imports a file and returns the summary.
///
/// # Panics
/// If the import fails.
pub async fn import_file(product: &ProductHandle, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().unwrap();
    let output = product.run_medhub(&[&["import", file, "--json"], more].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until all stores agree, and returns the counts of each.
///
/// # Panics
/// If they do not agree in time.
pub async fn wait_for_agreed_counts(product: &ProductHandle) -> Value {
    let wait = WAIT_TIMEOUT.as_secs().to_string();
    let output = product.run_medhub(&["status", "--json", "--wait", &wait]).await;
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && counts["agree"] == true, "{counts}");
    counts
}

/// The counts that the stores must have, folded from the files by the domain alone.
pub struct ExpectedCounts {
    /// Rows of the files.
    pub rows: u64,
    /// Events in the log.
    pub events: u64,
    /// Opportunities.
    pub streams: u64,
}

impl ExpectedCounts {
    /// The counts after importing this file.
    ///
    /// # Panics
    /// If the file cannot be read, or the domain refuses a notice.
    pub fn from_file(csv: &Path) -> Self {
        Self::from_files(&[csv])
    }

    /// The counts after importing these files one after the other.
    ///
    /// # Panics
    /// As [`Self::from_file`].
    pub fn from_files(files: &[&Path]) -> Self {
        let mut streams: HashMap<String, Opportunity> = HashMap::new();
        let (mut rows, mut events) = (0, 0);
        for notice in files.iter().flat_map(|file| read_notices(file)) {
            let state = streams.entry(notice.opportunity_id().to_string()).or_default();
            let new_events = state.decide(OpportunityCommand::RecordNotice(Box::new(notice))).unwrap();
            rows += 1;
            events += u64::try_from(new_events.len()).unwrap();
            for event in new_events {
                state.evolve(event);
            }
        }
        Self { rows, events, streams: u64::try_from(streams.len()).unwrap() }
    }

    /// Checks that every store has exactly these counts.
    ///
    /// # Panics
    /// If one does not.
    pub fn assert_equal_to(&self, counts: &Value) {
        for (store, figure) in [("postgres", "events"), ("kafka", "records"), ("clickhouse", "facts")] {
            assert_eq!(counts[store][figure], self.events, "{store} {figure}: {counts}");
        }
        for (store, figure) in [
            ("postgres", "opportunities"),
            ("clickhouse", "opportunities"),
            ("redis", "views"),
            ("qdrant", "points"),
            ("graphql", "totalCount"),
        ] {
            assert_eq!(counts[store][figure], self.streams, "{store} {figure}: {counts}");
        }
    }
}

/// The notices of a file.
///
/// # Panics
/// If the file cannot be read.
pub fn read_notices(file: &Path) -> impl Iterator<Item = Notice> + use<> {
    let mut reader = sam_gov::open_source(std::fs::File::open(file).unwrap()).unwrap();
    let format = sam_gov::detect_format(&mut reader).unwrap();
    sam_gov::read_notices(reader, format, sam_gov::SourceEncoding::Auto)
        .unwrap()
        .map(|row| row.unwrap().outcome.unwrap())
}
