//! Checks the dependencies between the crates: they follow the arrows below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::shell;

/// The crates of the workspace that each crate may depend on, by folder. Their dependencies are allowed too.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/random", &[]),
    ("crates/negatives", &["crates/random"]),
    ("crates/scenes", &["crates/random"]),
    ("crates/kernels", &[]),
    ("crates/clove", &["crates/kernels", "crates/scenes"]),
    ("crates/data", &["crates/clove", "crates/negatives"]),
    ("crates/lab", &["crates/clove"]),
    ("crates/report", &["crates/lab"]),
    ("crates/run", &["crates/negatives", "crates/data", "crates/lab"]),
    ("crates/cli", &["crates/run", "crates/report"]),
    ("crates/xtask", &["crates/negatives"]),
    ("web", &["crates/clove", "crates/lab", "crates/negatives"]),
    ("tests/wasm", &["crates/negatives"]),
];

/// Crates of tests: they may depend on all others, and others on them only as dev-dependencies.
const TESTS: &[&str] = &["tests", "tests/wasm"];

/// The one crate that may name burn's back ends.
const BACK_ENDS: (&str, &[&str]) = ("crates/kernels", &["burn-autodiff", "burn-cubecl"]);

/// The crates that may name burn.
const BURN: &[&str] = &["crates/kernels", "crates/clove", "tests"];

/// A member of the workspace, by folder.
struct Member {
    folder: String,
    /// The members that it depends on, and whether only its tests do.
    own: Vec<(String, bool)>,
    /// Names of the other crates that it depends on.
    other: Vec<String>,
}

fn members() -> Vec<Member> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let output = shell::cargo()
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = Path::new(metadata["workspace_root"].as_str().unwrap());
    let folder = |path: &Path| {
        let parts = path.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap());
        parts.collect::<Vec<_>>().join("/")
    };
    let member = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_for_tests = dependency["kind"] == "dev";
            match dependency["path"].as_str() {
                Some(path) => own.push((folder(Path::new(path)), is_for_tests)),
                None if is_for_tests => {}
                None => other.push(dependency["name"].as_str().unwrap().to_owned()),
            }
        }
        Member { folder: folder(manifest.parent().unwrap()), own, other }
    };
    metadata["packages"].as_array().unwrap().iter().map(member).collect()
}

/// All folders that the arrows of a folder lead to.
fn allowed(folder: &str) -> BTreeSet<&'static str> {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = arrows.get(folder).map_or(Vec::new(), |to| to.to_vec());
    while let Some(one) = next.pop() {
        if found.insert(one) {
            next.extend(arrows[one]);
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for member in members() {
        let folder = member.folder.as_str();
        if TESTS.contains(&folder) {
            continue;
        }
        if !ARROWS.iter().any(|(known, _)| *known == folder) {
            wrong.push(format!("{folder}: not in ARROWS"));
            continue;
        }
        let allowed = allowed(folder);
        for (own, is_for_tests) in &member.own {
            // The program's tests may use every crate; those of other crates only their own arrows.
            let is_free = folder == "crates/cli" || TESTS.contains(&own.as_str());
            if !(allowed.contains(own.as_str()) || *is_for_tests && is_free) {
                wrong.push(format!("{folder} -> {own}: no arrow leads there"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn kernels_alone_name_back_ends_and_few_crates_name_burn() {
    for member in members() {
        let folder = member.folder.as_str();
        for name in &member.other {
            let is_back_end = name.starts_with("burn-") || name.starts_with("cubecl");
            assert!(
                !is_back_end || folder == BACK_ENDS.0 && BACK_ENDS.1.contains(&name.as_str()),
                "{folder} names the back end {name}"
            );
            assert!(name != "burn" || BURN.contains(&folder), "{folder} names burn");
        }
    }
}

#[test]
fn no_arrow_leads_back() {
    for (folder, _) in ARROWS {
        assert!(!allowed(folder).contains(folder), "{folder} is in a circle");
    }
}
