//! Security advisories about the dependencies.
//!
//! cargo-deny keeps the advisory database as a git clone in a folder of its own and fetches it at each check. A
//! machine that cannot fetch it can be given one (`REVKV_ADVISORY_DB`), or may have a clone from earlier. With
//! neither, nothing is known about advisories, and that is said rather than passed.

use std::env;
use std::path::{Path, absolute};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::project::{Project, cargo_home};
use crate::setup::rust::tool;
use crate::steps::Outcome;

/// The variable that names a database: a folder, or a .tar.gz of one.
pub const VARIABLE: &str = "REVKV_ADVISORY_DB";

/// The folder's name follows from the database's address (https://github.com/RustSec/advisory-db).
const FOLDER: &str = "advisory-db-3157b0e258782691";

/// Marks a database that was supplied and may be replaced, unlike a clone that cargo-deny made.
const SUPPLIED: &str = ".git/supplied-by-revkv";

/// Checks the dependencies against the freshest database that can be had.
pub fn check(project: &Project) -> Result<Outcome> {
    let database = cargo_home()?.join("advisory-dbs").join(FOLDER);
    let source = env::var_os(VARIABLE).filter(|source| !source.is_empty());
    if let Some(source) = &source {
        supply(project, &absolute(source)?, &database)
            .with_context(|| format!("{VARIABLE} names no usable database"))?;
    }
    if source.is_none() && cargo_deny(project, &["fetch", "db"]).is_ok() {
        cargo_deny(project, &["check", "advisories"])?;
    } else if database.join(".git/FETCH_HEAD").is_file() {
        println!("the advisory database is the one in {}, not fetched now", database.display());
        cargo_deny(project, &["--offline", "check", "advisories"])?;
    } else {
        return Ok(Outcome::NotChecked(format!(
            "no advisory database: it cannot be fetched, and {VARIABLE} is not set"
        )));
    }
    Ok(Outcome::Passed)
}

/// Runs cargo-deny on the whole workspace.
pub fn cargo_deny(project: &Project, arguments: &[&str]) -> Result<()> {
    let cargo_deny = tool(project, "cargo-deny").context("cargo-deny is not installed")?;
    Ok(cmd!(project.shell, "{cargo_deny} {arguments...}").run()?)
}

/// Puts the supplied database where cargo-deny looks, in the form it expects: a git repository with a commit.
fn supply(project: &Project, source: &Path, database: &Path) -> Result<()> {
    ensure!(source.exists(), "there is no {}", source.display());
    if database.join(".git").exists() && !database.join(SUPPLIED).exists() {
        println!("there is a clone in {}: {VARIABLE} is not used", database.display());
        return Ok(());
    }
    let shell = &project.shell;
    shell.remove_path(database)?;
    shell.create_dir(database)?;
    unpack(project, source, database)?;
    ensure!(database.join("crates").is_dir(), "{} has no crates/ in it", source.display());

    let author = ["-c", "user.name=revkv", "-c", "user.email=revkv@localhost", "-c", "commit.gpgsign=false"];
    cmd!(shell, "git -C {database} init --quiet").run()?;
    shell.write_file(database.join(SUPPLIED), "")?;
    cmd!(shell, "git -C {database} add --all --force").run()?;
    cmd!(shell, "git -C {database} {author...} commit --quiet --message supplied").run()?;
    // cargo-deny reads the database's age from this file; the supplier answers for it.
    shell.write_file(database.join(".git/FETCH_HEAD"), "")?;
    Ok(())
}

/// Fills the folder from an archive that has it at its root, or from another folder.
fn unpack(project: &Project, source: &Path, database: &Path) -> Result<()> {
    let shell = &project.shell;
    if source.is_file() {
        let parent = database.parent().context("the database lies in no folder")?;
        let _inside = shell.push_dir(parent);
        return Ok(cmd!(shell, "tar -xzf {source}").run()?);
    }
    for name in ["crates", "support.toml"] {
        let from = source.join(name);
        cmd!(shell, "cp -R {from} {database}").run()?;
    }
    Ok(())
}
