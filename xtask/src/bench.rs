//! `cargo xtask bench`: how fast the package is beside its peers, and the native engine beside what one would write
//! by hand.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use xshell::cmd;

use crate::build;
use crate::counts;
use crate::project::Project;
use crate::setup::{ensure_all, node};

/// What is measured.
#[derive(clap::Args)]
pub struct Args {
    /// Where [default: in a browser and in Node, in one run]
    #[arg(value_enum)]
    place: Option<Place>,
    /// Entries in each database
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    entries: u32,
    /// How often everything is measured, in an order shuffled anew
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// A peer or a work; of the native benchmarks `speed` or `memory`. May be given more than once [default: all]
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Updates made where the bytes written are counted
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    updates: u32,
    /// Shuffles the order, and chooses the keys [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Measure nothing: write the tables of the documents from the results that are kept
    #[arg(long, conflicts_with_all = ["place", "only", "seed"])]
    write_docs: bool,
    /// With `counts`: makes what is counted the baseline, to be committed with what has changed it
    #[arg(long)]
    write_baseline: bool,
}

/// Where the package, or its engine, runs.
#[derive(Clone, Copy, ValueEnum)]
enum Place {
    /// The engine alone, compiled for this machine
    Native,
    /// The package in a headless Chromium
    Web,
    /// The package in Node
    Node,
    /// The package with ever more entries, and versions of each, in a headless Chromium and in Node
    Growth,
    /// What a headless Chromium itself takes for the parts that no store can leave out
    Floors,
    /// The package in several tabs of a headless Chromium
    Tabs,
    /// A mirror beside the gateway of a real etcd, in Node
    Etcd,
    /// The instructions that the built wasm takes, beside those of the baseline
    Counts,
}

/// Runs the benchmarks; they print tables, and a whole run is kept in benches/results/latest.json.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    ensure!(!args.write_baseline || matches!(args.place, Some(Place::Counts)), "--write-baseline is for `counts`");
    if args.write_docs {
        ensure_all(project, &[&node::NODE, &node::NPM_PACKAGES])?;
        return project.become_script("benches/web/docs.ts", vec!["--write".into()]);
    }
    match args.place {
        Some(Place::Native) => native(project, &args.only),
        Some(Place::Growth) => with_growth(project, args),
        Some(Place::Floors) => in_page(project, "benches/web/floors/main.ts"),
        Some(Place::Tabs) => in_page(project, "benches/web/tabs/main.ts"),
        Some(Place::Etcd) => beside_etcd(project),
        Some(Place::Counts) => instructions(project, args.write_baseline),
        place => beside_peers(project, args, place),
    }
}

fn native(project: &Project, only: &[String]) -> Result<ExitCode> {
    const NAMES: [&str; 2] = ["speed", "memory"];
    for name in only {
        ensure!(NAMES.contains(&name.as_str()), "--only {name}: the native benchmarks are {}", NAMES.join(" and "));
    }
    let wanted = |name: &&str| only.is_empty() || only.iter().any(|only| only == name);
    let names = NAMES.into_iter().filter(wanted).flat_map(|name| ["--bench", name]);
    cmd!(project.shell, "cargo bench -p revkv {names...}").run()?;
    Ok(ExitCode::SUCCESS)
}

fn with_growth(project: &Project, args: &Args) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS_OF_BENCH)?;
    build::build(project)?;
    let mut arguments: Vec<OsString> = vec!["--rounds".into(), args.rounds.to_string().into()];
    if let Some(seed) = args.seed {
        arguments.extend(["--seed".into(), seed.to_string().into()]);
    }
    project.become_script("benches/web/growth/main.ts", arguments)
}

fn in_page(project: &Project, script: &str) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS_OF_BENCH)?;
    build::build(project)?;
    project.become_script(script, Vec::new())
}

fn beside_etcd(project: &Project) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS_AND_ETCD)?;
    build::build(project)?;
    project.become_script("benches/etcd/main.ts", vec!["--out".into(), "benches/results/etcd.json".into()])
}

fn instructions(project: &Project, write_baseline: bool) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS)?;
    build::build(project)?;
    if write_baseline {
        counts::rewrite(project)?
    } else {
        counts::check(project)?
    }
    Ok(ExitCode::SUCCESS)
}

fn beside_peers(project: &Project, args: &Args, place: Option<Place>) -> Result<ExitCode> {
    ensure_all(project, build::NEEDS_OF_BENCH)?;
    build::build(project)?;
    let places = match place {
        Some(Place::Web) => "web",
        Some(Place::Node) => "node",
        _ => "web,node",
    };
    let mut arguments: Vec<OsString> = vec!["--in".into(), places.into()];
    let numbers = [("--entries", args.entries), ("--rounds", args.rounds), ("--updates", args.updates)];
    for (name, number) in numbers.into_iter().chain(args.seed.map(|seed| ("--seed", seed))) {
        arguments.extend([name.into(), number.to_string().into()]);
    }
    for name in &args.only {
        arguments.extend(["--only".into(), name.into()]);
    }
    project.become_script("benches/web/main.ts", arguments)
}
