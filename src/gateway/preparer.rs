//! The worker that prepares the log's next segment and removes what is past the retention, off the path.
//!
//! Allocating and touching 64 MiB takes tens of milliseconds, and deleting can wait for the disk: the gateway asks
//! here and goes on. The channels are bounded and never waited for.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use super::history::GONE;
use super::logs::Retired;
use super::segment::Segment;
use crate::soup::login::SessionId;
use crate::sys::aside::{Aside, Worker};

enum Task {
    Prepare(u64),
    Remove(Retired),
}

/// Where its segments are and what they look like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The log's directory.
    pub directory: PathBuf,
    /// Size of each segment.
    pub segment_size: usize,
    /// The session that they belong to.
    pub session: SessionId,
}

impl Shape {
    /// Creates the segment with this ordinal.
    ///
    /// # Errors
    /// Those of [`Segment::create`].
    pub fn create(&self, ordinal: u64) -> io::Result<Segment> {
        Segment::create(&self.directory, ordinal, self.segment_size, &self.session)
    }
}

/// The owner's end. Dropping it ends the worker once its work is done.
pub struct Preparer {
    tasks: Option<SyncSender<Task>>,
    ready: Receiver<io::Result<Segment>>,
    is_asked: bool,
    worker: Option<Worker>,
}

impl Preparer {
    /// Begins the worker.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(shape: Shape, aside: &Aside) -> io::Result<Preparer> {
        let (tasks, incoming) = sync_channel::<Task>(16);
        let (finished, ready) = sync_channel(2);
        let worker = aside.begin("log-preparer", incoming, move |task| {
            match task {
                Some(Task::Prepare(ordinal)) => drop(finished.send(shape.create(ordinal))),
                Some(Task::Remove(retired)) => remove(retired),
                None => return false,
            }
            true
        })?;
        Ok(Preparer { tasks: Some(tasks), ready, is_asked: false, worker: Some(worker) })
    }

    /// Asks for the segment with this ordinal, unless one is on its way.
    pub fn ask(&mut self, ordinal: u64) {
        if !self.is_asked
            && let Some(tasks) = &self.tasks
        {
            self.is_asked = tasks.try_send(Task::Prepare(ordinal)).is_ok();
        }
    }

    /// What was asked for, once it is there; or why it is not.
    pub fn ready(&mut self) -> Option<io::Result<Segment>> {
        if !self.is_asked {
            return None;
        }
        match self.ready.try_recv() {
            Ok(result) => {
                self.is_asked = false;
                Some(result)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Has it unmapped and deleted. When the worker is far behind this does it itself: late, but bounded.
    pub fn remove(&mut self, retired: Retired) {
        if let Some(tasks) = &self.tasks
            && let Err(TrySendError::Full(Task::Remove(retired)) | TrySendError::Disconnected(Task::Remove(retired))) =
                tasks.try_send(Task::Remove(retired))
        {
            remove(retired);
        }
    }
}

fn remove(retired: Retired) {
    let result = match retired {
        Retired::Segment(segment) => segment.remove(),
        Retired::Session(kept) => {
            let directory = kept.directory.clone();
            drop(kept);
            // First it is written down that something is missing, then it is.
            let name = directory.file_name().unwrap_or_default().as_encoded_bytes();
            let written = std::fs::write(directory.with_file_name(GONE), name);
            written.and_then(|()| std::fs::remove_dir_all(directory))
        }
    };
    if let Err(error) = result {
        tracing::warn!(%error, "what is past the retention could not be deleted");
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(worker) = self.worker.take() {
            worker.join();
        }
    }
}
