//! Work that waits for a disk, beside the agents: by a thread of its own, or by hand.
//!
//! An agent never waits. What must (a sync, the allocation of a file) it gives away as a task by a bounded channel, and looks
//! for what came of it. Production gives such a worker a thread, which mostly sleeps in the kernel; a simulation keeps it and
//! steps it when its scheduler says so, so that a disk may be as slow as a seed wants it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::priority;

/// Who does the work.
#[derive(Clone, Default)]
pub struct Aside {
    /// `None`: a thread for each worker.
    kept: Option<Arc<Mutex<Vec<Stepped>>>>,
}

/// A worker, for the one who gives it tasks. It ends once the tasks' channel is closed and its work is done.
pub struct Worker(Hands);

enum Hands {
    Thread(JoinHandle<()>),
    Stepped(Arc<AtomicBool>),
}

/// A worker without a thread.
pub struct Stepped {
    name: String,
    /// Does one task if there is one. True: it did, or it ended.
    step: Box<dyn FnMut() -> Step + Send>,
    has_ended: Arc<AtomicBool>,
}

/// What a step of a worker came to.
enum Step {
    Worked,
    Idle,
    Ended,
}

impl Aside {
    /// Workers without threads, to be had by [`Self::take`].
    pub fn stepped() -> Aside {
        Aside { kept: Some(Arc::default()) }
    }

    /// The workers begun since the last call.
    pub fn take(&self) -> Vec<Stepped> {
        let Some(kept) = &self.kept else { return vec![] };
        kept.lock().map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default()
    }

    /// Begins a worker. `work` gets each task, and at last `None` when there will be no more; it ends before when `work` says false.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin<T: Send + 'static>(
        &self,
        name: &str,
        tasks: Receiver<T>,
        work: impl FnMut(Option<T>) -> bool + Send + 'static,
    ) -> io::Result<Worker> {
        self.begin_with(name, tasks, work, || ())
    }

    /// As [`Self::begin`], for work that may take long and can wait: its thread gives way to all others.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin_low<T: Send + 'static>(
        &self,
        name: &str,
        tasks: Receiver<T>,
        work: impl FnMut(Option<T>) -> bool + Send + 'static,
    ) -> io::Result<Worker> {
        self.begin_with(name, tasks, work, priority::lower)
    }

    fn begin_with<T: Send + 'static>(
        &self,
        name: &str,
        tasks: Receiver<T>,
        mut work: impl FnMut(Option<T>) -> bool + Send + 'static,
        in_thread: impl FnOnce() + Send + 'static,
    ) -> io::Result<Worker> {
        let Some(kept) = &self.kept else {
            let body = move || {
                in_thread();
                while work(tasks.recv().ok()) {}
            };
            return Builder::new().name(name.into()).spawn(body).map(|thread| Worker(Hands::Thread(thread)));
        };
        let step = move || {
            let goes_on = match tasks.try_recv() {
                Ok(task) => work(Some(task)),
                Err(TryRecvError::Disconnected) => work(None),
                Err(TryRecvError::Empty) => return Step::Idle,
            };
            if goes_on { Step::Worked } else { Step::Ended }
        };
        let has_ended = Arc::<AtomicBool>::default();
        if let Ok(mut kept) = kept.lock() {
            kept.push(Stepped { name: name.into(), step: Box::new(step), has_ended: Arc::clone(&has_ended) });
        }
        Ok(Worker(Hands::Stepped(has_ended)))
    }
}

impl Worker {
    /// True when it has ended.
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Hands::Thread(thread) => thread.is_finished(),
            Hands::Stepped(has_ended) => has_ended.load(Ordering::Acquire),
        }
    }

    /// Waits until a thread has ended; one that is stepped is not waited for.
    pub fn join(self) {
        if let Hands::Thread(thread) = self.0 {
            // A worker that panicked has said so; its owner only wants it gone.
            let _ = thread.join();
        }
    }
}

impl Stepped {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does one task, if there is one and it has not ended. Returns whether it did.
    pub fn step(&mut self) -> bool {
        if self.has_ended.load(Ordering::Acquire) {
            return false;
        }
        let step = (self.step)();
        if matches!(step, Step::Ended) {
            self.has_ended.store(true, Ordering::Release);
        }
        !matches!(step, Step::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// A worker that doubles numbers, and says 0 when there will be no more.
    fn doubling(aside: &Aside) -> (std::sync::mpsc::SyncSender<u32>, Receiver<u32>, Worker) {
        let (tasks, incoming) = sync_channel(4);
        let (done, results) = sync_channel(4);
        let work = move |task: Option<u32>| {
            done.send(task.unwrap_or(0) * 2).unwrap();
            task.is_some()
        };
        (tasks, results, aside.begin("doubling", incoming, work).unwrap())
    }

    #[test]
    fn a_thread_does_all_tasks_and_then_ends() {
        let aside = Aside::default();
        let (tasks, results, worker) = doubling(&aside);
        assert!(aside.take().is_empty());
        tasks.send(1).unwrap();
        tasks.send(2).unwrap();
        drop(tasks);
        assert_eq!(results.iter().take(3).collect::<Vec<_>>(), [2, 4, 0]);
        worker.join();
    }

    #[test]
    fn one_that_is_stepped_does_a_task_a_step_and_nothing_by_itself() {
        let aside = Aside::stepped();
        let (tasks, results, worker) = doubling(&aside);
        let mut hand = aside.take().pop().unwrap();
        assert!(!hand.step() && hand.name() == "doubling");
        tasks.send(1).unwrap();
        tasks.send(2).unwrap();
        drop(tasks);
        assert!(results.try_recv().is_err());
        assert!(hand.step() && results.try_recv() == Ok(2) && results.try_recv().is_err());
        assert!(hand.step() && !worker.is_finished() && hand.step() && worker.is_finished() && !hand.step());
        assert_eq!(results.try_iter().collect::<Vec<_>>(), [4, 0]);
    }
}
