use memchr::memchr;

/// What the head of a request says about the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum RequestHead {
    /// At most one of Content-Length and Transfer-Encoding.
    Plain,
    /// Both: two servers could read two different requests from it (RFC 9112, 6.3).
    Ambiguous,
}

impl RequestHead {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Ambiguous => 2,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Plain),
            2 => Some(Self::Ambiguous),
            _ => None,
        }
    }
}

/// Finds the heads of the requests in the bytes of a connection.
///
/// hyper drops Content-Length without a word where Transfer-Encoding is there too, so that a handler cannot
/// refuse it. The end of a chunked body is not searched: a request that follows one without a pause has no
/// checked head, and is refused.
#[derive(Debug)]
pub(super) struct Framing {
    part: Part,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    /// Bytes that are left of a body.
    Body(u64),
    /// A body of unknown length.
    Chunked,
}

/// The head as far as it was read.
#[derive(Debug, Default)]
struct Head {
    /// The beginning of the line, at most [`LONGEST_NEEDED`] bytes.
    line: Vec<u8>,
    has_request_line: bool,
    content_length: Option<u64>,
    has_content_length: bool,
    has_transfer_encoding: bool,
}

/// Bytes of a line that are kept: enough for both names and for any length.
const LONGEST_NEEDED: usize = 64;

impl Framing {
    pub(super) fn new() -> Self {
        Self { part: Part::Head, head: Head::default() }
    }

    /// Whether a head was begun and not ended.
    pub(super) fn is_within_head(&self) -> bool {
        self.part == Part::Head && (self.head.has_request_line || !self.head.line.is_empty())
    }

    /// Reads bytes up to the end of a head or a body. Returns how many that are, at least one of a non-empty
    /// slice, and the head if they end one. `begins` says that a request begins with them, after a pause.
    pub(super) fn read(&mut self, bytes: &[u8], begins: bool) -> (usize, Option<RequestHead>) {
        if begins && self.part == Part::Chunked {
            self.part = Part::Head;
        }
        match self.part {
            Part::Chunked => (bytes.len(), None),
            Part::Body(left) => {
                let read = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - read as u64;
                self.part = if left == 0 { Part::Head } else { Part::Body(left) };
                (read, None)
            }
            Part::Head => {
                let mut read = 0;
                while let Some(end) = memchr(b'\n', &bytes[read..]) {
                    let line = &bytes[read..read + end];
                    read += end + 1;
                    if self.head.end_line(line) {
                        let (head, part) = std::mem::take(&mut self.head).finish();
                        self.part = part;
                        return (read, Some(head));
                    }
                }
                self.head.extend(&bytes[read..]);
                (bytes.len(), None)
            }
        }
    }
}

impl Head {
    fn extend(&mut self, bytes: &[u8]) {
        let room = LONGEST_NEEDED - self.line.len().min(LONGEST_NEEDED);
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Ends a line with its last bytes, without the line feed. Returns whether it ends the head.
    fn end_line(&mut self, bytes: &[u8]) -> bool {
        self.extend(bytes);
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            // Empty lines before a request are skipped, as hyper does.
            return self.has_request_line;
        }
        if !self.has_request_line {
            self.has_request_line = true;
            return false;
        }
        if let Some(value) = value_of(line, b"content-length:") {
            let value = std::str::from_utf8(value).ok();
            self.content_length = value.and_then(|value| value.trim().parse().ok());
            self.has_content_length = true;
        }
        self.has_transfer_encoding |= value_of(line, b"transfer-encoding:").is_some();
        false
    }

    fn finish(self) -> (RequestHead, Part) {
        let head = match self.has_content_length && self.has_transfer_encoding {
            true => RequestHead::Ambiguous,
            false => RequestHead::Plain,
        };
        let part = match self.content_length {
            _ if self.has_transfer_encoding => Part::Chunked,
            Some(0) => Part::Head,
            Some(length) => Part::Body(length),
            // hyper refuses a length that is none.
            None if self.has_content_length => Part::Chunked,
            None => Part::Head,
        };
        (head, part)
    }
}

/// The value of a header line with a name, which is in lower case and ends with a colon.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads in pieces of a size, and the bytes that each read took.
    fn heads(bytes: &[u8], size: usize) -> Vec<RequestHead> {
        let mut framing = Framing::new();
        let mut heads = Vec::new();
        for piece in bytes.chunks(size) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (read, head) = framing.read(rest, false);
                assert!(read > 0);
                rest = &rest[read..];
                heads.extend(head);
            }
        }
        heads
    }

    #[test]
    fn heads_are_found_however_their_bytes_arrive() {
        let requests = b"\r\nPOST /a HTTP/1.1\r\nhost: x\r\nCONTENT-length:  5 \r\n\r\nab\n\n\
            GET /b HTTP/1.1\nhost: x\n\n\
            POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-Length: 3\r\n\r\n";
        let requests = requests.to_vec();
        // The body of the first one is five bytes, with empty lines in it.
        let requests = [&requests[..57], b"z", &requests[57..]].concat();
        for size in 1..requests.len() {
            assert_eq!(
                heads(&requests, size),
                [RequestHead::Plain, RequestHead::Plain, RequestHead::Ambiguous],
                "{size}"
            );
        }
    }

    #[test]
    fn what_follows_a_chunked_body_at_once_has_no_head_and_after_a_pause_it_has() {
        let mut framing = Framing::new();
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(framing.read(chunked, false), (chunked.len(), Some(RequestHead::Plain)));
        let get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let both = [&b"0\r\n\r\n"[..], get].concat();
        assert_eq!(framing.read(&both, false), (both.len(), None));
        assert_eq!(framing.read(get, true), (get.len(), Some(RequestHead::Plain)));
        assert!(!framing.is_within_head());
    }

    #[test]
    fn long_lines_take_no_memory() {
        let mut framing = Framing::new();
        framing.read(b"GET / HTTP/1.1\r\nx: ", false);
        for _ in 0..100 {
            framing.read(&[b'a'; 1_000], false);
        }
        assert!(framing.head.line.len() <= LONGEST_NEEDED && framing.is_within_head());
        let (_, head) =
            framing.read(b"\r\ncontent-length: 1\r\ntransfer-encoding: x\r\n\r\n", false);
        assert_eq!(head, Some(RequestHead::Ambiguous));
    }
}
