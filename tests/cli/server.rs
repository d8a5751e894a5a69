//! A web server for files, with faults to test against.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a server deviates from an ordinary one.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Ways {
    /// Breaks off after a number of bytes, in a number of answers.
    pub breaks: Option<(usize, usize)>,
    /// Answers only GET, as for a link that is signed for it.
    pub get_only: bool,
    /// Sends only whole files.
    pub no_parts: bool,
    /// Answers requests without a header of authorization with 403.
    pub signed: bool,
    /// Answers requests without these words in the address with 403.
    pub asks: Option<&'static str>,
    /// Sends no ETag.
    pub no_tag: bool,
    /// Sends no date.
    pub no_date: bool,
    /// Sends this date instead of the usual one.
    pub date: Option<&'static str>,
    /// Hangs up without an answer.
    pub down: bool,
}

const DATE: &str = "Wed, 25 Nov 2026 10:00:00 GMT";

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// In lower case, as `name: value`.
    pub headers: Vec<String>,
}

/// Files by their paths.
#[derive(Debug)]
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    files: Vec<(String, Vec<u8>)>,
    ways: Ways,
    seen: Vec<Seen>,
    sent: usize,
}

impl Server {
    /// Serves until the tests end.
    pub fn new(files: &[(&str, Vec<u8>)], ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone()));
        let state =
            Arc::new(Mutex::new(State { files: files.collect(), ways, seen: Vec::new(), sent: 0 }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                // A client that hangs up ends only its own connection.
                thread::spawn(move || stream.and_then(|stream| serve(&stream, &state)));
            }
        });
        Self { address, state }
    }

    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state.files.retain(|(name, _)| name != path);
        state.files.push((path.to_owned(), bytes));
    }

    pub fn behave(&self, ways: Ways) {
        self.state.lock().unwrap().ways = ways;
    }

    /// The requests since the last call, and the bytes of files that were sent.
    pub fn seen(&self) -> (Vec<Seen>, usize) {
        let mut state = self.state.lock().unwrap();
        let sent = std::mem::take(&mut state.sent);
        (std::mem::take(&mut state.seen), sent)
    }
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap();
        headers.push(format!("{}: {}", name.to_lowercase(), value.trim()));
    }
    let header = |name: &str| headers.iter().find_map(|header| header.strip_prefix(name));
    let if_range = header("if-range: ").map(str::to_owned);
    let mut state = state.lock().unwrap();
    let is_signed = header("authorization: ").is_some();
    let range = header("range: bytes=").map(str::to_owned);
    let path = target.split('?').next().unwrap();
    // Google's names have no folders; slashes are escaped.
    let path = path.replace("%2F", "/").replace("%2E", ".");
    let ways = state.ways;
    // As S3 repeats what it was sent.
    let echo = format!("<Code>SignatureDoesNotMatch</Code><Message>{target} {headers:?}</Message>");
    let is_right = ways.asks.is_none_or(|words| target.contains(words));
    state.seen.push(Seen { method: method.clone(), target, headers: headers.clone() });
    if ways.down {
        return Ok(());
    }
    let file = state.files.iter().find(|(name, _)| *name == path);
    let refused = (ways.signed && !is_signed) || (ways.get_only && method != "GET") || !is_right;
    let hash = |(_, bytes): &(String, Vec<u8>)| format!("\"{}\"", blake3::hash(bytes).to_hex());
    let tag = file.map_or_else(String::new, hash);
    let date = ways.date.unwrap_or(DATE);
    let is_other = if_range.is_some_and(|version| version != tag && version != date);
    let parts = !ways.no_parts && !is_other;
    let (status, range, bytes) = match file {
        _ if refused => ("403 Forbidden", None, echo.into_bytes()),
        None => ("404 Not Found", None, Vec::new()),
        Some((_, bytes)) => match range.filter(|_| parts) {
            None => ("200 OK", None, bytes.clone()),
            Some(_) if bytes.is_empty() => ("416 Range Not Satisfiable", None, Vec::new()),
            Some(range) => {
                let (from, to) = range.split_once('-').unwrap();
                let from: usize = from.parse().unwrap();
                let to = to.parse().map_or(bytes.len(), |to: usize| to + 1);
                let range = format!("content-range: bytes {from}-{}/{}\r\n", to - 1, bytes.len());
                ("206 Partial Content", Some(range), bytes[from..to].to_vec())
            }
        },
    };
    let has_tag = file.is_some() && !ways.no_tag;
    let tag = if has_tag { format!("etag: {tag}\r\n") } else { String::new() };
    let date = if ways.no_date { String::new() } else { format!("last-modified: {date}\r\n") };
    let mut sends = if method == "HEAD" { 0 } else { bytes.len() };
    if let Some((most, left)) = &mut state.ways.breaks
        && *left > 0
        && sends > *most
    {
        (sends, *left) = (*most, *left - 1);
    }
    if status.starts_with('2') {
        state.sent += sends;
    }
    drop(state);
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{tag}{date}{}connection: close\r\n\r\n",
        bytes.len(),
        range.unwrap_or_default()
    )?;
    stream.write_all(&bytes[..sends])
}
