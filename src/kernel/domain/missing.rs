/// Spellings of a missing value, in lower case, that files and clients write where they have nothing.
const SPELLINGS: [&str; 20] = [
    "null",
    "(null)",
    "<null>",
    "[null]",
    "\\n",
    "none",
    "nil",
    "undefined",
    "(undefined)",
    "nan",
    "-nan",
    "n/a",
    "n.a.",
    "na",
    "<na>",
    "#n/a",
    "#na",
    "-",
    "--",
    "(none)",
];

/// What programs write for an id by mistake where there is none, in lower case.
const ID_SPELLINGS: [&str; 7] = [
    "[object object]",
    "[object undefined]",
    "[object null]",
    "{}",
    "[]",
    "(not set)",
    "00000000-0000-0000-0000-000000000000",
];

/// The longest of all spellings, in bytes.
const LONGEST: usize = 36;

/// Whether a text is a spelling of a missing value: nothing but white space, or one of `NULL`, `\N`, `N/A`,
/// `NA`, `#N/A`, `None`, `nil`, `NaN`, `undefined`, `-` and a few more, in any case.
///
/// This holds for ids and for properties that are numbers, booleans or times, in files and live. A text
/// property keeps such a text: `NA` may be Namibia.
#[must_use]
pub fn is_missing(text: &str) -> bool {
    let text = text.trim();
    // Most texts are longer than a spelling, or begin as none does.
    let Some(first) = text.as_bytes().first() else { return true };
    text.len() <= LONGEST
        && matches!(
            first | 0x20,
            b'n' | b'u' | b'(' | b'<' | b'[' | b'{' | b'|' | b'#' | b'-' | b'\\'
        )
        && SPELLINGS.iter().any(|spelling| text.eq_ignore_ascii_case(spelling))
}

/// Whether a text names nobody where an id should be: a missing value, or what programs write by mistake, such
/// as `[object Object]` and the UUID of zeros. Unrelated people would else be one customer.
#[must_use]
pub fn is_missing_id(text: &str) -> bool {
    let trimmed = text.trim();
    is_missing(trimmed)
        || (trimmed.len() <= LONGEST
            && ID_SPELLINGS.iter().any(|spelling| trimmed.eq_ignore_ascii_case(spelling)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_known_by_their_spellings() {
        let missing = [
            "",
            " ",
            "\u{a0}\t",
            "NULL",
            "null",
            "Null",
            "\\N",
            "N/A",
            "n/a",
            "NA",
            "#N/A",
            "none",
            "None",
            "nan",
            "NaN",
            "-nan",
            "undefined",
            "-",
            "--",
            " NULL ",
            "<NA>",
            "(null)",
            "nil",
        ];
        for text in missing {
            assert!(is_missing(text) && is_missing_id(text), "'{text}'");
        }
        for text in SPELLINGS {
            assert!(is_missing(text), "'{text}' is found by its first letter");
        }
        let values = [
            "0",
            "false",
            "Nan Goldin",
            "NAM",
            "no",
            "-1",
            "nobody",
            "x",
            "u1",
            ".",
            "null1",
            "NULLS",
        ];
        for text in values {
            assert!(!is_missing(text) && !is_missing_id(text), "'{text}'");
        }
        for text in ["[object Object]", "00000000-0000-0000-0000-000000000000", "{}"] {
            assert!(is_missing_id(text) && !is_missing(text), "'{text}'");
        }
    }
}
