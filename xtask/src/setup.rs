//! What a machine needs: each piece is looked for first, and installed where it is missing.

mod apt;
pub mod browser;
pub mod etcd;
pub mod node;
pub mod rust;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::project::Project;

/// One thing that the commands need from the machine.
pub struct Piece {
    /// How set-up speaks of it.
    pub name: &'static str,
    /// Looks for it: what was found, in a word (a version or a path).
    pub find: fn(&Project) -> Result<Option<String>>,
    /// Installs it, or says how to get it.
    pub install: fn(&Project) -> Result<()>,
    /// The environment variable that tells scripts where it is.
    pub variable: Option<&'static str>,
}

impl Piece {
    /// Makes sure that the piece is there, and says what was done for it.
    pub fn ensure(&self, project: &Project) -> Result<()> {
        let name = self.name;
        let found = match (self.find)(project).with_context(|| format!("{name}: what is there cannot be used"))? {
            Some(found) => {
                println!("{name}: there ({found})");
                found
            }
            None => self.add(project).with_context(|| format!("{name}: missing"))?,
        };
        if let Some(variable) = self.variable {
            project.shell.set_var(variable, found);
        }
        Ok(())
    }

    fn add(&self, project: &Project) -> Result<String> {
        let name = self.name;
        println!("{name}: missing, to be installed");
        let start = Instant::now();
        (self.install)(project)?;
        let found = (self.find)(project)?.context("it was installed, but is still not found")?;
        println!("{name}: installed in {:.1} s ({found})", start.elapsed().as_secs_f64());
        Ok(found)
    }
}

/// Makes sure that all the pieces are there; ends at the first that cannot be had.
pub fn ensure_all(project: &Project, pieces: &[&Piece]) -> Result<()> {
    pieces.iter().try_for_each(|piece| piece.ensure(project))
}
