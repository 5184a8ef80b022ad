//! Feature flags: changed by operators over GraphQL and the command line, followed by all programs.

use std::collections::BTreeMap;

use super::*;
use tests::{ProductProcess, SignedInUser, error_code, unique_name};

/// Companies whose variants are compared.
const TENANTS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// A program beside the product, with settings of its own.
struct SecondProgram {
    process: ProductProcess,
    token: String,
    _logs: tempfile::TempDir,
}

impl SecondProgram {
    async fn start(product: &ProductHandle, settings: &[(&str, &str)]) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let mut variables = product.variables().clone();
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let args = ["serve", "--role", "api"];
        let process = ProductProcess::start(&variables, logs.path(), "second", &args).unwrap();
        let mut second = Self { process, token: product.operator_token().to_owned(), _logs: logs };
        second.wait_until_ready().await;
        second
    }

    async fn wait_until_ready(&mut self) {
        eventually(async || {
            anyhow::ensure!(self.process.fetch_readiness().await?["ready"] == true, "not ready");
            anyhow::Ok(())
        })
        .await;
    }

    async fn restart(&mut self) {
        self.process.kill9().unwrap();
        self.process.launch().unwrap();
        self.wait_until_ready().await;
    }

    async fn send(&self, document: &str) -> Value {
        let request = tests::new_http_client().post(format!("{}/graphql", self.process.http().unwrap()));
        let request = request.bearer_auth(&self.token).json(&json!({ "query": document }));
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// Sends a mutation as the operator, which is accepted, and returns the version.
async fn change_flag(product: &ProductHandle, mutation: &str) -> u64 {
    let selection = "{ ... on Accepted { version } ... on Rejected { rule reason } }";
    let answer = product.send_graphql(&format!("mutation {{ outcome: {mutation} {selection} }}"), json!({})).await;
    answer["data"]["outcome"]["version"].as_u64().unwrap_or_else(|| panic!("{mutation}: {answer}"))
}

/// A query of a flag with the variants of [`TENANTS`].
fn flag_query(key: &str) -> String {
    let assignments = TENANTS.map(|tenant| format!("{tenant}: assignment(tenant: \"{tenant}\") {{ variant reason }}"));
    format!("{{ featureFlag(key: \"{key}\") {{ enabled version {} }} }}", assignments.join(" "))
}

/// The variant of each company in an answer to [`flag_query`], all for the same reason.
fn assigned_variants<'a>(answer: &'a Value, reason: &str) -> BTreeMap<&'static str, &'a str> {
    let flag = &answer["data"]["featureFlag"];
    let variant = |tenant: &'static str| {
        assert_eq!(flag[tenant]["reason"], reason, "{answer}");
        (tenant, flag[tenant]["variant"].as_str().unwrap())
    };
    TENANTS.map(variant).into()
}

/// Waits until the second program has read the flag in this version.
async fn wait_for_version(second: &SecondProgram, key: &str, version: u64) -> Value {
    eventually(async || {
        let answer = second.send(&flag_query(key)).await;
        let is_read = answer["data"]["featureFlag"]["version"] == json!(version);
        if is_read { Ok(answer) } else { Err(answer.to_string()) }
    })
    .await
}

#[tokio::test]
async fn a_change_reaches_all_programs_and_assignments_are_the_same_in_all_of_them() {
    let product = shared_product().await;
    // Always the same key, because the variants of the companies follow from it.
    let key = "assignment-trial";
    let mut second = SecondProgram::start(product, &[("MEDHUB__FLAGS__PIN_TRIAL__PROMPT", "v2")]).await;

    let variants = "variants: [{ name: \"control\", weight: 1 }, { name: \"b\", weight: 1 }]";
    let define = format!("defineFeatureFlag(key: \"{key}\", description: \"A trial\", {variants}, enabled: true)");
    let version = change_flag(product, &define).await;
    let first_answer = product.send_graphql(&flag_query(key), json!({})).await;
    let assigned = assigned_variants(&first_answer, "WEIGHTS");
    assert!(TENANTS.iter().any(|tenant| assigned[tenant] == "b") && assigned.values().any(|name| *name == "control"));
    let second_answer = wait_for_version(&second, key, version).await;
    assert_eq!(assigned_variants(&second_answer, "WEIGHTS"), assigned);

    second.restart().await;
    // The flags are read before the program is ready.
    let restarted = second.send(&flag_query(key)).await;
    assert_eq!(assigned_variants(&restarted, "WEIGHTS"), assigned);
    for tenant in ["a", "b"] {
        let args = ["flags", "show", key, "--tenant", tenant, "--json"];
        let shown = json_lines(&product.run_medhub(&args).await).remove(0);
        assert_eq!(shown["assignment"], json!({ "tenant": tenant, "variant": assigned[tenant], "reason": "weights" }));
    }

    let switched =
        change_flag(product, &format!("switchFeatureFlag(key: \"{key}\", enabled: false, reason: \"done\")")).await;
    let second_answer = wait_for_version(&second, key, switched).await;
    assert!(assigned_variants(&second_answer, "DISABLED").values().all(|variant| *variant == "control"));
    let overridden = product.run_medhub(&["flags", "override", key, "c", "b", "--reason", "asked for it"]).await;
    assert!(overridden.status.success(), "{}", output_text(&overridden));
    let second_answer = wait_for_version(&second, key, switched + 1).await;
    let assignment = &second_answer["data"]["featureFlag"]["c"];
    assert_eq!(assignment, &json!({ "variant": "b", "reason": "OVERRIDE" }));

    let history =
        format!("{{ featureFlagHistory(key: \"{key}\") {{ changes {{ kind summary reason by }} hasMore }} }}");
    let history = second.send(&history).await["data"]["featureFlagHistory"].clone();
    let changes = history["changes"].as_array().unwrap();
    let kinds = ["feature_flag.defined", "feature_flag.switched", "feature_flag.override_set"];
    assert!(changes.iter().map(|change| &change["kind"]).eq(kinds), "{history}");
    assert_eq!((&changes[1]["reason"], &changes[1]["by"]), (&json!("done"), &json!("operator")));
    assert_eq!(changes[2]["summary"], "override of c set to b");
    assert!(changes[2]["by"].as_str().unwrap().contains('@'), "the user of the command line: {history}");

    a_pin_of_the_settings_counts_in_its_program_only(product, &second).await;
}

async fn a_pin_of_the_settings_counts_in_its_program_only(product: &ProductHandle, second: &SecondProgram) {
    let define = "defineFeatureFlag(key: \"pin-trial.prompt\", description: \"A trial\")";
    let version = change_flag(product, define).await;
    let pinned = wait_for_version(second, "pin-trial.prompt", version).await;
    assert!(assigned_variants(&pinned, "PINNED").values().all(|variant| *variant == "v2"));
    let first = product.send_graphql(&flag_query("pin-trial.prompt"), json!({})).await;
    assert!(assigned_variants(&first, "DISABLED").values().all(|variant| *variant == "off"));
}

#[tokio::test]
async fn only_operators_see_and_change_flags() {
    let product = shared_product().await;
    let admin = SignedInUser::register_company(product, &unique_name("ada"), &unique_name("acme")).await;
    let key = unique_name("flag");
    change_flag(product, &format!("defineFeatureFlag(key: \"{key}\", description: \"A trial\")")).await;

    let outcome = "{ __typename }";
    let variants = "variants: [{ name: \"off\", weight: 0 }, { name: \"on\", weight: 1 }]";
    for document in [
        "{ featureFlags { key } }".to_owned(),
        format!("{{ featureFlag(key: \"{key}\") {{ key }} }}"),
        format!("{{ featureFlagHistory(key: \"{key}\") {{ hasMore }} }}"),
        format!("mutation {{ defineFeatureFlag(key: \"{key}\", description: \"x\") {outcome} }}"),
        format!("mutation {{ switchFeatureFlag(key: \"{key}\", enabled: true, reason: \"x\") {outcome} }}"),
        format!("mutation {{ changeFlagVariants(key: \"{key}\", {variants}, reason: \"x\") {outcome} }}"),
        format!(
            "mutation {{ setFlagOverride(key: \"{key}\", tenant: \"a\", variant: \"on\", reason: \"x\") {outcome} }}"
        ),
        format!("mutation {{ removeFlagOverride(key: \"{key}\", tenant: \"a\", reason: \"x\") {outcome} }}"),
        format!("mutation {{ archiveFeatureFlag(key: \"{key}\", reason: \"x\") {outcome} }}"),
    ] {
        let answers = [
            admin.send_document(&document, json!({})).await,
            product.send_graphql_as(None, &document, json!({})).await,
        ];
        for answer in answers {
            assert_eq!(error_code(&answer), "FORBIDDEN", "{document}: {answer}");
        }
    }
    let unchanged = product.send_graphql(&flag_query(&key), json!({})).await;
    assert_eq!(unchanged["data"]["featureFlag"]["version"], 1, "{unchanged}");
}

#[tokio::test]
async fn the_command_line_defines_and_changes_flags_and_explains_refusals() {
    let product = shared_product().await;
    let key = unique_name("flag");
    let run = async |args: &[&str]| {
        let output = product.run_medhub(&[&["flags"], args].concat()).await;
        (output.status.code(), output_text(&output))
    };

    let define = ["define", &key, "--description", "A trial", "--variant", "control=50", "--variant", "b=50"];
    assert_eq!(run(&define).await, (Some(0), format!("{key} is defined, version 1\n")));
    assert_eq!(run(&define).await, (Some(0), format!("{key} is defined already, version 1\n")));
    let enabled = run(&["switch", &key, "on", "--reason", "a trial"]).await;
    assert_eq!(enabled, (Some(0), format!("{key} is enabled, version 2\n")));
    let weighted = run(&["weights", &key, "b=20", "c=30", "--reason", "a third variant"]).await;
    assert_eq!(weighted, (Some(0), format!("{key} has the variants control=50 b=20 c=30, version 3\n")));
    let listed = run(&["list"]).await.1;
    let line = listed.lines().find(|line| line.starts_with(&key)).unwrap();
    assert!(line.contains(": enabled, control=50 b=20 c=30, version 3 of "), "{line}");
    assert!(listed.contains("proposal-generation.provider: not defined, everybody has control"), "{listed}");
    let history = run(&["history", &key, "--limit", "2"]).await.1;
    let changes: Vec<_> = history.lines().collect();
    assert!(
        changes.len() == 2 && changes[0].starts_with("2 ") && changes[0].ends_with(" enabled: a trial"),
        "{history}"
    );

    let misnamed = |key: &'static str, variant: &'static str| {
        vec!["define", key, "--description", "x", "--variant", "control=1", "--variant", variant]
    };
    for (args, explanation) in [
        (misnamed("proposal-generation.prompt", "99=1"), "a version of the prompt that this program has"),
        (misnamed("proposal-generation.provider", "mian=1"), "language_models.providers"),
        (vec!["show", "no-such-flag"], "`medhub flags list` lists all"),
        (vec!["switch", "no-such-flag", "on", "--reason", "x"], "the flag is not defined; define it first"),
        (vec!["override", &key, "acme", "d", "--reason", "x"], "the flag has no such variant"),
        (vec!["weights", &key, "--remove", "control", "--reason", "x"], "the first variant is the control"),
        (vec!["define", &key, "--description", "Another"], "the flag is already defined"),
    ] {
        let (code, text) = run(&args).await;
        assert!(code == Some(1) && text.contains(explanation), "{args:?}: {text}");
    }
    for (args, explanation) in [
        (vec!["switch", &key, "on"], "--reason"),
        (vec!["weights", &key, "b", "--reason", "x"], "e.g. control=50"),
        (vec!["show", "No Flag"], "lower-case letters, digits, hyphens and dots"),
    ] {
        let (code, text) = run(&args).await;
        assert!(code == Some(2) && text.contains(explanation), "{args:?}: {text}");
    }
    let mut command = product.medhub_command(&["flags", "list"]);
    let invalid = command.env("MEDHUB__FLAGS__SEARCH__RANKING", "Words!").output().unwrap();
    let text = output_text(&invalid);
    assert!(!invalid.status.success() && text.contains("flags"), "{text}");
    assert!(text.contains("\"Words!\" is not lower-case letters"), "{text}");
    let archived = run(&["archive", &key, "--reason", "the trial is over"]).await;
    assert_eq!(archived, (Some(0), format!("{key} is archived, version 4\n")));
}
