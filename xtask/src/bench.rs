//! `cargo xtask bench`: how fast the engine is, and what it takes of memory.

use std::process::ExitCode;

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;

/// Which benchmarks are run.
#[derive(clap::Args)]
pub struct Args {
    /// The benchmark to run [default: all]
    #[arg(value_parser = ["speed", "memory"])]
    name: Option<String>,
}

/// Runs the benchmarks; they print tables.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let names = args.name.as_deref().map_or(vec!["speed", "memory"], |name| vec![name]);
    let names = names.into_iter().flat_map(|name| ["--bench", name]);
    cmd!(project.shell, "cargo bench -p revkv {names...}").run()?;
    Ok(ExitCode::SUCCESS)
}
