//! The device that a model runs on. It's chosen by name, named in messages, and never replaced silently.
//!
//! This is the only module of the crate that differs between native programs and browsers.

use std::str::FromStr;

pub use burn::tensor::Device;
use burn::tensor::Tensor;
#[cfg(not(target_family = "wasm"))]
use burn::tensor::wgpu::wgpu;
use thiserror::Error;

/// The user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// burn's CPU back end.
    Cpu,
    /// A GPU; without a number the best one, which may be a software one.
    Gpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(None)),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|number| number.parse().ok())
                .map(|number| Self::Gpu(Some(number)))
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

/// Why a device can't be opened.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Not a name of a device.
    #[error("`{0}` is not a device; use auto, cpu, gpu or gpu:N")]
    Unknown(String),
    /// There is no GPU with this number; the second is the number of GPUs.
    #[error("there is no gpu:{}: {}", .0, found(*.1))]
    NoSuchGpu(usize, usize),
    /// There is no GPU.
    #[error(
        "no GPU was found through Vulkan, Metal, DirectX 12 or OpenGL; install its driver, or use --device cpu"
    )]
    NoGpu,
    /// The GPU can't be opened, and the runtime's error.
    #[error("{0} can't be opened: {1}")]
    Open(String, String),
}

/// A tensor can't be read back: the device failed, or the tensor isn't f32.
#[derive(Debug, Error)]
#[error("reading back from the device failed: {0}")]
pub struct ReadBackError(String);

/// Reads a tensor back to the host, row-major. Asynchronous for browsers.
///
/// # Errors
/// When the device fails.
pub async fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ReadBackError> {
    let data = tensor.into_data_async().await.map_err(|error| ReadBackError(error.to_string()))?;
    data.try_into_vec().map_err(|error| ReadBackError(format!("{error:?}")))
}

fn found(count: usize) -> String {
    match count {
        0 => "no GPU was found".to_owned(),
        1 => "only gpu:0 was found".to_owned(),
        _ => format!("gpu:0 to gpu:{} were found", count - 1),
    }
}

#[cfg(not(target_family = "wasm"))]
/// A GPU, as described by the graphics driver.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Discrete, integrated, virtual, software or other.
    pub kind: wgpu::DeviceType,
    /// Vulkan, Metal, DirectX 12 or OpenGL.
    pub api: wgpu::Backend,
    /// The driver and its version.
    pub driver: String,
    /// Its limits, in bytes and counts.
    pub limits: wgpu::Limits,
    /// Its optional features.
    pub features: wgpu::Features,
    /// Its index among the adapters of its kind and API, which burn uses.
    index: usize,
}

#[cfg(not(target_family = "wasm"))]
impl Adapter {
    /// Whether it's a software GPU, such as llvmpipe.
    pub fn is_software(&self) -> bool {
        self.kind == wgpu::DeviceType::Cpu
    }

    /// Whether threads of a subgroup can exchange values, which speeds up reductions.
    pub fn has_subgroups(&self) -> bool {
        self.features.contains(wgpu::Features::SUBGROUP)
    }

    /// Whether shaders can compute in 16 bits.
    pub fn has_f16(&self) -> bool {
        self.features.contains(wgpu::Features::SHADER_F16)
    }

    /// The largest tensor of a kernel, in bytes.
    pub fn largest_binding(&self) -> u64 {
        let limits = &self.limits;
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
    }

    /// The name of its kind.
    pub fn kind_name(&self) -> &'static str {
        self.kind_rank_and_name().1
    }

    /// Its kind's place in the order of preference, and its name.
    fn kind_rank_and_name(&self) -> (u8, &'static str) {
        match self.kind {
            wgpu::DeviceType::DiscreteGpu => (0, "discrete GPU"),
            wgpu::DeviceType::IntegratedGpu => (1, "integrated GPU"),
            wgpu::DeviceType::VirtualGpu => (2, "virtual GPU"),
            wgpu::DeviceType::Other => (3, "other"),
            wgpu::DeviceType::Cpu => (4, "software"),
        }
    }
}

/// An open device.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// burn's handle.
    pub device: Device,
    /// A description for messages: `cpu`, or the adapter's name, kind and API.
    pub description: String,
    /// Whether it's a GPU, which may be a software one.
    pub is_gpu: bool,
    /// The largest tensor of a kernel, in bytes.
    pub largest_binding: u64,
}

/// The CPU, with burn's own back end.
#[cfg(feature = "cpu")]
pub fn cpu() -> OpenDevice {
    OpenDevice {
        device: Device::flex(),
        description: "cpu".to_owned(),
        is_gpu: false,
        largest_binding: u64::MAX,
    }
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::sync::{Mutex, PoisonError};

    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::{WgpuBackend, wgpu};

    use super::{Adapter, Device, DeviceChoice, DeviceError, OpenDevice, cpu};

    /// The GPUs of this machine: those of Vulkan, Metal and DirectX 12, or else those of OpenGL. Real ones come before software ones.
    pub fn adapters() -> Vec<Adapter> {
        let primary = list(wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12);
        if primary.is_empty() { list(wgpu::Backends::GL) } else { primary }
    }

    fn list(backends: wgpu::Backends) -> Vec<Adapter> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters: Vec<Adapter> = Vec::new();
        for found in pollster::block_on(instance.enumerate_adapters(backends)) {
            let info = found.get_info();
            let index = adapters
                .iter()
                .filter(|other| other.kind == info.device_type && other.api == info.backend)
                .count();
            adapters.push(Adapter {
                name: info.name,
                kind: info.device_type,
                api: info.backend,
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
                limits: found.limits(),
                features: found.features(),
                index,
            });
        }
        adapters.sort_by_key(|adapter| adapter.kind_rank_and_name().0);
        adapters
    }

    /// Opens the chosen device.
    ///
    /// # Errors
    /// When there is no such device, or it can't be opened. `Auto` uses the CPU only if there is no real GPU.
    pub fn open(choice: DeviceChoice) -> Result<OpenDevice, DeviceError> {
        match choice {
            DeviceChoice::Cpu => Ok(cpu()),
            DeviceChoice::Auto => match adapters().iter().find(|adapter| !adapter.is_software()) {
                Some(adapter) => open_adapter(adapter),
                None => Ok(cpu()),
            },
            DeviceChoice::Gpu(None) => open_adapter(adapters().first().ok_or(DeviceError::NoGpu)?),
            DeviceChoice::Gpu(Some(number)) => {
                let adapters = adapters();
                let none = DeviceError::NoSuchGpu(number, adapters.len());
                open_adapter(adapters.get(number).ok_or(none)?)
            }
        }
    }

    fn open_adapter(adapter: &Adapter) -> Result<OpenDevice, DeviceError> {
        /// burn doesn't initialise an adapter twice in a process, so open ones are kept.
        static OPEN: Mutex<Vec<(DeviceKind, wgpu::Backend, OpenDevice)>> = Mutex::new(Vec::new());

        let failed = |reason: String| DeviceError::Open(adapter.name.clone(), reason);
        let kind = match adapter.kind {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu(adapter.index),
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu(adapter.index),
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu(adapter.index),
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            wgpu::DeviceType::Other => DeviceKind::DefaultDevice,
        };
        let api = match adapter.api {
            wgpu::Backend::Vulkan => WgpuBackend::Vulkan,
            wgpu::Backend::Metal => WgpuBackend::Metal,
            wgpu::Backend::Dx12 => WgpuBackend::Dx12,
            wgpu::Backend::Gl => WgpuBackend::Gl,
            other => return Err(failed(format!("{other} is not supported"))),
        };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, device)) =
            open.iter().find(|(other, backend, _)| *other == kind && *backend == adapter.api)
        {
            return Ok(device.clone());
        }
        let device = Device::wgpu_options()
            .device_kind(kind.clone())
            .graphics_api(api)
            .init()
            .map_err(|error| failed(error.to_string()))?;
        let device = OpenDevice {
            device,
            description: format!("{} ({}, {})", adapter.name, adapter.kind_name(), adapter.api),
            is_gpu: true,
            largest_binding: adapter.largest_binding(),
        };
        open.push((kind, adapter.api, device.clone()));
        Ok(device)
    }
}

#[cfg(not(target_family = "wasm"))]
pub use native::{adapters, open};

/// The GPU of this tab, by the name that the caller gives it. A tab can open it only once.
///
/// # Errors
/// When the browser has no device.
#[cfg(all(target_family = "wasm", feature = "gpu"))]
pub async fn webgpu(name: String) -> Result<OpenDevice, DeviceError> {
    match Device::wgpu_options().init_async().await {
        Ok(device) => Ok(OpenDevice {
            device,
            description: name,
            is_gpu: true,
            // WebGPU's default, which every browser supports.
            largest_binding: 128 << 20,
        }),
        Err(error) => Err(DeviceError::Open(name, error.to_string())),
    }
}
