//! A synthetic ITCH day.
