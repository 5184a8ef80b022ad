//! The collections of a data folder and the aliases that point to them.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use qdrant_client::qdrant::alias_operations::Action;
use qdrant_edge::EdgeConfig;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::{
    collection::Collection,
    refusal::{internal, no_collection, wrong},
};
use crate::EngineError;

/// Written last when a collection is made and removed first when it is deleted: a folder without it is a left-over.
const MARKER: &str = "collection.json";
/// Characters that Qdrant allows in no name.
const FORBIDDEN: [char; 11] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1F}'];

/// What is known of a collection without opening it.
#[derive(Serialize, Deserialize)]
struct Marker {
    name: String,
}

/// The collections of one data folder.
pub(super) struct Catalog {
    folder: PathBuf,
    collections: RwLock<HashMap<String, Arc<Collection>>>,
    aliases: RwLock<BTreeMap<String, String>>,
    /// Collections and aliases are made and dropped one after the other.
    changes: Mutex<()>,
}

impl Catalog {
    /// Opens every collection.
    pub(super) fn open(data: &Path) -> Result<Self, EngineError> {
        let folder = data.join("collections");
        let broken = |source| EngineError::DataFolder { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(broken)?;
        let mut collections = HashMap::new();
        for entry in fs::read_dir(&folder).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            let Ok(marker) = fs::read(path.join(MARKER)) else {
                fs::remove_dir_all(&path).map_err(broken)?;
                continue;
            };
            let refused = |reason: String| EngineError::Open { path: path.clone(), reason };
            let Marker { name } = serde_json::from_slice(&marker).map_err(|error| refused(error.to_string()))?;
            let collection = Collection::open(&name, &path).map_err(refused)?;
            collections.insert(name, Arc::new(collection));
        }
        let aliases = match fs::read(folder.join("../aliases.json")) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| EngineError::Open {
                path: folder.join("../aliases.json"),
                reason: error.to_string(),
            })?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self {
            folder,
            collections: RwLock::new(collections),
            aliases: RwLock::new(aliases),
            changes: Mutex::new(()),
        })
    }

    /// The collection of a name or an alias.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Collection>, Status> {
        self.find(name).ok_or_else(|| no_collection(name))
    }

    /// As [`Catalog::get`], without a refusal.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Collection>> {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        let aliases = self.aliases.read().unwrap_or_else(PoisonError::into_inner);
        collections.get(aliases.get(name).map_or(name, String::as_str)).cloned()
    }

    /// Every collection.
    pub(super) fn all(&self) -> Vec<Arc<Collection>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The names of all collections, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.collections.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        names.sort();
        names
    }

    /// Makes a collection.
    pub(super) fn create(&self, name: &str, config: EdgeConfig) -> Result<(), Status> {
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if name.is_empty() || name.len() > 255 || name.starts_with('.') || name.contains(FORBIDDEN) {
            return Err(wrong(format!("`{name}` is no name for a collection")));
        }
        if self.find(name).is_some() {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        let folder = self.folder.join(name);
        // What an attempt that failed may have left.
        remove(&folder)?;
        let collection = Collection::create(name, &folder, config)?;
        write(&folder.join(MARKER), &Marker { name: name.to_owned() })?;
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        collections.insert(name.to_owned(), Arc::new(collection));
        Ok(())
    }

    /// Deletes a collection and its aliases; tells whether there was one.
    pub(super) fn delete(&self, name: &str) -> Result<bool, Status> {
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.collections.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let Some(collection) = removed else { return Ok(false) };
        let mut aliases = self.aliases();
        aliases.retain(|_, target| target != name);
        self.keep_aliases(aliases)?;
        fs::remove_file(collection.folder().join(MARKER)).map_err(internal)?;
        collection.delete()?;
        Ok(true)
    }

    /// The aliases and what they point to.
    pub(super) fn aliases(&self) -> BTreeMap<String, String> {
        self.aliases.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies all changes of aliases, or none.
    pub(super) fn change_aliases(&self, actions: Vec<Action>) -> Result<(), Status> {
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.names();
        let mut aliases = self.aliases();
        for action in actions {
            match action {
                Action::CreateAlias(create) => {
                    if !names.contains(&create.collection_name) {
                        return Err(no_collection(&create.collection_name));
                    }
                    if names.contains(&create.alias_name) {
                        return Err(wrong(format!("there is a collection `{}`", create.alias_name)));
                    }
                    aliases.insert(create.alias_name, create.collection_name);
                }
                Action::RenameAlias(rename) => {
                    let target = aliases.remove(&rename.old_alias_name);
                    let target = target.ok_or_else(|| no_alias(&rename.old_alias_name))?;
                    aliases.insert(rename.new_alias_name, target);
                }
                Action::DeleteAlias(delete) => {
                    aliases.remove(&delete.alias_name).ok_or_else(|| no_alias(&delete.alias_name))?;
                }
            }
        }
        self.keep_aliases(aliases)
    }

    fn keep_aliases(&self, aliases: BTreeMap<String, String>) -> Result<(), Status> {
        write(&self.folder.join("../aliases.json"), &aliases)?;
        *self.aliases.write().unwrap_or_else(PoisonError::into_inner) = aliases;
        Ok(())
    }
}

fn no_alias(name: &str) -> Status {
    Status::not_found(format!("Not found: Alias `{name}` doesn't exist!"))
}

fn remove(folder: &Path) -> Result<(), Status> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(internal(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, content: &impl Serialize) -> Result<(), Status> {
    let fresh = path.with_extension("new");
    let text = serde_json::to_vec_pretty(content).map_err(internal)?;
    fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path)).map_err(internal)
}
