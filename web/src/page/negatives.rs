//! Making hard negatives of a caption.

use leptos::prelude::*;

use super::engine::{Engine, Failure};
use super::state::{Row, State};
use super::{assets, text};
use crate::protocol::{Answer, Ask};

/// Hard negatives per request.
const COUNT: usize = 3;

/// Makes hard negatives of a caption, in place of earlier ones.
pub async fn make(state: State, id: u32) {
    let Some(engine) = state.engine.get() else {
        return;
    };
    let rows = state.rows.get_untracked();
    let Some(row) = rows.iter().find(|row| row.id == id) else {
        return;
    };
    state.change(id, |row| row.note = Some(text::MAKING.to_owned()));
    let others =
        rows.iter().filter(|other| !other.wrong && other.id != id && !other.text.trim().is_empty());
    let request = Ask::Negatives {
        caption: row.text.trim().to_owned(),
        others: others.map(|other| other.text.trim().to_owned()).collect(),
        style: state.style.get_untracked(),
        count: COUNT,
        seed: row.made_of,
    };
    let note = match answer(state, &engine, request).await {
        Ok(Answer::Negatives { negatives, why_none }) => {
            let made = negatives.into_iter().map(|negative| {
                let row = state.row(&negative.text, true);
                Row { made: Some(negative), ..row }
            });
            let made: Vec<Row> = made.collect();
            if made.is_empty() {
                Some(format!("{}{}.", text::NONE_MADE, why_none.unwrap_or_default()))
            } else {
                insert(state, id, made);
                None
            }
        }
        Ok(_) => Some(text::ODD_ANSWER.to_owned()),
        Err(Failure::Refused(reason)) => Some(reason),
        Err(Failure::Ended) => None,
    };
    state.change(id, |row| {
        row.note = note;
        row.made_of += 1;
    });
}

async fn answer(state: State, engine: &Engine, ask: Ask) -> Result<Answer, Failure> {
    let started = state.engine.started();
    if state.lexicon_in.get_value() != Some(started) {
        let bytes = assets::bytes("lexicon").await.map_err(Failure::Refused)?;
        engine.ask(Ask::Lexicon, Some(bytes)).await?;
        state.lexicon_in.set_value(Some(started));
    }
    engine.ask(ask, None).await.map(|(answer, _)| answer)
}

/// Inserts hard negatives after the caption and its written wrong captions.
fn insert(state: State, id: u32, made: Vec<Row>) {
    state.rows.update(|rows| {
        let Some(at) = rows.iter().position(|row| row.id == id) else {
            return;
        };
        let after = rows.split_off(at + 1);
        let group = after.iter().take_while(|row| row.wrong).count();
        let mut after = after.into_iter();
        let written: Vec<Row> =
            after.by_ref().take(group).filter(|row| row.made.is_none()).collect();
        rows.extend(written);
        rows.extend(made);
        rows.extend(after);
    });
}
