//! A table of images and captions, comma- or tab-separated, with a header.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::json_lines::file_at;
use super::names::{CAPTION_KEYS, Captions, IMAGE_KEYS, NEGATIVE_KEY};
use super::{Found, ImageTextSet, images_dir, not_blank, reason};
use crate::DataError;
use crate::caption_stream::table::Table;
use crate::text::utf8;

impl ImageTextSet {
    /// The rows of a table, in their order: tab-separated if the name ends in `.tsv`, else comma-separated, with a header.
    ///
    /// The image's path is in the column `image`, `file_name`, `filename`, `filepath` or `path`, relative to `images_dir` or else to the
    /// file's folder; the caption in `caption`, `text` or `title`; an optional negative in `negative`. Other columns and blank lines are
    /// ignored; a row that can't be used is skipped. `fields` replaces the columns of captions; a sample has those of all.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or `images_dir`; [`DataError::Format`] for missing columns, and if no row can be used.
    pub fn table(
        file: &Path,
        images_dir: Option<&Path>,
        fields: &[String],
    ) -> Result<Self, DataError> {
        let images_dir = self::images_dir(file, images_dir)?;
        let wrong = |source| DataError::io(file, source);
        let mut input = BufReader::with_capacity(1 << 16, File::open(file).map_err(wrong)?);
        let is_tabbed = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("tsv"));
        let mut table = Table::new(if is_tabbed { b'\t' } else { b',' });
        if !table.advance(&mut input).map_err(wrong)? {
            let problem = "it is empty; its first line should name the columns";
            return Err(DataError::format(file, problem));
        }
        let columns = Columns::of(&table, fields);
        let columns = columns.map_err(|problem| DataError::format(file, problem))?;
        let mut set = Self::default();
        while table.advance(&mut input).map_err(wrong)? {
            let place = format!("{} line {}", file.display(), table.line);
            set.push(place, columns.sample(&table, images_dir));
        }
        set.unless_empty(file, || "no usable line below the header".to_owned())
    }
}

/// The columns of a sample's parts.
struct Columns<'a> {
    all: usize,
    image: usize,
    /// Those of `fields`, or the usual one.
    captions: Vec<usize>,
    fields: &'a [String],
    negative: Option<usize>,
}

impl<'a> Columns<'a> {
    /// By the header, the table's current row.
    fn of(header: &Table, fields: &'a [String]) -> Result<Self, String> {
        let missing = |what: &str, keys: &[&str]| {
            format!(
                "no column of {what} ({}); the first line names {}. A .tsv file is read with tabs, any other with commas",
                keys.join(" or "),
                header.names()
            )
        };
        let one = |keys: &[&str]| header.find(keys).ok_or_else(|| missing("captions", keys));
        let captions = if fields.is_empty() {
            vec![one(&CAPTION_KEYS)?]
        } else {
            fields.iter().map(|field| one(&[field])).collect::<Result<_, _>>()?
        };
        Ok(Self {
            all: header.columns,
            image: header.find(&IMAGE_KEYS).ok_or_else(|| missing("images", &IMAGE_KEYS))?,
            captions,
            fields,
            negative: header.find(&[NEGATIVE_KEY]),
        })
    }

    fn sample(&self, row: &Table, images_dir: &Path) -> Found {
        row.check(self.all)?;
        let text = |column: usize| utf8(row.field(column));
        let captions = if self.fields.is_empty() {
            let captions = not_blank([text(self.captions[0])?]);
            if captions.is_empty() {
                return Err(reason("without a caption", "it is blank"));
            }
            Captions::usual(captions)
        } else {
            let mut columns = self.captions.iter();
            Captions::of(self.fields, |_| {
                let column = columns.next().map(|column| text(*column));
                Ok(not_blank(column.transpose()?))
            })?
        };
        let path = text(self.image)?;
        if path.trim().is_empty() {
            return Err(reason("without an image", "its path is blank"));
        }
        let negatives = not_blank(self.negative.map(text).transpose()?);
        Ok((file_at(&images_dir.join(path))?.into(), captions, negatives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, captions, fails, fields, kinds, strings};

    fn read_table(name: &str, content: impl AsRef<[u8]>) -> Result<ImageTextSet, DataError> {
        read_by(name, content, &[])
    }

    fn read_by(
        name: &str,
        content: impl AsRef<[u8]>,
        fields: &[&str],
    ) -> Result<ImageTextSet, DataError> {
        let files = [("a.jpg", &b""[..]), ("b, c.jpg", b""), (name, content.as_ref())];
        ImageTextSet::table(&Dir::with(&files).path(name), None, &strings(fields))
    }

    #[test]
    fn commas_and_tabs_quotes_and_columns_in_any_order() {
        let table = "id,title,filepath,negative\r\n1,\"a \"\"big\"\" dog\",a.jpg,a cat\n2,x,\"b, c.jpg\",\n";
        let set = read_table("t.csv", table).unwrap();
        assert_eq!(captions(&set), ["a \"big\" dog", "x"]);
        assert_eq!(set.samples[0].negatives, ["a cat"]);
        assert!(set.samples[1].negatives.is_empty());
        assert!(set.samples[1].image.to_string().ends_with("b, c.jpg"));
        let tabs = read_table("t.tsv", "image\tcaption\na.jpg\ta, b\n").unwrap();
        assert_eq!(captions(&tabs), ["a, b"]);
    }

    #[test]
    fn captions_stand_in_the_columns_that_are_asked_for() {
        let table = "alt,image,made\nx,a.jpg,y\n,a.jpg,z\n,a.jpg,\n";
        let set = read_by("t.csv", table, &["made", "alt"]).unwrap();
        assert_eq!(captions(&set), ["y|x", "z"]);
        assert_eq!(fields(&set), [&[0, 1][..], &[0]]);
        assert_eq!(set.skipped.len(), 1);
        fails(read_by("t.csv", table, &["made", "none"]), &["no column of captions (none)"]);
    }

    #[test]
    fn bad_lines_are_skipped_and_told() {
        let mut table = b"image,caption\na.jpg,good\nnone.jpg,x\na.jpg\na.jpg, \n,x\n".to_vec();
        table.extend(b"a.jpg,\xff\n");
        let set = read_table("t.csv", table).unwrap();
        assert_eq!(set.samples.len(), 1);
        let expected = [
            "image not found",
            "wrong number of columns",
            "without a caption",
            "without an image",
            "not UTF-8",
        ];
        assert_eq!(kinds(&set), expected);
        assert!(set.skipped[0].0.ends_with("t.csv line 3"));
    }

    #[test]
    fn a_table_without_its_columns_or_lines_says_so() {
        let error = |content: &str| read_table("t.csv", content).unwrap_err().to_string();
        assert!(error("").contains("empty"));
        assert!(error("image\ttitle\na.jpg\tx\n").contains("A .tsv file is read with tabs"));
        assert!(error("image,words\n").contains("no column of captions"));
        assert!(error("image,caption\n").contains("no usable line below the header"));
        assert!(error("image,caption\nx.jpg,a\n").contains("image not found"));
    }
}
