//! Facts about the machine: its clock, its cores. Knows nothing of markets or rules.

pub mod affinity;
pub mod aside;
pub mod boot;
pub mod clock;
pub mod descriptors;
pub mod idle;
pub mod listener;
pub mod lock;
pub mod memory;
pub mod priority;
pub mod stream;
pub mod supervisor;
pub mod sync;
pub mod terminal;
pub mod topology;
