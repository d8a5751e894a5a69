//! Downloads a model into the browser's storage, piece by piece: interrupted downloads resume, even on a later visit.

use blake3::Hasher as Blake3;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response};

use super::store::{self, Record, Shelf, Writing};
use crate::engine::{FULL, Failure, checked, worker};
use crate::hub::{self, Hash, MANIFEST, Place, Remote};

/// Retries of an interrupted download that makes no progress.
const TRIES: u32 = 4;
/// Milliseconds before the first retry; doubles with each.
const PAUSE: u32 = 500;
/// Bytes that are read back at a time, for hashing.
const PIECE: usize = 1 << 20;
/// Space for the record and the browser's bookkeeping, in bytes.
const SLACK: f64 = 65_536.0;

/// Receives the progress of a download: bytes so far, and in total if known.
pub type Progress<'a> = &'a dyn Fn(u64, Option<u64>);

/// Why a piece is incomplete.
enum Broken {
    /// Worth a retry.
    Network(String),
    /// Not worth a retry.
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
    range: Option<&str>,
    stop: Option<&AbortSignal>,
) -> Result<Response, String> {
    let sent = async {
        let options = RequestInit::new();
        options.set_method(method);
        options.set_signal(stop);
        let headers = Headers::new()?;
        if let Some(range) = range {
            headers.append("range", range)?;
        }
        options.set_headers(&headers);
        JsFuture::from(worker::scope().fetch_with_str_and_init(address, &options)).await
    };
    let response = checked(sent.await).map_err(|why| format!("{address}: {}", why.0))?;
    Ok(response.unchecked_into())
}

async fn text(address: &str) -> Result<Option<String>, Failure> {
    let response = request(address, "GET", None, None).await?;
    match response.status() {
        404 => Ok(None),
        _ if response.ok() => {
            let text = async { JsFuture::from(response.text()?).await };
            Ok(checked(text.await)?.as_string())
        }
        401 | 403 => Err(format!("{address}: access denied; the model is not public").into()),
        status => Err(format!("{address}: the server responded with status {status}").into()),
    }
}

/// The files of a model at a place.
pub async fn look(place: &Place, hub: &str) -> Result<Vec<Remote>, Failure> {
    let name = place.name();
    let all = match place.list(hub) {
        Some(list) => {
            let json = text(&list).await?;
            hub::listing(&json.ok_or_else(|| format!("{name}: there is no such model"))?)?
        }
        None => look_around(place, hub).await?,
    };
    Ok(hub::needed(&all).map_err(|why| format!("{name}: {why}"))?)
}

/// Asks for each file that a model could have.
async fn look_around(place: &Place, hub: &str) -> Result<Vec<Remote>, Failure> {
    let manifest = text(&place.file(hub, MANIFEST)).await?;
    // Another program's file of that name is ignored.
    let known = manifest.and_then(|json| hub::manifest(&json).ok()).unwrap_or_default();
    let mut found = Vec::new();
    for name in hub::candidates() {
        let response = request(&place.file(hub, name), "HEAD", None, None).await?;
        if response.ok() {
            let size = header(&response, "content-length").and_then(|size| size.parse().ok());
            let unknown = Remote { name: name.to_owned(), size, hash: None };
            found.push(known.get(name).cloned().unwrap_or(unknown));
        }
    }
    Ok(found)
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).ok().flatten()
}

/// Downloads the missing files.
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
    // A file that has changed on the server is incomplete.
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
            let task = Task {
                shelf: &shelf,
                file,
                address: place.file(hub, &file.name),
                stop,
                progress: &|part| progress(done + part, total),
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

/// Checks that the missing files fit into the storage.
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
        let (wanted, free) = (wanted / 1e6, free / 1e6);
        return Err(format!("{FULL}: {wanted:.1} MB needed, {free:.1} MB free").into());
    }
    Ok(())
}

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
            Self::Sha256(hasher) => Some(Hash::Sha256(format!("{:x}", hasher.finalize()))),
            Self::Blake3(hasher) => Some(Hash::Blake3(hasher.finalize().to_hex().to_string())),
            Self::Nothing => None,
        }
    }
}

/// The stored beginning of a file.
struct Partial<'a> {
    file: &'a Remote,
    writing: Writing,
    size: u64,
    hashing: Hashing,
}

impl<'a> Partial<'a> {
    async fn open(shelf: &Shelf, file: &'a Remote) -> Result<Self, Failure> {
        let writing = shelf.write(&file.name).await?;
        let stored = writing.size()?;
        let mut partial =
            Self { file, writing, size: 0, hashing: Hashing::new(file.hash.as_ref()) };
        if file.size.is_some_and(|whole| stored > whole) {
            partial.restart()?;
            return Ok(partial);
        }
        let mut piece = vec![0; PIECE];
        while partial.size < stored {
            let read = partial.writing.read(partial.size, &mut piece)?;
            if read == 0 {
                return Err("a file in the browser's storage can't be read".into());
            }
            partial.hashing.update(&piece[..read]);
            partial.size += read as u64;
        }
        Ok(partial)
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.writing.truncate(0)?;
        self.size = 0;
        self.hashing = Hashing::new(self.file.hash.as_ref());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.file.size.is_some_and(|whole| self.size + bytes.len() as u64 > whole) {
            return Err(format!("{} is longer than announced", self.file.name).into());
        }
        self.writing.append(self.size, bytes)?;
        self.hashing.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }
}

struct Task<'a> {
    shelf: &'a Shelf,
    file: &'a Remote,
    address: String,
    stop: &'a AbortSignal,
    progress: &'a dyn Fn(u64),
}

impl Task<'_> {
    async fn run(&self, record: &mut Record) -> Result<(), Failure> {
        let name = &self.file.name;
        let mut partial = Partial::open(self.shelf, self.file).await?;
        let mut tries = 0;
        loop {
            let before = partial.size;
            match self.piece(&mut partial, record).await {
                Ok(()) => break,
                Err(Broken::Final(why)) => return Err(why),
                Err(Broken::Network(_)) if self.stop.aborted() => return Err(STOPPED.into()),
                Err(Broken::Network(why)) => {
                    tries = if partial.size > before { 0 } else { tries + 1 };
                    if tries == TRIES {
                        let kept = partial.size as f64 / 1e6;
                        return Err(format!(
                            "{why}; {kept:.1} MB of {name} are stored: resume the download later"
                        )
                        .into());
                    }
                    TimeoutFuture::new(PAUSE << tries.saturating_sub(1)).await;
                }
            }
        }
        partial.writing.flush()?;
        if partial.hashing.finish() != self.file.hash {
            partial.writing.truncate(0)?;
            return Err(format!("{name} is damaged: wrong hash; download it again").into());
        }
        Ok(())
    }

    /// Receives one response.
    async fn piece(&self, partial: &mut Partial<'_>, record: &mut Record) -> Result<(), Broken> {
        let address = &self.address;
        let size = partial.size;
        if size > 0 && self.file.size == Some(size) {
            return Ok(());
        }
        let range = (size > 0).then(|| format!("bytes={size}-"));
        let response = request(address, "GET", range.as_deref(), Some(self.stop))
            .await
            .map_err(Broken::Network)?;
        // Weak tags don't identify a version. `if-range` isn't used: not every server allows it across origins.
        let tag = header(&response, "etag").filter(|tag| tag.starts_with('"'));
        let tag = tag.map(|tag| (self.file.name.clone(), tag));
        let changed = record.tag.is_some() && tag.is_some() && record.tag != tag;
        match response.status() {
            206 => {
                let start = header(&response, "content-range").and_then(|range| {
                    let range = range.strip_prefix("bytes ")?;
                    range.split_once('-')?.0.parse::<u64>().ok()
                });
                // Not every server exposes this header.
                if start.is_some_and(|start| start != size) {
                    let why = format!("{address}: the server sent another part");
                    return Err(Broken::Final(why.into()));
                }
                if changed {
                    partial.restart()?;
                    record.tag = None;
                    return Err(Broken::Network(format!("{address}: the file has changed")));
                }
            }
            // The end of a file of unknown size.
            416 if self.file.size.is_none() && size > 0 => return Ok(()),
            // The server ignores ranges, or sends another version: start over.
            _ if response.ok() => partial.restart()?,
            status => {
                let why = format!("{address}: the server responded with status {status}");
                let passing = status >= 500 || matches!(status, 408 | 429);
                return Err(if passing { Broken::Network(why) } else { Broken::Final(why.into()) });
            }
        }
        if record.tag != tag {
            record.tag = tag;
            self.shelf.keep_record(record).await?;
        }
        let empty = || Broken::Final(format!("{address}: empty response").into());
        let body = response.body().ok_or_else(empty)?;
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        loop {
            let next = async {
                let next = JsFuture::from(reader.read()).await?;
                let done = Reflect::get(&next, &"done".into())?.is_truthy();
                Ok((done, Reflect::get(&next, &"value".into())?))
            };
            let next = checked(next.await);
            let (done, chunk) =
                next.map_err(|why| Broken::Network(format!("{address}: {}", why.0)))?;
            if done {
                break;
            }
            partial.append(&chunk.unchecked_into::<Uint8Array>().to_vec())?;
            (self.progress)(partial.size);
        }
        match self.file.size {
            Some(whole) if partial.size < whole => {
                Err(Broken::Network(format!("{address}: the connection broke off")))
            }
            _ => Ok(()),
        }
    }
}

/// The failure of a stopped download.
const STOPPED: &str = "stopped; resume it at any time";
