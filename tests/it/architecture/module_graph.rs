//! The modules of a crate and which of them use which, read from its sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, UseTree,
    visit::{self, Visit},
};

/// A path in the module tree, from the crate's root: `["graphql", "proposal"]`.
type ModulePath = Vec<String>;

/// How many re-exports in a row are followed.
const MAX_REEXPORTS: usize = 16;

/// The modules of one crate. Tests (`#[cfg(test)]`) are no part of it.
#[derive(Default)]
pub(super) struct ModuleGraph {
    modules: BTreeMap<ModulePath, ParsedModule>,
}

#[derive(Default)]
struct ParsedModule {
    /// Whether the module has a folder.
    is_folder: bool,
    /// What `use` brings into the module, by its name there.
    imports: BTreeMap<String, ModulePath>,
    /// Modules whose items are all imported by `*`.
    globs: Vec<ModulePath>,
    /// All paths in the source that may lead to another module.
    references: Vec<ModulePath>,
}

/// One sibling uses another: `parent`, `from`, `to`.
pub(super) type FolderArrow = (String, String, String);

impl ModuleGraph {
    /// Reads a crate from its root file.
    pub(super) fn read(root: &Path) -> Self {
        let mut graph = Self::default();
        let folder = root.parent().unwrap().to_owned();
        graph.read_module(root, &folder, &[]);
        graph
    }

    /// Reads the file of a module whose children are in `folder`.
    fn read_module(&mut self, file: &Path, folder: &Path, path: &[String]) {
        let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&source).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut module = ParsedModule { is_folder: folder.is_dir() && !path.is_empty(), ..ParsedModule::default() };
        let mut children: Vec<(String, PathBuf)> = vec![];
        for item in &parsed.items {
            if let Item::Mod(declared) = item
                && declared.content.is_none()
                && !is_test(&declared.attrs)
            {
                let name = declared.ident.to_string();
                children.push((name.clone(), folder.join(name)));
            }
        }
        let mut collector = PathCollector { module: path, collected: &mut module, children: &children };
        collector.visit_file(&parsed);
        self.modules.insert(path.to_vec(), module);
        for (name, child_folder) in children {
            let mut child_path = path.to_vec();
            child_path.push(name);
            let file = child_folder.with_extension("rs");
            self.read_module(&file, &child_folder, &child_path);
        }
    }

    /// The module that defines what `path` names, after all re-exports.
    fn resolve(&self, path: &[String]) -> ModulePath {
        let mut wanted = path.to_vec();
        for _ in 0..MAX_REEXPORTS {
            let depth =
                (0..=wanted.len()).rev().find(|depth| self.modules.contains_key(&wanted[..*depth])).unwrap_or(0);
            let module = wanted[..depth].to_vec();
            let Some(name) = wanted.get(depth) else { return module };
            let Some(known) = self.modules.get(&module) else { return module };
            let Some(target) = known.imports.get(name) else { return self.resolve_glob(&module, name) };
            let rest = wanted[depth + 1..].to_vec();
            wanted = [target.clone(), rest].concat();
        }
        wanted
    }

    /// The module that provides a name through a glob import, or else `module` itself.
    fn resolve_glob(&self, module: &ModulePath, name: &str) -> ModulePath {
        let globs = self.modules.get(module).map_or(&[][..], |known| &known.globs[..]);
        let offers = |target: &&ModulePath| {
            self.modules.get(*target).is_some_and(|known| known.imports.contains_key(name))
                || self.modules.contains_key(&[(*target).clone(), vec![name.to_owned()]].concat())
        };
        globs.iter().find(offers).map_or_else(|| module.clone(), |target| self.resolve(target))
    }

    /// All arrows between siblings. A module that uses its parent or its child has none.
    pub(super) fn arrows(&self) -> BTreeSet<FolderArrow> {
        let mut arrows = BTreeSet::new();
        for (from, module) in &self.modules {
            for reference in &module.references {
                let to = self.resolve(reference);
                let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
                    arrows.insert((from[..shared].join("/"), one.clone(), other.clone()));
                }
            }
        }
        arrows
    }

    /// The sibling folders that use each other, directly or by a detour over other siblings: a line for each circle.
    pub(super) fn folder_circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let parents: BTreeSet<_> = arrows.iter().map(|(parent, ..)| parent.clone()).collect();
        let mut circles = vec![];
        for parent in parents {
            let inside: Vec<_> = arrows.iter().filter(|(at, ..)| *at == parent).collect();
            let mut seen = BTreeSet::new();
            for (_, from, _) in &inside {
                let circle = find_circle(from, &inside);
                let folders: Vec<_> = circle.iter().filter(|name| self.is_folder(&parent, name)).cloned().collect();
                if folders.len() > 1 && seen.insert(circle.clone()) {
                    circles.push(format!("{parent}: {}", circle.into_iter().collect::<Vec<_>>().join(" <-> ")));
                }
            }
        }
        circles
    }

    fn is_folder(&self, parent: &str, name: &str) -> bool {
        let mut path: ModulePath = parent.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        path.push(name.to_owned());
        self.modules.get(&path).is_some_and(|module| module.is_folder)
    }
}

/// The siblings that can be reached from `start` and reach it.
fn find_circle(start: &str, arrows: &[&FolderArrow]) -> BTreeSet<String> {
    let reach = |begin: &str, forward: bool| {
        let mut reached = BTreeSet::new();
        let mut open = vec![begin.to_owned()];
        while let Some(at) = open.pop() {
            for (_, from, to) in arrows {
                let (here, there) = if forward { (from, to) } else { (to, from) };
                if *here == at && reached.insert(there.clone()) {
                    open.push(there.clone());
                }
            }
        }
        reached
    };
    reach(start, true).intersection(&reach(start, false)).cloned().collect()
}

/// Collects the paths of one file.
struct PathCollector<'a> {
    module: &'a [String],
    collected: &'a mut ParsedModule,
    children: &'a [(String, PathBuf)],
}

impl PathCollector<'_> {
    /// The path from the crate's root; `None` for paths of other crates and local names.
    fn absolute_path(&self, segments: &[String]) -> Option<ModulePath> {
        let mut base = self.module.to_vec();
        let mut rest = segments;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first if self.children.iter().any(|(name, _)| name == first) => {}
            _ => return None,
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn add_use(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_use(&path.tree, &with(path.ident.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add_use(item, before)),
            UseTree::Glob(_) => {
                if let Some(target) = self.absolute_path(before) {
                    self.collected.references.push(target.clone());
                    self.collected.globs.push(target);
                }
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                let path = if name == "self" { before.to_vec() } else { with(name) };
                let alias = path.last().cloned().unwrap_or_default();
                self.add_import(alias, &path);
            }
            UseTree::Rename(rename) => {
                let name = rename.ident.to_string();
                let path = if name == "self" { before.to_vec() } else { with(name) };
                self.add_import(rename.rename.to_string(), &path);
            }
        }
    }

    fn add_import(&mut self, alias: String, path: &[String]) {
        if let Some(target) = self.absolute_path(path) {
            self.collected.references.push(target.clone());
            self.collected.imports.insert(alias, target);
        }
    }
}

impl<'ast> Visit<'ast> for PathCollector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::Use(declared) = item
            && !is_test(&declared.attrs)
        {
            self.add_use(&declared.tree, &[]);
        }
        let is_test_module = matches!(item, Item::Mod(declared) if is_test(&declared.attrs));
        if !is_test_module {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1
            && let Some(target) = self.absolute_path(&segments)
        {
            self.collected.references.push(target);
        }
        visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}
