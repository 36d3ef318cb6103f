//! (control agent)
