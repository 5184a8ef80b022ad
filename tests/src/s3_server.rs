//! S3Proxy: an S3-compatible server, which checks signatures and stores the objects of a bucket as files of a folder.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use objects::S3Config;
use tokio::sync::OnceCell;

use crate::{
    blocking::run_blocking, engines, eventually, failure::or_fail, fetched_artifact::fetch_artifact, guarded_child,
    test_folder::TestFolder, unique_name,
};

const ACCESS_KEY_ID: &str = "medhub-test";
const SECRET_ACCESS_KEY: &str = "medhub-test-secret";

/// A short-lived server gains more from a fast start than from the optimising compiler.
const JVM_OPTIONS: [&str; 5] =
    ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Djava.awt.headless=true"];

/// Without it, every request is logged with all of its details.
const LOGGING: &str = r#"<configuration>
  <appender name="E" class="ch.qos.logback.core.ConsoleAppender"><target>System.err</target>
    <encoder><pattern>%d %level %logger{0} %msg%n</pattern></encoder></appender>
  <root level="WARN"><appender-ref ref="E"/></root>
</configuration>"#;

/// A running server, which ends with the test program.
#[derive(Debug)]
pub struct S3Server {
    endpoint: String,
    buckets: PathBuf,
    _folder: TestFolder,
}

/// The server that all tests share, each with buckets of its own.
///
/// # Panics
/// If it cannot be fetched or does not start.
pub async fn s3_server() -> &'static S3Server {
    static SHARED: OnceCell<S3Server> = OnceCell::const_new();
    // A static is never dropped: the folder of the engines is removed when the test program ends.
    let folder = engines().await.data_folder();
    SHARED.get_or_init(async || S3Server::start(TestFolder::new_in(folder)).await).await
}

impl S3Server {
    async fn start(folder: TestFolder) -> Self {
        let buckets = folder.path().join("buckets");
        or_fail(fs::create_dir(&buckets), "creating the folder of the buckets");
        let listener = or_fail(TcpListener::bind("127.0.0.1:0"), "finding a port");
        let port = or_fail(listener.local_addr(), "finding a port").port();
        drop(listener);
        let endpoint = format!("http://127.0.0.1:{port}");
        let (settings, logging) = (folder.path().join("s3proxy.conf"), folder.path().join("logback.xml"));
        or_fail(fs::write(&settings, server_settings(&endpoint, &buckets)), "writing the server's settings");
        or_fail(fs::write(&logging, LOGGING), "writing the server's settings");
        let log = or_fail(fs::File::create(folder.path().join("s3proxy.log")), "creating the server's log");
        let (java, jars) = or_fail(run_blocking(fetch_server).await, "fetching S3Proxy");
        let mut command = guarded_child::command(java);
        command.args(JVM_OPTIONS).arg(format!("-Dlogback.configurationFile={}", logging.display()));
        command.arg("-cp").arg(jars.join("*")).args(["org.gaul.s3proxy.Main", "--properties"]).arg(&settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = or_fail(guarded_child::spawn_guarded(command), "starting S3Proxy");
        let log = folder.path().join("s3proxy.log");
        eventually(async || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("S3Proxy ended with {status}: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            crate::new_http_client().get(&endpoint).send().await.map(drop)
        })
        .await;
        Self { endpoint, buckets, _folder: folder }
    }

    /// The URL of the server.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Creates a bucket and returns its name.
    ///
    /// # Panics
    /// If its folder cannot be created.
    pub fn create_bucket(&self) -> String {
        let name = unique_name("bucket").replace('_', "-");
        or_fail(fs::create_dir(self.bucket_folder(&name)), "creating a bucket");
        name
    }

    /// The folder with the objects of a bucket.
    pub fn bucket_folder(&self, bucket: &str) -> PathBuf {
        self.buckets.join(bucket)
    }

    /// The settings of a store in this bucket, with short pauses.
    pub fn settings(&self, bucket: &str) -> S3Config {
        S3Config {
            bucket: bucket.to_owned(),
            endpoint: self.endpoint.clone(),
            access_key_id: ACCESS_KEY_ID.into(),
            secret_access_key: SECRET_ACCESS_KEY.into(),
            ..S3Config::default()
        }
    }

    /// The settings of a product whose store is in this bucket.
    pub fn variables(&self, bucket: &str) -> [(String, String); 4] {
        [
            ("MEDHUB__OBJECTS__S3__BUCKET", bucket),
            ("MEDHUB__OBJECTS__S3__ENDPOINT", &self.endpoint),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}

fn server_settings(endpoint: &str, buckets: &Path) -> String {
    let buckets = buckets.display();
    format!(
        "s3proxy.endpoint={endpoint}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={ACCESS_KEY_ID}
s3proxy.credential={SECRET_ACCESS_KEY}
jclouds.provider=filesystem-nio2
jclouds.identity=unused
jclouds.credential=unused
jclouds.filesystem.basedir={buckets}
"
    )
}

/// Fetches the server, and a Java if the machine has none, and returns the program and the folder of the jars.
fn fetch_server() -> anyhow::Result<(PathBuf, PathBuf)> {
    let jars = fetch_artifact("s3proxy")?.join("jars");
    let java = match medhub_local::java::find_system_java() {
        Some((java, _version)) => java,
        None => fetch_artifact("java")?.join("java-runtime/bin/java"),
    };
    Ok((java, jars))
}
