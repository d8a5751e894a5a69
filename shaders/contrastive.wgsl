// The forward pass of InfoNCE with hard negatives: from the logits of every image with every candidate, the inputs of both
// directions' softmaxes, without storing logits.
//
// logit[i][j] = scale * images[i] . candidates[j]. The first `images` candidates are the images' own texts, the others are negatives,
// which are candidates for images only. Source: Castro et al., arXiv 2402.15021, section 3.2; Netflix/clove:
// src/open_clip/loss.py:62-139. Reference: clove::loss::contrastive. Purpose: the composed operations store the logits,
// [images, candidates], four times; this kernel stores a 32nd of them.
//
// images      [images, width]          f32, rows of length one
// candidates  [candidates, width]      f32, rows of length one
// scale       [1]                      f32
// rows        [2, images, blocks]      written: for each image and block of 32 candidates the largest logit, and the sum of the
//                                      exponentials relative to it
// columns     [2, row blocks, images]  written: the same for each text and block of 32 images
// right       [images]                 written: the logit of each image with its own text
// mask        [1 + images * words]     words, then a row of that many for each image. Bit c % 32 of word c / 32 leaves candidate c
//                                      out for the image, and the image for that text; never an image's own text
// info        [3]                      images, candidates, width
//
// A workgroup of 16 x 16 threads computes 32 x 32 logits, 2 x 2 a thread, from 32 numbers of each row at a time; x counts blocks of
// candidates, y of images. 12.4 KiB of workgroup memory.

const BLOCK = 32u;
const NONE = -3.0e38;

@group(0) @binding(0) var<storage, read_write> images: array<f32>;
@group(0) @binding(1) var<storage, read_write> candidates: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> rows: array<f32>;
@group(0) @binding(4) var<storage, read_write> columns: array<f32>;
@group(0) @binding(5) var<storage, read_write> right: array<f32>;
@group(0) @binding(6) var<storage, read_write> mask: array<u32>;
@group(0) @binding(7) var<storage, read_write> info: array<u32>;

var<workgroup> left: array<f32, 1024>;
var<workgroup> other: array<f32, 1024>;
// Padded by a row, so that threads along a column use different banks.
var<workgroup> logits: array<f32, 1056>;
// Makes the sizes uniform by WGSL's rules, as barriers in loops require.
var<workgroup> sizes: vec3<u32>;

fn is_left_out(image: u32, candidate: u32) -> bool {
    let words = mask[0];
    if words == 0u {
        return false;
    }
    return ((mask[1u + image * words + candidate / 32u] >> (candidate % 32u)) & 1u) == 1u;
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if thread == 0u {
        sizes = vec3(info[0], info[1], info[2]);
    }
    let known = workgroupUniformLoad(&sizes);
    let count = known.x;
    let all = known.y;
    let width = known.z;
    let first_image = group.y * BLOCK;
    let first_candidate = group.x * BLOCK;

    // [image of the thread][candidate of the thread]
    var sums = vec4(0.0);
    for (var start = 0u; start < width; start += BLOCK) {
        for (var load = thread; load < BLOCK * BLOCK; load += 256u) {
            let row = load / BLOCK;
            let column = start + load % BLOCK;
            var of_image = 0.0;
            var of_candidate = 0.0;
            if column < width {
                if first_image + row < count {
                    of_image = images[(first_image + row) * width + column];
                }
                if first_candidate + row < all {
                    of_candidate = candidates[(first_candidate + row) * width + column];
                }
            }
            left[load] = of_image;
            other[load] = of_candidate;
        }
        workgroupBarrier();
        // Summed separately, for fewer roundings of large sums.
        var part = vec4(0.0);
        for (var at = 0u; at < BLOCK; at++) {
            let image = vec2(left[local.y * BLOCK + at], left[(local.y + 16u) * BLOCK + at]);
            let candidate = vec2(other[local.x * BLOCK + at], other[(local.x + 16u) * BLOCK + at]);
            part += image.xxyy * candidate.xyxy;
        }
        sums += part;
        workgroupBarrier();
    }
    for (var at = 0u; at < 4u; at++) {
        let row = local.y + 16u * (at / 2u);
        let column = local.x + 16u * (at % 2u);
        let image = first_image + row;
        let candidate = first_candidate + column;
        let logit = scale[0] * sums[at];
        var counted = NONE;
        if image < count && candidate < all {
            if !is_left_out(image, candidate) {
                counted = logit;
            }
            if image == candidate {
                right[image] = logit;
            }
        }
        logits[row * 33u + column] = counted;
    }
    workgroupBarrier();

    if thread < BLOCK {
        let image = first_image + thread;
        if image < count {
            var largest = NONE;
            for (var column = 0u; column < BLOCK; column++) {
                largest = max(largest, logits[thread * 33u + column]);
            }
            var sum = 0.0;
            for (var column = 0u; column < BLOCK; column++) {
                sum += exp(logits[thread * 33u + column] - largest);
            }
            rows[image * groups.x + group.x] = largest;
            rows[(count + image) * groups.x + group.x] = sum;
        }
    } else if thread < 2u * BLOCK {
        let column = thread - BLOCK;
        let text = first_candidate + column;
        if text < count {
            var largest = NONE;
            for (var row = 0u; row < BLOCK; row++) {
                largest = max(largest, logits[row * 33u + column]);
            }
            var sum = 0.0;
            for (var row = 0u; row < BLOCK; row++) {
                sum += exp(logits[row * 33u + column] - largest);
            }
            columns[group.y * count + text] = largest;
            columns[(groups.y + group.y) * count + text] = sum;
        }
    }
}
