//! The build chain: engine -> wasm -> bindings -> package -> pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::project::{Project, cargo_home};
use crate::setup::{Piece, browser, ensure_all, etcd, node, rust};
use crate::stamp::Work;

/// What the chain needs from the machine.
pub const NEEDS: &[&Piece] = &[&rust::WASM_TARGET, &rust::WASM_BINDGEN, &node::NODE, &node::NPM_PACKAGES];

/// What the chain needs, and a browser for what it built.
pub const NEEDS_AND_BROWSER: &[&Piece] =
    &[&browser::CHROMIUM, &rust::WASM_TARGET, &rust::WASM_BINDGEN, &node::NODE, &node::NPM_PACKAGES];

/// What the chain needs, and a cluster for what it built.
pub const NEEDS_AND_ETCD: &[&Piece] =
    &[&etcd::ETCD, &browser::CHROMIUM, &rust::WASM_TARGET, &rust::WASM_BINDGEN, &node::NODE, &node::NPM_PACKAGES];

/// The same, and one whose gateway lends its hash.
pub const NEEDS_AND_ETCDS: &[&Piece] = &[
    &etcd::ETCD,
    &etcd::ETCD_WITH_HASH,
    &browser::CHROMIUM,
    &rust::WASM_TARGET,
    &rust::WASM_BINDGEN,
    &node::NODE,
    &node::NPM_PACKAGES,
];

/// What the chain needs, and every browser that what it built is tried in.
pub const NEEDS_AND_BROWSERS: &[&Piece] =
    &[&browser::CHROMIUM, &browser::FIREFOX, &rust::WASM_TARGET, &rust::WASM_BINDGEN, &node::NODE, &node::NPM_PACKAGES];
/// The same, and those that the package is measured beside.
pub const NEEDS_OF_BENCH: &[&Piece] =
    &[&browser::CHROMIUM, &rust::WASM_TARGET, &rust::WASM_BINDGEN, &node::NODE, &node::NPM_PACKAGES, &node::PEERS];

/// A twelfth off the size after gzip. In Node, reads, lists and puts were within the noise of what they took with the
/// compiler's usual 225, at most 8 % slower.
const INLINE_LESS: &str = "-Cllvm-args=-inline-threshold=25";

/// The features that rustc enables for wasm32 without being asked, which wasm-opt has to be told.
const WASM_OPT_FLAGS: &[&str] = &[
    "-O3",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// The command: set-up, then the chain.
pub fn run(project: &Project) -> Result<ExitCode> {
    ensure_all(project, NEEDS)?;
    build(project)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds everything that is served or published. What has not changed is not built again.
pub fn build(project: &Project) -> Result<()> {
    engine(project).context("the engine does not compile for wasm")?;
    bindings(project).context("the bindings could not be generated")?;
    package(project).context("the npm package does not build")?;
    pages(project).context("the pages do not build")?;
    Ok(())
}

fn engine(project: &Project) -> Result<()> {
    // Panic messages name source files: by the same names on every machine, so that the same source is the same wasm.
    let (cargo_home, root) = (cargo_home()?, &project.root);
    let remap = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    let flags = [remap(&cargo_home, "/cargo"), remap(root, "/revkv"), INLINE_LESS.to_string()].join("\x1f");
    let build = cmd!(project.shell, "cargo build --release --target wasm32-unknown-unknown --lib -p revkv");
    Ok(build.env("CARGO_ENCODED_RUSTFLAGS", flags).run()?)
}

fn bindings(project: &Project) -> Result<()> {
    let wasm = project.target.join("wasm32-unknown-unknown/release/revkv.wasm");
    let out = project.root.join("pkg/wasm");
    let bindgen = rust::wasm_bindgen_dir(project)?.join("wasm-bindgen");
    let flags = ["--target", "web", "--omit-default-module-path", "--out-name", "revkv", "--out-dir"];
    let work = Work {
        name: "bindings",
        recipe: format!("{} {flags:?} {WASM_OPT_FLAGS:?} {MADE}", bindgen.display()),
        inputs: vec![wasm.clone(), project.root.join("package-lock.json")],
        outputs: vec![out.clone()],
    };
    work.once(project, || {
        cmd!(project.shell, "{bindgen} {flags...} {out} {wasm}").run()?;
        let (glue, types) = (out.join("revkv.js"), out.join("revkv.d.ts"));
        fs::write(&glue, instantiable(&fs::read_to_string(&glue)?)?)?;
        fs::write(&types, types_of_instantiable(&fs::read_to_string(&types)?)?)?;
        let generated = out.join("revkv_bg.wasm");
        Ok(cmd!(project.shell, "node_modules/.bin/wasm-opt {WASM_OPT_FLAGS...} {generated} -o {generated}").run()?)
    })
}

/// How generated code makes its instance, as a function.
const MADE: &str = "\
const instance = new WebAssembly.Instance(module, __wbg_get_imports());
return { Engine, memory: __wbg_finalize_init(instance, module).memory };";

/// Generated code keeps one instance in variables of its module. As a function it makes one with each call: so a store has
/// a memory of its own, which goes with it, and an engine that has stopped can be replaced.
fn instantiable(glue: &str) -> Result<String> {
    let body = glue.trim_end().strip_suffix("export { initSync, __wbg_init as default };");
    let body =
        body.context("the generated code does not end as it did")?.replace("export class Engine", "class Engine");
    ensure!(!body.contains("\nexport ") && !body.contains("\nimport "), "the generated code exports or imports more");
    // Its own ways of loading come last. They compile as well, and take a module of another realm for none.
    let (body, _) = body.split_once("async function __wbg_load(").context("the generated code loads in another way")?;
    Ok(format!("export function instantiate(module) {{\n{body}\n{MADE}\n}}\n"))
}

fn types_of_instantiable(types: &str) -> Result<String> {
    let (class, _) = types.split_once("export type InitInput").context("the generated types are not as they were")?;
    let made = "{ Engine: typeof Engine; memory: WebAssembly.Memory }";
    let class = class.replace("export class Engine", "declare class Engine");
    Ok(format!("{class}export type {{ Engine }};\nexport function instantiate(module: WebAssembly.Module): {made};\n"))
}

fn package(project: &Project) -> Result<()> {
    let work = Work {
        name: "package",
        recipe: "npm run build -w pkg".to_string(),
        inputs: sources(project, "pkg", &["dist", "node_modules", "test"])?,
        outputs: vec![project.root.join("pkg/dist")],
    };
    work.once(project, || Ok(cmd!(project.shell, "npm run build -w pkg").run()?))
}

fn pages(project: &Project) -> Result<()> {
    let work = Work {
        name: "pages",
        recipe: "node www/build.mjs".to_string(),
        inputs: [sources(project, "www", &["dist", "node_modules"])?, vec![project.root.join("benches/results")]]
            .concat(),
        outputs: ["playground.js", "quickstart.js", "benchmarks.js"]
            .map(|script| project.root.join("www/dist").join(script))
            .into(),
    };
    work.once(project, || Ok(cmd!(project.shell, "node www/build.mjs").run()?))?;
    let reference = Work {
        name: "reference",
        recipe: "node www/reference.mjs".to_string(),
        inputs: [
            project.root.join("package-lock.json"),
            project.root.join("pkg/package.json"),
            project.root.join("pkg/src"),
            project.root.join("www/reference.mjs"),
        ]
        .into(),
        outputs: vec![project.root.join("www/dist/reference")],
    };
    reference.once(project, || Ok(cmd!(project.shell, "node www/reference.mjs").run()?))
}

/// What a folder is built from: everything in it but what is built, and the versions of the tools.
fn sources(project: &Project, folder: &str, generated: &[&str]) -> Result<Vec<PathBuf>> {
    let mut sources = vec![project.root.join("package-lock.json")];
    for entry in fs::read_dir(project.root.join(folder))? {
        let entry = entry?;
        if !generated.iter().any(|name| entry.file_name() == *name) {
            sources.push(entry.path());
        }
    }
    sources.sort();
    Ok(sources)
}
