//! A model that was trained or opened in the lab.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use clove::device::OpenDevice;
use clove::loss::OwnNegatives;
use clove::train::{StepReport, TrainerState};
use clove::weights::{
    Dtype, ModelFiles, ModelSource, Precision, Problem, SingleFile, Snapshot, TensorFiles,
    TensorWriter, WeightsError, decode_f32,
};
use clove_lab::{self as lab, Plan, Recipe, Scenes, Tuning};
use clove_scenes::Style;

use crate::engine::Failure;
use crate::lab::settings::{Loss, Negatives, Settings, Texts};

/// A run, or an opened model.
#[derive(Debug)]
pub enum Held {
    /// A training run.
    Run(Box<Tuning>),
    /// A model from a file.
    Opened(Box<Snapshot>),
}

impl Held {
    pub fn start(
        from: &Snapshot,
        settings: Settings,
        device: &OpenDevice,
    ) -> Result<Self, Failure> {
        let tuning = Tuning::new(from, plan(settings), &device.device)?;
        Ok(Self::Run(Box::new(tuning)))
    }

    /// Opens a file: a model in one file, or the weights of a scene model.
    pub fn open(name: &str, bytes: Vec<u8>) -> Result<Self, Failure> {
        let bytes: Arc<[u8]> = bytes.into();
        let snapshot = match SingleFile::open(name, Arc::clone(&bytes)) {
            Ok(file) => read(Box::new(file))?,
            // The weights of a model's directory, as `clove lab` and `clove train` write them.
            Err(WeightsError { problem: Problem::NotAModel(_), .. }) => {
                read(Box::new(lab::directory(name, bytes)?))?
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self::Opened(Box::new(snapshot)))
    }

    pub fn steps(&self) -> usize {
        match self {
            Self::Run(tuning) => tuning.steps(),
            Self::Opened(_) => 0,
        }
    }

    /// Takes a step; returns whether the run is complete.
    pub async fn step(&mut self) -> Result<(StepReport, bool), Failure> {
        let tuning = self.tuning()?;
        if tuning.is_done() {
            return Err("the run is complete".into());
        }
        Ok((tuning.step().await?, tuning.is_done()))
    }

    fn tuning(&mut self) -> Result<&mut Tuning, Failure> {
        match self {
            Self::Run(tuning) => Ok(tuning),
            Self::Opened(_) => Err("an opened model can't be trained".into()),
        }
    }

    /// The model's current parameters.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self {
            Self::Run(tuning) => Ok(tuning.snapshot().await?),
            Self::Opened(snapshot) => Ok((**snapshot).clone()),
        }
    }

    /// The run as one safetensors file: model and moments, with step and record in its metadata.
    pub async fn keep(&mut self, record: String) -> Result<Vec<u8>, Failure> {
        let state = self.tuning()?.state().await?;
        let model = state.model.write_hugging_face(Vec::new(), Precision::F32)?;
        let mut entries = vec![(MODEL.to_owned(), Dtype::U8, vec![model.len()])];
        for (name, pair) in &state.moments {
            for (prefix, values) in MOMENTS.iter().zip(pair) {
                entries.push((format!("{prefix}{name}"), Dtype::F32, vec![values.len()]));
            }
        }
        let metadata =
            HashMap::from([(STEP.to_owned(), state.step.to_string()), (RECORD.to_owned(), record)]);
        let mut writer = TensorWriter::new(Vec::new(), &entries, Some(metadata))?;
        writer.write(&model)?;
        for values in state.moments.values().flatten() {
            let bytes: Vec<u8> = values.iter().flat_map(|one| one.to_le_bytes()).collect();
            writer.write(&bytes)?;
        }
        Ok(writer.finish()?)
    }

    /// Restores a run from the file of [`Self::keep`].
    pub fn restore(bytes: &[u8], settings: Settings, device: &OpenDevice) -> Result<Self, Failure> {
        let bytes: Arc<[u8]> = bytes.into();
        let reader = Box::new(std::io::Cursor::new(bytes));
        let mut files = TensorFiles::open(vec![("the stored run".to_owned(), reader)])?;
        let step = files
            .metadata()
            .and_then(|metadata| metadata.get(STEP)?.parse().ok())
            .ok_or("the stored run has no step")?;
        let names: Vec<String> = files.names().map(ToOwned::to_owned).collect();
        let mut read = |name: &str| {
            let mut bytes = vec![0; files.bytes(name).unwrap_or(0)];
            files.read_at(name, 0, &mut bytes).map(|()| bytes)
        };
        let model = read(MODEL)?;
        let mut moments = BTreeMap::new();
        for name in names.iter().filter_map(|name| name.strip_prefix(MOMENTS[0])) {
            let mut pair = [Vec::new(), Vec::new()];
            for (prefix, values) in MOMENTS.iter().zip(&mut pair) {
                let bytes = read(&format!("{prefix}{name}"))?;
                *values = vec![0.0; bytes.len() / size_of::<f32>()];
                // Another type gives another length, which `resume` rejects with the tensor's name.
                decode_f32(Dtype::F32, &bytes, values).unwrap_or_default();
            }
            moments.insert(name.to_owned(), pair);
        }
        let state = TrainerState {
            step,
            model: lab::read_model(&model)?,
            moments,
            factors: BTreeMap::new(),
            loss_scale: None,
        };
        let tuning = Tuning::resume(state, plan(settings), &device.device)?;
        Ok(Self::Run(Box::new(tuning)))
    }
}

/// The model's tensor in a stored run: its own file.
const MODEL: &str = "model.safetensors";
/// Prefixes of the moments' names.
const MOMENTS: [&str; 2] = ["mean.", "square."];
/// The metadata's key for the step.
const STEP: &str = "step";
/// The metadata's key for the page's record.
const RECORD: &str = "record";

/// A scene model's parameters.
fn read(files: Box<dyn ModelFiles>) -> Result<Snapshot, Failure> {
    let source = ModelSource::open(files)?;
    let ours = lab::config(&lab::tokenizer()?);
    let differ = clove::patch::differences(&ours, source.config());
    if !differ.is_empty() {
        return Err(format!(
            "{} differs from the lab's model and can't be used here: {}",
            source.place(),
            differ.join("; ")
        )
        .into());
    }
    let mut weights = source.weights()?;
    Ok(Snapshot::from_parameters(&ours, &mut weights)?)
}

/// The plan of a run with these settings.
fn plan(settings: Settings) -> Plan {
    let settings = settings.sound();
    let style = match settings.negatives {
        Negatives::None => None,
        Negatives::Swap => Some(Style::NegClip),
        Negatives::Replace => Some(Style::Replace),
        Negatives::Mixed => Some(Style::Mixed),
    };
    Plan {
        texts: match settings.texts {
            Texts::Alt => lab::Texts::AltTextsOfCommon,
            Texts::Captions => lab::Texts::Captions { style, negatives: 1 },
        },
        scenes: Scenes::Epochs { scenes: settings.scenes, repeat: true },
        recipe: Recipe {
            steps: settings.steps,
            batch: settings.batch,
            learning_rate: settings.learning_rate,
            warmup: settings.warmup(),
            negatives: 1,
            image_rate: settings.image_rate,
            loss: match settings.loss {
                Loss::Clip => clove::loss::Loss::Clip,
                Loss::Clove => clove::loss::Loss::Clove,
                Loss::Fsc => clove::loss::Loss::Fsc(OwnNegatives::default()),
            },
        },
        seed: settings.seed,
    }
}
