//! Lists of texts: the lines of a file, and the captions that train the blind n-gram model.
//!
//! Called by `clove embed --texts`, `clove tokenize` and `clove eval --captions`.

use std::collections::HashMap;
use std::path::Path;

use clove::evaluate::TrainingCaption;

use crate::sets::coco::Document;
use crate::{DataError, json, text};

/// Columns and fields that hold a caption, in order of preference.
const CAPTION_FIELDS: [&str; 2] = ["caption", "title"];
/// Columns and fields that hold a photo's file name.
const IMAGE_FIELDS: [&str; 4] = ["filepath", "filename", "file_name", "image"];

/// The lines of the file at `path`, blank ones included. Lines end in LF or CRLF; a byte-order mark is dropped.
///
/// # Errors
/// [`DataError::Io`], and [`DataError::Utf8`] with the line number.
pub fn read_lines(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(text::read(path)?.lines().map(str::to_owned).collect())
}

/// Captions, with their photos' file names where the format has them. The extension selects the format: `.txt` (a caption a line), `.tsv`
/// and `.csv` (a column `caption` or `title`), `.json` (COCO's captions), `.jsonl` (objects with `caption`).
///
/// # Errors
/// Another extension, or a file that doesn't follow its format; the error names the row and the field.
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
        _ => Err(DataError::format(
            path,
            "captions are read from .txt, .tsv, .csv, .json (COCO) or .jsonl",
        )),
    }
}

fn read_table(path: &Path, delimiter: u8) -> Result<Vec<TrainingCaption>, DataError> {
    let text = text::read(path)?;
    let wrong = |error: csv::Error| DataError::parse(path, error);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let header = reader.headers().map_err(wrong)?.clone();
    let column = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|column| column == *name))
    };
    let caption = column(&CAPTION_FIELDS).ok_or_else(|| {
        let (names, columns) = (CAPTION_FIELDS.join(" or "), header.iter().collect::<Vec<_>>());
        DataError::format(path, format!("no column {names}; it has {columns:?}"))
    })?;
    let image = column(&IMAGE_FIELDS);
    let records = reader.records().map(|record| {
        let record = record.map_err(wrong)?;
        Ok(TrainingCaption {
            text: record.get(caption).unwrap_or_default().to_owned(),
            image: image.and_then(|image| record.get(image)).map(str::to_owned),
        })
    });
    records.collect()
}

fn read_coco(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let Document { images, annotations } = json::read(path)?;
    let annotations =
        annotations.ok_or_else(|| DataError::format(path, "missing field `annotations`"))?;
    let names = images.iter().filter_map(|image| Some((image.id?, image.file_name.as_str())));
    let names: HashMap<i64, &str> = names.collect();
    let captions = annotations.into_iter().enumerate().map(|(at, annotation)| {
        let wrong = |field: &str, problem: &str| {
            DataError::field(path, format_args!("annotation {at}"), field, problem)
        };
        let text = annotation.caption.ok_or_else(|| wrong("caption", "is missing"))?;
        let id = annotation.image_id;
        let image = names
            .get(&id)
            .ok_or_else(|| wrong("image_id", &format!("is {id}, which is not among the images")))?;
        Ok(TrainingCaption { text, image: Some((*image).to_owned()) })
    });
    captions.collect()
}

fn read_json_lines(path: &Path) -> Result<Vec<TrainingCaption>, DataError> {
    let rows = json::lines(path)?;
    let captions = rows.iter().map(|row| {
        let image = IMAGE_FIELDS.iter().find(|field| row.fields.get(field).is_some());
        Ok(TrainingCaption {
            text: row.string(CAPTION_FIELDS[0])?,
            image: image.map(|field| row.string(field)).transpose()?,
        })
    });
    captions.collect()
}
