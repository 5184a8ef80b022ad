//! Broken sources: a clear error, an exit code other than success, and no loss of valid rows.

use std::{fs, path::PathBuf, process::Output};

use serde_json::Value;
use synthetic::notice_generator;
use tempfile::TempDir;

use tests::{ProductInstance, notice_import::wait_for_agreed_counts};

/// A product with twenty generated notices, and a folder for broken files.
struct ImportCase {
    product: ProductInstance,
    folder: TempDir,
    good: String,
    before: Value,
}

impl ImportCase {
    async fn set_up() -> Self {
        let (product, folder) = (ProductInstance::start().await, tempfile::tempdir().unwrap());
        let mut good = Vec::new();
        notice_generator::write_csv(&mut good, 20, 7, |_| {}).unwrap();
        let good = String::from_utf8(good).unwrap();
        let case = Self { product, folder, good, before: Value::Null };
        let output = case.import_file("good.csv", case.good.as_bytes()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let before = wait_for_agreed_counts(&case.product).await;
        Self { before, ..case }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn import_file(&self, name: &str, bytes: &[u8]) -> Output {
        self.import_with(name, bytes, &[]).await
    }

    async fn import_with(&self, name: &str, bytes: &[u8], options: &[&str]) -> Output {
        fs::write(self.path(name), bytes).unwrap();
        let path = self.path(name);
        self.product.run_medhub(&[&["import", path.to_str().unwrap(), "--json"], options].concat()).await
    }

    /// Checks that an import accepts all rows, lists values of these columns as left out, and warns with these texts.
    async fn assert_accepts(&self, name: &str, bytes: &[u8], columns: &[&str], warnings: &[&str]) {
        let output = self.import_file(name, bytes).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {text}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&summary["rejected"], &summary["left_out"]),
            (&0.into(), &columns.len().into()),
            "{name}: {summary}"
        );
        let report = summary["report"].as_str().map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
        let listed: Vec<_> =
            report.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().trim_matches('"')).collect();
        assert_eq!(listed, columns, "{name}: {report}");
        for warning in warnings {
            assert!(text.contains(warning) && summary["warnings"].to_string().contains(warning), "{name}: {text}");
        }
    }

    /// Checks that an import fails with these words, and that the stores are unchanged.
    async fn assert_refuses(&self, name: &str, bytes: &[u8], words: &[&str]) {
        let output = self.import_file(name, bytes).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{name} was accepted: {text}");
        for word in words {
            assert!(text.contains(word), "{name}: {word:?} is not in: {text}");
        }
        assert!(!text.contains("panicked"), "{name}: {text}");
        assert_eq!(wait_for_agreed_counts(&self.product).await, self.before, "{name}");
    }

    /// Checks that an import accepts the valid rows, lists `line` with `words` in its report, and ends without success.
    async fn assert_lists(&self, name: &str, bytes: &[u8], line: u64, words: &str) {
        let output = self.import_file(name, bytes).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{name}: {text}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{name}: {text}"));
        assert_eq!(summary["rejected"], 1, "{name}: {summary}");
        let report = fs::read_to_string(summary["report"].as_str().unwrap()).unwrap();
        let listed = report.lines().any(|row| row.starts_with(&format!("{line},")) && row.contains(words));
        assert!(listed, "{name}: line {line} with {words:?} is not in:\n{report}");
        assert_eq!(summary["imported"], 1, "the valid row after the broken one is imported: {summary}");
    }
}

#[tokio::test]
async fn broken_sources_are_refused_or_listed_and_valid_rows_are_imported() {
    let case = ImportCase::set_up().await;
    let header = case.good.lines().next().unwrap().to_owned();

    case.assert_refuses("empty.csv", b"", &["empty"]).await;
    case.assert_refuses("columns.csv", b"Name,Phone\nx,y\n", &["NoticeId"]).await;
    case.assert_refuses("image.csv", &[0x89, b'P', b'N', b'G', 0, 1, 2, 3], &[]).await;
    case.assert_refuses("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 1, 2], &["gzip"]).await;
    fs::create_dir(case.path("folder")).unwrap();
    let output = case.product.run_medhub(&["import", case.path("folder").to_str().unwrap()]).await;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("directory"), "{text}");
    let output = case.product.run_medhub(&["import", case.path("absent.csv").to_str().unwrap()]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("absent.csv"));
    assert_eq!(wait_for_agreed_counts(&case.product).await, case.before);

    let row = |id: &str, title: &str, naics: &str| {
        let cells = header.split(',').map(|column| match column {
            "NoticeId" | "Sol#" => id,
            "Title" => title,
            "Department/Ind.Agency" => "\"VETERANS AFFAIRS, DEPARTMENT OF\"",
            "PostedDate" => "2026-03-03 07:17:50.808-05",
            "Type" | "BaseType" => "Solicitation",
            "NaicsCode" => naics,
            _ => "",
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let file = |bad: &[u8], good: &str| {
        let good = row(good, "Bed rails", "339113");
        [header.as_bytes(), b"\n", bad, b"\n", good.as_bytes(), b"\n"].concat()
    };
    let latin1 = row("b1", "Caf\u{1}", "339113").replace('\u{1}', "~").into_bytes();
    let latin1: Vec<u8> = latin1.into_iter().map(|byte| if byte == b'~' { 0xe9 } else { byte }).collect();
    case.assert_accepts("latin1.csv", &file(&latin1, "g1"), &[], &["1 rows are not UTF-8"]).await;
    let output = case.import_with("utf8.csv", &file(&latin1, "g1"), &["--encoding", "utf-8"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    case.assert_lists("short.csv", &file(b"only,three,fields", "g2"), 2, "fields").await;
    case.assert_accepts("naics.csv", &file(row("b3", "Lifts", "33X").as_bytes(), "g3"), &["NaicsCode"], &[]).await;
    case.assert_lists("notice-id.csv", &file(row("", "Lifts", "339113").as_bytes(), "g4"), 2, "NoticeId").await;
    let huge = row("b5", &"x".repeat(2 << 20), "339113");
    case.assert_lists("huge.csv", &file(huge.as_bytes(), "g5"), 2, "").await;

    let counts = wait_for_agreed_counts(&case.product).await;
    let streams = |counts: &Value| counts["postgres"]["opportunities"].as_u64().unwrap();
    assert_eq!(
        streams(&counts),
        streams(&case.before) + 7,
        "there were five valid rows beside three broken ones, and two accepted with warnings"
    );
}
