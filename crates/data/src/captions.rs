//! Lists of texts: the lines of a file, and the captions that train the blind n-gram model.
//!
//! Called by `clove embed --texts`, `clove tokenize` and `clove eval --captions`.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use clove::evaluate::TrainingCaption;
use serde::Deserialize;
use serde_json::Value;

use crate::json::{self, UniqueMap};
use crate::{DataError, text};

/// Columns and fields that hold a caption, in order of preference.
const CAPTION_FIELDS: [&str; 2] = ["caption", "title"];
/// Columns and fields that hold a photo's file name.
const IMAGE_FIELDS: [&str; 4] = ["filepath", "filename", "file_name", "image"];

/// The lines of the file at `path`: one text a line, blank lines kept, CRLF and LF alike, a byte-order mark dropped.
///
/// # Errors
/// [`DataError::Io`], and [`DataError::Utf8`] with the line number.
pub fn read_lines(path: &Path) -> Result<Vec<String>, DataError> {
    text::read(path).map(|text| split(&text))
}

/// The same lines from any reader, such as standard input; `name` stands for it in errors.
///
/// # Errors
/// As [`read_lines`].
pub fn read_lines_from(mut reader: impl Read, name: &Path) -> Result<Vec<String>, DataError> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| text::io(name, source))?;
    text::decode(bytes, name).map(|text| split(&text))
}

fn split(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Captions with their photo's file name where the format gives it, by the file's extension: `.txt` (a caption a line),
/// `.tsv` and `.csv` (a column `caption` or `title`), `.json` (COCO's captions), `.jsonl` (an object with `caption` a line).
///
/// # Errors
/// Another extension, or a file that is not in its format; the error names the row and the field.
pub fn read_training_captions(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("txt") => {
            Ok(read_lines(path)?.iter().map(|line| TrainingCaption::from(line.as_str())).collect())
        }
        Some("tsv") => read_table(path, b'\t'),
        Some("csv") => read_table(path, b','),
        Some("json") => read_coco(path),
        Some("jsonl") => read_json_lines(path),
        _ => Err(DataError::Format {
            path: path.to_owned(),
            problem: "captions are read from .txt, .tsv, .csv, .json (COCO) or .jsonl".to_owned(),
        }),
    }
}

fn read_table(path: &Path, delimiter: u8) -> Result<Vec<TrainingCaption>, DataError> {
    let text = text::read(path)?;
    let wrong = |source| DataError::Csv { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().map_err(wrong)?.clone();
    let column = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|column| column == *name))
    };
    let caption = column(&CAPTION_FIELDS).ok_or_else(|| DataError::Format {
        path: path.to_owned(),
        problem: format!(
            "no column {}; it has {:?}",
            CAPTION_FIELDS.join(" or "),
            header.iter().collect::<Vec<_>>()
        ),
    })?;
    let image = column(&IMAGE_FIELDS);
    reader
        .records()
        .map(|record| {
            let record = record.map_err(wrong)?;
            Ok(TrainingCaption {
                text: record.get(caption).unwrap_or_default().to_owned(),
                image: image.and_then(|image| record.get(image)).map(str::to_owned),
            })
        })
        .collect()
}

/// COCO's captions file, as far as it is needed.
#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    caption: String,
}

fn read_coco(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let coco: Coco = json::read(path)?;
    let names: HashMap<u64, &str> =
        coco.images.iter().map(|image| (image.id, image.file_name.as_str())).collect();
    coco.annotations
        .into_iter()
        .enumerate()
        .map(|(at, annotation)| {
            let id = annotation.image_id;
            let image = names.get(&id).ok_or_else(|| DataError::Field {
                path: path.to_owned(),
                row: format!("annotation {at}"),
                field: "image_id".to_owned(),
                problem: format!("is {id}, which is not among the images"),
            })?;
            Ok(TrainingCaption { text: annotation.caption, image: Some((*image).to_owned()) })
        })
        .collect()
}

fn read_json_lines(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let mut captions = Vec::new();
    for (number, line) in (1..).zip(read_lines(path)?) {
        if line.trim().is_empty() {
            continue;
        }
        let row = format!("line {number}");
        let fields: UniqueMap<Value> = serde_json::from_str(&line).map_err(|error| {
            DataError::Row { path: path.to_owned(), row: row.clone(), problem: error.to_string() }
        })?;
        let has = |field: &&&str| fields.0.iter().any(|(key, _)| key == **field);
        let image = IMAGE_FIELDS.iter().find(has);
        captions.push(TrainingCaption {
            text: fields.string(CAPTION_FIELDS[0], &row, path)?.to_owned(),
            image: image
                .map(|field| fields.string(field, &row, path).map(str::to_owned))
                .transpose()?,
        });
    }
    Ok(captions)
}
