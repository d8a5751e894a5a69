//! A table of images and captions, comma- or tab-separated, with a header. Called by [`ImageTextSet::table`].

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use super::json_lines::file_at;
use super::names::{CAPTION_KEYS, Captions, IMAGE_KEYS, NEGATIVE_KEY};
use super::{ImageTextSet, Sample, not_blank, reason};
use crate::caption_stream::table::{Table, quoted};
use crate::{DataError, text};

/// Columns that a message lists.
const LISTED: usize = 12;

pub(super) fn read(
    file: &Path,
    images_dir: Option<&Path>,
    fields: &[String],
) -> Result<ImageTextSet, DataError> {
    let images_dir = match images_dir {
        Some(dir) => {
            // Else every row would be skipped, and the message would name the first images only.
            fs::read_dir(dir).map_err(|source| text::io(dir, source))?;
            dir
        }
        None => file.parent().unwrap_or(Path::new("")),
    };
    let wrong = |source| text::io(file, source);
    let mut input = BufReader::with_capacity(1 << 16, File::open(file).map_err(wrong)?);
    let is_tabbed = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("tsv"));
    let mut table = Table::new(if is_tabbed { b'\t' } else { b',' });
    let format = |problem| DataError::Format { path: file.to_owned(), problem };
    if !table.advance(&mut input).map_err(wrong)? {
        return Err(format("it is empty; its first line should name the columns".to_owned()));
    }
    let columns = Columns::of(&table, fields).map_err(format)?;
    let mut set = ImageTextSet::default();
    while table.advance(&mut input).map_err(wrong)? {
        let place = format!("{} line {}", file.display(), table.line);
        match columns.sample(&table, images_dir, &place) {
            Ok(sample) => set.samples.push(sample),
            Err(why) => set.skipped.push((place, why)),
        }
    }
    if set.samples.is_empty() {
        let why = if set.skipped.is_empty() {
            "there is no line below the header".to_owned()
        } else {
            set.why_skipped()
        };
        return Err(format(format!("none of its lines can be used: {why}")));
    }
    Ok(set)
}

/// Where in a row a sample's parts stand.
struct Columns<'a> {
    all: usize,
    image: usize,
    /// Those that were asked for; else one without a name.
    captions: Vec<usize>,
    fields: &'a [String],
    negative: Option<usize>,
}

impl<'a> Columns<'a> {
    /// By the header, which the table stands at.
    fn of(header: &Table, fields: &'a [String]) -> Result<Self, String> {
        let find = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| (0..header.columns).find(|at| header.field(*at) == key.as_bytes()))
        };
        let missing = |what: &str, keys: &[&str]| {
            let mut listed: Vec<String> = (0..header.columns.min(LISTED))
                .map(|column| quoted(header.field(column)))
                .collect();
            if header.columns > LISTED {
                listed.push("…".to_owned());
            }
            format!(
                "no column of {what} ({}); the first line names {}. A file .tsv is read with tabs, any other with commas",
                keys.join(" or "),
                listed.join(", ")
            )
        };
        let one = |keys: &[&str]| find(keys).ok_or_else(|| missing("captions", keys));
        let captions = if fields.is_empty() {
            vec![one(&CAPTION_KEYS)?]
        } else {
            let columns: Result<_, _> = fields.iter().map(|field| one(&[field])).collect();
            columns?
        };
        Ok(Self {
            all: header.columns,
            image: find(&IMAGE_KEYS).ok_or_else(|| missing("images", &IMAGE_KEYS))?,
            captions,
            fields,
            negative: find(&[NEGATIVE_KEY]),
        })
    }

    /// The sample of a row, or why there's none.
    fn sample(&self, row: &Table, images_dir: &Path, place: &str) -> Result<Sample, String> {
        if !row.is_whole {
            return Err(reason("too long", "a quote may lack its partner"));
        }
        if row.columns != self.all {
            let detail = format!("{} where the header has {}", row.columns, self.all);
            return Err(reason("wrong number of columns", detail));
        }
        let text = |column: usize| {
            str::from_utf8(row.field(column)).map_err(|error| reason("not UTF-8", error))
        };
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
        let negatives = self.negative.map(text).transpose()?;
        Ok(Sample {
            image: file_at(&images_dir.join(path))?.into(),
            captions: captions.texts,
            fields: captions.fields,
            negatives: not_blank(negatives),
            place: place.to_owned(),
            part: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_table(name: &str, content: impl AsRef<[u8]>) -> Result<ImageTextSet, DataError> {
        let dir = tempfile::tempdir().unwrap();
        for image in ["a.jpg", "b, c.jpg"] {
            fs::write(dir.path().join(image), "").unwrap();
        }
        let file = dir.path().join(name);
        fs::write(&file, content).unwrap();
        ImageTextSet::table(&file, None, &[])
    }

    #[test]
    fn commas_and_tabs_quotes_and_columns_in_any_order() {
        let table = "id,title,filepath,negative\r\n1,\"a \"\"big\"\" dog\",a.jpg,a cat\n2,x,\"b, c.jpg\",\n";
        let set = read_table("t.csv", table).unwrap();
        let captions: Vec<&str> = set.samples.iter().map(|s| s.captions[0].as_str()).collect();
        assert_eq!(captions, ["a \"big\" dog", "x"]);
        assert_eq!(set.samples[0].negatives, ["a cat"]);
        assert!(set.samples[1].negatives.is_empty());
        assert!(set.samples[1].image.to_string().ends_with("b, c.jpg"));
        let tabs = read_table("t.tsv", "image\tcaption\na.jpg\ta, b\n").unwrap();
        assert_eq!(tabs.samples[0].captions, ["a, b"]);
    }

    #[test]
    fn captions_stand_in_the_columns_that_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.jpg"), "").unwrap();
        let file = dir.path().join("t.csv");
        fs::write(&file, "alt,image,made\nx,a.jpg,y\n,a.jpg,z\n,a.jpg,\n").unwrap();
        let read = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            ImageTextSet::table(&file, None, &fields)
        };
        let set = read(&["made", "alt"]).unwrap();
        assert_eq!(set.samples[0].captions, ["y", "x"]);
        assert_eq!(set.samples[1].captions, ["z"]);
        assert_eq!((&set.samples[0].fields, &set.samples[1].fields), (&vec![0, 1], &vec![0]));
        assert_eq!(set.skipped.len(), 1);
        let error = read(&["made", "none"]).unwrap_err().to_string();
        assert!(error.contains("no column of captions (none)"), "{error}");
    }

    #[test]
    fn bad_lines_are_skipped_and_told() {
        let mut table = b"image,caption\na.jpg,good\nnone.jpg,x\na.jpg\na.jpg, \n,x\n".to_vec();
        table.extend(b"a.jpg,\xff\n");
        let set = read_table("t.csv", table).unwrap();
        assert_eq!(set.samples.len(), 1);
        let kinds: Vec<&str> =
            set.skipped.iter().map(|(_, why)| why.split(':').next().unwrap()).collect();
        let expected = [
            "image not found",
            "wrong number of columns",
            "without a caption",
            "without an image",
            "not UTF-8",
        ];
        assert_eq!(kinds, expected);
        assert!(set.skipped[0].0.ends_with("t.csv line 3"));
    }

    #[test]
    fn a_table_without_its_columns_or_lines_says_so() {
        let error = |content: &str| read_table("t.csv", content).unwrap_err().to_string();
        assert!(error("").contains("empty"));
        assert!(error("image\ttitle\na.jpg\tx\n").contains("A file .tsv is read with tabs"));
        assert!(error("image,words\n").contains("no column of captions"));
        assert!(error("image,caption\n").contains("no line below the header"));
        assert!(error("image,caption\nx.jpg,a\n").contains("image not found"));
    }
}
