// The forward pass of FSC's loss: each image chooses between its caption and that caption's own negatives.
//
// With p the softmax over an image's n candidates and y its smoothed label, loss = sum of y[j] (1 - p[j])^gamma (-log p[j]),
// y[0] = 1 - smoothing + smoothing / n, y[j] = smoothing / n. Source: Oh et al., arXiv 2410.05210; ytaek-oh/fsc-clip:
// src/training/losses/loss.py:77-105. Reference: clove::loss::own_negatives. Purpose: the composed operations gather every
// image, caption and negative, [captions, negatives, width], before they multiply.
//
// images      [images, width]      f32, rows of length one
// candidates  [candidates, width]  f32, the images' own texts and then the negatives
// scale       [1]                  f32
// owners      [images + 1 + negatives]  the start of each image's list of negatives, the end of the last list; then the lists
// losses      [images]             written: 0 without negatives
// info        [4]                  images, width, gamma, smoothing (f32 bits)
//
// A workgroup of 64 threads per image, in a grid of two dimensions if one isn't enough; at most 255 negatives per image.

const MOST = 256u;
// Candidates whose products are summed at a time.
const ROUND = 16u;

@group(0) @binding(0) var<storage, read_write> images: array<f32>;
@group(0) @binding(1) var<storage, read_write> candidates: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> owners: array<u32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> info: array<u32>;

var<workgroup> parts: array<f32, 1040>;
var<workgroup> logits: array<f32, 256>;
// Images, width, and the length of the list. Makes them uniform by WGSL's rules, as barriers in loops require.
var<workgroup> sizes: vec3<u32>;

fn power(base: f32, exponent: u32) -> f32 {
    var result = 1.0;
    for (var at = 0u; at < exponent; at++) {
        result *= base;
    }
    return result;
}

// The row of an image's candidate: its text first, then its negatives.
fn row_of(image: u32, at: u32) -> u32 {
    if at == 0u {
        return image;
    }
    return info[0] + owners[info[0] + owners[image] + at];
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let image = group.y * groups.x + group.x;
    if thread == 0u {
        let inside = min(image, info[0] - 1u);
        let begin = owners[inside];
        sizes = vec3(info[0], info[1], min(owners[inside + 1u] - begin, MOST - 1u));
    }
    let known = workgroupUniformLoad(&sizes);
    if image >= known.x {
        return;
    }
    let width = known.y;
    let negatives = known.z;
    if negatives == 0u {
        if thread == 0u {
            losses[image] = 0.0;
        }
        return;
    }
    for (var first = 0u; first <= negatives; first += ROUND) {
        let last = min(first + ROUND, negatives + 1u);
        for (var at = first; at < last; at++) {
            let candidate = row_of(image, at);
            var part = 0.0;
            for (var column = thread; column < width; column += 64u) {
                part += images[image * width + column] * candidates[candidate * width + column];
            }
            parts[(at - first) * 65u + thread] = part;
        }
        workgroupBarrier();
        if thread < last - first {
            var sum = 0.0;
            for (var at = 0u; at < 64u; at++) {
                sum += parts[thread * 65u + at];
            }
            logits[first + thread] = scale[0] * sum;
        }
        workgroupBarrier();
    }
    if thread == 0u {
        var largest = logits[0];
        for (var at = 1u; at <= negatives; at++) {
            largest = max(largest, logits[at]);
        }
        var sum = 0.0;
        for (var at = 0u; at <= negatives; at++) {
            sum += exp(logits[at] - largest);
        }
        let even = bitcast<f32>(info[3]) / f32(negatives + 1u);
        var loss = 0.0;
        for (var at = 0u; at <= negatives; at++) {
            let log_p = logits[at] - largest - log(sum);
            let label = select(even, 1.0 - bitcast<f32>(info[3]) + even, at == 0u);
            loss -= label * power(1.0 - exp(log_p), info[2]) * log_p;
        }
        losses[image] = loss;
    }
}
