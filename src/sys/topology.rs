//! Cores, and which thread runs on which.
