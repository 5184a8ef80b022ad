//! A body whose frames are observed as they pass.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// Sees the frames of a body. It is dropped with the body.
pub(crate) trait FrameObserver: Unpin {
    /// Called for each frame.
    ///
    /// # Errors
    /// The error that ends the body instead of this frame.
    fn observe_frame(&mut self, _frame: &Frame<Bytes>) -> Result<(), axum::Error> {
        Ok(())
    }
}

/// A body and the observer of its frames.
pub(crate) struct ObservedBody<O> {
    body: Body,
    observer: O,
}

impl<O: FrameObserver> ObservedBody<O> {
    pub(crate) fn new(body: Body, observer: O) -> Self {
        Self { body, observer }
    }
}

impl<O: FrameObserver> hyper::body::Body for ObservedBody<O> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Err(error) = self.observer.observe_frame(frame)
        {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
