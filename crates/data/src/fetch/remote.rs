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
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, RetryConfig,
};
use tokio::runtime::Runtime;

use super::{Listener, Progress, no_room};
use crate::DataError;

/// Time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit for the next byte.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes read at once.
const CHUNK: usize = 1 << 18;

/// A file that a server has.
pub(super) struct Object {
    /// Its address, size and version.
    pub(super) identity: String,
    name: String,
    store: Box<dyn ObjectStore>,
    path: Path,
    meta: ObjectMeta,
    runtime: Runtime,
}

impl Object {
    /// Asks the server for a file.
    pub(super) fn find(name: &str) -> Result<Self, DataError> {
        let wrong = |problem: String| DataError::format(name, problem);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| DataError::io(name, source))?;
        let (store, path) = store(name).map_err(wrong)?;
        let meta = runtime.block_on(async {
            match store.head(&path).await {
                Err(error) if !matches!(error, object_store::Error::NotFound { .. }) => {
                    // A link signed for reading alone answers to nothing else.
                    let first = GetOptions::new().with_range(Some(GetRange::Bounded(0..1)));
                    let found = store.get_opts(&path, first).await;
                    found.map(|found| found.meta).map_err(|_| error)
                }
                found => found,
            }
        });
        let meta = meta.map_err(|error| wrong(in_words(name, &error)))?;
        // A server that sends no version sends a size at least.
        let state = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_string());
        Ok(Self {
            identity: format!("{name} {} {state}", meta.size),
            name: name.to_owned(),
            store,
            path,
            meta,
            runtime,
        })
    }

    /// Downloads the file, or the rest of it where `part` has its beginning.
    pub(super) fn fetch(&self, part: &FilePath, listener: Listener<'_>) -> Result<(), DataError> {
        let wrong = |source| no_room(part, source);
        let refused = |problem: String| DataError::format(&self.name, problem);
        let failed = |error: object_store::Error| refused(in_words(&self.name, &error));
        let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(wrong)?;
        let mut there = file.metadata().map_err(wrong)?.len();
        if there > self.meta.size {
            file.set_len(0).map_err(wrong)?;
            there = 0;
        }
        listener(Progress::Begins(&self.name, self.meta.size - there));
        if there < self.meta.size {
            self.runtime.block_on(async {
                let found = match self.get(there).await {
                    // Without support for ranges the download starts over.
                    Err(object_store::Error::NotSupported { .. }) if there > 0 => {
                        file.set_len(0).map_err(wrong)?;
                        listener(Progress::Begins(&self.name, self.meta.size));
                        self.get(0).await
                    }
                    found => found,
                };
                let found = found.map_err(failed)?;
                if found.meta.size != self.meta.size || found.meta.e_tag != self.meta.e_tag {
                    return Err(refused("it changed during the download; start again".to_owned()));
                }
                let mut stream = found.into_stream();
                while let Some(bytes) = stream.next().await {
                    let bytes = bytes.map_err(failed)?;
                    file.write_all(&bytes).map_err(wrong)?;
                    if !listener(Progress::Bytes(bytes.len() as u64)) {
                        return Err(DataError::Stopped(self.name.clone()));
                    }
                }
                Ok(())
            })?;
        }
        file.sync_all().map_err(wrong)?;
        let fetched = file.metadata().map_err(wrong)?.len();
        if fetched != self.meta.size {
            let size = self.meta.size;
            let problem =
                format!("the server sent {fetched} of {size} bytes; start again to resume");
            return Err(refused(problem));
        }
        Ok(())
    }

    /// The file from byte `from` on.
    async fn get(&self, from: u64) -> object_store::Result<object_store::GetResult> {
        let range = (from > 0).then_some(GetRange::Offset(from));
        let options = GetOptions::new().with_range(range);
        self.store.get_opts(&self.path, options).await
    }
}

/// The store of a file, and the file's path there.
fn store(name: &str) -> Result<(Box<dyn ObjectStore>, Path), String> {
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
        max_retries: 5,
        retry_timeout: Duration::from_mins(1),
    };
    let store: object_store::Result<Box<dyn ObjectStore>> = match url.scheme_str() {
        Some("s3") => AmazonS3Builder::from_env()
            .with_url(name)
            .with_retry(retry)
            .with_http_connector(Connector)
            .build()
            .map(|store| Box::new(store) as _),
        Some("gs") => GoogleCloudStorageBuilder::from_env()
            .with_url(name)
            .with_retry(retry)
            .with_http_connector(Connector)
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
                .with_http_connector(Connector)
                .build()
                .map(|store| Box::new(store) as _)
        }
    };
    let store = store.map_err(|error| in_words(name, &error))?;
    Ok((store, path))
}

/// The cause of an error, and the fix.
fn in_words(name: &str, error: &object_store::Error) -> String {
    use object_store::Error;

    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error {
        Error::NotFound { .. } if name.contains('*') => {
            "there is no such file on the server, whose files aren't listed; name several by braces ({000..099}), not by stars"
                .to_owned()
        }
        Error::NotFound { .. } => "there is no such file on the server".to_owned(),
        _ if name.starts_with("s3://") => format!(
            "{cause}; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT, or AWS_SKIP_SIGNATURE=true for a \
             public bucket"
        ),
        _ if name.starts_with("gs://") => format!(
            "{cause}; set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        ),
        _ => cause.to_string(),
    }
}

/// object_store's requests by ureq.
#[derive(Debug)]
struct Connector;

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
        Ok(HttpClient::new(Service(config.into())))
    }
}

#[derive(Debug)]
struct Service(ureq::Agent);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.as_bytes().cloned().unwrap_or_default();
        let request = ureq::http::Request::from_parts(head, ());
        let response = if body.is_empty() {
            self.0.run(request)
        } else {
            self.0.run(request.map(|()| body.as_ref()))
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
        let stream = Stream { reader: Mutex::new(Box::new(body.into_reader())), failed: None };
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(stream)))
    }
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
