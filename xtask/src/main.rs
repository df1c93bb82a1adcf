//! The development commands of revkv. `cargo xtask --help` lists them.
//!
//! Each command looks at what the machine has, installs what is missing, and says so; nothing asks a question.

mod advisories;
mod bench;
mod build;
mod counts;
mod demo;
mod fuzz;
mod planted;
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
    /// Make small mistakes in a copy of the engine, and see that the tests notice each
    #[command(after_long_help = planted::ABOUT)]
    Planted(planted::Args),
    /// Build the wasm, the npm package and the pages
    Build,
    /// Replay a folder of traces through the npm package
    Traces(traces::Args),
    /// Measure the package beside its peers, or the native engine
    Bench(bench::Args),
    /// Feed hostile bytes to every decoder
    Fuzz(fuzz::Args),
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
        Command::Planted(args) => planted::run(&project, &args),
        Command::Build => build::run(&project),
        Command::Traces(args) => traces::run(&project, &args),
        Command::Bench(args) => bench::run(&project, &args),
        Command::Fuzz(args) => fuzz::run(&project, &args),
    }
}
