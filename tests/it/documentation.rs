//! Documents name what exists: the filters of `docs/testing.md`, since a filter that matches no test passes silently, and the
//! files that guides send their readers to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The filters of end-to-end tests in the commands of a page.
fn test_filters(page: &str) -> Vec<&str> {
    let after_target = page.lines().flat_map(|line| line.split("--test it").skip(1));
    let filters = after_target.map(|rest| rest.trim_start().trim_start_matches("-- "));
    let is_path = |character: char| character.is_ascii_lowercase() || "_:".contains(character);
    let words = filters.map(|filter| filter.split(|character| !is_path(character)).next().unwrap_or_default());
    words.filter(|filter| !filter.is_empty()).collect()
}

#[test]
fn commands_of_the_testing_guide_select_modules_that_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(workspace.join("docs/testing.md")).unwrap();
    let filters = test_filters(&page);
    assert!(filters.len() > 3, "{filters:?}");
    for filter in filters {
        let file = workspace.join("tests/it").join(filter.replace("::", "/")).with_extension("rs");
        assert!(file.exists(), "docs/testing.md selects {filter}, and there is no {}", file.display());
    }
}

#[test]
fn filters_are_found_in_both_forms_of_the_command() {
    let page =
        "cargo test -p tests --test it alone    # time\n`cargo test --workspace --test it -- graphql::past` and NAME";
    assert_eq!(test_filters(page), ["alone", "graphql::past"]);
    assert_eq!(test_filters("cargo test --workspace --test it -- NAME"), Vec::<&str>::new());
}

/// Endings of files that a page may name.
const FILE_ENDINGS: [&str; 7] = [".rs", ".sql", ".lua", ".graphql", ".json", ".proto", ".md"];

/// The paths of files that a page names in code spans. Patterns and paths of requests are left out.
fn named_files(page: &str) -> BTreeSet<String> {
    let spans = page.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_path = |span: &&str| {
        let plain = |character: char| character.is_ascii_alphanumeric() || "_-./".contains(character);
        FILE_ENDINGS.iter().any(|ending| span.ends_with(ending)) && span.chars().all(plain) && !span.starts_with('/')
    };
    spans.filter(is_path).map(str::to_owned).collect()
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.') {
            collect_files(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// The named files that do not exist. A short path matches any file whose path ends with it.
fn missing_files(page: &str, files: &[PathBuf]) -> Vec<String> {
    let exists = |name: &String| files.iter().any(|file| file.ends_with(name));
    named_files(page).into_iter().filter(|name| !exists(name)).collect()
}

#[test]
fn files_that_guides_name_exist() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![];
    collect_files(workspace, &mut files);
    let is_guide = |file: &&PathBuf| {
        let path = file.strip_prefix(workspace).unwrap();
        let is_decision = path.starts_with("docs/adr");
        let name = path.to_string_lossy();
        (path.starts_with("docs") && name.ends_with(".md") && !is_decision)
            || name == "README.md"
            || name == "CONTRIBUTING.md"
    };
    let guides: Vec<_> = files.iter().filter(is_guide).collect();
    assert!(guides.len() > 8, "{guides:?}");
    for guide in guides {
        let page = std::fs::read_to_string(guide).unwrap();
        assert_eq!(missing_files(&page, &files), Vec::<String>::new(), "{}", guide.display());
    }
}

#[test]
fn a_file_that_does_not_exist_is_noticed() {
    let page = "See `src/lib.rs`, `gone.rs` and `/api/x.json`.\n```sh\ncat `none.md`\n```\n`a/*.rs` `b.rs`";
    let files = ["/w/api/src/lib.rs", "/w/b.rs"].map(PathBuf::from);
    assert_eq!(missing_files(page, &files), ["gone.rs"]);
}
