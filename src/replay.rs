//! Rules over a recorded feed, offline.
