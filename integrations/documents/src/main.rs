//! Extracts the text of one file in this process, under the limits of its request. `medhub extract-text` does the
//! same; this program is small, and is what the tests of this crate start.

use std::process::ExitCode;

fn main() -> ExitCode {
    documents::run_extraction_child(&std::env::args().nth(1).unwrap_or_default())
}
