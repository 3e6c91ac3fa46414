//! House rules, as a test: taste that fails a build needs no review.

use std::path::{Path, PathBuf};

/// Lines that a file may have; a longer one has become two things.
const LONGEST_FILE: usize = 700;
/// What the top level may hold.
const TOP_LEVEL: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "assets",
    "benches",
    "sample-data",
    "src",
    "tests",
    "target",
    "",
];
/// Who may name which library.
const OWNERS: [(&str, &[&str]); 10] = [
    ("duckdb::", &["src/warehouse"]),
    ("linfa", &["src/models"]),
    ("ndarray::", &["src/models"]),
    ("axum::", &["src/endpoint"]),
    ("tokio::", &["src/endpoint"]),
    ("fjall::", &["src/endpoint"]),
    ("egui::", &["src/app"]),
    ("rfd::", &["src/app"]),
    ("clap::", &["src/cli"]),
    // Its own client of endpoints, and what endpoints tell others.
    ("ureq::", &["src/workspace", "src/endpoint/monitoring/sending.rs"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn each_source(check: impl Fn(&str, &str)) {
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    assert!(found.len() > 50, "the sources were not found");
    for path in found {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        check(&name, &std::fs::read_to_string(&path).unwrap());
    }
}

#[test]
fn the_top_level_is_as_it_was_fixed() {
    for entry in std::fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn libraries_stay_in_their_rooms() {
    each_source(|name, text| {
        for (library, owners) in OWNERS {
            let uses = |line: &str| {
                line.contains(&format!("use {library}")) || line.contains(&format!(" {library}"))
            };
            let named = text.lines().any(|line| uses(line) && !line.trim_start().starts_with("//"));
            let is_main = name == "src/main.rs" && library == "clap::";
            assert!(
                !named || owners.iter().any(|owner| name.starts_with(owner)) || is_main,
                "{name} names {library}"
            );
        }
    });
}

#[test]
fn files_are_short_and_modules_say_what_they_are() {
    each_source(|name, text| {
        assert!(text.lines().count() <= LONGEST_FILE, "{name} is too long");
        if name.ends_with("/mod.rs") || name.ends_with("/lib.rs") {
            assert!(text.starts_with("//!"), "{name} does not say what it is");
        }
        for banned in ["todo!(", "unimplemented!(", "thread::sleep", "#[ignore"] {
            assert!(!text.contains(banned), "{name} has {banned}");
        }
    });
}

#[test]
fn no_room_is_a_drawer() {
    each_source(|name, _| {
        for drawer in ["util", "common", "helper", "misc"] {
            assert!(!name.contains(drawer), "{name}");
        }
    });
}

/// Files that users name, not those of a project: imports, and models that come and go.
const FILES_OF_USERS: [&str; 2] = ["src/warehouse/import/", "src/workspace/exchanging.rs"];

#[test]
fn one_module_touches_the_files_of_a_project() {
    each_source(|name, text| {
        let is_of_project =
            name.starts_with("src/warehouse/") || name.starts_with("src/workspace/");
        if !is_of_project
            || name.starts_with("src/warehouse/folder/")
            || FILES_OF_USERS.iter().any(|own| name.starts_with(own))
        {
            return;
        }
        let ways =
            ["std::fs::", "fs::", "File::open(", "File::create(", "OpenOptions", ".exists()"];
        for line in text.lines().filter(|line| !line.starts_with("use std::fs::File;")) {
            for way in ways {
                assert!(!line.contains(way), "{name} uses {way}; see ProjectFolder: {line}");
            }
        }
    });
}
