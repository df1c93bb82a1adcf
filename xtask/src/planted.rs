//! Planted bugs: the tests have to notice each of the small mistakes in tests/planted.
//!
//! A patch there is a diff against src/ below a few lines of prose: what a user would lose, and the test that has to
//! fail, as `Caught by: <its name>`. The mistakes are made in a copy of the project, one at a time, so that neither the
//! checkout nor its build is disturbed.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::project::Project;

/// What `--help` says beyond the arguments.
pub const ABOUT: &str = "\
Each mistake is a file of tests/planted. It is made in a copy of the project below target/planted, and the Rust tests
are run there: one of them has to fail, the one that the file names. This takes minutes, so it is no step of
`cargo xtask test`. The last line is `N caught, N missed`.";

/// Which mistakes are tried.
#[derive(clap::Args)]
pub struct Args {
    /// The patches to try, by their names or how these begin [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// For the tests of one mistake. They take seconds, unless the mistake is a loop without an end.
const TIME_MAX: Duration = Duration::from_secs(180);

/// How many seeds of the model are played: none where another test has to see the mistake, because the model takes
/// longer to shorten what it has found than all others run. These seeds have short sequences, for the same reason.
const SEEDS: &str = "0";
const SEEDS_OF_THE_MODEL: &str = "999";

/// How long tabs are simulated: a few seconds, where an hour of each of twenty seeds is a part of `cargo xtask test`.
const TABS_SEEDS: &str = "8";
const TABS_MINUTES: &str = "31";

/// Makes the mistakes one after the other, and prints what became of each.
pub fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let patches = chosen(&project.root.join("tests/planted"), &args.names)?;
    let copy = Copy::make(project)?;
    println!("\n==> without a planted bug");
    copy.check_sound()?;

    let mut report = Report(Vec::new());
    for (index, patch) in patches.into_iter().enumerate() {
        println!("\n==> {} ({}): {}", patch.name, index + 1, patch.loss);
        let start = Instant::now();
        let verdict = copy.judge(&patch)?;
        println!("<== {}: {verdict} in {:.1} s", patch.name, start.elapsed().as_secs_f64());
        report.0.push((patch.name, verdict));
    }
    println!("\n{report}");
    Ok(if report.missed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One mistake.
struct Patch {
    name: String,
    path: PathBuf,
    /// What a user would lose by it.
    loss: String,
    /// The test that has to fail.
    caught_by: String,
}

impl Patch {
    fn read(path: PathBuf) -> Result<Patch> {
        const CAUGHT_BY: &str = "Caught by: ";
        let name = path.file_stem().context("a patch has a name")?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let head: Vec<&str> = text.lines().take_while(|line| !line.starts_with("--- ")).collect();
        let caught_by = head.iter().find_map(|line| line.strip_prefix(CAUGHT_BY));
        let caught_by = caught_by.with_context(|| format!("{name} names no test: add a line `{CAUGHT_BY}...`"))?.into();
        let loss = head.into_iter().filter(|line| !line.starts_with(CAUGHT_BY)).collect::<Vec<_>>().join(" ");
        Ok(Patch { name, path, loss, caught_by })
    }
}

/// The patches that are asked for, in the order of their names.
fn chosen(folder: &Path, names: &[String]) -> Result<Vec<Patch>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    let mut patches = paths.into_iter().map(Patch::read).collect::<Result<Vec<_>>>()?;
    if let Some(name) = names.iter().find(|name| !patches.iter().any(|patch| patch.name.starts_with(*name))) {
        bail!("no patch in {} begins with {name}", folder.display());
    }
    patches.retain(|patch| names.is_empty() || names.iter().any(|name| patch.name.starts_with(name)));
    Ok(patches)
}

/// A copy of the project to make mistakes in.
struct Copy {
    shell: Shell,
    /// What the tests wrote.
    log: PathBuf,
}

impl Copy {
    /// Copies every file that is or may be checked in. One that is the same already is left alone, so that cargo does
    /// not build it again.
    fn make(project: &Project) -> Result<Copy> {
        let folder = project.target.join("planted");
        let root = folder.join("revkv");
        let listed = cmd!(project.shell, "git ls-files --cached --others --exclude-standard").quiet().read()?;
        let mut names: BTreeSet<&Path> = listed.lines().map(Path::new).collect();
        names.retain(|name| project.root.join(name).is_file());
        for name in &names {
            let (from, to) = (project.root.join(name), root.join(name));
            let bytes = fs::read(&from)?;
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
                fs::write(&to, bytes)?;
            }
        }
        remove_others(&root, &root, &names)?;

        let shell = project.shell.clone();
        shell.change_dir(&root);
        shell.set_var("CARGO_TARGET_DIR", folder.join("target"));
        // Without it, linking takes longer than the tests.
        shell.set_var("CARGO_PROFILE_TEST_DEBUG", "0");
        // A mistake often leaves something unused.
        shell.set_var("RUSTFLAGS", "-Awarnings");
        // Else git takes paths as those of the checkout that the copy lies in, and applies nothing.
        shell.set_var("GIT_CEILING_DIRECTORIES", &folder);
        Ok(Copy { shell, log: folder.join("tests.log") })
    }

    /// Without a mistake, everything has to pass.
    fn check_sound(&self) -> Result<()> {
        let programs = self.build().context("the copy does not compile")?;
        let failing = self.failing(&programs, SEEDS_OF_THE_MODEL)?;
        ensure!(failing.is_empty(), "tests fail without a planted bug: {}", join(&failing));
        Ok(())
    }

    /// Makes the mistake, runs the tests, and takes it back.
    fn judge(&self, patch: &Patch) -> Result<Verdict> {
        let (shell, path) = (&self.shell, &patch.path);
        if cmd!(shell, "git apply {path}").quiet().run().is_err() {
            return Ok(Verdict::DoesNotApply);
        }
        let verdict = match self.build() {
            Ok(programs) => self.verdict(patch, &programs),
            Err(_) => Ok(Verdict::DoesNotCompile),
        };
        cmd!(shell, "git apply --reverse {path}").quiet().run()?;
        verdict
    }

    fn verdict(&self, patch: &Patch, programs: &[PathBuf]) -> Result<Verdict> {
        let by_model = patch.caught_by.starts_with("model::");
        let failing = self.failing(programs, if by_model { SEEDS_OF_THE_MODEL } else { SEEDS })?;
        Ok(match failing.contains(&patch.caught_by) {
            true => Verdict::Caught(failing),
            false if failing.is_empty() => Verdict::NotCaught,
            false => Verdict::CaughtByOthers { named: patch.caught_by.clone(), failing },
        })
    }

    /// Builds the tests; gives their programs, to be run one by one: a program of our own can be stopped, one that cargo
    /// runs would go on.
    fn build(&self) -> Result<Vec<PathBuf>> {
        let tests = ["-p", "revkv", "--lib", "--test", "it", "--test", "replication", "--no-run"];
        let build = cmd!(self.shell, "cargo test --quiet {tests...} --message-format=json-render-diagnostics").quiet();
        let messages = build.read()?;
        let programs = messages.lines().filter_map(|line| line.split_once(r#""executable":""#)?.1.split('"').next());
        Ok(programs.map(PathBuf::from).collect())
    }

    /// The tests that fail, or do not end in time.
    fn failing(&self, programs: &[PathBuf], seeds: &str) -> Result<BTreeSet<String>> {
        let deadline = Instant::now() + TIME_MAX;
        let mut failing = BTreeSet::new();
        for program in programs {
            let ending = self.run_until(deadline, program, seeds)?;
            let log = fs::read(&self.log)?;
            let log = String::from_utf8_lossy(&log);
            let before = failing.len();
            for test in log.lines().filter_map(|line| line.strip_prefix("test ")) {
                let failed = test.strip_suffix(" ... FAILED");
                let endless = test.strip_suffix(" has been running for over 60 seconds");
                failing.extend(failed.or(endless.filter(|_| ending == Ending::Stopped)).map(str::to_owned));
            }
            if ending != Ending::Passed && failing.len() == before {
                failing.insert(format!("{}, which broke off", program.display()));
            }
        }
        Ok(failing)
    }

    /// Runs the tests of one program, which write to the log.
    fn run_until(&self, deadline: Instant, program: &Path, seeds: &str) -> Result<Ending> {
        let log = File::create(&self.log)?;
        let command = cmd!(self.shell, "{program}").env("REVKV_SEEDS", seeds);
        let command = command.env("REVKV_TABS_SEEDS", TABS_SEEDS).env("REVKV_TABS_MINUTES", TABS_MINUTES);
        let mut command: Command = command.into();
        let mut tests = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        while Instant::now() < deadline {
            if let Some(status) = tests.try_wait()? {
                return Ok(if status.success() { Ending::Passed } else { Ending::Failed });
            }
            sleep(Duration::from_millis(20));
        }
        tests.kill()?;
        tests.wait()?;
        Ok(Ending::Stopped)
    }
}

#[derive(PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
    /// By us, when its time was over.
    Stopped,
}

/// Removes from the copy what the checkout does not have any more.
fn remove_others(root: &Path, folder: &Path, names: &BTreeSet<&Path>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, names)?;
        } else if !names.contains(path.strip_prefix(root)?) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What became of a mistake.
enum Verdict {
    /// These tests failed, the one that the patch names among them.
    Caught(BTreeSet<String>),
    /// Others failed.
    CaughtByOthers {
        named: String,
        failing: BTreeSet<String>,
    },
    NotCaught,
    DoesNotApply,
    DoesNotCompile,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Caught(by) => write!(f, "caught by {}", join(by)),
            Verdict::CaughtByOthers { named, failing } => write!(f, "NOT CAUGHT by {named}, but by {}", join(failing)),
            Verdict::NotCaught => f.write_str("NOT CAUGHT"),
            Verdict::DoesNotApply => f.write_str("does not apply"),
            Verdict::DoesNotCompile => f.write_str("does not compile"),
        }
    }
}

fn join(tests: &BTreeSet<String>) -> String {
    tests.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What became of each mistake.
struct Report(Vec<(String, Verdict)>);

impl Report {
    fn missed(&self) -> usize {
        self.0.len() - self.caught()
    }

    fn caught(&self) -> usize {
        self.0.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Caught(_))).count()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.0 {
            writeln!(f, "{name:<48}{verdict}")?;
        }
        write!(f, "{} caught, {} missed", self.caught(), self.missed())
    }
}
