//! COCO's captions and Karpathy's splits: one JSON file of images and captions, beside a folder of images. Called by
//! [`ImageTextSet::coco`].
//!
//! Source: cocodataset.org/#format-data; karpathy/neuraltalk2: coco/prepro.py (`dataset_*.json`).

use std::collections::{HashMap, hash_map::Entry};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::json_lines::file_at;
use super::{ImageTextSet, Sample, not_blank, reason};
use crate::{DataError, json, text};

/// Either format. What isn't looked at may be of any kind.
#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    /// COCO's captions; Karpathy's stand with their images.
    annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize)]
struct Image {
    id: Option<i64>,
    #[serde(alias = "filename")]
    file_name: String,
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
struct Annotation {
    image_id: i64,
    /// Other annotations than captions have none.
    caption: Option<String>,
}

pub(super) fn read(
    file: &Path,
    images_dir: Option<&Path>,
    splits: &[String],
) -> Result<ImageTextSet, DataError> {
    let images_dir = match images_dir {
        Some(dir) => {
            // Else every image would be skipped, and the message would name the first only.
            fs::read_dir(dir).map_err(|source| text::io(dir, source))?;
            dir
        }
        None => file.parent().unwrap_or(Path::new("")),
    };
    let format = |problem| DataError::Format { path: file.to_owned(), problem };
    let Document { images, annotations } = json::read(file)?;
    let images = of_splits(images, splits).map_err(format)?;
    let mut set = ImageTextSet::default();
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
        match sample(&image, captions, images_dir, &place) {
            Ok(sample) => set.samples.push(sample),
            Err(why) => set.skipped.push((place, why)),
        }
    }
    if set.samples.is_empty() {
        let why =
            if set.skipped.is_empty() { "there are none".to_owned() } else { set.why_skipped() };
        return Err(format(format!(
            "none of its images can be used; they should be files under {}: {why}",
            images_dir.display()
        )));
    }
    Ok(set)
}

/// The images of the splits that are asked for; all, where none is.
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
        let there: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name:?} ({count})")).collect();
        let there = if there.is_empty() {
            "its images have no split".to_owned()
        } else {
            format!("there are {}", there.join(", "))
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
            // Of two images with one number the first has the captions, and the second is skipped without any.
            if let Entry::Vacant(entry) = places.entry(id) {
                entry.insert(at);
            }
        }
    }
    let mut captions = vec![Vec::new(); images.len()];
    for (number, annotation) in annotations.into_iter().enumerate() {
        let place = || format!("{} annotation {number}", file.display());
        let texts = not_blank(annotation.caption.as_deref());
        match places.get(&annotation.image_id) {
            Some(_) if texts.is_empty() => {
                let why = reason("without a caption", "it is missing or blank");
                set.skipped.push((place(), why));
            }
            Some(at) => captions[*at].extend(texts),
            None => {
                let detail = format!("no image has the id {}", annotation.image_id);
                let why = reason("caption without an image", detail);
                set.skipped.push((place(), why));
            }
        }
    }
    captions
}

fn sample(
    image: &Image,
    captions: Vec<String>,
    images_dir: &Path,
    place: &str,
) -> Result<Sample, String> {
    if captions.is_empty() {
        return Err(reason("without a caption", "nothing describes it"));
    }
    Ok(Sample {
        image: find(images_dir, image)?.into(),
        captions,
        fields: Vec::new(),
        negatives: Vec::new(),
        place: place.to_owned(),
        part: 0,
    })
}

/// The image's file: in its folder of that directory, or right there.
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

    /// Reads a document with the images a.jpg, val/b.jpg.
    fn read_text(document: &str, splits: &[&str]) -> Result<ImageTextSet, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        fs::create_dir_all(images.join("val")).unwrap();
        fs::write(images.join("a.jpg"), "").unwrap();
        fs::write(images.join("val/b.jpg"), "").unwrap();
        let file = dir.path().join("captions.json");
        fs::write(&file, document).unwrap();
        let splits: Vec<String> = splits.iter().map(|split| (*split).to_owned()).collect();
        ImageTextSet::coco(&file, Some(&images), &splits)
    }

    fn captions(set: &ImageTextSet) -> Vec<String> {
        let captions = set.samples.iter().map(|sample| sample.captions.join("|"));
        captions.collect()
    }

    fn kinds(set: &ImageTextSet) -> Vec<&str> {
        let reasons = set.skipped.iter();
        reasons.map(|(_, why)| why.split(':').next().unwrap()).collect()
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
        assert!(error(r#"{"images": []}"#, &[]).contains("there are none"));
        let nowhere = ImageTextSet::coco(Path::new("x.json"), Some(Path::new("nowhere")), &[]);
        assert!(nowhere.unwrap_err().to_string().starts_with("nowhere"));
    }
}
