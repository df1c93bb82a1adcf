//! The rules of the source tree that a program can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;

/// Who may name whom: a room names those in rows below its own, never a sibling in its row.
const ROWS: [&[&str]; 6] =
    [&["wasm"], &["engine"], &["journal", "watch", "lease", "replica"], &["mvcc"], &["codec", "header"], &["error"]];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).expect("inside the project").display().to_string()
    }

    /// The first word below src/: a file's name without its ending, or its folder's.
    fn room(&self) -> String {
        let within = self.path.strip_prefix(root().join("src")).expect("a file of src/");
        let first = within.iter().next().expect("a file has a name").to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }

    /// Its lines without comments, and without the tests at its end, which may name what they test with.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().enumerate().map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this ending.
fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let text = fs::read_to_string(&path).expect("text");
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} file in {folder}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Fails with all of the complaints, so that one run shows them all.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

/// What code takes from the crate's root, each with its line: `mvcc` in `crate::mvcc::Store`.
fn named_from_root(source: &Source) -> Vec<(usize, String)> {
    let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
    let code = code.join("\n");
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let number = code[..at].matches('\n').count() + 1;
        let path = &code[at + "crate::".len()..];
        let paths = match path.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![path],
        };
        let first =
            |path: &str| path.trim_start().split(|letter: char| !is_of_a_name(letter)).next().map(str::to_owned);
        named.extend(paths.into_iter().filter_map(first).filter(|name| !name.is_empty()).map(|name| (number, name)));
    }
    named
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn rooms_know_only_the_rooms_below_them() {
    let mut complaints = Vec::new();
    for source in sources("src", "rs").iter().filter(|source| source.room() != "lib") {
        let room = source.room();
        let Some(own) = row(&room) else {
            complaints.push(format!("{}: give the room {room} its row in tests/it/tidy.rs", source.name()));
            continue;
        };
        for (number, named) in named_from_root(source) {
            let allowed = match row(&named) {
                Some(row) => row > own || named == room,
                // What the root exports is for those above all rooms.
                None => room == "wasm",
            };
            if !allowed {
                complaints.push(format!("{}:{number}: {room} must not name crate::{named}", source.name()));
            }
        }
    }
    none(complaints);
}

#[test]
fn the_core_has_no_clock_no_chance_and_no_javascript() {
    const FOREIGN: [&str; 6] = ["Instant", "SystemTime", "rand::", "getrandom", "HashMap", "HashSet"];
    const JAVASCRIPT: [&str; 3] = ["wasm_bindgen", "js_sys", "console_error_panic_hook"];
    let mut complaints = Vec::new();
    for source in &sources("src", "rs") {
        let words = if source.room() == "wasm" { &FOREIGN[..] } else { &[&FOREIGN[..], &JAVASCRIPT].concat() };
        for (number, line) in source.code() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{}:{number}: {word}", source.name()));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_module_says_what_it_is_for_and_fits() {
    let mut complaints = Vec::new();
    for source in &sources("src", "rs") {
        if !source.text.starts_with("//! ") {
            complaints.push(format!("{} does not open with a //! line", source.name()));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!("{} has {lines} lines, more than {LINES_MAX}", source.name()));
        }
    }
    none(complaints);
}

/// JavaScript compares codes, so each that the engine gives is a member of the package's `ErrorCode`, spelled the same.
#[test]
fn every_error_code_is_known_to_the_package() {
    let errors = fs::read_to_string(root().join("src/error.rs")).expect("src/error.rs");
    let given: BTreeSet<&str> = errors.split('"').skip(1).step_by(2).filter(|text| is_code(text)).collect();
    assert!(given.contains("COMPACTED"), "src/error.rs gives codes in quotes");
    let types = sources("pkg/src", "ts");
    let union = types.iter().find_map(|source| source.text.split("export type ErrorCode =").nth(1));
    let union = union.expect("pkg/src declares the type ErrorCode");
    let union = union.split("\n\n").next().expect("the text after the name");
    let known: BTreeSet<&str> = union.split(['\'', '"']).skip(1).step_by(2).collect();
    let missing: Vec<_> = given.difference(&known).collect();
    assert!(missing.is_empty(), "codes of src/error.rs that ErrorCode of the package does not have: {missing:?}");
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

#[test]
fn documents_name_no_place_of_one_machine() {
    const PLACES: [&str; 6] = ["/work/", "/tmp/", "/home/", "/root/", "/Users/", "C:\\"];
    let mut documents = sources("docs", "md");
    let top = fs::read_dir(root()).expect("the project's folder").map(|entry| entry.expect("readable").path());
    for path in top.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&path).expect("text");
        documents.push(Source { path, text });
    }
    let mut complaints = Vec::new();
    for document in &documents {
        for (number, line) in document.text.lines().enumerate() {
            for place in PLACES.iter().filter(|place| line.contains(**place)) {
                complaints.push(format!("{}:{}: {place}", document.name(), number + 1));
            }
        }
    }
    none(complaints);
}
