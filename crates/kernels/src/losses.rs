//! The losses by their kernels: with burn's autodiff, or together with their gradients for programs without autodiff.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn::tensor::{Int, TensorData};

/// Maximum number of negatives of one caption in own_negatives.wgsl.
#[cfg(feature = "gpu")]
const MOST_OWN: usize = 255;

/// FSC's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Focus {
    /// Exponent of the focal loss: confident correct answers count less, by `(1 - p)^gamma`.
    pub gamma: u32,
    /// Share of the label that is spread over all candidates, from 0 to 1.
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
    /// The gradient by the logarithm of the scale, `[1]`.
    pub by_logit_scale: Tensor<1>,
}

/// InfoNCE with hard negatives by contrastive.wgsl and contrastive_backward.wgsl, `[1]`. `None` where they can't run.
///
/// `images` is `[images, width]`; `candidates` is `[images + any number, width]`, their texts before the negatives; rows have length one.
/// `mask` has a row of words for each image, or nothing: bit `c % 32` of word `c / 32` leaves candidate `c` out for the image, and the
/// image for that text. It never leaves an image's own text out.
///
/// # Panics
/// If there are fewer candidates than images, rows have different widths, or the mask has too few words.
pub fn contrastive(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    mask: &[u32],
) -> Option<Tensor<1>> {
    Inputs::new(images, candidates, logit_scale).contrastive(mask)
}

/// [`contrastive`] with its gradients, for tensors without autodiff.
///
/// # Panics
/// As [`contrastive`].
pub fn contrastive_gradients(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    mask: &[u32],
) -> Option<Gradients> {
    Inputs::new(images, candidates, logit_scale).contrastive_gradients(mask)
}

/// FSC's loss by own_negatives.wgsl and own_negatives_backward.wgsl, `[1]`. `None` where they can't run, and without negatives.
///
/// The tensors are those of [`contrastive`]; `owners` has the image of each negative's caption.
///
/// # Panics
/// If there isn't one owner for each negative, or one isn't an image.
pub fn own_negatives(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    owners: &[usize],
    focus: Focus,
) -> Option<Tensor<1>> {
    Inputs::new(images, candidates, logit_scale).own_negatives(owners, focus)
}

/// [`own_negatives`] with its gradients, for tensors without autodiff.
///
/// # Panics
/// As [`own_negatives`].
pub fn own_negatives_gradients(
    images: Tensor<2>,
    candidates: Tensor<2>,
    logit_scale: Tensor<1>,
    owners: &[usize],
    focus: Focus,
) -> Option<Gradients> {
    Inputs::new(images, candidates, logit_scale).own_negatives_gradients(owners, focus)
}

/// The inputs of the losses.
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

/// Without a GPU's back end no kernel runs.
#[cfg(not(feature = "gpu"))]
impl Inputs {
    fn nowhere<T>(&self) -> Option<T> {
        let _ = (&self.images, &self.candidates, &self.logit_scale);
        None
    }

    fn contrastive(self, _mask: &[u32]) -> Option<Tensor<1>> {
        self.nowhere()
    }

    fn contrastive_gradients(self, _mask: &[u32]) -> Option<Gradients> {
        self.nowhere()
    }

    fn own_negatives(self, _owners: &[usize], _focus: Focus) -> Option<Tensor<1>> {
        self.nowhere()
    }

    fn own_negatives_gradients(self, _owners: &[usize], _focus: Focus) -> Option<Gradients> {
        self.nowhere()
    }
}

#[cfg(feature = "gpu")]
mod on_device {
    use burn::backend::ops::FloatTensorOps as _;
    use burn::backend::{Dispatch, DispatchTensor};
    use burn::tensor::DType;

    use super::{Focus, Gradients, Inputs, Int, MOST_OWN, OwnerLists, Tensor, words_like};
    use crate::ops::{By, InfoNce, Kernels as _, own_negatives_backward};
    use crate::shader::MOST_WORKGROUPS;

    /// Blocks of 16 rows of a gradient that a dimension of a launch holds.
    const MOST_ROWS: usize = MOST_WORKGROUPS as usize * 16;

    impl Inputs {
        /// The inputs, if the kernels run on them.
        fn dispatched(self) -> Option<[DispatchTensor; 3]> {
            let ([count, width], [all, _]) = (self.images.dims(), self.candidates.dims());
            let fits = count > 0
                && width > 0
                && all <= MOST_ROWS
                && crate::run_on(&self.images.device())
                && self.images.dtype() == DType::F32
                && self.candidates.dtype() == DType::F32
                && self.logit_scale.dtype() == DType::F32;
            fits.then(|| {
                [
                    self.images.into_dispatch(),
                    self.candidates.into_dispatch(),
                    self.logit_scale.into_dispatch(),
                ]
            })
        }

        /// The mask of contrastive.wgsl.
        fn mask(&self, mask: &[u32]) -> Tensor<1, Int> {
            let ([count, _], [all, _]) = (self.images.dims(), self.candidates.dims());
            let row = mask.len() / count.max(1);
            assert!(mask.is_empty() || row >= all.div_ceil(32), "a bit for each candidate");
            let bits = mask.iter().map(|word| word.cast_signed());
            words_like(&self.images, std::iter::once(row as i32).chain(bits).collect())
        }

        pub fn contrastive(self, mask: &[u32]) -> Option<Tensor<1>> {
            let mask = self.mask(mask).into_dispatch();
            let [images, candidates, scale] = self.dispatched()?;
            let loss = Dispatch::clove_contrastive(images, candidates, scale, mask);
            Some(Tensor::from_dispatch(loss))
        }

        pub fn contrastive_gradients(self, mask: &[u32]) -> Option<Gradients> {
            let mask = self.mask(mask).into_dispatch();
            let one = self.logit_scale.ones_like().into_dispatch();
            let [images, candidates, scale] = self.dispatched()?;
            let forward =
                InfoNce::<Dispatch>::forward(images.clone(), candidates.clone(), scale, mask);
            let loss = forward.loss.clone();
            let by = forward.backward(&images, &candidates, one, [true; 3]);
            Some(gradients(loss, by))
        }

        /// `None` if the kernel can't run, or no caption has negatives.
        fn lists(&self, owners: &[usize]) -> Option<OwnerLists> {
            let ([count, _], [all, _]) = (self.images.dims(), self.candidates.dims());
            assert_eq!(all, count + owners.len(), "one owner for each negative");
            let lists = OwnerLists::new(count, owners);
            (!owners.is_empty() && lists.most <= MOST_OWN).then_some(lists)
        }

        pub fn own_negatives(self, owners: &[usize], focus: Focus) -> Option<Tensor<1>> {
            let lists = self.lists(owners)?;
            let (captions, like) = (lists.captions, self.images.clone());
            let [images, candidates, scale] = self.dispatched()?;
            let lists = words_like(&like, lists.words).into_dispatch();
            Some(Tensor::from_dispatch(Dispatch::clove_own_negatives(
                images, candidates, scale, lists, captions, focus,
            )))
        }

        pub fn own_negatives_gradients(self, owners: &[usize], focus: Focus) -> Option<Gradients> {
            let lists = self.lists(owners)?;
            let (captions, like) = (lists.captions, self.images.clone());
            let one = self.logit_scale.ones_like().into_dispatch();
            let [images, candidates, logit_scale] = self.dispatched()?;
            let lists = words_like(&like, lists.words).into_dispatch();
            let loss = Dispatch::clove_own_negatives(
                images.clone(),
                candidates.clone(),
                logit_scale.clone(),
                lists.clone(),
                captions,
                focus,
            );
            let scale = Dispatch::float_exp(logit_scale);
            let by = own_negatives_backward::<Dispatch>(
                images, candidates, scale, lists, captions, focus, one,
            );
            Some(gradients(loss, by))
        }
    }

    fn gradients(loss: DispatchTensor, by: By<Dispatch>) -> Gradients {
        let all = "all were requested";
        Gradients {
            loss: Tensor::from_dispatch(loss),
            by_images: Tensor::from_dispatch(by.images.expect(all)),
            by_candidates: Tensor::from_dispatch(by.candidates.expect(all)),
            by_logit_scale: Tensor::from_dispatch(by.logit_scale.expect(all)),
        }
    }
}

/// The negatives of each image, in the format of own_negatives.wgsl.
#[cfg(feature = "gpu")]
struct OwnerLists {
    /// The start of each image's list, the end of the last, and the lists.
    words: Vec<i32>,
    /// Number of images with negatives.
    captions: usize,
    /// Maximum number of negatives of an image.
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
}

/// Words on the device of a tensor.
#[cfg(feature = "gpu")]
fn words_like(like: &Tensor<2>, words: Vec<i32>) -> Tensor<1, Int> {
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), &like.device())
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
