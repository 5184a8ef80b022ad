//! Tests that assert a duration; each runs alone ([`tests::run_alone`]). Their module is the first in the order of
//! tests, so that the others wait for them once; a test that runs alone later would wait until all others have ended.

mod document_analysis;
mod import_time;
mod opportunity_entry;
mod rate_limits;
mod relay_latency;
mod relay_takeover;
mod saved_search_alert;
mod warm_start;

use std::{fs, path::Path};

/// The files below a folder that call `run_alone`.
fn find_callers(folder: &Path, callers: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_callers(&path, callers);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && fs::read_to_string(&path).unwrap().contains("run_alone();")
        {
            callers.push(path.display().to_string());
        }
    }
}

#[test]
fn only_tests_of_this_module_run_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let mut callers = vec![];
    find_callers(&root, &mut callers);
    let here = root.join("alone").display().to_string();
    let (in_this_module, elsewhere): (Vec<_>, Vec<_>) =
        callers.into_iter().partition(|path| path.starts_with(&format!("{here}/")));
    assert!(in_this_module.len() > 3, "{in_this_module:?}");
    // This file names the call.
    assert_eq!(elsewhere, [format!("{here}.rs")]);
}
