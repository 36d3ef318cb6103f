//! Nasdaq TotalView-ITCH 5.0: one message to one market event.
