//! The tile unit (AMX): eight registers of 16 rows × 64 bytes, and TDPBF16PS, which multiplies two of them.
//!
//! The standard library has no stable intrinsics for it, so the loop over k is one block of assembly: between two
//! blocks the compiler could not be told which tile registers hold something.
//!
//! A process asks Linux once for the unit's 8 KiB of state per thread ([`Unit::get`]). A thread then loads the shapes of
//! its tiles for a piece of work and gives them up at its end ([`Unit::configure`]): while tiles hold
//! data, each switch of threads saves 8 KiB more and the core cannot sleep deeply.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and volume 2,
//! LDTILECFG, TILELOADD, TDPBF16PS; Linux, Documentation/arch/x86/xstate.rst.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use half::bf16;

use super::block::{BLOCK, MicroKernel, Window, steps};

/// Proof that this process may use the tile unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unit(());

impl Unit {
    /// The unit, or none if the processor has none, or the system does not save its state or does not permit it.
    pub fn get() -> Option<Self> {
        static UNIT: OnceLock<Option<Unit>> = OnceLock::new();
        *UNIT.get_or_init(|| (linux::detected() && linux::permitted()).then_some(Self(())))
    }

    /// Loads the shapes of the tiles on this thread.
    pub fn configure(self) -> Tiles {
        CONFIGURED.with(|count| {
            if count.get() == 0 {
                // SAFETY: a `Unit` exists, so the processor has tiles and the system permits them.
                unsafe { linux::configure(&Shapes::SQUARE) };
            }
            count.set(count.get() + 1);
        });
        Tiles { thread: PhantomData }
    }
}

thread_local! {
    /// The `Tiles` of this thread, so that one inside another does not release the outer one's registers.
    static CONFIGURED: Cell<usize> = const { Cell::new(0) };
}

/// The tile registers of this thread, configured; released when the last of the thread is dropped.
pub(super) struct Tiles {
    /// Registers are a thread's own: the guard must not be sent to another.
    thread: PhantomData<*mut ()>,
}

impl Drop for Tiles {
    fn drop(&mut self) {
        CONFIGURED.with(|count| {
            count.set(count.get() - 1);
            if count.get() == 0 {
                // SAFETY: the processor has tiles, for they were configured; no guard is left whose
                // work would need them.
                unsafe { linux::release() };
            }
        });
    }
}

/// The operand of LDTILECFG.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// All eight registers whole: 16 rows of 64 bytes. Operands are padded with zeros, so no other shape is needed.
    const SQUARE: Self = Self {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };
}

impl MicroKernel for Tiles {
    #[inline]
    fn multiply(&self, a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], mut c: Window<'_>) {
        let steps = steps(a, b);
        // SAFETY: a guard exists on this thread, so its tiles are configured. The bands are `steps` tiles of 1 KiB
        // each, and the window's 32×32 elements are its own to write.
        unsafe {
            linux::multiply(a.map(<[bf16]>::as_ptr), b.map(<[bf16]>::as_ptr), steps, start, &mut c);
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    use super::super::block::{BLOCK, TILE, Window};
    use super::Shapes;
    use half::bf16;

    /// Bits of XCR0, and numbers of arch_prctl: the tiles' shapes and the tiles' data.
    const XTILECFG: u32 = 17;
    const XTILEDATA: u32 = 18;

    /// Whether the processor has tiles and bfloat16 products, and the system saves tiles.
    pub fn detected() -> bool {
        const OSXSAVE: u32 = 1 << 27;
        const AMX_BF16: u32 = 1 << 22;
        const AMX_TILE: u32 = 1 << 24;
        #[allow(unused_unsafe, reason = "unsafe before Rust 1.94")]
        // SAFETY: every processor of 64 bits has CPUID.
        let [leaves, system, features] = unsafe { [__cpuid(0).eax, __cpuid(1).ecx, __cpuid_count(7, 0).edx] };
        if leaves < 7 || system & OSXSAVE == 0 {
            return false;
        }
        let both = 1 << XTILECFG | 1 << XTILEDATA;
        features & AMX_BF16 != 0 && features & AMX_TILE != 0 && xcr0() & both == both
    }

    /// The states that the system saves.
    fn xcr0() -> u32 {
        let low: u32;
        // SAFETY: XGETBV exists where CPUID reports OSXSAVE, which `detected` has seen; it only reads a register.
        unsafe {
            asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack, preserves_flags))
        };
        low
    }

    /// Whether Linux permits this process to use tiles. All its threads may, those that run already included.
    pub fn permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        let result: i64;
        // SAFETY: the call takes two integers, touches no memory of ours and only widens what the process may do.
        // A system before 5.16 answers with an error. SYSCALL overwrites rcx and r11.
        unsafe {
            asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") u64::from(XTILEDATA), out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }

    /// # Safety
    /// The process may use tiles.
    pub unsafe fn configure(shapes: &Shapes) {
        // SAFETY: the caller has the permission; the operand is 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) shapes, options(nostack, preserves_flags, readonly)) };
    }

    /// # Safety
    /// The process may use tiles.
    pub unsafe fn release() {
        // SAFETY: the caller has the permission; no memory is touched.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }

    /// C (32×32) = A (32×k) · B (k×32), k being 32 `steps`, each row's sums beginning with `start`'s.
    ///
    /// # Safety
    /// Tiles are configured as [`Shapes::SQUARE`] on this thread. Each pointer of `a` and `b` is to `steps` tiles
    /// of 1 KiB.
    #[inline]
    pub unsafe fn multiply(
        [a0, a1]: [*const bf16; 2],
        [b0, b1]: [*const bf16; 2],
        steps: usize,
        start: &[f32; BLOCK],
        c: &mut Window<'_>,
    ) {
        let (first, stride) = (c.first(), c.stride());
        // A stride of zero loads the same row 16 times. tmm0..3 are the sums, row by row of tiles; tmm4 and 5 are of A, tmm6 and 7 of B. A product takes 16 cycles and a
        // load from the first cache 8, so loads hide behind products while operands are near.
        // SAFETY: the reads and writes are those that the caller and the window vouch for. All registers that
        // change are named: no tile is live before or after. The stack is not used.
        unsafe {
            asm!(
                "tileloadd tmm0, [{start} + {none}*1]",
                "tileloadd tmm1, [{start} + {none}*1 + 64]",
                "tileloadd tmm2, [{start} + {none}*1]",
                "tileloadd tmm3, [{start} + {none}*1 + 64]",
                "test {steps}, {steps}",
                "jz 3f",
                "2:",
                "tileloadd tmm6, [{b0} + {row}*1]",
                "tileloadd tmm4, [{a0} + {row}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b1} + {row}*1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {row}*1]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a0}, 1024",
                "add {a1}, 1024",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {steps}",
                "jnz 2b",
                "3:",
                "tilestored [{c} + {stride}*1], tmm0",
                "tilestored [{c} + {stride}*1 + 64], tmm1",
                "tilestored [{lower_c} + {stride}*1], tmm2",
                "tilestored [{lower_c} + {stride}*1 + 64], tmm3",
                a0 = inout(reg) a0 => _,
                a1 = inout(reg) a1 => _,
                b0 = inout(reg) b0 => _,
                b1 = inout(reg) b1 => _,
                row = in(reg) 64_usize,
                steps = inout(reg) steps => _,
                start = in(reg) start.as_ptr(),
                none = in(reg) 0_usize,
                c = in(reg) first,
                lower_c = in(reg) first.add(TILE * stride),
                stride = in(reg) 4 * stride,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Elsewhere there is no tile unit, so nothing below is ever called but the first.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod linux {
    use super::super::block::{BLOCK, Window};
    use super::Shapes;
    use half::bf16;

    pub fn detected() -> bool {
        false
    }

    pub fn permitted() -> bool {
        false
    }

    /// # Safety
    /// None: it is never called.
    pub unsafe fn configure(_: &Shapes) {
        unreachable!("a tile unit is never found here")
    }

    /// # Safety
    /// None: it is never called.
    pub unsafe fn release() {}

    /// # Safety
    /// None: it is never called.
    pub unsafe fn multiply(
        _: [*const bf16; 2],
        _: [*const bf16; 2],
        _: usize,
        _: &[f32; BLOCK],
        _: &mut Window<'_>,
    ) {
        unreachable!("a tile unit is never found here")
    }
}
