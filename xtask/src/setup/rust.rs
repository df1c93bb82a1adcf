//! The Rust side of set-up: target, components, and the tools that `cargo install` builds.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::cmd;

use super::Piece;
use crate::project::Project;

/// The standard library for wasm.
pub const WASM_TARGET: Piece =
    Piece { name: "wasm target", find: find_wasm_target, install: add_wasm_target, variable: None };

/// The formatter.
pub const RUSTFMT: Piece = Piece {
    name: "rustfmt",
    find: |project| Ok(version(project, Path::new("cargo-fmt"))),
    install: |project| add_component(project, "rustfmt"),
    variable: None,
};

/// The linter.
pub const CLIPPY: Piece = Piece {
    name: "clippy",
    find: |project| Ok(version(project, Path::new("cargo-clippy"))),
    install: |project| add_component(project, "clippy"),
    variable: None,
};

/// The wasm-bindgen CLI and test runner, of the very version that Cargo.lock pins: any other refuses the wasm.
pub const WASM_BINDGEN: Piece =
    Piece { name: "wasm-bindgen", find: find_wasm_bindgen, install: install_wasm_bindgen, variable: None };

/// The judge of dependencies.
pub const CARGO_DENY: Piece =
    Piece { name: "cargo-deny", find: find_cargo_deny, install: install_cargo_deny, variable: None };

/// The driver of libFuzzer.
pub const CARGO_FUZZ: Piece =
    Piece { name: "cargo-fuzz", find: find_cargo_fuzz, install: install_cargo_fuzz, variable: None };

/// The cargo-fuzz that is installed where none is found.
const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// The cargo-deny that is installed where none is found. (Any version on PATH is taken.)
const CARGO_DENY_VERSION: &str = "0.20.2";

/// The path of a tool that `cargo install` built for this project, or else of one on PATH.
pub fn tool(project: &Project, name: &str) -> Option<PathBuf> {
    tool_dirs(project).into_iter().map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The folder with the wasm-bindgen tools of the pinned version.
pub fn wasm_bindgen_dir(project: &Project) -> Result<PathBuf> {
    let pinned = format!("wasm-bindgen {}", project.locked_version("wasm-bindgen")?);
    let fits = |dir: &PathBuf| {
        let command = dir.join("wasm-bindgen");
        dir.join("wasm-bindgen-test-runner").is_file() && version(project, &command).as_ref() == Some(&pinned)
    };
    tool_dirs(project).into_iter().find(fits).with_context(|| format!("{pinned} is not installed"))
}

fn tool_dirs(project: &Project) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs = vec![project.tools().join("bin")];
    dirs.extend(env::split_paths(&path));
    dirs
}

fn version(project: &Project, command: &Path) -> Option<String> {
    cmd!(project.shell, "{command} --version").quiet().ignore_stderr().read().ok()
}

fn find_wasm_target(project: &Project) -> Result<Option<String>> {
    // Asked of rustc, not of rustup: distributions ship Rust without rustup.
    let query = cmd!(project.shell, "rustc --print target-libdir --target wasm32-unknown-unknown");
    let libraries = query.quiet().read()?;
    Ok(Path::new(&libraries).is_dir().then(|| "wasm32-unknown-unknown".to_string()))
}

fn add_wasm_target(project: &Project) -> Result<()> {
    Ok(cmd!(project.shell, "rustup target add wasm32-unknown-unknown").run()?)
}

fn add_component(project: &Project, component: &str) -> Result<()> {
    Ok(cmd!(project.shell, "rustup component add {component}").run()?)
}

fn find_wasm_bindgen(project: &Project) -> Result<Option<String>> {
    Ok(wasm_bindgen_dir(project).ok().map(|dir| dir.display().to_string()))
}

fn install_wasm_bindgen(project: &Project) -> Result<()> {
    cargo_install(project, "wasm-bindgen-cli", &project.locked_version("wasm-bindgen")?)
}

fn find_cargo_deny(project: &Project) -> Result<Option<String>> {
    Ok(tool(project, "cargo-deny").and_then(|command| version(project, &command)))
}

fn install_cargo_deny(project: &Project) -> Result<()> {
    cargo_install(project, "cargo-deny", CARGO_DENY_VERSION)
}

fn find_cargo_fuzz(project: &Project) -> Result<Option<String>> {
    Ok(tool(project, "cargo-fuzz").and_then(|command| version(project, &command)))
}

fn install_cargo_fuzz(project: &Project) -> Result<()> {
    cargo_install(project, "cargo-fuzz", CARGO_FUZZ_VERSION)
}

/// Builds a tool into target/tools. Unoptimised: these build in less than half the time and still answer at once.
fn cargo_install(project: &Project, package: &str, version: &str) -> Result<()> {
    println!("{package}: this builds a program, which takes a minute or two, once");
    let tools = project.tools();
    let install = cmd!(project.shell, "cargo install {package} --version {version} --locked --debug --root {tools}");
    Ok(install.env("CARGO_PROFILE_DEV_DEBUG", "0").run()?)
}
