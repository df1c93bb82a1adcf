//! Runs test steps: all of them even where one fails, so that one run shows everything.

use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::build;
use crate::project::Project;
use crate::setup::Piece;
use crate::steps::{Outcome, STEPS, Step};

/// What `--help` says about the environment.
pub const ENVIRONMENT: &str = "\
Environment:
  CHROME             the Chromium to use, instead of one on PATH
  CHROMEDRIVER       its driver, likewise
  FIREFOX            the Firefox of the matrix, likewise
  ETCD               the etcd that mirrors are tried on, likewise
  ETCD_WITH_HASH     an etcd 3.5.30, whose gateway lends its hash, likewise
  REVKV_ADVISORY_DB  a folder or a .tar.gz with the RustSec advisory database, for machines that cannot fetch it;
                     it is unpacked to where cargo-deny keeps its own";

/// Which steps are run.
#[derive(clap::Args)]
pub struct Args {
    /// The steps to run [default: all but those that take long]
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    names: Vec<String>,
    /// Print the names of the steps, with a line on each
    #[arg(long)]
    list: bool,
}

/// Runs the steps and prints what became of them; the last line is `N passed, N failed`.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    if args.list {
        for Step { name, about, when_asked, .. } in STEPS {
            println!("{name:<12}{about}{}", if *when_asked { " (only when asked for)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let asked = |step: &&Step| match args.names.as_slice() {
        [] => !step.when_asked,
        names => names.iter().any(|name| name == step.name),
    };
    let steps: Vec<&Step> = STEPS.iter().filter(asked).collect();

    let missing = set_up(project, &steps);
    let mut built = None;
    let mut report = Report(Vec::new());
    for (index, step) in steps.iter().enumerate() {
        println!("\n==> {} ({} of {}): {}", step.name, index + 1, steps.len(), step.about);
        let start = Instant::now();
        let outcome = run_step(project, step, &missing, &mut built);
        report.add(step.name, outcome, start.elapsed());
    }
    println!("\n{report}");
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A piece that cannot be had, and why.
struct Missing {
    piece: &'static str,
    why: String,
}

/// Ensures what the steps need, each piece once. What is missing fails the steps that need it, not the others.
fn set_up(project: &Project, steps: &[&Step]) -> Vec<Missing> {
    let mut pieces: Vec<&Piece> = Vec::new();
    for piece in steps.iter().flat_map(|step| step.needs) {
        if !pieces.iter().any(|known| known.name == piece.name) {
            pieces.push(piece);
        }
    }
    let mut missing = Vec::new();
    for piece in pieces {
        if let Err(error) = piece.ensure(project) {
            println!("{error:#}");
            missing.push(Missing { piece: piece.name, why: format!("{error:#}") });
        }
    }
    missing
}

fn run_step(
    project: &Project,
    step: &Step,
    missing: &[Missing],
    built: &mut Option<Result<(), String>>,
) -> Result<Outcome> {
    if let Some(missing) = missing.iter().find(|missing| step.needs.iter().any(|piece| piece.name == missing.piece)) {
        anyhow::bail!("{}", missing.why);
    }
    if step.needs_build {
        // Built once a run, by the first step that needs it.
        let built = built.get_or_insert_with(|| build::build(project).map_err(|error| format!("{error:#}")));
        if let Err(why) = built {
            anyhow::bail!("{why}");
        }
    }
    (step.run)(project)
}

/// What became of each step.
struct Report(Vec<Row>);

struct Row {
    name: &'static str,
    result: &'static str,
    time: Duration,
    note: String,
}

impl Report {
    fn add(&mut self, name: &'static str, outcome: Result<Outcome>, time: Duration) {
        let (result, note) = match outcome {
            Ok(Outcome::Passed) => (PASSED, String::new()),
            Ok(Outcome::NotChecked(why)) => (NOT_CHECKED, why),
            Err(error) => (FAILED, format!("{error:#}")),
        };
        println!("<== {name}: {result} in {:.1} s {note}", time.as_secs_f64());
        self.0.push(Row { name, result, time, note });
    }

    fn failed(&self) -> usize {
        self.count(FAILED)
    }

    fn count(&self, result: &str) -> usize {
        self.0.iter().filter(|row| row.result == result).count()
    }
}

const PASSED: &str = "passed";
const FAILED: &str = "FAILED";
const NOT_CHECKED: &str = "NOT CHECKED";

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Row { name, result, time, note } in &self.0 {
            let line = format!("{name:<12}{result:<12}{:>7.1} s  {note}", time.as_secs_f64());
            writeln!(f, "{}", line.trim_end())?;
        }
        // Programs read this line: it is the last, and has nothing else on it.
        write!(f, "{} passed, {} failed", self.count(PASSED), self.failed())
    }
}
