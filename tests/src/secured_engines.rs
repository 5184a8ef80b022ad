//! Engines that are reached over TLS and only with a user, as managed services are.
//!
//! ```text
//! Postgres          its own server and TLS; SCRAM and a client's certificate
//! Kafka             its own broker and TLS; a token, SCRAM or PLAIN, and a client's certificate
//! Redis             its own server with an ACL user; TLS by a proxy (its package is built without)
//! schema registry   the role `registry` with its own TLS and a login, on that Postgres
//! ClickHouse        that of all tests; TLS by a proxy
//! Qdrant            that of all tests; TLS by a proxy
//! ```

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::{
    EnvironmentVariables, ProductEdge, ProductHandle, ProductProcess, TestNamespace, TestStack, engines, eventually,
    failure::or_fail,
    free_port::find_free_port,
    guarded_child,
    product_instance::{own_settings, wait_until_ready},
    secured_kafka::{KafkaUsers, SecuredKafka},
    test_certificates::{CertificateAuthority, IssuedCertificate},
    test_folder::TestFolder,
    test_turn::run_with_own_engines,
    tls_proxy::TlsProxy,
    token_endpoint::{AUDIENCE, TokenEndpoint},
};

/// Name of the user in every engine, and of its certificate.
const USER: &str = "medhub_tls";

/// The user's password.
pub const PASSWORD: &str = "correct-horse-battery";

/// Running engines, and the settings with which the product reaches them.
#[derive(Debug)]
pub struct SecuredEngines {
    variables: EnvironmentVariables,
    authority: CertificateAuthority,
    _proxies: Vec<TlsProxy>,
    _registry: ProductProcess,
    tokens: TokenEndpoint,
    _kafka: SecuredKafka,
    redis: Child,
    // Last, so that Postgres and the files end after those that use them.
    stack: TestStack,
    _folder: TestFolder,
}

/// The product on secured engines.
#[derive(Debug)]
pub struct SecuredProduct {
    /// Address and settings.
    pub product: ProductHandle,
    _process: ProductProcess,
}

impl SecuredEngines {
    /// Starts all engines.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn start() -> Self {
        run_with_own_engines();
        let shared = engines().await;
        let test_folder = TestFolder::new();
        let folder = test_folder.path();
        let authority = CertificateAuthority::new(folder, "authority");
        let (server, client) = (authority.issue("server"), authority.issue(USER));
        let tokens = TokenEndpoint::start(folder, &server, (USER, PASSWORD)).await;
        let users = KafkaUsers { name: USER, password: PASSWORD, token_keys: tokens.keys_file() };
        let (kafka, redis, (stack, database)) = tokio::join!(
            SecuredKafka::start(shared, folder, &authority, &server, users),
            start_redis(shared, folder),
            start_postgres(shared, &authority, &server, &client),
        );
        let (redis, redis_address) = or_fail(redis, "starting Redis");

        let mut variables = stack.variables().clone();
        variables.extend(own_settings(&TestNamespace::new(), &stack, folder));
        variables.insert("DATABASE_URL".to_owned(), database);
        variables.extend(user_settings(kafka.address(), &client));
        let (registry, registry_address) = start_registry(variables.clone(), folder, &server).await;
        let (proxies, addresses) = PlainServers::new(shared, redis_address).secure(&server).await;
        variables.extend(addresses);
        variables.insert("SCHEMA_REGISTRY_URL".to_owned(), format!("https://{registry_address}"));
        variables.extend(authorities(authority.file()));
        Self {
            variables,
            authority,
            _proxies: proxies,
            _registry: registry,
            tokens,
            _kafka: kafka,
            redis,
            stack,
            _folder: test_folder,
        }
    }

    /// The settings with which the product reaches the engines.
    pub fn variables(&self) -> &EnvironmentVariables {
        &self.variables
    }

    /// The authority that has signed all certificates.
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    /// The endpoint that gives tokens for Kafka.
    pub fn token_endpoint(&self) -> &TokenEndpoint {
        &self.tokens
    }

    /// Settings of a client of Kafka with a token instead of a name and a password.
    pub fn token_settings(&self) -> EnvironmentVariables {
        let settings = [
            ("MECHANISM", "OAUTHBEARER".to_owned()),
            ("USERNAME", String::new()),
            ("PASSWORD", String::new()),
            ("OAUTH__ENDPOINT_URL", self.tokens.url()),
            ("OAUTH__CLIENT_ID", USER.to_owned()),
            ("OAUTH__CLIENT_SECRET", PASSWORD.to_owned()),
            ("OAUTH__SCOPE", AUDIENCE.to_owned()),
            ("OAUTH__EXTENSIONS", "logicalCluster=lkc-1,identityPoolId=pool-1".to_owned()),
            ("OAUTH__CA_FILE", self.authority.file().display().to_string()),
        ];
        settings.map(|(key, value)| (format!("MEDHUB__KAFKA__SASL__{key}"), value)).into()
    }

    /// A command line of the product with these settings instead of those of the engines.
    pub fn with_settings(&self, changes: EnvironmentVariables) -> ProductHandle {
        let mut variables = self.variables.clone();
        variables.extend(changes);
        ProductHandle::new(None, variables, self.stack.folder().to_owned())
    }

    /// Prepares the engines for the product, once all of them answer.
    ///
    /// # Panics
    /// If one of them does not.
    pub async fn migrate(&self) {
        let migrated = eventually(async || {
            let output = self.with_settings(EnvironmentVariables::new()).run_medhub(&["migrate"]).await;
            anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(output)
        });
        migrated.await;
    }

    /// Starts the product with every role, and these settings instead of those of the engines.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start_product(&self, changes: EnvironmentVariables) -> SecuredProduct {
        let (folder, args) = (self.stack.folder(), ["serve", "--role", "all"]);
        let mut variables = self.variables.clone();
        variables.extend(changes);
        let mut process = or_fail(ProductProcess::start(&variables, folder, "product", &args), "starting the product");
        let product = wait_until_ready(&mut process, variables, folder).await;
        SecuredProduct { product, _process: process }
    }

    /// Gives Postgres a certificate that has expired; sessions that are open remain.
    ///
    /// # Panics
    /// If Postgres does not take it.
    pub async fn expire_postgres(&self) {
        let expired = self.authority.issue_expired("expired-postgres");
        let folder = postgres_folder(&self.stack);
        install_file(&expired.certificate, &folder.join("server.crt"));
        install_file(&expired.key, &folder.join("server.key"));
        let admin = PgConnection::connect(self.stack.variable("DATABASE_URL")).await;
        let mut admin = or_fail(admin, "connecting to Postgres");
        or_fail(admin.execute("select pg_reload_conf()").await, "applying the certificate");
        or_fail(admin.close().await, "closing a connection");
    }

    /// Starts proxies in front of Postgres' neighbours and of Kafka whose certificate has expired, and returns the settings
    /// that name them.
    ///
    /// # Panics
    /// If one cannot be started.
    pub async fn start_expired_proxies(&self) -> (Vec<TlsProxy>, EnvironmentVariables) {
        let expired = self.authority.issue_expired("expired");
        let mut proxies = vec![];
        let mut settings = EnvironmentVariables::new();
        for (variable, scheme) in [
            ("KAFKA_BROKERS", ""),
            ("SCHEMA_REGISTRY_URL", "https://"),
            ("CLICKHOUSE_URL", "https://"),
            ("QDRANT_URL", "https://"),
            ("REDIS_URL", "rediss://"),
        ] {
            let protocols: &[&str] = if variable == "QDRANT_URL" { &["h2"] } else { &[] };
            let proxy = or_fail(TlsProxy::start("127.0.0.1:1", &expired, protocols).await, "starting a proxy");
            settings.insert(variable.to_owned(), format!("{scheme}{}", proxy.address()));
            proxies.push(proxy);
        }
        (proxies, settings)
    }
}

impl Drop for SecuredEngines {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.redis.kill(), self.redis.wait());
    }
}

/// Settings by which every client trusts only the authority in `file`.
pub fn authorities(file: &Path) -> EnvironmentVariables {
    let file = file.display().to_string();
    let sections = ["KAFKA", "REGISTRY", "CLICKHOUSE", "QDRANT", "REDIS"];
    sections.map(|section| (format!("MEDHUB__{section}__TLS__CA_FILE"), file.clone())).into()
}

/// The settings of the users, and of Kafka's client.
fn user_settings(kafka: &str, client: &IssuedCertificate) -> EnvironmentVariables {
    let text = |path: &Path| path.display().to_string();
    let settings = [
        ("MEDHUB__REGISTRY__LOGIN", format!("{USER}:{PASSWORD}")),
        ("MEDHUB__REGISTRY__PRIVATE", "true".to_owned()),
        ("KAFKA_BROKERS", kafka.to_owned()),
        ("MEDHUB__KAFKA__SECURITY_PROTOCOL", "sasl_ssl".to_owned()),
        ("MEDHUB__KAFKA__SASL__MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("MEDHUB__KAFKA__SASL__USERNAME", USER.to_owned()),
        ("MEDHUB__KAFKA__SASL__PASSWORD", PASSWORD.to_owned()),
        ("MEDHUB__KAFKA__COMPRESSION", "zstd".to_owned()),
        ("MEDHUB__KAFKA__TLS__CERTIFICATE_FILE", text(&client.certificate)),
        ("MEDHUB__KAFKA__TLS__KEY_FILE", text(&client.key)),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Starts the role `registry` with a certificate, and returns its address.
async fn start_registry(
    mut settings: EnvironmentVariables,
    folder: &Path,
    certificate: &IssuedCertificate,
) -> (ProductProcess, String) {
    settings.insert("MEDHUB__HTTP__TLS__CERTIFICATE_FILE".to_owned(), certificate.certificate.display().to_string());
    settings.insert("MEDHUB__HTTP__TLS__KEY_FILE".to_owned(), certificate.key.display().to_string());
    let args = ["serve", "--role", "registry"];
    let mut registry = or_fail(ProductProcess::start(&settings, folder, "registry", &args), "starting the registry");
    let address = or_fail(registry.wait_for_address(ProductEdge::Http).await, "waiting for the registry");
    (registry, address)
}

/// Servers without TLS, by the variable that names them.
struct PlainServers(Vec<(&'static str, &'static str, String)>);

impl PlainServers {
    fn new(stack: &TestStack, redis: String) -> Self {
        let front = |variable: &str| {
            let url = or_fail(url::Url::parse(stack.variable(variable)), "reading a URL");
            format!("127.0.0.1:{}", url.port().unwrap_or_default())
        };
        Self(vec![
            ("CLICKHOUSE_URL", "https://", front("CLICKHOUSE_URL")),
            ("QDRANT_URL", "https://", front("QDRANT_URL")),
            ("REDIS_URL", "rediss://", redis),
        ])
    }

    async fn secure(self, certificate: &IssuedCertificate) -> (Vec<TlsProxy>, EnvironmentVariables) {
        let (mut proxies, mut settings) = (vec![], EnvironmentVariables::new());
        for (variable, scheme, upstream) in self.0 {
            let protocols: &[&str] = if variable == "QDRANT_URL" { &["h2"] } else { &[] };
            let proxy = or_fail(TlsProxy::start(&upstream, certificate, protocols).await, "starting a proxy");
            let user = if variable == "REDIS_URL" { format!("{USER}:{PASSWORD}@") } else { String::new() };
            settings.insert(variable.to_owned(), format!("{scheme}{user}{}", proxy.address()));
            proxies.push(proxy);
        }
        (proxies, settings)
    }
}

/// Starts a Postgres with a certificate and a user that needs one, and returns it with the URL of that user's database. Its
/// stack has the other engines of `shared`, so that it starts no more than this.
async fn start_postgres(
    shared: &TestStack,
    authority: &CertificateAuthority,
    server: &IssuedCertificate,
    client: &IssuedCertificate,
) -> (TestStack, String) {
    let others = ["SCHEMA_REGISTRY_URL", "KAFKA_BROKERS", "CLICKHOUSE_URL", "QDRANT_URL", "REDIS_URL"];
    let others = others.map(|variable| (variable.to_owned(), shared.variable(variable).to_owned()));
    let stack = TestStack::start_with(&["--engines-only"], others.into()).await;
    let folder = postgres_folder(&stack);
    install_file(authority.file(), &folder.join("authority.crt"));
    install_file(&server.certificate, &folder.join("server.crt"));
    install_file(&server.key, &folder.join("server.key"));
    let access = format!(
        "host all medhub 127.0.0.1/32 trust\nhostssl all {USER} 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"
    );
    or_fail(fs::write(folder.join("pg_hba.conf"), access), "writing who may connect");
    let mut admin = or_fail(PgConnection::connect(stack.variable("DATABASE_URL")).await, "connecting to Postgres");
    for statement in [
        "alter system set ssl_ca_file = 'authority.crt'".to_owned(),
        "alter system set ssl = on".to_owned(),
        format!("create role {USER} login password '{PASSWORD}'"),
        format!("create database {USER} owner {USER}"),
        "select pg_reload_conf()".to_owned(),
    ] {
        or_fail(admin.execute(statement.as_str()).await, "securing Postgres");
    }
    or_fail(admin.close().await, "closing a connection");
    let mut url = or_fail(url::Url::parse(stack.variable("DATABASE_URL")), "reading the database's URL");
    url.set_path(USER);
    or_fail(url.set_username(USER).and_then(|()| url.set_password(Some(PASSWORD))), "naming the user");
    url.query_pairs_mut()
        .append_pair("sslmode", "verify-full")
        .append_pair("sslrootcert", &authority.file().display().to_string())
        .append_pair("sslcert", &client.certificate.display().to_string())
        .append_pair("sslkey", &client.key.display().to_string());
    (stack, url.into())
}

fn postgres_folder(stack: &TestStack) -> PathBuf {
    stack.data_folder().join("postgres")
}

/// Copies a file into the folder of Postgres, readable by its user only.
fn install_file(from: &Path, to: &Path) {
    or_fail(fs::copy(from, to), "copying a certificate");
    or_fail(fs::set_permissions(to, fs::Permissions::from_mode(0o600)), "setting permissions");
    let owner = or_fail(fs::metadata(to.parent().unwrap_or(to)), "reading who owns the folder");
    or_fail(chown(to, Some(owner.uid()), Some(owner.gid())), "changing the owner of a certificate");
}

/// Starts a Redis that only knows one user, with the program of the stack's Redis.
async fn start_redis(stack: &TestStack, folder: &Path) -> anyhow::Result<(Child, String)> {
    let program = crate::redis_cluster::server_program(stack.variable("REDIS_URL")).await?;
    let port = find_free_port()?;
    let file = folder.join("redis.conf");
    let users = format!("user default off\nuser {USER} on >{PASSWORD} ~* &* +@all\n");
    fs::write(&file, format!("bind 127.0.0.1\nport {port}\nsave \"\"\n{users}"))?;
    let mut command = guarded_child::command(&program);
    command.arg(&file).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((guarded_child::spawn_guarded(command)?, format!("127.0.0.1:{port}")))
}
