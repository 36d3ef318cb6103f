//! (gateway agent)
