//! The filters in the commands of `docs/testing.md` exist: a filter that matches no test passes silently.

use std::path::Path;

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
