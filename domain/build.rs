//! Computes a fingerprint of each aggregate's source code; `fingerprint::Fingerprint` reads it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Sources that take part in folding every aggregate.
const SHARED: [&str; 4] = ["event_version", "tagged_enum", "upcast", "value"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // The whole folder, so that a new file also triggers a new run.
    println!("cargo::rerun-if-changed=src");
    for aggregate in aggregate_names()? {
        let mut files = Vec::new();
        collect_sources(Path::new("src"), &aggregate, &mut files)?;
        for shared in SHARED {
            collect_sources(Path::new("src"), shared, &mut files)?;
        }
        files.sort();
        files.dedup();
        let mut hash = FnvHasher::new();
        for file in files {
            hash.update(file.to_string_lossy().replace('\\', "/").as_bytes());
            hash.update(&fs::read(&file)?);
        }
        println!("cargo::rustc-env=FINGERPRINT_{aggregate}={:032x}", hash.0);
    }
    Ok(())
}

/// The folders of aggregates: those that have events.
fn aggregate_names() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("src")? {
        let path = entry?.path();
        if path.join("event.rs").is_file() {
            names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    Ok(names)
}

/// `folder/<name>.rs` and everything below `folder/<name>/`, without tests.
fn collect_sources(folder: &Path, name: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let file = folder.join(format!("{name}.rs"));
    if file.is_file() {
        files.push(file);
    }
    let below = folder.join(name);
    if !below.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&below)? {
        let path = entry?.path();
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            collect_sources(&below, stem, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// FNV-1a with 128 bits: independent of the compiler version. It need not resist deliberate collisions.
struct FnvHasher(u128);

impl FnvHasher {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u128::from(*byte);
            self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        // Separates the parts, so that moving text from the end of one file to the start of the next changes the hash.
        self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
}
