//! (matcher index)
