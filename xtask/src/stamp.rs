//! Remembers finished work, so that it is not done again while its inputs and outputs are as it left them.
//!
//! A stamp is a file under target/ with two hashes: of what went in (the commands' text and the files read), and
//! of what came out. The second notices outputs that something else has changed or removed since.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::project::Project;

/// A piece of work that turns files into files.
pub struct Work {
    /// Names the stamp, and the work where it is reported.
    pub name: &'static str,
    /// What is done, as text: a changed command is changed work.
    pub recipe: String,
    /// Files and folders read.
    pub inputs: Vec<PathBuf>,
    /// Files and folders written.
    pub outputs: Vec<PathBuf>,
}

impl Work {
    /// Does the work, unless it would do again what is there already.
    pub fn once(&self, project: &Project, work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.is_done(project)? {
            println!("{}: unchanged", self.name);
            return Ok(());
        }
        // Hashed before the work: what changes meanwhile is taken up by the next run.
        let inputs = self.hash_inputs()?;
        work()?;
        self.write_stamp(project, inputs)
    }

    /// Whether the last run of this work left what is there now.
    pub fn is_done(&self, project: &Project) -> Result<bool> {
        let Ok(stamp) = fs::read_to_string(self.stamp(project)) else { return Ok(false) };
        let inputs = self.hash_inputs()?;
        // Outputs that cannot be read are outputs that are not there.
        Ok(hash("", &self.outputs).is_ok_and(|outputs| stamp == marks(inputs, outputs)))
    }

    fn write_stamp(&self, project: &Project, inputs: u64) -> Result<()> {
        let marks = marks(inputs, hash("", &self.outputs)?);
        Ok(project.shell.write_file(self.stamp(project), marks)?)
    }

    fn hash_inputs(&self) -> Result<u64> {
        hash(&self.recipe, &self.inputs)
    }

    fn stamp(&self, project: &Project) -> PathBuf {
        project.target.join("xtask").join(self.name.replace(' ', "-")).with_extension("stamp")
    }
}

fn marks(inputs: u64, outputs: u64) -> String {
    format!("{inputs:016x} {outputs:016x}\n")
}

fn hash(recipe: &str, paths: &[PathBuf]) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    for path in paths {
        hash_tree(path, &mut hasher).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(hasher.finish())
}

fn hash_tree(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    path.hash(hasher);
    if path.is_dir() {
        let mut children = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        children.sort();
        return children.iter().try_for_each(|child| hash_tree(child, hasher));
    }
    fs::read(path)?.hash(hasher);
    Ok(())
}

#[cfg(test)]
mod tests {
    use xshell::Shell;

    use super::*;

    #[test]
    fn work_is_done_again_when_a_file_that_it_read_or_wrote_has_changed() {
        let shell = Shell::new().unwrap();
        let dir = shell.create_temp_dir().unwrap();
        let root = dir.path().to_path_buf();
        let (input, output) = (root.join("in/source"), root.join("out"));
        let work = |recipe: &str| Work {
            name: "copy",
            recipe: recipe.to_string(),
            inputs: vec![root.join("in")],
            outputs: vec![output.clone()],
        };
        let project = Project { shell: Shell::new().unwrap(), target: root.join("target"), root: root.clone() };
        let runs = |work: Work| {
            let mut ran = false;
            let copy = || {
                ran = true;
                Ok(project.shell.write_file(&output, "built")?)
            };
            work.once(&project, copy).unwrap();
            ran
        };

        shell.write_file(&input, "one").unwrap();
        assert!(runs(work("copy")), "never done before");
        assert!(!runs(work("copy")), "nothing has changed");
        shell.write_file(&input, "two").unwrap();
        assert!(runs(work("copy")), "an input has changed");
        shell.write_file(root.join("in/another"), "").unwrap();
        assert!(runs(work("copy")), "there is one input more");
        shell.write_file(&output, "edited").unwrap();
        assert!(runs(work("copy")), "an output has changed");
        shell.remove_path(&output).unwrap();
        assert!(runs(work("copy")), "an output is gone");
        assert!(runs(work("copy --all")), "the command has changed");
        assert!(!runs(work("copy --all")), "nothing has changed again");
    }
}
