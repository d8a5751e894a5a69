//! Tables of images and captions with a header.

use std::io::BufRead;
use std::path::Path;

use super::fields::{Captions, paths_in, texts_in, without_an_image};
use super::files::Reader;
use super::rows::Table;
use super::splits::Row;
use super::{ImageTextSet, IndexedSet, Options};
use crate::fetch::Cache;
use crate::{DataError, text};

impl ImageTextSet {
    /// [`IndexedSet::table`] in memory.
    ///
    /// # Errors
    /// Those of [`IndexedSet::table`].
    pub fn table(path: &Path, options: &Options<'_>) -> Result<Self, DataError> {
        IndexedSet::table(path, options, &Cache::silent(None))?.into_memory()
    }
}

impl IndexedSet {
    /// The rows of tables, in their order: fields between commas, tabs, semicolons or bars, with a header that names the columns.
    ///
    /// `path` is a file, several by braces and stars, or a folder; a file may be packed with gzip, or in UTF-16 with its mark. Columns
    /// are named as in [`Self::json_lines`]; a cell may hold a list of captions or negatives, as JSON and Python write it. Without a
    /// header, rows of `name.jpg#0`, a tab and a caption are read as well (Flickr8k.token.txt). Other columns and blank lines are ignored;
    /// a row that can't be used is skipped. Captions that `options` asks for replace the usual ones; a sample has those of all columns.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or folder of images; [`DataError::Format`] for missing columns, a quote that doesn't close, an
    /// unknown split, and if no row can be used; [`DataError::Stopped`] where the cache's listener stops.
    pub fn table(path: &Path, options: &Options<'_>, cache: &Cache<'_>) -> Result<Self, DataError> {
        let reader = Reader {
            kind: "table",
            ends: &[".csv", ".tsv", ".csv.gz", ".tsv.gz"],
            problem: "no usable line below the header",
        };
        reader.rows(path, options, cache, |file, images, rows, watch| {
            let input = text::open(file).map_err(|source| DataError::io(file, source))?;
            let Some(mut table) = Table::open(input, file, true, options)? else {
                let problem = "it is empty; its first line should name the columns";
                return Err(DataError::format(file, problem));
            };
            while table.advance()? {
                let place = format!("{} line {}", file.display(), table.line);
                watch.read(table.row_bytes())?;
                rows.check()?;
                if let Err(why) = table.check() {
                    rows.skip(&place, &why);
                    continue;
                }
                // A split that isn't UTF-8 is none.
                let split = table.columns.split.and_then(|column| table.text(column).ok());
                let row = row(&table, options);
                rows.push_row(&place, images, Row::of(split, images, row, options));
            }
            Ok(())
        })
    }
}

/// The paths of a row's images, its captions and its negatives.
fn row(
    table: &Table<impl BufRead>,
    options: &Options<'_>,
) -> Result<(Vec<String>, Captions, Vec<String>), String> {
    let captions = table.captions(options)?;
    let paths = table.columns.image.map(|column| table.text(column).map(paths_in)).transpose()?;
    let paths = paths.unwrap_or_default();
    if paths.iter().all(|path| path.trim().is_empty()) {
        return Err(without_an_image(options, false));
    }
    let negatives = table.columns.negatives.iter().map(|column| table.text(*column).map(texts_in));
    let negatives = negatives.collect::<Result<Vec<_>, _>>()?.concat();
    Ok((paths, captions, negatives))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, captions, fails, fields, gzip, kinds, strings};

    fn read_table(name: &str, content: impl AsRef<[u8]>) -> Result<ImageTextSet, DataError> {
        read_by(name, content, &[])
    }

    fn read_by(
        name: &str,
        content: impl AsRef<[u8]>,
        fields: &[&str],
    ) -> Result<ImageTextSet, DataError> {
        let files = [("a.jpg", &b""[..]), ("b, c.jpg", b""), (name, content.as_ref())];
        let captions = strings(fields);
        let options = Options { captions: &captions, ..Options::default() };
        ImageTextSet::table(&Dir::with(&files).path(name), &options)
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
        assert!(error("image,words\n").contains("no column of captions"));
        assert!(error("URL\tTEXT\nhttp://a/b.jpg\tx\n").contains("download the images"));
        assert!(error("image,caption\n").contains("no usable line below the header"));
        assert!(error("image,caption\nx.jpg,a\n").contains("image not found"));
    }

    /// Each as its authors publish it.
    #[test]
    fn tables_as_people_have_them() {
        let wide: Vec<u8> = "\u{feff}Image\tCaption\r\na.jpg\tün\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (name, table, expected) in [
            // Flickr30k's results.csv.
            (
                "results.csv",
                &b"image_name| comment_number| comment\na.jpg| 0| Two young , \"White\" males .\na.jpg| 1| Two men .\n"[..],
                &["Two young , \"White\" males .", "Two men ."][..],
            ),
            ("semicolons.csv", b"Image;Caption\na.jpg;a, b\n", &["a, b"]),
            ("capitals.CSV", b"Image,Caption\na.jpg,a\n", &["a"]),
            ("tabs.csv", b"image\tcaption\na.jpg\ta, b\n", &["a, b"]),
            // Flickr8k.token.txt, and a name of the set's own that has such a number.
            ("Flickr8k.token.txt", b"a.jpg#0\tA child .\na.jpg#1\tA girl .\n", &["A child .", "A girl ."]),
            ("excel.txt", &wide, &["ün"]),
            ("mac.csv", b"image,caption\ra.jpg,a\ra.jpg,\"b\rc\"\r", &["a", "b\nc"]),
            ("packed.csv.gz", &gzip(b"image,caption\na.jpg,a\n"), &["a"]),
            // nlphuji/flickr30k on Hugging Face: flickr_annotations_30k.csv.
            (
                "flickr_annotations_30k.csv",
                b"raw,sentids,split,filename,img_id\n\"[\"\"Two men.\"\", \"\"A man, alone.\"\"]\",\"[0, 1]\",train,a.jpg,0\n",
                &["Two men.|A man, alone."],
            ),
        ] {
            let set = read_table(name, table).unwrap();
            assert_eq!(captions(&set), expected, "{name}");
            assert!(set.skipped.is_empty(), "{name}: {:?}", set.skipped);
        }
    }

    /// Columns of vinid/neg_clip: src/training/data.py, which reads them by `ast.literal_eval`.
    #[test]
    fn a_column_of_negatives_may_hold_lists() {
        let table = "filepath\ttitle\tneg_caption\na.jpg\ta dog\t\"['a cat', \"\"a dog's cat\"\"]\"\na.jpg\tx\t[]\n";
        let set = read_table("t.csv", table).unwrap();
        assert_eq!(set.samples[0].negatives, ["a cat", "a dog's cat"]);
        assert!(set.samples[1].negatives.is_empty());
    }

    #[test]
    fn paths_are_found_as_they_are_written_elsewhere() {
        let files = ["a b.jpg", "d/c#1.jpg", "e%20f.jpg", "g.jpg"].map(|name| (name, &b""[..]));
        let table = "image,caption\na%20b.jpg,1\nd\\c#1.jpg,2\ne%20f.jpg,3\nfile://ROOT/g.jpg,4\n\"[\"\"g.jpg\"\"]\",5\n";
        let dir = Dir::with(&files);
        let table = table.replace("ROOT", &dir.root().to_string_lossy());
        std::fs::write(dir.path("t.csv"), table).unwrap();
        let set = ImageTextSet::table(&dir.path("t.csv"), &Options::default()).unwrap();
        let names = ["a b.jpg", "d/c#1.jpg", "e%20f.jpg", "g.jpg", "g.jpg"];
        let images = set.samples.iter().map(|sample| sample.image.path().unwrap());
        for (image, name) in images.zip(names) {
            assert!(image.is_file() && image.ends_with(name), "{}", image.display());
        }
        assert_eq!(set.samples.len(), 5, "{:?}", set.skipped);
    }

    /// pandas raises "EOF inside string starting at row 11" for the first, and reads the quotes of the last as text.
    #[test]
    fn a_quote_that_does_not_close_takes_no_row_with_it() {
        let rows = |separator: char, from, to| -> String {
            let rows = (from..to).map(|row| format!("a.jpg{separator}caption {row}\n"));
            rows.collect::<Vec<_>>().concat()
        };
        for (separator, name) in [(',', "t.csv"), ('|', "t.csv"), ('\t', "t.tsv")] {
            let head = format!("image{separator}caption\n{}", rows(separator, 0, 9));
            let stray = format!("a.jpg{separator}\"no end\n");
            let other = format!("a.jpg{separator}\"one, two\"\n");
            for tail in [rows(separator, 0, 90), other + &rows(separator, 1, 90), String::new()] {
                let read = read_table(name, format!("{head}{stray}{tail}"));
                if separator != '\t' {
                    fails(read, &["t.csv: line 11: a quote opens a field and doesn't close it"]);
                    continue;
                }
                let set = read.unwrap();
                let count = 10 + tail.lines().count();
                assert_eq!((set.samples.len(), set.skipped.len()), (count, 0));
                assert_eq!(set.samples[9].captions, ["\"no end"]);
            }
        }
        let quoted =
            "image,caption\na.jpg,\"one\nb.jpg and two\"\na.jpg,\"in\" quotes\na.jpg,6\" of snow\n";
        let set = read_table("t.csv", quoted).unwrap();
        assert_eq!(captions(&set), ["one\nb.jpg and two", "in quotes", "6\" of snow"]);
        let first = "caption,image\n\"one\ntwo\",a.jpg\n";
        for (name, table) in [("t.csv", first.to_owned()), ("t.tsv", first.replace(',', "\t"))] {
            assert_eq!(captions(&read_table(name, table).unwrap()), ["one\ntwo"]);
        }
        let tabs =
            "image\tcaption\na.jpg\t\"in\" quotes\na.jpg\t\"a \"\"b\"\"\"\na.jpg\t\"one\ntwo\"\n";
        let set = read_table("t.tsv", tabs).unwrap();
        assert_eq!(captions(&set), ["\"in\" quotes", "a \"b\"", "one\ntwo"]);
    }
}
