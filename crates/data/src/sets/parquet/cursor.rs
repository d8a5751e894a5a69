//! The rows of a column, read page by page: a group of rows may have any number of them.

use std::fs::File;
use std::io::BufReader;

use super::encoding::Values;
use super::file::Leaf;
use super::pages::{Chunk, Page};
use crate::text::reason;

/// Most bytes of a row's texts in a column, far more than they have: a dictionary repeats a text at the cost of a bit.
const LONGEST_TEXTS: usize = 1 << 20;
/// Most texts of a row in a column.
const MOST_TEXTS: usize = 1 << 16;

/// The texts of a row in a column, empty for null; or why they aren't read.
pub(super) type Texts = Result<Vec<Vec<u8>>, String>;

/// A column of a group of rows, standing at one of them.
#[derive(Debug)]
pub(super) struct Cursor {
    name: String,
    max_definition: u32,
    chunk: Chunk,
    dictionary: Option<Values>,
    /// The next page of the chunk.
    next: usize,
    page: Page,
    /// The next entry of the page, and the next value that isn't null.
    entry: usize,
    value: usize,
    /// Rows before this one.
    rows: usize,
}

impl Cursor {
    pub(super) fn new(
        chunk: Chunk,
        leaf: &Leaf,
        file: &mut BufReader<File>,
    ) -> Result<Self, String> {
        Ok(Self {
            name: leaf.path.join("."),
            max_definition: leaf.max_definition,
            dictionary: chunk.dictionary(file)?,
            chunk,
            next: 0,
            page: Page::default(),
            entry: 0,
            value: 0,
            rows: 0,
        })
    }

    /// Goes to the page of the next entry; `false` at the end.
    fn fill(&mut self, file: &mut BufReader<File>) -> Result<bool, String> {
        while self.entry == self.page.entries {
            if self.next == self.chunk.pages.len() {
                return Ok(false);
            }
            // Of two pages one is held.
            self.page = Page::default();
            self.page = self.chunk.page(file, self.next, self.dictionary.as_ref())?;
            (self.next, self.entry, self.value) = (self.next + 1, 0, 0);
        }
        Ok(true)
    }

    /// Goes over the rows before `row`.
    fn go_to(&mut self, row: usize, file: &mut BufReader<File>) -> Result<(), String> {
        while self.rows < row {
            self.row(false, file).map(drop)?;
        }
        Ok(())
    }

    /// The texts of row number `row`, which hasn't been read.
    pub(super) fn texts(
        &mut self,
        row: usize,
        file: &mut BufReader<File>,
    ) -> Result<Texts, String> {
        self.go_to(row, file)?;
        Ok(self.row(true, file)?.1)
    }

    /// Whether row number `row` is there, in a column of one value for each row.
    pub(super) fn is_there(
        &mut self,
        row: usize,
        file: &mut BufReader<File>,
    ) -> Result<bool, String> {
        self.go_to(row, file)?;
        Ok(self.row(false, file)?.0)
    }

    /// Goes over a row: whether it has a value, and its texts if they are kept.
    fn row(&mut self, keeps: bool, file: &mut BufReader<File>) -> Result<(bool, Texts), String> {
        if !self.fill(file)? {
            return Err(format!(
                "column {:?} has {} rows, and its group more",
                self.name, self.rows
            ));
        }
        if self.page.repetition(self.entry) != 0 {
            return Err("its first row has no beginning".to_owned());
        }
        let (mut is_there, mut bytes, mut count) = (false, 0, 0);
        let mut texts = Vec::new();
        loop {
            if self.page.definition(self.entry) == self.max_definition {
                let text = self.page.values.get(self.value).ok_or("a page lacks values")?;
                (is_there, bytes, count) = (true, bytes + text.len(), count + 1);
                if keeps && bytes <= LONGEST_TEXTS && count <= MOST_TEXTS {
                    texts.push(text.to_vec());
                }
                self.value += 1;
            }
            self.entry += 1;
            if !self.fill(file)? || self.page.repetition(self.entry) == 0 {
                break;
            }
        }
        self.rows += 1;
        if keeps && (bytes > LONGEST_TEXTS || count > MOST_TEXTS) {
            let what = if count > MOST_TEXTS { (count, "texts") } else { (bytes, "bytes of text") };
            let why = format!("column {:?} has {} {}", self.name, what.0, what.1);
            return Ok((is_there, Err(reason("too long", why))));
        }
        Ok((is_there, Ok(texts)))
    }

    /// Checks that no row is left.
    pub(super) fn end(&mut self, file: &mut BufReader<File>) -> Result<(), String> {
        if self.fill(file)? {
            return Err(format!("column {:?} has more rows than its group", self.name));
        }
        Ok(())
    }
}
