//! Apache Kafka whose clients need a certificate, and a user with a password or a token.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

use crate::{
    TestStack,
    blocking::run_blocking,
    failure::or_fail,
    free_port::find_free_port,
    guarded_child,
    test_certificates::{CertificateAuthority, IssuedCertificate},
    token_endpoint::{AUDIENCE, ISSUER},
};

/// The broker's name of itself; any value works.
const CLUSTER_ID: &str = "bWVkaHViLXRsc3Rlc3QtMQ";

/// Whom the broker knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KafkaUsers<'a> {
    /// Name of the user for SCRAM with SHA-512 and for PLAIN.
    pub(crate) name: &'a str,
    /// Its password.
    pub(crate) password: &'a str,
    /// File of the keys by which tokens can be verified, a JSON Web Key Set.
    pub(crate) token_keys: &'a Path,
}

impl KafkaUsers<'_> {
    fn keys_url(&self) -> String {
        format!("file://{}", self.token_keys.display())
    }
}

/// A running broker; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct SecuredKafka {
    address: String,
    child: Child,
}

impl SecuredKafka {
    /// Starts a broker with the program of the stack's Kafka. Its only listener for clients uses TLS, asks for a certificate
    /// that `authority` has signed, and knows `users`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub(crate) async fn start(
        stack: &TestStack,
        folder: &Path,
        authority: &CertificateAuthority,
        certificate: &IssuedCertificate,
        users: KafkaUsers<'_>,
    ) -> Self {
        let command_line = or_fail(kafka_command_line(stack), "finding the program of the stack's Kafka");
        let [clients, internal, controller] = [(); 3].map(|()| or_fail(find_free_port(), "finding a port"));
        let bundle = folder.join("kafka-identity.pem");
        let pem = [&certificate.key, &certificate.certificate].map(|file| or_fail(fs::read_to_string(file), "reading"));
        or_fail(fs::write(&bundle, pem.concat()), "writing the broker's certificate");
        let properties = folder.join("kafka.properties");
        let files = ServerFiles { logs: &folder.join("kafka"), authority: authority.file(), bundle: &bundle };
        let text = server_properties([clients, internal, controller], files, users);
        or_fail(fs::write(&properties, text), "writing the broker's settings");
        let log = or_fail(File::create(folder.join("kafka.log")), "creating the broker's log");

        let KafkaUsers { name, password, .. } = users;
        let scram = format!("SCRAM-SHA-512=[name={name},password={password}]");
        let properties = properties.display().to_string();
        let format = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", &properties, "--add-scram", &scram];
        let mut command = guarded_child::command(&command_line[0]);
        command.args(&command_line[1..]).args(format);
        let formatted = or_fail(run_blocking(move || command.output()).await, "formatting the broker's folder");
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));

        let mut command: Command = guarded_child::command(&command_line[0]);
        // It reads keys only from addresses that its command line allows.
        let allowed = format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", users.keys_url());
        command.args(&command_line[1..]).args([&allowed, "kafka.Kafka", &properties]);
        command.stdin(Stdio::null()).stdout(or_fail(log.try_clone(), "sharing the log")).stderr(log);
        let child = or_fail(guarded_child::spawn_guarded(command), "starting Kafka");
        Self { address: format!("127.0.0.1:{clients}"), child }
    }

    /// `host:port` of the listener for clients.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for SecuredKafka {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let (_ended, _reaped) = (self.child.kill(), self.child.wait());
    }
}

/// Java and its options up to the class path, as the stack's Kafka was started.
fn kafka_command_line(stack: &TestStack) -> anyhow::Result<Vec<String>> {
    for process in stack.state().live_processes() {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid))?;
        let arguments: Vec<_> = String::from_utf8(line)?.split('\0').map(str::to_owned).collect();
        let main_class = arguments.iter().position(|argument| argument == "kafka.Kafka");
        let java = arguments.iter().position(|argument| argument.ends_with("/java") || argument == "java");
        if let (Some(java), Some(main_class)) = (java, main_class) {
            return arguments.get(java..main_class).map(<[_]>::to_vec).context("the main class precedes Java");
        }
    }
    anyhow::bail!("no process of the stack is Kafka")
}

/// Files and folders of a broker.
#[derive(Clone, Copy)]
struct ServerFiles<'a> {
    /// Folder of the topics.
    logs: &'a Path,
    /// Whom the broker trusts.
    authority: &'a Path,
    /// Certificate and key of the broker.
    bundle: &'a Path,
}

fn server_properties(
    [clients, internal, controller]: [u16; 3],
    files: ServerFiles<'_>,
    users: KafkaUsers<'_>,
) -> String {
    let (logs, authority, bundle) = (files.logs.display(), files.authority.display(), files.bundle.display());
    let (KafkaUsers { name, password, .. }, token_keys) = (users, users.keys_url());
    format!(
        "process.roles=broker,controller
node.id=1
listeners=SASL_SSL://127.0.0.1:{clients},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{clients},INTERNAL://127.0.0.1:{internal}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
inter.broker.listener.name=INTERNAL
listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,SASL_SSL:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={bundle}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.sasl_ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{name}=\"{password}\";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl_ssl.oauthbearer.connections.max.reauth.ms=3600000
sasl.oauthbearer.jwt.validator.class=org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator
sasl.oauthbearer.jwks.endpoint.url={token_keys}
sasl.oauthbearer.expected.audience={AUDIENCE}
sasl.oauthbearer.expected.issuer={ISSUER}
sasl.oauthbearer.clock.skew.seconds=0
log.dirs={logs}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"
    )
}
