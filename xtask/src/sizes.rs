//! What a page downloads to use the package, and what it may cost.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzEncoder;

use crate::project::Project;

/// What is loaded together, and how many bytes of it, each file compressed by itself, are allowed.
struct Budget {
    name: &'static str,
    /// Files of pkg/dist; what they import at once belongs to them.
    entries: &'static [&'static str],
    /// What is there already, and is not counted again.
    beside: &'static [&'static str],
    gz_bytes_max: u64,
    /// Whether it may be missing: it is on its way.
    optional: bool,
}

const CORE: &str = "index.js";
const INDEXEDDB: &str = "storage/indexeddb.js";
const WASM: &str = "revkv.wasm";

/// Where a budget is above its goal, it is where the package is now, so that it does not grow unnoticed.
const BUDGETS: &[Budget] = &[
    // The goal is 12,000.
    Budget { name: "core", entries: &[CORE], beside: &[], gz_bytes_max: 36_500, optional: false },
    Budget { name: "indexeddb", entries: &[INDEXEDDB], beside: &[CORE], gz_bytes_max: 5_000, optional: false },
    Budget { name: "react", entries: &["react.js"], beside: &[CORE], gz_bytes_max: 1_500, optional: true },
    // The goal is 45,000.
    Budget { name: "wasm", entries: &[WASM], beside: &[], gz_bytes_max: 136_500, optional: false },
    // The goal is 64,000.
    Budget { name: "a page", entries: &[CORE, INDEXEDDB, WASM], beside: &[], gz_bytes_max: 176_000, optional: false },
];

/// What each budget is for, as it was built.
pub struct Sizes(Vec<Size>);

struct Size {
    budget: &'static Budget,
    files: usize,
    bytes: u64,
    gz_bytes: u64,
}

/// Measures the built package.
pub fn measure(project: &Project) -> Result<Sizes> {
    let dist = project.root.join("pkg/dist");
    let there = |budget: &&Budget| !budget.optional || budget.entries.iter().all(|entry| dist.join(entry).is_file());
    let sizes = BUDGETS.iter().filter(there).map(|budget| size(&dist, budget)).collect::<Result<_>>();
    Ok(Sizes(sizes.context("the package is not built")?))
}

fn size(dist: &Path, budget: &'static Budget) -> Result<Size> {
    let beside = loaded(dist, budget.beside)?;
    let mut size = Size { budget, files: 0, bytes: 0, gz_bytes: 0 };
    for file in loaded(dist, budget.entries)?.difference(&beside) {
        let content = fs::read(file)?;
        size.files += 1;
        size.bytes += content.len() as u64;
        size.gz_bytes += gz_bytes(&content)?;
    }
    Ok(size)
}

/// The files that are loaded when these are: they, and what they import at once. What is imported when it is needed is
/// not among them.
fn loaded(dist: &Path, entries: &[&str]) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut next: Vec<PathBuf> = entries.iter().map(|entry| dist.join(entry)).collect();
    while let Some(file) = next.pop() {
        let file = fs::canonicalize(&file).with_context(|| format!("there is no {}", file.display()))?;
        if found.contains(&file) {
            continue;
        }
        if file.extension().is_some_and(|extension| extension == "js") {
            let folder = file.parent().context("a file lies in a folder")?;
            next.extend(imports(&fs::read_to_string(&file)?).map(|path| folder.join(path)));
        }
        found.insert(file);
    }
    Ok(found)
}

/// The neighbours that a module imports at once, as the bundler writes it: `from"./a.js"` and `import"./a.js"`.
fn imports(module: &str) -> impl Iterator<Item = &str> {
    let quoted = ["from\"", "import\""].into_iter().flat_map(|word| module.split(word).skip(1));
    let paths = quoted.filter_map(|rest| rest.split('"').next());
    paths.filter(|path| path.starts_with('.') && path.ends_with(".js"))
}

fn gz_bytes(bytes: &[u8]) -> Result<u64> {
    Ok(std::io::copy(&mut GzEncoder::new(bytes, Compression::best()), &mut std::io::sink())?)
}

impl Sizes {
    /// Fails where the package has grown over a budget.
    pub fn check(&self) -> Result<()> {
        for Size { budget: Budget { name, gz_bytes_max, .. }, gz_bytes, .. } in &self.0 {
            ensure!(gz_bytes <= gz_bytes_max, "{name} is {gz_bytes} bytes after gzip, and {gz_bytes_max} are allowed");
        }
        Ok(())
    }
}

impl Display for Sizes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} {:>6} {:>9} {:>9} {:>9}", "loaded", "files", "bytes", "gzip", "allowed")?;
        for Size { budget, files, bytes, gz_bytes } in &self.0 {
            let Budget { name, gz_bytes_max, .. } = budget;
            write!(f, "\n{name:<12} {files:>6} {bytes:>9} {gz_bytes:>9} {gz_bytes_max:>9}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use xshell::Shell;

    use super::*;

    #[test]
    fn what_a_module_imports_at_once_is_loaded_with_it_once() {
        let shell = Shell::new().unwrap();
        let folder = shell.create_temp_dir().unwrap();
        let dist = fs::canonicalize(folder.path()).unwrap();
        let files = [
            ("index.js", r#"import{a as b}from"./chunk-A.js";import"./chunk-B.js";b("from","./no.js")"#),
            ("chunk-A.js", r#"import"./chunk-B.js";export const a=()=>import("./inlined.js")"#),
            ("chunk-B.js", r#"export{b}from"./chunk-A.js""#),
            ("storage/indexeddb.js", r#"import{b}from"../chunk-B.js";import{c}from"../chunk-C.js""#),
            ("chunk-C.js", ""),
            ("inlined.js", ""),
            ("revkv.wasm", "\0asm"),
        ];
        for (name, content) in files {
            shell.write_file(dist.join(name), content).unwrap();
        }
        let names = |entries: &[&str]| -> Vec<String> {
            let found = loaded(&dist, entries).unwrap();
            found.iter().map(|file| file.strip_prefix(&dist).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(&["index.js"]), ["chunk-A.js", "chunk-B.js", "index.js"]);
        assert_eq!(names(&["revkv.wasm"]), ["revkv.wasm"]);

        let files = |name: &str| {
            let budget = BUDGETS.iter().find(|budget| budget.name == name).unwrap();
            size(&dist, budget).unwrap().files
        };
        assert_eq!([files("core"), files("indexeddb"), files("a page")], [3, 2, 6]);
    }

    #[test]
    fn a_package_over_its_budget_is_refused() {
        for budget in BUDGETS {
            let is_accepted = |gz_bytes| Sizes(vec![Size { budget, files: 1, bytes: 0, gz_bytes }]).check().is_ok();
            assert!(is_accepted(budget.gz_bytes_max), "{}", budget.name);
            assert!(!is_accepted(budget.gz_bytes_max + 1), "{}", budget.name);
        }
    }
}
