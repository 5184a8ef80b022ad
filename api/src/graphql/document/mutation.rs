//! Changing documents.

use async_graphql::{Context, Object, Result};
use domain::document::{Document, DocumentCommand, FailureReason, RequirementList};
use uuid::Uuid;

use super::analysis_input::{DocumentAnalysisInput, DocumentStageEnum, RequirementInput};
use crate::{
    app_context::AppContext,
    graphql::{
        command_dispatch::{ChangeOutcome, dispatch_command, request_identity},
        error,
        input_validation::parse_value,
        precondition::{self, PreconditionsInput},
    },
    object_store::ObjectOwner,
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
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let outcome =
            dispatch_command::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::Delete { stamp }).await?;
        let tenant = request_identity(ctx)?.tenant().clone();
        error::require_context_data(ctx.data::<AppContext>())?
            .objects
            .schedule_removal(ObjectOwner { tenant, document: id });
        Ok(outcome)
    }

    /// Record what a document asks for, once its text is on record (`PUT /api/v1/documents/{id}/text`); machines with the
    /// scope `tasks` may.
    async fn record_document_requirements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "All that it asks for, in its order; at most 2,000.")] requirements: Vec<RequirementInput>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let checked: Vec<_> =
            requirements.into_iter().map(RequirementInput::into_requirement).collect::<Result<_>>()?;
        let requirements =
            RequirementList::try_new(checked).map_err(|reason| error::invalid_value("requirements", &reason))?;
        let record = |stamp| DocumentCommand::RecordRequirements { requirements, stamp };
        dispatch_command::<Document>(ctx, id, &conditions, record).await
    }

    /// Record what a document comes to, once what it asks for is on record; again where a better model says it better.
    /// Machines with the scope `tasks` may.
    async fn record_document_analysis(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "What it comes to.")] analysis: DocumentAnalysisInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let analysis = analysis.into_analysis()?;
        dispatch_command::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::RecordAnalysis { analysis, stamp })
            .await
    }

    /// Record that the next stage of reading a document failed; it may succeed later. Machines with the scope `tasks` may.
    async fn record_document_failure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document.")] id: Uuid,
        #[graphql(desc = "Which stage.")] stage: DocumentStageEnum,
        #[graphql(desc = "Why, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let (stage, reason) = (stage.into(), parse_value("reason", &reason, FailureReason::try_new)?);
        dispatch_command::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::RecordFailure {
            stage,
            reason,
            stamp,
        })
        .await
    }
}
