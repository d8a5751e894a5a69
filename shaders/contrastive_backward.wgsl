// The backward pass of contrastive.wgsl: the gradient of InfoNCE with hard negatives by the images or by the candidates. Logits are
// recomputed, 32 x 32 at a time; they and their gradients stay in the workgroup.
//
// With p the images' softmax over all candidates and q the texts' over all images, the gradient by a logit is
//   grad * (p[i][j] + q[i][j] - 2 [i = j])   for the texts j,   grad * p[i][j]   for the negatives j,   0   if left out,
// where grad is that of the sum of both directions' losses over all rows. Reference: burn's autodiff of
// clove::loss::contrastive.
//
// own     [own, width]     f32: the images or the candidates of contrastive.wgsl, by which the gradient is computed
// others  [others, width]  f32: the others of the two
// scale   [1]
// sums    [4, images]      for each image the largest logit and the logarithm of the sum of exponentials relative to it, then the
//                          same for each text
// grad    [1]
// by      [own, width]     written
// mask                     as in contrastive.wgsl
// info    [4]              images, candidates, width, 0 for the images' gradient and 1 for the candidates'
//
// A workgroup of 16 x 16 threads computes 32 rows and 256 columns of the gradient, 2 x 16 numbers a thread; x counts blocks of
// rows, y of columns. Reads past an edge repeat the edge and don't count. 12.4 KiB of workgroup memory.

const BLOCK = 32u;

@group(0) @binding(0) var<storage, read_write> own: array<f32>;
@group(0) @binding(1) var<storage, read_write> others: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> grad: array<f32>;
@group(0) @binding(5) var<storage, read_write> by: array<f32>;
@group(0) @binding(6) var<storage, read_write> mask: array<u32>;
@group(0) @binding(7) var<storage, read_write> info: array<u32>;

// Padded by a column, so that threads along a column use different banks.
var<workgroup> left: array<f32, 1056>;
var<workgroup> right: array<f32, 1056>;
var<workgroup> slopes: array<f32, 1056>;
// As in the forward pass.
var<workgroup> sizes: vec4<u32>;

fn is_left_out(image: u32, candidate: u32) -> bool {
    let words = mask[0];
    if words == 0u {
        return false;
    }
    return ((mask[1u + image * words + candidate / 32u] >> (candidate % 32u)) & 1u) == 1u;
}

// The gradient by the logit of an image and a candidate, divided by grad; 0 outside the matrix.
fn slope(image: u32, candidate: u32, logit: f32, count: u32, all: u32) -> f32 {
    if image >= count || candidate >= all || is_left_out(image, candidate) {
        return 0.0;
    }
    var slope = exp(logit - sums[image] - sums[count + image]);
    if candidate < count {
        slope += exp(logit - sums[2u * count + candidate] - sums[3u * count + candidate]);
    }
    if candidate == image {
        slope -= 2.0;
    }
    return slope;
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
    let own_rows = select(all, count, by_images);
    let other_rows = select(count, all, by_images);
    let first_own = group.x * BLOCK;
    let first_column = group.y * 256u + local.x;

    var result: array<vec2<f32>, 16>;
    for (var first_other = 0u; first_other < other_rows; first_other += BLOCK) {
        var logits = vec4(0.0);
        for (var start = 0u; start < width; start += BLOCK) {
            for (var load = thread; load < BLOCK * BLOCK; load += 256u) {
                let row = load / BLOCK;
                let column = start + load % BLOCK;
                let inside = min(column, width - 1u);
                let here = own[min(first_own + row, own_rows - 1u) * width + inside];
                let there = others[min(first_other + row, other_rows - 1u) * width + inside];
                left[row * 33u + load % BLOCK] = select(0.0, here, column < width);
                right[row * 33u + load % BLOCK] = there;
            }
            workgroupBarrier();
            // In the order of the forward pass.
            var part = vec4(0.0);
            for (var at = 0u; at < BLOCK; at++) {
                let here = vec2(left[local.y * 33u + at], left[(local.y + 16u) * 33u + at]);
                let there = vec2(right[local.x * 33u + at], right[(local.x + 16u) * 33u + at]);
                part += here.xxyy * there.xyxy;
            }
            logits += part;
            workgroupBarrier();
        }
        for (var at = 0u; at < 4u; at++) {
            let row = local.y + 16u * (at / 2u);
            let column = local.x + 16u * (at % 2u);
            let image = select(first_other + column, first_own + row, by_images);
            let candidate = select(first_own + row, first_other + column, by_images);
            slopes[row * 33u + column] = slope(image, candidate, scale[0] * logits[at], count, all);
        }
        workgroupBarrier();
        for (var part = 0u; part < 16u; part++) {
            let column = min(first_column + part * 16u, width - 1u);
            var sum = vec2(0.0);
            for (var at = 0u; at < BLOCK; at++) {
                let there = others[min(first_other + at, other_rows - 1u) * width + column];
                sum += vec2(slopes[local.y * 33u + at], slopes[(local.y + 16u) * 33u + at]) * there;
            }
            result[part] += sum;
        }
        workgroupBarrier();
    }
    let factor = grad[0] * scale[0];
    for (var part = 0u; part < 16u; part++) {
        let column = first_column + part * 16u;
        if column < width {
            if first_own + local.y < own_rows {
                by[(first_own + local.y) * width + column] = factor * result[part].x;
            }
            if first_own + local.y + 16u < own_rows {
                by[(first_own + local.y + 16u) * width + column] = factor * result[part].y;
            }
        }
    }
}
