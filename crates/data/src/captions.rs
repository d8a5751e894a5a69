//! Lists of texts: the lines of a file, and the captions that train the blind n-gram model.
//!
//! Called by `clove embed --texts`, `clove tokenize` and `clove eval --captions`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use clove::evaluate::TrainingCaption;

use crate::fetch::Cache;
use crate::json::{self, Row};
use crate::sets::coco::{Document, Record};
use crate::sets::fields::{Fields, IMAGE_KEYS, find, texts_in};
use crate::sets::rows::Table;
use crate::sets::{ImagePlace, ImageTextSet, Options};
use crate::{DataError, text};

/// The lines of the file at `path`, or of standard input for `-`, blank ones included. Lines end in LF, CRLF or CR; a byte-order mark is
/// dropped.
///
/// # Errors
/// [`DataError::Io`], and [`DataError::Utf8`] with the line number.
pub fn read_lines(path: &Path) -> Result<Vec<String>, DataError> {
    let text = if path == Path::new("-") {
        text::read_from(io::stdin().lock(), Path::new("standard input"))?
    } else {
        text::read(path)?
    };
    Ok(text.lines().map(str::to_owned).collect())
}

/// Captions, with their photos' file names where the format has them. The extension selects the format: `.txt` (a caption a line, or a
/// table with columns of images and captions), `.tsv` and `.csv` (with a column of captions), `.json` (COCO's captions, or a list of
/// objects), `.jsonl`, and `.tar` and `.parquet` as [`ImageTextSet::open`] reads them. Columns and fields are named as in training sets.
///
/// # Errors
/// Another extension, or a file that doesn't follow its format; the error names the row.
pub fn read_training_captions(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("txt") => {
            if let Ok(Some(table)) = open_table(path, true) {
                return read_table(path, table);
            }
            let lines = read_lines(path)?;
            Ok(lines.iter().map(|line| TrainingCaption::from(line.as_str())).collect())
        }
        Some("tsv" | "csv") => match open_table(path, false)? {
            Some(table) => read_table(path, table),
            None => Ok(Vec::new()),
        },
        Some("json") => read_json(path),
        Some("jsonl" | "ndjson") => of_objects(path, json::lines(path)?),
        Some("tar" | "tgz" | "zst" | "parquet") => {
            let set = ImageTextSet::open(path, &Options::default(), &Cache::silent(None))?;
            let captions = set.samples.into_iter().flat_map(|sample| {
                let image = match sample.image {
                    ImagePlace::Member { name, .. } => name,
                    other => other.to_string(),
                };
                sample.captions.into_iter().map(move |text| of(text, Some(image.clone())))
            });
            Ok(captions.collect())
        }
        _ => Err(DataError::format(
            path,
            "captions are read from .txt, .tsv, .csv, .json, .jsonl, .tar or .parquet",
        )),
    }
}

fn of(text: String, image: Option<String>) -> TrainingCaption {
    TrainingCaption { text, image }
}

type FileTable = Table<Box<dyn io::BufRead>>;

fn open_table(path: &Path, needs_image: bool) -> Result<Option<FileTable>, DataError> {
    let input = text::open(path).map_err(|source| DataError::io(path, source))?;
    Table::open(input, path, needs_image, &Options::default())
}

fn read_table(path: &Path, mut table: FileTable) -> Result<Vec<TrainingCaption>, DataError> {
    let mut captions = Vec::new();
    while table.advance()? {
        let row = table.check().and_then(|()| {
            let image = table.columns.image.map(|column| table.text(column)).transpose()?;
            let texts = table.columns.captions.iter().map(|column| table.text(*column));
            let texts = texts.collect::<Result<Vec<&str>, _>>()?;
            let texts = texts.into_iter().map(texts_in).find(|texts| !texts.is_empty());
            // A blank one is counted as such.
            Ok((texts.unwrap_or_else(|| vec![String::new()]), image.map(numberless)))
        });
        let (texts, image) =
            row.map_err(|why| DataError::row(path, format_args!("line {}", table.line), why))?;
        captions.extend(texts.into_iter().map(|text| of(text, image.clone())));
    }
    Ok(captions)
}

/// A photo's name without the number of its caption, which Flickr8k's has.
fn numberless(image: &str) -> String {
    image.split_once('#').map_or(image, |(image, _)| image).to_owned()
}

fn read_json(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    if json::is_list(path)? {
        return of_objects(path, json::rows(path)?);
    }
    let Document { images, annotations } = json::read(path)?;
    let images = images.into_iter().filter_map(|image| image.read().ok());
    let Some(annotations) = annotations else {
        // Karpathy's: captions stand with their images.
        let captions = images.flat_map(|image| {
            let name = image.file_name.clone();
            image.spoken().into_iter().map(move |text| of(text, Some(name.clone())))
        });
        return Ok(captions.collect());
    };
    let names = images.filter_map(|image| Some((image.id?, image.file_name)));
    let names: HashMap<_, String> = names.collect();
    let captions = annotations.into_iter().map(Record::read).enumerate().map(|(at, annotation)| {
        let wrong = |problem: &str| DataError::row(path, format_args!("annotation {at}"), problem);
        let annotation = annotation.map_err(|why| wrong(&why))?;
        let text = annotation.caption.ok_or_else(|| wrong("field \"caption\" is missing"))?;
        let id = annotation.image_id;
        let image = names.get(&id).ok_or_else(|| {
            wrong(&format!("field \"image_id\" is {id}, which is not among the images"))
        })?;
        Ok(of(text, Some(image.clone())))
    });
    captions.collect()
}

/// The captions of objects.
fn of_objects(path: &Path, rows: Vec<Row<'_>>) -> Result<Vec<TrainingCaption>, DataError> {
    let mut captions = Vec::new();
    for Row { name, fields, .. } in rows {
        let fields = Fields(fields);
        let texts = fields.usual_captions().map_err(|why| DataError::row(path, name, why))?;
        let names = fields.0.0.iter().map(|(name, _)| name.as_str());
        let image = find(&IMAGE_KEYS, names).and_then(|place| fields.0.0[place].1.as_str());
        captions.extend(texts.into_iter().map(|text| of(text, image.map(str::to_owned))));
    }
    Ok(captions)
}
