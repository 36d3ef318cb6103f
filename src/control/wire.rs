//! (control wire)
