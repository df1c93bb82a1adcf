//! Where the project and its tools are, and how a script of it is run.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// The checkout that the commands work on.
pub struct Project {
    /// Runs commands from the root of the checkout; what set-up finds is in its environment.
    pub shell: Shell,
    /// The root of the checkout.
    pub root: PathBuf,
    /// Cargo's target folder, which also holds the installed tools and the stamps.
    pub target: PathBuf,
}

impl Project {
    /// Opens the checkout that this program is run from.
    pub fn open() -> Result<Project> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&manifest_dir).parent().context("xtask/ lies in no project")?.to_path_buf();
        let target = root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        let shell = Shell::new()?;
        shell.change_dir(&root);
        // No command may wait for an answer.
        shell.set_var("GIT_TERMINAL_PROMPT", "0");
        shell.set_var("DEBIAN_FRONTEND", "noninteractive");
        if !stdout().is_terminal() {
            shell.set_var("NO_COLOR", "1");
        }
        Ok(Project { shell, root, target })
    }

    /// Where `cargo install` puts the tools of this project.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The version of a dependency that Cargo.lock pins.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let id = cmd!(self.shell, "cargo pkgid {package}").quiet().read().context("no version in Cargo.lock")?;
        let (_, version) = id.rsplit_once(['@', '#']).with_context(|| format!("no version in `{id}`"))?;
        Ok(version.to_string())
    }

    /// Turns this process into a TypeScript program, so that signals and the exit code are the program's own.
    pub fn become_script(&self, script: &str, arguments: Vec<OsString>) -> Result<ExitCode> {
        let node = cmd!(self.shell, "node --import tsx {script} {arguments...}");
        println!("$ {node}");
        replace_process(node.into()).with_context(|| format!("{script} could not be run"))
    }
}

/// Looks a program up as a shell would.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Where cargo keeps what it has downloaded.
pub fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(dir) => Ok(dir.into()),
        None => Ok(env::home_dir().context("there is no home folder")?.join(".cargo")),
    }
}

#[cfg(unix)]
fn replace_process(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn replace_process(mut command: Command) -> Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
