//! The development commands of revkv. `cargo xtask --help` lists them.
//!
//! Each command looks at what the machine has, installs what is missing, and says so; nothing asks a question.

mod advisories;
mod build;
mod demo;
mod project;
mod setup;
mod sizes;
mod stamp;
mod steps;
mod test;
mod traces;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use project::Project;

/// The development commands of revkv.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Play the quickstart in a real browser, then serve the playground
    Demo(demo::Args),
    /// Run every test step, or the named ones
    #[command(after_long_help = test::ENVIRONMENT)]
    Test(test::Args),
    /// Build the wasm, the npm package and the pages
    Build,
    /// Replay a folder of traces through the npm package
    Traces(traces::Args),
}

fn main() -> ExitCode {
    run(Command::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    let project = Project::open()?;
    match command {
        Command::Demo(args) => demo::run(&project, &args),
        Command::Test(args) => test::run(&project, &args),
        Command::Build => build::run(&project),
        Command::Traces(args) => traces::run(&project, &args),
    }
}
