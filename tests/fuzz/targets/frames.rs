//! The event log: its files changed byte by byte, opened, and read to the end.

#![no_main]

use endpoint::online::log::{Frame, Log};
use libfuzzer_sys::fuzz_target;

/// A log as it is written, by names and contents of its files.
fn written() -> Vec<(String, Vec<u8>)> {
    let folder = folder();
    let log = Log::open_in(folder.path()).expect("a new log");
    for n in 0_u8..5 {
        let mut frame = Frame::new();
        for record in 0..=n {
            let record = vec![record; usize::from(n) * 7 + 1];
            let push = |bytes: &mut Vec<u8>| {
                bytes.extend_from_slice(&record);
                Ok::<(), std::io::Error>(())
            };
            let _range = frame.push(push).expect("a record");
        }
        let _bytes = log.append(frame).expect("a frame");
    }
    drop(log);
    let entries = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

/// A folder in memory, where there is one.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.exists() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

fuzz_target!(init: { std::sync::LazyLock::force(&WRITTEN); }, |input: &[u8]| {
    let Some((choice, edits)) = input.split_first() else { return };
    let folder = folder();
    for (at, (name, content)) in WRITTEN.iter().enumerate() {
        let mut content = content.clone();
        if usize::from(choice % 64) % WRITTEN.len() == at {
            match choice / 64 {
                // Another content altogether, or a cut, or bytes that are changed.
                0 => content = edits.to_vec(),
                1 => content.truncate(edits.first().map_or(0, |n| usize::from(*n) * 4)),
                _ => {
                    for edit in edits.as_chunks::<3>().0 {
                        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
                        if let Some(byte) = content.get_mut(place) {
                            *byte ^= edit[2];
                        }
                    }
                }
            }
        }
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let Ok(log) = Log::open_in(folder.path()) else { return };
    let _end = log.read(0, |_, _| true);
});

static WRITTEN: std::sync::LazyLock<Vec<(String, Vec<u8>)>> = std::sync::LazyLock::new(written);
