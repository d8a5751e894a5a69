//! Guards what is read from preprocessor_config.json and open_clip_config.json: every published shape of the keys, and
//! errors that name the key and the value.

use clove::preprocess::{CenterCrop, Filter, Preprocess, Resize};

#[test]
fn hugging_face_configurations_are_read_in_every_shape() {
    let read = |json: &str| Preprocess::from_hugging_face(json).unwrap();
    let clip = Preprocess::clip(224).unwrap();
    let bicubic = |resize| clip.clone().with_resize(resize, Filter::Bicubic).unwrap();
    assert_eq!(read("{}"), clip);
    assert_eq!(
        read(r#"{"size": 224, "crop_size": 224, "resample": 3, "device": null, "do_pad": null}"#),
        clip
    );
    assert_eq!(
        read(r#"{"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}"#),
        Preprocess::clip(336).unwrap()
    );
    assert_eq!(read(r#"{"size": 256}"#), bicubic(Resize::ShortestEdge(256)));
    assert_eq!(read(r#"{"size": 224, "default_to_square": true}"#), bicubic(Resize::Square(224)));
    let square = r#""size": {"height": 224, "width": 224}"#;
    assert_eq!(read(&format!("{{{square}}}")), bicubic(Resize::Square(224)));
    assert_eq!(
        read(&format!(r#"{{{square}, "do_center_crop": false}}"#)),
        bicubic(Resize::Square(224))
    );
    assert_eq!(read(r#"{"do_resize": false}"#), bicubic(Resize::Keep));
    assert_eq!(read(r#"{"resample": 2}"#).filter(), Filter::Bilinear);
    let raw = read(r#"{"do_rescale": false, "do_normalize": false}"#);
    assert_eq!((raw.rescale(), raw.mean(), raw.std()), (1.0, [0.0; 3], [1.0; 3]));
    let own = read(r#"{"image_mean": [0.5, 0.25, 0.5], "image_std": 0.5, "rescale_factor": 0.5}"#);
    assert_eq!((own.rescale(), own.mean(), own.std()), (0.5, [0.5, 0.25, 0.5], [0.5; 3]));
}

#[test]
fn open_clip_configurations_are_read_in_every_shape() {
    let read = |json: &str| Preprocess::from_open_clip(json).unwrap();
    let clip = |size| Preprocess::clip(size).unwrap().with_center_crop(CenterCrop::Torchvision);
    assert_eq!(read("{}"), clip(224));
    let model = r#""model_cfg": {"vision_cfg": {"image_size": 96}}"#;
    assert_eq!(
        read(&format!(r#"{{{model}, "preprocess_cfg": {{"size": [224, 224]}}}}"#)),
        clip(96)
    );
    assert_eq!(read(r#"{"preprocess_cfg": {"size": [48, 48], "mean": null}}"#), clip(48));
    let other = read(
        r#"{"preprocess_cfg": {"mean": 0.5, "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}}"#,
    );
    assert_eq!((other.mean(), other.std()), ([0.5; 3], [0.5; 3]));
    assert_eq!((other.resize(), other.filter()), (Resize::Square(224), Filter::Bilinear));
}

/// What transformers 5's `CLIPProcessor.save_pretrained` writes, alone (src/transformers/processing_utils.py, `save_pretrained`), and
/// what earlier versions wrote.
#[test]
fn a_processors_configuration_is_read_where_it_has_the_image_processors() {
    let read = Preprocess::from_hugging_face_processor;
    let processor = r#"{"image_processor": {"crop_size": {"height": 96, "width": 96}, "data_format": "channels_first",
        "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true, "do_pad": null, "do_rescale": true, "do_resize": true,
        "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "CLIPImageProcessorFast", "image_std": [0.5, 0.5, 0.5],
        "pad_size": null, "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"height": null, "shortest_edge": 96, "width": null}}, "processor_class": "CLIPProcessor"}"#;
    let found = read(processor).unwrap().unwrap();
    assert_eq!((found.size(), found.resize()), (96, Resize::ShortestEdge(96)));
    assert_eq!((found.mean(), found.std()), ([0.5; 3], [0.5; 3]));
    assert_eq!(read(r#"{"processor_class": "CLIPProcessor"}"#).unwrap(), None);
    let error = read(r#"{"image_processor": {"resample": 1}}"#).unwrap_err().to_string();
    assert!(error.contains("image_processor.resample is 1"), "{error}");
    // A byte order mark is no part of a configuration.
    assert_eq!(
        Preprocess::from_hugging_face("\u{FEFF}{}").unwrap(),
        Preprocess::clip(224).unwrap()
    );
}

#[test]
fn a_configuration_that_cannot_be_followed_names_key_and_value() {
    let hugging_face = [
        (r#"{"resample": 1}"#, "resample is 1"),
        (r#"{"size": {"height": 224, "width": 336}}"#, r#"size is {"height":224,"width":336}"#),
        (r#"{"size": {"shortest_edge": 224, "longest_edge": 300}}"#, "longest_edge"),
        (r#"{"size": "big"}"#, r#"size is "big""#),
        (r#"{"size": 0}"#, "size of 0 pixels"),
        (r#"{"size": 4000000000}"#, "size of 4000000000 pixels"),
        (r#"{"size": -3}"#, "size is -3"),
        (r#"{"crop_size": {"height": 224, "width": 336}}"#, "crop_size is"),
        (r#"{"crop_size": 2.5}"#, "crop_size is 2.5"),
        (r#"{"do_center_crop": false}"#, "do_center_crop is false"),
        (r#"{"do_resize": "yes"}"#, r#"do_resize is "yes""#),
        (r#"{"do_pad": true}"#, "do_pad is true"),
        (r#"{"image_mean": [0.5, 0.5]}"#, "image_mean is [0.5,0.5]"),
        (r#"{"image_std": [0.5, 0, 0.5]}"#, "standard deviation is 0"),
        (r#"{"rescale_factor": 0}"#, "rescale factor is 0"),
        (r#"{"image_processor_type": "SiglipImageProcessor"}"#, "SiglipImageProcessor"),
        ("[]", "the file is []"),
        ("{", "not valid JSON"),
    ];
    let open_clip = [
        (
            r#"{"preprocess_cfg": {"resize_mode": "longest"}}"#,
            r#"preprocess_cfg.resize_mode is "longest""#,
        ),
        (
            r#"{"preprocess_cfg": {"interpolation": "nearest"}}"#,
            r#"preprocess_cfg.interpolation is "nearest""#,
        ),
        (r#"{"preprocess_cfg": {"mode": "L"}}"#, r#"preprocess_cfg.mode is "L""#),
        (r#"{"preprocess_cfg": 7}"#, "preprocess_cfg is 7"),
        (
            r#"{"model_cfg": {"vision_cfg": {"image_size": [224, 336]}}}"#,
            "model_cfg.vision_cfg.image_size is [224,336]",
        ),
    ];
    let read = [
        (Preprocess::from_hugging_face as fn(&str) -> _, &hugging_face[..]),
        (Preprocess::from_open_clip, &open_clip[..]),
    ];
    for (read, cases) in read {
        for (json, expected) in cases {
            let error = read(json).expect_err(json);
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let message = format!("{error}: {}", source.unwrap_or_default());
            assert!(message.contains(expected), "{json}: {message}");
        }
    }
}
