//! The counts that are kept: what a work may take.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::works::Count;

/// More than this is told of no change that was not meant: another place in a tree, a page of memory more.
const GROWTH_MAX_PERCENT: u64 = 5;

/// How it is made anew; the file says so, and so does what fails.
const ANEW: &str = "cargo xtask bench counts --write-baseline";

/// One line for each work: the instructions, a blank, its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Baseline(BTreeMap<String, u64>);

impl Baseline {
    pub fn of(counts: &[Count]) -> Self {
        Self(counts.iter().map(|count| (count.work.to_string(), count.instructions)).collect())
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        Self::parse(&text).with_context(|| format!("{} is no baseline", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let entries = lines.map(|line| {
            let (instructions, work) = line.trim().split_once(' ').with_context(|| format!("`{line}`"))?;
            Ok((work.to_string(), instructions.parse().with_context(|| format!("`{line}`"))?))
        });
        entries.collect::<Result<_>>().map(Self)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, self.text())?)
    }

    fn text(&self) -> String {
        let mut text = format!("# Instructions of the built wasm for each work. Made by `{ANEW}`.\n");
        for (work, instructions) in &self.0 {
            let _ = writeln!(text, "{instructions:>9} {work}");
        }
        text
    }

    /// The counts beside those that are kept.
    pub fn table(&self, counts: &[Count]) -> String {
        let mut table = format!("{:<45} {:>12} {:>12} {:>8}", "work", "instructions", "baseline", "");
        for Count { work, instructions } in counts {
            let _ = write!(table, "\n{work:<45} {instructions:>12}");
            if let Some(before) = self.0.get(*work) {
                let percent = (*instructions as f64 / *before as f64 - 1.0) * 100.0;
                let _ = write!(table, " {before:>12} {percent:>+7.1}%");
            }
        }
        table
    }

    /// Why these counts may not be: one has grown, or it is not known what one may be.
    pub fn faults(&self, counts: &[Count]) -> Vec<String> {
        let mut faults = Vec::new();
        for Count { work, instructions } in counts {
            match self.0.get(*work) {
                None => faults.push(format!("{work}: has no baseline; if it is new: {ANEW}")),
                Some(before) if instructions * 100 > before * (100 + GROWTH_MAX_PERCENT) => faults.push(format!(
                    "{work}: takes {instructions} instructions, {GROWTH_MAX_PERCENT} % more than {before} are allowed. \
                     If what it does now is worth it, commit with it a baseline made by `{ANEW}`."
                )),
                Some(_) => {}
            }
        }
        let is_counted = |work: &str| counts.iter().any(|count| count.work == work);
        let gone = self.0.keys().filter(|work| !is_counted(work));
        faults.extend(gone.map(|work| format!("{work}: is counted no more; if that is meant: {ANEW}")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "get";

    fn counts(instructions: u64) -> [Count; 1] {
        [Count { work: GET, instructions }]
    }

    #[test]
    fn what_is_written_is_read() {
        let baseline = Baseline::of(&[Count { work: "get, any", instructions: 7 }, counts(123_456)[0]]);
        assert_eq!(Baseline::parse(&baseline.text()).unwrap(), baseline);
        assert!(Baseline::parse("get\n").is_err());
    }

    #[test]
    fn five_percent_more_is_the_most() {
        let baseline = Baseline::of(&counts(1_000));
        for (instructions, faults) in [(1, 0), (1_000, 0), (1_050, 0), (1_051, 1), (9_000, 1)] {
            assert_eq!(baseline.faults(&counts(instructions)).len(), faults, "{instructions}");
        }
    }

    #[test]
    fn a_work_that_comes_or_goes_is_told() {
        assert_eq!(Baseline::default().faults(&counts(1)).len(), 1);
        assert_eq!(Baseline::of(&counts(1)).faults(&[]).len(), 1);
    }
}
