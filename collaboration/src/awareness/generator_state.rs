//! The state that shows a running generation among the editors of a room.

use domain::proposal_generation::GENERATOR_USER_ID;
use serde_json::json;
use uuid::Uuid;
use yrs::block::ClientID;

use super::MAX_STATE_BYTES;
use crate::generation_snapshot::{GenerationPhase, GenerationSnapshot, cut_beginning};

/// The name that editors show.
const EDITOR_NAME: &str = "Proposal generator";

/// The colour of the editor.
const COLOR: &str = "#5b7083";

/// Maximum size of the text in the state, in bytes; editors show the end of the text.
const MAX_TEXT_BYTES: usize = 2_000;

/// The id of the generator among the editors, the same in all processes.
pub(super) fn editor_id(generation: Uuid) -> ClientID {
    let bytes = generation.as_bytes();
    // The last four bytes are random in versions 4 and 7. Clients choose their ids among 32 bits as well.
    ClientID::new(u64::from(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])))
}

/// The state as JSON; `None` when the generation has ended.
pub(super) fn to_json(snapshot: &GenerationSnapshot) -> Option<String> {
    if snapshot.phase == GenerationPhase::Ended {
        return None;
    }
    // Control characters take six bytes in JSON.
    [MAX_TEXT_BYTES, MAX_TEXT_BYTES / 4, 0]
        .into_iter()
        .map(|max_bytes| state_json(snapshot, max_bytes))
        .find(|json| json.len() <= MAX_STATE_BYTES)
}

fn state_json(snapshot: &GenerationSnapshot, max_text_bytes: usize) -> String {
    let cut = cut_beginning(&snapshot.text, max_text_bytes);
    let state = json!({
        "by": GENERATOR_USER_ID,
        "user": { "name": EDITOR_NAME, "color": COLOR },
        "generation": {
            "id": snapshot.generation,
            "section": snapshot.section,
            "provider": snapshot.provider.chars().take(100).collect::<String>(),
            "text": snapshot.text.get(cut..).unwrap_or_default(),
            "isCut": snapshot.is_cut || cut > 0,
            "sectionEnded": snapshot.phase == GenerationPhase::SectionEnded,
        },
    });
    state.to_string()
}
