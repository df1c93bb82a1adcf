//! `cargo xtask test counts`: the instructions that the built wasm takes for each work, beside those of the baseline.
//!
//! A time depends on what else the machine does, and of two runs no two compare. The instructions that a work takes are
//! the same in every run, so that a change of a few percent is seen at once, and by whom it was made. They say nothing of
//! caches, and an interpreter counts what is in the wasm, not what a browser's compiler makes of it: what is measured in
//! time is in docs/performance.md.

mod baseline;
mod machine;
mod works;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use baseline::Baseline;
use machine::Program;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let (wasm, path, writes) = match &arguments[..] {
        [wasm, baseline] => (PathBuf::from(wasm), PathBuf::from(baseline), false),
        [wasm, baseline, write] if write == "--write" => (PathBuf::from(wasm), PathBuf::from(baseline), true),
        _ => bail!("usage: counts WASM BASELINE [--write]"),
    };
    let wasm = std::fs::read(&wasm).with_context(|| format!("{} cannot be read", wasm.display()))?;
    let counts = works::count_all(&Program::new(&wasm)?)?;
    let before = if path.is_file() { Baseline::read(&path)? } else { Baseline::default() };
    println!("{}", before.table(&counts));
    if writes {
        Baseline::of(&counts).write(&path)?;
        return Ok(ExitCode::SUCCESS);
    }
    let faults = before.faults(&counts);
    for fault in &faults {
        eprintln!("{fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
