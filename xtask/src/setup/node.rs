//! Node and the npm packages.

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use super::Piece;
use crate::project::{Project, on_path};
use crate::stamp::Work;

/// The runtime of the package's tools and tests.
pub const NODE: Piece = Piece { name: "node", find: find_node, install: explain_node, variable: None };

/// The packages of package-lock.json, in node_modules/.
pub const NPM_PACKAGES: Piece =
    Piece { name: "npm packages", find: find_packages, install: install_packages, variable: None };

/// What the package is measured beside: packages of their own, so that nothing else needs them.
pub const PEERS: Piece = Piece { name: "peers", find: find_peers, install: install_peers, variable: None };

/// Major and minor: the first Node 20 that has all the tests use; package.json says the same.
const NODE_MIN: (u32, u32) = (20, 19);

fn find_node(project: &Project) -> Result<Option<String>> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        return Ok(None);
    }
    let version = cmd!(project.shell, "node --version").quiet().read()?;
    let (major, minor) = NODE_MIN;
    ensure!(parse(&version)? >= NODE_MIN, "node {major}.{minor} or newer is needed, and this is {version}");
    Ok(Some(version))
}

/// `v20.19.4` -> (20, 19)
fn parse(version: &str) -> Result<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("`{version}` is no version of node"),
    }
}

fn explain_node(_: &Project) -> Result<()> {
    let (major, minor) = NODE_MIN;
    bail!(
        "install Node {major}.{minor} or newer together with npm (https://nodejs.org), so that `node` and `npm` are on PATH"
    )
}

fn packages(project: &Project) -> Work {
    Work {
        name: "npm packages",
        recipe: "npm ci --ignore-scripts".to_string(),
        inputs: vec![project.root.join("package-lock.json")],
        // npm's own record of what it installed, written last.
        outputs: vec![project.root.join("node_modules/.package-lock.json")],
    }
}

fn peers(project: &Project) -> Work {
    let folder = project.root.join("benches/web");
    Work {
        name: "peers",
        recipe: "npm ci --ignore-scripts".to_string(),
        inputs: vec![folder.join("package-lock.json")],
        outputs: vec![folder.join("node_modules/.package-lock.json")],
    }
}

fn find_peers(project: &Project) -> Result<Option<String>> {
    Ok(peers(project).is_done(project)?.then(|| "as in benches/web/package-lock.json".to_string()))
}

fn install_peers(project: &Project) -> Result<()> {
    peers(project).once(project, || {
        let _folder = project.shell.push_dir("benches/web");
        let install = cmd!(project.shell, "npm ci --ignore-scripts --no-audit --no-fund");
        install.run().context("the packages of benches/web/package-lock.json could not be installed")
    })
}

fn find_packages(project: &Project) -> Result<Option<String>> {
    Ok(packages(project).is_done(project)?.then(|| "as in package-lock.json".to_string()))
}

fn install_packages(project: &Project) -> Result<()> {
    packages(project).once(project, || {
        let install = cmd!(project.shell, "npm ci --ignore-scripts --no-audit --no-fund");
        install.run().context("the packages of package-lock.json could not be installed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_node_is_read() {
        for (text, version) in [("v20.19.4", (20, 19)), ("v24.0.0-rc.1", (24, 0))] {
            assert_eq!(parse(text).unwrap(), version, "{text}");
        }
        for text in ["", "v", "v20", "node"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
