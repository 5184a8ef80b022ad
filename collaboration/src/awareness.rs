//! Awareness: the state of each editor (a name, a colour, the position of the cursor), and its user.
//!
//! The state ends with the connection and is not stored. The room, not the editor, sets the user, as `by` in the state.

mod generator_state;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::value::UserId;
use serde_json::{Map, Value};
use yrs::{
    block::ClientID,
    sync::{AwarenessUpdate, awareness::AwarenessUpdateEntry},
};

use crate::{error::RefusedUpdate, generation_snapshot::GenerationSnapshot};

/// Maximum size of an editor's state, in bytes.
const MAX_STATE_BYTES: usize = 4_096;

/// Maximum number of editors of one connection.
const MAX_EDITORS_PER_CONNECTION: usize = 8;

/// Maximum number of running generations in a room.
const MAX_GENERATORS: usize = 8;

/// Maximum number of ended generations that a room remembers.
const MAX_ENDED_GENERATORS: usize = 64;

/// An editor of another process, or a generation, is removed after this time without a message; editors send one every 15 s.
const REMOTE_EXPIRY: Duration = Duration::from_secs(45);

/// Where an editor is connected: to this process by the connection of a member, or to another process, with the time of
/// the last message about it. A running generation is an editor, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AwarenessOwner {
    Member(u64),
    OtherProcess(Instant),
    Generator(Instant),
}

struct EditorState {
    owner: AwarenessOwner,
    clock: u32,
    json: Arc<str>,
}

/// The awareness of all editors in a room.
#[derive(Default)]
pub(crate) struct RoomAwareness {
    editors: HashMap<ClientID, EditorState>,
    /// Generations that have ended, with their last clock, for [`REMOTE_EXPIRY`]: editors repeat states that they have
    /// received, and a state repeated after the end would look like an editor of that member.
    ended: HashMap<ClientID, (u32, Instant)>,
}

impl RoomAwareness {
    /// Applies the states that a connection sends for its editors. Returns what to broadcast.
    ///
    /// # Errors
    /// [`RefusedUpdate::InvalidAwareness`] for a state that is too long or not a JSON object, and for too many editors.
    pub(crate) fn apply_local(
        &mut self,
        member: u64,
        by: &UserId,
        update: AwarenessUpdate,
    ) -> Result<Option<AwarenessUpdate>, RefusedUpdate> {
        let mut own: HashSet<ClientID> = self.list_member_editors(member).collect();
        let mut accepted = HashMap::new();
        for (editor, AwarenessUpdateEntry { clock, json }) in update.clients {
            let json = with_author(&json, by)?;
            // Ignores states for editors of other connections: editors repeat those that they have received.
            let is_of_other =
                |known: &EditorState| known.owner != AwarenessOwner::Member(member) && !is_removed(&known.json);
            if self.ended.contains_key(&editor) || self.editors.get(&editor).is_some_and(is_of_other) {
                continue;
            }
            if !is_removed(&json) {
                own.insert(editor);
            }
            if own.len() > MAX_EDITORS_PER_CONNECTION {
                return Err(RefusedUpdate::InvalidAwareness);
            }
            self.set_editor(editor, AwarenessOwner::Member(member), clock, &json);
            accepted.insert(editor, AwarenessUpdateEntry { clock, json });
        }
        Ok((!accepted.is_empty()).then_some(AwarenessUpdate { clients: accepted }))
    }

    /// Applies the states that another process has published.
    pub(crate) fn apply_remote(&mut self, update: &AwarenessUpdate, now: Instant) {
        for (editor, entry) in &update.clients {
            let is_of_process = |known: &EditorState| matches!(known.owner, AwarenessOwner::OtherProcess(_));
            if !self.ended.contains_key(editor) && self.editors.get(editor).is_none_or(is_of_process) {
                self.set_editor(*editor, AwarenessOwner::OtherProcess(now), entry.clock, &entry.json);
            }
        }
    }

    /// Applies what a generation has written so far; removes the generation when it has ended. Returns what to broadcast.
    pub(crate) fn apply_generation(&mut self, snapshot: &GenerationSnapshot, now: Instant) -> Option<AwarenessUpdate> {
        let editor = generator_state::editor_id(snapshot.generation);
        let known = self.editors.get(&editor);
        let is_ours = known
            .is_none_or(|known| matches!(known.owner, AwarenessOwner::Generator(_)) && known.clock < snapshot.revision);
        let is_outdated = self.ended.get(&editor).is_some_and(|(clock, _)| *clock >= snapshot.revision);
        if !is_ours || is_outdated {
            return None;
        }
        let Some(json) = generator_state::to_json(snapshot) else {
            self.remember_end(editor, snapshot.revision, now);
            return self.remove_editors(&[editor]);
        };
        let is_generator = |state: &&EditorState| matches!(state.owner, AwarenessOwner::Generator(_));
        if known.is_none() && self.editors.values().filter(is_generator).count() >= MAX_GENERATORS {
            return None;
        }
        self.ended.remove(&editor);
        let (clock, json) = (snapshot.revision, Arc::from(json));
        self.set_editor(editor, AwarenessOwner::Generator(now), clock, &json);
        Some(AwarenessUpdate { clients: HashMap::from([(editor, AwarenessUpdateEntry { clock, json })]) })
    }

    /// The states of all editors, or with `own_only` of this process's editors; `None` if there are none.
    pub(crate) fn to_update(&self, own_only: bool) -> Option<AwarenessUpdate> {
        let states =
            self.editors.iter().filter(|(_, state)| !own_only || matches!(state.owner, AwarenessOwner::Member(_)));
        let states = states.map(|(editor, state)| {
            (*editor, AwarenessUpdateEntry { clock: state.clock, json: Arc::clone(&state.json) })
        });
        let clients: HashMap<_, _> = states.collect();
        (!clients.is_empty()).then_some(AwarenessUpdate { clients })
    }

    /// Removes the editors of a connection. Returns what to broadcast.
    pub(crate) fn remove_member(&mut self, member: u64) -> Option<AwarenessUpdate> {
        let editors: Vec<_> = self.list_member_editors(member).collect();
        self.remove_editors(&editors)
    }

    /// Removes the editors of this process, when the room closes. Returns what to publish.
    pub(crate) fn remove_local(&mut self) -> Option<AwarenessUpdate> {
        let own = self.editors.iter().filter(|(_, state)| matches!(state.owner, AwarenessOwner::Member(_)));
        let own: Vec<_> = own.map(|(editor, _)| *editor).collect();
        self.remove_editors(&own)
    }

    /// Removes editors of other processes, and generations, without a recent message. Returns what to broadcast.
    pub(crate) fn expire_remote(&mut self, now: Instant) -> Option<AwarenessUpdate> {
        let is_silent = |owner: AwarenessOwner| matches!(owner, AwarenessOwner::OtherProcess(at) | AwarenessOwner::Generator(at) if now.duration_since(at) > REMOTE_EXPIRY);
        self.ended.retain(|_, (_, at)| now.saturating_duration_since(*at) <= REMOTE_EXPIRY);
        let silent = self.editors.iter().filter(|(_, state)| is_silent(state.owner));
        let silent: Vec<_> = silent.map(|(editor, state)| (*editor, state.clock, state.owner)).collect();
        for (editor, clock, owner) in &silent {
            if matches!(owner, AwarenessOwner::Generator(_)) {
                self.remember_end(*editor, *clock, now);
            }
        }
        let silent: Vec<_> = silent.into_iter().map(|(editor, ..)| editor).collect();
        self.remove_editors(&silent)
    }

    fn remember_end(&mut self, editor: ClientID, clock: u32, now: Instant) {
        if self.ended.len() >= MAX_ENDED_GENERATORS
            && let Some(oldest) = self.ended.iter().min_by_key(|(_, (_, at))| *at).map(|(editor, _)| *editor)
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(editor, (clock, now));
    }

    fn list_member_editors(&self, member: u64) -> impl Iterator<Item = ClientID> {
        self.editors
            .iter()
            .filter(move |(_, state)| state.owner == AwarenessOwner::Member(member))
            .map(|(editor, _)| *editor)
    }

    fn set_editor(&mut self, editor: ClientID, owner: AwarenessOwner, clock: u32, json: &Arc<str>) {
        if is_removed(json) {
            self.editors.remove(&editor);
        } else {
            self.editors.insert(editor, EditorState { owner, clock, json: Arc::clone(json) });
        }
    }

    fn remove_editors(&mut self, editors: &[ClientID]) -> Option<AwarenessUpdate> {
        let removed = editors.iter().filter_map(|editor| {
            let clock = self.editors.remove(editor)?.clock.saturating_add(1);
            Some((*editor, AwarenessUpdateEntry { clock, json: "null".into() }))
        });
        let clients: HashMap<_, _> = removed.collect();
        (!clients.is_empty()).then_some(AwarenessUpdate { clients })
    }
}

/// Whether the state is `null`: the editor leaves.
fn is_removed(json: &str) -> bool {
    json == "null"
}

/// An editor's state, with the user as `by`.
fn with_author(json: &str, by: &UserId) -> Result<Arc<str>, RefusedUpdate> {
    if json.len() > MAX_STATE_BYTES {
        return Err(RefusedUpdate::InvalidAwareness);
    }
    let mut state: Option<Map<String, Value>> =
        serde_json::from_str(json).map_err(|_| RefusedUpdate::InvalidAwareness)?;
    if let Some(state) = &mut state {
        state.insert("by".to_owned(), Value::from(by.as_str()));
    }
    Ok(state.map_or(Value::Null, Value::Object).to_string().into())
}

#[cfg(test)]
mod tests {
    use domain::{
        proposal::SectionKey,
        value::{ProposalId, TenantId},
    };
    use uuid::Uuid;

    use super::*;
    use crate::generation_snapshot::GenerationPhase;

    fn awareness_update(editor: u64, clock: u32, json: &str) -> AwarenessUpdate {
        let entry = AwarenessUpdateEntry { clock, json: json.into() };
        AwarenessUpdate { clients: HashMap::from([(ClientID::new(editor), entry)]) }
    }

    fn user_id(name: &str) -> UserId {
        UserId::try_new(name).unwrap()
    }

    fn editor_json(update: Option<&AwarenessUpdate>, editor: u64) -> String {
        update
            .and_then(|update| update.clients.get(&ClientID::new(editor)))
            .map(|entry| entry.json.to_string())
            .unwrap()
    }

    #[test]
    fn the_room_sets_the_user_of_an_editor() {
        let mut awareness = RoomAwareness::default();
        let accepted =
            awareness.apply_local(1, &user_id("ann"), awareness_update(7, 1, r#"{"by":"bob","cursor":3}"#)).unwrap();
        assert_eq!(editor_json(accepted.as_ref(), 7), r#"{"by":"ann","cursor":3}"#);
        assert_eq!(
            awareness.apply_local(2, &user_id("bob"), awareness_update(7, 2, "null")).unwrap(),
            None,
            "a member cannot remove the editor of another member"
        );
        assert_eq!(editor_json(awareness.to_update(false).as_ref(), 7), r#"{"by":"ann","cursor":3}"#);
    }

    #[test]
    fn a_member_that_leaves_is_removed() {
        let mut awareness = RoomAwareness::default();
        awareness.apply_local(1, &user_id("ann"), awareness_update(7, 4, "{}")).unwrap();
        let removed = awareness.remove_member(1).unwrap();
        assert_eq!((editor_json(Some(&removed), 7).as_str(), removed.clients[&ClientID::new(7)].clock), ("null", 5));
        assert_eq!((awareness.remove_member(1), awareness.to_update(false)), (None, None));
    }

    #[test]
    fn editors_of_other_processes_expire_without_messages() {
        let (mut awareness, now) = (RoomAwareness::default(), Instant::now());
        awareness.apply_remote(&awareness_update(9, 1, r#"{"by":"eve"}"#), now);
        assert_eq!(awareness.to_update(true), None, "they are editors of another process");
        assert_eq!(awareness.expire_remote(now + REMOTE_EXPIRY), None);
        assert_eq!(editor_json(awareness.expire_remote(now + REMOTE_EXPIRY * 2).as_ref(), 9), "null");
    }

    fn snapshot(generation: u128, revision: u32, phase: GenerationPhase, text: &str) -> GenerationSnapshot {
        GenerationSnapshot {
            tenant: TenantId::try_new("acme").unwrap(),
            proposal: ProposalId::new(Uuid::from_u128(1)),
            generation: Uuid::from_u128(generation),
            revision,
            phase,
            section: (phase != GenerationPhase::Ended).then(|| SectionKey::try_new("approach").unwrap()),
            provider: "one".to_owned(),
            text: text.to_owned(),
            is_cut: false,
        }
    }

    #[test]
    fn a_generation_is_an_editor_until_it_ends() {
        let (mut awareness, now) = (RoomAwareness::default(), Instant::now());
        let writing = awareness.apply_generation(&snapshot(77, 5, GenerationPhase::Writing, "We deliver"), now);
        let state: Value = serde_json::from_str(&editor_json(writing.as_ref(), 77)).unwrap();
        assert_eq!(state["user"]["name"], "Proposal generator");
        assert_eq!(
            (&state["generation"]["text"], &state["generation"]["section"]),
            (&"We deliver".into(), &"approach".into())
        );
        assert_eq!(awareness.to_update(true), None, "other processes hear of it themselves");
        let outdated = snapshot(77, 4, GenerationPhase::Writing, "We");
        assert_eq!(awareness.apply_generation(&outdated, now), None, "a message of an earlier attempt");
        let taken = awareness.apply_local(1, &user_id("eve"), awareness_update(77, 9, "{}")).unwrap();
        assert_eq!(taken, None, "a member cannot replace the generator");
        let ended = awareness.apply_generation(&snapshot(77, 6, GenerationPhase::Ended, ""), now);
        assert_eq!((editor_json(ended.as_ref(), 77).as_str(), awareness.to_update(false)), ("null", None));
        assert_eq!(awareness.apply_generation(&snapshot(77, 7, GenerationPhase::Ended, ""), now), None);
    }

    #[test]
    fn a_repetition_after_the_end_does_not_revive_the_generator() {
        let (mut awareness, now) = (RoomAwareness::default(), Instant::now());
        awareness.apply_generation(&snapshot(77, 5, GenerationPhase::Writing, "We deliver"), now);
        awareness.apply_generation(&snapshot(77, 6, GenerationPhase::Ended, ""), now);
        let repeated = || awareness_update(77, 5, r#"{"user":{"name":"Proposal generator"}}"#);
        assert_eq!(awareness.apply_local(1, &user_id("ann"), repeated()).unwrap(), None);
        awareness.apply_remote(&repeated(), now);
        let outdated = snapshot(77, 5, GenerationPhase::Writing, "We deliver");
        assert_eq!(awareness.apply_generation(&outdated, now), None);
        assert_eq!(awareness.to_update(false), None);
        let next_attempt = snapshot(77, 9, GenerationPhase::Writing, "We");
        assert!(awareness.apply_generation(&next_attempt, now).is_some());

        let later = now + REMOTE_EXPIRY * 2;
        assert_eq!(editor_json(awareness.expire_remote(later).as_ref(), 77), "null");
        assert_eq!(awareness.apply_local(1, &user_id("ann"), repeated()).unwrap(), None, "also after its expiry");
        awareness.expire_remote(later + REMOTE_EXPIRY * 2);
        assert!(awareness.ended.is_empty());
    }

    #[test]
    fn generations_expire_and_are_bounded_in_number_and_size() {
        let (mut awareness, now) = (RoomAwareness::default(), Instant::now());
        for generation in 0..20 {
            awareness.apply_generation(&snapshot(generation, 1, GenerationPhase::Writing, &"\u{1}".repeat(9_000)), now);
        }
        let all = awareness.to_update(false).unwrap();
        assert_eq!(all.clients.len(), MAX_GENERATORS);
        assert!(all.clients.values().all(|entry| entry.json.len() <= MAX_STATE_BYTES));
        assert_eq!(awareness.expire_remote(now + REMOTE_EXPIRY * 2).unwrap().clients.len(), MAX_GENERATORS);
        assert_eq!(awareness.to_update(false), None);
    }

    #[test]
    fn invalid_states_and_too_many_editors_are_refused() {
        let (mut awareness, ann) = (RoomAwareness::default(), user_id("ann"));
        let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_STATE_BYTES));
        for invalid in [long.as_str(), "7", "[", r#""text""#] {
            assert_eq!(
                awareness.apply_local(1, &ann, awareness_update(1, 1, invalid)),
                Err(RefusedUpdate::InvalidAwareness),
                "{invalid:.20}"
            );
        }
        for editor in 0..8 {
            awareness.apply_local(1, &ann, awareness_update(editor, 1, "{}")).unwrap();
        }
        assert_eq!(awareness.apply_local(1, &ann, awareness_update(8, 1, "{}")), Err(RefusedUpdate::InvalidAwareness));
    }
}
