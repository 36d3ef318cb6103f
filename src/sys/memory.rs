//! Memory: huge pages for large tables, locking, and lines that are fetched before they are needed.
#![allow(unsafe_code)]

/// Below this a table gains nothing from huge pages.
const HUGE_SIZE_MIN: usize = 4 << 20;
/// Up to this a table is faulted in when it is made, so that no event waits for a page. All of a larger one would cost each start
/// time and memory that may never be needed: see [`lock_all`].
const FAULTED_SIZE_MAX: usize = 16 << 20;
const PAGE_SIZE: usize = 4_096;
const LINE_SIZE: usize = 64;

/// Asks for huge pages under all that `table` has reserved, if it is large, and faults it in, if it is not. To be called before any
/// of it is touched; a refusal costs nothing but speed.
pub fn on_huge_pages<T>(table: &Vec<T>) {
    let (start, size) = (table.as_ptr() as usize, table.capacity() * size_of::<T>());
    if size >= HUGE_SIZE_MIN {
        advise(start, size, libc::MADV_HUGEPAGE);
    }
    if (PAGE_SIZE..=FAULTED_SIZE_MAX).contains(&size) {
        advise(start, size, libc::MADV_POPULATE_WRITE);
    }
}

/// Room for so many, as [`on_huge_pages`] has it.
pub fn reserved<T>(count: usize) -> Vec<T> {
    let table = Vec::with_capacity(count);
    on_huge_pages(&table);
    table
}

/// Advice about the whole pages of memory that somebody owns, of a kind that changes neither what is in it nor what may be done with it.
fn advise(start: usize, size: usize, advice: libc::c_int) {
    let (from, to) = (start.next_multiple_of(PAGE_SIZE), (start + size) / PAGE_SIZE * PAGE_SIZE);
    if from < to {
        // SAFETY: the range lies within one allocation, which its owner keeps during the call; the two kinds of advice given here only
        // say which pages lie under it, and since when.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, advice) };
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
    prefetch_lines(std::ptr::from_ref(value).cast(), size_of::<T>());
}

/// Has the lines fetched in which a value behind this one would lie: where the next of a row will be written.
#[inline]
pub fn prefetch_next<T>(value: &T) {
    prefetch_lines(std::ptr::from_ref(value).wrapping_add(1).cast(), size_of::<T>());
}

/// Has the first `size` bytes of `place` fetched, as far as it has so many.
#[inline]
pub fn prefetch_bytes(place: &[u8], size: usize) {
    if !place.is_empty() {
        prefetch_lines(place.as_ptr(), size.min(place.len()));
    }
}

#[inline]
fn prefetch_lines(start: *const u8, size: usize) {
    for offset in (0..size).step_by(LINE_SIZE) {
        prefetch_line(start.wrapping_add(offset));
    }
    // It may begin in the middle of a line.
    prefetch_line(start.wrapping_add(size - 1));
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
