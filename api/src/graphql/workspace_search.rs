//! Search in a company's proposals, documents and resources: hits from Qdrant, titles from Redis.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use domain::{document::Document, proposal::Proposal, resource::Resource, value::TenantId};
use projections::{
    opportunity_search::{SearchUnitKind, TenantSearchHit},
    tenant_views::{StoredAggregate, TenantAggregate, TenantViews},
};

use super::{command_dispatch::reading_tenant, error, input_validation, pagination, read_models};

/// Query that searches the data of the caller's company.
#[derive(Default)]
pub(super) struct WorkspaceSearchQuery;

#[Object]
impl WorkspaceSearchQuery {
    /// Searches the proposals, documents and resources of your company by meaning and by words and numbers, best match
    /// first. Each hit is a part of an object.
    async fn search_workspace(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Search text, in plain words or a number, at most 200 characters.")] query: String,
        #[graphql(desc = "Maximum number of hits, 1 to 100; 10 by default.")] first: Option<i32>,
        #[graphql(desc = "Only objects of these kinds; all by default.")] kinds: Option<Vec<WorkspaceKindEnum>>,
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

/// Kind of an object that a company owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "WorkspaceKind", remote = "SearchUnitKind")]
enum WorkspaceKindEnum {
    /// A proposal: its title and each section.
    Proposal,
    /// A document: its file name, requirements, analysis and text.
    Document,
    /// A resource.
    Resource,
}

/// A part of an object found by a search.
#[derive(SimpleObject)]
struct WorkspaceHit {
    /// Score of the match, higher is better; comparable within one response only.
    score: f32,
    /// Kind of the object.
    kind: WorkspaceKindEnum,
    /// Id of the object.
    id: String,
    /// Title of the object; null if the read model with the titles does not contain it yet.
    title: Option<String>,
    /// Part of the object: `title` or `section:<key>` of a proposal, `file`, `requirements`, `analysis` or
    /// `text:<number>` of a document, `whole` of a resource.
    part: String,
    /// Heading of the part.
    heading: String,
    /// Page of the document, from 1, if the part is of its text; null for other parts.
    page: Option<u32>,
    /// The passage of the part that contains most of the query's words.
    passage: String,
    /// Version of the object that wrote the part.
    version: u64,
}

/// Title of a hit as Redis has it.
enum HitTitle {
    /// The title.
    Title(String),
    /// The object was deleted; the search index does not reflect that yet.
    Deleted,
    /// Redis does not have the object yet.
    Unknown,
}

/// Adds titles to the hits, with one read per kind, and leaves out deleted objects.
async fn attach_titles(
    tenant_views: &TenantViews,
    tenant: &TenantId,
    hits: Vec<TenantSearchHit>,
) -> Result<Vec<WorkspaceHit>> {
    let proposals = load_titles::<Proposal>(tenant_views, tenant, SearchUnitKind::Proposal, &hits, |proposal| {
        proposal.content().map(|content| content.title.to_string())
    });
    let documents = load_titles::<Document>(tenant_views, tenant, SearchUnitKind::Document, &hits, |document| {
        document.as_uploaded().map(|reading| reading.upload.file_name.to_string())
    });
    let resources = load_titles::<Resource>(tenant_views, tenant, SearchUnitKind::Resource, &hits, |resource| {
        resource.content().map(|content| content.name.to_string())
    });
    let (proposals, documents, resources) = tokio::try_join!(proposals, documents, resources)?;
    let (mut proposals, mut documents, mut resources) =
        (proposals.into_iter(), documents.into_iter(), resources.into_iter());
    let mut titled_hits = Vec::with_capacity(hits.len());
    for hit in hits {
        let title = match hit.kind {
            SearchUnitKind::Proposal => proposals.next(),
            SearchUnitKind::Document => documents.next(),
            SearchUnitKind::Resource => resources.next(),
        };
        let title = match title {
            Some(HitTitle::Deleted) => continue,
            Some(HitTitle::Title(title)) => Some(title),
            Some(HitTitle::Unknown) | None => None,
        };
        let TenantSearchHit { kind, id, part, heading, page, passage, score, version } = hit;
        titled_hits.push(WorkspaceHit { score, kind: kind.into(), id, title, part, heading, page, passage, version });
    }
    Ok(titled_hits)
}

/// Loads the titles of the hits of one kind, in their order.
async fn load_titles<A: TenantAggregate>(
    tenant_views: &TenantViews,
    tenant: &TenantId,
    kind: SearchUnitKind,
    hits: &[TenantSearchHit],
    name: impl Fn(&A) -> Option<String>,
) -> Result<Vec<HitTitle>> {
    let ids: Vec<_> = hits.iter().filter(|hit| hit.kind == kind).map(|hit| hit.id.as_str()).collect();
    let found = tenant_views.get_many::<A>(tenant, &ids).await.map_err(|error| error::query_error(&error))?;
    let titles = found.into_iter().map(|stored: Option<StoredAggregate<A>>| match stored {
        None => HitTitle::Unknown,
        Some(stored) => name(&stored.state).map_or(HitTitle::Deleted, HitTitle::Title),
    });
    Ok(titles.collect())
}
