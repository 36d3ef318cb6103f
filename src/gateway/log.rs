//! (gateway log)
