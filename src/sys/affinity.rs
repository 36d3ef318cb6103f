//! The affinity mask: which cores a thread may run on, and pinning a thread to one of them.
//!
//! `core_affinity` sees only the mask of the thread that calls it, and a thread inherits the mask of the one that
//! started it: once a thread is pinned, it and its children see one core. So the mask is read once, at the start of
//! `main`, before anything is pinned; and whoever pins, pins the thread that it runs on.

use std::io;

use core_affinity::CoreId;

/// Cores that an affinity mask can name: the size of `cpu_set_t` in bits.
const CORES_MAX: usize = libc::CPU_SETSIZE as usize;

/// Why a thread is not where it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// The kernel refused: the core does not exist, is offline, or stands outside the process's cpuset.
    #[error("core {core}: the kernel refuses to pin a thread to it (it may be offline, or outside the cpuset)")]
    Refused {
        /// The core asked for.
        core: usize,
    },
    /// The kernel accepted, and the mask read back is another one.
    #[error("core {core}: pinned, but the thread may now run on {actual:?}")]
    NotHeld {
        /// The core asked for.
        core: usize,
        /// The cores of the mask read back.
        actual: Vec<usize>,
    },
}

/// The cores that the calling thread may use, ascending.
///
/// # Errors
/// When the kernel does not tell, as on a machine of more than 1,024 cores.
pub fn allowed() -> io::Result<Vec<usize>> {
    let cores = core_affinity::get_core_ids().ok_or_else(io::Error::last_os_error)?;
    Ok(cores.into_iter().map(|core| core.id).collect())
}

/// Pins the calling thread to `core`, and reads the mask back to see that it held.
///
/// # Errors
/// [`PinError`]; the thread then runs where it ran before, or where the error says.
pub fn pin_current(core: usize) -> Result<(), PinError> {
    // `set_for_current` would index past its bit set.
    if core >= CORES_MAX || !core_affinity::set_for_current(CoreId { id: core }) {
        return Err(PinError::Refused { core });
    }
    match allowed() {
        Ok(actual) if actual == [core] => Ok(()),
        actual => Err(PinError::NotHeld { core, actual: actual.unwrap_or_default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_sees_its_core_only_and_others_keep_theirs() {
        let before = allowed().unwrap();
        let core = *before.last().unwrap();
        let seen = std::thread::spawn(move || pin_current(core).map(|()| allowed().unwrap())).join().unwrap();
        assert_eq!(seen, Ok(vec![core]));
        assert_eq!(allowed().unwrap(), before);
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused_without_a_panic() {
        for core in [CORES_MAX - 1, CORES_MAX, usize::MAX] {
            assert_eq!(pin_current(core), Err(PinError::Refused { core }));
        }
    }
}
