//! One append per stream at a time: two of them in one statement would fail together, and in two statements one would
//! wait for the other inside Postgres.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A stream: the kind of its aggregate and the aggregate's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Stream {
    pub(super) aggregate_type: &'static str,
    pub(super) aggregate_id: Arc<str>,
}

/// Who is appending to which stream, and who waits for it.
#[derive(Debug)]
pub(super) struct Turns<T> {
    waiting: Arc<Mutex<HashMap<Stream, VecDeque<T>>>>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { waiting: Arc::default() }
    }
}

impl<T> Turns<T> {
    /// Begins a turn on `stream`, or leaves `waiting` in its line.
    pub(super) fn begin_or_wait(&self, stream: &Stream, waiting: T) -> Option<(Turn<T>, T)> {
        let mut streams = lock(&self.waiting);
        if let Some(line) = streams.get_mut(stream) {
            line.push_back(waiting);
            return None;
        }
        streams.insert(stream.clone(), VecDeque::new());
        Some((Turn { stream: stream.clone(), waiting: Arc::clone(&self.waiting), over: false }, waiting))
    }
}

/// The right to append to a stream. If it is dropped without an end, those who wait for it are dropped, too.
#[derive(Debug)]
pub(super) struct Turn<T> {
    stream: Stream,
    waiting: Arc<Mutex<HashMap<Stream, VecDeque<T>>>>,
    over: bool,
}

impl<T> Turn<T> {
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Passes the turn to the first who waits and is not `hopeless`; those before it are given back.
    pub(super) fn pass(mut self, hopeless: impl Fn(&T) -> bool) -> (Option<(Self, T)>, Vec<T>) {
        let mut given_up = Vec::new();
        let mut streams = lock(&self.waiting);
        let line = streams.entry(self.stream.clone()).or_default();
        while let Some(next) = line.pop_front() {
            if !hopeless(&next) {
                drop(streams);
                return (Some((self, next)), given_up);
            }
            given_up.push(next);
        }
        streams.remove(&self.stream);
        drop(streams);
        self.over = true;
        (None, given_up)
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        if !self.over {
            let waiting = lock(&self.waiting).remove(&self.stream);
            drop(waiting);
        }
    }
}

fn lock<T>(streams: &Mutex<HashMap<Stream, VecDeque<T>>>) -> MutexGuard<'_, HashMap<Stream, VecDeque<T>>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: &str) -> Stream {
        Stream { aggregate_type: "t", aggregate_id: id.into() }
    }

    #[test]
    fn whoever_comes_second_waits_and_is_next() {
        let turns = Turns::default();
        let (turn, _) = turns.begin_or_wait(&stream("a"), 1).unwrap();
        assert!(turns.begin_or_wait(&stream("a"), 2).is_none());
        assert!(turns.begin_or_wait(&stream("b"), 9).is_some());
        let (next, given_up) = turn.pass(|_| false);
        assert_eq!((next.unwrap().1, given_up), (2, vec![]));
    }

    #[test]
    fn the_hopeless_are_given_back_and_the_stream_is_free_after_the_last() {
        let turns = Turns::default();
        let (turn, _) = turns.begin_or_wait(&stream("a"), 1).unwrap();
        assert!(turns.begin_or_wait(&stream("a"), 2).is_none());
        let (next, given_up) = turn.pass(|_| true);
        assert!(next.is_none());
        assert_eq!(given_up, [2]);
        assert!(turns.begin_or_wait(&stream("a"), 3).is_some());
    }

    #[test]
    fn a_turn_that_breaks_off_frees_its_stream() {
        let turns = Turns::default();
        drop(turns.begin_or_wait(&stream("a"), 1).unwrap());
        assert!(turns.begin_or_wait(&stream("a"), 2).is_some());
    }
}
