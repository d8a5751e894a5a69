//! Launching kernels on a device.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Shape};
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn_cubecl::cubecl::server::{Handle, KernelArguments};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;

use crate::shader::{MOST_WORKGROUPS, Shader};

/// burn's name of a device's runtime, which names its shader compiler; `None` on the CPU.
pub fn compiler(device: &Device) -> Option<&'static str> {
    let device = device.clone().without_autodiff();
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => Some(device.client().name()),
        #[allow(unreachable_patterns, reason = "burn's features decide which other variants exist")]
        _ => None,
    }
}

/// The largest buffer that a kernel can bind, in bytes; `None` on the CPU.
// Source: cubecl-wgpu-0.11.3 src/runtime.rs: the lesser of wgpu's limits of a buffer and of a binding.
pub fn largest_buffer(device: &Device) -> Option<u64> {
    let device = device.clone().without_autodiff();
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => Some(device.client().properties().memory.max_page_size),
        #[allow(unreachable_patterns, reason = "burn's features decide which other variants exist")]
        _ => None,
    }
}

impl KernelSource for Shader {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.text())
    }

    fn id(&self) -> KernelId {
        // With the text, so that an edit invalidates caches on disk.
        KernelId::new::<Self>().info((*self, self.text().into_owned()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Runs a shader over a grid of workgroups. The buffers are bound in order; `info` is last, unless it's empty.
pub fn launch(shader: Shader, grid: [u32; 3], buffers: &[&CubeTensor], info: &[u32]) {
    debug_assert!(grid.iter().all(|&count| count <= MOST_WORKGROUPS));
    let Some(first) = buffers.first() else {
        return;
    };
    let client = &first.client;
    let mut handles: Vec<Handle> = buffers.iter().map(|one| one.handle.clone()).collect();
    if !info.is_empty() {
        handles.push(client.create_from_slice(bytemuck::cast_slice(info)));
    }
    let [x, y] = shader.workgroup();
    client.launch(
        Box::new(SourceKernel::new(shader, CubeDim::new_2d(x, y))),
        CubeCount::Static(grid[0], grid[1], grid[2]),
        KernelArguments::new().with_buffers(handles.into_iter().map(Handle::binding).collect()),
    );
}

/// A tensor for a result, on the device of `like`.
pub fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape.into(), dtype)
}
