//! One call of a client as the Segment API has it.

#![no_main]

use kernel::domain::Time;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for type_ in [None, Some("identify"), Some("alias"), Some("group"), Some("page")] {
        let now = Time(1_700_000_000_000_000);
        let _incoming = endpoint::serving::read_call(text, type_, Some(now), now);
    }
});
