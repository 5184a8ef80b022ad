//! The task that carries out a generation.

use uuid::Uuid;

use super::value::GenerationId;
use crate::{
    refusal_code::RefusalCode,
    task::{TaskKind, TaskSpec},
};

/// Namespace of the ids that are derived from the id of a generation.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f67_656e_6572_6174_696f);

/// The name of the task's parameter that has the generation's id.
pub const GENERATION_PARAMETER: &str = "generation_id";

/// A user requests the task of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a task of the kind generate_proposal with the parameter generation_id is requested by generateProposal; \
     leave out the parameter for a task that your own worker does"
)]
pub struct ReservedTaskError;

impl RefusalCode for ReservedTaskError {
    fn refusal_code(&self) -> &'static str {
        "RESERVED_TASK"
    }

    fn is_missing_object(&self) -> bool {
        false
    }
}

impl GenerationId {
    /// The id of the task that carries out the generation. It is the only one that does.
    pub fn task_id(self) -> Uuid {
        self.derive_id("task")
    }

    /// An id that belongs to the generation and this name, the same each time.
    pub fn derive_id(self, name: &str) -> Uuid {
        Uuid::new_v5(&ID_NAMESPACE, format!("{self} {name}").as_bytes())
    }
}

/// The value of the parameter that names the generation; `None` for a task that carries out none.
pub fn find_generation_parameter(spec: &TaskSpec) -> Option<&str> {
    let mut parameters = spec.parameters.iter();
    let parameter = parameters.find(|parameter| parameter.name.as_str() == GENERATION_PARAMETER)?;
    (spec.kind == TaskKind::GenerateProposal).then_some(parameter.value.as_str())
}

/// Checks that a user may request the task.
///
/// # Errors
/// [`ReservedTaskError`] when it names a generation: such a task belongs to the process of the generation.
pub fn check_requested_task(spec: &TaskSpec) -> Result<(), ReservedTaskError> {
    if find_generation_parameter(spec).is_some() { Err(ReservedTaskError) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{ParameterList, SubjectKind, TaskSubject};

    fn spec(kind: TaskKind, parameter: &str) -> TaskSpec {
        let subject = TaskSubject::try_new(SubjectKind::Proposal, "p").unwrap();
        TaskSpec { parameters: ParameterList::try_new([(parameter, "x")]).unwrap(), ..TaskSpec::new(kind, subject) }
    }

    #[test]
    fn users_request_no_task_that_names_a_generation() {
        let reserved = spec(TaskKind::GenerateProposal, GENERATION_PARAMETER);
        assert_eq!(find_generation_parameter(&reserved), Some("x"));
        assert_eq!(check_requested_task(&reserved), Err(ReservedTaskError));
        for free in [spec(TaskKind::GenerateProposal, "tone"), spec(TaskKind::SendDigest, GENERATION_PARAMETER)] {
            assert_eq!(check_requested_task(&free), Ok(()));
        }
    }

    #[test]
    fn a_generation_has_one_task() {
        let generation = GenerationId::parse("0199a0d2-0000-7000-8000-000000000001").unwrap();
        let other = GenerationId::parse("0199a0d2-0000-7000-8000-000000000002").unwrap();
        assert_eq!(generation.task_id(), generation.task_id());
        assert_ne!(generation.task_id(), other.task_id());
        assert_ne!(generation.task_id(), generation.derive_id("end"));
    }
}
