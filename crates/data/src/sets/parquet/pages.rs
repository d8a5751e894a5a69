//! The pages of a column and their values.
//!
//! Source: apache/parquet-format: README.md (data pages), Compression.md.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{ColumnMetaData, CompressionCodec, Encoding, PageHeader, PageType};

use super::encoding::{
    Values, bits_for, delta_lengths, delta_strings, hybrid, length, placed, plain, take,
};
use super::file::Leaf;
use crate::text::BUDGET;

/// Most bytes of a page's header, with the longest values in its statistics.
const LONGEST_HEADER: usize = 16 << 20;
/// Most bytes of a decompressed page, and of the compressed one where both are held.
const LARGEST_PAGE: usize = BUDGET as usize;
/// Most values of a page. A run of any length takes a few bytes in the file, and each of its values [`ENTRY`] in memory.
const MOST_ENTRIES: usize = 1 << 23;
/// Bytes of memory of a page's value beside its text: two levels, an index and a range.
const ENTRY: u64 = 28;
/// Most pages of a column in a group of rows.
const MOST_PAGES: usize = 1 << 20;

/// A page's place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// Bytes with the header.
    pub(super) size: u64,
    /// Bytes before compression.
    unpacked: u64,
    /// Values, including nulls.
    pub(super) entries: usize,
}

impl Place {
    /// Memory of the page while it's read.
    pub(super) fn memory(&self) -> u64 {
        self.size + self.unpacked + ENTRY * self.entries as u64
    }
}

/// The pages of a column in a group of rows.
#[derive(Debug)]
pub(super) struct Chunk {
    codec: CompressionCodec,
    max_definition: u32,
    max_repetition: u32,
    pub(super) dictionary: Option<Place>,
    pub(super) pages: Vec<Place>,
}

/// A page's values.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: usize,
    repetitions: Vec<u32>,
    definitions: Vec<u32>,
    /// The values that aren't null.
    pub(super) values: Values,
}

impl Page {
    pub(super) fn repetition(&self, entry: usize) -> u32 {
        self.repetitions.get(entry).copied().unwrap_or(0)
    }

    /// A column without nulls has no definitions; its highest level is 0.
    pub(super) fn definition(&self, entry: usize) -> u32 {
        self.definitions.get(entry).copied().unwrap_or(0)
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn header(file: impl Read) -> Result<PageHeader, String> {
    let mut protocol = TCompactInputProtocol::new(file, LONGEST_HEADER);
    PageHeader::read_from_in_protocol(&mut protocol)
        .map_err(|error| format!("the header of a page is damaged: {error}"))
}

fn size(number: i32) -> Result<usize, String> {
    usize::try_from(number)
        .map_err(|_| "the header of a page is damaged: a negative size".to_owned())
}

impl Chunk {
    /// Finds the pages by their headers, without reading their content.
    pub(super) fn find(
        file: &mut BufReader<File>,
        bytes: u64,
        meta: &ColumnMetaData,
        leaf: &Leaf,
    ) -> Result<Self, String> {
        let name = leaf.path.join(".");
        let damaged = || format!("column {name:?} is damaged: its place is not in the file");
        let start = match meta.dictionary_page_offset {
            // Some writers put 0 for a missing dictionary.
            Some(dictionary) if 0 < dictionary && dictionary < meta.data_page_offset => dictionary,
            _ => meta.data_page_offset,
        };
        let start = u64::try_from(start).map_err(|_| damaged())?;
        let length = u64::try_from(meta.total_compressed_size).map_err(|_| damaged())?;
        let end = start.checked_add(length).filter(|end| *end <= bytes);
        let end = end.ok_or_else(damaged)?;
        let mut chunk = Self {
            codec: meta.codec,
            max_definition: leaf.max_definition,
            max_repetition: leaf.max_repetition,
            dictionary: None,
            pages: Vec::new(),
        };
        let of_column = |problem: String| format!("column {name:?}: {problem}");
        file.seek(SeekFrom::Start(start)).map_err(words)?;
        let mut offset = start;
        while offset < end {
            let found = header(&mut *file).map_err(of_column)?;
            let body = size(found.compressed_page_size).map_err(of_column)?;
            let after = file.stream_position().map_err(words)? + body as u64;
            if after > end {
                return Err(of_column("a page is longer than its column".to_owned()));
            }
            let entries = if let Some(header) = &found.data_page_header {
                Some(header.num_values)
            } else {
                found.data_page_header_v2.as_ref().map(|header| header.num_values)
            };
            let place = Place {
                offset,
                size: after - offset,
                unpacked: size(found.uncompressed_page_size).map_err(of_column)? as u64,
                entries: size(entries.unwrap_or(0)).map_err(of_column)?,
            };
            if place.entries > MOST_ENTRIES || chunk.pages.len() == MOST_PAGES {
                return Err(of_column(format!(
                    "it has a page of {} values, or more than {MOST_PAGES} pages; at most {MOST_ENTRIES} values are read at once; write it with smaller groups of rows",
                    place.entries
                )));
            }
            match found.type_ {
                PageType::DICTIONARY_PAGE => chunk.dictionary = Some(place),
                PageType::DATA_PAGE | PageType::DATA_PAGE_V2 => chunk.pages.push(place),
                _ => {}
            }
            file.seek_relative(body as i64).map_err(words)?;
            offset = after;
        }
        let entries = chunk.entries();
        if i64::try_from(entries) != Ok(meta.num_values) {
            return Err(of_column(format!(
                "its pages have {entries} values, and the footer says {}",
                meta.num_values
            )));
        }
        Ok(chunk)
    }

    /// The number of its values, including nulls.
    pub(super) fn entries(&self) -> usize {
        self.pages.iter().map(|page| page.entries).sum()
    }

    /// The dictionary of its pages.
    pub(super) fn dictionary(&self, file: &mut BufReader<File>) -> Result<Option<Values>, String> {
        let Some(place) = self.dictionary else {
            return Ok(None);
        };
        let (found, mut body) = open(file, place)?;
        let count = found.dictionary_page_header.map_or(0, |header| header.num_values);
        let count = size(count)?;
        if count > MOST_ENTRIES {
            return Err(format!(
                "a dictionary has {count} values; at most {MOST_ENTRIES} are read"
            ));
        }
        let page = self.unpack(&mut body, size(found.uncompressed_page_size)?)?;
        plain(page, 0, count).map(Some)
    }

    /// The content of a page.
    pub(super) fn page(
        &self,
        file: &mut BufReader<File>,
        at: usize,
        dictionary: Option<&Values>,
    ) -> Result<Page, String> {
        let place = self.pages[at];
        let (found, mut body) = open(file, place)?;
        let unpacked = size(found.uncompressed_page_size)?;
        let entries = place.entries;
        let (repetitions, definitions, page, start, encoding);
        if let Some(header) = found.data_page_header_v2 {
            let mut levels = |length: i32, most: u32| {
                let bytes = raw(&mut body, Some(size(length)?))?;
                read_levels(&bytes, most, entries)
            };
            repetitions = levels(header.repetition_levels_byte_length, self.max_repetition)?;
            definitions = levels(header.definition_levels_byte_length, self.max_definition)?;
            let levels = size(header.repetition_levels_byte_length)?
                + size(header.definition_levels_byte_length)?;
            let left = unpacked.checked_sub(levels).ok_or("a page is shorter than its levels")?;
            page = if header.is_compressed.unwrap_or(true) {
                self.unpack(&mut body, left)?
            } else {
                raw(&mut body, None)?
            };
            start = 0;
            encoding = header.encoding;
        } else if let Some(header) = found.data_page_header {
            page = self.unpack(&mut body, unpacked)?;
            let mut rest = page.as_slice();
            let mut levels = |most: u32, encoding: Encoding| {
                if most == 0 {
                    return Ok(Vec::new());
                }
                if encoding != Encoding::RLE {
                    return Err("its levels have an obsolete encoding".to_owned());
                }
                let length = length(&mut rest)?;
                read_levels(take(&mut rest, length)?, most, entries)
            };
            repetitions = levels(self.max_repetition, header.repetition_level_encoding)?;
            definitions = levels(self.max_definition, header.definition_level_encoding)?;
            start = page.len() - rest.len();
            encoding = header.encoding;
        } else {
            return Err("the header of a page is damaged: unknown kind".to_owned());
        }
        let count = if self.max_definition == 0 {
            entries
        } else {
            let whole = |level: &&u32| **level == self.max_definition;
            definitions.iter().filter(whole).count()
        };
        let values = match encoding {
            Encoding::PLAIN => plain(page, start, count)?,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => {
                let dictionary = dictionary.ok_or("a page's dictionary is missing")?;
                placed(&page[start..], count, dictionary)?
            }
            Encoding::DELTA_LENGTH_BYTE_ARRAY => delta_lengths(page, start, count)?,
            Encoding::DELTA_BYTE_ARRAY => {
                let most = LARGEST_PAGE.saturating_sub(page.len());
                delta_strings(page, start, count, most)?
            }
            other => {
                return Err(format!("its encoding, number {}, is not for texts", other.0));
            }
        };
        if values.ranges.len() != count {
            return Err(format!("a page has {} values instead of {count}", values.ranges.len()));
        }
        Ok(Page { entries, repetitions, definitions, values })
    }

    /// The `expected` bytes of a page before compression.
    fn unpack(&self, body: &mut Body<'_>, expected: usize) -> Result<Vec<u8>, String> {
        // Snappy's block is held beside what it unpacks to; the others stream.
        let packed = if self.codec == CompressionCodec::SNAPPY { body.limit() } else { 0 };
        let needed = packed.saturating_add(expected as u64);
        if needed > LARGEST_PAGE as u64 {
            return Err(format!(
                "a page takes {needed} bytes of memory; at most {LARGEST_PAGE} are read; write it with smaller groups of rows"
            ));
        }
        let page = match self.codec {
            CompressionCodec::UNCOMPRESSED => raw(body, None)?,
            // An empty page may be compressed to nothing.
            _ if body.limit() == 0 => Vec::new(),
            CompressionCodec::SNAPPY => {
                let bytes = raw(body, None)?;
                // The decoder would trust the length at the beginning.
                if snap::raw::decompress_len(&bytes).map_err(words)? != expected {
                    return Err("a page is damaged: its length differs from its header".to_owned());
                }
                snap::raw::Decoder::new().decompress_vec(&bytes).map_err(words)?
            }
            CompressionCodec::GZIP => all(flate2::read::MultiGzDecoder::new(body), expected)?,
            CompressionCodec::ZSTD => {
                all(ruzstd::decoding::StreamingDecoder::new(body).map_err(words)?, expected)?
            }
            other => {
                let name = match other {
                    CompressionCodec::BROTLI => "Brotli".to_owned(),
                    CompressionCodec::LZ4 | CompressionCodec::LZ4_RAW => "LZ4".to_owned(),
                    CompressionCodec::LZO => "LZO".to_owned(),
                    other => format!("codec {}", other.0),
                };
                return Err(format!(
                    "it is compressed with {name}, which is not supported; write it with snappy, gzip, zstd or none"
                ));
            }
        };
        if page.len() != expected {
            return Err(format!("a page has {} bytes, and its header says {expected}", page.len()));
        }
        Ok(page)
    }
}

/// The rest of a page in the file.
type Body<'a> = std::io::Take<&'a mut BufReader<File>>;

/// The header of a page, and what follows it.
fn open(file: &mut BufReader<File>, place: Place) -> Result<(PageHeader, Body<'_>), String> {
    file.seek(SeekFrom::Start(place.offset)).map_err(words)?;
    let found = header(&mut *file)?;
    // `Chunk::find` has checked the size against the file's.
    let begins = file.stream_position().map_err(words)?;
    let left = (place.offset + place.size).checked_sub(begins).ok_or("a page has changed")?;
    Ok((found, file.take(left)))
}

/// The next bytes of a page, or all that are left.
fn raw(body: &mut Body<'_>, length: Option<usize>) -> Result<Vec<u8>, String> {
    let length = length.map_or(body.limit(), |length| length as u64);
    if length > body.limit() {
        return Err("its values end early".to_owned());
    }
    if length > LARGEST_PAGE as u64 {
        return Err(format!("a page has {length} bytes; at most {LARGEST_PAGE} are read"));
    }
    let mut bytes = vec![0; length as usize];
    body.read_exact(&mut bytes).map_err(words)?;
    Ok(bytes)
}

/// What a decoder gives, but for a byte more than expected.
fn all(decoder: impl Read, expected: usize) -> Result<Vec<u8>, String> {
    let mut page = Vec::new();
    page.try_reserve_exact(expected + 1).map_err(words)?;
    decoder.take(expected as u64 + 1).read_to_end(&mut page).map_err(words)?;
    Ok(page)
}

fn read_levels(bytes: &[u8], most: u32, entries: usize) -> Result<Vec<u32>, String> {
    if most == 0 {
        return Ok(Vec::new());
    }
    hybrid(bytes, bits_for(most), entries)
}
