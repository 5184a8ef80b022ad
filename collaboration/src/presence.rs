//! Who is there: what editors tell of themselves (a name, a colour, where their cursor is), and whose editor it is.
//!
//! Everything here is gone with the connection; nothing of it is on record. Whose editor it is says the room and not the
//! editor: it sets `by` in what is told.

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

use crate::error::RefusedUpdate;

/// The longest that an editor tells of itself, in bytes.
const MOST_BYTES: usize = 4_096;

/// The most editors of one connection.
const MOST_EDITORS: usize = 8;

/// After how long an editor of another process that says nothing is taken for gone; editors say something every 15 s.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// A connection of this process, or an editor of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Member(u64),
    Elsewhere(Instant),
}

struct Present {
    owner: Owner,
    clock: u32,
    json: Arc<str>,
}

/// Who is there.
#[derive(Default)]
pub(crate) struct Presence(HashMap<ClientID, Present>);

impl Presence {
    /// Takes in what a connection tells of its editors; the answer is what the others are told.
    ///
    /// # Errors
    /// [`RefusedUpdate::Presence`] for what is too much or no JSON object.
    pub(crate) fn told(
        &mut self,
        member: u64,
        by: &UserId,
        update: AwarenessUpdate,
    ) -> Result<Option<AwarenessUpdate>, RefusedUpdate> {
        let mut own: HashSet<ClientID> = self.of(member).collect();
        let mut passed_on = HashMap::new();
        for (editor, AwarenessUpdateEntry { clock, json }) in update.clients {
            let json = signed(&json, by)?;
            // Nobody speaks for another's editor. Editors repeat what they know of others, which is no offence.
            if self.0.get(&editor).is_some_and(|known| known.owner != Owner::Member(member) && !is_gone(&known.json)) {
                continue;
            }
            if !is_gone(&json) {
                own.insert(editor);
            }
            if own.len() > MOST_EDITORS {
                return Err(RefusedUpdate::Presence);
            }
            self.keep(editor, Owner::Member(member), clock, &json);
            passed_on.insert(editor, AwarenessUpdateEntry { clock, json });
        }
        Ok((!passed_on.is_empty()).then_some(AwarenessUpdate { clients: passed_on }))
    }

    /// Takes in what another process passes on.
    pub(crate) fn heard(&mut self, update: &AwarenessUpdate, now: Instant) {
        for (editor, entry) in &update.clients {
            if self.0.get(editor).is_none_or(|known| matches!(known.owner, Owner::Elsewhere(_))) {
                self.keep(*editor, Owner::Elsewhere(now), entry.clock, &entry.json);
            }
        }
    }

    /// Everybody who is there; with `own_only`, everybody of this process.
    pub(crate) fn all(&self, own_only: bool) -> Option<AwarenessUpdate> {
        let told = self.0.iter().filter(|(_, present)| !own_only || matches!(present.owner, Owner::Member(_)));
        let told = told.map(|(editor, present)| {
            (*editor, AwarenessUpdateEntry { clock: present.clock, json: Arc::clone(&present.json) })
        });
        let clients: HashMap<_, _> = told.collect();
        (!clients.is_empty()).then_some(AwarenessUpdate { clients })
    }

    /// A connection is gone; the answer is what the others are told.
    pub(crate) fn left(&mut self, member: u64) -> Option<AwarenessUpdate> {
        let gone: Vec<_> = self.of(member).collect();
        self.remove(&gone)
    }

    /// The room closes: everybody of this process is gone; the answer is what the others are told.
    pub(crate) fn close(&mut self) -> Option<AwarenessUpdate> {
        let own = self.0.iter().filter(|(_, present)| matches!(present.owner, Owner::Member(_)));
        let own: Vec<_> = own.map(|(editor, _)| *editor).collect();
        self.remove(&own)
    }

    /// Forgets the editors of other processes that say nothing any more; the answer is what the others are told.
    pub(crate) fn forget(&mut self, now: Instant) -> Option<AwarenessUpdate> {
        let is_silent = |owner: Owner| matches!(owner, Owner::Elsewhere(at) if now.duration_since(at) > FORGOTTEN);
        let silent = self.0.iter().filter(|(_, present)| is_silent(present.owner)).map(|(editor, _)| *editor);
        let silent: Vec<_> = silent.collect();
        self.remove(&silent)
    }

    fn of(&self, member: u64) -> impl Iterator<Item = ClientID> {
        self.0.iter().filter(move |(_, present)| present.owner == Owner::Member(member)).map(|(editor, _)| *editor)
    }

    fn keep(&mut self, editor: ClientID, owner: Owner, clock: u32, json: &Arc<str>) {
        if is_gone(json) {
            self.0.remove(&editor);
        } else {
            self.0.insert(editor, Present { owner, clock, json: Arc::clone(json) });
        }
    }

    fn remove(&mut self, editors: &[ClientID]) -> Option<AwarenessUpdate> {
        let gone = editors.iter().filter_map(|editor| {
            let clock = self.0.remove(editor)?.clock.saturating_add(1);
            Some((*editor, AwarenessUpdateEntry { clock, json: "null".into() }))
        });
        let clients: HashMap<_, _> = gone.collect();
        (!clients.is_empty()).then_some(AwarenessUpdate { clients })
    }
}

/// An editor says goodbye by `null`.
fn is_gone(json: &str) -> bool {
    json == "null"
}

/// What an editor tells, with whose editor it is.
fn signed(json: &str, by: &UserId) -> Result<Arc<str>, RefusedUpdate> {
    if json.len() > MOST_BYTES {
        return Err(RefusedUpdate::Presence);
    }
    let mut told: Option<Map<String, Value>> = serde_json::from_str(json).map_err(|_| RefusedUpdate::Presence)?;
    if let Some(told) = &mut told {
        told.insert("by".to_owned(), Value::from(by.as_str()));
    }
    Ok(told.map_or(Value::Null, Value::Object).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling(editor: u64, clock: u32, json: &str) -> AwarenessUpdate {
        let entry = AwarenessUpdateEntry { clock, json: json.into() };
        AwarenessUpdate { clients: HashMap::from([(ClientID::new(editor), entry)]) }
    }

    fn user(name: &str) -> UserId {
        UserId::try_new(name).unwrap()
    }

    fn json(update: Option<&AwarenessUpdate>, editor: u64) -> String {
        update.and_then(|update| update.clients.get(&ClientID::new(editor))).map(|told| told.json.to_string()).unwrap()
    }

    #[test]
    fn the_room_says_whose_editor_it_is() {
        let mut presence = Presence::default();
        let told = presence.told(1, &user("ann"), telling(7, 1, r#"{"by":"bob","cursor":3}"#)).unwrap();
        assert_eq!(json(told.as_ref(), 7), r#"{"by":"ann","cursor":3}"#);
        assert_eq!(presence.told(2, &user("bob"), telling(7, 2, "null")).unwrap(), None, "it is not theirs to end");
        assert_eq!(json(presence.all(false).as_ref(), 7), r#"{"by":"ann","cursor":3}"#);
    }

    #[test]
    fn who_leaves_is_gone_for_the_others() {
        let mut presence = Presence::default();
        presence.told(1, &user("ann"), telling(7, 4, "{}")).unwrap();
        let left = presence.left(1).unwrap();
        assert_eq!((json(Some(&left), 7).as_str(), left.clients[&ClientID::new(7)].clock), ("null", 5));
        assert_eq!((presence.left(1), presence.all(false)), (None, None));
    }

    #[test]
    fn editors_of_other_processes_are_kept_while_they_say_something() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        presence.heard(&telling(9, 1, r#"{"by":"eve"}"#), now);
        assert_eq!(presence.all(true), None, "they are not of this process");
        assert_eq!(presence.forget(now + FORGOTTEN), None);
        assert_eq!(json(presence.forget(now + FORGOTTEN * 2).as_ref(), 9), "null");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let (mut presence, ann) = (Presence::default(), user("ann"));
        let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(MOST_BYTES));
        for wrong in [long.as_str(), "7", "[", r#""text""#] {
            assert_eq!(presence.told(1, &ann, telling(1, 1, wrong)), Err(RefusedUpdate::Presence), "{wrong:.20}");
        }
        for editor in 0..8 {
            presence.told(1, &ann, telling(editor, 1, "{}")).unwrap();
        }
        assert_eq!(presence.told(1, &ann, telling(8, 1, "{}")), Err(RefusedUpdate::Presence));
    }
}
