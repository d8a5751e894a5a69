//! The lists that a footer announces, counted before they're read: its reader takes memory for as many structures as a list is said to
//! have.
//!
//! Source: apache/thrift: doc/specs/thrift-compact-protocol.md.

use super::encoding::{take, varint};
use crate::text::BUDGET;

/// Most structures and lists within one another.
const DEEPEST: usize = 32;
/// Up to here lists are those of columns and groups of rows, whose structures take up to this memory; those below are small.
const OUTER: usize = DEEPEST - 4;
const LARGE: u64 = 1024;
const SMALL: u64 = 64;

const STOP: u8 = 0;
const STRUCT: u8 = 12;

/// Checks that a footer's lists are in it, and fit into memory.
pub(super) fn check(footer: &[u8]) -> Result<(), String> {
    let mut lists = Lists { rest: footer, memory: 0 };
    lists.skip(STRUCT, DEEPEST).map_err(|problem| format!("its footer is damaged: {problem}"))
}

struct Lists<'a> {
    rest: &'a [u8],
    /// Of the structures so far.
    memory: u64,
}

impl Lists<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        Ok(take(&mut self.rest, 1)?[0])
    }

    /// A number of elements or bytes, each of which has at least one of the bytes that are left.
    fn size(&mut self) -> Result<usize, String> {
        let size = usize::try_from(varint(&mut self.rest)?).unwrap_or(usize::MAX);
        if size > self.rest.len() {
            return Err(format!("a list or text of {size} is longer than it"));
        }
        Ok(size)
    }

    /// Passes over a value of a type.
    fn skip(&mut self, kind: u8, deepest: usize) -> Result<(), String> {
        let deeper = deepest.checked_sub(1).ok_or("it is nested too deeply")?;
        match kind {
            // A boolean of a structure is in the type itself.
            1 | 2 => {}
            3 => take(&mut self.rest, 1).map(|_| ())?,
            4..=6 => varint(&mut self.rest).map(|_| ())?,
            7 => take(&mut self.rest, 8).map(|_| ())?,
            8 => {
                let size = self.size()?;
                take(&mut self.rest, size)?;
            }
            9 | 10 => {
                let header = self.byte()?;
                let short = usize::from(header >> 4);
                let size = if short == 15 { self.size()? } else { short };
                self.elements(header & 15, size, deeper)?;
            }
            11 => {
                let size = self.size()?;
                let kinds = if size > 0 { self.byte()? } else { 0 };
                for _ in 0..size {
                    self.elements(kinds >> 4, 1, deeper)?;
                    self.elements(kinds & 15, 1, deeper)?;
                }
            }
            STRUCT => loop {
                let field = self.byte()?;
                let kind = field & 15;
                if kind == STOP {
                    break;
                }
                if field >> 4 == 0 {
                    varint(&mut self.rest)?;
                }
                self.skip(kind, deeper)?;
            },
            other => return Err(format!("it has a value of the unknown type {other}")),
        }
        Ok(())
    }

    fn elements(&mut self, kind: u8, size: usize, deepest: usize) -> Result<(), String> {
        if kind == STRUCT {
            self.memory += size as u64 * if deepest >= OUTER { LARGE } else { SMALL };
            if self.memory > BUDGET {
                return Err(format!("its lists take more than {BUDGET} bytes of memory"));
            }
        }
        for _ in 0..size {
            match kind {
                // Among others a boolean has a byte.
                1 | 2 => take(&mut self.rest, 1).map(|_| ())?,
                kind => self.skip(kind, deepest)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_announced_are_there() {
        // A list of two structures with a number each, a text, a set of booleans, a map of numbers to texts, a double, and a flag.
        let mut footer =
            vec![0x19, 0x2C, 0x15, 2, 0, 0x15, 4, 0, 0x18, 2, b'a', b'b', 0x1A, 0x32, 1, 2, 1];
        footer.extend([0x1B, 1, 0x58, 3, 1, b'x', 0x17]);
        footer.extend([0; 8]);
        footer.extend([0x11, 0]);
        check(&footer).unwrap();
        for end in 0..footer.len() {
            assert!(check(&footer[..end]).is_err(), "{end}");
        }
        // Four thousand million of them.
        let error = check(&[0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0]).unwrap_err();
        assert!(error.contains("a list or text of 4294967295 is longer than it"), "{error}");
        // As many as there are bytes.
        let count = 600_000_u32;
        let mut many = vec![0x19, 0xFC];
        many.extend([
            0x80 | (count & 0x7F) as u8,
            0x80 | (count >> 7 & 0x7F) as u8,
            (count >> 14) as u8,
        ]);
        many.resize(700_000, 0);
        let error = check(&many).unwrap_err();
        assert!(error.contains("its lists take more than 536870912 bytes"), "{error}");
        let deep = check(&[0x1C; 100]).unwrap_err();
        assert!(deep.contains("nested too deeply"), "{deep}");
    }
}
