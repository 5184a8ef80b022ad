//! Commands to what tenants own, over a real log: who may, and nobody reaches what another tenant owns.

use commands::{
    authorization::{CallerAuthority, RequiredAuthority},
    dispatcher::{CommandDispatcher, CommandOutcome, CommandSender},
};
use domain::{
    company::{Company, CompanyCommand, CompanyError, CompanyName, Role, Scope, ScopeSet},
    document::{Document, DocumentCommand, DocumentError, FileDigest, FileName, MediaType, ObjectKey, UploadedFile},
    proposal::{
        LifecyclePhase, Proposal, ProposalCommand, ProposalError, ProposalOutline, ProposalTitle, SectionChange,
        SectionContent, SectionHeading, SectionKey,
    },
    task::{ParameterList, SubjectKind, Task, TaskCommand, TaskKind, TaskSpec, TaskSubject, WorkerName},
};

use super::*;
use tests::database;

const PROPOSAL: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

type PgDispatcher = CommandDispatcher<PgEventStore<()>>;

async fn bus() -> (PgPool, PgDispatcher) {
    let pool = database().await;
    let store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
    (pool, CommandDispatcher::new(store, Arc::new(SystemClock)))
}

fn sender(name: &str, tenant: &str, authority: CallerAuthority) -> CommandSender {
    let caller = Caller::new(UserId::try_new(name).unwrap(), TenantId::try_new(tenant).unwrap());
    CommandSender { caller, authority }
}

fn member(name: &str, role: Role) -> CommandSender {
    sender(name, "acme", CallerAuthority::Member(role))
}

fn machine(scopes: &[Scope]) -> CommandSender {
    sender("worker", "acme", CallerAuthority::Machine(ScopeSet::try_new(scopes.iter().copied()).unwrap()))
}

fn draft(bus: &PgDispatcher, sender: &CommandSender) -> ProposalCommand {
    ProposalCommand::Draft {
        opportunity_id: OpportunityId::parse("036:36C10G26R0005").unwrap(),
        title: ProposalTitle::try_new("Lifts").unwrap(),
        outline: ProposalOutline::default(),
        stamp: bus.stamp(sender),
    }
}

fn edit(bus: &PgDispatcher, sender: &CommandSender) -> ProposalCommand {
    let edit = SectionChange {
        section: SectionKey::try_new("approach").unwrap(),
        heading: SectionHeading::try_new("Approach").unwrap(),
        content: SectionContent::try_new("We deliver.").unwrap(),
        based_on: 0,
    };
    ProposalCommand::EditSection { edit, stamp: bus.stamp(sender) }
}

async fn propose(
    bus: &PgDispatcher,
    sender: &CommandSender,
    command: ProposalCommand,
) -> Result<CommandOutcome, CommandError<ProposalError>> {
    bus.dispatch::<Proposal>(sender, PROPOSAL, &CommandPreconditions::default(), command).await
}

fn forbidden<E: std::error::Error + 'static>(
    outcome: &Result<CommandOutcome, CommandError<E>>,
    wanted: RequiredAuthority,
) -> bool {
    matches!(outcome, Err(CommandError::Forbidden { required }) if *required == wanted)
}

#[tokio::test]
async fn a_team_writes_a_proposal_and_only_a_manager_lets_it_go() {
    let (pool, bus) = bus().await;
    let (ann, bob) = (member("ann", Role::Contributor), member("bob", Role::Manager));
    propose(&bus, &ann, draft(&bus, &ann)).await.unwrap();
    propose(&bus, &ann, edit(&bus, &ann)).await.unwrap();
    let asked = ProposalCommand::SubmitForReview { stamp: bus.stamp(&ann) };
    propose(&bus, &ann, asked).await.unwrap();

    let approve = |sender: &CommandSender| ProposalCommand::Approve { note: None, stamp: bus.stamp(sender) };
    let by_ann = propose(&bus, &ann, approve(&ann)).await;
    let by_bob = propose(&bus, &bob, approve(&bob)).await.unwrap();

    assert!(forbidden(&by_ann, RequiredAuthority::AtLeast(Role::Manager)), "{by_ann:?}");
    assert_eq!((by_bob.version, by_bob.aggregate_id), (4, format!("acme:{PROPOSAL}")));
    let tenants: Vec<String> =
        sqlx::query_scalar("select distinct tenant_id from events").fetch_all(&pool).await.unwrap();
    assert_eq!(tenants, ["acme"]);
}

#[tokio::test]
async fn who_may_not_changes_nothing() {
    let (pool, bus) = bus().await;
    for sender in [
        member("vic", Role::Viewer),
        sender("nobody", "acme", CallerAuthority::Anonymous),
        sender("new", "acme", CallerAuthority::WithoutCompany),
        machine(&[Scope::Read, Scope::Tasks, Scope::Ingest]),
    ] {
        let outcome = propose(&bus, &sender, draft(&bus, &sender)).await;
        assert!(forbidden(&outcome, RequiredAuthority::AtLeast(Role::Contributor)), "{sender:?}: {outcome:?}");
    }
    assert_eq!(events(&pool).await, 0);
    let writer = machine(&[Scope::Write]);
    assert!(propose(&bus, &writer, draft(&bus, &writer)).await.is_ok());
}

#[tokio::test]
async fn what_another_tenant_owns_is_not_told_from_what_is_not_there() {
    let (_pool, bus) = bus().await;
    let ann = member("ann", Role::Admin);
    propose(&bus, &ann, draft(&bus, &ann)).await.unwrap();
    let eve = sender("eve", "other", CallerAuthority::Member(Role::Admin));

    let foreign = propose(&bus, &eve, edit(&bus, &eve)).await;
    let unknown = bus.dispatch::<Proposal>(&eve, "unknown", &CommandPreconditions::default(), edit(&bus, &eve)).await;

    for outcome in [&foreign, &unknown] {
        assert!(matches!(outcome, Err(CommandError::Refused(ProposalError::NotDrafted))), "{outcome:?}");
    }
    assert_eq!(foreign.unwrap_err().to_string(), unknown.unwrap_err().to_string());
    propose(&bus, &eve, draft(&bus, &eve)).await.expect("an id of its own, although another tenant has the same");
}

#[tokio::test]
async fn a_company_is_one_whatever_id_is_named_and_its_admin_runs_it() {
    let (pool, bus) = bus().await;
    let (founder, admin) = (sender("ann", "acme", CallerAuthority::WithoutCompany), member("ann", Role::Admin));
    let register = |name: &str, sender: &CommandSender| CompanyCommand::Register {
        name: CompanyName::try_new(name).unwrap(),
        founder: sender.caller.user_id.clone(),
        stamp: bus.stamp(sender),
    };
    let none = CommandPreconditions::default();
    let registered = bus.dispatch::<Company>(&founder, "", &none, register("Acme", &founder)).await.unwrap();
    let again = bus.dispatch::<Company>(&founder, "x", &none, register("Other", &founder)).await;
    let user = UserId::try_new("bob").unwrap();
    let add = |sender: &CommandSender| CompanyCommand::AddMember {
        user: user.clone(),
        role: Role::Manager,
        stamp: bus.stamp(sender),
    };
    let by_admin = bus.dispatch::<Company>(&admin, "", &none, add(&admin)).await.unwrap();
    let manager = member("bob", Role::Manager);
    let by_manager = bus.dispatch::<Company>(&manager, "", &none, add(&manager)).await;

    assert_eq!((registered.aggregate_id.as_str(), by_admin.version), ("acme", 2));
    assert!(matches!(again, Err(CommandError::Refused(CompanyError::AlreadyRegistered))), "{again:?}");
    assert!(forbidden(&by_manager, RequiredAuthority::AtLeast(Role::Admin)), "{by_manager:?}");
    assert_eq!(events(&pool).await, 2);
}

#[tokio::test]
async fn workers_say_what_became_of_documents_and_tasks_and_people_do_not() {
    let (_pool, bus) = bus().await;
    let (ann, worker, none) = (member("ann", Role::Admin), machine(&[Scope::Tasks]), CommandPreconditions::default());
    let upload = UploadedFile {
        file_name: FileName::try_new("rfp.pdf").unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1_024,
        sha256: FileDigest::try_new(&"ab".repeat(32)).unwrap(),
        object_key: ObjectKey::try_new("acme/1").unwrap(),
        opportunity_id: None,
    };
    let upload = DocumentCommand::Upload { upload, stamp: bus.stamp(&ann) };
    bus.dispatch::<Document>(&ann, "d", &none, upload).await.unwrap();
    let failure = |sender: &CommandSender| DocumentCommand::RecordFailure {
        stage: domain::document::ProcessingStage::Text,
        reason: domain::document::FailureReason::try_new("encrypted").unwrap(),
        stamp: bus.stamp(sender),
    };
    let by_ann = bus.dispatch::<Document>(&ann, "d", &none, failure(&ann)).await;
    assert!(forbidden::<DocumentError>(&by_ann, RequiredAuthority::HasScope(Scope::Tasks)), "{by_ann:?}");
    assert_eq!(bus.dispatch::<Document>(&worker, "d", &none, failure(&worker)).await.unwrap().version, 2);

    let subject = TaskSubject::try_new(SubjectKind::Document, "d").unwrap();
    let job = TaskSpec { kind: TaskKind::ExtractText, subject, parameters: ParameterList::default() };
    let request = TaskCommand::Request { job, stamp: bus.stamp(&ann) };
    bus.dispatch::<Task>(&ann, "t", &none, request).await.unwrap();
    let start = TaskCommand::Start { worker: WorkerName::try_new("w").unwrap(), stamp: bus.stamp(&worker) };
    assert!(forbidden(
        &bus.dispatch::<Task>(&ann, "t", &none, start.clone()).await,
        RequiredAuthority::HasScope(Scope::Tasks)
    ));
    assert_eq!(bus.dispatch::<Task>(&worker, "t", &none, start).await.unwrap().version, 2);
}

#[tokio::test]
async fn conditions_hold_for_every_aggregate() {
    let (pool, bus) = bus().await;
    let ann = member("ann", Role::Contributor);
    propose(&bus, &ann, draft(&bus, &ann)).await.unwrap();
    let key = once("k", "edit");
    let first = bus.dispatch::<Proposal>(&ann, PROPOSAL, &key, edit(&bus, &ann)).await.unwrap();
    let again = bus.dispatch::<Proposal>(&ann, PROPOSAL, &key, edit(&bus, &ann)).await.unwrap();
    let outdated = bus.dispatch::<Proposal>(&ann, PROPOSAL, &seen(1), edit(&bus, &ann)).await;

    assert_eq!((again.version, again.repeated, first.repeated), (first.version, true, false));
    assert!(matches!(outdated, Err(CommandError::Outdated { current: 2 })), "{outdated:?}");
    assert_eq!(events(&pool).await, 2);
    let wrong = ProposalCommand::SubmitForReview { stamp: bus.stamp(&ann) };
    propose(&bus, &ann, wrong).await.unwrap();
    let late = propose(&bus, &ann, edit(&bus, &ann)).await;
    let expected = ProposalError::WrongPhase { phase: LifecyclePhase::InReview, needed: LifecyclePhase::Draft };
    assert!(matches!(late, Err(CommandError::Refused(error)) if error == expected), "the rule is the aggregate's");
}
