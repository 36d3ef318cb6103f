//! (control sequencer)
