//! Commands for aggregates of tenants, over a real log: authorization, and isolation of tenants.

use commands::{
    authorization::{CallerAuthority, RequiredAuthority},
    command_batch::BatchedCommand,
    dispatcher::{CommandDispatcher, CommandOutcome, CommandSender},
};
use domain::{
    company::{Company, CompanyCommand, CompanyError, CompanyName, Role, Scope, ScopeSet},
    document::{Document, DocumentCommand, DocumentError, FileDigest, FileName, MediaType, ObjectKey, UploadedFile},
    proposal::{
        LifecyclePhase, Proposal, ProposalCommand, ProposalError, ProposalOutline, ProposalTitle, SectionChange,
        SectionContent, SectionHeading, SectionKey,
    },
    task::{SubjectKind, Task, TaskCommand, TaskKind, TaskSpec, TaskSubject, WorkerName},
};

use super::*;
use tests::database;

const PROPOSAL: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

type PgDispatcher = CommandDispatcher<PgEventStore<()>>;

async fn create_dispatcher() -> (PgPool, PgDispatcher) {
    let pool = database().await;
    let store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
    (pool, CommandDispatcher::new(store, Arc::new(SystemClock)))
}

fn create_sender(name: &str, tenant: &str, authority: CallerAuthority) -> CommandSender {
    let caller = Caller::new(UserId::try_new(name).unwrap(), TenantId::try_new(tenant).unwrap());
    CommandSender { caller, authority }
}

fn member_sender(name: &str, role: Role) -> CommandSender {
    create_sender(name, "acme", CallerAuthority::Member(role))
}

fn api_key_sender(scopes: &[Scope]) -> CommandSender {
    create_sender("worker", "acme", CallerAuthority::Machine(ScopeSet::try_new(scopes.iter().copied()).unwrap()))
}

fn draft_command(dispatcher: &PgDispatcher, sender: &CommandSender) -> ProposalCommand {
    ProposalCommand::Draft {
        opportunity_id: OpportunityId::parse("036:36C10G26R0005").unwrap(),
        title: ProposalTitle::try_new("Lifts").unwrap(),
        outline: ProposalOutline::default(),
        stamp: dispatcher.stamp(sender),
    }
}

fn edit_command(dispatcher: &PgDispatcher, sender: &CommandSender) -> ProposalCommand {
    let edit = SectionChange {
        section: SectionKey::try_new("approach").unwrap(),
        heading: SectionHeading::try_new("Approach").unwrap(),
        content: SectionContent::try_new("We deliver.").unwrap(),
        based_on: 0,
    };
    ProposalCommand::EditSection { edit, stamp: dispatcher.stamp(sender) }
}

async fn send_command(
    dispatcher: &PgDispatcher,
    sender: &CommandSender,
    command: ProposalCommand,
) -> Result<CommandOutcome, CommandError<ProposalError>> {
    dispatcher.dispatch::<Proposal>(sender, PROPOSAL, &CommandPreconditions::default(), command).await
}

fn is_forbidden<E: std::error::Error + 'static>(
    outcome: &Result<CommandOutcome, CommandError<E>>,
    expected: RequiredAuthority,
) -> bool {
    matches!(outcome, Err(CommandError::Forbidden { required }) if *required == expected)
}

#[tokio::test]
async fn members_write_a_proposal_and_only_a_manager_approves_it() {
    let (pool, dispatcher) = create_dispatcher().await;
    let (ann, bob) = (member_sender("ann", Role::Contributor), member_sender("bob", Role::Manager));
    send_command(&dispatcher, &ann, draft_command(&dispatcher, &ann)).await.unwrap();
    send_command(&dispatcher, &ann, edit_command(&dispatcher, &ann)).await.unwrap();
    let submit = ProposalCommand::SubmitForReview { stamp: dispatcher.stamp(&ann) };
    send_command(&dispatcher, &ann, submit).await.unwrap();

    let approve = |sender: &CommandSender| ProposalCommand::Approve { note: None, stamp: dispatcher.stamp(sender) };
    let by_ann = send_command(&dispatcher, &ann, approve(&ann)).await;
    let by_bob = send_command(&dispatcher, &bob, approve(&bob)).await.unwrap();

    assert!(is_forbidden(&by_ann, RequiredAuthority::AtLeast(Role::Manager)), "{by_ann:?}");
    assert_eq!((by_bob.version, by_bob.aggregate_id), (4, format!("acme:{PROPOSAL}")));
    let tenants: Vec<String> =
        sqlx::query_scalar("select distinct tenant_id from events").fetch_all(&pool).await.unwrap();
    assert_eq!(tenants, ["acme"]);
}

#[tokio::test]
async fn a_forbidden_command_appends_nothing() {
    let (pool, dispatcher) = create_dispatcher().await;
    for sender in [
        member_sender("vic", Role::Viewer),
        create_sender("nobody", "acme", CallerAuthority::Anonymous),
        create_sender("new", "acme", CallerAuthority::WithoutCompany),
        api_key_sender(&[Scope::Read, Scope::Tasks, Scope::Ingest]),
    ] {
        let outcome = send_command(&dispatcher, &sender, draft_command(&dispatcher, &sender)).await;
        assert!(is_forbidden(&outcome, RequiredAuthority::AtLeast(Role::Contributor)), "{sender:?}: {outcome:?}");
    }
    assert_eq!(count_events(&pool).await, 0);
    let writer = api_key_sender(&[Scope::Write]);
    assert!(send_command(&dispatcher, &writer, draft_command(&dispatcher, &writer)).await.is_ok());
}

#[tokio::test]
async fn an_aggregate_of_another_tenant_answers_like_a_missing_one() {
    let (_pool, dispatcher) = create_dispatcher().await;
    let ann = member_sender("ann", Role::Admin);
    send_command(&dispatcher, &ann, draft_command(&dispatcher, &ann)).await.unwrap();
    let eve = create_sender("eve", "other", CallerAuthority::Member(Role::Admin));

    let foreign = send_command(&dispatcher, &eve, edit_command(&dispatcher, &eve)).await;
    let unknown = dispatcher
        .dispatch::<Proposal>(&eve, "unknown", &CommandPreconditions::default(), edit_command(&dispatcher, &eve))
        .await;

    for outcome in [&foreign, &unknown] {
        assert!(matches!(outcome, Err(CommandError::Refused(ProposalError::NotDrafted))), "{outcome:?}");
    }
    assert_eq!(foreign.unwrap_err().to_string(), unknown.unwrap_err().to_string());
    send_command(&dispatcher, &eve, draft_command(&dispatcher, &eve))
        .await
        .expect("another tenant may use the same id");
}

#[tokio::test]
async fn a_tenant_has_one_company_under_any_id_and_only_its_admin_changes_it() {
    let (pool, dispatcher) = create_dispatcher().await;
    let (founder, admin) =
        (create_sender("ann", "acme", CallerAuthority::WithoutCompany), member_sender("ann", Role::Admin));
    let register = |name: &str, sender: &CommandSender| CompanyCommand::Register {
        name: CompanyName::try_new(name).unwrap(),
        founder: sender.caller.user_id.clone(),
        stamp: dispatcher.stamp(sender),
    };
    let none = CommandPreconditions::default();
    let registered = dispatcher.dispatch::<Company>(&founder, "", &none, register("Acme", &founder)).await.unwrap();
    let repeated = dispatcher.dispatch::<Company>(&founder, "x", &none, register("Other", &founder)).await;
    let user = UserId::try_new("bob").unwrap();
    let add = |sender: &CommandSender| CompanyCommand::AddMember {
        user: user.clone(),
        role: Role::Manager,
        stamp: dispatcher.stamp(sender),
    };
    let by_admin = dispatcher.dispatch::<Company>(&admin, "", &none, add(&admin)).await.unwrap();
    let manager = member_sender("bob", Role::Manager);
    let by_manager = dispatcher.dispatch::<Company>(&manager, "", &none, add(&manager)).await;

    assert_eq!((registered.aggregate_id.as_str(), by_admin.version), ("acme", 2));
    assert!(matches!(repeated, Err(CommandError::Refused(CompanyError::AlreadyRegistered))), "{repeated:?}");
    assert!(is_forbidden(&by_manager, RequiredAuthority::AtLeast(Role::Admin)), "{by_manager:?}");
    assert_eq!(count_events(&pool).await, 2);
}

#[tokio::test]
async fn only_workers_record_the_results_of_documents_and_tasks() {
    let (_pool, dispatcher) = create_dispatcher().await;
    let (ann, worker, none) =
        (member_sender("ann", Role::Admin), api_key_sender(&[Scope::Tasks]), CommandPreconditions::default());
    let upload = UploadedFile {
        file_name: FileName::try_new("rfp.pdf").unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1_024,
        sha256: FileDigest::try_new(&"ab".repeat(32)).unwrap(),
        object_key: ObjectKey::try_new("acme/1").unwrap(),
        opportunity_id: None,
    };
    let upload = DocumentCommand::Upload { upload, stamp: dispatcher.stamp(&ann) };
    dispatcher.dispatch::<Document>(&ann, "d", &none, upload).await.unwrap();
    let failure = |sender: &CommandSender| DocumentCommand::RecordFailure {
        stage: domain::document::ProcessingStage::Text,
        reason: domain::document::FailureReason::try_new("encrypted").unwrap(),
        stamp: dispatcher.stamp(sender),
    };
    let by_ann = dispatcher.dispatch::<Document>(&ann, "d", &none, failure(&ann)).await;
    assert!(is_forbidden::<DocumentError>(&by_ann, RequiredAuthority::HasScope(Scope::Tasks)), "{by_ann:?}");
    assert_eq!(dispatcher.dispatch::<Document>(&worker, "d", &none, failure(&worker)).await.unwrap().version, 2);

    let subject = TaskSubject::try_new(SubjectKind::Document, "d").unwrap();
    let spec = TaskSpec::new(TaskKind::ExtractText, subject);
    let request = TaskCommand::Request { spec, stamp: dispatcher.stamp(&ann) };
    dispatcher.dispatch::<Task>(&ann, "t", &none, request).await.unwrap();
    let start = TaskCommand::Start { worker: WorkerName::try_new("w").unwrap(), stamp: dispatcher.stamp(&worker) };
    assert!(is_forbidden(
        &dispatcher.dispatch::<Task>(&ann, "t", &none, start.clone()).await,
        RequiredAuthority::HasScope(Scope::Tasks)
    ));
    assert_eq!(dispatcher.dispatch::<Task>(&worker, "t", &none, start).await.unwrap().version, 2);
}

#[tokio::test]
async fn preconditions_apply_to_aggregates_of_tenants() {
    let (pool, dispatcher) = create_dispatcher().await;
    let ann = member_sender("ann", Role::Contributor);
    send_command(&dispatcher, &ann, draft_command(&dispatcher, &ann)).await.unwrap();
    let key = key_precondition("k", "edit");
    let first = dispatcher.dispatch::<Proposal>(&ann, PROPOSAL, &key, edit_command(&dispatcher, &ann)).await.unwrap();
    let repeated =
        dispatcher.dispatch::<Proposal>(&ann, PROPOSAL, &key, edit_command(&dispatcher, &ann)).await.unwrap();
    let outdated = dispatcher
        .dispatch::<Proposal>(&ann, PROPOSAL, &version_precondition(1), edit_command(&dispatcher, &ann))
        .await;

    assert_eq!((repeated.version, repeated.repeated, first.repeated), (first.version, true, false));
    assert!(matches!(outdated, Err(CommandError::Outdated { current: 2 })), "{outdated:?}");
    assert_eq!(count_events(&pool).await, 2);
    let submit = ProposalCommand::SubmitForReview { stamp: dispatcher.stamp(&ann) };
    send_command(&dispatcher, &ann, submit).await.unwrap();
    let late = send_command(&dispatcher, &ann, edit_command(&dispatcher, &ann)).await;
    let expected = ProposalError::WrongPhase { phase: LifecyclePhase::InReview, needed: LifecyclePhase::Draft };
    assert!(
        matches!(late, Err(CommandError::Refused(error)) if error == expected),
        "the aggregate refuses, not the dispatcher"
    );
}

#[tokio::test]
async fn commands_of_a_batch_are_decided_one_after_another_and_appended_at_once() {
    let (pool, dispatcher) = create_dispatcher().await;
    let ann = member_sender("ann", Role::Contributor);
    let eve = create_sender("eve", "other", CallerAuthority::Member(Role::Admin));
    let batched = |sender: &CommandSender, key: &str, command: ProposalCommand| BatchedCommand {
        sender: sender.clone(),
        conditions: key_precondition(key, key),
        command,
    };
    let batch = [
        batched(&ann, "draft", draft_command(&dispatcher, &ann)),
        batched(&ann, "edit", edit_command(&dispatcher, &ann)),
        batched(&ann, "approve", ProposalCommand::Approve { note: None, stamp: dispatcher.stamp(&ann) }),
        batched(&eve, "by-another", edit_command(&dispatcher, &eve)),
        batched(&ann, "submit", ProposalCommand::SubmitForReview { stamp: dispatcher.stamp(&ann) }),
        batched(&ann, "late-edit", edit_command(&dispatcher, &ann)),
        batched(&ann, "edit", edit_command(&dispatcher, &ann)),
    ];
    let send = async || {
        let outcomes = dispatcher.dispatch_batch::<Proposal>(&ann.caller.tenant_id, PROPOSAL, &batch).await.unwrap();
        let describe = |outcome: Result<CommandOutcome, CommandError<ProposalError>>| match outcome {
            Ok(done) => format!("version {}, {} events, repeated: {}", done.version, done.events, done.repeated),
            Err(error) => error.to_string(),
        };
        outcomes.into_iter().map(describe).collect::<Vec<_>>()
    };
    let forbidden = "the sender lacks the authority that the command requires";
    let expected = |repeated: bool| {
        [
            format!("version 1, 1 events, repeated: {repeated}"),
            format!("version 2, 1 events, repeated: {repeated}"),
            forbidden.to_owned(),
            forbidden.to_owned(),
            format!("version 3, 1 events, repeated: {repeated}"),
            "the command was refused".to_owned(),
            "version 2, 1 events, repeated: true".to_owned(),
        ]
    };
    assert_eq!(send().await, expected(false));
    let query = "select metadata ->> 'idempotency_key', transaction_id::text from events order by sequence";
    let recorded: Vec<(String, String)> = sqlx::query_as(query).fetch_all(&pool).await.unwrap();
    assert_eq!(recorded.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["draft", "edit", "submit"]);
    assert!(recorded.iter().all(|(_, transaction)| *transaction == recorded[0].1), "{recorded:?}");

    assert_eq!(send().await, expected(true));
    assert_eq!(count_events(&pool).await, 3);
}
