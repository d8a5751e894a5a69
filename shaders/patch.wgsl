// theta = base + alpha * delta: the weights between a pretrained and a fine-tuned model, of which the latter is stored as its
// difference, in 16 or 8 bits.
//
// Source: CLoVe, arXiv 2402.15021, section 3.3. Reference: clove::patch::Difference::values, number by number on the host.
// Purpose: memory for one model and half or a quarter of another instead of two f32 models; burn's tensors have no 8-bit integers on
// WebGPU, and f16 only on adapters that support it, which this kernel doesn't need.
//
// base   [count]  f32
// delta  [words]  f16 pairs, the even element in the low half, or four signed bytes, the first in the lowest
// theta  [count]  f32, written
// info   [4]      count, alpha (f32 bits), step of a byte (f32 bits), 1 for bytes and 0 for f16
//
// One thread per weight, so that neighbours read and write neighbours; 256 threads per workgroup, in a grid of two dimensions if one
// isn't enough. Results are rounded once, or twice if the compiler doesn't fuse the product with the sum.

@group(0) @binding(0) var<storage, read_write> base: array<f32>;
@group(0) @binding(1) var<storage, read_write> delta: array<u32>;
@group(0) @binding(2) var<storage, read_write> theta: array<f32>;
@group(0) @binding(3) var<storage, read_write> info: array<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = (group.y * groups.x + group.x) * 256u + local;
    if at >= info[0] {
        return;
    }
    var difference = 0.0;
    if info[3] == 1u {
        let byte = extractBits(bitcast<i32>(delta[at / 4u]), at % 4u * 8u, 8u);
        difference = f32(byte) * bitcast<f32>(info[2]);
    } else {
        let pair = unpack2x16float(delta[at / 2u]);
        difference = select(pair.x, pair.y, at % 2u == 1u);
    }
    theta[at] = fma(bitcast<f32>(info[1]), difference, base[at]);
}
