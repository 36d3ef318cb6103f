//! File descriptors: how many this process may have.
#![allow(unsafe_code)]

/// Raises the process's own bound as far as it may and returns it: the soft limit is often 1,024 where the hard one is
/// half a million, since programs that use `select` cannot have more.
pub fn raise() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills the structure that it is given, which lives here.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return usize::MAX;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the call reads the structure that it is given, which lives here, and changes only this process's limit.
    if limit.rlim_cur < limit.rlim_max && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
        limit = raised;
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_raised_is_the_limit_from_then_on() {
        let count = raise();
        assert!(count > 3);
        assert_eq!(raise(), count);
    }
}
