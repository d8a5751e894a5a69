//! The position of the end-of-text token, whose hidden state is the embedding of the text.

/// The rule by which a model finds the end of a text among its token ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EotRule {
    /// The first position of the highest id. In CLIP's vocabulary end of text is the highest id.
    /// Used by open_clip (open_clip/transformer.py, text_global_pool) and, for old configs, by Hugging Face.
    Argmax,
    /// The first position of this id, or 0 without it (the argmax over a mask of false).
    FirstOf(u32),
}

impl EotRule {
    /// The rule of a `CLIPTextConfig`: 2, an error of old configs, means the highest id (transformers 5.23, modeling_clip.py:552-572).
    pub fn from_eos_token_id(eos_token_id: u32) -> EotRule {
        if eos_token_id == 2 { EotRule::Argmax } else { EotRule::FirstOf(eos_token_id) }
    }

    /// The position to pool at in `ids`, one padded text; 0 without ids.
    pub fn position(&self, ids: &[u32]) -> usize {
        let found = match *self {
            // `max_by_key` would return the last of equals.
            EotRule::Argmax => {
                ids.iter().enumerate().rev().max_by_key(|(_, id)| **id).map(|(i, _)| i)
            }
            EotRule::FirstOf(end) => ids.iter().position(|id| *id == end),
        };
        found.unwrap_or(0)
    }
}
