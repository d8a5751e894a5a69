// The backward pass of own_negatives.wgsl: the gradient of the sum of its losses by images and candidates.
//
// With g[j] = y[j] (gamma p[j] (1 - p[j])^(gamma - 1) log p[j] - (1 - p[j])^gamma), the gradient by log p[j], the gradient by a
// logit is g[j] - p[j] * (sum of g). Reference: burn's autodiff of clove::loss::own_negatives.
//
// images, candidates, scale, owners, info  as in own_negatives.wgsl
// grad           [1]
// by_images      [images, width]      written
// by_candidates  [candidates, width]  written: each text by its own image, each negative by its owner
//
// A workgroup of 64 threads per image, in a grid of two dimensions if one isn't enough; at most 255 negatives per image.

const MOST = 256u;
// Candidates whose products are summed at a time.
const ROUND = 16u;

@group(0) @binding(0) var<storage, read_write> images: array<f32>;
@group(0) @binding(1) var<storage, read_write> candidates: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> owners: array<u32>;
@group(0) @binding(4) var<storage, read_write> grad: array<f32>;
@group(0) @binding(5) var<storage, read_write> by_images: array<f32>;
@group(0) @binding(6) var<storage, read_write> by_candidates: array<f32>;
@group(0) @binding(7) var<storage, read_write> info: array<u32>;

var<workgroup> parts: array<f32, 1040>;
// Logits, and then the gradients by them.
var<workgroup> logits: array<f32, 256>;
// As in the forward pass.
var<workgroup> sizes: vec3<u32>;

fn power(base: f32, exponent: u32) -> f32 {
    var result = 1.0;
    for (var at = 0u; at < exponent; at++) {
        result *= base;
    }
    return result;
}

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
        sizes = vec3(info[0], info[1], min(owners[inside + 1u] - owners[inside], MOST - 1u));
    }
    let known = workgroupUniformLoad(&sizes);
    if image >= known.x {
        return;
    }
    let width = known.y;
    let gamma = info[2];
    let negatives = known.z;
    if negatives == 0u {
        for (var column = thread; column < width; column += 64u) {
            by_images[image * width + column] = 0.0;
            by_candidates[image * width + column] = 0.0;
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
        let smoothing = bitcast<f32>(info[3]);
        let even = smoothing / f32(negatives + 1u);
        var total = 0.0;
        for (var at = 0u; at <= negatives; at++) {
            let log_p = logits[at] - largest - log(sum);
            let p = exp(log_p);
            let label = select(even, 1.0 - smoothing + even, at == 0u);
            var slope = -power(1.0 - p, gamma);
            if gamma > 0u {
                slope += f32(gamma) * p * power(1.0 - p, gamma - 1u) * log_p;
            }
            total += label * slope;
        }
        for (var at = 0u; at <= negatives; at++) {
            let log_p = logits[at] - largest - log(sum);
            let p = exp(log_p);
            let label = select(even, 1.0 - smoothing + even, at == 0u);
            var slope = -power(1.0 - p, gamma);
            if gamma > 0u {
                slope += f32(gamma) * p * power(1.0 - p, gamma - 1u) * log_p;
            }
            logits[at] = label * slope - p * total;
        }
    }
    workgroupBarrier();
    let factor = grad[0] * scale[0];
    for (var column = thread; column < width; column += 64u) {
        let here = images[image * width + column];
        var by_image = 0.0;
        for (var at = 0u; at <= negatives; at++) {
            let candidate = row_of(image, at) * width + column;
            by_image += logits[at] * candidates[candidate];
            by_candidates[candidate] = factor * logits[at] * here;
        }
        by_images[image * width + column] = factor * by_image;
    }
}
