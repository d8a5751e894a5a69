//! A model that was trained or opened here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use clove::device::OpenDevice;
use clove::loss::OwnNegatives;
use clove::train::{Compute, LossScale, TrainerState};
use clove::weights::{
    Dtype, InMemory, ModelFiles, ModelSource, Precision, SingleFile, Snapshot, TensorFiles,
    TensorWriter, decode_f32,
};
use clove_lab::{self as lab, Plan, Recipe, Scenes, Tuning};
use clove_scenes::Style;

use crate::engine::{Failure, failure};
use crate::lab::Step;
use crate::lab::settings::{Loss, Negatives, Settings, Texts};

/// A run, or a model that somebody opened.
#[derive(Debug)]
pub enum Held {
    /// It can go on.
    Run(Box<Tuning>),
    /// It's there to be looked at.
    Opened(Box<Snapshot>),
}

impl Held {
    /// Begins a run.
    pub fn start(
        from: &Snapshot,
        settings: Settings,
        device: &OpenDevice,
    ) -> Result<Self, Failure> {
        let tuning = Tuning::new(from, plan(settings), &device.device).map_err(failure)?;
        Ok(Self::Run(Box::new(tuning)))
    }

    /// Opens a file: a model in one file, or the weights of a scene model.
    pub fn open(name: &str, bytes: Vec<u8>) -> Result<Self, Failure> {
        let bytes: Arc<[u8]> = bytes.into();
        let snapshot = match SingleFile::open(name, Arc::clone(&bytes)) {
            Ok(file) => read(Box::new(file))?,
            // The weights of a model's directory, as `clove lab` and `clove train` write them.
            Err(clove::weights::WeightsError::NotAModel { .. }) => {
                let config = lab::config(&lab::tokenizer().map_err(failure)?);
                let config = config.to_hugging_face().to_string().into_bytes();
                read(Box::new(InMemory {
                    name: name.to_owned(),
                    files: BTreeMap::from([
                        ("config.json".to_owned(), Arc::from(config)),
                        ("model.safetensors".to_owned(), bytes),
                    ]),
                }))?
            }
            Err(error) => return Err(failure(error)),
        };
        Ok(Self::Opened(Box::new(snapshot)))
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        match self {
            Self::Run(tuning) => tuning.steps(),
            Self::Opened(_) => 0,
        }
    }

    /// Takes a step; how long it took is not said.
    pub async fn step(&mut self) -> Result<Step, Failure> {
        let tuning = self.tuning()?;
        if tuning.is_done() {
            return Err("the run has come to its end".to_owned());
        }
        let report = tuning.step().await.map_err(failure)?;
        Ok(Step {
            step: report.step,
            loss: report.loss,
            milliseconds: 0.0,
            is_last: tuning.is_done(),
        })
    }

    fn tuning(&mut self) -> Result<&mut Tuning, Failure> {
        match self {
            Self::Run(tuning) => Ok(tuning),
            Self::Opened(_) => Err("a model that was opened isn't in training".to_owned()),
        }
    }

    /// The model's parameters as they are now.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self {
            Self::Run(tuning) => tuning.snapshot().await.map_err(failure),
            Self::Opened(snapshot) => Ok((**snapshot).clone()),
        }
    }

    /// A run in one safetensors file: model, moments, and the step and the record in its metadata.
    pub async fn keep(&mut self, record: String) -> Result<Vec<u8>, Failure> {
        let state = self.tuning()?.state().await.map_err(failure)?;
        let model = state.model.write_hugging_face(Vec::new(), Precision::F32).map_err(failure)?;
        let mut entries = vec![(MODEL.to_owned(), Dtype::U8, vec![model.len()])];
        for (name, pair) in &state.moments {
            for (prefix, values) in MOMENTS.iter().zip(pair) {
                entries.push((format!("{prefix}{name}"), Dtype::F32, vec![values.len()]));
            }
        }
        let metadata =
            HashMap::from([(STEP.to_owned(), state.step.to_string()), (RECORD.to_owned(), record)]);
        let mut writer =
            TensorWriter::new(Vec::new(), &entries, Some(metadata)).map_err(failure)?;
        writer.write(&model).map_err(failure)?;
        for values in state.moments.values().flatten() {
            let bytes: Vec<u8> = values.iter().flat_map(|one| one.to_le_bytes()).collect();
            writer.write(&bytes).map_err(failure)?;
        }
        writer.finish().map_err(failure)
    }

    /// Takes up what [`Self::keep`] gave.
    pub fn restore(bytes: &[u8], settings: Settings, device: &OpenDevice) -> Result<Self, Failure> {
        let bytes: Arc<[u8]> = bytes.into();
        let reader = Box::new(std::io::Cursor::new(bytes));
        let mut files =
            TensorFiles::open(vec![("the kept run".to_owned(), reader)]).map_err(failure)?;
        let step = files
            .metadata()
            .and_then(|metadata| metadata.get(STEP)?.parse().ok())
            .ok_or("the kept run doesn't say its step")?;
        let names: BTreeSet<String> = files.names().map(ToOwned::to_owned).collect();
        let mut all = HashMap::new();
        for name in names {
            let mut values = vec![0; files.bytes(&name).unwrap_or(0)];
            files.read_at(&name, 0, &mut values).map_err(failure)?;
            all.insert(name, values);
        }
        let model = all.remove(MODEL).ok_or("the kept run has no model")?;
        let mut moments = BTreeMap::new();
        let mean_names: Vec<String> = all
            .keys()
            .filter_map(|name| name.strip_prefix(MOMENTS[0]).map(ToOwned::to_owned))
            .collect();
        for name in mean_names {
            let pair = MOMENTS.map(|prefix| {
                let bytes = all.remove(&format!("{prefix}{name}")).unwrap_or_default();
                let mut values = vec![0.0; bytes.len() / size_of::<f32>()];
                // Of another type they have another length, which is refused with the tensor's name.
                decode_f32(Dtype::F32, &bytes, &mut values).unwrap_or_default();
                values
            });
            moments.insert(name, pair);
        }
        let state = TrainerState {
            step,
            model: lab::read_model(&model).map_err(failure)?,
            moments,
            factors: BTreeMap::new(),
            loss_scale: LossScale::new(Compute::F32),
        };
        let tuning = Tuning::resume(state, plan(settings), &device.device).map_err(failure)?;
        Ok(Self::Run(Box::new(tuning)))
    }
}

/// The model's own file in a kept run.
const MODEL: &str = "model.safetensors";
/// By which the names of moments begin.
const MOMENTS: [&str; 2] = ["mean.", "square."];
/// Steps taken, in the metadata.
const STEP: &str = "step";
/// What the page remembers of a run, in the metadata.
const RECORD: &str = "record";

/// A scene model's parameters.
fn read(files: Box<dyn ModelFiles>) -> Result<Snapshot, Failure> {
    let source = ModelSource::open(files).map_err(failure)?;
    let ours = lab::config(&lab::tokenizer().map_err(failure)?);
    let differ = clove::patch::differences(&ours, source.config());
    if !differ.is_empty() {
        return Err(format!(
            "{} is another model than the lab's, and can't be used here: {}",
            source.place(),
            differ.join("; ")
        ));
    }
    let mut weights = source.weights().map_err(failure)?;
    Snapshot::from_parameters(&ours, &mut weights).map_err(failure)
}

/// A run in the terms of `clove_lab`.
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
