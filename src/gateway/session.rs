//! (gateway session)
