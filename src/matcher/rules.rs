//! (matcher rules)
