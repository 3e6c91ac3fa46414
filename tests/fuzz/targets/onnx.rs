//! Models as ONNX files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(imported) = models::exchange::import(bytes) else { return };
    fuzz::score(&imported);
    // What is exported is read back.
    if let Ok(bytes) = models::exchange::to_onnx(&imported.model) {
        let _back = models::exchange::import(&bytes).expect("a file that was written");
    }
});
