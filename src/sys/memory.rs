//! Memory: huge pages for large tables, locking, and lines that are fetched before they are needed.
#![allow(unsafe_code)]

/// Below this a table gains nothing from huge pages.
const HUGE_SIZE_MIN: usize = 4 << 20;
const PAGE_SIZE: usize = 4_096;
const LINE_SIZE: usize = 64;

/// Asks for huge pages under all that `table` has reserved. To be called before any of it is touched; a refusal costs
/// nothing but speed: then the table lies on ordinary pages.
pub fn on_huge_pages<T>(table: &Vec<T>) {
    let (start, size) = (table.as_ptr() as usize, table.capacity() * size_of::<T>());
    let from = start.next_multiple_of(PAGE_SIZE);
    let to = (start + size) / PAGE_SIZE * PAGE_SIZE;
    if size >= HUGE_SIZE_MIN {
        // SAFETY: the range lies within one allocation that `table` owns and keeps during the call, and this advice changes
        // neither what is in memory nor what may be done with it.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE) };
    }
}

/// Faults in all memory that the process has reserved, and locks it and all that it will reserve.
/// # Errors
/// The system's reason, most often that the right to lock so much is missing. Nothing has changed then.
pub fn lock_all() -> std::io::Result<()> {
    // SAFETY: the call takes two flags and touches no memory of the program but to read pages in.
    match unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Why this machine gives no huge pages to who asks for them, if it does not.
pub fn huge_pages_refusal() -> Option<String> {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    match std::fs::read_to_string(path) {
        Ok(modes) if modes.contains("[never]") => Some(format!("{path} says never")),
        Ok(_) => None,
        Err(error) => Some(format!("{path}: {error}")),
    }
}

/// Has the line that `value` begins in fetched. Only a hint: it changes nothing.
#[inline]
pub fn prefetch<T>(value: &T) {
    prefetch_line(std::ptr::from_ref(value).cast());
}

/// Has all lines that `value` lies in fetched, at once.
#[inline]
pub fn prefetch_all<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE_SIZE) {
        prefetch_line(start.wrapping_add(offset));
    }
    // It may begin in the middle of a line.
    prefetch_line(start.wrapping_add(size_of::<T>() - 1));
}

#[inline]
fn prefetch_line(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing into the program and faults on no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
