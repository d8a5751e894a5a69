//! Files of a few bytes that unpack to much, made here.
//!
//! Source: apache/parquet-format: src/main/thrift/parquet.thrift, for the numbers of fields, types and encodings.

use super::*;
use crate::testing::{Dir, captions, fails, gzip};

/// A structure of Thrift's compact protocol.
#[derive(Default)]
struct Fields(Vec<u8>, u8);

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7F {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

impl Fields {
    fn field(mut self, id: u8, kind: u8, value: impl AsRef<[u8]>) -> Self {
        self.0.push((id - self.1) << 4 | kind);
        self.0.extend(value.as_ref());
        Self(self.0, id)
    }

    /// A number of 32 or 64 bits, neither negative.
    fn number(self, id: u8, value: u64) -> Self {
        self.field(id, 6, varint(value << 1))
    }

    fn int(self, id: u8, value: u32) -> Self {
        self.field(id, 5, varint(u64::from(value) << 1))
    }

    fn text(self, id: u8, text: &str) -> Self {
        self.field(id, 8, [&varint(text.len() as u64), text.as_bytes()].concat())
    }

    fn list(self, id: u8, kind: u8, items: &[Vec<u8>]) -> Self {
        self.field(id, 9, [&[(items.len() as u8) << 4 | kind][..], &items.concat()].concat())
    }

    fn inner(self, id: u8, inner: Self) -> Self {
        self.field(id, 12, inner.end())
    }

    fn end(self) -> Vec<u8> {
        [self.0, vec![0]].concat()
    }
}

/// A page: its values, its kind and size in the header, and its content as it's in the file.
#[derive(Clone)]
struct Made {
    values: u32,
    is_dictionary: bool,
    unpacked: u32,
    content: Vec<u8>,
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        let header = Fields::default()
            .int(1, if self.is_dictionary { 2 } else { 0 })
            .int(2, self.unpacked)
            .int(3, self.content.len() as u32);
        let of_kind = Fields::default().int(1, self.values);
        let header = if self.is_dictionary {
            header.inner(7, of_kind.int(2, 0))
        } else {
            // Of indices in a dictionary; levels in runs.
            header.inner(5, of_kind.int(2, 8).int(3, 3).int(4, 3))
        };
        [header.end(), self.content.clone()].concat()
    }
}

/// A file of a column of captions, with a dictionary and a page, and of one of paths, which has the same page.
fn file(rows: u64, codec: u32, captions: &[Made]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let paths = [packed(true, 1, b"\x05\0\0\0a.jpg"), captions[1].clone()];
    let mut columns = Vec::new();
    for (name, pages) in [("caption", captions), ("image", &paths)] {
        let start = bytes.len() as u64;
        for page in pages {
            bytes.extend(page.bytes());
        }
        let data = pages.iter().filter(|page| !page.is_dictionary);
        let values: u64 = data.map(|page| u64::from(page.values)).sum();
        let path = [varint(name.len() as u64), name.as_bytes().to_vec()].concat();
        let size = bytes.len() as u64 - start;
        let meta = Fields::default()
            .int(1, 6)
            .list(2, 5, &[varint(16)])
            .list(3, 8, &[path])
            .int(4, codec)
            .number(5, values)
            .number(6, size)
            .number(7, size)
            .number(9, start + pages[0].bytes().len() as u64)
            .number(11, start);
        columns.push(Fields::default().number(2, 0).inner(3, meta).end());
    }
    let leaf = |name| Fields::default().int(1, 6).int(3, 0).text(4, name).int(6, 0).end();
    let root = Fields::default().text(4, "schema").int(5, 2).end();
    let group = Fields::default().list(1, 12, &columns).number(2, 0).number(3, rows);
    let footer = Fields::default()
        .int(1, 1)
        .list(2, 12, &[root, leaf("caption"), leaf("image")])
        .number(3, rows)
        .list(4, 12, &[group.end()])
        .end();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

const GZIP: u32 = 2;

fn packed(is_dictionary: bool, values: u32, content: &[u8]) -> Made {
    Made { values, is_dictionary, unpacked: content.len() as u32, content: gzip(content) }
}

/// A dictionary of one text, and a page that has it in so many rows: indices of no bits.
fn repeated(text: &[u8], rows: u32) -> [Made; 2] {
    let dictionary = [&(text.len() as u32).to_le_bytes()[..], text].concat();
    let run = [vec![0], varint(u64::from(rows) << 1)].concat();
    [packed(true, 1, &dictionary), packed(false, rows, &run)]
}

fn read(bytes: &[u8]) -> (Dir, Result<ImageTextSet, DataError>) {
    let dir = Dir::with(&[("bomb.parquet", bytes), ("a.jpg", b"")]);
    let (path, cache) = (dir.path("bomb.parquet"), Cache::silent(None));
    let set = ImageTextSet::parquet(&path.to_string_lossy(), &Options::default(), &cache);
    (dir, set)
}

#[test]
fn a_file_made_here_is_read_as_any_other() {
    let (_dir, set) = read(&file(3, GZIP, &repeated(b"a dog", 3)));
    assert_eq!(captions(&set.unwrap()), ["a dog"; 3]);
}

#[test]
fn a_number_of_rows_is_no_reason_to_take_memory() {
    for rows in [1 << 62, 4] {
        let (_dir, set) = read(&file(rows, GZIP, &repeated(b"a dog", 3)));
        fails(set, &["bomb.parquet: column \"caption\" has 3 rows, and its group more"]);
    }
    let (_dir, set) = read(&file(2, GZIP, &repeated(b"a dog", 3)));
    fails(set, &["column \"caption\" has more rows than its group"]);
}

/// Two kilobytes that would be a thousand texts of two megabytes.
#[test]
fn a_long_text_is_not_repeated() {
    let bytes = file(1_000, GZIP, &repeated(&vec![b'a'; 2 << 20], 1_000));
    assert!(bytes.len() < 40_000, "{}", bytes.len());
    let (_dir, set) = read(&bytes);
    let error = set.unwrap_err().to_string();
    assert!(error.contains("skipped: 1,000 too long"), "{error}");
}

#[test]
fn a_page_has_no_more_values_and_bytes_than_memory_has_room_for() {
    let [dictionary, page] = repeated(b"a dog", 3);
    let many = Made { values: 2_000_000_000, ..page.clone() };
    let (_dir, set) = read(&file(2_000_000_000, GZIP, &[dictionary.clone(), many]));
    fails(set, &["a page of 2000000000 values", "at most 8388608", "smaller groups of rows"]);
    for is_dictionary in [true, false] {
        let mut pages = [dictionary.clone(), page.clone()];
        pages[usize::from(!is_dictionary)].unpacked = 2_000_000_000;
        let (_dir, set) = read(&file(3, GZIP, &pages));
        fails(set, &["a page takes 2000000000 bytes of memory; at most 536870912"]);
    }
}

#[test]
fn rows_unpack_to_a_limited_multiple_of_the_file() {
    let dir = Dir::with(&[("bomb.parquet", &file(3, GZIP, &repeated(b"a dog", 3)))]);
    let mut table = Table::open(&dir.path("bomb.parquet")).unwrap();
    let found = (0..).find_map(|row| table.count(1 << 20).err().map(|why| (row, why)));
    let (row, why) = found.unwrap();
    assert!((120..=128).contains(&row) && why.contains("100 times its size"), "{row}: {why}");
}
