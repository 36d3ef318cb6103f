//! (control session)
