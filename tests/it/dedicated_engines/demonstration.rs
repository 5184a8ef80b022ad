//! The README's first command: it starts everything, imports notices, runs queries, reports whether all stores agree,
//! and shows the flows.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use tests::{medhub_local, output_text, run_with_own_engines};

#[test]
fn the_demonstration_fills_all_stores_consistently_answers_every_query_and_shows_the_flows() {
    run_with_own_engines();
    let folder = tempfile::Builder::new().prefix("medhub-demo-").tempdir().unwrap();
    // Postgres runs as another user when the tests run as root.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut demo = Command::new(medhub_local());
    demo.arg("--data").arg(folder.path().join("demo"));
    demo.args(["demo", "--exit", "--rows", "2000", "--visits", "50"]).stdin(Stdio::null());

    let output = demo.output().unwrap();

    // It ends with success only if all stores agree, every query was answered, and the flows came to their end.
    let text = output_text(&output);
    assert!(output.status.success(), "{text}");
    let steps: Vec<_> = text.lines().filter_map(|line| line.trim_start().split_once(" s: ")).collect();
    let find_step = |step: &str| steps.iter().find(|(begin, _)| begin.starts_with(step)).map(|(_, what)| *what);
    assert_eq!(find_step("notice -> inbox in "), Some("Lifts: Ceiling lifts for patients"), "{text}");
    assert_eq!(find_step("upload -> inbox in "), Some("Document analysed: rfq-ceiling-lifts.pdf"), "{text}");
    let analysed = "rfq-ceiling-lifts.pdf, 2 pages, 4 requirements";
    assert_eq!(find_step("upload -> analysed in "), Some(analysed), "{text}");
    assert_eq!(find_step("request -> generated in "), Some("2 sections"), "{text}");
    assert!(text.contains("240 ceiling lifts for patients") && text.contains("] Ceiling lifts 2029"), "{text}");
    for step in ["notice -> mail in ", "upload -> mail in ", "request -> mail in "] {
        let mail = folder.path().join("demo/mails").join(find_step(step).unwrap_or_else(|| panic!("{text}")));
        assert!(fs::read_to_string(&mail).unwrap().contains("\nTo: ann@demo-"), "{}", mail.display());
    }
    let trails: Vec<_> = text.split("$ medhub trail ").skip(1).collect();
    for (trail, first) in
        trails.iter().zip(["opportunity.discovered", "document.uploaded", "proposal_generation.requested"])
    {
        // The tree begins with its cause and has the mail as its last effect.
        let events = trail.lines().skip(2).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        assert!(events.lines().next().unwrap_or_default().contains(first), "{text}");
        assert!(events.contains("└─ inbox.mail_sent"), "{text}");
    }
    assert_eq!(trails.len(), 3, "{text}");
}
