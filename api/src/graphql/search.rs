//! Search in what a company owns; from Qdrant, names from Redis.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use domain::{document::Document, proposal::Proposal, resource::Resource, value::TenantId};
use projections::{
    search::{OwnedHit, OwnedKind},
    workspace::{Kept, Owned, Workspace},
};

use super::{error, input, outcome::reader, page, reading};

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
        #[graphql(desc = "Only things of these kinds; all where none is named.")] kinds: Option<Vec<WorkspaceKind>>,
    ) -> Result<Vec<WorkspaceHit>> {
        let (tenant, first) = (reader(ctx)?, page::size(first, page::DEFAULT_HITS)?);
        let query = input::question("query", &query)?;
        let mut kinds: Vec<_> = kinds.unwrap_or_default().into_iter().map(OwnedKind::from).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let reading = reading::of(ctx)?;
        let search = reading.search().await?;
        let hits = search.search_owned(&query, &kinds, tenant.as_str(), first).await;
        let hits = hits.map_err(|error| error::query(&error))?;
        named(reading.workspace().await?, tenant, hits).await
    }
}

/// A kind of thing that a company owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "OwnedKind")]
enum WorkspaceKind {
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
    kind: WorkspaceKind,
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
enum Known {
    /// What it is called.
    Named(String),
    /// It was deleted, which search has not heard of yet.
    Gone,
    /// Nothing yet.
    Nothing,
}

/// The hits with the names of their things, read kind by kind; without what is gone.
async fn named(workspace: &Workspace, tenant: &TenantId, hits: Vec<OwnedHit>) -> Result<Vec<WorkspaceHit>> {
    let proposals = known::<Proposal>(workspace, tenant, OwnedKind::Proposal, &hits, |proposal| {
        proposal.manuscript().map(|manuscript| manuscript.title.to_string())
    });
    let documents = known::<Document>(workspace, tenant, OwnedKind::Document, &hits, |document| {
        document.reading().map(|reading| reading.upload.file_name.to_string())
    });
    let resources = known::<Resource>(workspace, tenant, OwnedKind::Resource, &hits, |resource| {
        resource.asset().map(|asset| asset.name.to_string())
    });
    let (proposals, documents, resources) = tokio::try_join!(proposals, documents, resources)?;
    let (mut proposals, mut documents, mut resources) =
        (proposals.into_iter(), documents.into_iter(), resources.into_iter());
    let mut shown = Vec::with_capacity(hits.len());
    for hit in hits {
        let known = match hit.kind {
            OwnedKind::Proposal => proposals.next(),
            OwnedKind::Document => documents.next(),
            OwnedKind::Resource => resources.next(),
        };
        let title = match known {
            Some(Known::Gone) => continue,
            Some(Known::Named(title)) => Some(title),
            Some(Known::Nothing) | None => None,
        };
        let OwnedHit { kind, id, part, heading, passage, score, version } = hit;
        shown.push(WorkspaceHit { score, kind: kind.into(), id, title, part, heading, passage, version });
    }
    Ok(shown)
}

/// What is known of the hits of one kind, in their order.
async fn known<A: Owned>(
    workspace: &Workspace,
    tenant: &TenantId,
    kind: OwnedKind,
    hits: &[OwnedHit],
    name: impl Fn(&A) -> Option<String>,
) -> Result<Vec<Known>> {
    let ids: Vec<_> = hits.iter().filter(|hit| hit.kind == kind).map(|hit| hit.id.as_str()).collect();
    let found = workspace.get_many::<A>(tenant, &ids).await.map_err(|error| error::query(&error))?;
    let known = found.into_iter().map(|kept: Option<Kept<A>>| match kept {
        None => Known::Nothing,
        Some(kept) => name(&kept.state).map_or(Known::Gone, Known::Named),
    });
    Ok(known.collect())
}
