//! Models as `LightGBM` saves them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // The first line alone tells it from ONNX.
    let text = format!("tree\n{text}");
    let Ok(imported) = models::exchange::import(text.as_bytes()) else { return };
    assert_eq!(imported.names.len(), imported.encodings.len());
    fuzz::score(&imported);
    let reversed: Vec<&str> = imported.names.iter().rev().map(String::as_str).collect();
    let _matched = imported.clone().matched(&reversed);
});
