//! The sources of the Python program, embedded in this one so that an installed `medhub-local` needs no source tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::{artifact::ArtifactCache, prepared_folder::PreparedFolder};

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../qdrant/medhub_qdrant/", $path)))),*]
    };
}

/// Path below the package's folder, and content.
const SOURCE_FILES: &[(&str, &str)] = sources![
    "__init__.py",
    "__main__.py",
    "collection.py",
    "collection_catalog.py",
    "collection_manifest.py",
    "collections_service.py",
    "conversion/__init__.py",
    "conversion/collection_settings.py",
    "conversion/filters.py",
    "conversion/formulas.py",
    "conversion/older_requests.py",
    "conversion/operations.py",
    "conversion/payload_indexes.py",
    "conversion/payloads.py",
    "conversion/point_id_text.py",
    "conversion/quantization.py",
    "conversion/queries.py",
    "conversion/results.py",
    "conversion/scalars.py",
    "conversion/selectors.py",
    "conversion/vectors.py",
    "data_folder.py",
    "errors.py",
    "maintenance.py",
    "optimization.py",
    "optimization_trigger.py",
    "optimizer.py",
    "options.py",
    "point_reads.py",
    "points_service.py",
    "repeated_filters.py",
    "server.py",
    "service_methods.py",
    "status_interceptor.py",
];

/// Writes the program into the cache (or the data folder of the stack) unless it exists, and returns the folder to put
/// on Python's search path.
///
/// The folder's name contains a digest of the sources: another version of this program uses another folder, and files
/// are never changed while a server runs from them.
pub(super) fn install_program(cache: &ArtifactCache, data: &Path) -> anyhow::Result<PathBuf> {
    let prepared = PreparedFolder::new(cache, data, "qdrant-program", &sources_digest());
    if let Some(folder) = prepared.find() {
        return Ok(folder);
    }
    let draft = prepared.begin_draft()?;
    write_package(&draft.path().join("medhub_qdrant"))?;
    draft.publish()
}

fn write_package(package: &Path) -> anyhow::Result<()> {
    for (path, content) in SOURCE_FILES {
        let file = package.join(path);
        let parent = file.parent().unwrap_or(package);
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn sources_digest() -> String {
    let mut digest = Sha256::new();
    for (path, content) in SOURCE_FILES {
        digest.update(path);
        digest.update([0]);
        digest.update(content);
        digest.update([0]);
    }
    format!("{:x}", digest.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files_below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_source_file_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("qdrant/medhub_qdrant");
        let mut found = BTreeSet::new();
        files_below(&root, &root, &mut found);
        let embedded: BTreeSet<String> = SOURCE_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, found);
    }
}
