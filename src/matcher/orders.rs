//! (matcher orders)
