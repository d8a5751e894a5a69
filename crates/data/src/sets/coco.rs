//! COCO's captions and Karpathy's splits: one JSON file of images and captions, beside a folder of images.
//!
//! Source: cocodataset.org/#format-data; karpathy/neuraltalk2: coco/prepro.py (`dataset_*.json`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::json_lines::file_at;
use super::names::Captions;
use super::{ImageTextSet, images_dir, not_blank, reason};
use crate::{DataError, json};

/// Either format. Other fields may be of any type.
#[derive(Deserialize)]
pub(crate) struct Document {
    pub(crate) images: Vec<Image>,
    /// COCO's captions; Karpathy's stand with their images.
    pub(crate) annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize)]
pub(crate) struct Image {
    pub(crate) id: Option<i64>,
    #[serde(alias = "filename")]
    pub(crate) file_name: String,
    /// Karpathy's: the folder of the file.
    #[serde(default)]
    filepath: String,
    split: Option<String>,
    #[serde(default)]
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

#[derive(Deserialize)]
pub(crate) struct Annotation {
    pub(crate) image_id: i64,
    /// Other annotations than captions have none.
    pub(crate) caption: Option<String>,
}

impl ImageTextSet {
    /// The images of a JSON file in COCO's format (`captions_train2017.json`) or Karpathy's (`dataset_coco.json`), in its order.
    ///
    /// Images' file names are relative to `images_dir` or else to the file's folder; a Karpathy image may be in its folder `filepath` or
    /// directly there. `splits` selects images by their `split`; empty selects all. Images without captions or files are skipped.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file or `images_dir`; [`DataError::Format`] for another document, an unknown split, and no image.
    pub fn coco(
        file: &Path,
        images_dir: Option<&Path>,
        splits: &[String],
    ) -> Result<Self, DataError> {
        let images_dir = self::images_dir(file, images_dir)?;
        let Document { images, annotations } = json::read(file)?;
        let images =
            of_splits(images, splits).map_err(|problem| DataError::format(file, problem))?;
        let mut set = Self::default();
        let captions = match annotations {
            Some(annotations) => by_image(file, &images, annotations, &mut set),
            None => images
                .iter()
                .map(|image| not_blank(image.sentences.iter().map(|sentence| &*sentence.raw)))
                .collect(),
        };
        for (number, (image, captions)) in images.into_iter().zip(captions).enumerate() {
            // Escaped: a name out of a file may hold what a terminal would obey.
            let place = format!("{} image {number} ({:?})", file.display(), image.file_name);
            let found = if captions.is_empty() {
                Err(reason("without a caption", "nothing describes it"))
            } else {
                let found = find(images_dir, &image);
                found.map(|file| (file.into(), Captions::usual(captions), Vec::new()))
            };
            set.push(place, found);
        }
        set.unless_empty(file, || {
            format!("no usable image; images should be files under {}", images_dir.display())
        })
    }
}

/// The images of the given splits; all, where none are given.
fn of_splits(images: Vec<Image>, splits: &[String]) -> Result<Vec<Image>, String> {
    if splits.is_empty() {
        return Ok(images);
    }
    let mut counts: Vec<(String, usize)> = Vec::new();
    for split in images.iter().filter_map(|image| image.split.as_ref()) {
        match counts.iter_mut().find(|(name, _)| name == split) {
            Some((_, count)) => *count += 1,
            None => counts.push((split.clone(), 1)),
        }
    }
    let is_there = |split: &&String| counts.iter().any(|(name, _)| name == *split);
    if let Some(missing) = splits.iter().find(|split| !is_there(split)) {
        let there = counts.iter().map(|(name, count)| format!("{name:?} ({count})"));
        let there = match &there.collect::<Vec<_>>()[..] {
            [] => "its images have no split".to_owned(),
            there => format!("there are {}", there.join(", ")),
        };
        return Err(format!("no image is of the split {missing:?}; {there}"));
    }
    let is_wanted =
        |image: &Image| image.split.as_ref().is_some_and(|split| splits.contains(split));
    Ok(images.into_iter().filter(is_wanted).collect())
}

/// Each image's captions. Annotations of other images are skipped.
fn by_image(
    file: &Path,
    images: &[Image],
    annotations: Vec<Annotation>,
    set: &mut ImageTextSet,
) -> Vec<Vec<String>> {
    let mut places = HashMap::with_capacity(images.len());
    for (at, image) in images.iter().enumerate() {
        if let Some(id) = image.id {
            // Of two images with one id the first has the captions, and the second is skipped.
            places.entry(id).or_insert(at);
        }
    }
    let mut captions = vec![Vec::new(); images.len()];
    for (number, annotation) in annotations.into_iter().enumerate() {
        let texts = not_blank(annotation.caption.as_deref());
        let why = match places.get(&annotation.image_id) {
            Some(_) if texts.is_empty() => reason("without a caption", "it is missing or blank"),
            Some(at) => {
                captions[*at].extend(texts);
                continue;
            }
            None => {
                let detail = format!("no image has the id {}", annotation.image_id);
                reason("caption without an image", detail)
            }
        };
        set.skipped.push((format!("{} annotation {number}", file.display()), why));
    }
    captions
}

/// The image's file, in its folder below `images_dir` or directly there.
fn find(images_dir: &Path, image: &Image) -> Result<PathBuf, String> {
    let right_there = images_dir.join(&image.file_name);
    if image.filepath.is_empty() {
        return file_at(&right_there);
    }
    let path = images_dir.join(&image.filepath).join(&image.file_name);
    file_at(&path).or_else(|why| file_at(&right_there).map_err(|_| why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dir, captions, kinds, strings};

    /// Reads a document with the images a.jpg, val/b.jpg.
    fn read_text(document: &str, splits: &[&str]) -> Result<ImageTextSet, DataError> {
        let files = [("images/a.jpg", &b""[..]), ("images/val/b.jpg", b"")];
        let dir = Dir::with(&[&files[..], &[("captions.json", document.as_bytes())]].concat());
        let file = dir.path("captions.json");
        ImageTextSet::coco(&file, Some(&dir.path("images")), &strings(splits))
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
        // All of them, and a file that lies right in the folder of images.
        let all = read_text(KARPATHY, &[]).unwrap();
        assert_eq!(captions(&all), ["one|two", "three", "four"]);
        assert_eq!(all.samples[2].image, all.samples[0].image);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let error = |document, splits| read_text(document, splits).unwrap_err().to_string();
        let split = error(KARPATHY, &["train", "val"]);
        assert!(
            split.contains("\"val\"; there are \"train\" (1), \"restval\" (1), \"test\" (1)"),
            "{split}"
        );
        let coco = r#"{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []}"#;
        assert!(error(coco, &["train"]).contains("no split"));
        assert!(error(coco, &[]).contains("1 without a caption"));
        assert!(error("{}", &[]).contains("captions.json: missing field `images`"));
        assert!(error("[", &[]).contains("captions.json"));
        assert!(error(r#"{"images": []}"#, &[]).contains("no usable image"));
        let nowhere = ImageTextSet::coco(Path::new("x.json"), Some(Path::new("nowhere")), &[]);
        assert!(nowhere.unwrap_err().to_string().starts_with("nowhere"));
    }
}
