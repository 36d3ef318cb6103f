//! `hairtrigger demo`.

use std::error::Error;
use std::process::ExitCode;

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> Result<ExitCode, Box<dyn Error>> {
    Err("not built yet".into())
}
