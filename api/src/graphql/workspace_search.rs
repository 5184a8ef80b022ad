//! Search in what a company owns; from Qdrant, names from Redis.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use domain::{document::Document, proposal::Proposal, resource::Resource, value::TenantId};
use projections::{
    opportunity_search::{SearchUnitKind, TenantSearchHit},
    tenant_views::{StoredAggregate, TenantAggregate, TenantViews},
};

use super::{command_dispatch::reading_tenant, error, input_validation, pagination, read_models};

/// What a company owns by meaning and by words.
#[derive(Default)]
pub(super) struct WorkspaceSearchQuery;

#[Object]
impl WorkspaceSearchQuery {
    /// Proposals, documents and resources of your company that mean what the query says or have its words and numbers in
    /// them, part by part, the best first.
    async fn search_workspace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is looked for, in plain words or by a number, at most 200 characters.")] query: String,
        #[graphql(desc = "How many, 1 to 100; 10 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only things of these kinds; all where none is named.")] kinds: Option<Vec<WorkspaceKindEnum>>,
    ) -> Result<Vec<WorkspaceHit>> {
        let (tenant, first) =
            (reading_tenant(ctx)?, pagination::parse_page_size(first, pagination::DEFAULT_HIT_COUNT)?);
        let query = input_validation::parse_search_text("query", &query)?;
        let mut kinds: Vec<_> = kinds.unwrap_or_default().into_iter().map(SearchUnitKind::from).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let reading = read_models::from_context(ctx)?;
        let search = reading.search().await?;
        let hits = search.search_tenant(&query, &kinds, tenant.as_str(), first).await;
        let hits = hits.map_err(|error| error::query_error(&error))?;
        attach_titles(reading.tenant_views().await?, tenant, hits).await
    }
}

/// A kind of thing that a company owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "WorkspaceKind", remote = "SearchUnitKind")]
enum WorkspaceKindEnum {
    /// A proposal: its title, and each of its sections.
    Proposal,
    /// A document: its name, what it asks for, what it was summed up to.
    Document,
    /// A resource.
    Resource,
}

/// Something that answers a search.
#[derive(SimpleObject)]
struct WorkspaceHit {
    /// How good an answer it is, more being better; comparable within one answer only.
    score: f32,
    /// What kind of thing it is.
    kind: WorkspaceKindEnum,
    /// The thing's id.
    id: String,
    /// What the thing is called; null where the other read model has not heard of it yet.
    title: Option<String>,
    /// Which part of it: `title` or `section:<key>` of a proposal, `file`, `requirements` or `analysis` of a document,
    /// `whole` of a resource.
    part: String,
    /// What the part is called.
    heading: String,
    /// The passage of the part that has most of the query's words in it.
    passage: String,
    /// The version of the thing that wrote the part.
    version: u64,
}

/// What Redis knows of a thing that was found.
enum HitTitle {
    /// What it is called.
    Title(String),
    /// It was deleted, which search has not heard of yet.
    Deleted,
    /// Nothing yet.
    Unknown,
}

/// The hits with the names of their things, read kind by kind; without what is gone.
async fn attach_titles(
    workspace: &TenantViews,
    tenant: &TenantId,
    hits: Vec<TenantSearchHit>,
) -> Result<Vec<WorkspaceHit>> {
    let proposals = load_titles::<Proposal>(workspace, tenant, SearchUnitKind::Proposal, &hits, |proposal| {
        proposal.content().map(|manuscript| manuscript.title.to_string())
    });
    let documents = load_titles::<Document>(workspace, tenant, SearchUnitKind::Document, &hits, |document| {
        document.as_uploaded().map(|reading| reading.upload.file_name.to_string())
    });
    let resources = load_titles::<Resource>(workspace, tenant, SearchUnitKind::Resource, &hits, |resource| {
        resource.content().map(|asset| asset.name.to_string())
    });
    let (proposals, documents, resources) = tokio::try_join!(proposals, documents, resources)?;
    let (mut proposals, mut documents, mut resources) =
        (proposals.into_iter(), documents.into_iter(), resources.into_iter());
    let mut shown = Vec::with_capacity(hits.len());
    for hit in hits {
        let known = match hit.kind {
            SearchUnitKind::Proposal => proposals.next(),
            SearchUnitKind::Document => documents.next(),
            SearchUnitKind::Resource => resources.next(),
        };
        let title = match known {
            Some(HitTitle::Deleted) => continue,
            Some(HitTitle::Title(title)) => Some(title),
            Some(HitTitle::Unknown) | None => None,
        };
        let TenantSearchHit { kind, id, part, heading, passage, score, version } = hit;
        shown.push(WorkspaceHit { score, kind: kind.into(), id, title, part, heading, passage, version });
    }
    Ok(shown)
}

/// What is known of the hits of one kind, in their order.
async fn load_titles<A: TenantAggregate>(
    workspace: &TenantViews,
    tenant: &TenantId,
    kind: SearchUnitKind,
    hits: &[TenantSearchHit],
    name: impl Fn(&A) -> Option<String>,
) -> Result<Vec<HitTitle>> {
    let ids: Vec<_> = hits.iter().filter(|hit| hit.kind == kind).map(|hit| hit.id.as_str()).collect();
    let found = workspace.get_many::<A>(tenant, &ids).await.map_err(|error| error::query_error(&error))?;
    let known = found.into_iter().map(|kept: Option<StoredAggregate<A>>| match kept {
        None => HitTitle::Unknown,
        Some(kept) => name(&kept.state).map_or(HitTitle::Deleted, HitTitle::Title),
    });
    Ok(known.collect())
}
