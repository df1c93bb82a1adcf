//! The browsers and their driver: the ones the environment names, else those on PATH, else from apt where that may be used.

use anyhow::Result;

use super::Piece;
use super::apt::{find, install_with_apt};
use crate::project::Project;

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
