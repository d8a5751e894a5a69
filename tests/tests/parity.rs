//! Guards the towers: features equal PyTorch's from the same pixels and texts, on the CPU and on a GPU, from both layouts.
//! Goldens: tests/golden/make_tiny_clip.py (exact GELU), and the shared model (QuickGELU).

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use clove::model::{RandomInit, TextBatch};
use clove::score::Scorer;
use clove::weights::parameters;
use clove_tests::{
    cpu, devices, devices_if_thorough, floats, golden, json, model, read, shared, strings, wait,
    worst,
};

/// f32 sums in another order than PyTorch's.
const CPU: f32 = 1e-5;
/// A GPU's exponentials and reciprocals may differ by some units in the last place.
const GPU: f32 = 1e-4;
/// Logits are cosines times a factor of up to a hundred; these models have one of about fourteen.
const LOGITS: f32 = 20.0;

/// The folders of the golden models.
fn goldens() -> Vec<PathBuf> {
    std::iter::once(golden("tiny-clip")).chain(shared("golden/quickgelu-p16-64")).collect()
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
    for folder in goldens() {
        let expected = folder.join("expected.safetensors");
        let captions = strings(&json(&folder.join("expected.json"))["captions"]);
        for (name, device) in devices() {
            let tolerance = if name == "cpu" { CPU } else { GPU };
            for layout in ["hf", "open_clip"] {
                let what = format!("{} {layout} on {name}", folder.display());
                let source = model(&folder.join(layout));
                let scorer = wait(Scorer::load(&source, &device));
                let (pixels, _) = floats(&expected, "pixel_values");
                let images = wait(scorer.embed_pixels(pixels.clone()));
                assert_close(&what, images.as_slice(), &expected, "image_features", tolerance);
                let texts = wait(scorer.embed_texts(&captions, &mut |_| ()));
                assert_close(&what, texts.as_slice(), &expected, "text_features", tolerance);
                // The shared golden has none.
                if folder.ends_with("tiny-clip") {
                    let patches: Vec<f32> = pixels
                        .chunks(pixels.len() / images.len())
                        .flat_map(|image| {
                            wait(scorer.embed_patches(image.to_vec())).as_slice().to_vec()
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
        let together = tokenizer.encode_batch(&texts);
        let full = TextBatch::new(&together, &source.config().text, &device);
        let full = read(clip.embed_texts(full));
        let width = source.config().embed_dim;
        for (index, encoding) in together.into_iter().enumerate() {
            let alone = TextBatch::new(&[encoding], &source.config().text, &device);
            let row = read(clip.embed_texts(alone));
            let (difference, _) = worst(&row, &full[index * width..(index + 1) * width]);
            assert!(difference < GPU, "{name}, text {index}: {difference:e}");
        }
    }
}

#[test]
fn a_built_model_asks_for_exactly_the_listed_parameters_in_their_order() {
    /// Records the requested parameters.
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
    let Ok(_clip) = config.build(&mut asked, &cpu());
    assert_eq!(asked.1, parameters(config));
    let elements: usize =
        parameters(config).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(elements, config.parameters());
}

#[test]
fn random_weights_depend_on_the_seed_and_on_nothing_else() {
    let config = model(&golden("tiny-clip/hf")).config().clone();
    let draw = |seed| {
        let pixels = TensorData::new(vec![0.5_f32; 3 * 32 * 32], [1, 3, 32, 32]);
        let pixels = Tensor::from_data(pixels, &cpu());
        read(config.init(seed, &cpu()).embed_images(pixels))
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).iter().all(|value| value.is_finite()));
}
