//! A project of somebody else: no link in it leads Full Circle out of its folder.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kernel::domain::{Job, Name};
use workspace::{KnownEndpoint, Project, Sample};

use crate::support::{fullcircle_fails, fullcircle_json};

/// A folder that a project must not reach, with a file that must stay as it is.
struct Outside {
    folder: tempfile::TempDir,
}

const PRIVATE: &str = "name,amount\nprivate,1\n";

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::fs::write(folder.path().join("outside/private.csv"), PRIVATE).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("outside/private.csv")
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn assert_untouched(&self, place: &str) {
        let names = std::fs::read_dir(self.folder.path().join("outside")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["private.csv"], "{place}");
        assert_eq!(std::fs::read_to_string(self.file()).unwrap(), PRIVATE, "{place}");
    }
}

fn remove(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// The places that are opened together with a project.
const FOLDERS: [&str; 12] = [
    ".staging",
    ".endpoint",
    "views",
    "models",
    "functions",
    "runs",
    "insights",
    "segments",
    "queries",
    "experiments",
    "rules",
    "boards",
];
const FILES: [&str; 5] =
    ["project.toml", "warehouse.duckdb", "warehouse.duckdb.wal", "timelines.cache", "window.json"];

#[test]
fn a_link_in_a_place_of_the_project_is_refused_and_its_target_stays() {
    let outside = Outside::new();
    drop(Project::open(&outside.project()).unwrap());
    let check = |place: &str| {
        let error = Project::open(&outside.project()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("is a link"), "{place}: {error}");
        outside.assert_untouched(place);
    };
    for place in FOLDERS.iter().chain(&FILES) {
        let path = outside.project().join(place);
        let kept = outside.folder.path().join("kept");
        let is_there = std::fs::rename(&path, &kept).is_ok();
        let targets = [
            outside.file(),
            outside.file().parent().unwrap().to_owned(),
            PathBuf::from("../outside"),
            outside.folder.path().join("nowhere"),
        ];
        for target in targets {
            symlink(&target, &path).unwrap();
            check(place);
            remove(&path);
        }
        if is_there {
            std::fs::rename(&kept, &path).unwrap();
        }
    }
    // Deeper in the staging folder, which SQL can read.
    std::fs::create_dir(outside.project().join(".staging/inner")).unwrap();
    symlink(outside.file(), outside.project().join(".staging/inner/private.csv")).unwrap();
    check(".staging/inner/private.csv");
    remove(&outside.project().join(".staging/inner"));
    drop(Project::open(&outside.project()).unwrap());
}

#[test]
fn a_pipe_a_folder_or_a_second_name_in_place_of_a_file_is_refused_at_once() {
    let outside = Outside::new();
    drop(Project::open(&outside.project()).unwrap());
    for place in FILES {
        let path = outside.project().join(place);
        let kept = outside.folder.path().join("kept");
        let is_there = std::fs::rename(&path, &kept).is_ok();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let error = Project::open(&outside.project()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("is a pipe"), "{place}: {error}");
        remove(&path);
        std::fs::create_dir(&path).unwrap();
        let error = Project::open(&outside.project()).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("is a folder"), "{place}: {error}");
        remove(&path);
        if is_there {
            std::fs::rename(&kept, &path).unwrap();
        }
    }
    let database = outside.project().join("warehouse.duckdb");
    std::fs::hard_link(&database, outside.folder.path().join("twin")).unwrap();
    let error = Project::open(&outside.project()).unwrap_err().to_string();
    assert!(error.contains("a second name"), "{error}");
}

#[test]
fn only_files_that_full_circle_made_leave_the_staging_folder() {
    let outside = Outside::new();
    drop(Project::open(&outside.project()).unwrap());
    let staging = outside.project().join(".staging");
    for name in ["export-12-3", "held-4-0", "held-4-0.wal", "thesis.docx", "held-notes"] {
        std::fs::write(staging.join(name), "x").unwrap();
    }
    drop(Project::open(&outside.project()).unwrap());
    let mut left: Vec<_> =
        std::fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["held-notes", "thesis.docx"]);
}

#[test]
fn definitions_runs_keys_and_spines_are_not_read_or_written_through_links() {
    let outside = Outside::new();
    let project = Project::open(&outside.project()).unwrap();
    Sample::Cdnow.fill(&project, &Job::unwatched()).unwrap();
    let name: Name = "shopper".parse().unwrap();
    let view = project.view_definition(&name).unwrap();
    let check = |place: &str, error: String| {
        assert!(error.contains("is a link") && error.contains(place), "{place}: {error}");
        outside.assert_untouched(place);
    };
    let replace = |place: &str, target: &Path| {
        let path = outside.project().join(place);
        remove(&path);
        symlink(target, path).unwrap();
    };
    replace("views/shopper.toml", &outside.file());
    check("views/shopper.toml", project.view_definition(&name).unwrap_err().to_string());
    check("views/shopper.toml", project.save_view(&view).unwrap_err().to_string());
    replace("views/shopper.toml.new", &outside.file());
    remove(&outside.project().join("views/shopper.toml"));
    check("views/shopper.toml.new", project.save_view(&view).unwrap_err().to_string());
    replace("functions/shopper.json", &outside.file());
    check("functions/shopper.json", project.function(&name).unwrap_err().to_string());
    replace("runs/shopper", outside.file().parent().unwrap());
    check("runs/shopper", project.runs(&name).unwrap_err().to_string());
    replace("queries/q.sql", &outside.file());
    let query = "q".parse().unwrap();
    check("queries/q.sql", project.save_query(&query, "SELECT 1").unwrap_err().to_string());
    replace("window.json", &outside.file());
    check("window.json", workspace::keep_window(project.folder(), "{}").unwrap_err().to_string());
    replace("spine.csv", &outside.file());
    let model: Name = "repurchase".parse().unwrap();
    let text = std::fs::read_to_string(outside.project().join("models/repurchase.toml")).unwrap();
    let (head, rest) = text.split_once("[spine]").unwrap();
    let (_, tail) = rest.split_once("\n[").unwrap();
    let text = format!("{head}[spine]\nfile = \"spine.csv\"\n[{tail}");
    std::fs::write(outside.project().join("models/repurchase.toml"), text).unwrap();
    check("spine.csv", project.train(&model, &Job::unwatched()).unwrap_err().to_string());
    std::fs::create_dir(outside.project().join(".endpoint")).unwrap();
    replace(".endpoint/keys.toml", &outside.file());
    check(".endpoint/keys.toml", project.endpoints().unwrap_err().to_string());
    remove(&outside.project().join(".endpoint"));
    symlink(outside.file().parent().unwrap(), outside.project().join(".endpoint")).unwrap();
    let keys = KnownEndpoint::default();
    let error = project.remember_endpoint("http://127.0.0.1:1", keys).unwrap_err();
    check(".endpoint", error.to_string());
}

#[test]
fn an_endpoint_is_not_started_on_data_with_links() {
    let outside = Outside::new();
    let project = Project::open(&outside.project()).unwrap();
    std::fs::create_dir_all(outside.project().join(".endpoint/data")).unwrap();
    symlink(outside.file(), outside.project().join(".endpoint/data/FORMAT")).unwrap();
    let program = crate::support::program();
    let error = project.go_live(&program, "127.0.0.1:0").unwrap_err().to_string();
    assert!(error.contains(".endpoint/data/FORMAT' is a link"), "{error}");
    outside.assert_untouched(".endpoint/data");
    remove(&outside.project().join(".endpoint/data"));
    symlink(outside.file(), outside.project().join(".endpoint/data.log")).unwrap();
    let error = project.go_live(&program, "127.0.0.1:0").unwrap_err().to_string();
    assert!(error.contains(".endpoint/data.log' is a link"), "{error}");
    outside.assert_untouched(".endpoint/data.log");
}

#[test]
fn the_command_line_names_the_link_and_a_linked_project_folder_opens() {
    let outside = Outside::new();
    drop(Project::open(&outside.project()).unwrap());
    let link = outside.folder.path().join("by-link");
    symlink(outside.project(), &link).unwrap();
    let link = link.display().to_string();
    let answer = fullcircle_json(&["query", "--project", &link, "SELECT 1 AS one", "--json"]);
    assert_eq!(answer["rows"][0][0], 1.0);
    let staging = outside.project().join(".staging");
    remove(&staging);
    symlink(outside.file().parent().unwrap(), &staging).unwrap();
    let said = fullcircle_fails(&["query", "--project", &link, "SELECT 1"]);
    assert!(said.contains(".staging' is a link") && said.contains("remove it"), "{said}");
    outside.assert_untouched(".staging");
}

#[test]
fn a_project_in_a_repository_keeps_what_that_ignores() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".gitignore"), "target\nwindow.json").unwrap();
    drop(Project::open(folder.path()).unwrap());
    let ignored = std::fs::read_to_string(folder.path().join(".gitignore")).unwrap();
    assert!(ignored.starts_with("target\nwindow.json\n"), "{ignored}");
    assert_eq!(ignored.matches("window.json").count(), 1);
    assert!(ignored.contains(".endpoint/\n"));
}
