#![doc = include_str!("../TRAINING.md")]

mod captions;
pub mod config;
mod copies;
mod error;
pub mod evaluation;
mod event;
pub mod lab;
mod loader;
mod lost;
mod memory;
mod model;
pub mod negatives;
mod parallel;
mod patching;
pub mod photos;
mod precision;
mod run;
mod samples;
pub mod session;
mod sitting;
mod source;
mod start;
mod validation;
pub mod words;

pub use config::{Config, Setting};
pub use error::{Error, Result, one_line};
pub use event::{Control, Event, Finished, Listener, Step};
pub use lost::{Fault, panic_text};
pub use memory::proc_bytes;
pub use model::{lacks_preprocessing, open_model};
pub use run::{Begin, Run};
pub use samples::{Words, open_set};
pub use source::{Pool, Source};
pub use start::Parts;
pub use validation::{Line, read_lines};
