//! Real notices through the whole system: in by the command line, out by GraphQL, the same in every store.

mod bad_input;
mod browsing;
mod crash;
mod import;
mod search;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use commands::sam;
use domain::opportunity::{Notice, Opportunity, OpportunityCommand};
use serde_json::Value;
use tests::Stack;
use tokio::sync::OnceCell;

/// Until when everything imported is visible everywhere, from the start of the import.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// The 6,185 notices of March 2026 in the CSV extract.
fn real_csv() -> Option<PathBuf> {
    real("notices_full47_2026-03.csv")
}

/// A file of real notices; `None`, and a line saying so, where the folder of records is absent.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sam").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent (the records are not part of the repository)", path.display());
    None
}

/// One stack with the real notices in it, for all tests that only read.
async fn stack_with_real_notices(csv: &Path) -> &'static Stack {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    SHARED
        .get_or_init(async || {
            let stack = Stack::start().await;
            import(&stack, csv, &[]).await;
            agreed_counts(&stack).await;
            stack
        })
        .await
}

/// Imports and answers the summary.
async fn import(stack: &Stack, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().unwrap();
    let output = stack.medhub(&[&["import", file, "--json"], more].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What each store holds, once they agree.
async fn agreed_counts(stack: &Stack) -> Value {
    let wait = VISIBLE_WITHIN.as_secs().to_string();
    let output = stack.medhub(&["status", "--json", "--wait", &wait]).await;
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && counts["agree"] == true, "{counts}");
    counts
}

/// What the stores have to hold, folded from the file by the domain alone.
struct Expected {
    rows: u64,
    events: u64,
    streams: u64,
}

impl Expected {
    fn of(csv: &Path) -> Self {
        Self::of_all(&[csv])
    }

    /// After importing these files one after the other.
    fn of_all(files: &[&Path]) -> Self {
        let mut streams: HashMap<String, Opportunity> = HashMap::new();
        let (mut rows, mut events) = (0, 0);
        for notice in files.iter().flat_map(|file| notices(file)) {
            let state = streams.entry(notice.opportunity_id().to_string()).or_default();
            let decided = state.decide(OpportunityCommand::RecordNotice(Box::new(notice))).unwrap();
            rows += 1;
            events += u64::try_from(decided.len()).unwrap();
            for event in decided {
                state.evolve(event);
            }
        }
        Self { rows, events, streams: u64::try_from(streams.len()).unwrap() }
    }

    /// Every store holds exactly that.
    fn assert_held(&self, counts: &Value) {
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

fn notices(file: &Path) -> impl Iterator<Item = Notice> + use<> {
    let mut reader = sam::open(std::fs::File::open(file).unwrap()).unwrap();
    let format = sam::detect(&mut reader).unwrap();
    sam::rows(reader, format).unwrap().map(|row| row.unwrap().outcome.unwrap())
}
