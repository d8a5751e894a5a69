//! A sample as a record. What many samples share, such as the folder of their images, stands in a table of their set.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::{ImagePlace, Sample};
use crate::fetch::Local;
use crate::sets::ImageColumn;

/// Beginnings of texts in a table. Those of further texts stand in their records.
const BEGINNINGS: usize = 4_096;

/// A file that images are in.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A tar file.
    Shard(Arc<Local>),
    /// A table with a column of images.
    Column(Arc<ImageColumn>),
}

impl Source {
    fn address(&self) -> usize {
        match self {
            Self::Shard(shard) => Arc::as_ptr(shard).addr(),
            Self::Column(column) => Arc::as_ptr(column).addr(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    /// The row's split, by its number.
    split: u32,
    #[serde(borrow)]
    image: Image<'a>,
    #[serde(borrow)]
    captions: Vec<&'a str>,
    fields: Vec<u16>,
    #[serde(borrow)]
    negatives: Vec<&'a str>,
    #[serde(borrow)]
    place: Text<'a>,
}

#[derive(Serialize, Deserialize)]
enum Image<'a> {
    File(#[serde(borrow)] Text<'a>),
    Member {
        source: u32,
        name: &'a str,
        offset: u64,
        size: u64,
    },
    Row {
        source: u32,
        row: u64,
    },
    /// Any other, by its number.
    Odd(u32),
}

/// A text: the number of its beginning, and the rest.
#[derive(Serialize, Deserialize)]
struct Text<'a>(u32, &'a str);

/// What samples share.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Beginnings of texts; the first is empty.
    beginnings: Vec<String>,
    numbers: HashMap<String, u32>,
    sources: Vec<Source>,
    /// The numbers of sources, by their addresses.
    addresses: HashMap<usize, u32>,
    /// Images whose paths aren't UTF-8, and those of no such source.
    odd: Vec<ImagePlace>,
}

impl Names {
    pub(super) fn new(beginnings: Vec<String>) -> Self {
        let numbers = (0..).zip(&beginnings).map(|(number, text)| (text.clone(), number)).collect();
        let mut names = Self { beginnings, numbers, ..Self::default() };
        if names.beginnings.is_empty() {
            names.beginnings.push(String::new());
        }
        names
    }

    pub(super) fn beginnings(&self) -> &[String] {
        &self.beginnings
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the records can be read in another process.
    pub(super) fn are_all_kept(&self) -> bool {
        self.odd.is_empty()
    }

    /// The number of a source.
    pub(super) fn source(&mut self, source: Source) -> u32 {
        *self.addresses.entry(source.address()).or_insert_with(|| {
            self.sources.push(source);
            self.sources.len() as u32 - 1
        })
    }

    fn text<'a>(&mut self, text: &'a str) -> Text<'a> {
        let end = text.rfind(['/', '\\']).map_or(0, |at| at + 1);
        let (beginning, rest) = text.split_at(end);
        if beginning.is_empty() {
            return Text(0, text);
        }
        if let Some(number) = self.numbers.get(beginning) {
            return Text(*number, rest);
        }
        if self.beginnings.len() >= BEGINNINGS {
            return Text(0, text);
        }
        let number = self.beginnings.len() as u32;
        self.beginnings.push(beginning.to_owned());
        self.numbers.insert(beginning.to_owned(), number);
        Text(number, rest)
    }

    fn whole(&self, Text(number, rest): &Text<'_>) -> Option<String> {
        Some([self.beginnings.get(*number as usize)?, *rest].concat())
    }

    fn image<'a>(&mut self, image: &'a ImagePlace) -> Image<'a> {
        match image {
            ImagePlace::File(path) if path.to_str().is_some() => {
                Image::File(self.text(path.to_str().unwrap_or_default()))
            }
            ImagePlace::Member { shard, name, offset, size } => {
                let source = self.source(Source::Shard(Arc::clone(shard)));
                Image::Member { source, name, offset: *offset, size: *size }
            }
            ImagePlace::Row { column, row } => {
                let source = self.source(Source::Column(Arc::clone(column)));
                Image::Row { source, row: *row }
            }
            other => {
                self.odd.push(other.clone());
                Image::Odd(self.odd.len() as u32 - 1)
            }
        }
    }

    fn place(&self, image: &Image<'_>) -> Option<ImagePlace> {
        let source = |number: u32| self.sources.get(number as usize);
        Some(match image {
            Image::File(path) => ImagePlace::File(PathBuf::from(self.whole(path)?)),
            Image::Member { source: number, name, offset, size } => {
                let Source::Shard(shard) = source(*number)? else { return None };
                let (shard, name) = (Arc::clone(shard), (*name).to_owned());
                ImagePlace::Member { shard, name, offset: *offset, size: *size }
            }
            Image::Row { source: number, row } => {
                let Source::Column(column) = source(*number)? else { return None };
                ImagePlace::Row { column: Arc::clone(column), row: *row }
            }
            Image::Odd(number) => self.odd.get(*number as usize)?.clone(),
        })
    }

    /// The record of a sample, whose part isn't in it.
    pub(super) fn record(&mut self, sample: &Sample, split: u32) -> Vec<u8> {
        let record = Record {
            split,
            image: self.image(&sample.image),
            captions: sample.captions.iter().map(String::as_str).collect(),
            fields: sample.fields.clone(),
            negatives: sample.negatives.iter().map(String::as_str).collect(),
            place: self.text(&sample.place),
        };
        encoded(&record)
    }

    /// The sample of a record, and its split.
    pub(super) fn sample(&self, record: &[u8], part: u16) -> Option<(Sample, u32)> {
        let record: Record<'_> = postcard::from_bytes(record).ok()?;
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let sample = Sample {
            image: self.place(&record.image)?,
            captions: owned(record.captions),
            fields: record.fields,
            negatives: owned(record.negatives),
            place: self.whole(&record.place)?,
            part,
        };
        Some((sample, record.split))
    }
}

/// A value's bytes.
pub(super) fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("memory takes any bytes, and every value has a length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_its_record_says() {
        let shard =
            Arc::new(Local { name: "s.tar".to_owned(), path: "s.tar".into(), damage: None });
        let member =
            ImagePlace::Member { shard, name: "é/0.jpg".to_owned(), offset: 1 << 40, size: 7 };
        let file = |path: &str| ImagePlace::File(path.into());
        let mut images =
            vec![file("a.jpg"), file("/x/a.jpg"), file("/x/y\\b.jpg"), file(""), member];
        images
            .push(ImagePlace::Cifar { file: Arc::from(std::path::Path::new("c.bin")), offset: 3 });
        #[cfg(unix)]
        images.push({
            let name: std::ffi::OsString =
                std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
            ImagePlace::File(name.into())
        });
        let mut names = Names::new(Vec::new());
        for (number, image) in images.into_iter().enumerate() {
            let sample = Sample {
                image,
                captions: vec!["a cat".to_owned(), "ein Löwe".to_owned()],
                fields: vec![0, 300],
                negatives: vec![String::new(); number],
                place: format!("/x/set.jsonl line {number}"),
                part: 2,
            };
            let record = names.record(&sample, 5);
            assert_eq!(names.sample(&record, 2).unwrap(), (sample, 5));
            assert!(names.sample(&record[..record.len() - 1], 2).is_none());
        }
        assert_eq!(names.beginnings(), ["", "/x/", "/x/y\\"]);
        assert!(!names.are_all_kept());
    }

    #[test]
    fn a_table_of_folders_has_an_end() {
        let mut names = Names::new(Vec::new());
        for number in 0..2 * BEGINNINGS {
            let path = format!("/{number}/a.jpg");
            let text = names.text(&path);
            assert_eq!(names.whole(&text).unwrap(), path);
        }
        assert_eq!(names.beginnings().len(), BEGINNINGS);
    }
}
