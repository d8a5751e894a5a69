//! Fetching a model into the browser's storage: in pieces that are written as they come, so that what breaks off goes on from
//! there, today or another day.

use std::fmt::Write as _;

use blake3::Hasher as Blake3;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response};

use super::store::{self, FULL, Record, Shelf, Writing};
use crate::engine::{Failure, worker};
use crate::hub::{self, Hash, MANIFEST, Place, Remote};

/// Times that a download that breaks off is taken up again before it has brought anything new.
const TRIES: u32 = 4;
/// Milliseconds before the first of them; each waits twice as long as the one before.
const PAUSE: u32 = 500;
/// Bytes that are read back at a time, to be hashed.
const PIECE: usize = 1 << 20;
/// Bytes that a record takes, and what a browser's bookkeeping does.
const SLACK: f64 = 65_536.0;

/// What's told while a model is fetched: bytes so far, and in all where that's known.
pub type Progress<'a> = &'a dyn Fn(u64, Option<u64>);

/// Why a piece didn't come.
enum Broken {
    /// Try again.
    Network(Failure),
    /// Don't.
    Final(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

async fn request(
    address: &str,
    method: &str,
    headers: &[(&str, &str)],
    stop: Option<&AbortSignal>,
) -> Result<Response, Failure> {
    let sent = async {
        let options = RequestInit::new();
        options.set_method(method);
        options.set_signal(stop);
        let list = Headers::new()?;
        for (name, value) in headers {
            list.append(name, value)?;
        }
        options.set_headers(&list);
        JsFuture::from(worker::scope().fetch_with_str_and_init(address, &options)).await
    };
    let response: Result<JsValue, JsValue> = sent.await;
    match response {
        Ok(response) => Ok(response.unchecked_into()),
        Err(error) => Err(format!("{address}: {}", store::words(&error))),
    }
}

async fn text(address: &str) -> Result<Option<String>, Failure> {
    let response = request(address, "GET", &[], None).await?;
    match response.status() {
        404 => Ok(None),
        _ if response.ok() => {
            let text = async { JsFuture::from(response.text()?).await };
            let text = text.await.map_err(|error| store::words(&error))?;
            Ok(text.as_string())
        }
        401 | 403 => Err(format!("{address}: access isn't allowed to everyone")),
        status => Err(format!("{address}: the server answers {status}")),
    }
}

/// What a place holds of a model.
pub async fn look(place: &Place, hub: &str) -> Result<Vec<Remote>, Failure> {
    let missing = || format!("{}: there is no such model", place.name());
    let all = match place.list(hub) {
        Some(list) => hub::listing(&text(&list).await?.ok_or_else(missing)?)?,
        None => look_around(place, hub).await?,
    };
    hub::needed(&all).map_err(|why| format!("{}: {why}", place.name()))
}

/// Asks for each file that a model could have.
async fn look_around(place: &Place, hub: &str) -> Result<Vec<Remote>, Failure> {
    let told = text(&place.file(hub, MANIFEST)).await?;
    // Any other file of that name is none of ours.
    let told = told.and_then(|json| hub::manifest(&json).ok()).unwrap_or_default();
    let mut found = Vec::new();
    for name in hub::candidates() {
        let response = request(&place.file(hub, name), "HEAD", &[], None).await?;
        if !response.ok() {
            continue;
        }
        let size = header(&response, "content-length").and_then(|size| size.parse().ok());
        found.push(told.get(name).cloned().unwrap_or(Remote {
            name: name.to_owned(),
            size,
            hash: None,
        }));
    }
    Ok(found)
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).ok().flatten()
}

/// Fetches what isn't there yet.
pub async fn fetch(
    place: &Place,
    hub: &str,
    stop: &AbortSignal,
    progress: Progress<'_>,
) -> Result<(), Failure> {
    let files = look(place, hub).await?;
    let name = place.name();
    let shelf = Shelf::open(&name, true).await?;
    let mut record = shelf.record().await;
    // A file that is another by now isn't whole.
    let old = std::mem::replace(&mut record.files, files.clone());
    record.whole.retain(|name| {
        let find = |all: &[Remote]| all.iter().find(|file| file.name == *name).cloned();
        find(&old) == find(&files)
    });
    record.place = name;
    let total: Option<u64> = files.iter().map(|file| file.size).sum();
    room(&shelf, &record).await?;
    shelf.keep_record(&record).await?;
    let mut done = 0;
    for file in &files {
        if !record.whole.contains(&file.name) {
            let told = |part: u64| progress(done + part, total);
            let task = Task {
                shelf: &shelf,
                file,
                address: place.file(hub, &file.name),
                stop,
                told: &told,
            };
            task.run(&mut record).await?;
            record.whole.push(file.name.clone());
            record.tag = None;
            shelf.keep_record(&record).await?;
        }
        done += file.size.unwrap_or(0);
        progress(done, total);
    }
    Ok(())
}

/// Whether what's missing fits, as far as the browser says.
async fn room(shelf: &Shelf, record: &Record) -> Result<(), Failure> {
    let (usage, quota) = store::estimate().await?;
    let mut wanted = SLACK;
    for file in &record.files {
        if !record.whole.contains(&file.name) {
            let there = shelf.write(&file.name).await?.size()?;
            wanted += file.size.unwrap_or(0).saturating_sub(there) as f64;
        }
    }
    let free = (quota - usage).max(0.0);
    if wanted > free {
        return Err(format!(
            "{FULL}: {:.1} MB are needed, {:.1} MB are free",
            wanted / 1e6,
            free / 1e6
        ));
    }
    Ok(())
}

/// The hash of what has been written so far.
enum Hashing {
    Sha256(Sha256),
    Blake3(Box<Blake3>),
    Nothing,
}

impl Hashing {
    fn new(hash: Option<&Hash>) -> Self {
        match hash {
            Some(Hash::Sha256(_)) => Self::Sha256(Sha256::new()),
            Some(Hash::Blake3(_)) => Self::Blake3(Box::default()),
            None => Self::Nothing,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Nothing => (),
        }
    }

    fn finish(self) -> Option<Hash> {
        match self {
            Self::Sha256(hasher) => {
                let mut hex = String::new();
                for byte in hasher.finalize() {
                    let _ = write!(hex, "{byte:02x}");
                }
                Some(Hash::Sha256(hex))
            }
            Self::Blake3(hasher) => Some(Hash::Blake3(hasher.finalize().to_hex().to_string())),
            Self::Nothing => None,
        }
    }
}

/// One file's download.
struct Task<'a> {
    shelf: &'a Shelf,
    file: &'a Remote,
    address: String,
    stop: &'a AbortSignal,
    told: &'a dyn Fn(u64),
}

impl Task<'_> {
    async fn run(&self, record: &mut Record) -> Result<(), Failure> {
        let name = &self.file.name;
        let writing = self.shelf.write(name).await?;
        let mut size = writing.size()?;
        if self.file.size.is_some_and(|whole| size > whole) {
            writing.truncate(0)?;
            size = 0;
        }
        let mut hashing = Hashing::new(self.file.hash.as_ref());
        rehash(&writing, size, &mut hashing)?;
        let mut tries = 0;
        loop {
            let before = size;
            match self.piece(&writing, &mut size, &mut hashing, record).await {
                Ok(()) => break,
                Err(Broken::Final(why)) => return Err(why),
                Err(Broken::Network(why)) => {
                    if self.stop.aborted() {
                        return Err(STOPPED.to_owned());
                    }
                    tries = if size > before { 0 } else { tries + 1 };
                    if tries == TRIES {
                        return Err(format!(
                            "{why}; {:.1} MB of {name} are kept, and the download can go on from there",
                            size as f64 / 1e6
                        ));
                    }
                    TimeoutFuture::new(PAUSE << tries.saturating_sub(1)).await;
                }
            }
        }
        writing.flush()?;
        let found = hashing.finish();
        if found != self.file.hash {
            writing.truncate(0)?;
            return Err(format!(
                "{name} is damaged: its hash is not the one that is known; it was removed, fetch it again"
            ));
        }
        Ok(())
    }

    /// What one answer brings.
    async fn piece(
        &self,
        writing: &Writing,
        size: &mut u64,
        hashing: &mut Hashing,
        record: &mut Record,
    ) -> Result<(), Broken> {
        if *size > 0 && self.file.size == Some(*size) {
            return Ok(());
        }
        let range = format!("bytes={size}-");
        let headers = [("range", range.as_str())];
        let headers = if *size > 0 { &headers[..] } else { &[] };
        let response = request(&self.address, "GET", headers, Some(self.stop))
            .await
            .map_err(Broken::Network)?;
        // Weak tags promise too little. Not asked for by `if-range`: not every server allows a page to send that.
        let tag = header(&response, "etag").filter(|tag| tag.starts_with('"'));
        let tag = tag.map(|tag| (self.file.name.clone(), tag));
        let other = record.tag.is_some() && tag.is_some() && record.tag != tag;
        let goes_on = response.status() == 206;
        if goes_on {
            let start = header(&response, "content-range").and_then(|range| {
                let range = range.strip_prefix("bytes ")?;
                range.split_once('-')?.0.parse::<u64>().ok()
            });
            // Not every server lets a page see this header.
            if start.is_some_and(|start| start != *size) {
                return Err(Broken::Final(format!(
                    "{}: the server sent another part",
                    self.address
                )));
            }
            if other {
                // The file is another by now: from the beginning, then.
                writing.truncate(0)?;
                *size = 0;
                *hashing = Hashing::new(self.file.hash.as_ref());
                record.tag = None;
                return Err(Broken::Network(format!(
                    "{}: the file changed meanwhile",
                    self.address
                )));
            }
        } else if response.status() == 416 && self.file.size.is_none() && *size > 0 {
            // There's no more, and nobody had told how much there is.
            return Ok(());
        } else if response.ok() {
            // From the beginning: there's no range here, or the file is another.
            writing.truncate(0)?;
            *size = 0;
            *hashing = Hashing::new(self.file.hash.as_ref());
        } else {
            let why = format!("{}: the server answers {}", self.address, response.status());
            let passing = response.status() >= 500 || matches!(response.status(), 408 | 429);
            return Err(if passing { Broken::Network(why) } else { Broken::Final(why) });
        }
        if record.tag != tag {
            record.tag = tag;
            self.shelf.keep_record(record).await?;
        }
        let body = response.body().ok_or_else(|| format!("{}: an empty answer", self.address))?;
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        loop {
            let broken = |error: JsValue| {
                Broken::Network(format!("{}: {}", self.address, store::words(&error)))
            };
            let next = JsFuture::from(reader.read()).await.map_err(broken)?;
            if Reflect::get(&next, &"done".into()).map_err(broken)?.is_truthy() {
                break;
            }
            let chunk: Uint8Array =
                Reflect::get(&next, &"value".into()).map_err(broken)?.unchecked_into();
            let chunk = chunk.to_vec();
            if self.file.size.is_some_and(|whole| *size + chunk.len() as u64 > whole) {
                return Err(Broken::Final(format!("{} is longer than was told", self.file.name)));
            }
            writing.append(*size, &chunk)?;
            hashing.update(&chunk);
            *size += chunk.len() as u64;
            (self.told)(*size);
        }
        match self.file.size {
            Some(whole) if *size < whole => {
                Err(Broken::Network(format!("{}: the answer broke off", self.address)))
            }
            _ => Ok(()),
        }
    }
}

/// What a download that was stopped says.
pub const STOPPED: &str = "stopped; it can go on from here";

fn rehash(writing: &Writing, size: u64, hashing: &mut Hashing) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < size {
        let read = writing.read(at, &mut piece)?;
        if read == 0 {
            return Err("a file in the browser's storage can't be read".to_owned());
        }
        hashing.update(&piece[..read]);
        at += read as u64;
    }
    Ok(())
}
