//! Facts about the machine: its clock, its cores. Knows nothing of markets or rules.

pub mod clock;
pub mod topology;
