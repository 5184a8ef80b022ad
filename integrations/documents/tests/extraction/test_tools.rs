//! PDFium and tesseract for tests, real documents, and the score of a text.

use std::{
    collections::HashMap,
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ExtractionConfig, check_tools};

/// The folder with PDFium that `medhub-local fetch` fills, unless the setting names another one.
pub(crate) fn pdfium_dir() -> PathBuf {
    if let Some(folder) = env::var_os("MEDHUB__EXTRACTION__PDFIUM_DIR") {
        return PathBuf::from(folder);
    }
    let folder = env::var_os("MEDHUB_CACHE_DIR").map_or_else(default_cache_folder, PathBuf::from).join("pdfium");
    // `cargo test --workspace` builds the program beside this test's executable.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("medhub-local");
    if !folder.exists() && program.exists() {
        let status = Command::new(program).args(["fetch", "pdfium"]).status().unwrap();
        assert!(status.success(), "`medhub-local fetch pdfium` ended with {status}");
    }
    assert!(
        folder.join("libpdfium.so").exists(),
        "{} has no libpdfium.so: run `medhub-local fetch pdfium`, or set MEDHUB__EXTRACTION__PDFIUM_DIR",
        folder.display()
    );
    folder
}

/// `/var/cache/medhub` for root, a folder below the home folder for others.
fn default_cache_folder() -> PathBuf {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        return PathBuf::from("/var/cache/medhub");
    }
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("medhub")
}

/// The settings with which tests extract.
pub(crate) fn extraction_config() -> ExtractionConfig {
    let config = ExtractionConfig { pdfium_dir: Some(pdfium_dir()), ..ExtractionConfig::default() };
    let problem = check_tools(&config).into_iter().find_map(|tool| tool.problem);
    assert_eq!(problem, None);
    config
}

/// The folder with real documents; `None`, with a message, where it is absent.
pub(crate) fn real_documents() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/documents");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} does not exist", folder.display());
    None
}

/// The harmonic mean of precision and recall of the words of a text.
pub(crate) fn token_f1(text: &str, truth: &str) -> f64 {
    let (found, expected) = (count_tokens(text), count_tokens(truth));
    let common: usize = expected.iter().map(|(token, count)| *count.min(found.get(token).unwrap_or(&0))).sum();
    let sum = found.values().sum::<usize>() + expected.values().sum::<usize>();
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap());
    2.0 * exact(common) / exact(sum.max(1))
}

fn count_tokens(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for token in text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()) {
        *counts.entry(token.to_lowercase()).or_insert(0) += 1;
    }
    counts
}

/// The text of Markdown as pandoc writes it, without the addresses of links, tags and attributes.
pub(crate) fn markdown_text(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some(start) = rest.find(['<', ']', '{', '\\']) {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        let (open, close) = match from.as_bytes() {
            [b']', b'(', ..] => ("](", ')'),
            [b'<', next, ..] if next.is_ascii_alphabetic() || *next == b'/' => ("<", '>'),
            [b'{', b'#' | b'.', ..] => ("{", '}'),
            _ => ("", ' '),
        };
        let end = if open.is_empty() { None } else { from[open.len()..].find(close).map(|end| end + open.len() + 1) };
        match end {
            Some(end) => {
                text.push(' ');
                rest = &from[end..];
            }
            None => rest = &from[1..],
        }
    }
    text + rest
}
