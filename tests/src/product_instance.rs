//! The product on the shared engines, in a namespace of its own.

use std::{collections::BTreeMap, ops::Deref, path::Path};

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

use crate::{
    EnvironmentVariables, ProductEdge, ProductHandle, ProductProcess, TestNamespace, WAIT_TIMEOUT, engines, eventually,
    failure::or_fail,
    test_database::{create_migrated_database, delete_topics},
    test_folder::TestFolder,
    test_turn,
};

/// A process of the product with every role, on the shared engines, with nothing in its stores.
///
/// Its start costs one process instead of five engines. Tests that kill engines use [`crate::TestStack`] instead.
#[derive(Debug)]
pub struct ProductInstance {
    product: ProductHandle,
    namespace: TestNamespace,
    process: ProductProcess,
    _folder: TestFolder,
}

impl ProductInstance {
    /// Creates a namespace, prepares its stores and starts the product in it.
    ///
    /// # Panics
    /// If it does not become ready; the message holds the end of its log.
    pub async fn start() -> Self {
        Self::start_with(EnvironmentVariables::new()).await
    }

    /// [`Self::start`] with more settings.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(environment: EnvironmentVariables) -> Self {
        Self::start_in(TestFolder::new(), environment).await
    }

    /// [`Self::start_with`] for a product that several tests share.
    ///
    /// A static is never dropped, so its folder is inside that of the shared engines, which is removed when the test
    /// program ends.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_shared(environment: EnvironmentVariables) -> Self {
        let folder = TestFolder::new_in(engines().await.data_folder());
        Self::start_in(folder, environment).await
    }

    async fn start_in(folder: TestFolder, environment: EnvironmentVariables) -> Self {
        let engines = engines().await;
        let namespace = TestNamespace::new();
        let mut variables = engines.variables().clone();
        variables.extend(own_settings(&namespace, engines, folder.path()));
        variables.extend(environment);
        create_migrated_database(engines.variable("DATABASE_URL"), &namespace).await;
        let unstarted = ProductHandle::new(None, variables.clone(), folder.path().to_owned());
        let migrated = unstarted.run_medhub(&["migrate"]).await;
        assert!(migrated.status.success(), "medhub migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        let args = ["serve", "--role", "all"];
        let start = ProductProcess::start(&variables, folder.path(), "product", &args);
        let mut process = or_fail(start, "starting the product");
        let product = wait_until_ready(&mut process, variables, folder.path()).await;
        Self { product, namespace, process, _folder: folder }
    }

    /// The names of its stores in the shared engines.
    pub fn namespace(&self) -> &TestNamespace {
        &self.namespace
    }

    /// Kills the process as a crash would.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill9(&mut self) {
        or_fail(self.process.kill9(), "killing the product");
    }

    /// Starts the product again, on other ports, after it was killed or while it runs.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn restart(&mut self) {
        self.kill9();
        or_fail(self.process.launch(), "starting the product again");
        let (variables, folder) = (self.product.variables().clone(), self.product.folder().to_owned());
        self.product = wait_until_ready(&mut self.process, variables, &folder).await;
    }

    /// Sends the process a signal.
    pub fn send_signal(&self, signal: Signal) {
        self.process.send_signal(signal);
    }
}

impl Deref for ProductInstance {
    type Target = ProductHandle;

    fn deref(&self) -> &ProductHandle {
        &self.product
    }
}

impl Drop for ProductInstance {
    fn drop(&mut self) {
        // Best effort: it ends with the test program at the latest.
        let _killed = self.process.kill9();
        delete_topics(self.product.variable("KAFKA_BROKERS"), self.namespace.topic_prefix());
    }
}

/// The product shared by all tests that need only companies and opportunities of their own.
///
/// Each test uses [`crate::unique_name`] for its companies and never checks totals over all data. No test restarts it,
/// rebuilds its read models or measures it, and its rate limits are off.
pub async fn shared_product() -> &'static ProductInstance {
    static SHARED: OnceCell<ProductInstance> = OnceCell::const_new();
    test_turn::run_beside_others();
    let unlimited = EnvironmentVariables::from([("MEDHUB__LIMITS__ENABLED".to_owned(), "false".to_owned())]);
    SHARED.get_or_init(async || ProductInstance::start_shared(unlimited).await).await
}

/// Settings by which a product works on so many documents at the same time; with 0 it leaves their tasks to others.
pub fn document_work_settings(concurrency: usize) -> EnvironmentVariables {
    let kinds = ["EXTRACT_TEXT", "EXTRACT_REQUIREMENTS", "ANALYSE_DOCUMENT"];
    kinds.map(|kind| (format!("MEDHUB__WORK__{kind}"), concurrency.to_string())).into()
}

/// Waits until the product answers that it is ready.
pub(crate) async fn wait_until_ready(
    process: &mut ProductProcess,
    mut variables: BTreeMap<String, String>,
    folder: &Path,
) -> ProductHandle {
    for edge in [ProductEdge::Http, ProductEdge::Grpc] {
        let address = or_fail(process.wait_for_address(edge).await, "waiting for the product");
        variables.insert(edge.setting().to_owned(), address);
    }
    eventually(async || {
        let report = process.fetch_readiness().await?;
        anyhow::ensure!(report["ready"] == true, "not ready: {report}{}", process.log_tail());
        anyhow::Ok(())
    })
    .await;
    let http = or_fail(process.http(), "asking where the product listens");
    ProductHandle::new(Some(http), variables, folder.to_owned())
}

/// Settings of a product with names of its own in `engines`.
pub(crate) fn own_settings(
    namespace: &TestNamespace,
    engines: &ProductHandle,
    folder: &Path,
) -> BTreeMap<String, String> {
    let mut settings =
        or_fail(namespace.variables(engines.variable("DATABASE_URL")), "making settings of the namespace");
    let timeout_ms = WAIT_TIMEOUT.as_millis();
    // A client that a test does not read for a while counts as disconnected after three pings.
    let ping_every = (WAIT_TIMEOUT / 3).as_millis().to_string();
    let secret = format!("{0}-{0}", namespace.name());
    let more = [
        ("MEDHUB__OBJECTS__DIR", folder.join("objects").display().to_string()),
        ("MEDHUB__ADMIN__TOKEN", format!("operator-{secret}")),
        ("MEDHUB__AUTH__HS256_SECRET", format!("signing-{secret}")),
        ("MEDHUB__AUTH__DEVELOPMENT_LOGIN", "true".to_owned()),
        // Queries with a consistency token wait as long as the tests do, so that a busy machine fails no test.
        ("MEDHUB__HTTP__CONSISTENCY_WAIT_MS", timeout_ms.to_string()),
        ("MEDHUB__HTTP__REQUEST_TIMEOUT_MS", (2 * timeout_ms).to_string()),
        ("MEDHUB__HTTP__PING_EVERY_MS", ping_every),
        ("MEDHUB__SERVE__STARTUP_TIMEOUT_MS", timeout_ms.to_string()),
        ("MEDHUB__REDIS__TIMEOUT_MS", timeout_ms.to_string()),
        ("MEDHUB__POSTGRES__ACQUIRE_TIMEOUT_MS", timeout_ms.to_string()),
        ("MEDHUB__KAFKA__PARTITIONS", "2".to_owned()),
        // Several idle products share the engines, and each polls Kafka and Postgres continuously.
        ("MEDHUB__RELAY__POLL_MAX_MS", "100".to_owned()),
        // All products and tests that run at the same time share the 300 connections of one server.
        ("MEDHUB__POSTGRES__MAX_CONNECTIONS", "12".to_owned()),
    ];
    settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
    // Tests act as the workers of their companies.
    settings.extend(document_work_settings(0));
    settings.insert("MEDHUB__WORK__GENERATE_PROPOSAL".to_owned(), "0".to_owned());
    settings
}
