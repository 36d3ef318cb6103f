//! The command line: arguments to calls, nothing else.

pub mod account;
mod connect;
pub mod demo;
pub mod doctor;
pub mod generate;
pub mod inspect;
pub mod journal;
mod onto;
mod past;
pub mod publish;
pub mod replay;
pub mod rules;
pub mod run;
pub mod stat;
mod text;
pub mod watch;
