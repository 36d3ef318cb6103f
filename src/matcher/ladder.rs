//! (matcher ladder)
