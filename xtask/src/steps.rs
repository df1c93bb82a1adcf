//! The test steps: each has a name, and can be repeated alone by it.

use anyhow::Result;
use xshell::cmd;

use crate::project::{Project, on_path};
use crate::setup::{Piece, browser, node, rust};
use crate::{advisories, build, counts, sizes};

/// One named check.
pub struct Step {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it checks, in a line.
    pub about: &'static str,
    /// What it needs from the machine.
    pub needs: &'static [&'static Piece],
    /// Whether it needs the built package, too.
    pub needs_build: bool,
    /// Whether it takes so long that it is run only when asked for by its name.
    pub when_asked: bool,
    /// The check. An error is a failure.
    pub run: fn(&Project) -> Result<Outcome>,
}

/// What a step that did not fail has to say.
pub enum Outcome {
    /// All is well.
    Passed,
    /// Nothing was checked, for this reason. Counts neither as passed nor as failed.
    NotChecked(String),
}

/// All steps, quick and telling ones first.
pub const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "Rust is formatted",
        needs: &[&rust::RUSTFMT],
        needs_build: false,
        when_asked: false,
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "no lint in Rust, on the host and for wasm",
        needs: &[&rust::CLIPPY, &rust::WASM_TARGET],
        needs_build: false,
        when_asked: false,
        run: clippy,
    },
    Step {
        name: "rust",
        about: "the Rust tests, and the examples in the docs",
        needs: &[],
        needs_build: false,
        when_asked: false,
        run: rust_tests,
    },
    Step {
        name: "sim",
        about: "storage that stops, fails and is damaged at every point",
        needs: &[],
        needs_build: false,
        when_asked: false,
        run: simulation,
    },
    Step {
        name: "wasm",
        about: "the binding's tests, in a headless browser",
        needs: &[&rust::WASM_TARGET, &rust::WASM_BINDGEN, &browser::CHROMIUM, &browser::CHROMEDRIVER],
        needs_build: false,
        when_asked: false,
        run: wasm_tests,
    },
    Step {
        name: "lint",
        about: "TypeScript is formatted and without lint",
        needs: &[&node::NODE, &node::NPM_PACKAGES],
        needs_build: false,
        when_asked: false,
        run: lint,
    },
    Step {
        name: "types",
        about: "TypeScript is well typed: package, pages and tests",
        needs: build::NEEDS,
        needs_build: true,
        when_asked: false,
        run: types,
    },
    Step {
        name: "reference",
        about: "every name that the package exports has a doc comment",
        needs: build::NEEDS,
        needs_build: true,
        when_asked: false,
        run: reference,
    },
    Step {
        name: "package",
        about: "the npm package's tests",
        needs: build::NEEDS,
        needs_build: true,
        when_asked: false,
        run: package_tests,
    },
    Step {
        name: "mirror",
        about: "a store as the mirror of a real etcd, in Node and in pages",
        needs: build::NEEDS_AND_ETCD,
        needs_build: true,
        when_asked: false,
        run: |project| mirror(project, 6, 500),
    },
    Step {
        name: "stand-in",
        about: "revkv/testing and a real etcd are asked the same, and answer the same",
        needs: build::NEEDS_AND_ETCD,
        needs_build: true,
        when_asked: false,
        run: stand_in,
    },
    Step {
        name: "etcd",
        about: "the same, with more keys and for longer, and compared by the hash of a newer etcd",
        needs: build::NEEDS_AND_ETCDS,
        needs_build: true,
        when_asked: true,
        run: |project| mirror(project, 60, 10_000),
    },
    Step {
        name: "browser",
        about: "the pages end to end, in a headless browser",
        needs: build::NEEDS_AND_BROWSER,
        needs_build: true,
        when_asked: false,
        run: browser_tests,
    },
    Step {
        name: "apps",
        about: "the packed package in small apps: Node, a plain page, esbuild, Vite, workerd",
        needs: build::NEEDS_AND_BROWSER,
        needs_build: true,
        when_asked: false,
        run: apps,
    },
    Step {
        name: "matrix",
        about: "the packed package in an app of every runtime and bundler that the README names",
        needs: build::NEEDS_AND_BROWSERS,
        needs_build: true,
        when_asked: true,
        run: matrix,
    },
    Step {
        name: "traces",
        about: "what a real etcd answered, through the npm package",
        needs: build::NEEDS_AND_BROWSER,
        needs_build: true,
        when_asked: false,
        run: traces,
    },
    Step {
        name: "deny",
        about: "dependencies: licences, sources and bans",
        needs: &[&rust::CARGO_DENY],
        needs_build: false,
        when_asked: false,
        run: deny,
    },
    Step {
        name: "advisories",
        about: "dependencies: security advisories",
        needs: &[&rust::CARGO_DENY],
        needs_build: false,
        when_asked: false,
        run: advisories::check,
    },
    Step {
        name: "sizes",
        about: "what a page loads is within its size budgets",
        needs: build::NEEDS,
        needs_build: true,
        when_asked: false,
        run: package_sizes,
    },
    Step {
        name: "counts",
        about: "no work takes more instructions than its baseline allows",
        needs: build::NEEDS,
        needs_build: true,
        when_asked: false,
        run: instructions,
    },
    Step {
        name: "tabs",
        about: "tabs that share a store, and lose whoever leads in every way, often; Firefox too",
        needs: build::NEEDS_AND_BROWSERS,
        needs_build: true,
        when_asked: true,
        run: tabs,
    },
    Step {
        name: "soak",
        about: "processes that are killed in the middle of writing, often; tabs that are simulated for days",
        needs: build::NEEDS_AND_BROWSER,
        needs_build: true,
        when_asked: true,
        run: soak,
    },
    Step {
        name: "bench",
        about: "revkv and its peers do every work of the benchmark, and answer rightly",
        needs: build::NEEDS_OF_BENCH,
        needs_build: true,
        when_asked: true,
        run: bench,
    },
];

/// How often each is killed: half of the times while it writes strict, half while it writes relaxed.
const NODE_KILLS: &str = "120";
const WORKERD_KILLS: &str = "40";
const CHROMIUM_KILLS: &str = "40";
/// Tabs are simulated for so long, with so many seeds.
const TABS_MINUTES: &str = "1440";
const TABS_SEEDS: &str = "10";

fn fmt(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "cargo fmt --all --check").run()?;
    Ok(Outcome::Passed)
}

fn clippy(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "cargo clippy --workspace --all-targets -- -D warnings").run()?;
    let wasm = ["--target", "wasm32-unknown-unknown", "--lib", "--test", "web"];
    cmd!(project.shell, "cargo clippy -p revkv {wasm...} -- -D warnings").run()?;
    Ok(Outcome::Passed)
}

fn rust_tests(project: &Project) -> Result<Outcome> {
    if on_path("cargo-nextest").is_some() {
        let all = "not binary(sim)";
        cmd!(project.shell, "cargo nextest run --workspace --no-fail-fast -E {all}").run()?;
    } else {
        let all = ["--lib", "--bins", "--benches", "--test", "it", "--test", "replication"];
        cmd!(project.shell, "cargo test --workspace --no-fail-fast {all...}").run()?;
    }
    cmd!(project.shell, "cargo test --workspace --doc").run()?;
    Ok(Outcome::Passed)
}

/// One test after the other: each takes all cores, and says how much it has seen.
fn simulation(project: &Project) -> Result<Outcome> {
    let one_by_one = ["--nocapture", "--test-threads", "1"];
    cmd!(project.shell, "cargo test -p revkv --test sim -- {one_by_one...}").run()?;
    Ok(Outcome::Passed)
}

fn wasm_tests(project: &Project) -> Result<Outcome> {
    let runner = rust::wasm_bindgen_dir(project)?.join("wasm-bindgen-test-runner");
    let test = cmd!(project.shell, "cargo test -p revkv --target wasm32-unknown-unknown --test web");
    // Seconds for all tests together; the runner's own 20 are few where two browsers share a core.
    test.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner).env("WASM_BINDGEN_TEST_TIMEOUT", "120").run()?;
    Ok(Outcome::Passed)
}

fn lint(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node_modules/.bin/biome ci --colors=off").run()?;
    Ok(Outcome::Passed)
}

fn types(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "npm run typecheck -w pkg").run()?;
    cmd!(project.shell, "node_modules/.bin/tsc --project . --noEmit").run()?;
    Ok(Outcome::Passed)
}

fn reference(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node www/reference.mjs --check").run()?;
    Ok(Outcome::Passed)
}

/// Random writers go on for so long, on so many keys.
fn mirror(project: &Project, seconds: u32, keys: u32) -> Result<Outcome> {
    let tests = cmd!(project.shell, "npm test -w pkg -- test/etcd");
    let pages = cmd!(project.shell, "node_modules/.bin/vitest run --root tests/browser etcd");
    for tests in [tests, pages] {
        tests.env("ETCD_SECONDS", seconds.to_string()).env("ETCD_KEYS", keys.to_string()).run()?;
    }
    Ok(Outcome::Passed)
}

fn stand_in(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node --import tsx tests/stand-in/main.ts").run()?;
    Ok(Outcome::Passed)
}

fn package_tests(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "npm test -w pkg").run()?;
    Ok(Outcome::Passed)
}

fn browser_tests(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node_modules/.bin/vitest run --root tests/browser").run()?;
    Ok(Outcome::Passed)
}

fn apps(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node --import tsx tests/matrix/main.ts --quick").run()?;
    Ok(Outcome::Passed)
}

fn matrix(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node --import tsx tests/matrix/main.ts").run()?;
    Ok(Outcome::Passed)
}

fn traces(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node --import tsx tests/replay/main.ts tests/traces").run()?;
    Ok(Outcome::Passed)
}

fn deny(project: &Project) -> Result<Outcome> {
    advisories::cargo_deny(project, &["check", "bans", "licenses", "sources"])?;
    Ok(Outcome::Passed)
}

fn package_sizes(project: &Project) -> Result<Outcome> {
    let sizes = sizes::measure(project)?;
    println!("{sizes}");
    sizes.check()?;
    Ok(Outcome::Passed)
}

fn instructions(project: &Project) -> Result<Outcome> {
    counts::check(project)?;
    Ok(Outcome::Passed)
}

/// The tests of killed processes that the steps `package` and `browser` have, too, with more kills, and the simulation of tabs
/// that the step `rust` has, for longer. Each prints its seed.
fn soak(project: &Project) -> Result<Outcome> {
    let tabs =
        cmd!(project.shell, "cargo test -p revkv --test replication -- --nocapture tabs_that_share_a_store_agree");
    tabs.env("REVKV_TABS_MINUTES", TABS_MINUTES).env("REVKV_TABS_SEEDS", TABS_SEEDS).run()?;
    let vitest = |kills: &str, rest: &[&str]| {
        let run = cmd!(project.shell, "node_modules/.bin/vitest run {rest...} -t killed");
        run.env("REVKV_KILLS", kills).run()
    };
    vitest(NODE_KILLS, &["--root", "pkg", "test/file.test.ts"])?;
    vitest(WORKERD_KILLS, &["--root", "pkg", "test/workerd"])?;
    vitest(CHROMIUM_KILLS, &["--root", "tests/browser", "kills.test.ts"])?;
    Ok(Outcome::Passed)
}

/// The tests of tabs that the step `browser` has a part of.
fn tabs(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "cargo test -p revkv --test replication tabs_that_share_a_store_agree").run()?;
    let run = cmd!(project.shell, "node_modules/.bin/vitest run --root tests/browser tabs");
    run.env("REVKV_TABS", "all").run()?;
    Ok(Outcome::Passed)
}

/// Not to measure: once, and with few entries.
fn bench(project: &Project) -> Result<Outcome> {
    cmd!(project.shell, "node_modules/.bin/tsc --project benches/web").run()?;
    let out = project.target.join("bench-step.json");
    let little = ["--entries", "1000", "--rounds", "1", "--updates", "1000"];
    cmd!(project.shell, "node --import tsx benches/web/main.ts {little...} --out {out}").run()?;
    Ok(Outcome::Passed)
}
