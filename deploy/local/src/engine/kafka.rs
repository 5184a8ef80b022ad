//! Apache Kafka, on the machine's Java or on a packaged one.

mod start_kit;

use std::{fs, path::Path};

use anyhow::Context as _;

use self::start_kit::StartKitBuilder;
use super::{EngineProgram, EngineSettings, LaunchSpec};
use crate::{
    artifact::{JAVA, KAFKA},
    folder, java,
    service_port::{AllocatedPorts, ServicePort},
};

/// The cluster id of the stack's only broker; any value works as long as it stays the same.
const CLUSTER_ID: &str = "bWVkaHViLWxvY2FsLTAwMQ";

/// Short-lived stacks gain more from a fast start than from the optimising compiler.
const JVM_OPTIONS: &[&str] = &[
    "-Xshare:auto",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    // Its sampling thread wakes up twenty times a second, and the samples are never read.
    "-XX:-UsePerfData",
    // Each collection of a small young generation pauses the broker for some 10 ms, at 2,000 records/s once a second: enough
    // to be the 99th percentile of what waits for it.
    "-Xmn96m",
    "-Xms160m",
    "-Xmx384m",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
];

pub(super) fn choose_program(settings: &EngineSettings) -> EngineProgram {
    let system = settings.cache.use_system.then(java::find_system_java).flatten();
    let (java, packaged_java) = match system {
        Some((java, _)) => (java, None),
        None => (JAVA.folder(&settings.cache).join("java-runtime/bin/java"), Some(&JAVA)),
    };
    let mut choice = EngineProgram::from_artifact(&KAFKA, settings);
    choice.version = format!("Apache {}", choice.version);
    choice.artifacts.extend(packaged_java);
    choice.java = Some(java);
    choice
}

pub(super) async fn prepare_launch(
    choice: &EngineProgram,
    settings: &EngineSettings,
    ports: &AllocatedPorts,
) -> anyhow::Result<LaunchSpec> {
    let clients_port = ports.number(ServicePort::Kafka)?;
    let java = choice.java.as_ref().context("no Java was chosen for Kafka")?;
    let data = settings.folder("kafka");
    folder::create_folder(&data)?;
    let logs = data.join("log");
    let properties = data.join("server.properties");
    fs::write(&properties, server_properties(clients_port, ports.number(ServicePort::KafkaController)?, &logs)?)
        .with_context(|| format!("writing {}", properties.display()))?;
    let jars = choice.path.join("jars");
    let builder = StartKitBuilder {
        cache: &settings.cache,
        data: &settings.data_folder,
        java,
        jars: &jars,
        version: KAFKA.version,
        clients_port,
        controller_port: ports.number(ServicePort::KafkaController)?,
    };
    let kit = builder.ensure_kit().await.context("preparing Kafka's first start")?;
    if !logs.join("meta.properties").exists() {
        kit.copy_formatted(&logs)?;
    }
    let main = ["kafka.Kafka".into(), properties.into_os_string()];
    let class_path = ["-cp".into(), start_kit::class_path(&jars).into_os_string()];
    Ok(LaunchSpec::new(java).args([kit.archive_option()]).args(JVM_OPTIONS.iter().copied()).args(class_path).args(main))
}

/// The broker's session is short because a restarted broker is refused until the session of the killed one ends. The only
/// controller has no followers that its idle records would keep up to date.
fn server_properties(clients_port: u16, controller_port: u16, logs: &Path) -> anyhow::Result<String> {
    let logs = logs.to_str().context("the data folder's name is not UTF-8")?;
    Ok(format!(
        "# Overwritten at every start.
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{clients_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{clients_port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
metadata.max.idle.interval.ms=0
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"
    ))
}
