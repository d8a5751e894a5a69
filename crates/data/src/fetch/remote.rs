//! Files in S3, in Google Cloud Storage and on web servers, by object_store.
//!
//! Requests go through ureq, which blocks its thread and needs neither a multi-threaded runtime nor a C compiler.

use std::fs::OpenOptions;
use std::io::{self, Read, Write as _};
use std::path::Path as FilePath;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame};
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, RetryConfig,
};
use tokio::runtime::Runtime;
use ureq::http::header::{IF_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use super::identity::Address;
use super::room::Room;
use super::{Listener, Progress, Shown, no_room};
use crate::DataError;

/// Time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit for the next byte.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes read at once.
const CHUNK: usize = 1 << 18;
/// Times that a request is repeated; where a copy is there already, whether the server can be reached is asked twice.
const RETRIES: usize = 5;
const RETRIES_WITH_COPY: usize = 1;
/// Bytes that are read of a refusal.
const REFUSAL: u64 = 1 << 16;

/// Why a file isn't found.
pub(super) enum Failed {
    /// No answer, or that of a gateway whose server is down.
    Unreachable(String),
    Refused(String),
}

/// A file that a server has.
pub(super) struct Object {
    /// Its address without secrets, its size and its version.
    pub(super) identity: String,
    /// Whether the server tells one version of the file from another.
    pub(super) is_versioned: bool,
    store: Box<dyn ObjectStore>,
    path: Path,
    meta: ObjectMeta,
    runtime: Runtime,
}

impl Object {
    /// Asks the server for a file.
    pub(super) fn find(address: &Address, has_copy: bool) -> Result<Self, Failed> {
        let whole = address.whole();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| Failed::Refused(error.to_string()))?;
        let retries = if has_copy { RETRIES_WITH_COPY } else { RETRIES };
        let (asked, path) = store(whole, retries).map_err(Failed::Refused)?;
        let meta = runtime.block_on(look(&*asked, &path, address.is_web()));
        let meta = meta.map_err(|error| {
            let why = in_words(whole, &error);
            if is_of_network(&error) { Failed::Unreachable(why) } else { Failed::Refused(why) }
        })?;
        let (store, _) = store(whole, RETRIES).map_err(Failed::Refused)?;
        // A server that sends no version sends a size at least.
        let state = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_string());
        let identity = format!("{} {} {state}", address.identity(), meta.size);
        let is_versioned = meta.e_tag.is_some() || has_date(&meta);
        Ok(Self { identity, is_versioned, store, path, meta, runtime })
    }

    /// Downloads the file `name`, or the rest of it where `part` has the beginning of the same version.
    pub(super) fn fetch(
        &self,
        part: &FilePath,
        name: &str,
        room: Room<'_>,
        listener: Listener<'_>,
    ) -> Result<(), DataError> {
        let size = self.meta.size;
        let wrong = |source| no_room(part, source);
        let refused = |problem: String| DataError::format(name, problem);
        let failed = |error: object_store::Error| refused(in_words(name, &error));
        let changed = || refused("it changed during the download; start again".to_owned());
        let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(wrong)?;
        let mut there = file.metadata().map_err(wrong)?.len();
        if there > size || !self.has_condition() {
            file.set_len(0).map_err(wrong)?;
            there = 0;
        }
        room.take(size - there).map_err(refused)?;
        listener(Progress::Begins(name, size - there));
        if there < size {
            self.runtime.block_on(async {
                let found = match self.get(there).await {
                    Ok(found) if there == 0 || self.is_same(&found.meta) == Some(true) => found,
                    Err(error) if there == 0 || !refuses_part(&error) => return Err(failed(error)),
                    // Or it doesn't say which version it sends.
                    _ => {
                        file.set_len(0).map_err(wrong)?;
                        room.take(there).map_err(refused)?;
                        there = 0;
                        listener(Progress::Begins(name, size));
                        self.get(0).await.map_err(failed)?
                    }
                };
                if found.meta.size != size || self.is_same(&found.meta) == Some(false) {
                    return Err(changed());
                }
                let mut stream = found.into_stream();
                while let Some(bytes) = stream.next().await {
                    let bytes = bytes.map_err(failed)?;
                    there += bytes.len() as u64;
                    if there > size {
                        return Err(changed());
                    }
                    file.write_all(&bytes).map_err(wrong)?;
                    if !listener(Progress::Bytes(bytes.len() as u64)) {
                        return Err(DataError::Stopped(name.to_owned()));
                    }
                }
                Ok(())
            })?;
        }
        file.sync_all().map_err(wrong)?;
        if there != size {
            let problem = format!("the server sent {there} of {size} bytes; start again to resume");
            return Err(refused(problem));
        }
        Ok(())
    }

    /// Whether the rest of the file can be asked for on the condition that it's of the same version. A weak ETag may be that of other
    /// bytes (RFC 9110, section 8.8.1).
    fn has_condition(&self) -> bool {
        self.strong_tag().is_some() || has_date(&self.meta)
    }

    fn strong_tag(&self) -> Option<&String> {
        self.meta.e_tag.as_ref().filter(|tag| !tag.starts_with("W/"))
    }

    /// Whether an answer is of this version; `None` where it doesn't say.
    fn is_same(&self, other: &ObjectMeta) -> Option<bool> {
        match (&self.meta.e_tag, &other.e_tag) {
            (Some(tag), Some(other)) => Some(tag == other),
            _ if has_date(&self.meta) && has_date(other) => {
                Some(self.meta.last_modified == other.last_modified)
            }
            _ => None,
        }
    }

    /// The file from byte `from` on, if it's still of this version.
    async fn get(&self, from: u64) -> object_store::Result<GetResult> {
        if from == 0 {
            return self.store.get_opts(&self.path, GetOptions::new()).await;
        }
        let tag = self.strong_tag().cloned();
        let date = tag.is_none().then_some(self.meta.last_modified);
        let options = GetOptions::new()
            .with_range(Some(GetRange::Offset(from)))
            .with_if_match(tag)
            .with_if_unmodified_since(date);
        self.store.get_opts(&self.path, options).await
    }
}

/// What the server says of a file. A web server is asked for the first byte: an address that is signed for GET allows no HEAD.
async fn look(
    store: &dyn ObjectStore,
    path: &Path,
    is_web: bool,
) -> object_store::Result<ObjectMeta> {
    if !is_web {
        return store.head(path).await;
    }
    let first = GetOptions::new().with_range(Some(GetRange::Bounded(0..1)));
    let found = match store.get_opts(path, first).await {
        // Without ranges, or without a first byte. The answer is dropped before it's read.
        Err(error)
            if refuses_part(&error)
                || (matches!(error, object_store::Error::Generic { .. })
                    && !is_of_network(&error)) =>
        {
            store.get_opts(path, GetOptions::new()).await
        }
        found => found,
    };
    found.map(|found| found.meta)
}

/// Whether a server doesn't send a part of a file: it has no ranges, or another version.
fn refuses_part(error: &object_store::Error) -> bool {
    use object_store::Error;

    matches!(error, Error::NotSupported { .. } | Error::Precondition { .. })
}

/// Whether a server gives the file's date; without one object_store has that of 1970.
fn has_date(meta: &ObjectMeta) -> bool {
    meta.last_modified.timestamp() != 0
}

/// Whether the network is at fault, or a server behind a gateway.
fn is_of_network(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        let text = found.to_string();
        let is_status = |code: &str| text.starts_with(&format!("{STATUS}{code}"));
        if found.is::<HttpError>() || ["502", "503", "504"].into_iter().any(is_status) {
            return true;
        }
        cause = found.source();
    }
    false
}

/// What object_store writes before a status.
const STATUS: &str = "Server returned non-2xx status code: ";

/// The store of a file, and the file's path there.
fn store(name: &str, retries: usize) -> Result<(Box<dyn ObjectStore>, Path), String> {
    let url = name.parse::<ureq::http::Uri>().map_err(|error| error.to_string())?;
    let host = url.host().unwrap_or_default();
    let path = Path::from_url_path(url.path()).map_err(|error| error.to_string())?;
    if host.is_empty() || path.as_ref().is_empty() {
        return Err("it names no file; write s3://bucket/path/shard.tar".to_owned());
    }
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: retries,
        retry_timeout: Duration::from_mins(1),
    };
    let store: object_store::Result<Box<dyn ObjectStore>> = match url.scheme_str() {
        Some("s3") => AmazonS3Builder::from_env()
            .with_url(name)
            .with_retry(retry)
            .with_http_connector(Connector { is_web: false })
            .build()
            .map(|store| Box::new(store) as _),
        Some("gs") => GoogleCloudStorageBuilder::from_env()
            .with_url(name)
            .with_retry(retry)
            .with_http_connector(Connector { is_web: false })
            .build()
            .map(|store| Box::new(store) as _),
        scheme => {
            let scheme = scheme.unwrap_or_default();
            let authority = url.authority().map_or(host, |authority| authority.as_str());
            let query = url.query().map(|query| format!("?{query}"));
            let root = format!("{scheme}://{authority}/{}", query.unwrap_or_default());
            HttpBuilder::new()
                .with_url(root)
                .with_retry(retry)
                .with_http_connector(Connector { is_web: true })
                .build()
                .map(|store| Box::new(store) as _)
        }
    };
    let store = store.map_err(|error| in_words(name, &error))?;
    Ok((store, path))
}

/// The cause of an error, and the fix, without secrets.
fn in_words(name: &str, error: &object_store::Error) -> String {
    use object_store::Error;

    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string().replace(STATUS, "the server answers ");
    // A URL in an error may be that of a redirection.
    let cause = Shown(cause.trim_end_matches([':', ' '])).to_string();
    match error {
        Error::NotFound { .. } if name.contains('*') => {
            "there is no such file on the server, whose files aren't listed; name several by braces ({000..099}), not by stars"
                .to_owned()
        }
        Error::NotFound { .. } => "there is no such file on the server".to_owned(),
        Error::Precondition { .. } => "it changed during the download; start again".to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } if name.starts_with("http") => {
            format!("{cause}; give an address with a valid user name, token or signature")
        }
        _ if name.starts_with("s3://") => format!(
            "{cause}; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT, or AWS_SKIP_SIGNATURE=true for a \
             public bucket"
        ),
        _ if name.starts_with("gs://") => format!(
            "{cause}; set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        ),
        _ => cause,
    }
}

/// object_store's requests by ureq.
#[derive(Debug)]
struct Connector {
    is_web: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .user_agent(concat!("clove/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(HttpClient::new(Service { agent: config.into(), is_web: self.is_web }))
    }
}

#[derive(Debug)]
struct Service {
    agent: ureq::Agent,
    is_web: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut head, body) = request.into_parts();
        if self.is_web {
            // What web servers know better: the rest of this version, or else the whole of another. Signatures don't cover it.
            for name in [IF_MATCH, IF_UNMODIFIED_SINCE] {
                if let Some(version) = head.headers.remove(name) {
                    head.headers.insert(IF_RANGE, version);
                }
            }
        }
        let body = body.as_bytes().cloned().unwrap_or_default();
        let request = ureq::http::Request::from_parts(head, ());
        let response = if body.is_empty() {
            self.agent.run(request)
        } else {
            self.agent.run(request.map(|()| body.as_ref()))
        };
        let response = response.map_err(|error| {
            let kind = match &error {
                ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
                ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
                ureq::Error::Io(error) => of_io(error),
                _ => HttpErrorKind::Unknown,
            };
            HttpError::new(kind, error)
        })?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            // Of a refusal the code is enough: its text may repeat what was sent, signatures too.
            let mut text = Vec::new();
            let _ = body.into_reader().take(REFUSAL).read_to_end(&mut text);
            return Ok(HttpResponse::from_parts(head, code_of(&text).into()));
        }
        let stream = Stream { reader: Mutex::new(Box::new(body.into_reader())), failed: None };
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(stream)))
    }
}

/// The code of S3's and Google's refusals, such as AccessDenied; otherwise nothing.
fn code_of(refusal: &[u8]) -> String {
    let text = String::from_utf8_lossy(refusal);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code { code.to_owned() } else { String::new() }
}

/// The kind of an error, which decides whether to retry.
fn of_io(error: &io::Error) -> HttpErrorKind {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HttpErrorKind::Timeout,
        io::ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    }
}

/// A response's bytes.
struct Stream {
    /// Never locked: the mutex makes the reader `Sync`.
    reader: Mutex<Box<dyn Read + Send>>,
    /// Returned after the bytes before it.
    failed: Option<io::Error>,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let mut chunk = Vec::with_capacity(CHUNK);
        if self.failed.is_none() {
            let reader = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner);
            let read = reader.take(CHUNK as u64).read_to_end(&mut chunk);
            self.failed = read.err();
        }
        Poll::Ready(match self.failed.take() {
            failed if !chunk.is_empty() => {
                self.failed = failed;
                Some(Ok(Frame::data(chunk.into())))
            }
            Some(error) => Some(Err(HttpError::new(of_io(&error), error))),
            None => None,
        })
    }
}
