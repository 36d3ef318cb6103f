//! (gateway wire)
