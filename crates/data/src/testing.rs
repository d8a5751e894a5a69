//! What tests of several readers share.

use std::fmt::{Debug, Display};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::sets::ImageTextSet;

/// A temporary folder.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = dir.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        dir
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }
}

pub(crate) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A tar file of members of any type, each with its name and content.
pub(crate) fn tar_of(members: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_mut_bytes()[156] = *kind;
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend(*content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Checks that a result is an error with these parts in its message.
#[track_caller]
pub(crate) fn fails<T: Debug, E: Debug + Display>(result: Result<T, E>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// The captions of each sample, with `|` between them.
pub(crate) fn captions(set: &ImageTextSet) -> Vec<String> {
    set.samples.iter().map(|sample| sample.captions.join("|")).collect()
}

/// The fields of each sample's captions.
pub(crate) fn fields(set: &ImageTextSet) -> Vec<&[u16]> {
    set.samples.iter().map(|sample| sample.fields.as_slice()).collect()
}

pub(crate) fn kinds(set: &ImageTextSet) -> Vec<&str> {
    set.skipped.iter().map(|(_, why)| why.split(':').next().unwrap()).collect()
}

pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
