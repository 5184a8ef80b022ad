//! Changing documents.

use async_graphql::{Context, Object, Result};
use domain::document::{Document, DocumentCommand, FailureReason, Requirements};
use uuid::Uuid;

use super::reading::{DocumentAnalysisInput, DocumentStage, RequirementInput};
use crate::{
    graphql::{
        condition::{self, ChangeConditions},
        error,
        input::value,
        outcome::{Outcome, give, identity},
    },
    objects::ObjectOwner,
    store::Stores,
};

/// Changes documents.
#[derive(Default)]
pub(in crate::graphql) struct DocumentMutation;

#[Object]
impl DocumentMutation {
    /// Do away with a document for good; managers may.
    async fn delete_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let conditions = condition::of(ctx, conditions)?;
        let outcome = give::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::Delete { stamp }).await?;
        let tenant = identity(ctx)?.tenant().clone();
        error::wired(ctx.data::<Stores>())?.objects.document_deleted(ObjectOwner { tenant, document: id });
        Ok(outcome)
    }

    /// Record what a document asks for, once its text is on record (`PUT /api/v1/documents/{id}/text`); machines with the
    /// scope `tasks` may.
    async fn record_document_requirements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "All that it asks for, in its order; at most 2,000.")] requirements: Vec<RequirementInput>,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let conditions = condition::of(ctx, conditions)?;
        let checked: Vec<_> = requirements.into_iter().map(RequirementInput::checked).collect::<Result<_>>()?;
        let requirements = Requirements::try_new(checked).map_err(|reason| error::invalid("requirements", &reason))?;
        let record = |stamp| DocumentCommand::RecordRequirements { requirements, stamp };
        give::<Document>(ctx, id, &conditions, record).await
    }

    /// Record what a document comes to, once what it asks for is on record; again where a better model says it better.
    /// Machines with the scope `tasks` may.
    async fn record_document_analysis(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "What it comes to.")] analysis: DocumentAnalysisInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let conditions = condition::of(ctx, conditions)?;
        let analysis = analysis.checked()?;
        give::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::RecordAnalysis { analysis, stamp }).await
    }

    /// Record that the next stage of reading a document failed; it may succeed later. Machines with the scope `tasks` may.
    async fn record_document_failure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "Which stage.")] stage: DocumentStage,
        #[graphql(desc = "Why, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<ChangeConditions>,
    ) -> Result<Outcome> {
        let conditions = condition::of(ctx, conditions)?;
        let (stage, reason) = (stage.into(), value("reason", &reason, FailureReason::try_new)?);
        give::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::RecordFailure { stage, reason, stamp }).await
    }
}
