//! `cargo xtask fuzz`: hostile bytes for every decoder of the core.
//!
//! On the stable toolchain, and so without a sanitizer: there is no unsafe code to watch, what is looked for are panics.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::project::Project;
use crate::setup::{self, rust};

/// Enough for a batch of several blobs, and for transactions of many operations.
const INPUT_BYTES_MAX: u32 = 16 << 10;
/// What an input may take, at the most. The targets themselves need a tenth of the memory, and a thousandth of the time; but
/// what is measured is not theirs alone where a machine is busy.
const RSS_MB_MAX: u32 = 1024;
const SECONDS_MAX: u32 = 10;

/// What is fuzzed, and for how long.
#[derive(clap::Args)]
pub struct Args {
    /// The target to run [default: all, one after the other]
    target: Option<String>,
    /// How long each target is run
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// Runs the targets; the first finding ends it, and cargo-fuzz says how to repeat it.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    setup::ensure_all(project, &[&rust::CARGO_FUZZ])?;
    let cargo_fuzz = rust::tool(project, "cargo-fuzz").context("cargo-fuzz is not installed")?;
    let targets = cmd!(project.shell, "{cargo_fuzz} fuzz list").quiet().read()?;
    let target_dir = project.target.join("fuzz");
    let seconds = args.seconds;
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={SECONDS_MAX}"),
        format!("-rss_limit_mb={RSS_MB_MAX}"),
    ];
    let asked = |target: &&str| args.target.as_deref().is_none_or(|asked| asked == *target);
    let targets: Vec<&str> = targets.lines().filter(asked).collect();
    ensure!(!targets.is_empty(), "there is no such target");
    for target in targets {
        println!("\n==> {target}, for {seconds} s");
        let run = cmd!(project.shell, "{cargo_fuzz} fuzz run --sanitizer none --target-dir {target_dir} {target}");
        run.arg("--").args(&limits).args(["-len_control=0", "-print_final_stats=1", "-verbosity=1"]).run()?;
    }
    Ok(ExitCode::SUCCESS)
}
