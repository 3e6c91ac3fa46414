//! See `fuzz::segment_calls`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::segment_calls(bytes));
