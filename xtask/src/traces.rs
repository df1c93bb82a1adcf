//! Replays recorded etcd answers through the npm package.

use std::path::{PathBuf, absolute};
use std::process::ExitCode;

use anyhow::Result;

use crate::build;
use crate::project::Project;
use crate::setup::ensure_all;

/// What is replayed.
#[derive(clap::Args)]
pub struct Args {
    /// A folder of traces
    dir: PathBuf,
}

/// Sets up, builds, and hands over to the replay.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    // As the caller wrote it, before anything runs from the root of the checkout.
    let dir = absolute(&args.dir)?;
    ensure_all(project, build::NEEDS_AND_BROWSER)?;
    build::build(project)?;
    project.become_script("tests/replay/main.ts", vec![dir.into()])
}
