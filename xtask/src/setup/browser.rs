//! The browsers and their driver: the ones the environment names, else those on PATH, else from apt where that may be used.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use super::Piece;
use crate::project::{Project, on_path};

/// The browser of the demo and of the browser tests.
pub const CHROMIUM: Piece =
    Piece { name: "chromium", find: find_chromium, install: install_chromium, variable: Some("CHROME") };

/// What drives it for wasm-bindgen's tests.
pub const CHROMEDRIVER: Piece =
    Piece { name: "chromedriver", find: find_chromedriver, install: install_chromium, variable: Some("CHROMEDRIVER") };

/// The other browser of the matrix.
pub const FIREFOX: Piece =
    Piece { name: "firefox", find: find_firefox, install: install_firefox, variable: Some("FIREFOX") };

/// Names on PATH, then the places where macOS keeps programs.
const CHROMIUM_NAMES: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

fn find_chromium(_: &Project) -> Result<Option<String>> {
    find("CHROME", &CHROMIUM_NAMES)
}

fn find_chromedriver(_: &Project) -> Result<Option<String>> {
    find("CHROMEDRIVER", &["chromedriver", "chromium.chromedriver"])
}

fn find_firefox(_: &Project) -> Result<Option<String>> {
    find("FIREFOX", &["firefox", "firefox-esr", "/Applications/Firefox.app/Contents/MacOS/firefox"])
}

fn find(variable: &str, names: &[&str]) -> Result<Option<String>> {
    if let Ok(path) = env::var(variable) {
        ensure!(Path::new(&path).is_file(), "{variable} names {path}, and there is no such file");
        return Ok(Some(path));
    }
    // An absolute name joined to a folder of PATH stays what it is.
    Ok(names.iter().find_map(|name| on_path(name)).map(|path| path.display().to_string()))
}

fn install_chromium(project: &Project) -> Result<()> {
    let by_hand = "install Chromium and chromedriver of the same version (Debian: `apt-get install chromium \
                   chromium-driver`) and have them on PATH, or name them in the environment variables CHROME and \
                   CHROMEDRIVER";
    install_with_apt(project, &["chromium", "chromium-driver"], by_hand)
}

fn install_firefox(project: &Project) -> Result<()> {
    let by_hand = "install Firefox (Debian: `apt-get install firefox-esr`) and have it on PATH, or name it in the \
                   environment variable FIREFOX";
    install_with_apt(project, &["firefox-esr"], by_hand)
}

fn install_with_apt(project: &Project, packages: &[&str], by_hand: &'static str) -> Result<()> {
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
