//! The examples of `docs/guides/extending.md`, over real engines: the guide quotes these files, and the patch that
//! registers them applies to the tree.

use std::{fs, path::Path, sync::Arc};

use commands::{
    authorization::{AuthorizedCommand, CallerAuthority, RequiredAuthority},
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::CommandPreconditions,
};
use cqrs_es::Aggregate as _;
use domain::{
    clock::SystemClock,
    company::Role,
    event_store::{BatchStore as _, NewEvent},
    fingerprint::Fingerprint,
    value::{TenantId, UserId},
};
use eventstore::{append::PgBatchStore, log::PgLogReader, postgres::PostgresConfig, store::PgEventStore};
use projections::runtime::{
    self, ConsumerConfig, ControlStore, DifferenceKind, Projection, ProjectionRuntime, ReadModelGeneration, Supervisor,
    VerifyOptions,
};
use schemas::{
    catalog::EventSchema, codec::EventDecoder, compatibility::find_incompatibilities, schema_parser::parse_schema,
};
use tokio_util::sync::CancellationToken;

use self::examples::{
    agency_figures::{AgencyFigures, AgencyTotals},
    checklist::{
        Checklist, ChecklistCommand, ChecklistEvent, ChecklistItem, ChecklistNote, ItemCompletion, ItemEvidence,
    },
};
use tests::{RunningRelay, eventually, opportunity_history::history};

#[expect(unreachable_pub, reason = "the examples are written as they stand in a library")]
#[path = "../../docs/guides/examples"]
mod examples {
    pub(super) mod agency_figures;
    pub(super) mod checklist;
}

// What an aggregate has from its line in `domain/src/lib.rs`.
impl Fingerprint for Checklist {
    const FINGERPRINT: &'static str = "example";
}

// As in the patch.
impl AuthorizedCommand for ChecklistCommand {
    fn required_authority(&self) -> RequiredAuthority {
        match self {
            Self::Create { .. } | Self::Tick { .. } => RequiredAuthority::AtLeast(Role::Contributor),
            Self::Close { .. } => RequiredAuthority::AtLeast(Role::Manager),
        }
    }
}

const CHECKLIST: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn member(tenant: &str, role: Role) -> CommandSender {
    let caller = Caller::new(UserId::try_new("ann").unwrap(), TenantId::try_new(tenant).unwrap());
    CommandSender { caller, authority: CallerAuthority::Member(role) }
}

fn item(text: &str) -> ChecklistItem {
    ChecklistItem::try_new(text).unwrap()
}

fn completion(note: Option<&str>) -> ItemCompletion {
    ItemCompletion {
        evidence: ItemEvidence::try_new("prices.xlsx").unwrap(),
        note: note.map(|note| ChecklistNote::try_new(note).unwrap()),
    }
}

#[tokio::test]
async fn the_aggregate_is_stored_and_an_event_of_an_earlier_version_is_lifted_when_it_is_loaded() {
    let pool = tests::database().await;
    let store = PgEventStore::<()>::new(pool.clone(), &PostgresConfig::default());
    let dispatcher = CommandDispatcher::new(store, Arc::new(SystemClock));
    let (contributor, manager) = (member("acme", Role::Contributor), member("acme", Role::Manager));
    let stamp = dispatcher.stamp(&contributor);
    let dispatch = async |sender: &CommandSender, command| {
        dispatcher.dispatch::<Checklist>(sender, CHECKLIST, &CommandPreconditions::default(), command).await
    };

    let items = ["price", "resumes"].map(item).into();
    let created = dispatch(&contributor, ChecklistCommand::Create { items, stamp: stamp.clone() }).await.unwrap();
    let stored = NewEvent {
        aggregate_type: Checklist::TYPE,
        aggregate_id: created.aggregate_id.clone(),
        sequence: 2,
        event_type: "checklist.item_ticked".to_owned(),
        event_version: "1.0".to_owned(),
        payload: r#"{"type":"item_ticked","item":"price","completion":{"evidence":"prices.xlsx"},
            "stamp":{"by":"ann","at":"2026-03-03T12:00:00Z"}}"#
            .to_owned(),
        metadata: contributor.caller.metadata(),
    };
    PgBatchStore::new(pool.clone()).append_events(vec![stored]).await.unwrap();
    let completion_with_note = completion(Some("checked"));
    let tick = ChecklistCommand::Tick { item: item("resumes"), completion: completion_with_note, stamp: stamp.clone() };
    dispatch(&contributor, tick).await.unwrap();

    let load = async |sender: &CommandSender| {
        dispatcher.load_aggregate::<Checklist>(&sender.caller.tenant_id, CHECKLIST).await.unwrap()
    };
    let done = [("price", None), ("resumes", Some("checked"))].map(|(text, note)| (item(text), Some(completion(note))));
    let loaded = load(&contributor).await;
    assert_eq!((loaded.state, loaded.version), (Checklist::Open(done.into()), 3));
    let elsewhere = load(&member("other", Role::Admin)).await;
    assert_eq!((elsewhere.state, elsewhere.version), (Checklist::Absent, 0));
    let versions: Vec<String> =
        sqlx::query_scalar("select event_version from events order by sequence").fetch_all(&pool).await.unwrap();
    assert_eq!(versions, ["1.0", "1.0", "1.1"]);

    let refused = dispatch(&contributor, ChecklistCommand::Close { stamp: stamp.clone() }).await;
    assert!(matches!(refused, Err(CommandError::Forbidden { .. })), "{refused:?}");
    dispatch(&manager, ChecklistCommand::Close { stamp }).await.unwrap();
    assert_eq!(load(&manager).await.state, Checklist::Closed);
}

/// The schema of a version, from the file that is named after event and version.
macro_rules! example_schema {
    ($event:literal, $version:literal, $record:literal) => {
        EventSchema::new(
            concat!("checklist.", $event),
            $version,
            concat!("medhub.checklist.", $record),
            include_str!(concat!(
                "../../docs/guides/examples/checklist/avro/checklist.",
                $event,
                "-",
                $version,
                ".avsc"
            )),
        )
    };
}

#[test]
fn every_version_has_a_schema_and_the_new_one_reads_what_the_old_one_wrote() {
    let stamp = r#""stamp":{"by":"ann","at":"2026-03-03T12:00:00Z"}"#;
    let old = example_schema!("item_ticked", "1.0", "ItemTicked");
    let new = example_schema!("item_ticked", "1.1", "ItemTicked");
    for (schema, fields) in [
        (&example_schema!("created", "1.0", "Created"), r#"{"type":"created","items":["price"],"#),
        (&old, r#"{"type":"item_ticked","item":"price","completion":{"evidence":"prices.xlsx"},"#),
        (&new, r#"{"type":"item_ticked","item":"price","completion":{"evidence":"prices.xlsx"},"#),
        (&new, r#"{"type":"item_ticked","item":"price","completion":{"evidence":"prices.xlsx","note":"checked"},"#),
        (&example_schema!("closed", "1.0", "Closed"), r#"{"type":"closed","#),
    ] {
        let payload = format!("{fields}{stamp}}}");
        let mut datum = vec![];
        schema.encode(&payload, &mut datum).unwrap();
        assert_eq!(EventDecoder::parse(schema.json).unwrap().decode_to_json(&datum).unwrap(), payload);
        assert!(serde_json::from_str::<ChecklistEvent>(&payload).is_ok(), "{payload}");
    }
    let [reader, writer] = [new, old].map(|schema| parse_schema(schema.json).unwrap());
    assert!(find_incompatibilities(&reader, &writer).is_empty());
}

#[tokio::test]
async fn the_projection_counts_each_event_once_and_differences_are_found() {
    let (pool, topics, redis) = (tests::database().await, tests::topics().await, tests::views_config().await);
    let figures = AgencyFigures::new(&redis).unwrap();
    let projections: Vec<Arc<dyn runtime::AnyProjection>> = vec![Arc::new(figures.clone())];
    let config = ConsumerConfig {
        brokers: topics.brokers.clone(),
        topic_prefix: topics.topic_prefix.clone(),
        group_prefix: format!("{}.", topics.topic_prefix),
        ..ConsumerConfig::default()
    };
    let (control, log) = (ControlStore::new(pool.clone()), PgLogReader::new(pool.clone()));
    let service = ProjectionRuntime::new(control, Arc::new(log), tests::registry().await, config);
    figures.prepare().await.unwrap();
    service.register_projections(&projections).await.unwrap();

    let events = history().into_iter().map(|event| NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: event.aggregate_id,
        sequence: event.sequence,
        event_type: event.event_type,
        event_version: event.event_version,
        payload: event.payload,
        metadata: event.metadata,
    });
    PgBatchStore::new(pool.clone()).append_events(events.collect()).await.unwrap();
    let relay = RunningRelay::start(&pool, &topics).await;
    let shutdown = CancellationToken::new();
    let workers = tokio::spawn(Supervisor::new(service.clone(), projections).run(shutdown.clone()));
    let end = service.log().load_fence().await.unwrap();
    eventually(async || {
        let position = service.load_applied_position(&figures, ReadModelGeneration::FIRST).await.unwrap();
        if position >= end { Ok(()) } else { Err(format!("{position} of {end}")) }
    })
    .await;

    let expected = [(1, 4), (1, 1), (1, 1)].map(|(opportunities, notices)| AgencyTotals { opportunities, notices });
    let totals = async || {
        let of = async |agency| figures.totals(agency).await.unwrap();
        [of("036").await, of("070").await, of("097").await]
    };
    assert_eq!(totals().await, expected);
    let repeated: Vec<_> = history().iter().flat_map(|event| AgencyFigures::project(event).unwrap()).collect();
    figures.apply(&repeated).await.unwrap();
    assert_eq!(totals().await, expected);

    let verify = async || {
        let verifying = service.verify(&figures, ReadModelGeneration::FIRST, VerifyOptions::default(), |_| {});
        verifying.await.unwrap()
    };
    let clean = verify().await;
    assert_eq!((clean.differences, clean.rows), (vec![], 7), "three opportunities, three agencies and the marker");
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{}agencies:g1:{{036}}:figures", redis.key_prefix);
    let _count: i64 = redis::cmd("HINCRBY").arg(key).arg("notices").arg(1).query_async(&mut connection).await.unwrap();
    let found = verify().await.differences;
    assert!(
        matches!(&found[..], [only] if only.key == "{036}:figures" && only.kind == DifferenceKind::Differs),
        "{found:?}"
    );

    shutdown.cancel();
    workers.await.unwrap().unwrap();
    relay.stop().await;
    figures.discard().await.unwrap();
}

fn read_document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of a page whose first line names a file after the language: the file, and the lines.
fn named_blocks(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```").skip(1).step_by(2);
    let named = blocks.filter_map(|block| {
        let (info, lines) = block.split_once('\n')?;
        let (_, file) = info.split_once(' ')?;
        Some((file.trim(), lines))
    });
    named.collect()
}

#[test]
fn excerpts_of_the_guide_are_in_the_files_that_they_name() {
    let guide = read_document("docs/guides/extending.md");
    assert!(guide.lines().count() < 200);
    let excerpts = named_blocks(&guide);
    assert!(excerpts.len() > 6, "{excerpts:?}");
    for (file, lines) in excerpts {
        assert!(read_document(&format!("docs/guides/{file}")).contains(lines), "{file} has not:\n{lines}");
    }
}

#[test]
fn only_blocks_that_name_a_file_are_excerpts() {
    let page = "```sh\nls\n```\n\n```rust examples/a.rs\nfn a() {}\n```\n";
    assert_eq!(named_blocks(page), [("examples/a.rs", "fn a() {}\n")]);
}

/// Why a unified diff does not apply to a tree, read by `read`: files that should be new, or lines that are not there.
fn patch_conflicts(patch: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut conflicts = vec![];
    for file in patch.split("diff --git ").skip(1) {
        let (header, hunks) = file.split_once("\n@@").unwrap_or((file, ""));
        let name = header.lines().find_map(|line| line.strip_prefix("+++ b/")).unwrap_or_default();
        let text = read(name);
        if header.contains("--- /dev/null") {
            conflicts.extend(text.map(|_| format!("{name} exists")));
            continue;
        }
        for hunk in hunks.split("\n@@") {
            let lines = hunk.lines().skip(1).filter(|line| line.starts_with([' ', '-']));
            let before: String = lines.flat_map(|line| [&line[1..], "\n"]).collect();
            if !text.as_ref().is_some_and(|text| text.contains(&before)) {
                conflicts.push(format!("{name} has not:\n{before}"));
            }
        }
    }
    conflicts
}

#[test]
fn the_patch_that_registers_the_aggregate_applies() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let patch = read_document("docs/guides/examples/checklist_edges.diff");
    // The guide's counts: new files, including a recorded one, and edits.
    let new_files = patch.matches("\nnew file mode").count();
    assert_eq!((new_files, patch.matches("diff --git ").count() - new_files), (3, 5));
    let conflicts = patch_conflicts(&patch, |name| fs::read_to_string(workspace.join(name)).ok());
    assert_eq!(conflicts, Vec::<String>::new(), "the patch changes with the lines around its own");
}

#[test]
fn a_patch_of_other_lines_is_noticed() {
    let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n one\n+two\n three\n@@ -9 +10 @@\n-nine\n+ten\n\
                 diff --git a/y b/y\n--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+y\n";
    let tree = |text: &'static str| move |name: &str| (name == "x").then(|| text.to_owned());
    assert_eq!(patch_conflicts(patch, tree("one\nthree\nfour\nnine\n")), Vec::<String>::new());
    assert_eq!(patch_conflicts(patch, tree("one\nthree\n")), ["x has not:\nnine\n"]);
    assert_eq!(patch_conflicts("diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@", tree("")), ["x exists"]);
}
