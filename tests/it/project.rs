//! The project folder: text files, keys that only their owner reads, and clear refusals.

use workspace::{KnownEndpoint, Project};

#[test]
fn a_folder_becomes_a_project_and_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    drop(Project::open(&path).unwrap());
    let project = Project::open(&path).unwrap();
    assert_eq!(project.name(), "shop");
    let ignored = std::fs::read_to_string(path.join(".gitignore")).unwrap();
    assert!(ignored.contains(".endpoint/") && ignored.contains("warehouse.duckdb"));
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    let keys = KnownEndpoint { admin_key: Some("fca_x".to_owned()), ..KnownEndpoint::default() };
    project.remember_endpoint("http://127.0.0.1:7360/", keys.clone()).unwrap();
    assert_eq!(project.endpoints().unwrap()["http://127.0.0.1:7360"], keys);
    let file = folder.path().join(".endpoint/keys.toml");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_newer_project_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("project.toml"), "format = 99\nname = \"x\"\n").unwrap();
    let error = Project::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("use a newer program"), "{error}");
}
