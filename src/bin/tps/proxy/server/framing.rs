//! Where in a client's HTTP/1 bytes a request ends, read in the one strict way.
//!
//! hyper is lenient where another server before or behind might read the same
//! bytes as other requests: it takes a bare LF for a line's end, a
//! `transfer-encoding` besides a `content-length`, either of them twice, codings
//! it cannot decode, and any number of hosts. What can be read in two ways is
//! refused here (RFC 9112, sections 2.2, 3.2, 5.2, 6.1 and 6.3).

/// As much of a line as is looked at. What decides is shorter, or is refused.
const MOST_OF_A_LINE: usize = 256;

/// Follows the bytes of one connection, from its first.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    line: Line,
    head: Head,
    /// Whether a request has ended with the last step.
    has_ended: bool,
}

/// Where a reading stops, before all has been read.
#[derive(Debug)]
pub(super) enum Stop {
    /// A request ends before this byte.
    End(usize),
    /// This byte must not be read, and nothing behind it is any better.
    Refused(usize),
}

#[derive(Debug)]
enum State {
    /// In a request's head.
    Head,
    /// In a body, of which so much is still to come.
    Length(u64),
    /// In the line with a chunk's size.
    Size,
    /// In a chunk, of which so much is still to come.
    Chunk(u64),
    /// At the line's end that ends a chunk.
    ChunkEnd,
    Trailers,
    /// In another protocol.
    Passed,
    Refused,
}

/// The beginning of the present line, without its end.
#[derive(Debug, Default)]
struct Line {
    start: Vec<u8>,
    is_longer: bool,
    has_cr: bool,
}

/// What the lines of a head say, as far as it is complete.
#[derive(Debug, Default)]
struct Head {
    has_request_line: bool,
    is_1_0: bool,
    hosts: u32,
    length: Option<u64>,
    is_chunked: bool,
}

/// It can be read in more than one way.
struct Ambiguous;

impl Framing {
    pub(super) fn new() -> Self {
        Self { state: State::Head, line: Line::default(), head: Head::default(), has_ended: false }
    }

    /// The connection has been switched to another protocol.
    pub(super) fn pass(&mut self) {
        self.state = State::Passed;
    }

    /// Reads on, to the end of what is there or of a request.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Stop> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.step(rest) {
                Ok(count) => at += count,
                Err(Ambiguous) => {
                    self.state = State::Refused;
                    return Some(Stop::Refused(at));
                }
            }
            if std::mem::take(&mut self.has_ended) {
                // Nothing is kept of it while it is answered.
                self.line = Line::default();
                return Some(Stop::End(at));
            }
        }
        None
    }

    /// Takes some of what is there, at least one byte; how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Ambiguous> {
        match &mut self.state {
            State::Passed => return Ok(bytes.len()),
            State::Refused => return Err(Ambiguous),
            State::Length(left) | State::Chunk(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                if *left == 0 {
                    let is_chunk = matches!(self.state, State::Chunk(_));
                    self.state = if is_chunk { State::ChunkEnd } else { State::Head };
                    self.has_ended = !is_chunk;
                }
                return Ok(count);
            }
            State::Head | State::Size | State::ChunkEnd | State::Trailers => {}
        }
        if let Some(byte) = bytes.first() {
            if self.line.ends_with(*byte)? {
                self.line_ends()?;
                self.line.clear();
            }
        }
        Ok(1)
    }

    fn line_ends(&mut self) -> Result<(), Ambiguous> {
        let line = &self.line;
        match self.state {
            // An empty line or two may come before a request.
            State::Head if !self.head.has_request_line => self.head.request_line(line),
            State::Head if line.is_empty() => {
                self.state = std::mem::take(&mut self.head).body()?;
                self.has_ended = matches!(self.state, State::Head);
            }
            State::Head => self.head.header(line)?,
            State::Size => {
                self.state = match line.chunk_size()? {
                    0 => State::Trailers,
                    size => State::Chunk(size),
                }
            }
            State::ChunkEnd if line.is_empty() => self.state = State::Size,
            State::ChunkEnd => return Err(Ambiguous),
            State::Trailers if line.is_empty() => {
                self.state = State::Head;
                self.has_ended = true;
            }
            _ => {}
        }
        Ok(())
    }
}

// === impl Line ===

impl Line {
    /// Takes one byte; whether the line ends with it. CR and LF come together or not at all.
    fn ends_with(&mut self, byte: u8) -> Result<bool, Ambiguous> {
        match (byte, self.has_cr) {
            (b'\n', true) => return Ok(true),
            (b'\n', false) | (_, true) => return Err(Ambiguous),
            (b'\r', false) => self.has_cr = true,
            _ if self.start.len() < MOST_OF_A_LINE => self.start.push(byte),
            _ => self.is_longer = true,
        }
        Ok(false)
    }

    fn clear(&mut self) {
        self.start.clear();
        (self.is_longer, self.has_cr) = (false, false);
    }

    fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// The size before any extension.
    fn chunk_size(&self) -> Result<u64, Ambiguous> {
        let end = self.start.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t'));
        let digits = self.start.get(..end.unwrap_or(self.start.len())).ok_or(Ambiguous)?;
        number(digits, 16)
    }
}

/// A number in nothing but digits.
fn number(digits: &[u8], radix: u32) -> Result<u64, Ambiguous> {
    if !digits.iter().all(|digit| char::from(*digit).is_digit(radix)) {
        return Err(Ambiguous);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Ambiguous)?;
    u64::from_str_radix(digits, radix).map_err(|_| Ambiguous)
}

// === impl Head ===

impl Head {
    fn request_line(&mut self, line: &Line) {
        self.has_request_line = !line.is_empty();
        self.is_1_0 = line.start.ends_with(b" HTTP/1.0");
    }

    fn header(&mut self, line: &Line) -> Result<(), Ambiguous> {
        let colon = line.start.iter().position(|byte| *byte == b':');
        let (name, value) = match colon.and_then(|colon| line.start.split_at_checked(colon)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default().trim_ascii()),
            None if line.is_longer => return Ok(()),
            None => return Err(Ambiguous),
        };
        // A folded line, or a name with a space behind it.
        if name.iter().any(u8::is_ascii_whitespace) {
            return Err(Ambiguous);
        }
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let is_second = self.length.replace(number(value, 10)?).is_some();
            if is_second || line.is_longer {
                return Err(Ambiguous);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_second = std::mem::replace(&mut self.is_chunked, true);
            if is_second || line.is_longer || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguous);
            }
        }
        Ok(())
    }

    /// What comes after this head.
    fn body(self) -> Result<State, Ambiguous> {
        let hosts = if self.is_1_0 { 0..=1 } else { 1..=1 };
        if !hosts.contains(&self.hosts) {
            return Err(Ambiguous);
        }
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Ambiguous),
            (true, None) if self.is_1_0 => Err(Ambiguous),
            (true, None) => Ok(State::Size),
            (false, Some(length @ 1..)) => Ok(State::Length(length)),
            (false, Some(0) | None) => Ok(State::Head),
        }
    }
}
