//! The write side and the mail queue, without Kafka: the test delivers the whole log again and again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    aggregate::PureAggregate,
    clock::SystemClock,
    company::{Company, CompanyCommand, CompanyName, Role},
    context::BoundedContext,
    fingerprint::Fingerprint,
    inbox::{
        DigestHour, Inbox, InboxCommand, MailAddress, MailPreferences, Notification, NotificationBody, NotificationId,
        NotificationKind, NotificationTitle, TimeZoneName,
    },
    log_reader::LogReader as _,
    value::{AuditStamp, TenantId, UserId},
};
use eventstore::{log::PgLogReader, postgres::PostgresConfig, store::PgEventStore};
use mail::{
    FolderTransport, MailComposer, MailProjection, MailQueue, MailRenderer, MailTemplates, MailTransport, Mailer,
    MailerConfig, SmtpServer, SmtpTransport, UnsubscribeTokenSigner,
};
use projections::runtime::Projection as _;
use sqlx::PgPool;
use tempfile::TempDir;
use tests::database;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) const TENANT: &str = "acme";
pub(super) const USER: &str = "ann";

pub(super) type TestDispatcher = CommandDispatcher<PgEventStore<()>>;

/// A log with one company and its member, and mails in a folder.
pub(super) struct MailFixture {
    pub(super) pool: PgPool,
    pub(super) dispatcher: Arc<TestDispatcher>,
    pub(super) queue: MailQueue,
    pub(super) folder: TempDir,
}

impl MailFixture {
    /// The company is registered; its member has no address yet.
    pub(super) async fn create() -> Self {
        let pool = database().await;
        let store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
        let fixture = Self {
            dispatcher: Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock))),
            queue: MailQueue::new(pool.clone()),
            pool,
            folder: tempfile::tempdir().unwrap(),
        };
        let (name, founder) = (CompanyName::try_new("A company").unwrap(), UserId::try_new(USER).unwrap());
        fixture.send::<Company>(TENANT, |stamp| CompanyCommand::Register { name, founder, stamp }).await;
        fixture
    }

    pub(super) async fn send<A>(&self, id: &str, command: impl FnOnce(AuditStamp) -> A::Command)
    where
        A: PureAggregate<Command: commands::authorization::AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let caller = Caller::new(UserId::from_program("system:test"), TenantId::try_new(TENANT).unwrap());
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let (command, none) = (command(self.dispatcher.stamp(&sender)), CommandPreconditions::default());
        self.dispatcher.dispatch::<A>(&sender, id, &none, command).await.unwrap();
    }

    /// Gives the user an address; the digest is due at `digest_hour` in New York.
    pub(super) async fn set_address(&self, address: &str, digest_hour: u8) {
        let preferences = MailPreferences {
            address: MailAddress::try_new(address).unwrap(),
            time_zone: TimeZoneName::try_new("America/New_York").unwrap(),
            digest_hour: DigestHour::try_new(digest_hour).unwrap(),
            unsubscribed: BTreeSet::new(),
        };
        self.send::<Inbox>(USER, |stamp| InboxCommand::ChangeMailPreferences { preferences, stamp }).await;
    }

    pub(super) async fn notify(&self, number: u128) {
        let notification = Notification::new(
            NotificationId::new(Uuid::from_u128(number)),
            NotificationKind::DocumentAnalysed,
            NotificationTitle::try_new(&format!("Document {number} analysed")).unwrap(),
            NotificationBody::try_new("Its text is ready.").unwrap(),
        );
        self.send::<Inbox>(USER, |stamp| InboxCommand::Notify { notification, stamp }).await;
    }

    /// Delivers the whole log from its beginning, as a broker that repeats everything would.
    pub(super) async fn deliver(&self) {
        let log = PgLogReader::new(self.pool.clone());
        let fence = log.load_fence().await.unwrap();
        let events = log.load_after(0, fence, 10_000).await.unwrap();
        let is_subscribed = |kind: &str| {
            BoundedContext::from_aggregate_type(kind)
                .is_some_and(|context| MailProjection::subscribed_contexts().contains(&context))
        };
        let changes: Vec<_> = events
            .iter()
            .filter(|event| is_subscribed(&event.aggregate_type))
            .flat_map(|event| MailProjection::project(event).unwrap())
            .collect();
        MailProjection::new(self.queue.clone()).apply(&changes).await.unwrap();
    }

    /// A mailer that makes three attempts, without pauses between them.
    pub(super) fn mailer(&self, transport: Arc<dyn MailTransport>) -> Mailer<PgEventStore<()>> {
        let signer = UnsubscribeTokenSigner::new(&"a secret of the test".into());
        let composer = MailComposer::new("no-reply@medhub.example").unwrap();
        let url = "https://medhub.example".parse().unwrap();
        let renderer = MailRenderer::new(MailTemplates::new().unwrap(), composer, signer, url);
        let config = MailerConfig { first_pause: Duration::ZERO, max_attempts: 3, ..MailerConfig::default() };
        Mailer::new(self.queue.clone(), Arc::clone(&self.dispatcher), renderer, transport, config)
    }

    pub(super) fn folder_mailer(&self) -> Mailer<PgEventStore<()>> {
        self.mailer(Arc::new(FolderTransport::new(self.folder.path())))
    }

    pub(super) fn smtp_mailer(&self, server: SmtpServer) -> Mailer<PgEventStore<()>> {
        self.mailer(Arc::new(SmtpTransport::new(server).unwrap()))
    }

    /// Sends the mails that are due into the folder.
    pub(super) async fn send_into_folder(&self) {
        self.folder_mailer().run_once(&CancellationToken::new()).await.unwrap();
    }

    /// The company removes the user.
    pub(super) async fn remove_user(&self) {
        let [bob, ann] = ["bob", USER].map(|user| UserId::try_new(user).unwrap());
        let add = |stamp| CompanyCommand::AddMember { user: bob, role: Role::Admin, stamp };
        self.send::<Company>(TENANT, add).await;
        self.send::<Company>(TENANT, |stamp| CompanyCommand::RemoveMember { user: ann, stamp }).await;
    }

    /// The company adds the user that it has removed.
    pub(super) async fn add_user_again(&self) {
        let user = UserId::try_new(USER).unwrap();
        let add = |stamp| CompanyCommand::AddMember { user, role: Role::Viewer, stamp };
        self.send::<Company>(TENANT, add).await;
    }

    /// The mails in the folder.
    pub(super) fn mails(&self) -> Vec<String> {
        read_mails(self.folder.path())
    }

    /// The events of the user's mails in order, with what they say about the outcome.
    pub(super) async fn history(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', replace(event_type, 'inbox.mail_', ''), payload ->> 'failure', payload ->> 'cause')
             from events where aggregate_id = $1 and event_type like 'inbox.mail\\_%'
               and event_type <> 'inbox.mail_preferences_changed'
             order by sequence",
        )
        .bind(format!("{TENANT}:{USER}"))
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

/// The texts of the `.eml` files of a folder, which may not exist yet.
pub(super) fn read_mails(folder: &std::path::Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return vec![] };
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}
