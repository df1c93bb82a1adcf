//! Programs that the environment names, or that are on PATH, or else come from apt where that may be used.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::project::{Project, on_path};

/// The program that a variable names, or the first of these names that there is.
pub(super) fn find(variable: &str, names: &[&str]) -> Result<Option<String>> {
    if let Ok(path) = env::var(variable) {
        ensure!(Path::new(&path).is_file(), "{variable} names {path}, and there is no such file");
        return Ok(Some(path));
    }
    // An absolute name joined to a folder of PATH stays what it is.
    Ok(names.iter().find_map(|name| on_path(name)).map(|path| path.display().to_string()))
}

pub(super) fn install_with_apt(project: &Project, packages: &[&str], by_hand: &'static str) -> Result<()> {
    let Some((program, prefix)) = apt_get(project) else { bail!(by_hand) };
    let shell = &project.shell;
    cmd!(shell, "{program} {prefix...} update").run()?;
    cmd!(shell, "{program} {prefix...} install -y --no-install-recommends {packages...}").run().context(by_hand)
}

/// How to call apt-get as root without being asked for a password; `None` where it cannot be.
fn apt_get(project: &Project) -> Option<(&'static str, &'static [&'static str])> {
    on_path("apt-get")?;
    if cmd!(project.shell, "id -u").quiet().read().is_ok_and(|id| id == "0") {
        return Some(("apt-get", &[]));
    }
    on_path("sudo")?;
    let sudo = cmd!(project.shell, "sudo -n true").quiet().ignore_stdout().ignore_stderr();
    sudo.run().is_ok().then_some(("sudo", &["-n", "apt-get"]))
}
