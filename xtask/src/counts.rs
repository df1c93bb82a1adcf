//! The instructions that the built wasm takes for each work: see `benches/counts`.

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;

/// Prints the counts beside those of the baseline; an error if one has grown by too much.
pub fn check(project: &Project) -> Result<()> {
    counts(project, &[])
}

/// Prints the counts, and makes them the baseline.
pub fn rewrite(project: &Project) -> Result<()> {
    counts(project, &["--write"])
}

fn counts(project: &Project, flags: &[&str]) -> Result<()> {
    let [wasm, baseline] = ["pkg/dist/revkv.wasm", "benches/counts/baseline.txt"];
    Ok(cmd!(project.shell, "cargo run --quiet -p counts -- {wasm} {baseline} {flags...}").run()?)
}
