//! COCO's captions and Karpathy's splits: one JSON file of images and captions, beside a folder of images.
//!
//! Source: cocodataset.org/#format-data; karpathy/neuraltalk2: coco/prepro.py (`dataset_*.json`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::{Captions, image_at};
use super::files::Reader;
use super::json_lines::list;
use super::splits::Rows;
use super::{ImageTextSet, IndexedSet, Options, not_blank, reason};
use crate::fetch::Cache;
use crate::{DataError, json};

/// Either format. Other fields may be of any type.
#[derive(Deserialize)]
pub(crate) struct Document {
    pub(crate) images: Vec<Record<Image>>,
    /// COCO's captions; Karpathy's stand with their images.
    pub(crate) annotations: Option<Vec<Record<Annotation>>>,
}

/// A record of a list. An odd one sinks only itself.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Record<T> {
    Good(T),
    Odd(Value),
}

impl<T: DeserializeOwned> Record<T> {
    /// The record, or the reason for skipping it.
    pub(crate) fn read(self) -> Result<T, String> {
        match self {
            Self::Good(record) => Ok(record),
            Self::Odd(value) => {
                serde_json::from_value(value).map_err(|error| reason("not a record of COCO", error))
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Image {
    pub(crate) id: Option<Id>,
    #[serde(alias = "filename")]
    pub(crate) file_name: String,
    /// Karpathy's: the folder of the file.
    filepath: Option<String>,
    split: Option<String>,
    sentences: Option<Vec<Record<Sentence>>>,
}

/// A number, also as a string.
#[derive(Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(from = "Number")]
pub(crate) struct Id(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl From<Number> for Id {
    fn from(number: Number) -> Self {
        match number {
            Number::Number(number) => Self(number.to_string()),
            Number::Text(text) => Self(text.trim().to_owned()),
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

#[derive(Deserialize)]
pub(crate) struct Annotation {
    pub(crate) image_id: Id,
    /// Other annotations than captions have none.
    pub(crate) caption: Option<String>,
}

impl ImageTextSet {
    /// [`IndexedSet::coco`] in memory.
    ///
    /// # Errors
    /// Those of [`IndexedSet::coco`].
    pub fn coco(path: &Path, options: &Options<'_>) -> Result<Self, DataError> {
        IndexedSet::coco(path, options, &Cache::silent(None))?.into_memory()
    }
}

impl IndexedSet {
    /// The images of JSON files in COCO's format (`captions_train2017.json`) or Karpathy's (`dataset_coco.json`), in their order.
    ///
    /// `path` is a file, or several by braces and stars. Images' file names are relative to `options.images` or else to the file's
    /// folder; a Karpathy image may be in its folder `filepath` or directly there. Images are of the splits that `options` asks for: to
    /// train, Karpathy's `train` and `restval`. Images without captions or files are skipped, and so is a record of another form. A file
    /// that is a list, such as BLIP's, is read as [`Self::json_lines`] does. A document is read as a whole, at every opening: memory has
    /// to hold it for as long.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or folder of images; [`DataError::Format`] for another document, an unknown split, and no image.
    pub fn coco(path: &Path, options: &Options<'_>, cache: &Cache<'_>) -> Result<Self, DataError> {
        let reader = Reader {
            kind: "coco",
            ends: &[],
            problem: "no usable image; images should be files in the folder of images",
        };
        let options = &Options { keep_index: false, ..*options };
        reader.rows(path, options, cache, |file, images_dir, rows, _| {
            if json::is_list(file)? {
                return list(file, images_dir, options, rows);
            }
            let Document { images, annotations } = json::read(file)?;
            let images: Vec<_> = images.into_iter().map(Record::read).collect();
            let spoken =
                |image: &Result<Image, String>| image.as_ref().map_or(Vec::new(), Image::spoken);
            let mut captions: Vec<Vec<String>> = if let Some(annotations) = annotations {
                by_image(file, &images, annotations, rows)
            } else {
                images.iter().map(spoken).collect()
            };
            for (number, image) in images.into_iter().enumerate() {
                let place = format!("{} image {number}", file.display());
                let image = match image {
                    Ok(image) => image,
                    Err(why) => {
                        rows.skip(&place, &why);
                        continue;
                    }
                };
                // Escaped: a name out of a file may hold what a terminal would obey.
                let place = format!("{place} ({:?})", image.file_name);
                let captions = std::mem::take(&mut captions[number]);
                let found = if captions.is_empty() {
                    Err(reason("without a caption", "nothing describes it"))
                } else if options.captions_only {
                    Ok(images_dir.join(&image.file_name))
                } else {
                    find(images_dir, &image)
                };
                let found = found.map(|file| (file.into(), Captions::usual(captions), Vec::new()));
                rows.push(place, image.split.as_deref(), found);
            }
            Ok(())
        })
    }
}

impl Image {
    /// The captions of a Karpathy image.
    pub(crate) fn spoken(&self) -> Vec<String> {
        let sentences = self.sentences.iter().flatten();
        not_blank(sentences.filter_map(|sentence| match sentence {
            Record::Good(sentence) => Some(sentence.raw.as_str()),
            Record::Odd(_) => None,
        }))
    }
}

/// Each image's captions. Annotations of other images are skipped.
fn by_image(
    file: &Path,
    images: &[Result<Image, String>],
    annotations: Vec<Record<Annotation>>,
    rows: &mut Rows,
) -> Vec<Vec<String>> {
    let mut places = HashMap::with_capacity(images.len());
    for (at, image) in images.iter().enumerate() {
        if let Ok(Image { id: Some(id), .. }) = image {
            // Of two images with one id the first has the captions, and the second is skipped.
            places.entry(id).or_insert(at);
        }
    }
    let mut captions = vec![Vec::new(); images.len()];
    for (number, annotation) in annotations.into_iter().enumerate() {
        let why = match annotation.read() {
            Err(why) => why,
            Ok(Annotation { image_id, caption }) => {
                let texts = not_blank(caption.as_deref());
                match places.get(&image_id) {
                    Some(_) if texts.is_empty() => {
                        reason("without a caption", "it is missing or blank")
                    }
                    Some(at) => {
                        captions[*at].extend(texts);
                        continue;
                    }
                    None => {
                        let detail = format!("no image has the id {image_id}");
                        reason("caption without an image", detail)
                    }
                }
            }
        };
        rows.skip(&format!("{} annotation {number}", file.display()), &why);
    }
    captions
}

/// The image's file, in its folder below `images_dir` or directly there.
fn find(images_dir: &Path, image: &Image) -> Result<PathBuf, String> {
    let right_there = || image_at(images_dir, &image.file_name);
    match image.filepath.as_deref() {
        None | Some("") => right_there(),
        Some(folder) => image_at(&images_dir.join(folder), &image.file_name)
            .or_else(|why| right_there().map_err(|_| why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, captions, kinds, strings};

    /// Reads a document with the images a.jpg, val/b.jpg.
    fn read_text(document: &str, splits: &[&str]) -> Result<ImageTextSet, DataError> {
        let files = [("images/a.jpg", &b""[..]), ("images/val/b.jpg", b"")];
        let dir = Dir::with(&[&files[..], &[("captions.json", document.as_bytes())]].concat());
        let (images, splits) = (dir.path("images"), strings(splits));
        let options = Options { images: Some(&images), splits: &splits, ..Options::default() };
        ImageTextSet::coco(&dir.path("captions.json"), &options)
    }

    #[test]
    fn captions_come_to_their_images_and_what_is_left_over_is_counted() {
        let document = r#"{"info": {"year": 2014}, "licenses": [], "images": [
            {"id": 7, "file_name": "a.jpg", "height": 480},
            {"id": 8, "file_name": "gone.jpg"},
            {"id": 9, "file_name": "a.jpg"},
            {"id": 7, "file_name": "a.jpg"}
        ], "annotations": [
            {"image_id": 7, "id": 1, "caption": " A dog. "},
            {"image_id": 8, "id": 2, "caption": "lost"},
            {"image_id": 99, "id": 3, "caption": "no image"},
            {"image_id": 7, "id": 4, "caption": "A big dog."},
            {"image_id": 7, "id": 5, "caption": "\n"}
        ]}"#;
        let set = read_text(document, &[]).unwrap();
        assert_eq!(captions(&set), ["A dog.|A big dog."]);
        assert!(set.samples[0].place.ends_with("captions.json image 0 (\"a.jpg\")"));
        let expected = [
            "caption without an image",
            "without a caption",
            "image not found",
            "without a caption",
            "without a caption",
        ];
        assert_eq!(kinds(&set), expected);
        assert!(set.skipped[0].0.ends_with("annotation 2"), "{:?}", set.skipped);
    }

    const KARPATHY: &str = r#"{"dataset": "coco", "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "one", "tokens": ["one"]}, {"raw": "two"}]},
        {"filename": "b.jpg", "filepath": "val", "split": "restval", "sentences": [{"raw": "three"}]},
        {"filename": "a.jpg", "filepath": "train2014", "split": "test", "sentences": [{"raw": "four"}]}
    ]}"#;

    #[test]
    fn splits_are_chosen_by_name() {
        assert_eq!(captions(&read_text(KARPATHY, &["train"]).unwrap()), ["one|two"]);
        let both = read_text(KARPATHY, &["restval", "train"]).unwrap();
        assert_eq!(captions(&both), ["one|two", "three"]);
        assert!(both.samples[1].image.to_string().ends_with("images/val/b.jpg"));
        // What training reads where nothing is asked for.
        let usual = read_text(KARPATHY, &[]).unwrap();
        assert_eq!(captions(&usual), captions(&both));
        assert_eq!(usual.of_other_splits, 1);
        assert!(usual.notes[0].contains("not of \"test\" (1)"), "{:?}", usual.notes);
        // All of them, and a file that lies right in the folder of images.
        let all = read_text(KARPATHY, &["all"]).unwrap();
        assert_eq!(captions(&all), ["one|two", "three", "four"]);
        assert_eq!(all.samples[2].image, all.samples[0].image);
    }

    #[test]
    fn an_odd_record_sinks_itself_and_ids_may_be_strings() {
        let document = r#"{"images": [
            {"id": "000", "file_name": "a.jpg"}, {"id": 8}, 9, {"id": 7, "file_name": "val/b.jpg", "height": NaN}
        ], "annotations": [
            {"image_id": "000", "caption": "one"}, {"image_id": "7", "caption": "two"}, {"caption": "lost"},
            {"image_id": 7, "caption": ["x"]}, {"image_id": 7, "caption": "three"}
        ]}"#;
        let set = read_text(document, &[]).unwrap();
        assert_eq!(captions(&set), ["one", "two|three"]);
        let places: Vec<&str> =
            set.skipped.iter().map(|(place, _)| place.split_once(".json ").unwrap().1).collect();
        assert_eq!(places, ["annotation 2", "annotation 3", "image 1", "image 2"]);
        let why = &set.skipped[2].1;
        assert!(why.starts_with("not a record of COCO: missing field `file_name`"), "{why}");
        let sentences = r#"{"images": [{"filename": "a.jpg", "split": "train", "sentences":
            [{"raw": null}, {"raw": "one"}, "two", {"tokens": []}]}]}"#;
        assert_eq!(captions(&read_text(sentences, &[]).unwrap()), ["one"]);
        let blip = r#"[{"image": "a.jpg", "caption": "one", "image_id": "coco_1"}]"#;
        assert_eq!(captions(&read_text(blip, &[]).unwrap()), ["one"]);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let error = |document, splits| read_text(document, splits).unwrap_err().to_string();
        let split = error(KARPATHY, &["train", "val"]);
        assert!(
            split.contains("\"val\"; there are \"restval\" (1), \"test\" (1), \"train\" (1)"),
            "{split}"
        );
        let coco = r#"{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []}"#;
        assert!(error(coco, &["train"]).contains("no split"));
        assert!(error(coco, &[]).contains("1 without a caption"));
        assert!(error("{}", &[]).contains("captions.json: missing field `images`"));
        assert!(error("[", &[]).contains("captions.json"));
        assert!(error(r#"{"images": []}"#, &[]).contains("no usable image"));
        let options = Options { images: Some(Path::new("nowhere")), ..Options::default() };
        let nowhere = ImageTextSet::coco(Path::new("x.json"), &options);
        assert!(nowhere.unwrap_err().to_string().starts_with("nowhere"));
    }
}
