//! From a fresh clone to a running store.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::build;
use crate::project::Project;
use crate::setup::ensure_all;

/// How the demo ends.
#[derive(clap::Args)]
pub struct Args {
    /// End after the quickstart instead of serving the playground
    #[arg(long)]
    once: bool,
    /// The port that the playground is served on
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// Sets up, builds, and hands over to the demo itself.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS_AND_BROWSER)?;
    build::build(project)?;

    let mut arguments: Vec<OsString> = Vec::new();
    if args.once {
        arguments.push("--once".into());
    }
    if let Some(port) = args.port {
        arguments.extend(["--port".into(), port.to_string().into()]);
    }
    project.become_script("tests/browser/demo.ts", arguments)
}
