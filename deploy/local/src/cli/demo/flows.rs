//! The flows: from a notice to the inbox and to mail, from an uploaded file to its analysis, and from a draft to its
//! generated sections.

mod flow_watch;
mod generated_text;

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use self::{flow_watch::FlowWatch, generated_text::print_section};
use super::{
    mail_folder::MailFolder,
    product_client::ProductClient,
    sample_document::{FILE_NAME, write_solicitation},
};
use crate::supervised_stack::{OPERATOR_TOKEN_VARIABLE, SupervisedStack};

/// Names the folder of mails, if the product writes them into one.
const MAIL_FOLDER_VARIABLE: &str = "MEDHUB__MAIL__FOLDER";

/// The user who saves a search and uploads a file.
const USER: &str = "ann";
/// The sections that are generated, of the standard ones.
const SECTIONS: [&str; 2] = ["technical-approach", "past-performance"];
/// What the company has done, as it describes it.
const PAST_WORK: &str = "In 2029 Clinic Supply delivered and installed 240 ceiling lifts for patients in four hospitals \
    of the Department of Veterans Affairs. All lifts were installed within 75 days after award. Clinic Supply trained \
    310 nurses and maintains the lifts with technicians who answer within one day. The contracting officer rated the \
    past performance of the contract as exceptional.";
/// Most requirements of the document that are printed.
const MAX_REQUIREMENTS: usize = 4;

const REGISTER: &str = "mutation($tenant: String!, $name: String!) {
    outcome: registerCompany(tenant: $tenant, name: $name) { ... on Accepted { version } ... on Rejected { reason } } }";
const SAVE_SEARCH: &str = "mutation($search: SavedSearchInput!) {
    outcome: saveSearch(search: $search) { ... on Accepted { version } ... on Rejected { reason } } }";
const SET_ADDRESS: &str = "mutation($input: MailPreferencesInput!) {
    outcome: changeMailPreferences(input: $input) { ... on Accepted { version } ... on Rejected { reason } } }";
const DISCOVER: &str = "mutation($input: DiscoverOpportunityInput!) {
    outcome: discoverOpportunity(input: $input) { ... on OpportunityAccepted { id version }
    ... on OpportunityRejected { reason } } }";
const CREATE_RESOURCE: &str = "mutation($input: ResourceInput!) {
    outcome: createResource(input: $input) { ... on Accepted { id version } ... on Rejected { reason } } }";
const DRAFT: &str = "mutation($input: DraftProposalInput!) {
    outcome: draftProposal(input: $input) { ... on Accepted { id version } ... on Rejected { reason } } }";
const GENERATE: &str = "mutation($input: GenerateProposalInput!) {
    outcome: generateProposal(input: $input) { ... on Accepted { id version } ... on Rejected { reason } } }";
const GENERATION: &str = "query($id: UUID!) { proposalGeneration(id: $id) { status reason sections { heading status
    failure sentences { text sources } sources { number title page } model { provider model } } } }";
const RESOURCE_SEARCH: &str = "{ searchWorkspace(query: \"ceiling lifts\", kinds: [RESOURCE, DOCUMENT]) { id } }";
const DOCUMENT: &str = "query($id: UUID!) { document(id: $id) { status pages failure
    requirements { kind text page number } } }";

/// The new company and the user that the flows run for.
#[derive(Debug)]
pub(super) struct FlowDemonstration<'a> {
    stack: &'a SupervisedStack,
    user: ProductClient,
    operator: ProductClient,
    /// Distinguishes this run from earlier ones on the same data.
    run: String,
    /// The user's address, and where mails to it arrive; `None` if the product sends them elsewhere.
    mail: Option<(String, MailFolder)>,
    /// The opportunity, once it is recorded.
    opportunity: Option<String>,
    patience: u64,
}

impl<'a> FlowDemonstration<'a> {
    /// Registers a company, in which one user saves a search and sets the address for mail.
    pub(super) async fn prepare(stack: &'a SupervisedStack, patience: u64) -> anyhow::Result<Self> {
        let state = stack.state();
        let address = state.http.as_deref().context("the product has no HTTP address")?;
        let operator_token = state.variables.get(OPERATOR_TOKEN_VARIABLE).context("the stack has no operator")?;
        let run: String = Uuid::new_v4().simple().to_string().chars().take(8).collect();
        let tenant = format!("demo-{run}");
        let founder = ProductClient::login(address, USER, None).await?;
        founder.change(REGISTER, json!({ "tenant": tenant, "name": "Clinic Supply" })).await?;
        let user = ProductClient::login(address, USER, Some(&tenant)).await?;
        let search = json!({
            "name": "Lifts", "text": "patient lifts", "naics": ["3391"], "notify": "AT_ONCE",
        });
        user.change(SAVE_SEARCH, json!({ "search": search })).await?;
        println!("{USER} of the new company {tenant} saved the search \"Lifts\": patient lifts, NAICS 3391");
        let mail = match state.variables.get(MAIL_FOLDER_VARIABLE) {
            Some(folder) => {
                let address = format!("{USER}@{tenant}.example");
                let preferences = json!({ "address": address, "timeZone": "America/New_York" });
                user.change(SET_ADDRESS, json!({ "input": preferences })).await?;
                println!("mail to {address} goes to the folder {folder}");
                Some((address, MailFolder::new(folder)))
            }
            None => None,
        };
        let operator = ProductClient::new(address, Some(operator_token));
        Ok(Self { stack, user, operator, run, mail, opportunity: None, patience })
    }

    /// Records a notice that matches the saved search, and waits until the user knows.
    pub(super) async fn process_opportunity(&mut self) -> anyhow::Result<()> {
        let number = format!("DEMO-{}", self.run);
        let input = json!({
            "noticeId": format!("demo-{}", self.run),
            "title": "Ceiling lifts for patients",
            "type": "Solicitation",
            "agency": "VETERANS AFFAIRS, DEPARTMENT OF",
            "solicitationNumber": number,
            "postedAt": "2026-03-03T12:00:00Z",
            "responseDeadline": "2031-05-05T16:00:00Z",
            "naics": "339113",
        });
        let started_at = Instant::now();
        let recorded = self.operator.change(DISCOVER, json!({ "input": input })).await?;
        let watch = self.watch_flow("notice", started_at, recorded.correlation_id);
        let opportunity = recorded.body.get("id").and_then(Value::as_str).context("the opportunity has no id")?;
        self.opportunity = Some(opportunity.to_owned());
        self.finish(&watch, opportunity).await
    }

    /// Uploads a PDF file, and waits until it is analysed and the user knows.
    pub(super) async fn analyse_document(&mut self) -> anyhow::Result<()> {
        let started_at = Instant::now();
        let uploaded = self.user.upload_pdf(FILE_NAME, write_solicitation()).await?;
        let watch = self.watch_flow("upload", started_at, uploaded.correlation_id);
        let id = uploaded.body.get("id").and_then(Value::as_str).context("the document has no id")?;
        let document = watch.wait_for("analysed document", async || self.find_analysed(id).await).await?;
        watch.print_step("analysed", &format_document(&document));
        print_requirements(&document);
        self.finish(&watch, id).await
    }

    /// Drafts a proposal for the opportunity, has two sections generated, and waits until they are written and the user
    /// knows.
    pub(super) async fn generate_proposal(&mut self) -> anyhow::Result<()> {
        let opportunity = self.opportunity.clone().context("there is no opportunity to answer")?;
        let resource =
            json!({ "name": "Ceiling lifts 2029", "kind": "PAST_PERFORMANCE", "body": PAST_WORK, "tags": [] });
        let resource = self.user.change(CREATE_RESOURCE, json!({ "input": resource })).await?;
        let draft = json!({ "opportunityId": opportunity, "title": "Ceiling lifts for patients" });
        let draft = self.user.change(DRAFT, json!({ "input": draft })).await?;
        let proposal = draft.body.get("id").and_then(Value::as_str).context("the proposal has no id")?;
        let resource = read_text_field(&resource.body, "id").to_owned();
        let preparation = self.watch_flow("draft", Instant::now(), draft.correlation_id.clone());
        preparation.wait_for("indexed resource", async || self.find_indexed(&resource).await).await?;

        let started_at = Instant::now();
        let input = json!({ "proposalId": proposal, "sections": SECTIONS });
        let requested = self.user.change(GENERATE, json!({ "input": input })).await?;
        let watch = self.watch_flow("request", started_at, requested.correlation_id);
        let id = requested.body.get("id").and_then(Value::as_str).context("the generation has no id")?;
        let generation = watch.wait_for("completed generation", async || self.find_generated(id).await).await?;
        let sections = generation.get("sections").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        watch.print_step("generated", &format!("{} sections", sections.len()));
        sections.iter().for_each(print_section);
        self.finish(&watch, proposal).await
    }

    fn watch_flow(&self, start: &'static str, started_at: Instant, correlation_id: String) -> FlowWatch<'a> {
        FlowWatch { start, started_at, patience: Duration::from_secs(self.patience), correlation_id, stack: self.stack }
    }

    /// The document once it is analysed.
    async fn find_analysed(&self, id: &str) -> anyhow::Result<Option<Value>> {
        let mut data = self.user.query(DOCUMENT, json!({ "id": id })).await?;
        let document = data.get_mut("document").map(Value::take).unwrap_or_default();
        match document.get("status").and_then(Value::as_str) {
            Some("ANALYSED") => Ok(Some(document)),
            Some("FAILED") => bail!("the analysis of {FILE_NAME} failed: {}", read_text_field(&document, "failure")),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether the search finds an object of the company.
    async fn find_indexed(&self, id: &str) -> anyhow::Result<Option<()>> {
        let data = self.user.query(RESOURCE_SEARCH, json!({})).await?;
        let mut hits = data.get("searchWorkspace").and_then(Value::as_array).into_iter().flatten();
        Ok(hits.any(|hit| read_text_field(hit, "id") == id).then_some(()))
    }

    /// The generation once it is completed.
    async fn find_generated(&self, id: &str) -> anyhow::Result<Option<Value>> {
        let mut data = self.user.query(GENERATION, json!({ "id": id })).await?;
        let generation = data.get_mut("proposalGeneration").map(Value::take).unwrap_or_default();
        match generation.get("status").and_then(Value::as_str) {
            Some("COMPLETED") => Ok(Some(generation)),
            Some("FAILED" | "CANCELLED") => bail!("the generation failed: {}", read_text_field(&generation, "reason")),
            Some(_) | None => Ok(None),
        }
    }

    /// Waits for the notification about a subject and its mail, and prints the trail.
    async fn finish(&mut self, watch: &FlowWatch<'_>, about: &str) -> anyhow::Result<()> {
        let title = watch.wait_for("notification in the inbox", async || self.find_notification(about).await).await?;
        watch.print_step("inbox", &title);
        let last_event = match &mut self.mail {
            Some((address, folder)) => {
                let find_mail = async || folder.find_new_mail(address);
                let mail = watch.wait_for("mail", find_mail).await?;
                watch.print_step("mail", &mail.file_name().unwrap_or_default().to_string_lossy());
                "inbox.mail_sent"
            }
            None => "inbox.notified",
        };
        watch.wait_for_event(last_event).await?;
        watch.print_trail().await
    }

    /// The title of the notification about a subject.
    async fn find_notification(&self, about: &str) -> anyhow::Result<Option<String>> {
        let inbox = "{ notifications(first: 5) { edges { node { title about } } } }";
        let data = self.user.query(inbox, json!({})).await?;
        let edges = data.pointer("/notifications/edges").and_then(Value::as_array);
        let mut notifications = edges.into_iter().flatten().filter_map(|edge| edge.get("node"));
        let found = notifications.find(|node| read_text_field(node, "about") == about);
        Ok(found.map(|node| read_text_field(node, "title").to_owned()))
    }
}

fn read_text_field<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list_requirements(document: &Value) -> &[Value] {
    document.get("requirements").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn format_document(document: &Value) -> String {
    let pages = document.get("pages").and_then(Value::as_u64).unwrap_or_default();
    format!("{FILE_NAME}, {pages} pages, {} requirements", list_requirements(document).len())
}

fn print_requirements(document: &Value) {
    for requirement in list_requirements(document).iter().take(MAX_REQUIREMENTS) {
        let page = requirement.get("page").and_then(Value::as_u64).unwrap_or_default();
        let (number, text) = (read_text_field(requirement, "number"), read_text_field(requirement, "text"));
        println!("    page {page}, {number}, {}: {text}", read_text_field(requirement, "kind").to_lowercase());
    }
}
