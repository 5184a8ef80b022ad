//! Mutations of documents.

use async_graphql::{Context, Object, Result};
use domain::document::{Document, DocumentCommand, FailureReason, RequirementList};
use objects::ObjectOwner;
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
};

/// Mutations of documents.
#[derive(Default)]
pub(in crate::graphql) struct DocumentMutation;

#[Object]
impl DocumentMutation {
    /// Deletes a document permanently. Requires at least the role `MANAGER`.
    async fn delete_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
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

    /// Records a document's requirements, after its text was recorded (`PUT /api/v1/documents/{id}/text`). Requires an
    /// API key with the scope `TASKS`.
    async fn record_document_requirements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "All requirements, in the document's order, at most 2,000.")] requirements: Vec<
            RequirementInput,
        >,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let checked: Vec<_> =
            requirements.into_iter().map(RequirementInput::into_requirement).collect::<Result<_>>()?;
        let requirements =
            RequirementList::try_new(checked).map_err(|reason| error::invalid_value("requirements", &reason))?;
        let record = |stamp| DocumentCommand::RecordRequirements { requirements, stamp };
        dispatch_command::<Document>(ctx, id, &conditions, record).await
    }

    /// Records a document's analysis, after its requirements were recorded. May be repeated, for example with a better
    /// model. Requires an API key with the scope `TASKS`.
    async fn record_document_analysis(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "The analysis.")] analysis: DocumentAnalysisInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let analysis = analysis.into_analysis()?;
        dispatch_command::<Document>(ctx, id, &conditions, |stamp| DocumentCommand::RecordAnalysis { analysis, stamp })
            .await
    }

    /// Records that the next processing stage of a document failed; it may succeed later. Requires an API key with the
    /// scope `TASKS`.
    async fn record_document_failure(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "The stage that failed.")] stage: DocumentStageEnum,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
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
