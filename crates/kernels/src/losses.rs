//! The losses by their kernels: with burn's autodiff where tensors have it, or with their gradients at once, as gradient caching
//! wants them and as a program without autodiff can have them.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn::tensor::{Int, TensorData};

/// Most negatives of one caption that own_negatives.wgsl holds.
#[cfg(feature = "gpu")]
const MOST_OWN: usize = 255;

/// FSC's settings: focal loss's exponent, and the share of the label that is spread over all candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Focus {
    /// Answers that are already right count less, by `(1 - p)^gamma`.
    pub gamma: u32,
    /// From 0 to 1.
    pub smoothing: f32,
}

/// A loss and its gradients.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// `[1]`
    pub loss: Tensor<1>,
    /// `[images, width]`
    pub by_images: Tensor<2>,
    /// `[candidates, width]`
    pub by_candidates: Tensor<2>,
    /// By the logarithm of the scale, `[1]`.
    pub by_logit_scale: Tensor<1>,
}

/// InfoNCE with hard negatives by contrastive.wgsl and contrastive_backward.wgsl, `[1]`. `None` where they can't run.
///
/// `images` is `[images, width]`; `candidates` is `[images + any number, width]`, their own texts and then the negatives; all rows
/// have length one. `logit_scale` is `[1]`.
///
/// # Panics
/// If there are fewer candidates than images, or rows have different widths.
#[must_use]
pub fn contrastive(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
) -> Option<Tensor<1>> {
    let inputs = Inputs::new(images, candidates, logit_scale);
    let fits = inputs.fit()?;
    Some(inputs.contrastive(fits))
}

/// [`contrastive`] with its gradients, of tensors without autodiff.
///
/// # Panics
/// As it does.
#[must_use]
pub fn contrastive_gradients(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
) -> Option<Gradients> {
    let inputs = Inputs::new(images, candidates, logit_scale);
    let fits = inputs.fit()?;
    Some(inputs.contrastive_gradients(fits))
}

/// FSC's loss by own_negatives.wgsl and own_negatives_backward.wgsl, `[1]`. `None` where they can't run, and where no caption has
/// a negative.
///
/// Tensors are those of [`contrastive`]; `owners` says for each negative which image's caption it belongs to.
///
/// # Panics
/// If there isn't one owner for each negative, or one isn't an image.
#[must_use]
pub fn own_negatives(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    owners: &[usize],
    focus: Focus,
) -> Option<Tensor<1>> {
    let inputs = Inputs::new(images, candidates, logit_scale);
    let lists = inputs.lists(owners)?;
    Some(inputs.own_negatives(lists, focus))
}

/// [`own_negatives`] with its gradients, of tensors without autodiff.
///
/// # Panics
/// As it does.
#[must_use]
pub fn own_negatives_gradients(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    owners: &[usize],
    focus: Focus,
) -> Option<Gradients> {
    let inputs = Inputs::new(images, candidates, logit_scale);
    let lists = inputs.lists(owners)?;
    Some(inputs.own_negatives_gradients(lists, focus))
}

/// What the losses are of.
struct Inputs {
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
}

impl Inputs {
    fn new(images: Tensor<2>, candidates: Tensor<2>, logit_scale: Tensor<1>) -> Self {
        let ([count, width], [all, other]) = (images.dims(), candidates.dims());
        assert!(all >= count && width == other, "one text for each image");
        Self { images, candidates, logit_scale }
    }
}

/// Without a GPU's back end nothing fits, and nothing is there to be called.
#[cfg(not(feature = "gpu"))]
#[expect(clippy::unused_self, reason = "it's what the other form computes with")]
mod nowhere {
    use std::convert::Infallible;

    use super::{Focus, Gradients, Inputs, Tensor};

    impl Inputs {
        pub fn fit(&self) -> Option<Infallible> {
            let _ = (&self.images, &self.candidates, &self.logit_scale);
            None
        }

        pub fn lists(&self, _owners: &[usize]) -> Option<Infallible> {
            None
        }

        pub fn contrastive(self, fits: Infallible) -> Tensor<1> {
            match fits {}
        }

        pub fn contrastive_gradients(self, fits: Infallible) -> Gradients {
            match fits {}
        }

        pub fn own_negatives(self, lists: Infallible, _focus: Focus) -> Tensor<1> {
            match lists {}
        }

        pub fn own_negatives_gradients(self, lists: Infallible, _focus: Focus) -> Gradients {
            match lists {}
        }
    }
}

#[cfg(feature = "gpu")]
mod on_device {
    use burn::backend::ops::FloatTensorOps as _;
    use burn::backend::{Dispatch, DispatchTensor};
    use burn::tensor::DType;

    use super::{Focus, Gradients, Inputs, MOST_OWN, OwnerLists, Tensor};
    use crate::ops::{By, InfoNce, Kernels as _, OwnNegatives};
    use crate::shader::MOST_WORKGROUPS;

    /// Blocks of 16 rows of a gradient that a dimension of a launch holds.
    const MOST_ROWS: usize = MOST_WORKGROUPS as usize * 16;

    /// They have been found to run.
    pub struct Fits;

    impl Inputs {
        /// Whether the kernels run on them.
        pub fn fit(&self) -> Option<Fits> {
            let ([count, width], [all, _]) = (self.images.dims(), self.candidates.dims());
            let fits = count > 0
                && width > 0
                && all <= MOST_ROWS
                && crate::run_on(&self.images.device())
                && self.images.dtype() == DType::F32
                && self.candidates.dtype() == DType::F32
                && self.logit_scale.dtype() == DType::F32;
            fits.then_some(Fits)
        }

        fn into_dispatch(self) -> [DispatchTensor; 3] {
            [
                self.images.into_dispatch(),
                self.candidates.into_dispatch(),
                self.logit_scale.into_dispatch(),
            ]
        }

        pub fn contrastive(self, _: Fits) -> Tensor<1> {
            let [images, candidates, scale] = self.into_dispatch();
            Tensor::from_dispatch(Dispatch::clove_contrastive(images, candidates, scale))
        }

        pub fn contrastive_gradients(self, _: Fits) -> Gradients {
            let one = self.logit_scale.ones_like().into_dispatch();
            let [images, candidates, scale] = self.into_dispatch();
            let forward = InfoNce::<Dispatch>::forward(images.clone(), candidates.clone(), scale);
            let loss = forward.loss.clone();
            let by = forward.backward(&images, &candidates, one, [true; 3]);
            gradients(loss, by)
        }

        /// `None` where the kernel can't run, and where nothing has negatives.
        pub fn lists(&self, owners: &[usize]) -> Option<OwnerLists> {
            let ([count, _], [all, _]) = (self.images.dims(), self.candidates.dims());
            assert_eq!(all, count + owners.len(), "one owner for each negative");
            let lists = OwnerLists::new(count, owners);
            (!owners.is_empty() && lists.most <= MOST_OWN && self.fit().is_some()).then_some(lists)
        }

        pub fn own_negatives(self, lists: OwnerLists, focus: Focus) -> Tensor<1> {
            let captions = lists.captions;
            let lists = lists.tensor(&self.images).into_dispatch();
            let [images, candidates, scale] = self.into_dispatch();
            Tensor::from_dispatch(Dispatch::clove_own_negatives(
                images, candidates, scale, lists, captions, focus,
            ))
        }

        pub fn own_negatives_gradients(self, lists: OwnerLists, focus: Focus) -> Gradients {
            let one = self.logit_scale.ones_like().into_dispatch();
            let captions = lists.captions;
            let lists = lists.tensor(&self.images).into_dispatch();
            let [images, candidates, logit_scale] = self.into_dispatch();
            let loss = Dispatch::clove_own_negatives(
                images.clone(),
                candidates.clone(),
                logit_scale.clone(),
                lists.clone(),
                captions,
                focus,
            );
            let own = OwnNegatives::<Dispatch> {
                scale: Dispatch::float_exp(logit_scale),
                owners: lists,
                captions,
                focus,
            };
            gradients(loss, own.backward(images, candidates, one))
        }
    }

    fn gradients(loss: DispatchTensor, by: By<Dispatch>) -> Gradients {
        let all = "all were asked for";
        Gradients {
            loss: Tensor::from_dispatch(loss),
            by_images: Tensor::from_dispatch(by.images.expect(all)),
            by_candidates: Tensor::from_dispatch(by.candidates.expect(all)),
            by_logit_scale: Tensor::from_dispatch(by.logit_scale.expect(all)),
        }
    }
}

/// The negatives of each image, as own_negatives.wgsl takes them.
#[cfg(feature = "gpu")]
struct OwnerLists {
    /// Where each image's list begins, the end, and the lists.
    words: Vec<i32>,
    /// Images that have any.
    captions: usize,
    /// Most that one has.
    most: usize,
}

#[cfg(feature = "gpu")]
impl OwnerLists {
    fn new(images: usize, owners: &[usize]) -> Self {
        let mut lists = vec![Vec::new(); images];
        for (negative, &owner) in owners.iter().enumerate() {
            lists[owner].push(negative as i32);
        }
        let mut words = vec![0];
        for list in &lists {
            words.push(words[words.len() - 1] + list.len() as i32);
        }
        words.extend(lists.iter().flatten());
        Self {
            words,
            captions: lists.iter().filter(|list| !list.is_empty()).count(),
            most: lists.iter().map(Vec::len).max().unwrap_or(0),
        }
    }

    fn tensor(self, like: &Tensor<2>) -> Tensor<1, Int> {
        let count = self.words.len();
        Tensor::from_data(TensorData::new(self.words, [count]), &like.device())
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::OwnerLists;

    #[test]
    fn lists_hold_each_negative_once_under_its_owner() {
        let table = OwnerLists::new(3, &[2, 0, 2]);
        assert_eq!(table.words, [0, 1, 1, 3, 1, 0, 2]);
        assert_eq!((table.captions, table.most), (2, 2));
    }
}
