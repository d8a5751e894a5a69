//! Guards the towers: features equal PyTorch's from the same pixels and texts, on the CPU and on a GPU, from both layouts.
//! Goldens: tests/golden/make_tiny_clip.py (exact GELU), and the shared model (QuickGELU).

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use clove::device::read_back;
use clove::model::{ClipConfig, RandomInit, TextBatch};
use clove::score::Scorer;
use clove::tokenizer::Encoding;
use clove::weights::parameters;
use clove_tests::{devices, devices_if_thorough, floats, golden, model, shared, worst};
use serde_json::Value;

/// f32 sums in another order than PyTorch's.
const CPU: f32 = 1e-5;
/// A GPU's exponentials and reciprocals are allowed some units in the last place.
const GPU: f32 = 1e-4;
/// Logits are cosines times a factor of up to a hundred; these models have one of about fourteen.
const LOGITS: f32 = 20.0;

struct Golden {
    folder: PathBuf,
    captions: Vec<String>,
}

fn goldens() -> Vec<Golden> {
    let mut goldens = vec![load(golden("tiny-clip"))];
    goldens.extend(shared("golden/quickgelu-p16-64").map(load));
    goldens
}

fn load(folder: PathBuf) -> Golden {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let captions = expected["captions"].as_array().unwrap();
    Golden {
        captions: captions.iter().map(|caption| caption.as_str().unwrap().to_owned()).collect(),
        folder,
    }
}

fn assert_close(what: &str, got: &[f32], file: &Path, tensor: &str, tolerance: f32) {
    let (expected, _) = floats(file, tensor);
    let (difference, place) = worst(got, &expected);
    println!("{what}: {tensor} within {difference:e}");
    assert!(
        difference <= tolerance,
        "{what}: {tensor}[{place}] is {} instead of {}",
        got[place],
        expected[place]
    );
}

#[test]
fn features_equal_pytorch_from_both_layouts_on_every_device() {
    for golden in goldens() {
        let expected = golden.folder.join("expected.safetensors");
        for (name, device) in devices() {
            let tolerance = if name == "cpu" { CPU } else { GPU };
            for layout in ["hf", "open_clip"] {
                let what = format!("{} {layout} on {name}", golden.folder.display());
                let source = model(&golden.folder.join(layout));
                let scorer = pollster::block_on(Scorer::load(&source, &device)).unwrap();
                let (pixels, _) = floats(&expected, "pixel_values");
                let images = pollster::block_on(scorer.embed_pixels(pixels)).unwrap();
                assert_close(&what, images.as_slice(), &expected, "image_features", tolerance);
                let texts =
                    pollster::block_on(scorer.embed_texts(&golden.captions, &mut |_| ())).unwrap();
                assert_close(&what, texts.as_slice(), &expected, "text_features", tolerance);
                // The shared golden has none.
                if golden.folder.ends_with("tiny-clip") {
                    let (pixels, _) = floats(&expected, "pixel_values");
                    let each = pixels.len() / images.len();
                    let patches: Vec<f32> = pixels
                        .chunks(each)
                        .flat_map(|image| {
                            let rows = scorer.embed_patches(image.to_vec());
                            pollster::block_on(rows).unwrap().as_slice().to_vec()
                        })
                        .collect();
                    assert_close(&what, &patches, &expected, "patch_features", tolerance);
                }
                let scale = scorer.logit_scale().exp();
                let logits: Vec<f32> = (0..images.len())
                    .flat_map(|image| scorer.scores(&images, image, &texts).similarities)
                    .map(|similarity| scale * similarity)
                    .collect();
                assert_close(&what, &logits, &expected, "logits_per_image", LOGITS * tolerance);
            }
        }
    }
}

#[test]
fn a_batch_cut_to_its_longest_text_gives_what_the_full_context_gives() {
    let source = model(&golden("tiny-clip/hf"));
    let tokenizer = source.tokenizer().unwrap();
    let long = "a photo of a cat and a dog ".repeat(20);
    let texts = ["", "a cat", "a black cat sitting on a wooden chair", &long];
    for (name, device) in devices_if_thorough() {
        let clip = source.load(&device).unwrap();
        let together: Vec<Encoding> = tokenizer.encode_batch(&texts);
        let full = clip.embed_texts(TextBatch::new(&together, &source.config().text, &device));
        let full = pollster::block_on(read_back(full)).unwrap();
        let width = source.config().embed_dim;
        for (index, encoding) in together.into_iter().enumerate() {
            let alone = TextBatch::new(&[encoding], &source.config().text, &device);
            let row = pollster::block_on(read_back(clip.embed_texts(alone))).unwrap();
            let (difference, _) = worst(&row, &full[index * width..(index + 1) * width]);
            assert!(difference < GPU, "{name}, text {index}: {difference:e}");
        }
    }
}

#[test]
fn a_built_model_asks_for_exactly_the_listed_parameters_in_their_order() {
    /// Writes down what is asked for.
    struct Asked(RandomInit, Vec<(String, Vec<usize>)>);
    impl clove::model::Parameters for Asked {
        type Error = std::convert::Infallible;
        fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error> {
            self.1.push((name.to_owned(), shape.to_vec()));
            self.0.values(name, shape)
        }
    }
    let source = model(&golden("tiny-clip/hf"));
    let config = source.config();
    let mut asked = Asked(RandomInit::new(config, 0), Vec::new());
    let (_, device) = devices().remove(0);
    let Ok(_clip) = config.build(&mut asked, &device);
    assert_eq!(asked.1, parameters(config));
    let elements: usize =
        parameters(config).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(elements, config.parameters());
}

#[test]
fn random_weights_depend_on_the_seed_and_on_nothing_else() {
    let config = model(&golden("tiny-clip/hf")).config().clone();
    let draw = |seed| {
        let (_, device) = devices().remove(0);
        let pixels =
            Tensor::from_data(TensorData::new(vec![0.5_f32; 3 * 32 * 32], [1, 3, 32, 32]), &device);
        pollster::block_on(read_back(config.init(seed, &device).embed_images(pixels))).unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).iter().all(|value| value.is_finite()));
}

#[test]
fn configurations_survive_the_way_through_both_formats() {
    for golden in goldens() {
        for layout in ["hf", "open_clip"] {
            let config = model(&golden.folder.join(layout)).config().clone();
            let hugging_face = ClipConfig::from_hugging_face(&config.to_hugging_face().to_string());
            let open_clip =
                ClipConfig::from_open_clip(&config.to_open_clip().unwrap().to_string()).unwrap();
            assert_eq!(hugging_face.unwrap().image, config.image);
            assert_eq!(open_clip.image, config.image);
            assert_eq!(open_clip.text.width, config.text.width);
            assert_eq!(open_clip.text.activation, config.text.activation);
        }
    }
}
