//! See `fuzz::functions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::functions(bytes));
