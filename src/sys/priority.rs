//! A thread's priority: work that can wait gives way to work that cannot.

/// Gives the calling thread the lowest priority of an ordinary one. Where the kernel refuses, it stays as it is.
#[allow(unsafe_code)]
pub fn lower() {
    // SAFETY: the call takes no memory. 0 is the calling thread: in Linux each thread has a priority of its own.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn only_the_calling_thread_gives_way() {
        // SAFETY: as above.
        let own = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = own();
        let lowered = std::thread::spawn(move || {
            lower();
            own()
        });
        assert_eq!((lowered.join().unwrap(), own()), (19, before));
    }
}
