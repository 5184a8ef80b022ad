//! One append per stream at a time: two of them in one statement would fail together, and in two statements one would
//! wait for the other inside Postgres.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A stream: the kind of its aggregate and the aggregate's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StreamId {
    pub(super) aggregate_type: &'static str,
    pub(super) aggregate_id: Arc<str>,
}

/// Who is appending to which stream, and who waits for it.
#[derive(Debug)]
pub(super) struct StreamQueue<T> {
    waiting: Arc<Mutex<HashMap<StreamId, VecDeque<T>>>>,
}

impl<T> Default for StreamQueue<T> {
    fn default() -> Self {
        Self { waiting: Arc::default() }
    }
}

impl<T> StreamQueue<T> {
    /// Begins a turn on `stream`, or leaves `waiting` in its line.
    pub(super) fn begin_or_wait(&self, stream: &StreamId, waiting: T) -> Option<(StreamTurn<T>, T)> {
        let mut streams = lock_streams(&self.waiting);
        if let Some(line) = streams.get_mut(stream) {
            line.push_back(waiting);
            return None;
        }
        streams.insert(stream.clone(), VecDeque::new());
        Some((StreamTurn { stream: stream.clone(), waiting: Arc::clone(&self.waiting), is_finished: false }, waiting))
    }
}

/// The right to append to a stream. If it is dropped without an end, those who wait for it are dropped, too.
#[derive(Debug)]
pub(super) struct StreamTurn<T> {
    stream: StreamId,
    waiting: Arc<Mutex<HashMap<StreamId, VecDeque<T>>>>,
    is_finished: bool,
}

impl<T> StreamTurn<T> {
    pub(super) fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Passes the turn to the first who waits and is not `hopeless`; those before it are given back.
    pub(super) fn pass_to_next(mut self, hopeless: impl Fn(&T) -> bool) -> (Option<(Self, T)>, Vec<T>) {
        let mut given_up = Vec::new();
        let mut streams = lock_streams(&self.waiting);
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
        self.is_finished = true;
        (None, given_up)
    }
}

impl<T> Drop for StreamTurn<T> {
    fn drop(&mut self) {
        if !self.is_finished {
            let waiting = lock_streams(&self.waiting).remove(&self.stream);
            drop(waiting);
        }
    }
}

fn lock_streams<T>(streams: &Mutex<HashMap<StreamId, VecDeque<T>>>) -> MutexGuard<'_, HashMap<StreamId, VecDeque<T>>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream_id(id: &str) -> StreamId {
        StreamId { aggregate_type: "t", aggregate_id: id.into() }
    }

    #[test]
    fn whoever_comes_second_waits_and_is_next() {
        let turns = StreamQueue::default();
        let (turn, _) = turns.begin_or_wait(&stream_id("a"), 1).unwrap();
        assert!(turns.begin_or_wait(&stream_id("a"), 2).is_none());
        assert!(turns.begin_or_wait(&stream_id("b"), 9).is_some());
        let (next, given_up) = turn.pass_to_next(|_| false);
        assert_eq!((next.unwrap().1, given_up), (2, vec![]));
    }

    #[test]
    fn the_hopeless_are_given_back_and_the_stream_is_free_after_the_last() {
        let turns = StreamQueue::default();
        let (turn, _) = turns.begin_or_wait(&stream_id("a"), 1).unwrap();
        assert!(turns.begin_or_wait(&stream_id("a"), 2).is_none());
        let (next, given_up) = turn.pass_to_next(|_| true);
        assert!(next.is_none());
        assert_eq!(given_up, [2]);
        assert!(turns.begin_or_wait(&stream_id("a"), 3).is_some());
    }

    #[test]
    fn a_turn_that_breaks_off_frees_its_stream() {
        let turns = StreamQueue::default();
        drop(turns.begin_or_wait(&stream_id("a"), 1).unwrap());
        assert!(turns.begin_or_wait(&stream_id("a"), 2).is_some());
    }
}
