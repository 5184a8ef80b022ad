//! Allows one append per stream at a time: two appends to a stream would fail together if one statement contained both,
//! and one would wait for the other inside Postgres if two statements did.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::stream_id::StreamId;

/// The streams that are being appended to, with the appends that wait for each.
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
    /// Begins a turn on `stream`. If another append has the turn, puts this one at the end of the stream's queue and
    /// returns `None`.
    pub(super) fn begin_or_wait(&self, stream: &StreamId, append: T) -> Option<(StreamTurn<T>, T)> {
        let mut streams = lock_streams(&self.waiting);
        if let Some(queue) = streams.get_mut(stream) {
            queue.push_back(append);
            return None;
        }
        streams.insert(stream.clone(), VecDeque::new());
        Some((StreamTurn { stream: stream.clone(), waiting: Arc::clone(&self.waiting), is_finished: false }, append))
    }
}

/// The right to append to a stream. If it is dropped without being passed on, the appends that wait for it are dropped,
/// too.
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

    /// Passes the turn to the first waiting append that has not timed out. Also returns those before it that
    /// have.
    pub(super) fn pass_to_next(mut self, has_timed_out: impl Fn(&T) -> bool) -> (Option<(Self, T)>, Vec<T>) {
        let mut timed_out = Vec::new();
        let mut streams = lock_streams(&self.waiting);
        let queue = streams.entry(self.stream.clone()).or_default();
        while let Some(next) = queue.pop_front() {
            if !has_timed_out(&next) {
                drop(streams);
                return (Some((self, next)), timed_out);
            }
            timed_out.push(next);
        }
        streams.remove(&self.stream);
        drop(streams);
        self.is_finished = true;
        (None, timed_out)
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
        StreamId::new("t", id)
    }

    #[test]
    fn a_second_append_waits_and_gets_the_next_turn() {
        let queue = StreamQueue::default();
        let (turn, _) = queue.begin_or_wait(&stream_id("a"), 1).unwrap();
        assert!(queue.begin_or_wait(&stream_id("a"), 2).is_none());
        assert!(queue.begin_or_wait(&stream_id("b"), 9).is_some());
        let (next, timed_out) = turn.pass_to_next(|_| false);
        assert_eq!((next.unwrap().1, timed_out), (2, vec![]));
    }

    #[test]
    fn expired_appends_are_returned_and_leave_the_stream_free() {
        let queue = StreamQueue::default();
        let (turn, _) = queue.begin_or_wait(&stream_id("a"), 1).unwrap();
        assert!(queue.begin_or_wait(&stream_id("a"), 2).is_none());
        let (next, timed_out) = turn.pass_to_next(|_| true);
        assert!(next.is_none());
        assert_eq!(timed_out, [2]);
        assert!(queue.begin_or_wait(&stream_id("a"), 3).is_some());
    }

    #[test]
    fn a_dropped_turn_frees_its_stream() {
        let queue = StreamQueue::default();
        drop(queue.begin_or_wait(&stream_id("a"), 1).unwrap());
        assert!(queue.begin_or_wait(&stream_id("a"), 2).is_some());
    }
}
