//! Two lines, one order: takes packets as they come and gives messages by rising sequence.
