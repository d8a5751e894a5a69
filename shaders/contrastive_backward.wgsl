// The backward pass of contrastive.wgsl: the gradient of InfoNCE with hard negatives by the images or by the candidates. Logits are
// computed again, 16 x 16 at a time; neither they nor their gradients leave the workgroup.
//
// With p the images' softmax over all candidates and q the texts' over all images, the gradient by a logit is
//   grad * (p[i][j] + q[i][j] - 2 [i = j])   for the texts j,   grad * p[i][j]   for the negatives j,
// where grad is that of the sum of both directions' losses over all rows. Reference: burn's autodiff of
// clove::loss::contrastive.
//
// images, candidates, scale  as in contrastive.wgsl
// sums   [4, images]           for each image the largest logit and the logarithm of the sum of exponentials from there, then
//                              for each text
// grad   [1]
// by     [own, width]          written: the gradient by the images (own = images) or by the candidates (own = candidates)
// info   [4]                   images, candidates, width, 0 for the images' gradient and 1 for the candidates'
//
// A workgroup of 16 x 16 threads computes 16 rows and 256 columns of the gradient, 16 numbers a thread; x counts blocks of
// rows, y of columns. 5 KiB of workgroup memory.

const BLOCK = 16u;
const DEPTH = 32u;

@group(0) @binding(0) var<storage, read_write> images: array<f32>;
@group(0) @binding(1) var<storage, read_write> candidates: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> grad: array<f32>;
@group(0) @binding(5) var<storage, read_write> by: array<f32>;
@group(0) @binding(6) var<storage, read_write> info: array<u32>;

var<workgroup> left: array<f32, 512>;
var<workgroup> right: array<f32, 528>;
var<workgroup> slopes: array<f32, 256>;
// As in the forward pass.
var<workgroup> sizes: vec4<u32>;

// Of the rows that the gradient is by, or of those on the other side; 0 outside.
fn number(of_images: bool, row: u32, column: u32) -> f32 {
    let width = info[2];
    let rows = select(info[1], info[0], of_images);
    if row >= rows || column >= width {
        return 0.0;
    }
    let at = row * width + column;
    if of_images {
        return images[at];
    }
    return candidates[at];
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if thread == 0u {
        sizes = vec4(info[0], info[1], info[2], info[3]);
    }
    let known = workgroupUniformLoad(&sizes);
    let count = known.x;
    let all = known.y;
    let width = known.z;
    let by_images = known.w == 0u;
    let own = select(all, count, by_images);
    let others = select(count, all, by_images);
    let first_own = group.x * BLOCK;
    let first_column = group.y * 256u;
    let factor = grad[0] * scale[0];

    var result: array<f32, 16>;
    for (var first_other = 0u; first_other < others; first_other += BLOCK) {
        var sum = 0.0;
        for (var start = 0u; start < width; start += DEPTH) {
            for (var load = thread; load < BLOCK * DEPTH; load += 256u) {
                let row = load / DEPTH;
                let column = load % DEPTH;
                left[load] = number(by_images, first_own + row, start + column);
                right[row * 33u + column] = number(!by_images, first_other + row, start + column);
            }
            workgroupBarrier();
            // In the order of the forward pass.
            var part = 0.0;
            for (var at = 0u; at < DEPTH; at++) {
                part += left[local.y * DEPTH + at] * right[local.x * 33u + at];
            }
            sum += part;
            workgroupBarrier();
        }
        let row = first_own + local.y;
        let column = first_other + local.x;
        let image = select(column, row, by_images);
        let candidate = select(row, column, by_images);
        var slope = 0.0;
        if image < count && candidate < all {
            let logit = scale[0] * sum;
            slope = exp(logit - sums[image] - sums[count + image]);
            if candidate < count {
                slope += exp(logit - sums[2u * count + candidate] - sums[3u * count + candidate]);
            }
            if candidate == image {
                slope -= 2.0;
            }
        }
        slopes[thread] = slope;
        workgroupBarrier();
        for (var part = 0u; part < 16u; part++) {
            let column = first_column + part * 16u + local.x;
            var sum = 0.0;
            for (var at = 0u; at < BLOCK; at++) {
                sum += slopes[local.y * BLOCK + at] * number(!by_images, first_other + at, column);
            }
            result[part] += sum;
        }
        workgroupBarrier();
    }
    let row = first_own + local.y;
    if row < own {
        for (var part = 0u; part < 16u; part++) {
            let column = first_column + part * 16u + local.x;
            if column < width {
                by[row * width + column] = factor * result[part];
            }
        }
    }
}
