//! hairtrigger: a low-latency price-alert engine.

pub mod agent;
pub mod client;
pub mod config;
pub mod control;
pub mod engine;
pub mod feed;
pub mod gateway;
pub mod inspect;
pub mod limits;
pub mod matcher;
pub mod model;
pub mod partition;
pub mod plan;
pub mod publish;
pub mod replay;
pub mod ring;
pub mod rules_csv;
pub mod runner;
pub mod soup;
pub mod stats;
pub mod synth;
pub mod sys;
