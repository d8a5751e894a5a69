//! The lab's state in the page's address: view, lesson and answer, settings of the next run, alpha and drawing, as
//! `#v=lessons&l=hard-negatives&q=1&n=300&seed=7`.

use clove_scenes::{Colour, Object, Shape, Size, Texture, Thing};

use super::lesson::Lesson;
use super::settings::{LOSSES, NEGATIVES, Settings, TEXTS, limits, name, named};

/// A tab of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum View {
    /// The lessons, or one of them.
    #[default]
    Lessons,
    /// The scene editor.
    Draw,
    /// Training runs.
    Train,
    /// Alpha.
    Patch,
    /// Embeddings.
    Inside,
}

impl View {
    /// All views, in the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Lessons, Self::Draw, Self::Train, Self::Patch, Self::Inside];

    /// The name in addresses.
    pub fn slug(self) -> &'static str {
        const SLUGS: [&str; View::ALL.len()] = ["lessons", "draw", "train", "patch", "inside"];
        SLUGS[self as usize]
    }
}

/// The state that an address holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    /// The view.
    pub view: View,
    /// The open lesson.
    pub lesson: Option<Lesson>,
    /// The chosen answer, from 0.
    pub answer: Option<usize>,
    /// Training steps of lessons; `None` for each lesson's default.
    pub lesson_steps: Option<usize>,
    /// The settings of the next run.
    pub settings: Settings,
    /// Alpha, from 0 to 1.
    pub alpha: Option<f64>,
    /// The drawn shapes.
    pub things: Vec<Thing>,
}

const SIZES: [(Size, &str); 3] = [(Size::Small, "s"), (Size::Ordinary, "m"), (Size::Large, "l")];
const TEXTURES: [(Texture, &str); 3] =
    [(Texture::Plain, "p"), (Texture::Striped, "s"), (Texture::Dotted, "d")];

/// Settings by their keys in addresses.
fn written(settings: &Settings) -> [(&'static str, String); 9] {
    [
        ("texts", name(&TEXTS, settings.texts).to_owned()),
        ("scenes", settings.scenes.to_string()),
        ("negatives", name(&NEGATIVES, settings.negatives).to_owned()),
        ("loss", name(&LOSSES, settings.loss).to_owned()),
        ("rate", settings.learning_rate.to_string()),
        ("image-rate", settings.image_rate.to_string()),
        ("steps", settings.steps.to_string()),
        ("batch", settings.batch.to_string()),
        ("seed", settings.seed.to_string()),
    ]
}

impl Place {
    /// The address's fragment, without `#`.
    pub fn to_hash(&self) -> String {
        let mut parts = vec![format!("v={}", self.view.slug())];
        if let Some(lesson) = self.lesson {
            parts.push(format!("l={}", lesson.slug()));
        }
        if let Some(answer) = self.answer {
            parts.push(format!("q={answer}"));
        }
        if let Some(steps) = self.lesson_steps {
            parts.push(format!("n={steps}"));
        }
        // Defaults are left out.
        let settings = written(&self.settings).into_iter().zip(written(&Settings::default()));
        let changed = settings.filter(|(now, usual)| now != usual);
        parts.extend(changed.map(|((key, value), _)| format!("{key}={value}")));
        if let Some(alpha) = self.alpha {
            parts.push(format!("a={}", (alpha * 100.0).round() / 100.0));
        }
        for thing in &self.things {
            let Object { shape, colour, size, texture } = thing.object;
            parts.push(format!(
                "d={}.{}.{}{}.{:.0}.{:.0}",
                colour.word(),
                shape.word(),
                name(&SIZES, size),
                name(&TEXTURES, texture),
                thing.x * 1000.0,
                thing.y * 1000.0
            ));
        }
        parts.join("&")
    }

    /// Reads a fragment; skips unknown keys and invalid values.
    pub fn from_hash(hash: &str) -> Self {
        let mut place = Self::default();
        for part in hash.trim_start_matches('#').split('&') {
            let Some((key, value)) = part.split_once('=') else {
                continue;
            };
            let settings = &mut place.settings;
            match key {
                "v" => {
                    let found = View::ALL.into_iter().find(|view| view.slug() == value);
                    place.view = found.unwrap_or_default();
                }
                "l" => place.lesson = Lesson::ALL.into_iter().find(|one| one.slug() == value),
                "q" => {
                    let answer = value.parse().ok();
                    place.answer = answer.filter(|answer| *answer < Lesson::ANSWERS);
                }
                "n" => {
                    let steps = value.parse().ok();
                    place.lesson_steps = steps.filter(|steps| limits::STEPS.contains(steps));
                }
                "texts" => set(&mut settings.texts, named(&TEXTS, value)),
                "negatives" => set(&mut settings.negatives, named(&NEGATIVES, value)),
                "loss" => set(&mut settings.loss, named(&LOSSES, value)),
                "scenes" => set(&mut settings.scenes, value.parse().ok()),
                "rate" => set(&mut settings.learning_rate, value.parse().ok()),
                "image-rate" => set(&mut settings.image_rate, value.parse().ok()),
                "steps" => set(&mut settings.steps, value.parse().ok()),
                "batch" => set(&mut settings.batch, value.parse().ok()),
                "seed" => set(&mut settings.seed, value.parse().ok()),
                "a" => {
                    let alpha = value.parse().ok();
                    place.alpha = alpha.filter(|alpha| (0.0..=1.0).contains(alpha));
                }
                "d" => place.things.extend(thing(value)),
                _ => (),
            }
        }
        place.settings = place.settings.sound();
        place
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn thing(value: &str) -> Option<Thing> {
    let parts: Vec<&str> = value.split('.').collect();
    let [colour, shape, marks, x, y] = parts[..] else {
        return None;
    };
    let (size, texture) = marks.split_at_checked(1)?;
    let share = |text: &str| {
        let place = text.parse::<u16>().ok().filter(|place| *place <= 1000)?;
        Some(f32::from(place) / 1000.0)
    };
    Some(Thing {
        object: Object {
            shape: Shape::ALL.into_iter().find(|one| one.word() == shape)?,
            colour: Colour::ALL.into_iter().find(|one| one.word() == colour)?,
            size: named(&SIZES, size)?,
            texture: named(&TEXTURES, texture)?,
        },
        x: share(x)?,
        y: share(y)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::settings::{Loss, Negatives, Texts};

    #[test]
    fn a_place_survives_its_address() {
        let place = Place {
            view: View::Train,
            lesson: Some(Lesson::DataCuration),
            answer: Some(2),
            lesson_steps: Some(300),
            settings: Settings {
                texts: Texts::Captions,
                scenes: 5,
                negatives: Negatives::Swap,
                loss: Loss::Fsc,
                learning_rate: 2.5e-4,
                image_rate: 0.5,
                steps: 12,
                batch: 4,
                seed: 7,
            },
            alpha: Some(0.65),
            things: vec![Thing {
                object: Object {
                    shape: Shape::Mushroom,
                    colour: Colour::Pink,
                    size: Size::Large,
                    texture: Texture::Plain,
                },
                x: 0.25,
                y: 0.7,
            }],
        };
        assert_eq!(Place::from_hash(&format!("#{}", place.to_hash())), place);
        let usual = Place::default();
        assert_eq!(usual.to_hash(), "v=lessons");
        assert_eq!(Place::from_hash(&usual.to_hash()), usual);
    }

    #[test]
    fn invalid_addresses_give_defaults() {
        for hash in [
            "",
            "#",
            "#v=x&l=y&q=-1&a=7&n=0",
            "#q=3&n=-1",
            "#d=&d=red&d=red.circle&d=red.circle.é.1.1&d=red.circle.mp.2000.1&d=red.circle.mp.NaN.1",
            "#steps=x&seed=-1&rate=&texts=no",
        ] {
            assert_eq!(Place::from_hash(hash), Place::default(), "{hash}");
        }
        let huge = Place::from_hash("#steps=99999999&batch=0&rate=NaN&scenes=0");
        assert_eq!(huge.settings, huge.settings.sound());
        assert_eq!(huge.settings.batch, 2);
    }
}
