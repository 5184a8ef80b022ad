//! Measures a running service from the upload of a document until its analysis is recorded, one document after the other.
//!
//! The baseline is the text extraction alone: the same file in a child process of this one, without upload, tasks,
//! requirements and analysis.

mod pdf_file;

use std::time::{Duration, Instant};

use anyhow::Context;
use documents::{ExtractionConfig, ExtractionProcess, ExtractionProgram, TextMethod};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use self::pdf_file::{write_scanned_page, write_text_pages};
use crate::{
    BenchFigures, BenchReport, cpu_time, new_wait_histogram,
    report::{BenchMeasure, MeasureRepetition, MeasureUnit},
    to_micros,
};

/// Pages of the document with text.
const TEXT_PAGES: usize = 30;

/// How often the status of a document is queried.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long a document may take.
const ANALYSIS_TIMEOUT: Duration = Duration::from_mins(2);

/// Options of the benchmark.
#[derive(Debug, Clone)]
pub struct DocumentBenchOptions {
    /// Base URL of the service.
    pub base_url: String,
    /// Number of documents of each sort.
    pub documents: u32,
    /// Settings of the extraction alone.
    pub extraction: ExtractionConfig,
}

/// A sort of document.
struct BenchDocument {
    name: &'static str,
    /// How its text is obtained.
    method: TextMethod,
    content: Vec<u8>,
}

/// A member of a company that exists for the benchmark.
struct DocumentUser {
    client: reqwest::Client,
    base_url: String,
    token: String,
}

/// Measures each sort of document, and passes each report to `print` as soon as it is complete.
///
/// # Errors
/// When the service does not answer, or a document is not analysed.
pub async fn run(
    options: &DocumentBenchOptions,
    mut print: impl FnMut(&BenchReport) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let user = DocumentUser::register(&options.base_url).await?;
    let documents = [
        BenchDocument {
            name: "documents/text-30-pages",
            method: TextMethod::Native,
            content: write_text_pages(TEXT_PAGES),
        },
        BenchDocument { name: "documents/scanned-page", method: TextMethod::Ocr, content: write_scanned_page() },
    ];
    for document in &documents {
        let raw = measure_extraction(options, document).await.context("extracting the text alone")?;
        let analysed = user.measure_analyses(options, document).await.context("analysing documents")?;
        let raw_is = "the text extraction alone, in a child process";
        let repetition = MeasureRepetition {
            value: analysed.p50_ms.unwrap_or_default(),
            raw: raw.p50_ms,
            ..MeasureRepetition::from_figures(&analysed, None)
        };
        let measure = BenchMeasure::new(document.name, MeasureUnit::Milliseconds, vec![repetition]);
        let report = BenchReport::new(document.name, analysed, raw_is, raw)
            .with_measure(measure.with_raw_limit(raw_is))
            .with_figure("bytes", document.content.len());
        print(&report)?;
    }
    Ok(())
}

/// Extracts the text in child processes of this one.
async fn measure_extraction(options: &DocumentBenchOptions, document: &BenchDocument) -> anyhow::Result<BenchFigures> {
    let folder = std::env::temp_dir().join(format!("medhub-bench-{}", Uuid::new_v4().simple()));
    tokio::fs::create_dir(&folder).await.context("making a temporary folder")?;
    let file = folder.join("document.pdf");
    let measured = async {
        tokio::fs::write(&file, &document.content).await?;
        let extraction = ExtractionProcess::new(ExtractionProgram::current(), options.extraction.clone());
        measure(options.documents, async |_| {
            let text = extraction.extract(&file, "document.pdf").await?;
            anyhow::ensure!(text.method == document.method, "the text was obtained by {:?}", text.method);
            Ok(())
        })
        .await
    };
    let figures = measured.await;
    tokio::fs::remove_dir_all(&folder).await.context("removing a temporary folder")?;
    figures
}

impl DocumentUser {
    async fn register(base_url: &str) -> anyhow::Result<Self> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let mut user = Self { client: reqwest::Client::new(), base_url, token: String::new() };
        let tenant = format!("bench-{}", Uuid::new_v4().simple());
        user.token = user.login(None).await?;
        let register =
            "mutation($tenant: String!) { registerCompany(tenant: $tenant, name: \"Benchmark\") { __typename } }";
        user.post_graphql(register, json!({ "tenant": tenant })).await?;
        user.token = user.login(Some(&tenant)).await?;
        Ok(user)
    }

    async fn login(&self, tenant: Option<&str>) -> anyhow::Result<String> {
        let login = "mutation($tenant: String) { developmentLogin(user: \"bench\", tenant: $tenant) { token } }";
        let data = self.post_graphql(login, json!({ "tenant": tenant })).await;
        let data = data.context("the benchmark needs the development login")?;
        Ok(data["developmentLogin"]["token"].as_str().unwrap_or_default().to_owned())
    }

    async fn post_graphql(&self, document: &str, variables: Value) -> anyhow::Result<Value> {
        let mut request = self.client.post(format!("{}/graphql", self.base_url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let request = request.json(&json!({ "query": document, "variables": variables }));
        let response = request.send().await.with_context(|| format!("connecting to {}", self.base_url))?;
        let mut body: Value = response.json().await?;
        anyhow::ensure!(body["errors"].is_null(), "{}", body["errors"]);
        Ok(body["data"].take())
    }

    async fn measure_analyses(
        &self,
        options: &DocumentBenchOptions,
        document: &BenchDocument,
    ) -> anyhow::Result<BenchFigures> {
        measure(options.documents, async |_| {
            let id = self.upload(&document.content).await?;
            self.wait_until_analysed(&id).await
        })
        .await
    }

    async fn upload(&self, content: &[u8]) -> anyhow::Result<String> {
        let url = format!("{}/api/v1/documents?fileName=bench.pdf", self.base_url);
        let request = self.client.post(url).bearer_auth(&self.token).header("content-type", "application/pdf");
        let response = request.body(content.to_vec()).send().await.context("uploading a document")?;
        let (status, body) = (response.status(), response.text().await?);
        anyhow::ensure!(status.is_success(), "the upload was answered with {status}: {body}");
        let uploaded: Value = serde_json::from_str(&body)?;
        uploaded["id"].as_str().map(str::to_owned).context("the answer to an upload has no id")
    }

    async fn wait_until_analysed(&self, id: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + ANALYSIS_TIMEOUT;
        loop {
            let query = "query($id: UUID!) { document(id: $id) { status failure } }";
            let data = self.post_graphql(query, json!({ "id": id })).await?;
            let document = &data["document"];
            match document["status"].as_str() {
                Some("ANALYSED") => return Ok(()),
                Some("FAILED") => anyhow::bail!("the document failed: {}", document["failure"]),
                _ => {}
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the document is not analysed after {ANALYSIS_TIMEOUT:?}, last: {document}; does a worker run?"
            );
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Times this number of runs. The first one is not counted: it loads libraries and opens connections.
async fn measure(count: u32, run: impl AsyncFn(u32) -> anyhow::Result<()>) -> anyhow::Result<BenchFigures> {
    run(0).await?;
    let mut waits = new_wait_histogram()?;
    let (started, cpu) = (Instant::now(), cpu_time::process_cpu_time() + cpu_time::children_cpu_time());
    for number in 1..=count {
        let begun = Instant::now();
        run(number).await?;
        waits.saturating_record(to_micros(begun.elapsed()));
    }
    let cpu = (cpu_time::process_cpu_time() + cpu_time::children_cpu_time()).saturating_sub(cpu);
    Ok(BenchFigures::new(u64::from(count), started.elapsed(), cpu, Some(&waits)))
}
