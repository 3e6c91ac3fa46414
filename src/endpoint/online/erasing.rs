use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;

use kernel::domain::{ALIAS, UNALIAS, id_of_number, normalized_id};

use super::Erased;
use super::embedded::Embedded;
use super::erasures::Erasures;
use super::record::Record;
use crate::Result;

/// Levels of JSON within a text of JSON that are searched.
const MAX_DEPTH: usize = 4;

impl Embedded {
    /// Erases what is known under ids, and notes when that is done.
    pub(super) fn finish_erasing(&self, ids: &[String]) -> Result<Erased> {
        let all: HashSet<&str> = ids.iter().map(String::as_str).collect();
        self.erase_all(ids, &|id| all.contains(id))
    }

    /// Erases what is known under ids, and every record that has an id for which `is_erased` holds.
    fn erase_all(&self, ids: &[String], is_erased: &dyn Fn(&str) -> bool) -> Result<Erased> {
        let mut erased = Erased::default();
        for id in ids {
            self.index().rows(id, false, false, |_, _| {
                erased.events += 1;
                Ok(true)
            })?;
            self.index().rows(id, true, false, |_, _| {
                erased.scores += 1;
                Ok(true)
            })?;
        }
        self.index().erase(ids)?;
        let rejected = Cell::new(0);
        self.forget(|record| match record {
            Record::Event { event, .. } => {
                let is_join = event.event == ALIAS || event.event == UNALIAS;
                let joined = event.anonymous_id.as_deref().filter(|_| is_join);
                is_erased(&event.customer_id) || joined.is_some_and(is_erased)
            }
            Record::Rejected(record) => {
                let names = names_any(&record.event, is_erased, MAX_DEPTH);
                rejected.set(rejected.get() + usize::from(names));
                names
            }
            Record::Erased => false,
        })?;
        erased.rejected = rejected.get();
        self.index().note_erasing(ids, false)?;
        self.forget_in_memory(ids);
        Ok(erased)
    }

    /// Repeats the erasures that came after a backup was made, in an endpoint that starts from it. Gives the ids
    /// that were erased.
    pub(super) fn repeat_erasures(&self, folder: &Path) -> Result<Vec<String>> {
        let Some(erasures) = Erasures::find(folder)? else {
            tracing::warn!(
                "there is no erasures.jsonl beside this backup: it has data erased since"
            );
            return Ok(Vec::new());
        };
        let hashes = erasures.after(self.log().next());
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        self.checkpoint()?;
        let mut ids = Vec::new();
        self.index().each_id(|id| {
            if hashes.has(id) {
                ids.push(id.to_owned());
            }
        })?;
        ids.sort_unstable();
        ids.dedup();
        let erased = self.erase_all(&ids, &|id| hashes.has(id))?;
        let (n_ids, events, rejected) = (ids.len(), erased.events, erased.rejected);
        tracing::info!(n_ids, events, rejected, "repeated the erasures since the backup");
        Ok(ids)
    }
}

/// Whether a text that was sent as JSON has an id among its texts and numbers, however it is written there:
/// escaped, as a number, or within JSON that is a text itself. The text may be cut, or be no JSON at all.
fn names_any(text: &str, is_id: &dyn Fn(&str) -> bool, depth: usize) -> bool {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                let said = unescaped(text.get(start..at).unwrap_or_default());
                let is_inside =
                    || depth > 0 && said.contains(['{', '[']) && names_any(&said, is_id, depth - 1);
                if is_id(&normalized_id(&said)) || is_inside() {
                    return true;
                }
            }
            b'-' | b'0'..=b'9' => {
                at += bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                if id_of_number(&text[start..at]).is_some_and(|id| is_id(&id)) {
                    return true;
                }
            }
            _ => at += 1,
        }
    }
    false
}

/// What a text of JSON says, without its quotes; the text as it is where it is no JSON.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    let inside = quoted.strip_prefix('"').unwrap_or(quoted);
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    if !quoted.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let whole = kernel::domain::without_lone_surrogates(quoted);
    let said = serde_json::from_str(&whole);
    said.map_or(Cow::Borrowed(inside), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_it_is_written() {
        let names = |text: &str, id: &str| names_any(text, &|found| found == id, MAX_DEPTH);
        for text in [
            r#"{"userId":"ada"}"#,
            r#"{"userId":"\u0061da"}"#,
            r#"{"x":"{\"userId\":\"ada\"}"}"#,
            r#"{"x":"[\"{\\\"u\\\":\\\"ada\\\"}\"]"}"#,
            r#"{"userId":"ada","n":NaN"#,
            r#"{"userId":"ada"#,
        ] {
            assert!(names(text, "ada"), "{text}");
        }
        for text in [r#"{"userId":"adam"}"#, r#"{"userId":"\\u0061da"}"#, "ada", "", "\"\\"] {
            assert!(!names(text, "ada"), "{text}");
        }
        let digits = "12345678901234567890123";
        assert!(names(&format!("{{\"userId\":{digits}}}"), digits));
        assert!(names("{\"userId\": 7.0}", "7") && !names("{\"userId\": 77}", "7"));
        assert!(names("{\"userId\":\"Zoe\u{308}\"}", "Zo\u{eb}"));
        assert!(names(r#"{"userId":"Zoe\u0308"}"#, "Zo\u{eb}"));
    }
}
