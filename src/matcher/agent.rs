//! (matcher agent)
