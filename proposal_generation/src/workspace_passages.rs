//! Passages from what a company owns, by the search of its workspace, and from the opportunity.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
};

use commands::{dispatcher::CommandDispatcher, error::CommandError};
use domain::{
    aggregate::PureAggregate,
    document::{Document, UploadedDocument},
    event_store::AggregateStores,
    fingerprint::Fingerprint,
    opportunity::{Opportunity, OpportunityId, OpportunityRecord},
    proposal::{Proposal, ProposalContent},
    proposal_generation::{SourceId, SourceKind, SourceTitle},
    resource::Resource,
    value::TenantId,
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use projections::{
    QueryError,
    opportunity_search::{SearchUnitKind, TenantSearchHit},
    read_models::ReadModels,
    tenant_views::ListGroup,
};

use crate::{
    OpportunitySummary, PassageQuery, PassageSource, RetrievalError, SourcedPassage,
    opportunity_passages::{TopicWords, notice_passages, requirement_passages, source_title},
    passage_source::PassageCollector,
    section_content::remove_source_marks,
};

/// The read models in their active generations.
pub type CurrentReadModels = Arc<dyn Fn() -> Arc<ReadModels> + Send + Sync>;

/// Hits of one query for one kind of object.
const HITS_PER_QUERY: u32 = 8;
/// Hits of one query for proposals; drafts are left out.
const PROPOSAL_HITS_PER_QUERY: u32 = 24;
/// Constant of reciprocal rank fusion, as in Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009.
const RANK_OFFSET: f64 = 60.0;
/// Maximum number of fused hits whose titles are loaded.
const MAX_FUSED_HITS: usize = 60;
/// Maximum number of documents about an opportunity whose requirements are read.
const MAX_DOCUMENTS: u32 = 20;
/// The opportunity gets at most a third of the passages, so that the rest is about the company.
const OPPORTUNITY_SHARE: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
const WHOLE: NonZeroU32 = NonZeroU32::MIN;
/// The kinds of objects that are searched, each by itself: none displaces another.
const KINDS: [SearchUnitKind; 3] = [SearchUnitKind::Document, SearchUnitKind::Resource, SearchUnitKind::Proposal];

/// Finds passages by the search of a company's texts.
pub struct WorkspacePassages<S> {
    dispatcher: Arc<CommandDispatcher<S>>,
    read_models: CurrentReadModels,
}

impl<S: AggregateStores> WorkspacePassages<S> {
    /// Searches in `read_models`, and reads titles and the opportunity from the log.
    pub fn new(dispatcher: Arc<CommandDispatcher<S>>, read_models: CurrentReadModels) -> Self {
        Self { dispatcher, read_models }
    }

    async fn load_opportunity(&self, id: &OpportunityId) -> Result<Option<OpportunityRecord>, RetrievalError> {
        let opportunity: Opportunity = self.load(&TenantId::public(), id.as_str()).await?;
        Ok(opportunity.record().cloned())
    }

    async fn load<A>(&self, tenant: &TenantId, id: &str) -> Result<A, RetrievalError>
    where
        A: PureAggregate<Error: 'static> + Fingerprint,
    {
        let loaded = self.dispatcher.load_aggregate::<A>(tenant, id).await;
        loaded
            .map(|loaded| loaded.state)
            .map_err(|error: CommandError<A::Error>| RetrievalError::new(error.to_string()))
    }

    async fn collect_passages(&self, query: &PassageQuery) -> Result<Vec<SourcedPassage>, RetrievalError> {
        let models = (self.read_models)();
        let topic = TopicWords::from_queries(&query.queries);
        let mut about_opportunity = match self.load_opportunity(&query.opportunity).await? {
            Some(record) => notice_passages(&query.opportunity, &record, &topic),
            None => vec![],
        };
        let documents = load_documents_about(&models, &query.tenant, &query.opportunity).await;
        about_opportunity.extend(requirement_passages(&documents.map_err(RetrievalError::new)?, &topic));
        let hits = search_texts(&models, query).await.map_err(RetrievalError::new)?;
        let company_passages = self.attach_titles(&query.tenant, hits).await?;

        let mut collector = PassageCollector::new(query.limits);
        collector.collect_share(about_opportunity, OPPORTUNITY_SHARE);
        collector.collect_share(company_passages, WHOLE);
        Ok(collector.into_passages())
    }

    /// Adds the titles of the objects as the log has them. Left out are objects that were deleted meanwhile, other
    /// companies' objects, which have no stream under this company, and proposals that were not submitted.
    async fn attach_titles(
        &self,
        tenant: &TenantId,
        hits: Vec<TenantSearchHit>,
    ) -> Result<Vec<SourcedPassage>, RetrievalError> {
        let mut titles: HashMap<(SearchUnitKind, String), Option<SourceTitle>> = HashMap::new();
        let mut passages = vec![];
        for hit in hits {
            let object = (hit.kind, hit.id.clone());
            let title = if let Some(known) = titles.get(&object) {
                known.clone()
            } else {
                let title = self.load_title(tenant, hit.kind, &hit.id).await?;
                titles.insert(object, title.clone());
                title
            };
            if let (Some(title), Ok(id)) = (title, SourceId::try_new(&hit.id)) {
                let kind = match hit.kind {
                    SearchUnitKind::Document => SourceKind::Document,
                    SearchUnitKind::Resource => SourceKind::Resource,
                    SearchUnitKind::Proposal => SourceKind::Proposal,
                };
                let text = if kind == SourceKind::Proposal { remove_source_marks(&hit.passage) } else { hit.passage };
                if !text.trim().is_empty() {
                    passages.push(SourcedPassage { kind, id, title, page: hit.page, text });
                }
            }
        }
        Ok(passages)
    }

    async fn load_title(
        &self,
        tenant: &TenantId,
        kind: SearchUnitKind,
        id: &str,
    ) -> Result<Option<SourceTitle>, RetrievalError> {
        let title = match kind {
            SearchUnitKind::Document => {
                let document: Document = self.load(tenant, id).await?;
                document.as_uploaded().map(|document| document.upload.file_name.to_string())
            }
            SearchUnitKind::Resource => {
                let resource: Resource = self.load(tenant, id).await?;
                resource.content().map(|content| content.name.to_string())
            }
            SearchUnitKind::Proposal => {
                let proposal: Proposal = self.load(tenant, id).await?;
                citable_content(&proposal).map(|content| content.title.to_string())
            }
        };
        Ok(title.and_then(|title| source_title(&title)))
    }
}

/// The content of a proposal that was submitted. Nobody has checked what others wrote: a generated sentence without a
/// source would get one by being cited.
fn citable_content(proposal: &Proposal) -> Option<&ProposalContent> {
    match proposal {
        Proposal::Submitted(content) | Proposal::Decided { content, .. } => Some(content),
        Proposal::Unwritten
        | Proposal::Draft(_)
        | Proposal::InReview { .. }
        | Proposal::Approved(_)
        | Proposal::Withdrawn(_) => None,
    }
}

impl<S: AggregateStores + 'static> PassageSource for WorkspacePassages<S> {
    fn summarize_opportunity<'a>(
        &'a self,
        opportunity: &'a OpportunityId,
    ) -> BoxFuture<'a, Result<OpportunitySummary, RetrievalError>> {
        async move {
            let record = self.load_opportunity(opportunity).await?;
            Ok(record.as_ref().map(OpportunitySummary::from_record).unwrap_or_default())
        }
        .boxed()
    }

    fn find_passages<'a>(
        &'a self,
        query: &'a PassageQuery,
    ) -> BoxFuture<'a, Result<Vec<SourcedPassage>, RetrievalError>> {
        self.collect_passages(query).boxed()
    }
}

/// The company's documents about an opportunity, the newest first.
async fn load_documents_about(
    models: &ReadModels,
    tenant: &TenantId,
    opportunity: &OpportunityId,
) -> Result<Vec<(String, UploadedDocument)>, QueryError> {
    let group = ListGroup::opportunity(opportunity);
    let page = models.tenant_views.list_aggregates::<Document>(tenant, &group, MAX_DOCUMENTS, None).await?;
    let uploaded = page.items.into_iter().filter_map(|(id, _, stored)| match stored.state {
        Document::Present(document) => Some((id, *document)),
        Document::Missing | Document::Deleted => None,
    });
    Ok(uploaded.collect())
}

/// The hits of all queries, the best first.
async fn search_texts(models: &ReadModels, query: &PassageQuery) -> Result<Vec<TenantSearchHit>, QueryError> {
    let mut answers = vec![];
    for text in &query.queries {
        let search = async |kind| {
            let hits = if kind == SearchUnitKind::Proposal { PROPOSAL_HITS_PER_QUERY } else { HITS_PER_QUERY };
            models.search.search_tenant(text, &[kind], query.tenant.as_str(), hits).await
        };
        answers.extend(try_join_all(KINDS.map(search)).await?);
    }
    let own = query.proposal.to_string();
    Ok(fuse_hits(answers.into_iter().map(|hits| hits.into_iter().filter(|hit| is_passage(hit, &own)).collect())))
}

/// Whether a hit is a text, and not only a name; and not of the proposal that is written. Requirements and analysis of a
/// document repeat its text without the page.
fn is_passage(hit: &TenantSearchHit, own_proposal: &str) -> bool {
    let is_derived = matches!(hit.part.as_str(), "requirements" | "analysis");
    let is_name = matches!(hit.part.as_str(), "title" | "file") || hit.passage.trim() == hit.heading.trim();
    let is_own = hit.kind == SearchUnitKind::Proposal && hit.id == own_proposal;
    !is_name && !is_derived && !is_own
}

/// Fuses answers by the ranks of their hits: scores of different answers cannot be compared.
fn fuse_hits(answers: impl IntoIterator<Item = Vec<TenantSearchHit>>) -> Vec<TenantSearchHit> {
    let mut fused: BTreeMap<(SearchUnitKind, String, String), (f64, TenantSearchHit)> = BTreeMap::new();
    for hits in answers {
        let mut rank = RANK_OFFSET;
        for hit in hits {
            rank += 1.0;
            let key = (hit.kind, hit.id.clone(), hit.part.clone());
            fused.entry(key).and_modify(|(score, _)| *score += 1.0 / rank).or_insert((1.0 / rank, hit));
        }
    }
    let mut ranked: Vec<_> = fused.into_values().collect();
    ranked.sort_by(|left, right| right.0.total_cmp(&left.0));
    ranked.into_iter().map(|(_, hit)| hit).take(MAX_FUSED_HITS).collect()
}

#[cfg(test)]
mod tests {
    use cqrs_es::Aggregate as _;
    use domain::{
        proposal::{
            ProposalCommand, ProposalOutline, ProposalTitle, SectionChange, SectionContent, SectionHeading, SectionKey,
        },
        value::{AuditStamp, UserId},
    };

    use super::*;

    fn hit(kind: SearchUnitKind, id: &str, part: &str) -> TenantSearchHit {
        TenantSearchHit {
            kind,
            id: id.to_owned(),
            part: part.to_owned(),
            heading: "Page 1".to_owned(),
            page: None,
            passage: format!("{id} {part}"),
            score: 1.0,
            version: 1,
        }
    }

    #[test]
    fn a_hit_of_several_queries_is_first_and_stands_once() {
        let (document, resource) = (SearchUnitKind::Document, SearchUnitKind::Resource);
        let fused = fuse_hits([
            vec![hit(document, "a", "text:1"), hit(document, "b", "text:1")],
            vec![hit(resource, "c", "whole"), hit(document, "b", "text:1")],
        ]);
        let ids: Vec<_> = fused.iter().map(|hit| hit.id.as_str()).collect();
        assert_eq!((ids[0], ids.len()), ("b", 3), "{ids:?}");
    }

    #[test]
    fn only_submitted_proposals_are_cited() {
        let at = "2026-11-30T12:00:00Z".parse().unwrap();
        let stamp = AuditStamp { by: UserId::from_program("ann"), at };
        let draft = ProposalCommand::Draft {
            opportunity_id: OpportunityId::parse("036:36C24526Q0001").unwrap(),
            title: ProposalTitle::try_new("Lifts").unwrap(),
            outline: ProposalOutline::default(),
            stamp: stamp.clone(),
        };
        let edit = SectionChange {
            section: SectionKey::try_new("approach").unwrap(),
            heading: SectionHeading::try_new("Approach").unwrap(),
            content: SectionContent::try_new("Invented. [no source]").unwrap(),
            based_on: 0,
        };
        let steps = [
            draft,
            ProposalCommand::EditSection { edit, stamp: stamp.clone() },
            ProposalCommand::SubmitForReview { stamp: stamp.clone() },
        ];
        let mut proposal = Proposal::default();
        for command in steps {
            for event in proposal.decide(command).unwrap() {
                proposal.apply(event);
            }
            assert!(citable_content(&proposal).is_none(), "{proposal:?}");
        }
        let content = proposal.content().unwrap().clone();
        assert!(citable_content(&Proposal::Submitted(Box::new(content))).is_some());
    }

    #[test]
    fn names_and_the_proposal_itself_are_no_passages() {
        let proposal = SearchUnitKind::Proposal;
        let texts = [hit(proposal, "p", "section:a"), hit(proposal, "q", "title"), hit(proposal, "q", "section:a")];
        assert_eq!(texts.map(|hit| is_passage(&hit, "p")), [false, false, true]);
        let document = SearchUnitKind::Document;
        let parts =
            ["file", "requirements", "analysis", "text:1"].map(|part| is_passage(&hit(document, "d", part), "p"));
        assert_eq!(parts, [false, false, false, true]);
        let blank = TenantSearchHit { passage: "Page 1".to_owned(), ..hit(proposal, "q", "section:b") };
        assert!(!is_passage(&blank, "p"));
    }
}
